//! A turn: all checks, several at a time, within one time for all.

use crate::check::{Check, Outcome};
use plugin_api::Error;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Does the checks, beginning with number `first`, and gives what came of each that was done, by its number, in that order; within
/// a time that is not less than any check's.
///
/// It is done by threads of its own, never by the caller's: std notes on a thread what has to be cleaned up in this plugin when
/// that ends, and the plugin may be gone by then.
///
/// One for which there is not time enough any more is not begun: the next turn begins with it. Those that are begun have
/// their whole time, and when this returns no thread is left.
pub(crate) fn turn(
    checks: &Arc<Vec<Check>>,
    first: usize,
    parallel: usize,
    within: Duration,
) -> Result<Vec<(usize, Outcome)>, Error> {
    let turn = Arc::new(Turn {
        checks: Arc::clone(checks),
        first,
        free: parallel,
        until: Instant::now() + within,
        next: AtomicUsize::new(0),
        done: Mutex::new(Vec::with_capacity(checks.len())),
    });
    let mut workers = Vec::new();
    for _ in 0..parallel.min(checks.len()) {
        let its = Arc::clone(&turn);
        match Builder::new().name("graftd-url-check".to_owned()).spawn(move || its.work()) {
            Ok(worker) => workers.push(worker),
            // Those that there are do the work.
            Err(_) if !workers.is_empty() => break,
            Err(error) => return Err(Error::failed(format_args!("no thread can be started: {error}"))),
        }
    }
    for worker in workers {
        // Until it has left the plugin's code.
        if let Err(panic) = worker.join() {
            resume_unwind(panic);
        }
    }
    let mut done = turn.done.lock().map(|mut done| std::mem::take(&mut *done)).unwrap_or_default();
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(place, outcome)| ((first + place) % checks.len(), outcome)).collect())
}

struct Turn {
    checks: Arc<Vec<Check>>,
    first: usize,
    /// So many are begun however long they may take.
    free: usize,
    until: Instant,
    next: AtomicUsize,
    done: Mutex<Vec<(usize, Outcome)>>,
}

impl Turn {
    fn work(&self) {
        loop {
            let place = self.next.load(Ordering::Acquire);
            let count = self.checks.len();
            let Some(check) = self.checks.get((self.first + place) % count).filter(|_| place < count) else { return };
            if place >= self.free && Instant::now() + check.timeout > self.until {
                return;
            }
            // Somebody else was faster: look again.
            if self.next.compare_exchange(place, place + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
                continue;
            }
            let outcome = check.run();
            if let Ok(mut done) = self.done.lock() {
                done.push((place, outcome));
            }
        }
    }
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
        let checks = Arc::new(checks);
        let (mut first, mut order, mut turns) = (0, Vec::new(), 0);
        while order.len() < 2 * checks.len() {
            let began = Instant::now();
            let done = turn(&checks, first, 2, Duration::from_millis(250)).unwrap();
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
