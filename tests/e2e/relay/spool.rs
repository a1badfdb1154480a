//! What waits while nobody receives.

use super::{Host, LOG, Log, await_lines, figure};
use graftd_tests::Daemon;
use serde_json::json;

#[test]
fn what_waits_for_a_receiver_stays_within_its_limit_and_nothing_of_it_is_lost() {
    const LIMIT: f64 = 65_536.0;
    let server = Host::server("top");
    let agent = Host::agent("leaf")
        .sends_to(&[&server], "spool = \"64KiB\"\nevery = \"100ms\"".replace("\nevery = \"100ms\"", "").as_str());
    server.wire.as_ref().expect("it receives").cut();
    let leaf = agent.start();
    let mut log = Log::of(&agent);
    // Entries until they are folded into each other.
    leaf.await_change("graftd,leaf", |leaf| {
        log.write(50);
        let bytes = figure(leaf, "leaf", "bytes");
        assert!(bytes <= LIMIT, "{bytes}");
        (figure(leaf, "leaf", "folded") > 0.0).then_some(())
    });
    assert_eq!(figure(&leaf, "leaf", "dropped"), 0.0);
    leaf.kill();
    let leaf = agent.start();
    log.write(50);
    let top = server.start();
    server.wire.as_ref().expect("it receives").mend();
    await_lines(&top, LOG, log.lines);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "queued") < 5.0).then_some(()));
    assert_eq!(super::lasting(&top, LOG), super::lasting(&leaf, LOG));
}

#[test]
fn what_cannot_be_folded_is_dropped_and_counted() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "spool = \"64KiB\"");
    server.wire.as_ref().expect("it receives").cut();
    let leaf = agent.start();
    let mut pushed = 0;
    leaf.await_change("graftd,leaf", |leaf| {
        // Paths that nobody else has, and that zstd cannot make smaller.
        let keys: serde_json::Map<_, _> = (0..300).map(|i| (scramble(pushed * 1_000 + i), json!(1))).collect();
        leaf.push(&json!({"keys": keys}));
        pushed += 1;
        (figure(leaf, "leaf", "dropped") > 2.0).then_some(())
    });
    assert!(figure(&leaf, "leaf", "bytes") <= 65_536.0);
    // At least what was pushed at once.
    assert!(figure(&leaf, "leaf", "dropped_leaves") >= 300.0);
    let said = leaf.stderr();
    for begins in ["the oldest are folded into each other", "the oldest are dropped"] {
        assert!(said.matches(begins).count() <= 1, "{said}");
    }
    let full = "WARN the relay relay: its spool is full (65536 bytes, or ";
    assert!(said.contains(full) && said.contains("the oldest are dropped"), "{said}");
    let top = server.start();
    server.wire.as_ref().expect("it receives").mend();
    leaf.push(&json!({"last": 1}));
    top.await_value("last", 1);
    let (there, here) = (sum(&top), sum(&leaf));
    assert!(there > 0.0 && there < here, "{there} of {here}");
}

fn sum(daemon: &Daemon) -> f64 {
    daemon.value("keys").as_f64().unwrap_or(0.0)
}

fn scramble(n: u64) -> String {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    format!("{z:016x}{:016x}", z.wrapping_mul(0x94d0_49bb_1331_11eb))
}

#[test]
fn another_receiver_takes_over_and_what_the_first_may_have_counted_waits_for_it() {
    let [first, second] = ["first", "second"].map(Host::server);
    let agent = Host::agent("leaf").sends_to(&[&first, &second], "");
    let [mut one, two] = [&first, &second].map(Host::start);
    let leaf = agent.start();
    let mut log = Log::of(&agent);
    let all = |one: &Daemon, two: &Daemon| {
        let (a, b) = (super::counted(one, LOG), super::counted(two, LOG));
        (a.0 + b.0, a.1 + b.1)
    };
    for _ in 0..5 {
        log.write(300);
        one.await_change(LOG, |one| (super::counted(one, LOG).0 > 0).then_some(()));
        one.kill();
        log.write(300);
        leaf.await_change("graftd,leaf", |leaf| {
            let to = leaf.value("graftd,leaf,relay,relay,to");
            (to.as_str()?.starts_with("second") && figure(leaf, "leaf", "since") > 0.0).then_some(())
        });
        log.write(300);
        one = first.start();
        // Back to the first, which says what it has of what was promised to it.
        second.wire.as_ref().expect("it receives").snap();
        leaf.await_change("graftd,leaf", |leaf| {
            let to = leaf.value("graftd,leaf,relay,relay,to");
            (to.as_str()?.starts_with("first") && figure(leaf, "leaf", "since") > 0.0).then_some(())
        });
    }
    let wanted = (log.lines, super::sum(log.lines));
    leaf.await_change("graftd,leaf", |_| {
        let found = all(&one, &two);
        assert!(found.0 <= wanted.0 && found.1 <= wanted.1, "{found:?} is more than {wanted:?}");
        (found == wanted).then_some(())
    });
}

#[test]
fn a_copied_data_folder_is_noticed_and_refused_until_it_is_renewed() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let top = server.start();
    let leaf = agent.start();
    leaf.push(&json!({"n": 1}));
    top.await_value("n", 1);
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "acknowledged") > 0.0).then_some(()));
    leaf.kill();
    let copy = Host::agent("copy").sends_to(&[&server], "");
    for entry in std::fs::read_dir(agent.folders.root().join("data")).expect("a folder").flatten() {
        if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), copy.folders.root().join("data").join(entry.file_name())).expect("copied");
        }
    }
    let leaf = agent.start();
    leaf.push(&json!({"n": 1}));
    top.await_value("n", 2);
    // Both at the same time.
    let error = |daemon: &Daemon, host: &str| daemon.value(&format!("graftd,{host},relay,relay,error"));
    let twin = copy.start();
    twin.await_change("graftd,copy", |twin| {
        error(twin, "copy").as_str().filter(|why| why.contains("another sender with the same id")).map(drop)
    });
    // And one after the other.
    leaf.await_change("graftd,leaf", |leaf| (figure(leaf, "leaf", "queued") < 2.0).then_some(()));
    leaf.kill();
    twin.push(&json!({"n": 10}));
    twin.await_change("graftd,copy", |twin| {
        error(twin, "copy").as_str().filter(|why| why.contains("was copied") && why.contains("relay renew")).map(drop)
    });
    assert_eq!(twin.stop().code(), Some(0));
    let data = copy.folders.root().join("data").display().to_string();
    graftd_tests::graftd(["relay", "renew", "--data", &data]).good();
    let twin = copy.start();
    twin.push(&json!({"n": 100}));
    top.await_value("n", 102);
}
