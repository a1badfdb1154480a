//! A turn: all checks, several at a time, within one time for all.

use crate::check::{Check, Outcome};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

/// Does the checks, beginning with number `first`, and gives what came of each that was done, by its number, in that order; within
/// a time that is not less than any check's.
///
/// One for which there is not time enough any more is not begun: the next turn begins with it. Those that are begun have
/// their whole time, and when this returns no thread is left.
pub(crate) fn turn(checks: &[Check], first: usize, parallel: usize, within: Duration) -> Vec<(usize, Outcome)> {
    let until = Instant::now() + within;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(checks.len())));
    let work = || {
        loop {
            let place = next.load(Ordering::Acquire);
            let Some(check) = checks.get((first + place) % checks.len()).filter(|_| place < checks.len()) else {
                return;
            };
            // The first have the whole turn.
            if place >= parallel && Instant::now() + check.timeout > until {
                return;
            }
            // Somebody else was faster: look again.
            if next.compare_exchange(place, place + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
                continue;
            }
            let outcome = check.run();
            if let Ok(mut done) = done.lock() {
                done.push((place, outcome));
            }
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..parallel.min(checks.len()))
            // Where there can be no more threads, those that there are do the work, this one at least.
            .map_while(|_| Builder::new().name("graftd-url-check".to_owned()).spawn_scoped(scope, work).ok())
            .collect();
        work();
        for other in others {
            // A scope ends when its threads have done their work; only this waits until they have left the plugin's code too.
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(place, outcome)| ((first + place) % checks.len(), outcome)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use plugin_api::Params;
    use std::net::TcpListener;

    #[test]
    fn what_there_is_no_time_for_comes_first_in_the_next_turn() {
        // Connections wait in its queue, and nobody takes them.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let urls: Vec<_> = (0..7).map(|n| plugin_api::Value::from(format!("{url}{n}").as_str())).collect();
        let params = Params::new().with("urls", urls).with("timeout", "100ms");
        let (checks, _) = config::read(&params).unwrap();
        let (mut first, mut order, mut turns) = (0, Vec::new(), 0);
        while order.len() < 2 * checks.len() {
            let began = Instant::now();
            let done = turn(&checks, first, 2, Duration::from_millis(250));
            assert!(began.elapsed() >= Duration::from_millis(100) && done.len() >= 2 && done.len() < checks.len());
            for (i, outcome) in &done {
                assert!(outcome.error.contains("out of time"), "{}", outcome.error);
                order.push(*i);
            }
            first = (first + done.len()) % checks.len();
            turns += 1;
        }
        let expected: Vec<usize> = (0..checks.len()).cycle().take(order.len()).collect();
        assert_eq!((order, turns > 2), (expected, true));
    }
}
