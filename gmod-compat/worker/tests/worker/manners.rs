//! What a module may do to its process without harm.

use crate::driver::{module, setup};

#[test]
fn prints_threads_signals_and_closed_descriptors_harm_nothing() {
    let (mut worker, _) = setup(&module("manners.py")).run();
    let sample = worker.collect(0);
    assert_eq!(sample.fault(), "");
    for (name, expect) in
        [("ticks", "1"), ("out", "2"), ("signals", "1"), ("child", "7"), ("fork", "3"), ("opens", "0"), ("flood", "1")]
    {
        assert_eq!(sample.entries.get(&format!("me,{name}")).map(String::as_str), Some(expect), "{name}");
    }
    // Its thread runs on while there are no orders.
    let more = |worker: &mut crate::driver::Worker, second| -> f64 {
        worker.collect(second).entries["me,between"].parse().expect("a number")
    };
    more(&mut worker, 10);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let mut second = 20;
    while more(&mut worker, second) < 1.0 {
        assert!(std::time::Instant::now() < until, "its thread stands still");
        second += 10;
    }
    // A thread that never ends does not hold its end.
    let (status, words) = worker.end();
    assert!(status.success(), "{status}");
    for word in ["init\n", "no end of line", "caf\u{e9} \\udce9 after all that\n", "cleanup\n", "at exit\n"] {
        assert!(words.contains(word), "{word:?}");
    }
    assert!(!words.contains("to descriptor 1"));
}

#[test]
fn a_daemon_that_is_gone_ends_it() {
    let (worker, _) = setup(&module("manners.py")).run();
    let (status, words) = worker.end();
    assert!(status.success() && words.contains("cleanup\n"), "{status} {words}");
}

#[test]
fn nonsense_ends_it() {
    let (mut worker, _) = setup(&module("descriptors.py")).run();
    worker.say(gmod_compat::protocol::wire::tag::FLUSH, &[0; 16]);
    assert!(worker.hear_if_any().is_none());
    let (status, words) = worker.ended();
    assert_eq!(status.code(), Some(1));
    assert!(words.contains("an order that this module cannot follow"), "{words}");
}
