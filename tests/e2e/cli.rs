//! The command line: it teaches, it ends with codes that mean something, and it says what is wrong.

use graftd_tests::{Daemon, Folders, GRACE, HOST, Lines, PATIENCE, binary, graftd, graftd_with_input};
use serde_json::json;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn help_teaches() {
    for (mode, words) in [
        (
            None,
            &[
                "graftd run",
                "http://127.0.0.1:8650/",
                "Exit codes",
                "ingest",
                "get",
                "watch",
                "push",
                "modules",
                "check",
            ][..],
        ),
        (Some("run"), &["--conf", "--plugins", "--data", "127.0.0.1:8650", "127.0.0.1:8651", "SIGTERM", "ready"]),
        (
            Some("ingest"),
            &["Examples", "access.log", "--format", "combined", "common", "timed", "log_format", "LogFormat", "--json"],
        ),
        (Some("get"), &["graftd get", "br,ie", "'cpu,*,idle'", "http://127.0.0.1:8650", "--as"]),
        (Some("watch"), &["graftd watch", "http://127.0.0.1:8650"]),
        (Some("push"), &["Examples", "graftd push", "--accesslog", "http://127.0.0.1:8650"]),
        (Some("modules"), &["on", "off", "reload", "NAME", "graftd modules", "http://127.0.0.1:8650"]),
        (Some("check"), &["graftd.conf", "--conf", "Ends with 2", "--json"]),
    ] {
        let ran = graftd(mode.into_iter().chain(["--help"])).good();
        for word in words {
            assert!(ran.stdout.contains(word), "graftd {mode:?} --help says nothing of {word:?}:\n{}", ran.stdout);
        }
        assert_eq!(ran.stderr, "");
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(110), "graftd {mode:?} --help is {widest:?} wide:\n{}", ran.stdout);
    }
    assert!(graftd(["--version"]).good().stdout.starts_with("graftd "));
}

#[test]
fn what_is_asked_wrongly_ends_with_2() {
    graftd(["ru"]).failed(2, &["ru", "run"]);
    graftd(["get"]).failed(2, &["PATH"]);
    graftd(["run", "--http", "8650"]).failed(2, &["--http", "such as 127.0.0.1:8650;"]);
    graftd(["run", "--relay", "8652"]).failed(2, &["--relay", "such as 127.0.0.1:8652; 0.0.0.0:8652 is reached"]);
    graftd(["get", "x", "--url", "stats:99"]).failed(2, &["write it as http://stats:99\n"]);
    graftd(["get", "x", "--url", "ftp://stats:99"]).failed(2, &["write it as http://127.0.0.1:8650\n"]);
    let folders = Folders::new();
    let none = folders.root().join("none").display().to_string();
    for flag in ["--conf", "--plugins", "--data"] {
        let mut args = vec!["run", flag, &none, "--http", "127.0.0.1:0", "--push", "127.0.0.1:0"];
        let data = folders.root().join("data").display().to_string();
        if flag != "--data" {
            args.extend(["--data", &data]);
        }
        let hint = if flag == "--data" { format!("make it: mkdir -p {none}") } else { String::new() };
        graftd(args).failed(2, &[flag, &none, &hint]);
    }
    folders.write_conf("graftd.conf", "tick = \"1s\"\nhtp = \"127.0.0.1:0\"\n");
    let args = folders.args();
    let args = ["run"].into_iter().chain(args.iter().map(String::as_str));
    graftd(args).failed(2, &["graftd.conf:2", "unknown key \"htp\"", "did you mean \"http\"?"]);
}

#[test]
fn no_daemon_is_said_with_its_address() {
    // Port 1 is nobody's.
    let url = ["--url", "http://127.0.0.1:1"];
    for mode in [&["get", "x"][..], &["watch", "x"], &["push", "{}"], &["modules"], &["modules", "off", "x"]] {
        graftd(mode.iter().copied().chain(url)).failed(1, &["http://127.0.0.1:1", "graftd run"]);
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let daemon = Daemon::builder().start();
    let folders = Folders::new();
    let (http, push) = (daemon.http().to_string(), daemon.push_address().to_string());
    let data = folders.root().join("data").display().to_string();
    let args = folders.args();
    for (taken, flags) in
        [(&http, ["--http", &http, "--push", "127.0.0.1:0"]), (&push, ["--http", "127.0.0.1:0", "--push", &push])]
    {
        let flags = ["run", "--data", &data].into_iter().chain(args.iter().map(String::as_str)).chain(flags);
        graftd(flags).failed(1, &[taken, "in use"]);
    }
}

#[test]
fn check_says_what_would_run() {
    let folders = Folders::new().plugins(&["status", "load"]);
    folders.write_conf("load.off", "");
    folders.write_conf("shop.on", "plugin = \"status\"\npath = \"shop\"\n");
    let check = |folders: &Folders, more: &[&str]| {
        let args = folders.args();
        graftd(["check"].into_iter().chain(args.iter().map(String::as_str)).chain(more.iter().copied()))
    };
    let good = check(&folders, &[]).good();
    let rows: Vec<Vec<&str>> = good.stdout.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(rows, [["off", "load"], ["ok", "shop"]]);

    folders.write_conf("load.off", "evry = 1");
    check(&folders, &[]).good();
    folders.write_conf("shop.on", "plugin = \"status\"\n\nevry = \"1s\"\n");
    folders.write_conf("none.on", "");
    let bad = check(&folders, &[]);
    bad.failed(2, &["2 modules would be rejected"]);
    assert!(bad.stdout.contains("shop.on:3: unknown key \"evry\"; did you mean \"every\"?"), "{bad:?}");
    let found = check(&folders, &["--json"]).json();
    let found = found.as_array().expect("a list");
    for (name, state) in [("load", "off"), ("none", "rejected"), ("shop", "rejected")] {
        assert!(found.iter().any(|finding| finding["name"] == name && finding["state"] == state), "{name}: {found:?}");
    }

    // What the daemon would reject, the check rejects too: a pipe has no interval.
    let pipe = Folders::new().plugins(&["status"]);
    pipe.write_conf("status.on", "every = \"1s\"\n");
    check(&pipe, &[]).failed(2, &["would be rejected"]);
    let daemon = Folders::new();
    daemon.write_conf("graftd.conf", "commit = \"0s\"\n");
    check(&daemon, &[]).failed(2, &["graftd.conf:1", "commit"]);
    check(&Folders::new(), &[]).good();

    // What is named is there.
    let named = Folders::new();
    named.write_conf(
        "relay.on",
        "to = \"a\"\ntoken_file = \"token\"\ntls = true\nca = \"ca.pem\"\ncert = \"c\"\nkey = \"k\"",
    );
    let at = |name: &str| named.conf(name).display().to_string();
    named.write_conf("ca.pem", "");
    named.write_conf("graftd.conf", "write_token_file = \"w\"\n[tls]\ncert = \"c\"\nkey = \"k\"");
    let said = check(&named, &[]);
    said.failed(2, &["6 files that are named are not there"]);
    for (who, key, file) in
        [("relay", "token_file", "token"), ("relay", "key", "k"), ("graftd.conf", "write_token_file", "w")]
    {
        let line = format!("lacks     {who:<16} {key} {}: No such file", at(file));
        assert!(said.stdout.contains(&line), "{line}: {said:?}");
    }
    assert_eq!(
        check(&named, &["--json"]).json().as_array().expect("a list").iter().filter(|f| f["state"] == "lacks").count(),
        6
    );
    for name in ["token", "c", "k", "w"] {
        named.write_conf(name, "");
    }
    check(&named, &[]).good();

    // ganglia's own files are easily thought to be read.
    let ganglia = Folders::new().plugins(&["status"]);
    ganglia.write_conf("status.pyconf", "modules { }");
    ganglia.write_conf("load.pyconf", "modules { }");
    ganglia.write_conf("load.off", "");
    let said = check(&ganglia, &[]).good().stdout;
    assert!(said.contains("conf/status.pyconf is not read: rename it to status.on\n"), "{said}");
    assert!(said.contains("conf/load.pyconf is not read: load.off is there and counts\n"), "{said}");
    let found = check(&ganglia, &["--json"]).good().json();
    let unread = found.as_array().expect("a list").iter().filter(|finding| finding["state"] == "unread").count();
    assert_eq!(unread, 2, "{found}");
}

#[test]
fn a_pyconf_that_is_dropped_in_is_told_once() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    daemon.folders().write_conf("redis.pyconf", "modules { }");
    let told = || daemon.stderr().matches("conf/redis.pyconf is not read: rename it to redis.on").count();
    daemon.await_change(&format!("graftd,{HOST}"), |_| (told() > 0).then_some(()));
    // Looked into again, it says nothing more of it.
    daemon.folders().write_conf("status.off", "");
    daemon.await_state("status", "off");
    daemon.folders().write_conf("redis.on", "plugin = \"status\"\n");
    daemon.await_state("redis", "running");
    assert_eq!(told(), 1, "{}", daemon.stderr());
    assert!(daemon.stderr().contains("redis.pyconf is not read: redis.on is there and counts"), "{}", daemon.stderr());
}

#[test]
fn push_and_get() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    assert_eq!(daemon.cli(&["push", r#"{"n":{"a":1,"b c":"text","d":[2,{"e":true}]}}"#]).good().stdout, "merged 4\n");
    let file = daemon.folders().write("values.json", "{\"n\":{\"a\":1}}");
    daemon.cli(&["push", "-f", &file]).good();
    let got = daemon.cli(&["get", "n"]).good().stdout;
    let rows: Vec<Vec<&str>> = got.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [vec!["n,a", "2"], vec!["n,b", "c", "text"], vec!["n,d", "2"], vec!["n,d,e", "true"]]);
    assert_eq!(
        daemon.cli(&["get", "n,a", "n,d", "--as", "value", "--json"]).good().json(),
        json!([{"n,a": 2}, {"n,d": 2}])
    );
    assert_eq!(daemon.cli(&["get", "n", "--depth", "0", "--json"]).good().json(), json!([{"n": 4}]));
    daemon.cli(&["get", "n", "--as", "valeu"]).failed(1, &["valeu"]);
    daemon.cli(&["get", "%zz"]).failed(1, &["key 1"]);

    // What is not there is said, and what is there shown all the same.
    let some = daemon.cli(&["get", "n,a", "n,none", "n,*,none"]);
    some.failed(1, &["there is no n,none and no n,*,none in the tree"]);
    assert_eq!(some.stdout.split_whitespace().collect::<Vec<_>>(), ["n,a", "2"]);
    let some = daemon.cli(&["get", "n,none", "n,a", "--json"]);
    some.failed(1, &["there is no n,none in the tree"]);
    assert_eq!(some.json(), json!([{"n,none": null}, {"n,a": 2}]));
    daemon.cli(&["get", "n,a", "--as", "p99"]).failed(1, &["there is no n,a that has a p99"]);
    let each = daemon.cli(&["get", "n,*", "--as", "p99"]).good().stdout;
    assert!(each.lines().any(|line| line.starts_with("n,a ") && line.ends_with(" -")), "{each}");

    let url = format!("http://{}", daemon.http());
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\" 0.25 -\n";
    let pushed = graftd_with_input(["push", "--accesslog", "-f", "-", "--url", &url], line.repeat(3).as_bytes()).good();
    assert_eq!(pushed.stdout, "merged 3\n");
    assert_eq!(daemon.value("status,200"), json!(3));

    daemon.cli(&["push", "{\"n\":"]).failed(1, &["line 1 column 5", "merged 0, 1 rejected"]);
    daemon
        .cli(&["push", "[{\"n\":{\"a\":1}},{\"n\":{\"a\":null}}]"])
        .failed(1, &["document 2, n,a", "merged 1, 1 rejected"]);
    daemon.cli(&["push", "-f", "/no/such/file"]).failed(1, &["/no/such/file"]);
    assert_eq!(daemon.value("n,a"), json!(3));
}

#[test]
fn what_keys_say_does_not_reach_the_terminal() {
    let daemon = Daemon::builder().start();
    daemon.push(&json!({"n": {"\u{1b}[31mred": "\u{1b}]0;title\u{7}\r\n"}}));
    let shown = daemon.cli(&["get", "n"]).good().stdout;
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

#[test]
fn watch_follows() {
    let daemon = Daemon::builder().start();
    let mut watch = Command::new(binary())
        .args(["watch", "n", "m,*", "--url", &format!("http://{}", daemon.http())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("graftd starts");
    let lines = Lines::of(watch.stdout.take().expect("piped"));
    let errors = Lines::of(watch.stderr.take().expect("piped"));
    // It does not say when it has begun: what is pushed after that comes, a line a change.
    let began = Instant::now();
    let first = loop {
        daemon.push(&json!({"n": {"x": 1}, "other": 1}));
        if let Some(line) = lines.next_within(Duration::from_millis(500)) {
            break line;
        }
        assert!(began.elapsed() < PATIENCE, "nothing was shown");
    };
    let words: Vec<&str> = first.split_whitespace().collect();
    assert_eq!((words.len(), words[0]), (2, "n,x"), "{first}");
    daemon.push(&json!({"m": {"k": "text"}}));
    let second = loop {
        let line = lines.next_within(PATIENCE).expect("a line");
        if !line.starts_with("n,x ") {
            break line;
        }
    };
    assert_eq!(second.split_whitespace().collect::<Vec<_>>(), ["m,k", "text"]);
    // When the daemon ends it says so, and ends too.
    let status = daemon.stop();
    assert!(status.success(), "{status}");
    let said = errors.next_within(PATIENCE).expect("a word on stderr");
    assert!(said.starts_with("graftd: "), "{said}");
    assert_eq!(watch.wait().expect("an end").code(), Some(1));
}

/// What lies in the data folder.
fn kept(folders: &Folders) -> Vec<String> {
    let left = fs::read_dir(folders.root().join("data")).expect("a folder").flatten();
    left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_daemon_that_is_told_to_stop_stops_and_cleans_up() {
    let daemon = Daemon::builder().plugins(&["status", "load", "cpu"]).start();
    for name in ["status", "load", "cpu"] {
        daemon.await_state(name, "running");
    }
    let folders = daemon.folders().clone();
    let began = Instant::now();
    let status = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(1) + GRACE, "{:?}", began.elapsed());
    // Nothing of the plugins' copies is left.
    assert_eq!(kept(&folders), ["graftd.db"]);
}

#[test]
fn a_daemon_that_is_ready_can_be_stopped() {
    // Whoever waits for the ready line may have no more need of it at once. Often, for it is a matter of microseconds.
    for turn in 0..20 {
        let daemon = Daemon::builder().start();
        let folders = daemon.folders().clone();
        let status = daemon.stop();
        assert!(status.success(), "turn {turn}: {status}");
        assert_eq!(kept(&folders), ["graftd.db"], "turn {turn}");
    }
}

#[test]
fn what_a_crash_left_behind_goes_with_the_next_start() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    let folders = daemon.folders().clone();
    daemon.kill();
    let daemon = Daemon::builder().folders(&folders).start();
    daemon.await_state("status", "running");
    assert!(daemon.stop().success());
    assert_eq!(kept(&folders), ["graftd.db"]);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let daemon = Daemon::builder().start();
    let many: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("key-{n}"), json!(n))).collect();
    daemon.push(&json!({ "n": many }));
    let mut get = Command::new(binary())
        .args(["get", "n", "--url", &format!("http://{}", daemon.http())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("graftd starts");
    drop(get.stdout.take());
    let ended = get.wait_with_output().expect("an end");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
