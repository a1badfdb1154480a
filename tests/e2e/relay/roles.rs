//! Agents, and who may send to whom.

use super::{Host, LOG, Log, await_lines};
use graftd_tests::{Daemon, PATIENCE, graftd, workspace};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

#[test]
fn an_agent_has_no_pages_and_no_history_and_loses_nothing() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let top = server.start();
    let mut log = Log::of(&agent);
    for _ in 0..2 {
        let leaf = agent.builder().arg("--role").arg("agent").start();
        log.write(500);
        await_lines(&top, LOG, log.lines);
        for url in ["/", "/trend/?key-shop,status,200"] {
            let answer = leaf.get(url);
            assert!(answer.status == 404 && answer.body.contains("is an agent"), "{answer:?}");
        }
        assert_eq!(leaf.get("/get/?key-shop,status,200&as=value").json(), json!([{"shop,status,200": log.lines}]));
        leaf.kill();
    }
    let database = rusqlite::Connection::open(agent.folders.root().join("data/graftd.db")).expect("a database");
    let count = |table: &str| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a number")
    };
    assert_eq!((count("recent"), count("pack"), count("event")), (0, 0, 0));
    assert!(count("state") > 0 && count("source") > 0);
    // The other role goes on with it, and its history begins whole.
    let leaf = agent.start();
    await_lines(&leaf, LOG, log.lines);
    let answer = leaf.post("/push?wait=commit", "application/json", b"{\"n\":1}");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(leaf.stop().code(), Some(0));
    graftd(["trend", "check", "--data", &agent.folders.root().join("data").display().to_string()]).good();
}

#[test]
fn a_ring_is_refused_where_it_would_close() {
    let (a, b, c) = (Host::server("a"), Host::server("b"), Host::server("c"));
    let a = a.sends_to(&[&b], "");
    let b = b.sends_to(&[&c], "");
    let c = c.sends_to(&[&a], "");
    let daemons = [&a, &b, &c].map(Host::start);
    let refused = |name: &str, daemon: &graftd_tests::Daemon| {
        let error = daemon.value(&format!("graftd,{name},relay,relay,error"));
        error.as_str().is_some_and(|why| why.contains("round for ever"))
    };
    daemons[0].await_change("graftd", |_| {
        ["a", "b", "c"].iter().zip(&daemons).any(|(name, daemon)| refused(name, daemon)).then_some(())
    });
}

#[test]
fn a_daemon_does_not_send_to_itself() {
    let host = Host::server("a");
    let address = host.address();
    host.folders.write_conf("relay.on", &format!("to = {address:?}"));
    let daemon = host.start();
    daemon.await_change("graftd,a", |daemon| {
        let error = daemon.value("graftd,a,relay,relay,error");
        error.as_str().filter(|why| why.contains("that is this daemon itself")).map(drop)
    });
    daemon.push(&json!({"n": 1}));
    daemon.close_tick();
    assert_eq!(daemon.value("n"), 1);
}

#[test]
fn what_is_counted_while_the_file_is_wrong_is_sent_and_while_it_is_off_is_not() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let (top, leaf) = (server.start(), agent.start());
    let good = std::fs::read_to_string(agent.folders.conf("relay.on")).expect("a file");
    let state = |name: &str| {
        leaf.await_change("graftd,leaf,module", |leaf| (leaf.module("relay")["state"] == name).then_some(()));
    };
    state("running");
    agent.folders.write_conf("relay.on", "too = 1");
    state("rejected");
    leaf.push(&json!({"n": 1}));
    top.await_value("n", 1);
    std::fs::rename(agent.folders.conf("relay.on"), agent.folders.conf("relay.off")).expect("renamed");
    state("off");
    leaf.push(&json!({"n": 10}));
    leaf.close_tick();
    leaf.await_value("graftd,leaf,relay", Value::Null);
    std::fs::remove_file(agent.folders.conf("relay.off")).expect("removed");
    agent.folders.write_conf("relay.on", &good);
    state("running");
    leaf.push(&json!({"n": 100}));
    top.await_value("n", 101);
}

/// Waits until a daemon has said that, once.
#[track_caller]
fn await_said(daemon: &Daemon, words: &str) {
    let until = Instant::now() + PATIENCE;
    while !daemon.stderr().contains(words) {
        assert!(Instant::now() < until, "{words:?} is not said: {}", daemon.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(daemon.stderr().matches(words).count(), 1, "{}", daemon.stderr());
}

#[test]
fn two_hosts_of_one_name_are_told_once() {
    let server = Host::server("top");
    let (one, other) = (Host::agent("leaf").sends_to(&[&server], ""), Host::agent("leaf").sends_to(&[&server], ""));
    let own = Host::agent("top").sends_to(&[&server], "");
    let top = server.start();
    let daemons = [&one, &other, &own].map(Host::start);
    await_said(&top, "two senders call themselves leaf");
    await_said(&top, "calls itself top, as this daemon does");
    // They come again.
    server.wire.as_ref().expect("it receives").snap();
    daemons[1].push(&json!({"n": 1}));
    top.await_value("n", 1);
    await_said(&top, "two senders call themselves leaf");
    await_said(&top, "calls itself top, as this daemon does");
}

#[test]
fn a_relay_says_why_it_sends_nothing_and_an_agent_without_one_that_it_does_not() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    server.wire.as_ref().expect("it receives").cut();
    let leaf = agent.builder().arg("--role").arg("agent").start();
    let why = |begins: &str| {
        leaf.await_change("graftd,leaf", |leaf| {
            let module = leaf.module("relay");
            let starts = module["why"].as_str().is_some_and(|why| why.starts_with(begins));
            (starts && module["state"] == "running").then_some(())
        });
    };
    why("waits: 127.0.0.1:");
    let top = server.start();
    server.wire.as_ref().expect("it receives").mend();
    why("sends to 127.0.0.1:");
    drop(top);
    why("waits: 127.0.0.1:");
    let silent = "an agent without a relay sends nothing";
    assert!(!leaf.stderr().contains(silent), "{}", leaf.stderr());
    leaf.cli(&["modules", "off", "relay"]).good();
    await_said(&leaf, silent);
}

#[test]
fn an_agents_folder_is_made_once_and_what_is_said_in_vain_is_told() {
    let host = Host::bare("leaf");
    let folder = host.folders.root().join("agent");
    let make = |more: &[&str]| -> Output {
        let mut command = Command::new("make");
        let agent = format!("AGENT={}", folder.display());
        let command =
            command.current_dir(workspace()).env_remove("MAKEFLAGS").args(["-s", "agent-conf", &agent]).args(more);
        let ran = command.output().expect("make");
        assert!(ran.status.success(), "{ran:?}");
        ran
    };
    let said = |ran: &Output| String::from_utf8_lossy(&ran.stderr).into_owned();
    let on = folder.join("conf/relay.on");
    let first = make(&["TO=stats:1", "TOKEN_FILE=/etc/token", "HOST=web1"]);
    assert_eq!(said(&first), "");
    let text = fs::read_to_string(&on).expect("made");
    assert_eq!(text, "plugin = \"relay\"\nto = \"stats:1\"\ntoken_file = \"/etc/token\"\nhost = \"web1\"\n");
    assert_eq!(said(&make(&[])), "");
    assert_eq!(said(&make(&["TO=stats:1"])), "");
    let told = said(&make(&["TO=other:2", "HOST=web1"]));
    assert_eq!(told, format!("{} is there already; TO is not used\n", on.display()));
    assert_eq!(fs::read_to_string(&on).expect("there"), text);
    let off = folder.join("conf/relay.off");
    fs::rename(&on, &off).expect("renamed");
    let told = said(&make(&["TO=other:2"]));
    assert!(told.contains("TO is not used") && told.contains("relay.off keeps the relay off"), "{told}");
    assert!(!on.exists());
}
