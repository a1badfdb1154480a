//! Exactly once, whatever dies at whatever moment.

use super::{Host, LOG, Log, await_sums, lasting, sum};
use graftd_tests::{Daemon, graftd};
use serde_json::json;
use std::thread::sleep;
use std::time::Duration;

/// Numbers that look like chance and are the same each time (splitmix64, Steele, Lea, Flood 2014).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A little for each run of the tests, all of it where there is time.
pub(super) fn turns(little: u64, all: u64) -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { all } else { little }
}

/// The history ends as the tree does, wherever it was killed.
#[track_caller]
fn check(host: &Host) {
    graftd(["trend", "check", "--data", &host.folders.root().join("data").display().to_string()]).good();
}

/// Ends a daemon, one way or the other, and starts it anew.
pub(super) fn again(host: &Host, daemon: &mut Option<Daemon>, chance: &mut Chance) {
    let ending = daemon.take().expect("it runs");
    if chance.below(5) == 0 {
        let ended = ending.stop();
        assert_eq!(ended.code(), Some(0), "{}: {ended}", host.name);
    } else {
        ending.kill();
    }
    if chance.below(3) == 0 {
        check(host);
    }
    *daemon = Some(host.start());
}

/// Does something to a server, a relay and an agent, or to the agent's log: of eight times so many kill one of them, and others up to
/// six cut a connection.
pub(super) fn meddle(
    hosts: [&Host; 3],
    daemons: &mut [Option<Daemon>; 3],
    kills: u64,
    log: &mut Log,
    chance: &mut Chance,
) {
    match chance.below(8) {
        deed if deed < kills => {
            let which = chance.below(3) as usize;
            again(hosts[which], &mut daemons[which], chance);
        }
        0..6 => {
            let which = chance.below(2) as usize;
            hosts[which].wire.as_ref().expect("it receives").snap();
        }
        6 => {
            let which = chance.below(3) as usize;
            let daemon = daemons[which].as_ref().expect("it runs");
            daemon.pause();
            sleep(Duration::from_millis(chance.below(600)));
            daemon.resume();
        }
        _ => log.turn_over(),
    }
    // The moment is to be any.
    sleep(Duration::from_millis(chance.below(250)));
}

#[test]
fn each_line_counts_once_at_the_end_of_a_chain_whatever_dies() {
    let server = Host::server("top");
    let middle = Host::server("middle").sends_to(&[&server], "");
    let agent = Host::agent("leaf").sends_to(&[&middle], "");
    let hosts = [&server, &middle, &agent];
    let mut daemons = hosts.map(|host| Some(host.start()));
    let mut log = Log::of(&agent);
    let mut chance = Chance(7);
    for _ in 0..turns(30, 400) {
        log.write(1 + chance.below(400));
        meddle(hosts, &mut daemons, 3, &mut log, &mut chance);
    }
    let [server, middle, leaf] = daemons.map(|daemon| daemon.expect("it runs"));
    leaf.push(&json!([{"gauge": {"temperature": 21.5, "state": "warm"}, "defaultaction": "last"}]));
    println!("{} lines, the sum of their numbers is {}", log.lines, sum(log.lines));
    for daemon in [&leaf, &middle, &server] {
        await_sums(daemon, LOG, (log.lines, sum(log.lines)));
    }
    server.await_value("gauge,state", "warm");
    for daemon in [&middle, &server] {
        assert_eq!(lasting(daemon, LOG), lasting(&leaf, LOG));
        assert_eq!(daemon.subtree("gauge"), leaf.subtree("gauge"));
    }
    let times = server.subtree(&format!("{LOG},request_time,2xx"));
    assert_eq!(times[""]["count"], log.lines as f64, "{times}");
    assert!(!server.stderr().contains("ERROR"), "{}", server.stderr());
}

#[test]
fn a_server_that_reads_a_log_and_receives_counts_each_once_whenever_it_is_killed() {
    let mut server = Host::agent("top");
    server.wire = Some(super::Wire::new());
    server.settings = "commit = \"300ms\"\nrelay = \"127.0.0.1:0\"".to_owned();
    let agents = ["west", "east"].map(|name| Host::agent(name).sends_to(&[&server], &format!("prefix = {name:?}")));
    let mut logs = [Log::of(&server), Log::of(&agents[0]), Log::of(&agents[1])];
    let senders = [agents[0].start(), agents[1].start()];
    let mut daemon = Some(server.start());
    let mut chance = Chance(3);
    for _ in 0..turns(15, 200) {
        for log in &mut logs {
            log.write(1 + chance.below(500));
            if chance.below(3) == 0 {
                log.turn_over();
                log.write(chance.below(50));
            }
        }
        sleep(Duration::from_millis(chance.below(500)));
        if let Some(killed) = daemon.take() {
            killed.kill();
        }
        check(&server);
        daemon = Some(server.start());
    }
    let daemon = daemon.expect("it runs");
    for (log, branch) in logs.iter().zip([LOG, "west,shop", "east,shop"]) {
        await_sums(&daemon, branch, (log.lines, sum(log.lines)));
    }
    for (sender, name) in senders.iter().zip(["west", "east"]) {
        assert_eq!(lasting(&daemon, &format!("{name},{LOG}")), lasting(sender, LOG));
    }
    assert_eq!(daemon.stop().code(), Some(0));
    check(&server);
}
