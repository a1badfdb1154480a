//! One pipe is swapped between two builds, thousands of times, while lines stream through all of them.

use super::{load, mapped, much};
use graftd_tests::{Daemon, Held, held, plugin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PIPES: [&str; 9] =
    ["browser", "bytes", "error", "os", "request-time", "status", "upstream-time", "url", "visitors"];

/// The growth of memory that is let pass, in bytes, between the first thousand swaps and the last.
const GROWTH: u64 = 5 * 1024 * 1024;
/// The same where there are no thousands: what all pipes hold under such a stream settles within a minute. A library that stays
/// (half a megabyte at each swap) shows by its name.
const GROWTH_UNSETTLED: u64 = 100 * 1024 * 1024;

#[test]
fn swaps_under_load_lose_nothing_and_leak_nothing() {
    let swaps = much(60, 10_000);
    let warm = swaps / 10;
    // Commits take memory of their own: the first figure is to know them too.
    let settings = "commit = \"200ms\"";
    let daemon = Daemon::builder().plugins(&PIPES).tick(Duration::from_millis(50)).settings(settings).start();
    let builds = [("a", plugin("numbered-a")), ("b", plugin("numbered-b"))];
    daemon.put_plugin("numbered.so", &builds[0].1);
    for name in PIPES.iter().chain(&["numbered"]) {
        daemon.await_state(name, "running");
    }
    let stop = AtomicBool::new(false);
    let mut figures: Vec<Held> = Vec::new();
    let began = Instant::now();
    let sent = std::thread::scope(|scope| {
        let streaming = scope.spawn(|| load::stream(&daemon, || !stop.load(Ordering::Acquire)));
        // Whatever goes wrong here, the stream ends with it.
        let _end = End(&stop);
        let hits = |build: &str| daemon.value(&format!("numbered,build,{build}")).as_f64().unwrap_or(0.0);
        daemon.await_change("numbered,build", |_| (hits("a") > 0.0).then_some(()));
        for swap in 1..=swaps {
            let (build, file) = &builds[(swap % 2) as usize];
            let before = hits(build);
            daemon.put_plugin("numbered.so", file);
            // It is in when it has counted.
            daemon.await_change("numbered,build", |_| (hits(build) > before).then_some(()));
            if swap == warm {
                figures.push(held(daemon.process()));
            }
        }
        // What is dropped is dropped by a thread of its own.
        let last = daemon.await_change("numbered,build", |daemon| {
            let (now, first) = (held(daemon.process()), &figures[0]);
            let no_more = now.threads <= first.threads && now.descriptors <= first.descriptors;
            (no_more && mapped(daemon.process(), "/numbered-").len() == 1).then_some(now)
        });
        figures.push(last.found);
        drop(_end);
        streaming.join().expect("the stream")
    });
    let each = began.elapsed() / u32::try_from(swaps).expect("few");
    let (first, last) = (figures[0], figures[1]);
    println!("{swaps} swaps, {each:?} each; after {warm}: {first:?}; after all: {last:?}");
    sent.check(&daemon);
    let growth = much(GROWTH_UNSETTLED, GROWTH);
    assert!(last.rss <= first.rss + growth, "memory grew from {} to {}", first.rss, last.rss);
}

/// Ends the stream when it is dropped.
struct End<'s>(&'s AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
