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

#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Counters that changed in the tick under way, each with what it was before. An entry of a node that went
    /// since is harmless: it finds no number, or is followed by the entry of the node now in that place.
    began: Vec<(NodeId, f64)>,
    of: HashMap<NodeId, Growth>,
}

impl Rates {
    pub(super) fn began(&mut self, id: NodeId, before: f64) {
        self.began.push((id, before));
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
        for &(id, before) in &began {
            let node = self.store.node_mut(id);
            let Value::Number(now) = node.value else { continue };
            node.marks.set(Marks::RATE);
            let fresh = Growth { newest: self.now, by: [0.0; WINDOW_TICKS] };
            let growth = self.rates.of.entry(id).or_insert(fresh);
            let skipped = (self.now - growth.newest) as usize;
            for ago in 0..skipped.min(WINDOW_TICKS) {
                growth.by[(self.now as usize - ago) % WINDOW_TICKS] = 0.0;
            }
            growth.newest = self.now;
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

    /// By how much a counter grows per second, over the last ticks that are over.
    pub(super) fn rate(&self, id: NodeId) -> f64 {
        let last = self.now - 1;
        let Some(growth) = self.rates.of.get(&id) else { return 0.0 };
        let window = (last as usize).min(WINDOW_TICKS);
        let skipped = (last - growth.newest.min(last)) as usize;
        let grown: f32 = (skipped..window).map(|ago| growth.by[(last as usize - ago) % WINDOW_TICKS]).sum();
        f64::from(grown) / (window.max(1) as f64 * self.tick.as_secs_f64())
    }
}
