//! `graftd ingest`: logs through the pipes, compared with counts made in Python.

mod history;
mod hostile;
mod packed;
mod push;
mod screen;
mod summary;
mod threads;

use graftd_tests::{Folders, Ran, fixture, graftd, graftd_with_input, python, real_log};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// The pipes that every log feeds.
const PIPES: [&str; 9] =
    ["status", "bytes", "url", "error", "browser", "os", "visitors", "request-time", "upstream-time"];

fn ingest(folders: &Folders, args: &[&str]) -> Ran {
    ingest_input(folders, args, b"")
}

fn ingest_input(folders: &Folders, args: &[&str], input: &[u8]) -> Ran {
    let folder_args = folders.args();
    let all = ["ingest"].into_iter().chain(folder_args.iter().map(String::as_str)).chain(args.iter().copied());
    graftd_with_input(all, input)
}

/// The sum of the numbers at the leaves.
fn sum(tree: &Value) -> f64 {
    match tree {
        Value::Object(children) => children.values().map(sum).sum(),
        leaf => leaf.as_f64().unwrap_or(0.0),
    }
}

/// Two trees of numbers are alike, whatever the order of their keys.
#[track_caller]
fn same(what: &str, found: &Value, counted: &Value) {
    let empty = Map::new();
    let [found, counted] = [found, counted].map(|tree| tree.as_object().unwrap_or(&empty));
    let differ = counted.iter().filter(|(key, count)| found.get(*key) != Some(count));
    let differ: Vec<_> =
        differ.map(|(key, count)| format!("{key}: {count} counted, {:?} found", found.get(key))).collect();
    let more: Vec<_> = found.keys().filter(|key| !counted.contains_key(*key)).collect();
    assert!(differ.is_empty() && more.is_empty(), "{what}: {differ:?}; not counted: {more:?}");
}

/// Everything that can be counted in a log of the format `combined`.
#[track_caller]
fn check(log: &Path) {
    let folders = Folders::new().plugins(&PIPES);
    let counted = python(&fixture("count.py"), log);
    let ran = ingest(&folders, &["--json", &log.display().to_string()]).good();
    let tree = ran.json();
    for branch in ["status", "bytes", "url"] {
        same(branch, &tree[branch], &counted[branch]);
    }
    for (code, paths) in counted["error"].as_object().expect("errors were counted") {
        same(code, &tree["error"][code], paths);
    }
    assert_eq!(tree["error"].as_object().map(Map::len), counted["error"].as_object().map(Map::len), "codes of errors");

    let lines = counted["lines"].as_u64().expect("lines were counted");
    let bad = counted["bad"].as_array().expect("bad lines were counted");
    let good = (lines - bad.len() as u64) as f64;
    for branch in ["status", "url", "br", "os"] {
        assert_eq!(sum(&tree[branch]), good, "{branch}: every line that parses is counted once");
    }
    for number in bad {
        assert!(ran.stderr.contains(&format!("line {number}: ")), "line {number} is not named: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.matches(": line ").count(), bad.len(), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{} of {lines} lines did not parse", bad.len())), "{}", ran.stderr);
    // The format has no times, so nothing is said of them.
    assert_eq!((&tree["request_time"], &tree["upstream_time"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_real_log_is_counted_exactly() {
    match real_log() {
        Some(log) => check(&log),
        None => graftd_tests::skipped("there is no real log beside the checkout; GRAFTD_SAMPLES may name its folder"),
    }
}

#[test]
fn odd_lines_are_counted_exactly() {
    check(&fixture("access.log"));
}

#[test]
fn visitors_are_estimated_within_two_percent() {
    let folders = Folders::new().plugins(&["visitors"]);
    let address = |n: u32| {
        format!(
            "10.{}.{}.{} - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n",
            n >> 16,
            n >> 8 & 255,
            n & 255
        )
    };
    // Each twice: a second visit is no second visitor.
    let log: String = (0..5_000).chain(0..5_000).map(address).collect();
    let tree = ingest_input(&folders, &["--json", "-"], log.as_bytes()).good().json();
    let found = tree["visitors"][""]["distinct"].as_f64().expect("an estimate");
    assert!((4_900.0..=5_100.0).contains(&found), "{found}");
}

#[test]
fn what_is_wrong_with_a_line_is_named_by_its_field() {
    let folders = Folders::new().plugins(&PIPES);
    let ran = ingest(&folders, &["--json", &fixture("access.log").display().to_string()]).good();
    // In the order in which the fixture has them: cut off in the agent, the size, the request, the time; a status and a
    // size that are none; no log at all.
    for (line, field) in
        [(14, "agent"), (71, "bytes"), (128, "request"), (185, "time"), (242, "status"), (299, "bytes"), (356, "")]
    {
        let said = ran.stderr.lines().find(|said| said.contains(&format!(": line {line}: ")));
        let said = said.unwrap_or_else(|| panic!("line {line} is not named: {}", ran.stderr));
        assert!(said.contains(field) && said.contains("column "), "line {line}: {said}");
    }
}

#[test]
fn of_many_bad_lines_the_first_ten_are_named() {
    let folders = Folders::new().plugins(&["status"]);
    let good = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";
    let log = format!("{}{good}", "nonsense\n".repeat(25));
    let ran = ingest_input(&folders, &["--json", "-"], log.as_bytes()).good();
    assert_eq!(ran.json()["status"], json!({"200": 1}));
    assert_eq!(ran.stderr.matches(": line ").count(), 10, "{}", ran.stderr);
    assert!(ran.stderr.contains("25 of 26 lines did not parse"), "{}", ran.stderr);
}

#[test]
fn formats() {
    let folders = Folders::new().plugins(&PIPES);
    let time = "[17/May/2015:10:05:03 +0000]";
    let request = "\"GET /x?y HTTP/1.1\"";
    let quantiles = |tree: &Value, branch: &str| {
        let sketch = &tree[branch]["2xx"][""];
        (sketch["count"].clone(), sketch["max"].clone())
    };
    let none = (Value::Null, Value::Null);
    for (format, line, times, upstream) in [
        ("common", format!("192.0.2.1 - anna {time} {request} 200 7"), none.clone(), none.clone()),
        (
            "timed",
            format!("2001:db8::1 - - {time} {request} 200 7 \"-\" \"curl/8\" 0.25 0.125"),
            (json!(1), json!(0.25)),
            (json!(1), json!(0.125)),
        ),
        (
            "$remote_addr|$time_iso8601|$request|$status|$body_bytes_sent|$request_time",
            "192.0.2.1|2025-05-01T00:00:00+02:00|GET /x?y HTTP/2.0|200|7|0.5".to_owned(),
            (json!(1), json!(0.5)),
            none.clone(),
        ),
        (
            "log_format main '$remote_addr - $remote_user [$time_local] \"$request\" '\n    '$status $body_bytes_sent';",
            format!("192.0.2.1 - - {time} {request} 200 7"),
            none.clone(),
            none.clone(),
        ),
        // Apache's %D is in microseconds, the tree in seconds.
        (
            "%a %t \"%r\" %>s %b %D",
            format!("192.0.2.1 {time} {request} 200 7 750000"),
            (json!(1), json!(0.75)),
            none.clone(),
        ),
        (
            r#"LogFormat "%h %l %u %t \"%r\" %>s %b" common"#,
            format!("192.0.2.1 - - {time} {request} 200 7"),
            none.clone(),
            none,
        ),
    ] {
        let ran = ingest_input(&folders, &["--json", "--format", format, "-"], format!("{line}\n{line}").as_bytes());
        let tree = ran.clone().good().json();
        let expected = json!([{"200": 2}, {"2xx": 14}, {"/x": 2}]);
        assert_eq!(json!([tree["status"], tree["bytes"], tree["url"]]), expected, "{format}: {ran:?}");
        let twice = |(count, max): (Value, Value)| (count.as_u64().map_or(Value::Null, |count| json!(count * 2)), max);
        assert_eq!(quantiles(&tree, "request_time"), twice(times), "{format}: {ran:?}");
        assert_eq!(quantiles(&tree, "upstream_time"), twice(upstream), "{format}: {ran:?}");
    }
}

#[test]
fn several_files_are_one_log_and_a_missing_one_costs_itself() {
    let folders = Folders::new().plugins(&["status"]);
    let line =
        |status: u16| format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" {status} 1 \"-\" \"-\"\n");
    let [a, b] = [200, 404].map(|status| folders.write(&format!("{status}.log"), line(status)));
    assert_eq!(ingest(&folders, &["--json", &a, &b, &a]).good().json()["status"], json!({"200": 2, "404": 1}));

    let missing = folders.root().join("no-such.log").display().to_string();
    let ran = ingest(&folders, &["--json", &a, &missing, &b]);
    ran.failed(1, &["no-such.log", "No such file"]);
    assert_eq!(ran.json()["status"], json!({"200": 1, "404": 1}));
}

#[test]
fn an_empty_log_is_no_lines_and_no_error() {
    let folders = Folders::new().plugins(&PIPES);
    let empty = folders.write("empty.log", "");
    for (args, input) in [(["--json", empty.as_str()], ""), (["--json", "-"], ""), (["--json", "-"], "\n\n\r\n")] {
        let ran = ingest_input(&folders, &args, input.as_bytes()).good();
        assert_eq!((ran.json(), ran.stderr.as_str()), (json!({}), ""), "{args:?} {input:?}");
    }
}

#[test]
fn a_binary_file_is_no_log() {
    let folders = Folders::new().plugins(&PIPES);
    // A linear congruential generator (Knuth's MMIX): all bytes, no pattern.
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise = folders.write("noise.bin", (0..300_000).map(|_| byte()).collect::<Vec<u8>>());
    ingest(&folders, &["--json", &noise]).failed(1, &["combined", "line 1: "]);
    // What it says cannot move the cursor or ring the bell.
    let said = ingest(&folders, &[&noise]).stderr;
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
    let zeros = folders.write("zeros.bin", vec![0_u8; 3_000_000]);
    ingest(&folders, &["--json", &zeros]).failed(1, &["line 1: "]);
}

#[test]
fn what_is_asked_wrongly_is_said_and_ends_with_2() {
    let folders = Folders::new().plugins(&["status"]);
    let log = fixture("access.log").display().to_string();
    ingest(&folders, &["--format", "combinde", &log])
        .failed(2, &["combinde", "did you mean \"combined\"?", "common", "timed"]);
    ingest(&folders, &["--format", "$status$request", &log]).failed(2, &["column 8", "$request"]);
    let missing = folders.root().join("none").display().to_string();
    graftd(["ingest", "--plugins", &missing, &log]).failed(2, &["--plugins", &missing]);
    graftd(["ingest", "--conf", &missing, "--plugins", &folders.root().join("plugins").display().to_string(), &log])
        .failed(2, &["--conf", &missing]);
    let none = Folders::new();
    ingest(&none, &[&log]).failed(2, &["no pipe", &none.root().join("plugins").display().to_string()]);
    graftd(["ingest"]).failed(2, &["FILE"]);
}

#[test]
fn a_broken_plugin_costs_itself() {
    let folders = Folders::new().plugins(&["status"]);
    fs::write(folders.plugin("url.so"), "no shared object").expect("a file");
    let ran = ingest(&folders, &["--json", &fixture("access.log").display().to_string()]).good();
    assert!(ran.stderr.contains("module url: rejected: "), "{}", ran.stderr);
    assert!(ran.json()["status"].is_object());
}

#[test]
fn the_tree_on_a_terminal_has_the_same_figures() {
    let folders = Folders::new().plugins(&["status"]);
    let log = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n".repeat(3);
    let ran = ingest_input(&folders, &["--tree", "-"], log.as_bytes()).good();
    let words: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words, [["status", "3"], ["200", "3"]]);
}

#[test]
fn of_several_files_the_bad_lines_are_named_with_their_file() {
    let folders = Folders::new().plugins(&["status"]);
    let good = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";
    let [a, b] = ["first.log", "second.log"].map(|name| folders.write(name, format!("{good}nonsense\n{good}")));
    let ran = ingest(&folders, &["--json", &a, &b]).good();
    for file in ["first.log", "second.log"] {
        let mut named = ran.stderr.lines().filter(|said| said.contains(file));
        assert!(named.any(|said| said.contains("line 2:") || said.contains("log:2:")), "{file}: {}", ran.stderr);
    }
}

#[test]
fn the_format_is_guessed_for_each_file() {
    let folders = Folders::new().plugins(&["status", "url", "request-time"]);
    let time = "[17/May/2015:10:05:03 +0000]";
    let timed = format!("192.0.2.1 - - {time} \"GET /timed HTTP/1.1\" 200 7 \"-\" \"curl/8\" 0.250 0.125\n");
    let json = "{\"ip\":\"192.0.2.1\",\"uri\":\"/json\\u0021\",\"status\":404,\"duration\":\"500ms\"}\n";
    let iis = "#Fields: date time cs-uri-stem cs-uri-query sc-status\n2015-05-17 10:05:03 /iis a=1 500\n\
               #Fields: sc-status cs-uri-stem\n501 /other\n";
    let [timed, json, iis] = [("timed", timed.repeat(2)), ("json", json.repeat(3)), ("iis", iis.to_owned())]
        .map(|(name, text)| folders.write(&format!("{name}.log"), text));
    let ran = ingest(&folders, &["--json", &timed, &json, &iis]).good();
    let tree = ran.json();
    assert_eq!(tree["status"], json!({"200": 2, "404": 3, "500": 1, "501": 1}), "{}", ran.stderr);
    same("url", &tree["url"], &json!({"/timed": 2, "/json!": 3, "/iis": 1, "/other": 1}));
    assert_eq!(tree["request_time"]["4xx"][""]["max"], json!(0.5));
    for said in [
        format!("{timed}: format \"timed\": 2 of 2 lines fit"),
        format!("{json}: format \"json\": 3 of 3 lines fit"),
        format!("{iis}: format \"w3c\": 2 of 2 lines fit"),
    ] {
        assert!(ran.stderr.contains(&said), "{said}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.lines().count(), 3, "a header is no fault: {}", ran.stderr);
    // Another file has no header of its own, so its lines have none.
    let headless = folders.write("headless.log", "502 /x\n");
    let ran = ingest(&folders, &["--json", "--format", "w3c", &iis, &headless]);
    ran.failed(1, &["headless.log: line 1: header, column 1: the header is missing"]);
    assert_eq!(ran.json()["status"], json!({"500": 1, "501": 1}));
}

#[test]
fn a_log_from_standard_input_is_guessed_and_read_whole() {
    let folders = Folders::new().plugins(&["status"]);
    let line = "{\"ip\":\"192.0.2.1\",\"status\":200,\"x\":\"0123456789\"}\n";
    let ran = ingest_input(&folders, &["--json", "-"], line.repeat(50_000).as_bytes()).good();
    assert_eq!(ran.json()["status"], json!({"200": 50_000}));
    assert!(ran.stderr.contains("-: format \"json\": 1000 of the first 1000 lines fit"), "{}", ran.stderr);
}
