//! When the core has something written down, and what.

use super::event::Position;
use super::shared::Shared;
use crate::conf::Role;
use crate::limits::{COMMIT_PAUSE_TIMES, STORE_FILL};
use crate::tree::Mark;
use crate::trend::{Commit, Figures, Keeper, Kept};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Who waits to hear of a commit.
type Reply = oneshot::Sender<Result<(), String>>;

const DAY_MS: i64 = 86_400_000;

/// By how much a clock may be put back without a new beginning in the history, in milliseconds.
const BACK_MAX_MS: i64 = 3_600_000;

/// What has been committed, and what waits for it.
#[derive(Debug)]
pub(super) struct Commits {
    /// None where nothing is kept.
    keeper: Option<Keeper>,
    every: Duration,
    /// They begin as the wall clock comes to a whole multiple of the interval, for the sake of the history.
    even: bool,
    /// When the last one began, by the wall clock too.
    began: Instant,
    began_ms: i64,
    stamps: Stamps,
    fills: Fills,
    /// Up to when the tree's changes have been handed over.
    mark: Mark,
    /// Sources that have been read on since.
    sources: BTreeMap<String, Option<Arc<str>>>,
    /// Those that are being written, or wait to be written anew.
    writing: Vec<Position>,
    /// Bytes of lines that go on as they are, of those that are being written or wait to be.
    raw_bytes: u64,
    /// One is being written.
    under_way: bool,
    /// Somebody does not want to wait for the next one that is due.
    wanted: bool,
    replies: Vec<Reply>,
    pub(super) told: CommitFigures,
}

/// What is told of commits in the tree.
#[derive(Clone, Debug, Default)]
pub(super) struct CommitFigures {
    pub(super) written: u64,
    pub(super) failed: u64,
    /// How long the last one took to collect and to write, in milliseconds.
    pub(super) ms: f64,
    /// Nodes in it.
    pub(super) nodes: usize,
    /// Why the last one could not be written; empty if it could.
    pub(super) error: String,
    /// Of the file.
    pub(super) file: Figures,
}

/// The times that history has of commits.
#[derive(Clone, Copy, Debug)]
struct Stamps {
    last: i64,
    /// The latest of all in the file.
    newest: i64,
    /// None has been of this daemon.
    first: bool,
}

impl Stamps {
    /// Where the latest that the file has is that; 0 where it has none.
    fn after(newest: i64) -> Stamps {
        Stamps { last: newest, newest, first: true }
    }

    /// The time of a commit by the clock: that which history has of it, and whether it is to have all there is.
    fn next(&mut self, by_clock: i64) -> (i64, bool) {
        // A clock that is put back a little, over a restart too: what is newer must not look older.
        let back = self.last.saturating_sub(by_clock);
        let stamp = if (0..=BACK_MAX_MS).contains(&back) { self.last } else { by_clock };
        // Each day of the history begins with all there is: who reads a day need not look for what did not change in it. So does
        // each daemon, and what goes on from before or beyond what history has by a clock that was put back.
        let whole = self.first
            || stamp.div_euclid(DAY_MS) != self.last.div_euclid(DAY_MS)
            || stamp < self.last
            || self.last < self.newest && self.newest <= stamp;
        *self = Stamps { last: stamp, newest: self.newest.max(stamp), first: false };
        (stamp, whole)
    }
}

/// When a store was told all there is.
#[derive(Clone, Copy, Debug, Default)]
struct Fills(i64);

impl Fills {
    /// Whether it is to be told at a time, unless it is anyway, where there is a commit each so many milliseconds.
    fn is_due(&mut self, stamp: i64, told: bool, every_ms: i64) -> bool {
        let over = stamp.saturating_sub(self.0);
        let due = over.saturating_add(every_ms) > millis(STORE_FILL) || over < -BACK_MAX_MS;
        if due || told {
            self.0 = stamp;
        }
        due && !told
    }
}

impl Commits {
    pub(super) fn new(kept: Option<Kept>, every: Duration, role: Role) -> Commits {
        let (mark, newest) = kept.as_ref().map(|kept| (kept.mark, kept.newest)).unwrap_or_default();
        Commits {
            keeper: kept.map(|kept| kept.keeper),
            every,
            even: role != Role::Agent,
            began: Instant::now(),
            began_ms: 0,
            stamps: Stamps::after(newest),
            fills: Fills::default(),
            mark,
            sources: BTreeMap::new(),
            writing: Vec::new(),
            raw_bytes: 0,
            under_way: false,
            wanted: false,
            replies: Vec::new(),
            told: CommitFigures::default(),
        }
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// A source has been read on, and what was read is in the tree.
    pub(super) fn read_on(&mut self, position: Position, shared: &Shared) {
        let Position { source, text } = position;
        shared.positions.lock().insert(source.clone(), Arc::clone(&text));
        if self.keeper.is_some() {
            self.sources.insert(source, Some(text));
        }
    }

    /// Somebody wants a commit soon.
    pub(super) fn want(&mut self, reply: Option<Reply>) {
        match (&self.keeper, reply) {
            (None, Some(reply)) => {
                let why = "this daemon keeps nothing: its database could not be opened; see its log";
                let _ = reply.send(Err(why.to_owned()));
            }
            (_, reply) => {
                self.wanted = true;
                self.replies.extend(reply);
            }
        }
    }

    /// Whether one is to begin now: when the last is old enough, at best as the wall clock comes to a whole multiple of the
    /// interval, so that all the times in the history lie evenly. An agent has no history: what its collectors find is written
    /// down at their beat, for it is to be sent, and a second commit between two of those would have nothing but itself to tell of.
    /// Where something waits to be sent to another daemon, they are as often as that wants (`sooner`).
    pub(super) fn is_due(&self, unix_ms: i64, sooner: Option<Duration>) -> bool {
        let age = self.began.elapsed();
        let is_over = |every: Duration| {
            let every_ms = millis(every);
            let even = self.even && unix_ms.div_euclid(every_ms) > self.began_ms.div_euclid(every_ms);
            age >= every || even && age * 2 >= every
        };
        // A large tree is not written all the time.
        let pause = Duration::from_secs_f64(self.told.ms.max(0.0) / 1e3) * COMMIT_PAUSE_TIMES;
        let due = is_over(self.every) || sooner.is_some_and(|sooner| is_over(sooner.max(pause)));
        self.keeper.is_some() && !self.under_way && (self.wanted || due)
    }

    /// For how long none is due, if nothing comes. Only where they do not go by the wall clock.
    pub(super) fn rest_for(&self, sooner: Option<Duration>) -> Duration {
        if self.keeper.is_none() || self.under_way {
            return Duration::MAX;
        }
        if self.wanted || self.even {
            return Duration::ZERO;
        }
        sooner.map_or(self.every, |sooner| sooner.min(self.every)).saturating_sub(self.began.elapsed())
    }

    /// The time that history has of what is so now: a whole multiple of the interval, the next unless one has just been. Of
    /// what comes in between, the last counts.
    fn stamp_of(&self, unix_ms: i64, sooner: Option<Duration>) -> i64 {
        let every = millis(self.every);
        let late = unix_ms - sooner.map_or(every, |sooner| millis(sooner).min(every)) / 4;
        (late.div_euclid(every) + i64::from(late.rem_euclid(every) > 0)) * every
    }

    /// Hands over what changed. What the tree and the sources say of each other is in step at this moment.
    pub(super) fn begin(&mut self, shared: &Shared) {
        let sooner = shared.relays.every();
        let every_ms = millis(self.every);
        let Some(keeper) = &self.keeper else { return };
        self.began = Instant::now();
        let unix_ms = shared.clock.unix_ms();
        self.began_ms = unix_ms;
        let (stamp, whole) = self.stamps.next(self.stamp_of(unix_ms, sooner));
        // All of the daemon's own branch but what it has read of logs begins anew with each daemon.
        let own = |keys: &[&str]| matches!(keys, ["graftd", host, rest] if *host == shared.host && *rest != "log");
        let rows = shared.tree.write().changed_rows(self.mark, own);
        let history = shared.conf.role != Role::Agent;
        let whole = if whole && history { shared.tree.read().numbers(own) } else { Vec::new() };
        let fills =
            history && shared.conf.engine.store.is_some() && self.fills.is_due(stamp, !whole.is_empty(), every_ms);
        let fill = if fills { shared.tree.read().numbers(own) } else { Vec::new() };
        let relays = shared.relays.take(&shared.tree.read());
        let (raw, bytes) = shared.relays.take_raw();
        self.raw_bytes += bytes;
        let sources = std::mem::take(&mut self.sources);
        let read = sources
            .iter()
            .filter_map(|(source, text)| Some(Position { source: source.clone(), text: Arc::clone(text.as_ref()?) }));
        self.writing.extend(read);
        self.mark = rows.next;
        self.told.nodes = rows.changed.len();
        self.under_way = true;
        self.wanted = false;
        keeper.commit(Commit {
            rows,
            whole,
            fill,
            sources: sources.into_iter().collect(),
            unix_ms,
            monotonic_ms: shared.clock.monotonic_ms(),
            stamp,
            history,
            relays,
            raw,
            every_ms,
            replies: std::mem::take(&mut self.replies),
        });
    }

    /// What came of it.
    pub(super) fn done(&mut self, written: Result<(), String>, shared: &Shared) {
        self.under_way = false;
        self.told.ms = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        match written {
            Ok(()) => {
                shared.relays.committed(&std::mem::take(&mut self.writing));
                shared.relays.raw.written(std::mem::take(&mut self.raw_bytes));
                self.told.written += 1;
                if !self.told.error.is_empty() {
                    tracing::info!("commits are written again");
                }
                self.told.error.clear();
            }
            Err(why) => {
                self.told.failed += 1;
                if self.told.error != why {
                    tracing::error!(
                        "a commit cannot be written: {why}; what it holds waits in memory for the next one"
                    );
                }
                self.told.error = why;
            }
        }
        if let Some(keeper) = &self.keeper {
            self.told.file = keeper.figures();
        }
        *shared.clock_doubt.lock() = Some(self.told.file.clock.clone()).filter(|why| !why.is_empty());
        *shared.commit_error.lock() = Some(self.told.error.clone()).filter(|why| !why.is_empty());
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Waits for the thread that writes.
    pub(super) fn finish(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, Fills, Stamps};

    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    #[test]
    fn each_daemon_and_each_day_begins_with_all_there_is() {
        let mut stamps = Stamps::after(0);
        assert_eq!(stamps.next(NOON), (NOON, true));
        assert_eq!(stamps.next(NOON + 10_000), (NOON + 10_000, false));
        assert_eq!(stamps.next(NOON + DAY_MS), (NOON + DAY_MS, true));
        let mut stamps = Stamps::after(NOON);
        assert_eq!(stamps.next(NOON + 10_000), (NOON + 10_000, true));
    }

    #[test]
    fn a_store_is_told_all_there_is_before_it_takes_it_for_gone() {
        for every in [1_000, 10_000, 60_000, 100_000] {
            let mut fills = Fills::default();
            assert!(!fills.is_due(NOON, true, every), "it is told anyway");
            let mut last = NOON;
            for at in (1..1_000).map(|n| NOON + n * every) {
                if fills.is_due(at, false, every) {
                    last = at;
                }
                assert!(at - last < 300_000, "{every}");
            }
            assert!(last > NOON + 200_000);
            assert!(!fills.is_due(last + every, false, every));
            assert!(fills.is_due(NOON - DAY_MS, false, every), "a clock was put back");
        }
    }

    #[test]
    fn a_clock_that_is_back_by_some_minutes_over_a_restart_makes_nothing_older_than_it_is() {
        let mut stamps = Stamps::after(NOON);
        assert_eq!(stamps.next(NOON - 30_000), (NOON, true));
        assert_eq!(stamps.next(NOON - 20_000), (NOON, false));
        assert_eq!(stamps.next(NOON + 10_000), (NOON + 10_000, false));
    }

    #[test]
    fn a_clock_that_is_back_by_hours_begins_anew_and_again_when_it_has_caught_up() {
        let mut stamps = Stamps::after(NOON - 10_000);
        stamps.next(NOON);
        let back = NOON - 7_200_000;
        assert_eq!(stamps.next(back), (back, true));
        assert_eq!(stamps.next(back + 10_000), (back + 10_000, false));
        assert_eq!(stamps.next(NOON - 10_000), (NOON - 10_000, false));
        assert_eq!(stamps.next(NOON), (NOON, true));
        assert_eq!(stamps.next(NOON + 10_000), (NOON + 10_000, false));
    }
}
