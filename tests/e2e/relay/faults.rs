//! What goes wrong on one side of a relay does not stay wrong, nor spread.

use super::refused::{SENDER, entry, hello, packed};
use super::{Host, LOG, Log, await_lines, counted, figure};
use graftd_tests::Daemon;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::scope;
use std::time::Duration;

/// Waits until an agent sends to a receiver.
#[track_caller]
fn await_to(agent: &Daemon, host: &str, receiver: &str) {
    agent.await_change(&format!("graftd,{host}"), |agent| {
        let to = agent.value(&format!("graftd,{host},relay,relay,to"));
        (to.as_str()?.starts_with(receiver) && figure(agent, host, "since") > 0.0).then_some(())
    });
}

#[test]
fn a_gauge_that_another_receiver_was_told_is_right_again_at_the_first() {
    let [first, second] = ["first", "second"].map(Host::server);
    let agent = Host::bare("leaf").sends_to(&[&first, &second], "");
    let [one, two] = [&first, &second].map(Host::start);
    let leaf = agent.start();
    let set = |g: u64| leaf.push(&json!({"gauge": {"g": g, "defaultaction": "last"}}));
    set(1);
    one.await_value("gauge,g", 1);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "acknowledged") > 0.0).then_some(()));
    // It takes what is sent and does not say so any more: that waits for it.
    one.pause();
    set(5);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "promised") > 0.0).then_some(()));
    one.kill();
    await_to(&leaf, "leaf", "second");
    set(9);
    two.await_value("gauge,g", 9);
    let one = first.start();
    second.wire.as_ref().expect("it receives").snap();
    await_to(&leaf, "leaf", "first");
    // It gets the 5 that waits for it first; nobody sets it anew.
    one.await_value("gauge,g", 9);
}

#[test]
fn a_gauge_that_is_set_while_the_relay_is_off_is_told_when_it_is_on() {
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], "");
    let (top, leaf) = (server.start(), agent.start());
    let set = |g: u64| leaf.push(&json!({"gauge": {"g": g, "defaultaction": "last"}}));
    set(5);
    top.await_value("gauge,g", 5);
    let state = |name: &str| {
        leaf.await_change("graftd,leaf,module", |leaf| (leaf.module("relay")["state"] == name).then_some(()));
    };
    let (on, off) = (agent.folders.conf("relay.on"), agent.folders.conf("relay.off"));
    fs::rename(&on, &off).expect("renamed");
    state("off");
    set(9);
    leaf.close_tick();
    fs::rename(&off, &on).expect("renamed");
    state("running");
    top.await_value("gauge,g", 9);
}

#[test]
fn an_entry_that_the_disk_has_damaged_is_given_up_and_those_behind_it_arrive() {
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], "");
    let top = server.start();
    let leaf = agent.start();
    leaf.push(&json!({"n": 1}));
    top.await_value("n", 1);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "acknowledged") > 0.0).then_some(()));
    server.wire.as_ref().expect("it receives").cut();
    for n in [10, 100, 1_000] {
        leaf.post("/push?wait=commit", "application/json", json!({"n": n}).to_string().as_bytes()).good();
    }
    leaf.kill();
    let database = rusqlite::Connection::open(agent.folders.root().join("data/graftd.db")).expect("a database");
    let second = "SELECT number FROM spool ORDER BY number DESC LIMIT 1 OFFSET 1";
    let number: i64 = database.query_row(second, [], |row| row.get(0)).expect("entries");
    let damage = "UPDATE spool SET data = zeroblob(length(data)) WHERE number = ?";
    assert_eq!(database.execute(damage, [number]).expect("damaged"), 1);
    drop(database);
    let leaf = agent.start();
    server.wire.as_ref().expect("it receives").mend();
    top.await_value("n", 1_011);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "dropped") == 1.0).then_some(()));
    assert!(leaf.stderr().contains("has refused entry"), "{}", leaf.stderr());
    // What is not damaged is not given up.
    leaf.push(&json!({"n": 1}));
    top.await_value("n", 1_012);
}

#[test]
fn a_database_that_is_put_back_while_it_sends_is_sent_from() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let (top, _leaf) = (server.start(), agent.start());
    let mut log = Log::of(&agent);
    log.write(100);
    await_lines(&top, LOG, 100);
    let data = agent.folders.root().join("data");
    for file in ["graftd.db", "graftd.db-wal", "graftd.db-shm"] {
        let _ = fs::remove_file(data.join(file));
    }
    log.write(100);
    await_lines(&top, LOG, 200);
    assert_eq!(counted(&top, LOG).0, 200);
}

/// A connection that a receiver has agreed to.
fn connected(to: &Daemon, said: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(to.listens("relay").expect("it listens")).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    stream.write_all(&hello((1, 1), said)).expect("said");
    let mut head = [0; 13 + 5];
    stream.read_exact(&mut head).expect("answered");
    assert_eq!(head[17], 2, "a welcome");
    let mut rest = vec![0; u32::from_le_bytes(head[13..17].try_into().expect("four bytes")) as usize - 1];
    stream.read_exact(&mut rest).expect("answered");
    stream
}

/// What is said on it until it is closed.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn an_entry_of_a_copy_with_a_number_that_is_known_is_refused() {
    let server = Host::server("top");
    let top = server.start();
    let mut first = connected(&top, &SENDER);
    first.write_all(&entry(1, 7, &packed("n", 1.0))).expect("sent");
    top.await_value("n", 1);
    drop(first);
    // The same once more is known.
    let mut again = connected(&top, &SENDER);
    again.write_all(&[entry(1, 7, &packed("n", 1.0)), entry(2, 7, &packed("n", 10.0))].concat()).expect("sent");
    top.await_value("n", 11);
    drop(again);
    let mut copy = connected(&top, &SENDER);
    copy.write_all(&entry(2, 8, &packed("n", 100.0))).expect("sent");
    assert!(rest(copy).contains("its entry 2 is another"));
    assert_eq!(top.value("n"), 11);
}

fn peak_of(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.process())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_ascii_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") * 1_024
}

#[test]
fn many_that_send_bombs_at_the_same_time_take_no_more_memory_than_one() {
    const AT_ONCE: usize = 12;
    let server = Host::server("top");
    let top = server.start();
    // 200 MB of zeros each.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for i in 0..1_600u32 {
        let block = 0x2_0000 << 3 | 1 << 1 | u32::from(i == 1_599);
        bomb.extend(&block.to_le_bytes()[..3]);
        bomb.push(0);
    }
    let bomb = &bomb;
    let top_ref = &top;
    scope(|scope| {
        for n in 0..AT_ONCE {
            scope.spawn(move || {
                let stream = format!("x{n}.relay");
                let mut sender = connected(top_ref, &[("stream", &stream), ("host", "x"), ("life", "1")]);
                sender.write_all(&entry(1, 7, bomb)).expect("sent");
                let said = rest(sender);
                assert!(said.contains("unpacks to more than"), "{said}");
            });
        }
    });
    let peak = peak_of(&top) / 1_000_000;
    assert!(peak < 200, "{peak} MB");
}

#[test]
fn names_of_hosts_that_send_nothing_are_forgotten() {
    let server = Host::server("top");
    let top = server.start();
    for n in 0..50 {
        let (stream, host) = (format!("x{n}.relay"), format!("host{n}"));
        drop(connected(&top, &[("stream", &stream), ("host", &host), ("life", "1")]));
    }
    let mut sender = connected(&top, &SENDER);
    sender.write_all(&entry(1, 7, &packed("n", 1.0))).expect("sent");
    top.await_value("graftd,top,relayed,x,connected", 1);
    assert_eq!(top.subtree("graftd,top,relayed").as_object().map(serde_json::Map::len), Some(1));
}
