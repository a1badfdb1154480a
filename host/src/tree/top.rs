//! Children that are bounded: the k heaviest stay, the rest is summed in `(other)`.
//!
//! As in Space-Saving with batch eviction (Metwally, Agrawal, El Abbadi 2005): children may grow past k for a while,
//! then the lightest are pruned together. A child that comes (back) after a pruning may have been counted in
//! `(other)` before, at most by the greatest weight ever pruned: that is its error. A child that was there from the start is
//! exact, a child's count is never more than the truth, and the total is exact always.

use super::Tree;
use super::store::{Marks, NodeId};
use super::value::Value;
use hashbrown::{HashMap, HashSet};
use plugin_api::Action;
use plugin_api::limits::OTHER;

/// Children past 2 k at which pruning does not wait for the tick's end: small tops are pruned in batches too.
const SLACK: u32 = 64;

#[derive(Debug, Default)]
struct Pruned {
    /// The greatest weight (count and error) that was ever pruned: what a child that comes now may have lost.
    floor: f64,
    /// The error of each child that has one.
    errors: HashMap<NodeId, f64>,
    /// The tick in which children were pruned last, counted from the tree's first.
    last: u32,
}

#[derive(Debug, Default)]
pub(super) struct Tops {
    of: HashMap<NodeId, Pruned>,
    /// Nodes that got a child in this tick and may have too many now.
    crowded: HashSet<NodeId>,
}

impl Tops {
    /// A new child hangs below a top.
    pub(super) fn joined(&mut self, top: NodeId, child: NodeId) {
        self.crowded.insert(top);
        if let Some(pruned) = self.of.get_mut(&top).filter(|pruned| pruned.floor > 0.0) {
            pruned.errors.insert(child, pruned.floor);
        }
    }

    /// A sketch is about to be merged that may have pruned any key up to `floor`.
    pub(super) fn blur(&mut self, top: NodeId, floor: f64, children: impl Iterator<Item = NodeId>) {
        if floor > 0.0 {
            let pruned = self.of.entry(top).or_default();
            for child in children {
                *pruned.errors.entry(child).or_insert(0.0) += floor;
            }
            pruned.floor += floor;
        }
    }

    /// The sketch had this child with this error, so the blur was too much for it.
    pub(super) fn sharpen(&mut self, top: NodeId, child: NodeId, floor: f64, error: f64) {
        if floor > 0.0 || error > 0.0 {
            let pruned = self.of.entry(top).or_default();
            let blurred = pruned.errors.entry(child).or_insert(0.0);
            *blurred = (*blurred - floor + error).max(0.0);
        }
    }

    pub(super) fn forget(&mut self, id: NodeId, parent: NodeId) {
        if let Some(pruned) = self.of.get_mut(&parent) {
            pruned.errors.remove(&id);
        }
        self.of.remove(&id);
        self.crowded.remove(&id);
    }

    /// What a child that comes now may have lost.
    pub(super) fn floor(&self, top: NodeId) -> f64 {
        self.of.get(&top).map_or(0.0, |pruned| pruned.floor)
    }

    /// As it was before the process ended.
    pub(super) fn restore_floor(&mut self, top: NodeId, floor: f64) {
        self.of.entry(top).or_default().floor = floor;
    }

    /// As it was before the process ended.
    pub(super) fn restore_error(&mut self, top: NodeId, child: NodeId, error: f64) {
        if error > 0.0 {
            self.of.entry(top).or_default().errors.insert(child, error);
        } else if let Some(pruned) = self.of.get_mut(&top) {
            // It has just joined, and is none of those that may have lost something.
            pruned.errors.remove(&child);
        }
    }

    /// Whether children of this node were pruned after a tick.
    pub(super) fn pruned_after(&self, top: NodeId, since: u32) -> bool {
        self.of.get(&top).is_some_and(|pruned| pruned.last > since)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.allocation_size()
            + self.of.values().map(|pruned| pruned.errors.allocation_size()).sum::<usize>()
            + self.crowded.allocation_size()
    }
}

impl Tree {
    /// Prunes at once when a top has more than twice its children: memory stays bounded within a tick too.
    pub(super) fn make_room(&mut self, top: NodeId, k: u32) {
        if self.store.node(top).children >= k.saturating_mul(2).saturating_add(SLACK) {
            self.prune(top, k);
        }
    }

    /// Prunes every top that has more children than it may.
    pub(super) fn prune_crowded(&mut self) -> usize {
        let crowded = std::mem::take(&mut self.tops.crowded);
        let mut pruned = 0;
        for &top in &crowded {
            if let Some(Action::Top { k }) = self.store.action(top) {
                pruned += self.prune(top, k);
            }
        }
        pruned
    }

    fn prune(&mut self, top: NodeId, k: u32) -> usize {
        let other = self.store.child(top, OTHER);
        let errors = self.tops.of.get(&top).map(|pruned| &pruned.errors);
        // Only leaves: a child with children of its own is no entry of the top.
        let mut weighed: Vec<(f64, f64, NodeId)> = Vec::with_capacity(self.store.node(top).children as usize);
        for child in self.store.children(top) {
            let node = self.store.node(child);
            if let (Value::Number(count), 0) = (&node.value, node.children)
                && Some(child) != other
            {
                let error = errors.and_then(|errors| errors.get(&child)).copied().unwrap_or(0.0);
                weighed.push((count + error, *count, child));
            }
        }
        let k = k as usize;
        if weighed.len() <= k {
            return 0;
        }
        weighed.select_nth_unstable_by(k, |a, b| b.0.total_cmp(&a.0));
        let light = weighed.split_off(k);
        let floor = light.iter().map(|(weight, ..)| *weight).fold(0.0, f64::max);
        let rest = light.iter().map(|(_, count, _)| *count).sum();
        let other = other.unwrap_or_else(|| self.hang_other(top));
        let mut before = 0.0;
        for &(_, _, child) in &light {
            before += self.before(child);
            if self.store.node(child).marks.has(Marks::RATE) {
                self.move_growth(child, other);
            }
            self.take_out(child);
        }
        self.sum_up(other, rest, before);
        let now = self.now;
        let pruned = self.tops.of.entry(top).or_default();
        pruned.floor = pruned.floor.max(floor);
        pruned.last = now;
        light.len()
    }

    fn hang_other(&mut self, top: NodeId) -> NodeId {
        let branch = self.branch_of(top);
        *self.branches.entry(branch).or_insert(0) += 1;
        self.store.hang(top, OTHER)
    }

    /// Moves weight to `(other)`, of which `before` was there when the tick began: that is no growth, and the rest
    /// is growth of this tick that moves along.
    fn sum_up(&mut self, other: NodeId, weight: f64, before: f64) {
        let grown_from = self.before(other) + before;
        let moved = self.store.change(other, |value| {
            let sum = if let Value::Number(sum) = value { *sum + weight } else { weight };
            let finite = sum.is_finite();
            if finite {
                *value = Value::Number(sum);
            }
            finite
        });
        if moved {
            self.set_before(other, grown_from);
        }
        let now = self.now;
        self.store.node_mut(other).changed = now;
        self.touch_above(other);
    }

    /// By how much a child of a top may have been counted too low, because it was in `(other)` for a while.
    pub(super) fn top_error(&self, parent: NodeId, child: NodeId) -> f64 {
        let error = self.tops.of.get(&parent).and_then(|pruned| pruned.errors.get(&child));
        error.copied().unwrap_or(0.0)
    }
}
