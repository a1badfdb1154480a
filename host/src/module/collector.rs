//! A collector's thread: it samples on its interval, and tells the core what it found or why not.

use super::body::CollectorBody;
use super::branch::Branch;
use super::dispose::Disposer;
use super::fault::FaultKind;
use super::fence::{Age, Callee, Desk, Doing, UnderWay, spawn_known};
use crate::clock::{Timepiece, thread_cpu};
use crate::core::{Delta, Event, Events, Report};
use crate::limits::{BACKOFF_MAX, BEAT_LEAD, BEAT_STEP, BEAT_STEPS};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A collector that is ready to run.
#[derive(Debug)]
pub struct Collecting {
    pub(crate) callee: Arc<Callee>,
    pub(crate) collector: CollectorBody,
    pub(crate) branch: Branch,
    pub(crate) every: Duration,
    /// It is asked on its interval alone: no second sample after a tick, and no longer pause for what fails.
    pub(crate) keeps_its_beat: bool,
}

/// What a collector's thread needs of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    pub(crate) tick: Duration,
    pub(crate) clock: Timepiece,
    pub(crate) events: Events,
    pub(crate) disposer: Disposer,
    /// Of all that are started, the how manieth it is.
    pub(crate) number: u32,
}

/// A running collector; stopping it, or dropping this, ends its thread after the call under way.
#[derive(Debug)]
pub(crate) struct CollectorThread {
    stop: Option<Sender<()>>,
    desk: Arc<Desk<()>>,
    age: Age,
    every: Duration,
}

impl CollectorThread {
    /// Looks whether the thread is in a call, and for how long; `apart` is the time between two looks.
    pub(crate) fn watch(&mut self, apart: Duration, now: Instant) -> Option<(UnderWay, Duration)> {
        let call = self.desk.under_way();
        let age = self.age.look(call.as_ref(), apart, now);
        call.map(|call| (call, age))
    }

    /// Leaves the thread behind, if that call is still under way: it ends when it comes back, should it ever.
    pub(crate) fn give_up(&self, call: &UnderWay) -> bool {
        self.desk.take_over(call).is_some()
    }

    /// Ends it after the call under way.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Whether it is in a call.
    pub(crate) fn is_in_a_call(&self) -> bool {
        self.desk.under_way().is_some()
    }

    /// Its interval.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }
}

impl Collecting {
    pub(crate) fn start(self, around: Around) -> io::Result<CollectorThread> {
        let (stop, stopped) = channel::<()>();
        let desk = Arc::new(Desk::default());
        let (at_desk, every) = (Arc::clone(&desk), self.every);
        let thread = format!("graftd-{}", self.callee.module.chars().take(8).collect::<String>());
        let (own, disposer) = (Arc::clone(&self.callee), around.disposer.clone());
        let (hand, handed) = channel();
        let started = spawn_known(&thread, Box::new(self), move |collecting| {
            let Around { tick, clock, events, disposer, number } = around;
            let Collecting { callee, mut collector, branch, every, keeps_its_beat } = *collecting;
            let first = Some(tick).filter(|_| !keeps_its_beat);
            let ends = first.map(|tick| TickEnds::new(tick, clock.began(), number));
            let mut schedule = Schedule { next: Instant::now(), every, first, ends, failures: 0 };
            loop {
                let wait = schedule.next.saturating_duration_since(Instant::now());
                if !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
                let (turn, began, cpu) = (schedule.next, Instant::now(), thread_cpu());
                let mut frame = Vec::new();
                let called = at_desk
                    .call(Box::new(()), &callee, Doing::Collect, began, || collector.collect(clock.now(), &mut frame));
                // Given up: another life of the module has taken over, and this one's sample is nobody's.
                let Some((_, result)) = called else { break };
                callee.stats.called();
                callee.stats.cpu(thread_cpu().saturating_sub(cpu) + collector.spent_apart().unwrap_or_default());
                let now = Instant::now();
                if let Some(by) = lateness(turn, began, now, every, tick) {
                    callee.stats.late(by);
                }
                let fault = result.err();
                let failed = fault.as_ref().is_some_and(|fault| fault.kind != FaultKind::NoData);
                if failed {
                    callee.stats.failed();
                }
                let pause = schedule.after(failed && !keeps_its_beat, now);
                let next_ms = failed.then(|| clock.unix_ms() + pause.as_millis() as i64);
                let frames = if frame.is_empty() { Vec::new() } else { vec![(branch.clone(), frame)] };
                let report = Report { callee: Arc::clone(&callee), fault, next_ms, rolled_back: false, log: None };
                if !events.send(Event::Delta(Delta { frames, report: Some(report), ..Delta::default() })) {
                    break;
                }
            }
            // A thread may have notes of what the library's code is to do when it ends, so it ends before that goes.
            disposer.dispose_after(handed.recv().ok(), callee, collector);
        });
        match started {
            // It waits for this at its end.
            Ok(thread) => drop(hand.send(thread)),
            Err((error, unused)) => {
                // Dropping it is its code, and not for whoever is here.
                disposer.dispose(own, unused);
                return Err(error);
            }
        }
        Ok(CollectorThread { stop: Some(stop), desk, age: Age::default(), every })
    }
}

/// By how much a sample came later than it should have: begun more than a tick after its turn, or not over when the next
/// one's turn was.
fn lateness(turn: Instant, began: Instant, ended: Instant, every: Duration, tick: Duration) -> Option<Duration> {
    let waited = began.saturating_duration_since(turn).checked_sub(tick).unwrap_or_default();
    let over = ended.saturating_duration_since(began).saturating_sub(every);
    Some(waited + over).filter(|late| !late.is_zero())
}

/// When ticks are over. What is found shortly before is told at once, not up to a tick later; and all collectors of a beat do with one
/// wake of the core, which is the one it has anyway.
#[derive(Clone, Copy, Debug)]
struct TickEnds {
    tick: Duration,
    began: Instant,
    lead: Duration,
}

impl TickEnds {
    /// For a collector: a little after the one that was started before it.
    fn new(tick: Duration, began: Instant, number: u32) -> TickEnds {
        let lead = BEAT_LEAD - BEAT_STEP * (number % BEAT_STEPS);
        TickEnds { tick, began, lead: lead.min(tick / 10) }
    }

    /// Whether so long is a whole number of ticks.
    fn divide(self, pause: Duration) -> bool {
        pause.as_nanos().is_multiple_of(self.tick.as_nanos().max(1))
    }

    /// The first moment from that one on that lies so shortly before the end of a tick, counted in so many together.
    fn shortly_before(self, at: Instant, ticks: Duration) -> Instant {
        let ticks = ticks.as_nanos().max(1);
        let into = (at + self.lead).saturating_duration_since(self.began).as_nanos() % ticks;
        let left = if into == 0 { 0 } else { ticks - into };
        at + Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }
}

/// When a collector's turn is.
#[derive(Debug)]
struct Schedule {
    next: Instant,
    every: Duration,
    /// The pause before the second sample, for those whose figures are rates; the first only remembers.
    first: Option<Duration>,
    /// Where turns are to come shortly before a tick is over, if there is a whole number of ticks between them.
    ends: Option<TickEnds>,
    /// In a row.
    failures: u32,
}

impl Schedule {
    /// Sets the next turn, and gives the pause until then. A failing collector's interval doubles up to a cap.
    fn after(&mut self, failed: bool, now: Instant) -> Duration {
        self.failures = if failed { self.failures + 1 } else { 0 };
        let first = self.first.take().filter(|_| !failed).map(|tick| tick.min(self.every));
        let pause = match first {
            Some(tick) => tick,
            None => {
                let doubled = self.every.saturating_mul(1 << self.failures.min(20));
                if failed { doubled.min(BACKOFF_MAX).max(self.every) } else { self.every }
            }
        };
        // Kept to the beat; turns that were slept through are left out.
        self.next = match self.ends.filter(|ends| ends.divide(pause)) {
            // All that have this interval have one beat, whenever they were started.
            Some(ends) if pause == self.every => ends.shortly_before((self.next + ends.tick).max(now), pause),
            Some(ends) => ends.shortly_before((self.next + pause).max(now), ends.tick),
            None => (self.next + pause).max(now),
        };
        self.next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_sample_comes_after_a_tick_and_failures_back_off() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut schedule = Schedule { next: start, every: 10 * second, first: Some(second), ends: None, failures: 0 };
        let mut now = start;
        let mut pauses = Vec::new();
        for failed in [false, false, false, true, true, false] {
            let pause = schedule.after(failed, now);
            now += pause;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 10, 10, 20, 40, 10]);
        for _ in 0..100 {
            now += schedule.after(true, now);
        }
        assert_eq!(schedule.after(true, now), BACKOFF_MAX);
    }

    #[test]
    fn turns_come_shortly_before_a_tick_is_over() {
        let at = |ms: u64| Duration::from_millis(ms);
        let began = Instant::now();
        let ends = Some(TickEnds::new(at(1_000), began, 0));
        // Loaded in the middle of a tick, and asked for a little late each time.
        let mut schedule =
            Schedule { next: began + at(2_400), every: at(10_000), first: Some(at(1_000)), ends, failures: 0 };
        let mut turns = Vec::new();
        for _ in 0..3 {
            schedule.after(false, schedule.next + at(5));
            turns.push((schedule.next - began).as_millis());
        }
        assert_eq!(turns, [3_970, 9_970, 19_970]);
        // Slower than its interval: the next end of a tick, and no turn twice.
        schedule.after(false, began + at(35_500));
        assert_eq!(schedule.next - began, at(39_970));
        // It fails: after twice as long, and then in its beat again.
        schedule.after(true, began + at(39_980));
        assert_eq!(schedule.next - began, at(59_970));
        schedule.after(false, began + at(59_980));
        assert_eq!(schedule.next - began, at(69_970));
        // No whole number of ticks: its interval is kept.
        let mut schedule = Schedule { next: began, every: at(1_500), first: None, ends, failures: 0 };
        schedule.after(false, began);
        assert_eq!(schedule.next - began, at(1_500));
        // A short tick: a tenth of it.
        let ends = TickEnds::new(at(100), began, 0);
        let before = |ms| (ends.shortly_before(began + at(ms), at(100)) - began).as_millis();
        assert_eq!([1_001, 1_090, 1_091].map(before), [1_090, 1_090, 1_190]);
        // One after another.
        let leads = [0, 1, 2, 15, 16].map(|number| TickEnds::new(at(1_000), began, number).lead.as_millis());
        assert_eq!(leads, [30, 29, 28, 15, 30]);
    }

    #[test]
    fn a_slow_collector_leaves_turns_out() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut schedule = Schedule { next: start, every: second, first: None, ends: None, failures: 0 };
        assert_eq!(schedule.after(false, start + 10 * second), Duration::ZERO);
        assert_eq!(schedule.after(false, start + 10 * second), second);
    }
}
