//! An agent that has little to send.

use super::Host;
use graftd_tests::{Daemon, PATIENCE};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What an acknowledgement has, in bytes.
const ACKNOWLEDGED: usize = 13;

/// Bytes that have come from a port and that nobody has read: the system's own figure.
fn unread(daemon: &Daemon, port: u16) -> usize {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", daemon.process())).expect("a table of connections");
    let from = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.len() > 4 && row[2].ends_with(&from) && row[3] == "01");
    let queues = rows.next().and_then(|row| row[4].split_once(':').map(|(_, unread)| unread.to_owned()));
    queues.map_or(0, |unread| usize::from_str_radix(&unread, 16).expect("a number"))
}

#[test]
fn what_an_agent_at_rest_is_told_wakes_nobody_and_counts_when_its_relay_ends() {
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], "");
    let top = server.start();
    let leaf = agent.builder().tick(Duration::from_millis(100)).arg("--role").arg("agent").start();
    let port = server.wire.as_ref().expect("a wire").address().port();
    // What it tells of itself is all that it has to send: an entry at each commit, which are ten seconds apart.
    let began = Instant::now();
    let mut looks = 0;
    while looks < 10 {
        assert!(
            began.elapsed() < 2 * PATIENCE,
            "it hears each at once: {}",
            leaf.value("graftd,leaf,relay,relay,acknowledged")
        );
        looks = if unread(&leaf, port) == ACKNOWLEDGED { looks + 1 } else { 0 };
        sleep(Duration::from_millis(100));
    }
    assert!(top.value("graftd,top,relayed,leaf,entries").as_i64().is_some_and(|entries| entries > 0));
    let database = rusqlite::Connection::open(agent.folders.root().join("data/graftd.db")).expect("a database");
    let spooled = || -> i64 {
        database.query_row("SELECT count(*) FROM spool WHERE peer IS NOT NULL", [], |row| row.get(0)).expect("a number")
    };
    assert_eq!(spooled(), 1);
    fs::rename(leaf.conf("relay.on"), leaf.conf("relay.off")).expect("switched off");
    let began = Instant::now();
    while spooled() > 0 {
        assert!(began.elapsed() < PATIENCE, "it was acknowledged, and waits for that");
        sleep(Duration::from_millis(50));
    }
}
