//! How fast counters grow.
//!
//! Kept on the side and only for counters that grew lately: a tree of a million counters at rest pays nothing.

use super::Tree;
use super::store::{Marks, NodeId};
use super::value::Value;
use hashbrown::HashMap;

/// Ticks that a rate looks back.
pub(super) const WINDOW_TICKS: usize = 10;

/// What a counter grew by in each of the last ticks.
#[derive(Clone, Copy, Debug)]
struct Growth {
    /// The tick of the newest entry; tick `t` stands at `t % WINDOW_TICKS`.
    newest: u32,
    /// Single precision: a rate is read to a few digits, and this halves the memory.
    by: [f32; WINDOW_TICKS],
}

impl Growth {
    /// Moves on to a tick, in which and before which nothing has grown yet.
    fn forward(&mut self, tick: u32) {
        let skipped = tick.saturating_sub(self.newest);
        for ago in 0..skipped.min(WINDOW_TICKS as u32) {
            self.by[(tick - ago) as usize % WINDOW_TICKS] = 0.0;
        }
        self.newest = self.newest.max(tick);
    }
}

#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Counters that changed in the tick under way, each with what it was before. Only the entry that its node
    /// points at counts: a node that went points nowhere, and one that took its place knows of its own entry only.
    began: Vec<(NodeId, f64)>,
    of: HashMap<NodeId, Growth>,
}

impl Rates {
    /// A counter grew for the first time in this tick. Gives back which entry tells of it.
    #[inline]
    pub(super) fn began(&mut self, id: NodeId, before: f64) -> u32 {
        let at = self.began.len() as u32;
        self.began.push((id, before));
        at
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        self.of.remove(&id);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.allocation_size() + self.began.capacity() * size_of::<(NodeId, f64)>()
    }
}

impl Tree {
    pub(super) fn close_rates(&mut self) {
        let began = std::mem::take(&mut self.rates.began);
        for (at, &(id, before)) in began.iter().enumerate() {
            let node = self.store.node_mut(id);
            if node.began as usize != at {
                continue;
            }
            let Value::Number(now) = node.value else { continue };
            node.marks.set(Marks::RATE);
            let fresh = Growth { newest: self.now, by: [0.0; WINDOW_TICKS] };
            let growth = self.rates.of.entry(id).or_insert(fresh);
            growth.forward(self.now);
            growth.by[self.now as usize % WINDOW_TICKS] = (now - before) as f32;
        }
        self.rates.began = began;
        self.rates.began.clear();
        if (self.now as usize).is_multiple_of(WINDOW_TICKS) {
            let Tree { rates, store, now, .. } = self;
            rates.of.retain(|id, growth| {
                let lately = *now - growth.newest < WINDOW_TICKS as u32;
                if !lately {
                    store.node_mut(*id).marks.clear(Marks::RATE);
                }
                lately
            });
            // A burst of growth (a first load of a million series) must not be paid for ever.
            if rates.of.capacity() > 4 * rates.of.len() {
                rates.of.shrink_to(2 * rates.of.len());
            }
            if rates.began.capacity() > 4 * rates.of.len() {
                rates.began.shrink_to(2 * rates.of.len());
            }
        }
    }

    /// What a counter was when the tick under way began.
    pub(super) fn before(&self, id: NodeId) -> f64 {
        let node = self.store.node(id);
        match (self.rates.began.get(node.began as usize), &node.value) {
            (Some((of, before)), _) if *of == id => *before,
            (_, Value::Number(now)) => *now,
            _ => 0.0,
        }
    }

    /// Sets what a counter was when the tick under way began: with its value, by how much it grew since.
    pub(super) fn set_before(&mut self, id: NodeId, before: f64) {
        let at = self.store.node(id).began as usize;
        match self.rates.began.get_mut(at).filter(|(of, _)| *of == id) {
            Some(entry) => entry.1 = before,
            None => self.store.node_mut(id).began = self.rates.began(id, before),
        }
    }

    /// Adds the growth of a counter in the ticks that are over to another's.
    pub(super) fn move_growth(&mut self, from: NodeId, to: NodeId) {
        let Some(&moved) = self.rates.of.get(&from) else { return };
        // The tick under way is not over, and the slot it will take still holds the oldest of the window.
        let last = self.now - 1;
        let fresh = Growth { newest: last, by: [0.0; WINDOW_TICKS] };
        let growth = self.rates.of.entry(to).or_insert(fresh);
        growth.forward(last);
        let skipped = (last - moved.newest.min(last)) as usize;
        for ago in skipped..WINDOW_TICKS.min(last as usize) {
            let at = (last as usize - ago) % WINDOW_TICKS;
            growth.by[at] += moved.by[at];
        }
        self.store.node_mut(to).marks.set(Marks::RATE);
    }

    /// By how much a counter grows per second: over the last ticks that are over, or of a total between its last reports,
    /// if that is known.
    pub(super) fn rate(&self, id: NodeId) -> Option<f64> {
        if self.store.node(id).marks.has(Marks::TOTAL) {
            return self.total_rate(id);
        }
        let last = self.now - 1;
        let Some(growth) = self.rates.of.get(&id) else { return Some(0.0) };
        let window = (last as usize).min(WINDOW_TICKS);
        let skipped = (last - growth.newest.min(last)) as usize;
        let grown: f32 = (skipped..window).map(|ago| growth.by[(last as usize - ago) % WINDOW_TICKS]).sum();
        Some(f64::from(grown) / (window.max(1) as f64 * self.tick.as_secs_f64()))
    }
}
