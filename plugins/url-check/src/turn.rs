//! A turn: all checks, several at a time, within one time for all.

use crate::check::{Check, Outcome};
use fetch::{Room, Task};
use std::time::{Duration, Instant};

/// Does the checks, beginning with number `first`, and gives what came of each that was done, by its number, in that order; within
/// a time that is not less than any check's.
///
/// One for which there is not time enough any more is not begun: the next turn begins with it. Those that are begun have
/// their whole time.
pub(crate) fn turn(checks: &[Check], first: usize, parallel: usize, within: Duration) -> Vec<(usize, Outcome)> {
    let until = Instant::now() + within;
    let room = Room::default();
    let (before, from) = checks.split_at(first.min(checks.len()));
    let mut next = from.iter().chain(before).enumerate().peekable();
    let mut done = Vec::with_capacity(checks.len());
    let begin = || {
        // The first have the whole turn.
        let in_time = |place: usize, check: &Check| place < parallel || Instant::now() + check.timeout <= until;
        let (place, check) = next.next_if(|(place, check)| in_time(*place, check))?;
        let room = &room;
        let task: Task<'_, _> = Box::pin(async move { (place, check.run(room).await) });
        Some(task)
    };
    room.run(parallel, begin, |outcome| done.push(outcome));
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
