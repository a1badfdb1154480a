//! The description says what the server does: its paths are those of the table of all URLs, and the other way round.

use crate::http::openapi::description;
use crate::http::route::KNOWN;
use crate::http::testing::{Reply, Server};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Methods that a path could take.
const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// Where a response of the description, or what it is made of, comes from.
const REF: &str = "$ref";

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// What a value is, which may be a reference.
fn resolved<'v>(whole: &'v Value, value: &'v Value) -> &'v Value {
    match value[REF].as_str() {
        Some(to) => whole.pointer(to.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// A path of the description as URLs, with each value that a parameter can have, or its example.
fn urls(whole: &Value, path: &str, item: &Value) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (name, after) = rest.split_once('}').unwrap();
    let operations = METHODS.iter().filter_map(|method| item.get(method));
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let parameter =
        parameters.map(|parameter| resolved(whole, parameter)).find(|parameter| parameter["name"] == name).unwrap();
    let values = match parameter["schema"]["enum"].as_array() {
        Some(values) => values.clone(),
        None => vec![parameter["example"].clone()],
    };
    let values = values.iter().map(|value| format!("{before}{}{after}", value.as_str().unwrap()));
    values.flat_map(|path| urls(whole, &path, item)).collect()
}

/// What an answer to an unknown path lists, for a path of the description.
fn listed(whole: &Value, path: &str, item: &Value) -> Vec<String> {
    // A name is any; that a path follows is said by the slash at the end.
    let named = path.replace("{name}", "NAME").replace("{a}", "A").replace("{b}", "B");
    urls(whole, named.split("{path}").next().unwrap(), item)
}

/// The literals that are URLs, where paths are told from each other.
fn routed() -> BTreeSet<String> {
    let of = |source: &'static str, begin: &str, end: &str| {
        let source = &source[source.find(begin).unwrap()..];
        let source = &source[..source.find(end).unwrap()];
        source.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')).map(str::to_owned)
    };
    let table = of(include_str!("../route.rs"), "async fn route(", "\n}\n");
    let pages = of(include_str!("../assets.rs"), "fn at(", "\n    }\n");
    table.chain(pages).collect()
}

#[test]
fn what_is_routed_is_described_and_what_is_described_is_routed() {
    let whole = description();
    let paths = members(&whole["paths"]);
    let described: BTreeSet<String> = paths.iter().flat_map(|(path, item)| listed(&whole, path, item)).collect();
    let known: BTreeSet<String> = KNOWN.iter().map(|&path| path.to_owned()).collect();
    // What pages are made of is not listed to who asks for something else.
    let parts = ["/page.css", "/page.js"].map(str::to_owned).into();
    assert_eq!(described.difference(&parts).cloned().collect::<BTreeSet<_>>(), known);

    let routed = routed();
    assert!(routed.len() > 10, "{routed:?}");
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    let described_bare: BTreeSet<String> = described.iter().map(|path| bare(path)).collect();
    for path in &routed {
        let prefix = described.iter().any(|described| described.starts_with(&format!("{}/", bare(path))));
        assert!(described_bare.contains(&bare(path)) || prefix, "{path} is routed, and not described");
    }
}

#[tokio::test]
async fn each_path_takes_the_methods_that_are_described_and_no_other() {
    let server = Server::with_core().await;
    let whole = description();
    for (path, item) in members(&whole["paths"]) {
        for url in urls(&whole, path, item) {
            let mut takes: Vec<&str> = METHODS.iter().copied().filter(|method| item.get(method).is_some()).collect();
            for method in METHODS {
                let target = if path == "/pull/" { format!("{url}?key-a&wait=1ms") } else { url.clone() };
                let reply: Reply = server.ask(&method.to_ascii_uppercase(), &target, "", b"").await;
                assert!(!reply.body.contains("; there are /, "), "{method} {url} is not routed: {}", reply.body);
                assert_eq!(reply.status == 405, !takes.contains(&method), "{method} {url}: {}", reply.body);
                if reply.status == 405 {
                    if takes.first() == Some(&"get") && !takes.contains(&"head") {
                        takes.insert(1, "head");
                    }
                    assert_eq!(reply.header("allow"), Some(takes.join(", ").as_str()), "{method} {url}");
                } else {
                    let described = &item[method]["responses"][reply.status.to_string()];
                    assert!(!described.is_null(), "{method} {url}: {} is not described", reply.status);
                }
            }
        }
    }
}

/// Calls `each` with each reference in a value.
fn each_reference<'v>(value: &'v Value, each: &mut impl FnMut(&'v str)) {
    match value {
        Value::Object(members) => {
            if let Some(to) = members.get(REF).and_then(Value::as_str) {
                each(to);
            }
            members.values().for_each(|value| each_reference(value, each));
        }
        Value::Array(items) => items.iter().for_each(|value| each_reference(value, each)),
        _ => {}
    }
}

#[test]
fn what_it_refers_to_is_there_and_what_is_there_is_referred_to() {
    let whole = description();
    let mut used = BTreeSet::new();
    each_reference(&whole, &mut |to| {
        let pointer = to.strip_prefix('#').unwrap();
        assert!(whole.pointer(pointer).is_some(), "{to} is not there");
        used.insert(pointer);
    });
    for (kind, components) in members(&whole["components"]).iter().filter(|(kind, _)| *kind != "securitySchemes") {
        for name in members(components).keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(pointer.as_str()), "{pointer} is of no use");
        }
    }
    let mut names = BTreeSet::new();
    for (path, item) in members(&whole["paths"]) {
        for (method, operation) in members(item) {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path}: its name is another's");
            assert!(operation["summary"].is_string() && !operation["tags"][0].is_null(), "{method} {path}");
            for (status, response) in members(&operation["responses"]) {
                let said = response["description"].is_string() || response[REF].is_string();
                assert!(said, "{method} {path}: {status}");
            }
        }
    }
}

/// The golden file is what the end-to-end tests compare the daemon's answer with; `GRAFTD_GOLDEN=write` writes it anew.
#[test]
fn the_golden_file_is_what_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/openapi.json");
    let mut body = description();
    body["info"]["version"] = "<text>".into();
    let golden = serde_json::json!({
        "request": { "method": "GET", "path": "/openapi.json" },
        "answer": {
            "status": 200,
            "headers": { "content-type": "application/json", "x-content-type-options": "nosniff" },
            "body": body,
        },
    });
    let text = format!("{golden:#}\n");
    if std::env::var_os("GRAFTD_GOLDEN").is_some_and(|wanted| wanted == "write") {
        fs::write(&file, &text).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "the description has changed: look at the change, then GRAFTD_GOLDEN=write writes {file:?}");
}
