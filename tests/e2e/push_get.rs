//! What is pushed is what is got, whichever way it came; and what is wrong disturbs nothing.

use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::{Answer, Daemon, PATIENCE, encode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::Arc;

/// The documents that the tree's design began with.
const ORIGIN: &str = r#"[{"cpu":{"10.3.1.12":{"idle":32,"system":29,"user":900,"marker":"something wrong happened"}},"defaultaction":"average"},{"br":{"ie":[{"6":3},{"7":[8,{"venders":{"sogou":2}}]},{"7":{"venders":{"sogou":1}}}],"webkit":[{"14.0":40},{"13.0":20}]},"defaultaction":"add"}]"#;

const LINES: &str = concat!(
    "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a?x HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\" 0.25 -\n",
    "2001:db8::1 - - [01/May/2025:00:00:01 +0000] \"GET /b HTTP/1.1\" 404 20 \"-\" \"curl/8.5.0\" 0.25 -\n",
);

#[track_caller]
fn merged(answer: &Answer, count: u64) {
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"merged": count, "rejected": 0, "errors": []})),
        "{answer:?}"
    );
}

#[test]
fn the_documents_of_the_origin() {
    let daemon = Daemon::builder().start();
    merged(&daemon.post("/push", "application/json", ORIGIN.as_bytes()), 10);
    let got = |query: &str| daemon.get(&format!("/get/?{query}")).good().json();
    assert_eq!(got("key-br,webkit&as=value"), json!([{"br,webkit": 60}]));
    assert_eq!(got("key-br,ie,,venders,sogou"), json!([{"br,ie,,venders,sogou": 3}]));
    assert_eq!(got("key-br,ie,7&as=value"), json!([{"br,ie,7": 8}]));
    // A node with children answers with its subtree, its own value beside them.
    assert_eq!(got("key-br,ie,7"), json!([{"br,ie,7": {"": 8, "venders": {"sogou": 3}}}]));
    assert_eq!(got("key-br,ie&as=value"), json!([{"br,ie": 11}]));
    assert_eq!(got("key-cpu,,idle"), json!([{"cpu,,idle": 32}]));
    daemon.push(&json!({"cpu": {"10.3.1.13": {"idle": 10}}, "defaultaction": "average"}));
    assert_eq!(got("key-cpu,,idle"), json!([{"cpu,,idle": 21}]));
    // A merge over time replaces a gauge, and adds to a counter.
    merged(&daemon.post("/push", "application/json", ORIGIN.as_bytes()), 10);
    assert_eq!(got("key-cpu,,idle&key-br,webkit,13.0&as=value"), json!([{"cpu,,idle": 21}, {"br,webkit,13.0": 40}]));
    assert_eq!(got("key-cpu,10.3.1.12,marker"), json!([{"cpu,10.3.1.12,marker": "something wrong happened"}]));
    // `*` lists, an empty key folds; several keys are answered in their order; `key=` means the same as `key-`.
    assert_eq!(got("key-cpu,*,idle"), json!([{"cpu,10.3.1.12,idle": 32, "cpu,10.3.1.13,idle": 10}]));
    assert_eq!(got("key=br,ie,6&key-br,webkit,14.0"), json!([{"br,ie,6": 6}, {"br,webkit,14.0": 80}]));
    assert_eq!(got("key-br&depth=1"), json!([{"br": {"ie": 22, "webkit": 120}}]));
    assert_eq!(daemon.get("/api/q/br,webkit").good().json(), json!({"14.0": 80, "13.0": 40}));
}

#[test]
fn keys_are_any_text() {
    let daemon = Daemon::builder().start();
    daemon.push(&json!({"k": {"a,b": 1, "*": 2, "50%": 3, "é ü+&=/?#": 4, "\u{1}\n": 5}}));
    for (path, value) in [("k,a%2Cb", 1), ("k,%2A", 2), ("k,50%25", 3), ("k,é ü+&=/?#", 4), ("k,%01%0A", 5)] {
        // In a query, and as the rest of a URL.
        assert_eq!(daemon.value(path), json!(value), "{path}");
        assert_eq!(daemon.get(&format!("/api/q/{}", encode(path))).good().json(), json!(value), "{path}");
    }
    assert_eq!(daemon.subtree("k,*").as_i64(), None, "a * lists, it is no key");
    assert_eq!(daemon.value("k,"), json!(15), "an empty key folds");
}

#[test]
fn every_form_of_a_push() {
    let daemon = Daemon::builder().plugins(&["status", "url"]).start();
    daemon.await_state("status", "running");
    daemon.await_state("url", "running");
    let document = r#"{"n":{"x":1,"y":2}}"#;
    let field = |name: &str, text: &str| format!("{name}={}", encode(text).replace(',', "%2C"));
    let multipart = |name: &str, text: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n--edge--\r\n")
    };
    let form = "application/x-www-form-urlencoded";
    let parts = "multipart/form-data; boundary=edge";
    for (kind, body) in [
        (form, field("json", document)),
        ("application/x-www-form-urlencoded; charset=UTF-8", field("json", document)),
        (parts, multipart("json", document)),
        ("application/json", document.to_owned()),
        ("application/json; charset=utf-8", document.to_owned()),
    ] {
        merged(&daemon.post("/push", kind, body.as_bytes()), 2);
    }
    assert_eq!(daemon.subtree("n"), json!({"x": 5, "y": 10}));
    for (kind, body) in
        [(form, field("accesslog", LINES)), (parts, multipart("accesslog", LINES)), ("text/plain", LINES.into())]
    {
        merged(&daemon.post("/push", kind, body.as_bytes()), 2);
    }
    // 200 means merged: nothing is waited for.
    assert_eq!(daemon.subtree("status"), json!({"200": 3, "404": 3}));
    assert_eq!(daemon.subtree("url"), json!({"/a": 3, "/b": 3}));

    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(document.as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    merged(&daemon.request("POST", "/push", &headers, &packed), 2);
    assert_eq!(daemon.value("n,x"), json!(6));
}

#[test]
fn lines_have_times_or_have_none() {
    let daemon = Daemon::builder().plugins(&["status", "request-time"]).start();
    daemon.await_state("status", "running");
    daemon.await_state("request-time", "running");
    // `combined` is what a log is unless somebody says otherwise; `timed` is the same and two times.
    daemon.push_log(&LINES.replace(" 0.25 -\n", "\n"));
    daemon.push_log(LINES);
    assert_eq!(daemon.subtree("status"), json!({"200": 2, "404": 2}));
    assert_eq!(daemon.subtree("request_time")["2xx"][""]["count"], json!(1));
}

#[test]
fn documents_by_tcp_are_lines() {
    let daemon = Daemon::builder().start();
    let mut stream = TcpStream::connect(daemon.push_address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // Two whole lines, one in two pieces, one that is broken, an empty one, and a last one without its end.
    for piece in ["{\"n\":1}\n{\"n\":2}\n{\"n\"", ":4}\n{\"n\":\n\n[{\"n\":8},{\"m\":{\"k\":NaN}}]\n", "{\"n\":16}"] {
        stream.write_all(piece.as_bytes()).expect("sent");
    }
    stream.shutdown(Shutdown::Write).expect("half closed");
    let answers: Vec<Value> = BufReader::new(&stream)
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
        .collect();
    // The daemon closes when all is merged. Good lines are not answered, bad ones say what is wrong.
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["error"].as_str().is_some_and(|why| !why.is_empty())), "{answers:?}");
    // An array that breaks off has merged what stood whole before it, as over HTTP.
    assert_eq!(daemon.tree(), json!({"n": 31}));
}

#[test]
fn documents_by_udp_are_datagrams() {
    let daemon = Daemon::builder().start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for datagram in ["{\"n\":1}", "no document", "[{\"n\":2},{\"m\":\"text\"}]\n"] {
        socket.send_to(datagram.as_bytes(), daemon.push_address()).expect("sent");
    }
    daemon.await_value("n", 3);
    daemon.await_value("m", "text");
    daemon.await_value("graftd,testhost,push,faults", 1);
}

/// Sends these bytes to the port for pushes by TCP; gives the lines that are answered until the daemon closes.
#[track_caller]
fn by_tcp(daemon: &Daemon, bytes: &[u8]) -> Vec<Value> {
    let mut stream = TcpStream::connect(daemon.push_address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let lines = BufReader::new(&stream).lines();
    lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect()
}

#[test]
fn no_web_page_pushes_by_tcp() {
    let daemon = Daemon::builder().start();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nOrigin: http://evil.example\r\nContent-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: 16\r\n\r\n",
        daemon.push_address()
    );
    // A body of lines, and blank lines before the head.
    for request in [format!("{head}\n{{\"evil\":{{\"n\":1}}}}\n"), format!("\r\n\n{head}\n{{\"evil\":1}}\n")] {
        let answers = by_tcp(&daemon, request.as_bytes());
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0]["error"].as_str().is_some_and(|why| why.contains("first line")), "{answers:?}");
    }
    // The page's connection is closed although it stays open on its side, and before a line is whole.
    let mut stream = TcpStream::connect(daemon.push_address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"POST").expect("sent");
    assert_eq!(BufReader::new(&stream).lines().count(), 1);
    assert_eq!(daemon.tree(), json!({}));
    daemon.await_value("graftd,testhost,push,faults", 3);
    // Blank lines before documents are nothing.
    assert_eq!(by_tcp(&daemon, b"\n \r\n {\"n\":1}\n"), [] as [Value; 0]);
    assert_eq!(daemon.tree(), json!({"n": 1}));
}

#[test]
fn of_many_bad_lines_the_first_are_named() {
    let daemon = Daemon::builder().start();
    let answers = by_tcp(&daemon, format!("[{{\"n\":1}}{}]\n{{\"n\":1}}\n", ",1".repeat(25)).as_bytes());
    assert_eq!(answers.len(), 11, "{answers:?}");
    assert!(answers[0]["error"].as_str().is_some_and(|why| why.contains("document 2")), "{answers:?}");
    assert_eq!(answers[10]["more"], 15, "{answers:?}");
    daemon.await_value("graftd,testhost,push,faults", 25);
    assert_eq!(daemon.tree(), json!({"n": 2}));
}

#[test]
fn a_line_has_a_greatest_length() {
    let daemon = Daemon::builder().start();
    let filled = |length: usize| format!("{{\"n\":1{}}}\n", " ".repeat(length - 8));
    // With its end, the longest line there may be.
    assert_eq!(by_tcp(&daemon, filled(16 << 20).as_bytes()), [] as [Value; 0]);
    assert_eq!(daemon.tree(), json!({"n": 1}));
    let mut stream = TcpStream::connect(daemon.push_address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The daemon may close before all is sent.
    let _ = stream.write_all(filled(17 << 20).as_bytes());
    let answer: String = BufReader::new(&stream).lines().map_while(Result::ok).collect();
    assert!(answer.contains("16777216 bytes"), "{answer:?}");
    assert_eq!(daemon.tree(), json!({"n": 1}));
}

#[test]
fn a_token_lets_in_and_stays_out_of_the_tree() {
    let folders = graftd_tests::Folders::new();
    let file = folders.write("token", "correct-horse-battery-staple\n");
    let daemon = Daemon::builder().settings(&format!("token_file = {file:?}")).start();
    let bearer = [("Authorization", "Bearer correct-horse-battery-staple")];
    let tree = || {
        let mut tree = daemon.request("GET", "/api/q/", &bearer, b"").good().json();
        tree.as_object_mut().expect("an object").retain(|key, _| key != "graftd" && key != "self");
        tree
    };
    let opening = r#"{"token":"correct-horse-battery-staple"}"#;
    let opening_and_more = r#"{"token":"correct-horse-battery-staple","n":1}"#;
    // The first line says it, alone or with a document's members; said again, it stays out as well.
    for lines in [
        format!("{opening}\n{{\"n\":1}}\n"),
        format!("{opening_and_more}\n"),
        format!("{opening_and_more}\n{opening}\n"),
    ] {
        assert_eq!(by_tcp(&daemon, lines.as_bytes()), [] as [Value; 0], "{lines}");
    }
    assert_eq!(tree(), json!({"n": 3}));
    for lines in [
        "{\"n\":100}\n".to_owned(),
        "{\"token\":\"wrong-horse-battery-staple\",\"n\":100}\n".to_owned(),
        format!("[{opening_and_more}]\n"),
        "[\"correct-horse-battery-staple\"]\n{\"n\":100}\n".to_owned(),
        format!("{{\"n\":100}}\n{opening}\n"),
        format!("{{\"n\":\"{}", "x".repeat(200_000)),
    ] {
        let answers = by_tcp(&daemon, lines.as_bytes());
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    assert_eq!(tree(), json!({"n": 3}));
    let since = daemon.request("GET", "/get/?key-u", &bearer, b"").good().tick();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for datagram in ["{\"n\":100}", opening, opening_and_more, r#"{"u":1,"token":"correct-horse-battery-staple"}"#] {
        socket.send_to(datagram.as_bytes(), daemon.push_address()).expect("sent");
    }
    // The last one is merged last.
    let told = daemon.request("GET", &format!("/pull/?key-u&since={since}&wait=20s"), &bearer, b"").good();
    assert_eq!(told.json(), json!([{"u": 1}]));
    assert_eq!(tree(), json!({"n": 4, "u": 1}));
}

#[test]
fn of_several_documents_the_good_ones_are_merged() {
    let daemon = Daemon::builder().start();
    let answer = daemon.post(
        "/push",
        "application/json",
        br#"[{"a":1},{"b":null},{"c":{"d":2}},{"e":3,"defaultaction":"sum"}]"#,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!((&said["merged"], &said["rejected"]), (&json!(2), &json!(2)), "{answer:?}");
    assert_eq!(said["errors"].as_array().map(Vec::len), Some(2), "{answer:?}");
    assert!(said["errors"][0]["at"].as_str().is_some_and(|at| at.contains("document 2")), "{answer:?}");
    assert!(said["errors"][1]["why"].as_str().is_some_and(|why| why.contains("sum")), "{answer:?}");
    assert_eq!(daemon.tree(), json!({"a": 1, "c": {"d": 2}}));

    // One behind another, whatever the body is called, and in a field of a form; of what is broken as JSON its line tells.
    let lines = "{\"l\":{\"a\":1}}\n{\"l\":{\"b\":}}\r\n\n{\"l\":{\"a\":null}}{\"l\":{\"c\":1}}\n[{\"l\":{\"c\":1}}]\n";
    let form =
        format!("json={}", lines.replace('{', "%7B").replace('}', "%7D").replace('\n', "%0A").replace('\r', "%0D"));
    for (kind, body) in [
        ("application/json", lines),
        ("application/x-ndjson", lines),
        ("", lines),
        ("application/x-www-form-urlencoded", &form),
    ] {
        let answer = daemon.post("/push", kind, body.as_bytes());
        let said = answer.json();
        assert_eq!(
            (answer.status, &said["merged"], &said["rejected"]),
            (200, &json!(3), &json!(2)),
            "{kind}: {answer:?}"
        );
        assert_eq!(said["errors"][0]["at"], "line 2 column 11", "{answer:?}");
        assert_eq!(said["errors"][1]["at"], "line 4, l,a", "{answer:?}");
    }
    assert_eq!(daemon.subtree("l"), json!({"a": 4, "c": 8}));

    // Of many, the first ten are named and all are counted.
    let many = format!("[{}]", vec!["{\"x\":null}"; 25].join(","));
    let answer = daemon.post("/push", "application/json", many.as_bytes());
    let said = answer.json();
    assert_eq!((answer.status, &said["merged"], &said["rejected"]), (400, &json!(0), &json!(25)), "{answer:?}");
    assert_eq!(said["errors"].as_array().map(Vec::len), Some(10), "{answer:?}");
}

#[test]
fn of_several_lines_the_good_ones_are_merged() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    let answer = daemon.post("/push", "text/plain", format!("{LINES}nonsense\n{LINES}").as_bytes());
    let said = answer.json();
    assert_eq!((answer.status, &said["merged"], &said["rejected"]), (200, &json!(4), &json!(1)), "{answer:?}");
    assert!(said["errors"][0]["at"].as_str().is_some_and(|at| at.contains("line 3")), "{answer:?}");
    assert_eq!(daemon.subtree("status"), json!({"200": 2, "404": 2}));
    let answer = daemon.post("/push", "text/plain", b"nonsense\n");
    assert_eq!((answer.status, &answer.json()["merged"]), (400, &json!(0)), "{answer:?}");
}

/// A daemon that knows something, and must know nothing else after what is done to it.
struct Undisturbed {
    daemon: Daemon,
    before: Value,
}

impl Undisturbed {
    fn new() -> Undisturbed {
        let daemon = Daemon::builder().plugins(&["status"]).start();
        daemon.await_state("status", "running");
        daemon.post("/push", "application/json", ORIGIN.as_bytes());
        daemon.push_log(LINES);
        let before = daemon.tree();
        Undisturbed { daemon, before }
    }

    /// The answer is a refusal that says so, and nothing else has changed.
    #[track_caller]
    fn refused(&self, answer: &Answer, statuses: &[u16], words: &[&str]) {
        assert!(statuses.contains(&answer.status), "{answer:?}");
        assert!(answer.json().is_object(), "{answer:?}");
        for word in words {
            assert!(answer.body.contains(word), "{word:?} is not said: {answer:?}");
        }
        assert_eq!(self.daemon.tree(), self.before);
        assert_eq!(self.daemon.module("status")["state"], "running");
    }

    #[track_caller]
    fn push(&self, kind: &str, body: &[u8], statuses: &[u16], words: &[&str]) {
        self.refused(&self.daemon.post("/push", kind, body), statuses, words);
    }
}

#[test]
fn bad_documents_are_refused_with_their_place() {
    let own = Undisturbed::new();
    let json = "application/json";
    let deep = format!("{}1{}", "{\"k\":".repeat(100), "}".repeat(100));
    let flood = "[".repeat(200_000);
    let long_key = format!("{{\"a\":{{\"{}\":1}}}}", "k".repeat(1 << 20));
    for (body, words) in [
        ("{\"br\":{\"ie\":", &["line 1", "EOF"][..]),
        ("{\"br\":1}\n}", &["line 2 column 1"]),
        ("", &["line 1"]),
        ("{\"br\":{\"x\":NaN}}", &["line 1 column 12"]),
        ("{\"br\":{\"x\":-Infinity}}", &["line 1"]),
        ("{\"br\":{\"x\":1e999}}", &["line 1", "range"]),
        ("{\"br\":{\"x\":null}}", &["br,x", "null"]),
        (&deep, &["nested deeper than 64"]),
        (&flood, &["errors"]),
        (&long_key, &["document 1, a", "1048576 bytes", "16384"]),
        ("7", &["document"]),
        ("\"text\"", &["document"]),
        ("[[{\"br\":1}]]", &["document 1"]),
        ("{\"br\":1,\"defaultaction\":\"sum\"}", &["unknown action", "sum"]),
    ] {
        own.push(json, body.as_bytes(), &[400], words);
    }
    own.push(json, b"{\"br\":{\"\xFF\xFE\":1}}", &[400], &["line 1"]);
}

#[test]
fn bad_bodies_are_refused_with_what_is_known() {
    let own = Undisturbed::new();
    let form = "application/x-www-form-urlencoded";
    own.push(form, b"jsn=%7B%7D", &[400], &["json", "accesslog"]);
    own.push(form, b"", &[400], &["json", "accesslog"]);
    let part = b"--edge\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n{}\r\n--edge--\r\n";
    own.push("multipart/form-data; boundary=edge", part, &[400], &["json", "accesslog"]);
    own.push("multipart/form-data", b"x", &[400], &["boundary"]);
    own.push("multipart/form-data; boundary=edge", b"--edge\r\nContent-Dispo", &[400], &[]);
    own.push("application/x-protobuf", b"\x08\x96\x01", &[415], &["application/x-protobuf", "application/json"]);
    let packed = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    own.refused(&own.daemon.request("POST", "/push", &packed, b"{\"n\":1}"), &[400], &["gzip"]);
    let strange = [("Content-Type", "application/json"), ("Content-Encoding", "zstd")];
    own.refused(&own.daemon.request("POST", "/push", &strange, b"{\"n\":1}"), &[400, 415], &["zstd", "gzip"]);
    own.refused(&own.daemon.get("/push"), &[405], &["POST"]);
}

/// What a server says to more than it takes: its limit, in a unit.
const TOO_LARGE: [&str; 1] = ["16"];

#[test]
fn a_body_of_100_mb_is_refused() {
    let own = Undisturbed::new();
    let chunk = vec![b' '; 1_000_000];
    let host = own.daemon.http();
    // Its length known before.
    let head = format!(
        "POST /push HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\nConnection: close\r\n\r\n"
    );
    own.refused(&own.daemon.raw(&head, &chunk, 100), &[413], &TOO_LARGE);
    // And not: in chunks.
    let head = format!(
        "POST /push HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
    own.refused(&own.daemon.raw(&head, &chunk, 100), &[413], &TOO_LARGE);
}

#[test]
fn a_bomb_of_gzip_is_refused() {
    let own = Undisturbed::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let blanks = vec![b' '; 1_000_000];
    for _ in 0..100 {
        packed.write_all(&blanks).expect("packed");
    }
    let packed = packed.finish().expect("packed");
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    own.refused(&own.daemon.request("POST", "/push", &headers, &packed), &[413], &TOO_LARGE);
}

#[test]
fn bad_queries_are_refused_with_what_is_wrong() {
    let own = Undisturbed::new();
    let many: String = (0..300).map(|n| format!("&key-k{n}")).collect();
    for (path, words) in [
        ("/get/?key-br,%25zz", &["key 2", "%"][..]),
        ("/get/?key-br&as=vale", &["vale", "value"]),
        ("/get/?key-br&depth=x", &["depth", "x"]),
        ("/get/?key-br&limit=-1", &["limit"]),
        ("/get/?kye-br", &["kye-br", "key"]),
        ("/get/", &["key"]),
        ("/pull/?key-br&since=x", &["since", "x"]),
        ("/pull/?key-br&wait=x", &["wait", "x"]),
        (&format!("/get/?{}", &many[1..]), &["256"]),
    ] {
        own.refused(&own.daemon.get(path), &[400], words);
    }
}

#[test]
fn with_wait_commit_an_answer_comes_when_it_is_kept() {
    // No commit is due for an hour: it is made for whoever waits.
    let daemon = Daemon::builder().settings("commit = \"1h\"").start();
    let folders = Arc::clone(daemon.folders());
    let answer = daemon.post("/push?wait=commit", "application/json", b"{\"n\":1}");
    assert_eq!((answer.status, answer.json()["merged"].as_u64()), (200, Some(1)), "{answer:?}");
    assert_eq!(daemon.post("/push", "application/json", b"{\"n\":7}").status, 200);
    daemon.kill();
    let daemon = Daemon::builder().folders(&folders).start();
    assert_eq!(daemon.get("/get/?key-n").json()[0]["n"], 1, "what was not committed is lost, what was is there");
    let answer = daemon.post("/push?wait=comit", "application/json", b"{\"n\":1}");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("comit"), "{answer:?}");
}
