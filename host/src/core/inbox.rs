//! The core's queue and its clock, on a thread that sleeps until there is something to do: no timer beside it, for one that is
//! looked after by a runtime wakes it three times a tick.

use super::event::Event;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The queue of events, on the thread that takes them out.
#[derive(Debug)]
pub(super) struct Inbox {
    events: mpsc::Receiver<Event>,
    waker: Waker,
}

/// Wakes the thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Inbox {
    /// For this thread.
    pub(super) fn new(events: mpsc::Receiver<Event>) -> Inbox {
        Inbox { events, waker: Waker::from(Arc::new(Unpark(thread::current()))) }
    }

    /// The next event, waited for until then; `Some(None)` when nobody is left who could send one.
    pub(super) fn wait(&mut self, until: Instant) -> Option<Option<Event>> {
        let mut context = Context::from_waker(&self.waker);
        loop {
            if let Poll::Ready(event) = self.events.poll_recv(&mut context) {
                return Some(event);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }
}

/// When ticks are over: at whole multiples of one since the start. Those that were missed are left out.
#[derive(Debug)]
pub(super) struct Ticks {
    tick: Duration,
    next: Instant,
}

impl Ticks {
    /// The first one begins at that moment.
    pub(super) fn new(tick: Duration, began: Instant) -> Ticks {
        Ticks { tick, next: began + tick }
    }

    /// When the one under way is over.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether one is over; then the next is under way.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let Some(late) = now.checked_duration_since(self.next) else { return false };
        let missed = late.as_nanos() / self.tick.as_nanos().max(1);
        let after = self.tick.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX)) + self.tick;
        self.next += after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Events;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ticks_keep_their_beat_and_missed_ones_are_left_out() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let mut ticks = Ticks::new(SECOND, began);
        let over: Vec<bool> =
            [0, 999, 1_000, 1_001, 2_400, 2_500, 5_700, 5_999, 6_000].map(|ms| ticks.is_over(at(ms))).into();
        assert_eq!(over, [false, false, true, false, true, false, true, false, true]);
        assert_eq!(ticks.next(), at(7_000));
    }

    #[test]
    fn an_event_wakes_the_thread_before_its_time_and_nothing_wakes_it_after() {
        let (events, queue) = Events::new(1);
        let mut inbox = Inbox::new(queue);
        let began = Instant::now();
        assert!(inbox.wait(began + Duration::from_millis(20)).is_none());
        assert!(began.elapsed() >= Duration::from_millis(20));
        let sent = thread::spawn(move || events.send(Event::Files));
        assert!(matches!(inbox.wait(began + 60 * SECOND), Some(Some(Event::Files))));
        assert!(sent.join().unwrap());
        // All senders are gone.
        assert!(matches!(inbox.wait(began + 60 * SECOND), Some(None)));
        assert!(began.elapsed() < 60 * SECOND);
    }
}
