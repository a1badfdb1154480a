//! What who writes and who sends know of each other, and what is told of it.

use super::buffer::Load;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between the thread that commits and the one that sends.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Who commits holds it while a commit is being written.
    pub(in crate::trend) state: Mutex<State>,
    changed: Condvar,
    pub(super) told: Figures,
}

/// How far each of them is.
#[derive(Debug)]
pub(in crate::trend) struct State {
    /// The last commit.
    pub(super) latest: Option<Latest>,
    /// The last row there is, and the one up to which all have been sent.
    pub(super) last: i64,
    pub(super) sent_to: i64,
    /// The last row that there was before the time of the last one, and that time.
    before_open: i64,
    open_stamp: Option<i64>,
    /// The latest time of which something has been taken to be sent: nothing may be added to it.
    pub(super) taken: i64,
    ended: bool,
}

impl Default for State {
    fn default() -> State {
        State { latest: None, last: 0, sent_to: 0, before_open: 0, open_stamp: None, taken: i64::MIN, ended: false }
    }
}

impl State {
    /// What a daemon before has left: its last row and the time of that, and the last row before that time.
    pub(super) fn begin(&mut self, last: i64, open: Option<(i64, i64)>) {
        self.last = last;
        self.open_stamp = open.map(|(stamp, _)| stamp);
        self.before_open = open.map_or(last, |(_, before)| before);
    }

    /// A commit has been written, and with it all up to a row.
    pub(super) fn committed(&mut self, latest: Latest, last: i64) {
        if self.open_stamp != Some(latest.stamp) {
            self.before_open = self.last;
            self.open_stamp = Some(latest.stamp);
        }
        self.latest = Some(latest);
        self.last = last;
    }
}

/// A commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub(super) stamp: i64,
    /// From when on no other has this stamp, by the wall clock.
    over_ms: i64,
    unix_ms: i64,
    at: Instant,
}

impl Latest {
    /// Of a commit at a time, all in milliseconds.
    pub(super) fn new(stamp: i64, unix_ms: i64, every_ms: i64) -> Latest {
        Latest { stamp, over_ms: stamp.saturating_add(every_ms / 4), unix_ms, at: Instant::now() }
    }

    /// How long there may come another with its stamp.
    fn open_for(&self) -> Duration {
        let left = self.over_ms.saturating_sub(self.unix_ms).max(-1) + 1;
        Duration::from_millis(left.cast_unsigned()).saturating_sub(self.at.elapsed())
    }
}

impl Link {
    /// Something was committed.
    pub(in crate::trend) fn wake(&self) {
        self.changed.notify_all();
    }

    /// It is over: what waits, waits for the next daemon.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.wake();
    }

    /// Waits until something beyond a row may be sent, and a moment has come: the row up to which it may. None when it is over.
    pub(super) fn due(&self, beyond: i64, not_before: Option<Instant>) -> Option<i64> {
        let mut state = self.state.lock();
        loop {
            if state.ended {
                return None;
            }
            if let Some(moment) = not_before.filter(|moment| *moment > Instant::now()) {
                self.changed.wait_until(&mut state, moment);
                continue;
            }
            let Some(latest) = state.latest.filter(|_| state.last > beyond) else {
                self.changed.wait(&mut state);
                continue;
            };
            let open_for = latest.open_for();
            if open_for.is_zero() {
                state.taken = state.taken.max(latest.stamp);
                return Some(state.last);
            }
            if state.before_open > beyond {
                return Some(state.before_open);
            }
            self.changed.wait_for(&mut state, open_for);
        }
    }

    /// All up to a row has been sent, or is not to be.
    pub(super) fn sent(&self, up_to: i64, sent: u64, refused: u64) {
        self.state.lock().sent_to = up_to;
        self.told.sent.fetch_add(sent, Ordering::Relaxed);
        self.told.refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// What there is to tell.
    pub(in crate::trend) fn figures(&self) -> RemoteFigures {
        let told = &self.told;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RemoteFigures {
            sent: of(&told.sent),
            waiting: of(&told.waiting),
            waiting_bytes: of(&told.waiting_bytes),
            dropped: of(&told.dropped),
            refused: of(&told.refused),
            failed: of(&told.failed),
            error: told.error.lock().clone(),
        }
    }
}

/// What is told of a store in the tree: `graftd,HOST,trend,remote,…`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RemoteFigures {
    /// Samples that it took.
    pub(crate) sent: u64,
    /// Samples that wait, and bytes of them.
    pub(crate) waiting: u64,
    pub(crate) waiting_bytes: u64,
    /// Samples that there was no room for.
    pub(crate) dropped: u64,
    /// Samples that it would not have.
    pub(crate) refused: u64,
    /// Requests that came to nothing.
    pub(crate) failed: u64,
    /// Why the last did; empty if it did not.
    pub(crate) error: String,
}

/// The same while it counts.
#[derive(Debug, Default)]
pub(super) struct Figures {
    sent: AtomicU64,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    error: Mutex<String>,
}

impl Figures {
    pub(super) fn load(&self, load: Load) {
        self.waiting.store(load.samples, Ordering::Relaxed);
        self.waiting_bytes.store(load.bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, samples: u64) {
        self.dropped.fetch_add(samples, Ordering::Relaxed);
    }

    /// A request came to nothing.
    pub(super) fn failed(&self, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.say(why);
    }

    /// Notes why the last request came to nothing, or that it did not.
    pub(super) fn say(&self, why: &str) {
        let mut error = self.error.lock();
        if *error != why {
            why.clone_into(&mut error);
            drop(error);
            if why.is_empty() {
                tracing::info!("the store of history takes what it is sent again");
            } else {
                tracing::warn!("{why}");
            }
        }
    }
}
