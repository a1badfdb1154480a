//! Who is let in: tokens for everything, for reading, for writing; from files and from the environment; said by browsers.

use graftd_tests::{Answer, Daemon, Folders, HOST, PATIENCE, binary, graftd};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const READ: &str = "reads-and-nothing-else";
const WRITE: &str = "writes-and-nothing-else";
const ALL: &str = "correct-horse-battery-staple";

/// A daemon that has a token for each thing.
fn daemon() -> (Daemon, Arc<Folders>) {
    let folders = Arc::new(Folders::new());
    let (all, read, write) = (folders.write("all", ALL), folders.write("r", READ), folders.write("w", WRITE));
    let settings = format!("token_file = {all:?}\nread_token_file = {read:?}\nwrite_token_file = {write:?}");
    (Daemon::builder().folders(&folders).settings(&settings).start(), folders)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// An answer by the token for everything.
#[track_caller]
fn ask(daemon: &Daemon, path: &str) -> Answer {
    daemon.request("GET", path, &[("Authorization", &bearer(ALL))], b"").good()
}

#[track_caller]
fn value(daemon: &Daemon, path: &str) -> Value {
    ask(daemon, &format!("/get/?key-{path}&as=value")).json()[0][path].clone()
}

/// Waits until a value is this.
#[track_caller]
fn becomes(daemon: &Daemon, path: &str, wanted: i64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = ask(daemon, &format!("/get/?key-{path}&as=value"));
        let found = &answer.json()[0][path];
        if *found == wanted {
            return;
        }
        assert!(Instant::now() < until, "{path} is {found}, not {wanted}");
        ask(daemon, &format!("/pull/?key-{path}&since={}&wait=5s", answer.tick()));
    }
}

#[test]
fn each_token_does_what_it_is_for() {
    let (daemon, _) = daemon();
    for (token, reads, writes) in
        [(ALL, 200, 200), (READ, 200, 403), (WRITE, 403, 200), ("somebody-elses-token", 401, 401)]
    {
        let bearer = bearer(token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        for path in ["/get/?key-n", "/", "/metrics", "/modules", "/trend/?key-n&from=-1m"] {
            let answer = daemon.request("GET", path, &headers, b"");
            assert_eq!(answer.status, reads, "{token} {path}: {answer:?}");
        }
        let answer = daemon.request("POST", "/push", &headers, b"{\"n\":1}");
        assert_eq!(answer.status, writes, "{token}: {answer:?}");
        assert!(!answer.body.contains(token), "{answer:?}");
        let switched = daemon.request("POST", "/modules/none/off", &headers, b"").status;
        assert_eq!(switched, if writes == 200 { 404 } else { writes }, "{token}");
    }
    assert_eq!(value(&daemon, "n"), 2);
}

#[test]
fn the_command_line_says_what_a_token_may_not_and_where_a_wrong_one_is_from() {
    let (daemon, folders) = daemon();
    folders.copy_plugins(&["status"]);
    let (write, read) = (folders.write("w", WRITE), folders.write("r", READ));
    let wrong = folders.write("wrong", "somebody-elses-token");
    let until = Instant::now() + PATIENCE;
    let runs = || {
        let headers = [("Authorization", &*bearer(ALL)), ("Accept", "application/json")];
        let modules = daemon.request("GET", "/modules", &headers, b"").good().json();
        modules.as_array().expect("a list").iter().any(|module| module["state"] == "running")
    };
    while !runs() {
        assert!(Instant::now() < until, "it does not run");
    }
    // What the answer says is all that may be known.
    let switch = |to: &str| {
        let said = daemon.cli(&["modules", to, "status", "--token-file", &write]).good();
        let known =
            said.stdout.starts_with("status ") || said.stdout == "switched; this token cannot read how it went\n";
        assert!(known && said.stderr.is_empty(), "{to}: {said:?}");
        said.stdout
    };
    for to in ["off", "on", "reload"] {
        switch(to);
    }
    // The reload may still be on its way, and then the answer cannot tell the end of it.
    let until = Instant::now() + PATIENCE;
    while !switch("off").starts_with("status           off") {
        assert!(Instant::now() < until, "it is never told to be off");
    }
    daemon.cli(&["modules", "on", "status", "--token-file", &read]).failed(1, &["this token reads"]);
    let tcp = daemon.push_address().to_string();
    for args in [
        &["get", "n"][..],
        &["push", "{\"n\":1}"],
        &["push", "--to", &tcp, "{\"n\":1}"],
        &["modules", "off", "status"],
        &["trend", "n"],
    ] {
        daemon.cli(args).failed(1, &["this daemon asks for its token; name it: --token-file FILE, or GRAFTD_TOKEN"]);
        let said = format!("that is no token of this daemon: --token-file {wrong}");
        daemon.cli(&[args, &["--token-file", &wrong]].concat()).failed(1, &[&said]);
    }
    let web = daemon.http().to_string();
    let said = daemon.cli(&["push", "--to", &web, "--token-file", &write, "{\"n\":1}"]);
    said.failed(1, &["that speaks HTTP: use --url"]);
}

#[test]
fn by_tcp_and_udp_it_is_the_token_for_writing() {
    let (daemon, _) = daemon();
    let say = |lines: &str| {
        let mut stream = TcpStream::connect(daemon.push_address()).expect("connected");
        stream.write_all(lines.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("told");
        BufReader::new(stream).lines().map_while(Result::ok).collect::<Vec<String>>()
    };
    for token in [ALL, WRITE] {
        assert_eq!(say(&format!("{{\"token\":\"{token}\"}}\n{{\"n\":1}}\n")), [""; 0], "{token}");
    }
    for (token, want) in [(READ, "write_token_file"), ("somebody-elses-token", "the first line must be")] {
        let said = say(&format!("{{\"token\":\"{token}\"}}\n{{\"n\":100}}\n{{\"n\":100}}\n"));
        // Once, and then it is over.
        assert!(said.len() == 1 && said[0].contains(want), "{said:?}");
    }
    assert_eq!(value(&daemon, "n"), 2);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for (token, n) in [(READ, 100), ("somebody-elses-token", 100), (WRITE, 1)] {
        socket.send_to(format!("{{\"token\":\"{token}\",\"n\":{n}}}").as_bytes(), daemon.push_address()).expect("sent");
    }
    becomes(&daemon, "n", 3);
    // Two connections and two datagrams.
    becomes(&daemon, &format!("graftd,{HOST},push,refused"), 4);
}

#[test]
fn a_browser_is_asked_once() {
    let (daemon, _) = daemon();
    let page = ("Accept", "text/html,application/xhtml+xml");
    let asked = daemon.request("GET", "/modules?x", &[page], b"");
    asked.refused(401, &["<form", "action=\"/login\"", "value=\"/modules?x\"", "type=\"password\""]);
    assert!(daemon.request("GET", "/page.css", &[page], b"").good().body.contains(".login"));
    let host = daemon.http().to_string();
    let origin = format!("http://{host}");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let log_in = |body: String| daemon.request("POST", "/login", &[page, form, ("Origin", &origin)], body.as_bytes());
    log_in("token=somebody-elses-token&to=%2Fmodules".to_owned()).refused(401, &["not a token", "<form"]);
    let answer = log_in(format!("token={READ}&to=%2Fmodules%3Fx"));
    assert_eq!((answer.status, answer.header("location")), (303, "/modules?x"), "{answer:?}");
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    assert!(!cookie.contains(READ) && answer.header("set-cookie").contains("HttpOnly; SameSite=Strict"), "{answer:?}");
    let with = ("Cookie", cookie.as_str());
    daemon.request("GET", "/modules", &[page, with], b"").good();
    daemon.request("GET", "/get/?key-n", &[with], b"").good();
    // It has the rights of the token that was said.
    let push = |cookie: &str, origin: &str| {
        let headers = [("Cookie", cookie), ("Origin", origin), ("Content-Type", "application/json")];
        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        daemon.request("POST", "/push", &headers, b"{\"n\":1}").status
    };
    assert_eq!(push(&cookie, &origin), 403);
    let answer = log_in(format!("token={ALL}&to=//evil.example/"));
    assert_eq!(answer.header("location"), "/", "{answer:?}");
    let all = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    // Another port's page of this host has the cookie sent along too.
    for (origin, status) in [(origin.as_str(), 200), ("http://127.0.0.1:1", 403), ("", 403)] {
        assert_eq!(push(&all, origin), status, "{origin}");
    }
    assert_eq!(push("graftd-1=0", &origin), 401);
    assert_eq!(value(&daemon, "n"), 1);
}

#[test]
fn only_writing_may_ask_for_one() {
    let folders = Folders::new();
    let file = folders.write("w", WRITE);
    let daemon = Daemon::builder().settings(&format!("write_token_file = {file:?}")).start();
    daemon.post("/push", "application/json", b"{\"n\":1}").refused(401, &["token"]);
    assert_eq!(daemon.get("/get/?key-n").good().json(), json!([{"n": null}]));
    daemon.cli(&["push", "--token-file", &file, "{\"n\":1}"]).good();
    assert_eq!(daemon.value("n"), 1);
}

#[test]
fn the_environment_says_it_too_and_what_is_wrong_is_refused_at_the_start() {
    let folders = Folders::new();
    let data = folders.root().join("data").display().to_string();
    let (short, spaced) = (folders.write("short", "short"), folders.write("spaced", "a token with some spaces"));
    let (one, other) = (folders.write("one", READ), folders.write("other", READ));
    let mut args: Vec<String> =
        ["run", "--data", &data, "--http", "127.0.0.1:0", "--push", "127.0.0.1:0"].map(str::to_owned).into();
    args.extend(folders.args());
    for (settings, words) in [
        (format!("token_file = {short:?}"), ["token_file", "at least 16"]),
        ("token_file = \"missing\"".to_owned(), ["token_file", "conf/missing: cannot be read"]),
        (format!("read_token_file = {spaced:?}"), ["read_token_file", "without spaces"]),
        (format!("read_token_file = {one:?}"), ["read_token_file", "write_token_file"]),
        (format!("read_token_file = {one:?}\nwrite_token_file = {other:?}"), ["the same token", "token_file"]),
        ("write_token_file = \"/nowhere\"".to_owned(), ["write_token_file", "/nowhere"]),
    ] {
        folders.write_conf("graftd.conf", &settings);
        graftd(args.iter().map(String::as_str)).failed(2, &words);
    }
    folders.write_conf("graftd.conf", &format!("write_token_file = {one:?}"));
    let outside = args.iter().map(|arg| if arg == "127.0.0.1:0" { "0.0.0.0:0" } else { arg.as_str() });
    graftd(outside).failed(2, &["http = 0.0.0.0:0", "read_token_file"]);
    // It lies beside the file that names it; one in the current folder is told of.
    let here = folders.write("here", READ);
    folders.write_conf("graftd.conf", "token_file = \"here\"");
    let missing = Command::new(binary()).args(&args).current_dir(folders.root()).output().expect("run");
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    let (file, hint) = (folders.conf("here").display().to_string(), format!("; {here} is there, but"));
    assert!(missing.status.code() == Some(2) && said.contains(&file) && said.contains(&hint), "{said}");
    folders.write_conf("graftd.conf", &format!("read_token_file = {one:?}"));
    let ran = Command::new(binary()).args(&args).env("GRAFTD_TOKEN", READ).output().expect("run");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let both = format!("$GRAFTD_TOKEN (of the environment) and read_token_file ({one}) say the same token");
    assert!(ran.status.code() == Some(2) && said.contains(&both), "{said}");
    folders.write_conf("graftd.conf", "");
    let ran = Command::new(binary()).args(&args).env("GRAFTD_TOKEN", "short").output().expect("run");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(2) && said.contains("$GRAFTD_TOKEN") && said.contains("at least 16"), "{said}");
}
