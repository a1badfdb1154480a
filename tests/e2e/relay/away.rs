//! The server is away for an hour: what waits stays within its limit, is there soon when the server is back, and all of it.
//!
//! An hour of an agent that commits each second are 3,600 entries. Here a commit is asked for after each document, so they come as
//! fast as the disk takes them: 3,600 in the long run, a tenth of that otherwise.

use super::exact::turns;
use super::{Host, figure};
use graftd_tests::Daemon;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Counters and gauges that change each second.
const COUNTERS: u64 = 60;
const GAUGES: u64 = 60;

/// How long it may take until all is there: a sender's longest pause before it connects anew is in it.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// What happens in a second: each counter grows, each gauge is another.
fn second(n: u64) -> Value {
    let counters: Map<_, _> = (0..COUNTERS).map(|key| (format!("k{key}"), json!(grows(key, n)))).collect();
    let mut gauges: Map<_, _> = (0..GAUGES).map(|key| (format!("g{key}"), json!((n * 31 + key) % 1_009))).collect();
    gauges.insert("defaultaction".to_owned(), json!("last"));
    json!({"counters": counters, "gauges": gauges})
}

/// By how much a counter grows in a second.
fn grows(counter: u64, n: u64) -> u64 {
    1 + (counter * 7 + n * 13) % 97
}

/// Waits until the server holds what the agent counted, and checks that by what was told.
fn check(server: &Daemon, agent: &Daemon, seconds: u64, began: Instant) {
    server.await_change("last", |server| {
        assert!(
            began.elapsed() < CATCH_UP_MAX,
            "{} is not all after {:?}",
            server.subtree("counters"),
            began.elapsed()
        );
        (server.value("last") == 1).then_some(())
    });
    let found = server.subtree("counters");
    for key in 0..COUNTERS {
        let sum: u64 = (0..seconds).map(|n| grows(key, n)).sum();
        assert_eq!(found[format!("k{key}")], sum as f64, "counter {key}");
    }
    assert_eq!(server.subtree("gauges"), agent.subtree("gauges"));
    let last = second(seconds - 1);
    assert_eq!(server.value("gauges,g7"), last["gauges"]["g7"].as_f64().unwrap_or(-1.0));
}

/// The server is away for so long; what the spool came to.
fn away(spool: &str, limit: f64, holds_all: bool) {
    let seconds = turns(360, 3_600);
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], &format!("spool = {spool:?}"));
    let top = server.start();
    let leaf = agent.builder().arg("--role").arg("agent").start();
    // They have met; then it goes.
    leaf.push(&json!({"first": 1}));
    top.await_value("first", 1);
    server.wire.as_ref().expect("it receives").cut();
    let began = Instant::now();
    let mut most = 0.0_f64;
    for n in 0..seconds {
        let answer = leaf.post("/push?wait=commit", "application/json", second(n).to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        if n % 20 == 0 {
            most = most.max(figure(&leaf, "leaf", "bytes"));
            assert!(most <= limit, "{most} bytes");
        }
    }
    leaf.close_tick();
    leaf.post("/push?wait=commit", "application/json", b"{\"last\":1}").good();
    leaf.close_tick();
    let of = |name: &str| figure(&leaf, "leaf", name);
    println!(
        "{spool}: {seconds} entries within {:.1} s; {} wait, {} bytes, {} were folded",
        began.elapsed().as_secs_f64(),
        of("queued"),
        of("bytes"),
        of("folded")
    );
    assert!(most.max(of("bytes")) <= limit);
    assert_eq!(of("dropped"), 0.0);
    assert_eq!((of("folded") == 0.0, of("queued") >= seconds as f64), (holds_all, holds_all));
    let back = Instant::now();
    server.wire.as_ref().expect("it receives").mend();
    check(&top, &leaf, seconds, back);
    println!("{spool}: all is there after {:.1} s", back.elapsed().as_secs_f64());
}

#[test]
fn an_hour_of_deltas_waits_and_is_there_within_a_minute() {
    away("256MiB", 256.0 * 1024.0 * 1024.0, true);
}

#[test]
fn an_hour_of_deltas_is_folded_where_the_limit_is_small_and_sums_are_exact() {
    away("64KiB", 64.0 * 1024.0, false);
}
