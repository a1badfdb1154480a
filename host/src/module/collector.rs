//! A collector's thread: it samples on its interval, and tells the core what it found or why not.

use super::branch::Branch;
use super::library::Collector;
use crate::clock::Timepiece;
use crate::core::{Delta, Event, Events, Report};
use crate::limits::BACKOFF_MAX;
use plugin_api::ErrorKind;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A collector that is ready to run.
#[derive(Debug)]
pub struct Collecting {
    pub(crate) collector: Collector,
    pub(crate) branch: Branch,
    pub(crate) every: Duration,
}

/// A running collector; dropping it ends its thread after the call under way.
#[derive(Debug)]
pub(crate) struct CollectorThread {
    _stop: Sender<()>,
}

impl Collecting {
    pub(crate) fn start(
        self,
        name: String,
        generation: u64,
        tick: Duration,
        clock: Timepiece,
        events: Events,
    ) -> io::Result<CollectorThread> {
        let (stop, stopped) = channel::<()>();
        let thread = format!("graftd-{}", name.chars().take(8).collect::<String>());
        thread::Builder::new().name(thread).spawn(move || {
            let Collecting { mut collector, branch, every } = self;
            let mut schedule = Schedule { next: Instant::now(), every, first: Some(tick), failures: 0 };
            loop {
                let wait = schedule.next.saturating_duration_since(Instant::now());
                if !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
                let mut frame = Vec::new();
                let error = collector.collect(clock.now(), &mut frame).err();
                let failed = error.as_ref().is_some_and(|error| error.kind() != ErrorKind::NoData);
                let pause = schedule.after(failed, Instant::now());
                let next_ms = failed.then(|| clock.unix_ms() + pause.as_millis() as i64);
                let frames = if frame.is_empty() { Vec::new() } else { vec![(branch.clone(), frame)] };
                let report = Report { name: name.clone(), generation, error, next_ms };
                if !events.send(Event::Delta(Delta { frames, report: Some(report), ..Delta::default() })) {
                    break;
                }
            }
        })?;
        Ok(CollectorThread { _stop: stop })
    }
}

/// When a collector's turn is.
#[derive(Debug)]
struct Schedule {
    next: Instant,
    every: Duration,
    /// The pause before the second sample, for those whose figures are rates; the first only remembers.
    first: Option<Duration>,
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
        self.next = (self.next + pause).max(now);
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
        let mut schedule = Schedule { next: start, every: 10 * second, first: Some(second), failures: 0 };
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
    fn a_slow_collector_leaves_turns_out() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut schedule = Schedule { next: start, every: second, first: None, failures: 0 };
        assert_eq!(schedule.after(false, start + 10 * second), Duration::ZERO);
        assert_eq!(schedule.after(false, start + 10 * second), second);
    }
}
