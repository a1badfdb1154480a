//! `graftd new` writes a plugin that is ready: what it prints is run here as it stands, up to the data in the tree.

use graftd_tests::{Daemon, Folders, HOST, graftd, workspace};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What an author's first data may cost of the machine's time: with reading and typing it is to be less than a minute. Others
/// may compile at the same time.
const MACHINE_TIME_MAX: Duration = Duration::from_secs(30);

/// Runs `graftd new`; gives the commands that it prints, one a line.
fn new(daemon: &Daemon, args: &[&str]) -> Vec<String> {
    let folder = daemon.folders().root().join("work").join(args[1]).display().to_string();
    let plugins = daemon.folders().root().join("plugins").display().to_string();
    let args = ["new"].iter().chain(args).copied().chain(["--into", &folder, "--plugins", &plugins]);
    let printed = graftd(args).good().stdout;
    printed.lines().filter_map(|line| line.strip_prefix("  ")).map(ToOwned::to_owned).collect()
}

/// Runs commands as somebody would who copies them into a shell.
#[track_caller]
fn shell(commands: &[String]) -> String {
    let mut shell = Command::new("sh");
    // What cargo tells of this test is not for the plugin.
    shell.arg("-ec").arg(commands.join("\n")).env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_TARGET_DIR");
    // A source that is changed within a second looks unchanged to Python's cache.
    shell.env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = shell.output().unwrap_or_else(|error| panic!("{commands:?}: {error}"));
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ran.status.success(), "{commands:?}: {said}");
    said
}

/// From nothing to a plugin that runs in a daemon, by the printed commands alone. The time is that of a plugin that is not the
/// first in its checkout: plugin-api is compiled once, which takes as long as the machine is slow.
fn dropped_in(daemon: &Daemon, kind: &str, name: &str) -> Instant {
    let first = Daemon::builder().start();
    let api = workspace().join("plugin-api").display().to_string();
    // Two crates of one name would be built over each other.
    shell(&new(&first, &[kind, &format!("first-{kind}"), "--plugin-api", &api]));
    let began = Instant::now();
    let commands = new(daemon, &[kind, name, "--plugin-api", &api]);
    assert_eq!(commands.len(), 3, "{commands:?}");
    let said = shell(&commands);
    assert!(said.contains("2 passed"), "its tests did not run: {said}");
    daemon.await_state(name, "running");
    began
}

fn took(what: &str, began: Instant) {
    let took = began.elapsed();
    println!("from `graftd new {what}` to its data in the tree: {:.1} s of the machine's time", took.as_secs_f64());
    assert!(took < MACHINE_TIME_MAX, "{what}: {took:?}");
}

#[test]
fn a_pipe_is_built_tested_and_dropped_in_by_what_is_printed() {
    let daemon = Daemon::builder().start();
    let name = "request-methods";
    let began = dropped_in(&daemon, "pipe", name);
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 404 10 \"-\" \"curl/8.5.0\"\n";
    daemon.push_log(&line.repeat(3));
    assert_eq!(daemon.subtree(name), json!({"GET": 3}));
    took("pipe", began);
    // Its sample.on is one that the daemon takes, and its settings do what they say.
    let work = daemon.folders().root().join("work").join(name);
    let sample = fs::read_to_string(work.join("sample.on")).expect("a sample.on");
    let before = daemon.module(name)["since"].clone();
    daemon.folders().write_conf(&format!("{name}.on"), &sample.replace("# errors = true", "errors = false"));
    let path = format!("graftd,{HOST},module");
    daemon.await_change(&path, |daemon| (daemon.module(name)["since"] != before).then_some(()));
    daemon.push_log(line);
    daemon.push_log(&line.replace("404", "200"));
    assert_eq!(daemon.subtree(name), json!({"GET": 4}));
    assert!(fs::read_to_string(work.join("README.md")).is_ok_and(|text| text.contains("errors")));
}

#[test]
fn a_collector_is_built_tested_and_dropped_in_by_what_is_printed() {
    let daemon = Daemon::builder().start();
    let began = dropped_in(&daemon, "collector", "up");
    assert!(daemon.await_number(&format!("up,{HOST},uptime")) > 0.0);
    took("collector", began);
}

/// Its test has run, it has worked once, and it runs in a daemon that it was dropped into.
fn python(daemon: &Daemon, kind: &str, name: &str) {
    let commands = new(daemon, &[kind, name, "--python"]);
    let said = shell(&commands);
    assert!(said.contains("Ran 2 tests") && said.contains("OK"), "{said}");
    let file = daemon.plugin(&format!("{name}.py"));
    assert!(file.is_file(), "{commands:?}");
    daemon.await_state(name, "running");
    let work = daemon.folders().root().join("work").join(name);
    assert!(work.join("README.md").is_file() && work.join("sample.on").is_file());
    has_teeth(&work, name);
}

/// The test that was written fails when the plugin is broken.
fn has_teeth(work: &Path, name: &str) {
    let file = work.join(format!("{name}.py"));
    let text = fs::read_to_string(&file).expect("the plugin");
    fs::write(&file, text.replace("< 400", "< 300").replace("[0]", "[1]")).expect("written");
    let mut test = Command::new("python3");
    test.current_dir(work).env("PYTHONDONTWRITEBYTECODE", "1").arg(format!("test_{name}.py"));
    assert_eq!(test.output().expect("python3").status.code(), Some(1), "{name}");
}

#[test]
fn a_pipe_in_python_is_tested_by_plain_python_and_runs() {
    let daemon = Daemon::builder().start();
    python(&daemon, "pipe", "request_methods");
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 404 10 \"-\" \"curl/8.5.0\"\n";
    daemon.push_log(&line.repeat(3));
    assert_eq!(daemon.subtree("request_methods"), json!({"GET": 3}));
}

#[test]
fn a_collector_in_python_is_tested_by_plain_python_and_runs() {
    let daemon = Daemon::builder().start();
    python(&daemon, "collector", "up_time");
    assert!(daemon.await_number(&format!("up_time,{HOST},up_time_uptime")) > 0.0);
}

#[test]
fn names_that_will_not_do_are_refused_with_a_reason() {
    let folders = Folders::new();
    let into = folders.root().join("new").display().to_string();
    for (name, python, words) in [
        ("Slow", false, &["small letters", "slow-urls"][..]),
        ("slow_urls", false, &["dashes"]),
        ("relay", false, &["is taken"]),
        ("slow-urls", true, &["underscores", "slow_urls"]),
        ("json", true, &["Python's own"]),
        ("graft", true, &["is taken"]),
        ("class", true, &["is taken"]),
    ] {
        let args = ["new", "pipe", name, "--into", &into];
        graftd(args.into_iter().chain(python.then_some("--python"))).failed(2, words);
    }
    let there = folders.root().display().to_string();
    graftd(["new", "pipe", "slow_urls", "--python", "--into", &there]).failed(2, &["is there already", "--into DIR"]);
    assert!(!Path::new(&into).exists());
}
