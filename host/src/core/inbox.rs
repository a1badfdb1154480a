//! The core's queue and its clock, on a thread that sleeps until there is something to do: no timer beside it, for one that is
//! looked after by a runtime wakes it three times a tick.

use super::event::Event;
use crate::limits::{BEAT_LEAD, BEAT_SPREAD};
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

/// When ticks are over: at whole multiples of one since the start. Those that were missed are left out; those that were slept through,
/// because there was nothing to do, are not.
#[derive(Debug)]
pub(super) struct Ticks {
    tick: Duration,
    next: Instant,
    /// How many are slept through from the one under way on, unless something comes.
    sleeps: u32,
}

/// Ticks that were slept through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slept {
    pub(super) ticks: u32,
    /// How long ago the last of them was over.
    pub(super) ago: Duration,
}

impl Ticks {
    /// The first one begins at that moment.
    pub(super) fn new(tick: Duration, began: Instant) -> Ticks {
        Ticks { tick, next: began + tick, sleeps: 0 }
    }

    /// When the one under way is over, or those that are slept through and the one after them.
    pub(super) fn next(&self) -> Instant {
        self.next + self.tick * self.sleeps
    }

    /// Some are to be slept through.
    pub(super) fn are_slept_through(&self) -> bool {
        self.sleeps > 0
    }

    /// A collector's delta has ended a sleep: how long until those of the others are there, which have one beat. That is shortly before
    /// the end of a tick, by which they are all told.
    pub(super) fn until_all_have_come(&self, now: Instant) -> Duration {
        let lead = BEAT_LEAD.min(self.tick / 10);
        let over = self.next.saturating_duration_since(now);
        if over <= lead { over } else { BEAT_SPREAD.min(self.tick / 10) }
    }

    /// There is nothing to do for so long from now on: ticks that are over before are slept through.
    pub(super) fn sleep(&mut self, span: Duration, now: Instant) {
        let ticks = (now + span).saturating_duration_since(self.next).as_nanos().div_ceil(self.tick.as_nanos().max(1));
        self.sleeps = u32::try_from(ticks).unwrap_or(u32::MAX);
    }

    /// It is awake: what has been slept through.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Slept> {
        if self.sleeps == 0 {
            return None;
        }
        let late = now.checked_duration_since(self.next);
        let over = late.map_or(0, |late| late.as_nanos() / self.tick.as_nanos().max(1) + 1);
        let slept = std::mem::take(&mut self.sleeps).min(u32::try_from(over).unwrap_or(u32::MAX));
        self.next += self.tick * slept;
        (slept > 0).then(|| Slept { ticks: slept, ago: now.saturating_duration_since(self.next - self.tick) })
    }

    /// Whether one is over; then the next is under way.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let Some(late) = now.checked_duration_since(self.next) else { return false };
        let missed = late.as_nanos() / self.tick.as_nanos().max(1);
        let after = self.tick.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX)) + self.tick;
        self.next += after;
        self.sleeps = 0;
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
    fn ticks_are_slept_through_until_something_comes() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let slept = |ticks, ms| Some(Slept { ticks, ago: Duration::from_millis(ms) });
        let mut ticks = Ticks::new(SECOND, began);
        // What is to be done at 3.5 s is done when the tick is over that ends then.
        ticks.sleep(Duration::from_millis(3_400), at(100));
        assert_eq!(ticks.next(), at(4_000));
        assert_eq!(ticks.wake(at(4_000)), slept(3, 1_000));
        assert!(ticks.is_over(at(4_000)));
        assert_eq!(ticks.next(), at(5_000));
        // Something comes: the ticks that were over by then have been, and the one under way is over in time.
        ticks.sleep(10 * SECOND, at(4_000));
        assert_eq!(ticks.wake(at(7_300)), slept(3, 300));
        assert!(!ticks.is_over(at(7_300)));
        assert_eq!(ticks.next(), at(8_000));
        assert_eq!(ticks.wake(at(7_400)), None);
        // Too short to sleep, and held up for longer than it was to sleep.
        ticks.sleep(Duration::from_millis(500), at(7_400));
        assert_eq!(ticks.next(), at(8_000));
        ticks.sleep(2 * SECOND, at(7_400));
        assert_eq!(ticks.wake(at(20_500)), slept(2, 11_500));
        assert!(ticks.is_over(at(20_500)));
        assert_eq!(ticks.next(), at(21_000));
        // A tick that is over before it comes to sleep is one all the same, and who is awake for it is not asleep.
        ticks.sleep(10 * SECOND, at(21_500));
        assert!(ticks.is_over(at(21_600)));
        assert_eq!((ticks.next(), ticks.are_slept_through()), (at(22_000), false));
    }

    #[test]
    fn who_is_woken_by_a_beat_waits_for_the_end_of_its_tick() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let mut ticks = Ticks::new(SECOND, began);
        ticks.sleep(10 * SECOND, at(0));
        assert_eq!(ticks.wake(at(8_975)), Some(Slept { ticks: 8, ago: Duration::from_millis(975) }));
        assert_eq!(ticks.until_all_have_come(at(8_975)), Duration::from_millis(25));
        // Another beat than that of ticks.
        assert_eq!(ticks.until_all_have_come(at(8_500)), BEAT_SPREAD);
        // It was held up, and the tick is over.
        assert_eq!(ticks.until_all_have_come(at(9_002)), Duration::ZERO);
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
