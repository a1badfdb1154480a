//! The daemon's HTTP: its contract as golden files, what a browser and a scraper get, and who is turned away.

use graftd_tests::{Answer, Daemon, HOST, fixture, graftd};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// A daemon that knows the same in every test.
fn daemon() -> Daemon {
    let daemon = Daemon::builder()
        .plugins(&["status", "load", "request-time", "visitors", "beat"])
        .conf("load.off", "")
        .conf("broken.on", "evry = 1")
        .conf("beat.on", "every = \"1h\"")
        .start();
    for name in ["status", "request-time", "visitors", "beat"] {
        daemon.await_state(name, "running");
    }
    let documents = fs::read_to_string(fixture("documents.json")).expect("the documents");
    let answer = daemon.post("/push", "application/json", documents.as_bytes()).good();
    assert_eq!(answer.json()["rejected"], 0, "{answer:?}");
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\" 0.25 -\n";
    let answer = daemon.post("/push", "text/plain", line.repeat(4).as_bytes()).good();
    assert_eq!(answer.json()["merged"], 4, "{answer:?}");
    daemon
}

/// Where what was found is not as the golden file has it. There, `<number>`, `<text>`, `<null>`, `<digits>` (a text of
/// these alone) and `<time>` (RFC 3339, UTC) stand for whatever is of that kind, `<has …>` for a text with these words in
/// it.
fn differ(golden: &Value, found: &Value, at: &str) -> Vec<String> {
    let differs = || vec![format!("{at}: expected {golden}, found {found}")];
    let text = Value::as_str;
    match (golden, found) {
        (Value::String(kind), _) if kind.starts_with('<') => {
            let fits = match kind.trim_matches(['<', '>']) {
                "number" => found.is_number(),
                "text" => found.is_string(),
                "null" => found.is_null(),
                "digits" => {
                    text(found).is_some_and(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()))
                }
                "time" => text(found).is_some_and(is_time),
                words => {
                    found.as_str().zip(words.strip_prefix("has ")).is_some_and(|(text, words)| text.contains(words))
                }
            };
            if fits { Vec::new() } else { differs() }
        }
        (Value::Array(golden), Value::Array(found)) if golden.len() == found.len() => {
            let pairs = golden.iter().zip(found).enumerate();
            pairs.flat_map(|(i, (golden, found))| differ(golden, found, &format!("{at}[{i}]"))).collect()
        }
        (Value::Object(golden), Value::Object(found)) => {
            let keys: BTreeSet<&String> = golden.keys().chain(found.keys()).collect();
            let one = |key: &String| match (golden.get(key), found.get(key)) {
                (Some(golden), Some(found)) => differ(golden, found, &format!("{at}.{key}")),
                (Some(_), None) => vec![format!("{at}.{key}: missing")],
                _ => vec![format!("{at}.{key}: not in the contract")],
            };
            keys.into_iter().flat_map(one).collect()
        }
        _ if golden == found => Vec::new(),
        _ => differs(),
    }
}

/// `2026-11-22T16:31:08.250Z`
fn is_time(text: &str) -> bool {
    let form = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    form.eq("0000-00-00T00:00:00.000Z".chars())
}

fn texts(of: &Value) -> Vec<(&str, &str)> {
    let members = of.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value.as_str().expect("a text"))).collect()
}

/// Asks what a golden file asks, and compares.
fn check(daemon: &Daemon, golden: &Value) -> Vec<String> {
    let (request, expected) = (&golden["request"], &golden["answer"]);
    let part = |name: &str| request[name].as_str().unwrap_or_default();
    let answer = daemon.request(part("method"), part("path"), &texts(&request["headers"]), part("body").as_bytes());
    let mut wrong = differ(&expected["status"], &json!(answer.status), "status");
    for (name, value) in texts(&expected["headers"]) {
        wrong.extend(differ(&json!(value), &json!(answer.header(name)), name));
    }
    let is_json = answer.header("content-type").starts_with("application/json");
    let found = if is_json { answer.json() } else { json!(answer.body) };
    wrong.extend(differ(&expected["body"], &found, "body"));
    wrong
}

#[test]
fn every_route_answers_as_its_golden_file_says() {
    let daemon = daemon();
    let mut files: Vec<PathBuf> =
        fs::read_dir(fixture("../golden")).expect("golden files").map(|file| file.expect("a file").path()).collect();
    // Beside them lie pictures, in a folder of their own.
    files.retain(|file| file.is_file());
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a golden file");
        let golden = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        wrong.extend(check(&daemon, &golden).into_iter().map(|why| format!("{name}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_golden_file_is_not_matched_by_anything() {
    let golden = json!({"a": "<number>", "b": [{"c": "<has x>"}], "d": [1, 2]});
    assert_eq!(differ(&golden, &json!({"a": 1, "b": [{"c": "axb"}], "d": [1, 2]}), ""), [""; 0]);
    for other in [
        json!({"a": "1", "b": [{"c": "x"}], "d": [1, 2]}),
        json!({"a": 1, "b": [{"c": "y"}], "d": [1, 2]}),
        json!({"a": 1, "b": [], "d": [1, 2]}),
        json!({"a": 1, "b": [{"c": "x"}], "d": [1]}),
        json!({"a": 1, "b": [{"c": "x"}], "d": [1, 3]}),
        json!({"a": 1, "b": [{"c": "x"}]}),
        json!({"a": 1, "b": [{"c": "x"}], "d": [1, 2], "e": 0}),
    ] {
        assert_eq!(differ(&golden, &other, "").len(), 1, "{other}");
    }
}

#[test]
fn pages_for_a_person() {
    let daemon = daemon();
    let browser = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let page = |path: &str| daemon.request("GET", path, &browser, b"").good();
    for (path, words) in
        [("/", &["graftd", "/modules"][..]), ("/modules", &["status", "running", "broken", "rejected", "evry", "load"])]
    {
        let page = page(path);
        assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
        assert!(page.body.to_ascii_lowercase().contains("<!doctype html>"), "{page:?}");
        for word in words {
            assert!(page.body.contains(word), "{path}: {word}: {}", page.body);
        }
        // All that a page loads is served here.
        for attribute in ["src=\"", "href=\""] {
            for link in page.body.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(!link.contains("//"), "{path} loads {link}");
                let target = link.split(['#', '?']).next().unwrap_or_default();
                if attribute == "src=\"" || target.ends_with(".css") {
                    assert_eq!(daemon.get(target).status, 200, "{path} loads {link}");
                }
            }
        }
    }
    // Keys come from anybody: what looks like a tag is text.
    daemon.push(&json!({"<script>alert(1)</script>": 1}));
    assert!(!page("/").body.contains("<script>alert"), "a key is text");
}

/// A sample of `/metrics`: its labels and its value.
type Sample = (BTreeMap<String, String>, f64);

/// Reads Prometheus's text format, and is strict about it. (prometheus.io, "Exposition formats")
fn metrics(text: &str) -> BTreeMap<String, Vec<Sample>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let mut found: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    let mut typed = BTreeMap::new();
    assert!(text.ends_with('\n'), "the last line has an end");
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            if let ["TYPE", name, kind] = words.as_slice() {
                assert!(["counter", "gauge", "summary", "histogram", "untyped"].contains(kind), "{line}");
                assert_eq!(typed.insert((*name).to_owned(), (*kind).to_owned()), None, "{line}: typed twice");
                assert!(!found.contains_key(*name), "{line}: after its samples");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
        let (name, mut rest) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest));
        assert!(is_name(name), "{line}: no name");
        let mut labels = BTreeMap::new();
        while !rest.is_empty() && rest != "}" {
            let (label, quoted) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}: no label"));
            assert!(is_name(label), "{line}: no label name");
            let end = quoted.char_indices().scan(false, |escaped, (at, c)| {
                let ends = c == '"' && !*escaped;
                *escaped = c == '\\' && !*escaped;
                Some((at, ends))
            });
            let end =
                end.into_iter().find_map(|(at, ends)| ends.then_some(at)).unwrap_or_else(|| panic!("{line}: no end"));
            assert_eq!(labels.insert(label.to_owned(), quoted[..end].to_owned()), None, "{line}: twice");
            rest = quoted[end + 1..].trim_start_matches(',');
        }
        let samples = found.entry(name.to_owned()).or_default();
        assert!(samples.iter().all(|(others, _)| *others != labels), "{line}: there twice");
        samples.push((labels, value));
    }
    assert!(typed.keys().all(|name| found.keys().any(|found| found.starts_with(name.as_str()))), "{typed:?}");
    found
}

#[test]
fn the_tree_as_metrics() {
    let daemon = daemon();
    daemon.push(&json!({"br": {"quo\"te\\ and\nline": {"1": 7}}}));
    let answer = daemon.get("/metrics").good();
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    let found = metrics(&answer.body);
    let with = |key: &str| {
        let samples = found.iter().flat_map(|(name, samples)| samples.iter().map(move |sample| (name, sample)));
        samples.filter(move |(_, (labels, _))| labels.values().any(|value| value == key)).collect::<Vec<_>>()
    };
    let sum = |samples: Vec<(&String, &Sample)>| samples.iter().map(|(_, (_, value))| value).sum::<f64>();
    assert_eq!(sum(with("webkit")), 60.0, "{}", answer.body);
    assert_eq!(sum(with("quo\\\"te\\\\ and\\nline")), 7.0, "{}", answer.body);
    assert!(with("10.3.1.12").iter().any(|(_, (_, value))| *value == 32.0), "{}", answer.body);
    // A text is no sample, the daemon's own figures are some.
    assert!(!answer.body.contains("something wrong happened"), "{}", answer.body);
    assert!(with(HOST).len() > 3, "{}", answer.body);
}

#[test]
fn whoever_asks_under_another_name_is_turned_away() {
    let daemon = daemon();
    let before = daemon.tree();
    let port = daemon.http().port();
    let json_type = ("Content-Type", "application/json");
    let is_told = |answer: &Answer, what: &str| {
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        assert!(answer.json()["error"].as_str().is_some_and(|why| why.contains(what)), "{answer:?}");
    };
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1.evil.example",
        &format!("192.0.2.1:{port}"),
        "localhost.evil.example",
    ] {
        for (method, path) in [
            ("GET", "/get/?key-br"),
            ("GET", "/"),
            ("POST", "/push"),
            ("POST", "/modules/status/off"),
            ("GET", "/healthz"),
        ] {
            is_told(&daemon.request(method, path, &[("Host", host), json_type], b"{\"x\":1}"), host);
        }
    }
    for origin in [
        "http://evil.example",
        "null",
        &format!("http://localhost:{}", port.wrapping_add(1)),
        "https://evil.example:8650",
    ] {
        for path in ["/push", "/modules/status/off"] {
            is_told(&daemon.request("POST", path, &[("Origin", origin), json_type], b"{\"x\":1}"), origin);
        }
    }
    // A form on another site's page has no preflight, and old browsers send no Origin with it.
    let site = [("Sec-Fetch-Site", "cross-site"), ("Content-Type", "text/plain")];
    assert_eq!(daemon.request("POST", "/push", &site, b"{\"x\":1}").status, 403);
    assert_eq!(daemon.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"", 0).status / 100, 4, "no Host at all");
    assert_eq!(daemon.tree(), before);
    assert_eq!(daemon.module("status")["state"], "running");

    // Its own names, and its own pages, are let in.
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("LOCALHOST:{port}")] {
        let origin = format!("http://{host}");
        let answer =
            daemon.request("POST", "/push", &[("Host", &host), ("Origin", &origin), json_type], b"{\"own\":1}");
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    assert_eq!(daemon.value("own"), 3);
}

#[test]
fn with_a_token_nobody_is_let_in_without() {
    let folders = graftd_tests::Folders::new();
    let token = "correct-horse-battery-staple";
    let file = folders.write("token", format!("{token}\n"));
    let daemon = Daemon::builder().settings(&format!("token_file = {file:?}")).start();
    let bearer = format!("Bearer {token}");
    let json_type = ("Content-Type", "application/json");
    for wrong in
        [None, Some("Bearer wrong-horse-battery-staple"), Some("Bearer correct-horse-battery-stapl"), Some(token)]
    {
        let headers: Vec<(&str, &str)> =
            wrong.iter().map(|value| ("Authorization", *value)).chain([json_type]).collect();
        for (method, path) in
            [("GET", "/get/?key-n"), ("GET", "/"), ("GET", "/metrics"), ("POST", "/push"), ("POST", "/modules/x/off")]
        {
            let answer = daemon.request(method, path, &headers, b"{\"n\":1}");
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert!(answer.body.contains("token"), "{answer:?}");
        }
    }
    let with = [("Authorization", bearer.as_str()), json_type];
    daemon.request("POST", "/push", &with, b"{\"n\":1}").good();
    assert_eq!(daemon.request("GET", "/get/?key-n", &with, b"").good().json(), json!([{"n": 1}]));
    daemon.cli(&["get", "n"]).failed(1, &["token"]);
    assert_eq!(daemon.cli(&["get", "n", "--token-file", &file]).good().stdout.split_whitespace().last(), Some("1"));
}

#[test]
fn off_loopback_there_is_no_daemon_without_a_token() {
    let folders = graftd_tests::Folders::new();
    let data = folders.root().join("data").display().to_string();
    for (flag, other) in [("--http", "--push"), ("--push", "--http")] {
        let args = ["run", "--data", &data, flag, "0.0.0.0:0", other, "127.0.0.1:0"];
        graftd(folders.args().iter().map(String::as_str).fold(args.to_vec(), |mut args, arg| {
            args.push(arg);
            args
        }))
        .failed(2, &["token_file", "0.0.0.0:0"]);
    }
}

#[test]
fn many_connections_are_no_trouble() {
    let daemon = daemon();
    // Half-open ones, ones that say nonsense, ones that go away: each costs itself.
    let silent: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(daemon.http()).expect("a connection")).collect();
    for nonsense in [
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
        "POST /push HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ] {
        let answer = daemon.raw(nonsense, b"", 0);
        assert!((400..600).contains(&answer.status), "{nonsense:?}: {answer:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "x".repeat(1 << 20));
    assert!((400..500).contains(&daemon.raw(&long, b"", 0).status));
    assert_eq!(daemon.subtree("br,webkit"), json!({"14.0": 40, "13.0": 20}));
    drop(silent);
    let head = daemon.request("HEAD", "/get/?key-br", &[], b"").good();
    assert_eq!(head.body, "");
    assert!(head.tick() > 0);
}
