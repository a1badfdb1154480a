//! What who writes and who sends know of each other, and what is told of it.

use super::buffer::Load;
use crate::limits::STORE_REFUSAL_TOLD;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// By how much a clock may be put back without a new beginning of the history, in milliseconds.
const BACK_MAX_MS: i64 = 3_600_000;

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
    /// The latest time of which something has been taken to be sent, or may have been: nothing may be added to it.
    taken: i64,
    /// The time of the last commit of the daemon before.
    left: Option<Left>,
    ended: bool,
}

/// The time at which a daemon ended.
#[derive(Clone, Copy, Debug)]
struct Left {
    stamp: i64,
    /// The last row before its first.
    before: i64,
}

impl Default for State {
    fn default() -> State {
        State {
            latest: None,
            last: 0,
            sent_to: 0,
            before_open: 0,
            open_stamp: None,
            taken: i64::MIN,
            left: None,
            ended: false,
        }
    }
}

impl State {
    /// What a daemon before has left: its last row, the time of its last commit, and the last row before that. It may have sent all
    /// of it, though nobody has noted it.
    pub(super) fn begin(&mut self, last: i64, committed: Option<i64>, before: i64) {
        (self.last, self.before_open) = (last, last);
        self.taken = committed.unwrap_or(i64::MIN);
        self.left = committed.map(|stamp| Left { stamp, before });
    }

    /// Whether a commit has the time at which the daemon before ended, and that has not been over since: nothing of it has been sent.
    pub(super) fn goes_on(&self, latest: &Latest) -> bool {
        latest.in_time && self.left.is_some_and(|left| left.stamp == latest.stamp)
    }

    /// Whether nothing may be added to a time.
    pub(super) fn is_over(&self, stamp: i64) -> bool {
        stamp <= self.taken && self.taken.saturating_sub(stamp) <= BACK_MAX_MS
    }

    /// A commit has been written, and with it all up to a row.
    pub(super) fn committed(&mut self, latest: Latest, last: i64) {
        if let Some(left) = self.left.filter(|_| self.goes_on(&latest)) {
            (self.before_open, self.open_stamp) = (left.before, Some(left.stamp));
        }
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
    /// The wall clock says the time that it has, as it does unless it was put back.
    in_time: bool,
    at: Instant,
}

impl Latest {
    /// Of a commit at a time, all in milliseconds.
    pub(super) fn new(stamp: i64, unix_ms: i64, every_ms: i64) -> Latest {
        let over_ms = stamp.saturating_add(every_ms / 4);
        let in_time = unix_ms < over_ms && unix_ms > stamp.saturating_sub(every_ms);
        Latest { stamp, over_ms, unix_ms, in_time, at: Instant::now() }
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
                // A clock that was put back by more begins anew.
                if !state.is_over(latest.stamp) {
                    state.taken = latest.stamp;
                }
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
            error: told.said.lock().error().to_owned(),
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
    /// Why the last did; empty if it did not, and no other was refused lately.
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
    said: Mutex<Said>,
}

impl Figures {
    pub(super) fn load(&self, load: Load) {
        self.waiting.store(load.samples, Ordering::Relaxed);
        self.waiting_bytes.store(load.bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, samples: u64) {
        self.dropped.fetch_add(samples, Ordering::Relaxed);
    }

    /// A request came to nothing, and is made again.
    pub(super) fn failed(&self, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if self.said.lock().failed(why) {
            tracing::warn!("{why}");
        }
    }

    /// A request came to nothing, and what it had is left out.
    pub(super) fn refused(&self, why: &str, now: Instant) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if self.said.lock().refused(why, now) {
            tracing::warn!("{why}; what else it refuses is counted");
        }
    }

    /// All that was to be sent has been, but for what was refused.
    pub(super) fn went(&self, now: Instant) {
        let [again, all] = self.said.lock().went(now);
        if again {
            tracing::info!("the store of history takes what it is sent again");
        }
        if all {
            tracing::info!("the store of history has refused nothing for a while");
        }
    }
}

/// What is told of requests that came to nothing. Each of these says whether it is to be logged.
#[derive(Debug, Default)]
struct Said {
    /// Why the last was to be made again; empty if it was not.
    failure: String,
    /// What was refused, and when.
    refusal: Option<(String, Instant)>,
}

impl Said {
    fn error(&self) -> &str {
        match &self.refusal {
            Some((why, _)) if self.failure.is_empty() => why,
            _ => &self.failure,
        }
    }

    fn failed(&mut self, why: &str) -> bool {
        let is_new = self.failure != why;
        why.clone_into(&mut self.failure);
        is_new
    }

    /// What is refused once is mostly refused again, each time in other words: that is no news.
    fn refused(&mut self, why: &str, now: Instant) -> bool {
        self.refusal.replace((why.to_owned(), now)).is_none()
    }

    fn went(&mut self, now: Instant) -> [bool; 2] {
        let again = !std::mem::take(&mut self.failure).is_empty();
        let lately = |(_, at): &mut (String, Instant)| now.saturating_duration_since(*at) >= STORE_REFUSAL_TOLD;
        [again, self.refusal.take_if(lately).is_some()]
    }
}

#[cfg(test)]
mod tests {
    use super::{STORE_REFUSAL_TOLD, Said};
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_refused_with_each_commit_is_said_once() {
        let (mut said, start) = (Said::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(said.refused("400 at 1", at(1)));
        assert_eq!((said.went(at(1)), said.error()), ([false, false], "400 at 1"));
        assert!(!said.refused("400 at 11", at(11)));
        assert_eq!((said.went(at(11)), said.error()), ([false, false], "400 at 11"));
        // What cannot be sent is said before it, and no longer than it cannot.
        assert!(said.failed("503") && !said.failed("503"));
        assert_eq!(said.error(), "503");
        assert_eq!((said.went(at(20)), said.error()), ([true, false], "400 at 11"));
        let later = at(11) + STORE_REFUSAL_TOLD;
        assert_eq!((said.went(later), said.error()), ([false, true], ""));
        assert!(said.refused("400 again", later));
    }
}
