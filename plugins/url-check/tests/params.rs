//! What is wrong in `[params]` is said when the module is made, and which entry it is.

use graft_url_check::UrlCheck;
use plugin_api::{Collector, Entry, ErrorKind, Params, Value};

fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(name, value)| Entry { name: (*name).into(), value: value.clone() }).collect())
}

#[track_caller]
fn check(params: &Params, why: &str) {
    let error = UrlCheck::new(params).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains(why), "{}", error.message());
    assert!(!error.message().contains("secret"), "{}", error.message());
}

#[test]
fn a_wrong_url_is_named_with_its_place() {
    for (url, why) in [
        ("shop.example", "number 2, \"shop.example\": has no scheme"),
        ("ftp://shop.example/", "number 2, \"ftp://shop.example/\": has the scheme \"ftp\""),
        ("http://user:secret@shop.example:0/", "number 2, \"http://shop.example:0/\": has the port \"0\""),
        ("http://", "number 2, \"http://\": is no URL"),
        ("http://127.0.0.1/", "number 2: \"http://127.0.0.1/\" is there twice"),
    ] {
        check(&Params::new().with("urls", vec![Value::from("http://127.0.0.1/"), url.into()]), why);
    }
    check(&Params::new(), "\"urls\" is missing");
    check(&Params::new().with("urls", 1), "\"urls\" must be a list of URLs");
    check(&Params::new().with("urls", vec![1]), "number 1, no URL: must be a URL or a table");
    let many: Vec<Value> = (0..257).map(|n| format!("http://127.0.0.1/{n}").as_str().into()).collect();
    check(&Params::new().with("urls", many), "has 257 URLs: at most 256");
}

#[test]
fn a_wrong_table_is_named_with_its_place() {
    let missing = env!("CARGO_MANIFEST_DIR").to_owned() + "/none.pem";
    let no_pem = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
    let header = |name: &str, value: Value| table(&[(name, value)]);
    let rows: Vec<(&str, Value, &str)> = vec![
        ("expects", 200.into(), "unknown key \"expects\"; there are name, url,"),
        ("expect", 99.into(), "\"expect\" must be a status such as 200"),
        ("expect", "6xx".into(), "\"expect\" must be a status such as 200"),
        ("expect", Vec::<Value>::new().into(), "\"expect\" must be a status such as 200"),
        ("method", "POST".into(), "\"method\" must be \"GET\", \"HEAD\" or \"OPTIONS\", not \"POST\""),
        ("timeout", "9s".into(), "\"timeout\" must be 10ms to 8s, not 9s"),
        ("timeout", 5.into(), "\"timeout\" must be a duration"),
        ("name", "".into(), "\"name\" must have 1 to 512 bytes"),
        ("follow", "yes".into(), "\"follow\" must be true or false"),
        ("headers", "x".into(), "\"headers\" must be a table"),
        ("headers", header("a b", "x".into()), "\"a b\" is no name"),
        ("headers", header("x-key", "secret\n".into()), "x-key has letters that a header cannot have"),
        ("headers", header("x-key", 1.into()), "x-key must be text"),
        ("headers", header("Connection", "keep-alive".into()), "connection is not to be chosen"),
        ("ca", missing.as_str().into(), "none.pem: No such file"),
        ("ca", no_pem.as_str().into(), "Cargo.toml: has no certificate; name a file in PEM"),
    ];
    for (key, value, why) in rows {
        let entry = table(&[("url", "https://user:secret@shop.example/".into()), (key, value)]);
        let error = UrlCheck::new(&Params::new().with("urls", vec![entry.clone()])).map(|_| ()).unwrap_err();
        assert!(error.message().starts_with("params: \"urls\": number 1, \""), "{key}: {}", error.message());
        check(&Params::new().with("urls", vec![entry]), why);
    }
    check(&Params::new().with("urls", vec![table(&[("name", "x".into())])]), "number 1, \"x\": has no \"url\"");
    let both = table(&[("url", "https://x/".into()), ("ca", "x".into()), ("insecure", true.into())]);
    check(&Params::new().with("urls", vec![both]), "\"ca\" and \"insecure\" exclude each other");
    let head = table(&[("url", "http://x/".into()), ("method", "HEAD".into()), ("contains", "x".into())]);
    check(&Params::new().with("urls", vec![head]), "\"contains\" needs a body");
    for (name, value, why) in [
        ("timeout", Value::from("1ms"), "params: \"timeout\": must be 10ms to 8s, not 1ms"),
        ("parallel", 0.into(), "params: \"parallel\" must be 1 to 64, not 0"),
        ("parallel", 65.into(), "params: \"parallel\" must be 1 to 64, not 65"),
    ] {
        check(&Params::new().with("urls", "http://127.0.0.1/").with(name, value), why);
    }
}

#[test]
fn a_name_that_is_left_out_shows_no_password() {
    // Named as another that has none: so it is the URL without it.
    let urls = vec![Value::from("http://user:secret@127.0.0.1/"), "http://127.0.0.1/".into()];
    check(&Params::new().with("urls", urls), "\"http://127.0.0.1/\" is there twice");
    UrlCheck::new(&Params::new().with("urls", "http://127.0.0.1/")).expect("one URL is a list of one");
}
