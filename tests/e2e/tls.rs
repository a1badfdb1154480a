//! TLS: certificates that are made, shown, believed and renewed; by HTTP and by TCP.

use graftd_tests::{Daemon, Folders, PATIENCE, Ran, graftd};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A daemon with a certificate for `web.example` and this host, and the folder that it lies in.
fn daemon(more: &str) -> (Daemon, PathBuf) {
    let folders = Arc::new(Folders::new());
    let tls = folders.root().join("tls");
    made(&tls, "web.example").good();
    let (cert, key) = (tls.join("cert.pem"), tls.join("key.pem"));
    let settings = format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n{more}");
    (Daemon::builder().folders(&folders).settings(&settings).start(), tls)
}

fn made(tls: &std::path::Path, name: &str) -> Ran {
    graftd(["tls", "self-signed", "--name", name, "--out", &tls.display().to_string()])
}

/// Asks it by TLS, believing the authority in that folder.
fn ask(daemon: &Daemon, ca: &std::path::Path, args: &[&str]) -> Ran {
    let url = format!("https://{}", daemon.http());
    let ca = ca.display().to_string();
    graftd(args.iter().copied().chain(["--url", &url, "--ca", &ca]))
}

#[test]
fn what_is_made_says_what_comes_next_and_is_nobody_elses() {
    let folders = Folders::new();
    let tls = folders.root().join("tls");
    let said = made(&tls, "web.example").good().stdout;
    for word in ["[tls]", "cert.pem", "key.pem", "web.example", "localhost", "--ca ca.pem", "ca-key.pem"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    for file in ["ca.pem", "ca-key.pem", "cert.pem", "key.pem"] {
        assert_eq!(fs::metadata(tls.join(file)).expect(file).permissions().mode() & 0o777, 0o600, "{file}");
    }
    let before = (fs::read(tls.join("ca.pem")).expect("one"), fs::read(tls.join("cert.pem")).expect("one"));
    assert!(made(&tls, "web.example").good().stdout.contains("by the authority that was there"));
    let after = (fs::read(tls.join("ca.pem")).expect("one"), fs::read(tls.join("cert.pem")).expect("one"));
    assert!(before.0 == after.0 && before.1 != after.1);
    let out = tls.display().to_string();
    let again = |names: &[&str]| {
        let names = names.iter().flat_map(|name| ["--name", name]);
        graftd(["tls", "self-signed", "--out", &out].into_iter().chain(names)).good().stdout
    };
    // The names that it has stay, unless others are said.
    let said = again(&["b.example", "192.0.2.7"]);
    assert!(said.contains("no longer for: web.example\n") && said.contains("192.0.2.7"), "{said}");
    let said = again(&[]);
    assert!(
        said.contains("for b.example, 192.0.2.7, localhost, 127.0.0.1, ::1") && !said.contains("no longer"),
        "{said}"
    );
    fs::write(tls.join("cert.pem"), "x").expect("written");
    graftd(["tls", "self-signed", "--out", &out]).failed(1, &["cert.pem", "--name HOST"]);
    assert!(!again(&["web.example"]).contains("no longer"));
    fs::remove_file(tls.join("ca-key.pem")).expect("removed");
    made(&tls, "web.example").failed(1, &["ca-key.pem", "another folder"]);
}

#[test]
fn it_is_asked_by_https() {
    let (daemon, tls) = daemon("");
    let ca = tls.join("ca.pem");
    assert_eq!(ask(&daemon, &ca, &["push", "{\"n\":{\"a\":2}}"]).good().stdout, "merged 1\n");
    assert_eq!(ask(&daemon, &ca, &["get", "n,a"]).good().stdout.split_whitespace().last(), Some("2"));
    ask(&daemon, &ca, &["modules"]).good();
    // More than a socket holds, and a connection that goes on.
    let many =
        format!("[{}]", (0..50_000).map(|n| format!("{{\"m\":{{\"key-{n}\":1}}}}")).collect::<Vec<_>>().join(","));
    let file = daemon.folders().write("many.json", &many);
    assert_eq!(ask(&daemon, &ca, &["push", &file]).good().stdout, "merged 50000\n");
    let got = ask(&daemon, &ca, &["get", "m", "--json"]).good().json();
    assert_eq!(got[0]["m"].as_object().map(serde_json::Map::len), Some(50_000));
    // From this host it answers without, too: nobody hears that. Its log has them both.
    assert_eq!(daemon.value("n,a"), 2);
    // Who has other authorities believes nobody.
    let other = tls.with_file_name("other");
    made(&other, "web.example").good();
    let unknown = format!("by an authority that {} does not have", other.join("ca.pem").display());
    ask(&daemon, &other.join("ca.pem"), &["get", "n"]).failed(1, &[&unknown]);
    ask(&daemon, &other.join("ca.pem"), &["push", "{\"n\":1}"]).failed(1, &[&unknown]);
    for args in [&["get", "n"][..], &["watch", "n"], &["push", "{\"n\":1}"], &["modules"], &["trend", "n"]] {
        let plain = format!("http://{}", daemon.http());
        for flag in ["--ca", "--cert"] {
            let file = ca.display().to_string();
            let more = if flag == "--cert" { vec!["--key", &file] } else { vec![] };
            let args = args.iter().copied().chain(["--url", &plain, flag, &file]).chain(more);
            graftd(args).failed(2, &[&format!("{flag} is for https:// and tls://")]);
        }
    }
    let url = format!("https://{}", daemon.http());
    graftd(["get", "n", "--url", &url]).failed(1, &["--ca"]);
    graftd(["get", "n", "--url", &url, "--ca", "/nowhere"]).failed(2, &["/nowhere"]);
}

#[test]
fn changes_are_waited_for_by_https() {
    let (daemon, tls) = daemon("");
    let url = format!("https://{}", daemon.http());
    let ca = tls.join("ca.pem").display().to_string();
    daemon.push(&json!({"n": 1}));
    let mut watch = std::process::Command::new(graftd_tests::binary())
        .args(["watch", "n", "--json", "--url", &url, "--ca", &ca])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("watches");
    let lines = graftd_tests::Lines::of(watch.stdout.take().expect("piped"));
    let mut found = Vec::new();
    for n in 0..3 {
        let line = lines.next_within(PATIENCE).expect("a line");
        found.push(line);
        daemon.push(&json!({"n": n}));
    }
    assert_eq!(found.len(), 3, "{found:?}");
    watch.kill().expect("ended");
    watch.wait().expect("ended");
    assert!(found.iter().all(|line| line.contains("\"n\"")), "{found:?}");
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let (daemon, tls) = daemon("");
    let ca = tls.join("ca.pem");
    let shown = || {
        let url = format!("https://localhost:{}", daemon.http().port());
        graftd(["get", "", "--depth", "1", "--url", &url, "--ca", &ca.display().to_string()])
    };
    shown().good();
    // One that is not for this name.
    let (cert, key) = (tls.join("cert.pem"), tls.join("key.pem"));
    let other = tls.with_file_name("other");
    made(&other, "a.example").good();
    fs::rename(other.join("key.pem"), &key).expect("renewed");
    fs::rename(other.join("cert.pem"), &cert).expect("renewed");
    let until = Instant::now() + PATIENCE;
    while shown().stderr.is_empty() {
        assert!(Instant::now() < until, "it still shows the old one: {}", daemon.stderr());
    }
    // What is broken is not taken up.
    fs::write(&cert, "nonsense").expect("written");
    let until = Instant::now() + PATIENCE;
    while !daemon.stderr().contains("the certificate before goes on") {
        assert!(Instant::now() < until, "{}", daemon.stderr());
        std::thread::yield_now();
    }
    ask(&daemon, &other.join("ca.pem"), &["get", "", "--depth", "1"]).good();
}

#[test]
fn documents_are_pushed_by_tcp_with_tls_and_without() {
    let (daemon, tls) = daemon("");
    let ca = tls.join("ca.pem").display().to_string();
    let file = daemon.folders().write("lines", "{\"n\":1}\n".repeat(20_000));
    let push = |to: &str| match to.starts_with("tls://") {
        true => graftd(["push", "--to", to, &file, "--ca", &ca]),
        false => graftd(["push", "--to", to, &file]),
    };
    let (secure, plain) = (format!("tls://{}", daemon.push_address()), daemon.push_address().to_string());
    assert_eq!(push(&secure).good().stdout, "sent 20000 documents\n");
    daemon.await_value("n", 20_000);
    assert_eq!(push(&plain).good().stdout, "sent 20000 documents\n");
    daemon.await_value("n", 40_000);
    let other = tls.with_file_name("other");
    made(&other, "web.example").good();
    let other = other.join("ca.pem").display().to_string();
    let unknown = format!("its certificate is by an authority that {other} does not have");
    graftd(["push", "--to", &secure, &file, "--ca", &other]).failed(1, &[&unknown]);
    // Nobody is to think that an authority is asked for where none is.
    graftd(["push", "--to", &plain, &file, "--ca", &ca]).failed(2, &["--ca is for https:// and tls://"]);
}

#[test]
fn a_client_may_have_to_show_a_certificate() {
    let folders = Folders::new();
    let clients = folders.root().join("clients");
    made(&clients, "agent.example").good();
    let (daemon, tls) = daemon(&format!("client_ca = {:?}", clients.join("ca.pem")));
    let ca = tls.join("ca.pem");
    let (cert, key) = (clients.join("cert.pem").display().to_string(), clients.join("key.pem").display().to_string());
    ask(&daemon, &ca, &["get", "", "--depth", "1"]).failed(1, &["does not answer"]);
    ask(&daemon, &ca, &["get", "", "--depth", "1", "--cert", &cert, "--key", &key]).good();
    let to = format!("tls://{}", daemon.push_address());
    let ca = ca.display().to_string();
    graftd(["push", "--to", &to, "{\"n\":1}", "--ca", &ca, "--cert", &cert, "--key", &key]).good();
    assert_eq!(daemon.value("n"), 1);
}

#[test]
fn handshakes_that_are_none_disturb_nobody() {
    let (daemon, tls) = daemon("");
    let hello = [0x16, 3, 1, 0x40, 0];
    let half: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream =
                TcpStream::connect(if n % 2 == 0 { daemon.http() } else { daemon.push_address() }).expect("one");
            stream.write_all(&hello[..n % 5 + 1]).expect("sent");
            stream
        })
        .collect();
    for address in [daemon.http(), daemon.push_address()] {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.write_all(&[&hello[..], &[0xff; 1_000]].concat()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("told");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        // An alert (RFC 8446, 6), if anything.
        assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
    }
    ask(&daemon, &tls.join("ca.pem"), &["push", "{\"n\":1}"]).good();
    daemon.await_value(&format!("graftd,{},tls,refused", graftd_tests::HOST), 2);
    drop(half);
}

#[test]
fn what_is_wrong_is_said_at_the_start() {
    let folders = Folders::new();
    let tls = folders.root().join("tls");
    made(&tls, "x").good();
    let data = folders.root().join("data").display().to_string();
    let args: Vec<String> = ["run", "--data", &data, "--http", "127.0.0.1:0", "--push", "127.0.0.1:0"]
        .into_iter()
        .map(str::to_owned)
        .chain(folders.args())
        .collect();
    let (cert, key) = (tls.join("cert.pem"), tls.join("key.pem"));
    let check = |settings: String, words: &[&str]| {
        folders.write_conf("graftd.conf", &settings);
        graftd(args.iter().map(String::as_str)).failed(2, words);
    };
    check(format!("[tls]\ncert = {cert:?}"), &["graftd.conf:2", "key", "graftd tls self-signed"]);
    check(format!("[tls]\ncert = {cert:?}\nkey = {key:?}\nca = \"x\""), &["graftd.conf:4", "client_ca"]);
    check(format!("[tls]\ncert = {key:?}\nkey = {key:?}"), &["no certificate"]);
    check(format!("[tls]\ncert = {cert:?}\nkey = \"/nowhere\""), &["/nowhere"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).expect("changed");
    check(format!("[tls]\ncert = {cert:?}\nkey = {key:?}"), &["key.pem", "chmod o="]);
}
