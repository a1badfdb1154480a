//! `url-check` against a real nginx, by http and https, and servers that fail.

use super::server::Nginx;
use crate::gmond::free_port;
use graftd_tests::{Daemon, Folders, HOST};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Makes an authority and a certificate for `localhost` that ends with the year 2099, as files in nginx's folder.
pub(crate) fn certificates(folders: &Folders) -> String {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let ca = folders.write("ca.pem", params.self_signed(&key).expect("signed").pem());
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("good");
    params.not_after = date_time_ymd(2099, 12, 31);
    let key = KeyPair::generate().expect("a key");
    fs::create_dir_all(folders.root().join("nginx")).expect("a folder");
    let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
    for (name, text) in [("cert.pem", certificate), ("key.pem", key.serialize_pem())] {
        fs::write(folders.root().join("nginx").join(name), text).expect("written");
    }
    ca
}

fn servers(http: u16, https: u16) -> String {
    format!(
        "server {{\nlisten 127.0.0.1:{http};\nlisten 127.0.0.1:{https} ssl;\n\
         ssl_certificate cert.pem;\nssl_certificate_key key.pem;\n\
         location = / {{ return 200 'Basket of $host'; }}\nlocation = /moved {{ return 301 /; }}\n\
         location / {{ return 404; }}\n}}"
    )
}

/// A server that does something with each connection, for as long as the test runs.
fn serve(answer: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(move || answer(stream)))));
    address
}

fn at(key: &str) -> String {
    format!("url-check,{HOST},{key}")
}

/// Waits until a check came out like this; `why` stands in what is said to be wrong.
#[track_caller]
fn await_check(daemon: &Daemon, name: &str, up: f64, why: &str) -> Value {
    let path = at(name);
    let checked = daemon.await_change(&path, |daemon| {
        let check = daemon.subtree(&path);
        (check["up"].as_f64() == Some(up)).then_some(check)
    });
    let error = checked.found["error"].as_str().unwrap_or("(none)").to_owned();
    assert!(if why.is_empty() { error.is_empty() } else { error.contains(why) }, "{name}: {error}");
    checked.found
}

#[test]
fn urls_of_a_real_nginx_and_of_servers_that_fail_are_told_apart() {
    let folders = Arc::new(Folders::new().plugins(&["url-check"]));
    let (http, https) = (free_port(), free_port());
    let ca = certificates(&folders);
    let Some(mut nginx) = Nginx::start(&folders, http, &servers(http, https)) else { return };
    let silent = serve(|stream| {
        let _ = stream.peek(&mut [0]);
        thread::park();
    });
    let endless = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4_096]).and_then(|_| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    // What was sent and not read makes the end of a connection a reset.
    let resets = serve(|stream| drop(stream.peek(&mut [0])));
    let conf = format!(
        r#"every = "200ms"
        [params]
        urls = [
            {{ name = "plain", url = "http://127.0.0.1:{http}/", contains = "Basket of shop.example", headers = {{ Host = "shop.example" }} }},
            {{ name = "tls", url = "https://localhost:{https}/", ca = "{ca}" }},
            {{ name = "stranger", url = "https://localhost:{https}/" }},
            {{ name = "wrong-host", url = "https://127.0.0.1:{https}/", ca = "{ca}" }},
            {{ name = "missing", url = "http://127.0.0.1:{http}/missing" }},
            {{ name = "moved", url = "http://127.0.0.1:{http}/moved", expect = 301 }},
            {{ name = "followed", url = "http://127.0.0.1:{http}/moved", follow = true, expect = 200 }},
            {{ name = "silent", url = "http://{silent}/", timeout = "100ms" }},
            {{ name = "endless", url = "http://{endless}/" }},
            {{ name = "resets", url = "http://{resets}/" }},
            "http://localhost:{http}/",
        ]
        "#
    );
    folders.write_conf("url-check.on", &conf);
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(100)).start();
    let plain = await_check(&daemon, "plain", 1.0, "");
    assert_eq!((&plain["status"], &plain["bytes"]), (&200.into(), &22.into()), "{plain}");
    assert!(plain["first_byte_ms"].as_f64() <= plain["total_ms"].as_f64() && plain["tls_ms"].is_null(), "{plain}");
    let tls = await_check(&daemon, "tls", 1.0, "");
    assert!(tls["tls_expires_days"].as_f64().is_some_and(|days| (10_000.0..30_000.0).contains(&days)), "{tls}");
    let stranger = await_check(&daemon, "stranger", 0.0, "UnknownIssuer");
    assert!(stranger["status"].is_null() && stranger["tls_expires_days"].is_number(), "{stranger}");
    await_check(&daemon, "wrong-host", 0.0, "not valid for name");
    let missing = await_check(&daemon, "missing", 0.0, "status 404, not 2xx or 3xx");
    assert_eq!(missing["status"], 404);
    assert_eq!(await_check(&daemon, "moved", 1.0, "")["status"], 301);
    assert_eq!(await_check(&daemon, "followed", 1.0, "")["status"], 200);
    await_check(&daemon, "silent", 0.0, "out of time waiting for an answer");
    assert_eq!(await_check(&daemon, "endless", 1.0, "")["bytes"], 1_048_576);
    await_check(&daemon, "resets", 0.0, "connection reset");
    await_check(&daemon, &format!("http://localhost:{http}/"), 1.0, "");
    let meta = daemon.get(&format!("/api/q/url-check,{HOST},tls.json?meta=1")).good().json()["meta"].clone();
    assert_eq!((&meta["total_ms"]["units"], &meta["tls_expires_days"]["units"]), (&"ms".into(), &"days".into()));

    // Down and up again, without anybody's doing.
    nginx.end();
    await_check(&daemon, "plain", 0.0, "connection refused");
    let gone = |daemon: &Daemon| daemon.subtree(&at("plain"))["status"].is_null().then_some(());
    daemon.await_change(&at("plain"), gone);
    let failures = daemon.await_number(&at("plain,failures"));
    assert!(failures >= 1.0 && daemon.await_number(&at("plain,checks")) > failures);
    nginx.begin();
    assert_eq!(await_check(&daemon, "plain", 1.0, "")["status"], 200);
    let module = daemon.module("url-check");
    assert_eq!((&module["state"], &module["why"]), (&"running".into(), &"".into()), "{module}");

    // What cannot be asked is named, and what ran goes on.
    folders.write_conf("url-check.on", "[params]\nurls = [\"http://127.0.0.1/\", \"shop.example\"]\n");
    let rejected = daemon.await_state("url-check", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains("number 2, \"shop.example\": has no scheme"), "{rejected}");
    assert_eq!(rejected["runs"], true, "{rejected}");
}
