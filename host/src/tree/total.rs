//! Counters that somebody else counts: what they stand at is told, now and then.
//!
//! How fast one grows is what lies between two reports, by the time between them: reports come each second or each minute, and
//! a late one must not look like a burst. The first report is no growth, for nobody knows since when it grew.

use super::Tree;
use super::rate::WINDOW_TICKS;
use super::store::{Marks, NodeId};
use super::value::Value;
use hashbrown::HashMap;

/// How many reports may be missing before it is no longer known how fast a counter grows.
const MISSING_MAX: u32 = 4;

/// What is known of a counter's growth.
#[derive(Clone, Copy, Debug)]
struct Growing {
    /// What it stood at when the time under way began.
    from: f64,
    from_ms: i64,
    /// Per second, over the time before that.
    rate: Option<f64>,
    /// The tick of the last report, and how many ticks passed between it and the one before it.
    tick: u32,
    every: u32,
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    of: HashMap<NodeId, Growing>,
}

impl Totals {
    pub(super) fn forget(&mut self, id: NodeId) {
        self.of.remove(&id);
        if self.of.capacity() > 64 && self.of.capacity() > 4 * self.of.len() {
            self.of.shrink_to(2 * self.of.len());
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.allocation_size()
    }
}

impl Growing {
    /// `before` is what it stood at by the last report. Reports that come within `least_ms` count as one.
    fn report(&mut self, before: f64, now: f64, now_ms: i64, least_ms: i64) {
        let passed_ms = now_ms.saturating_sub(self.from_ms);
        let per_second = |grown: f64| (grown / (passed_ms as f64 / 1e3)).clamp(0.0, f64::MAX);
        let anew = now < before;
        if passed_ms >= least_ms {
            self.rate = Some(if anew {
                // It began at zero, somewhen since. Was it no restart but a slip back, then all of it is not growth of
                // this time: no more is believed than what was seen before.
                per_second(now).min(self.rate.unwrap_or(0.0))
            } else {
                per_second(now - self.from)
            });
        } else if !anew {
            return;
        }
        self.from = now;
        self.from_ms = now_ms;
    }
}

impl Tree {
    /// A counter stands at `x`.
    pub(super) fn total(&mut self, id: NodeId, x: f64, now_ms: i64) {
        let node = self.store.node(id);
        let before = match node.value {
            Value::Number(before) if node.marks.has(Marks::TOTAL) => Some(before),
            _ => None,
        };
        self.store.change(id, |value| *value = Value::Number(x));
        self.renew(id, now_ms);
        let least_ms = (self.tick.as_millis() as i64 / 2).max(1);
        let now = self.now;
        match (before, self.totals.of.get_mut(&id)) {
            (Some(before), Some(growing)) => {
                growing.report(before, x, now_ms, least_ms);
                if growing.tick != now {
                    growing.every = now - growing.tick;
                    growing.tick = now;
                }
            }
            _ => {
                self.store.node_mut(id).marks.set(Marks::TOTAL);
                self.totals.of.insert(id, Growing { from: x, from_ms: now_ms, rate: None, tick: now, every: 0 });
            }
        }
    }

    /// What was a total is now something else.
    #[cold]
    pub(super) fn end_total(&mut self, id: NodeId) {
        self.store.node_mut(id).marks.clear(Marks::TOTAL);
        self.totals.forget(id);
    }

    /// By how much a total grows per second; `None` before the second report, and when reports are missing.
    pub(super) fn total_rate(&self, id: NodeId) -> Option<f64> {
        let growing = self.totals.of.get(&id)?;
        let patience = growing.every.saturating_mul(MISSING_MAX).max(WINDOW_TICKS as u32);
        growing.rate.filter(|_| self.now - growing.tick <= patience)
    }
}
