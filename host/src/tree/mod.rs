//! The tree: everything a fleet knows, as of now.
//!
//! Deltas are merged in ([`Tree::merge`]), queries read out ([`Tree::select`]), and at each tick the owner closes
//! the tick ([`Tree::end_tick`]), which is when lifetimes end, crowds are pruned and rates move on. Everything
//! here is pure: time comes in as an argument, and no JSON, file or socket is known.

mod changes;
mod fold;
mod lifetime;
mod list;
mod merge;
mod meta;
mod path;
mod query;
mod ranking;
mod rate;
mod save;
mod search;
mod state;
mod store;
mod top;
mod total;
mod value;

#[cfg(test)]
mod tests;

pub use changes::Change;
pub use fold::Folded;
pub use list::{Listing, Looked};
pub use merge::Merged;
pub use meta::Meta;
pub use path::{PathError, Pattern, Step, encode_key, encode_path, parse_plain};
pub use query::{Hit, NodeRef, Reading, Sketched, Want};
pub use ranking::{Ranked, Ranking, Worth};
pub use save::{Fed, Kept, Mark, More, Row, Rows};
pub use search::{Found, Search};

use changes::Gone;
use hashbrown::HashMap;
use lifetime::Lifetimes;
use meta::Metas;
use plugin_api::Action;
use rate::Rates;
use save::Saved;
use std::time::Duration;
use store::{Marks, NodeId, Store};
use top::Tops;
use total::Totals;

/// What bounds a tree.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes in the whole tree.
    pub nodes_max: usize,
    /// Nodes below one key of the root.
    pub branch_nodes_max: usize,
    /// Bytes of the nodes, their keys and values, and of what is kept beside them for rates, lifetimes and metadata. Nodes
    /// alone are no bound: a key may have 16 KiB, a text 64 KiB, and a sketch that slides over a minute more than both.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        // 4,000,000 nodes of ordinary keys and numbers take half a GiB; 8 GiB leaves each of them 2 KiB on the average,
        // so that only a flood of long keys, texts or sketches meets this bound before that of the nodes.
        Limits { nodes_max: 4_000_000, branch_nodes_max: 4_000_000, bytes_max: 8 << 30 }
    }
}

/// Nodes past a limit that the `(other)`s may take: one below every parent that overflows.
const OTHERS_MAX: usize = 65_536;

/// The live tree.
#[derive(Debug)]
pub struct Tree {
    store: Store,
    limits: Limits,
    /// The number of the tick before the first.
    tick_base: u64,
    /// The tick under way, counted from the first, which is 1.
    now: u32,
    tick: Duration,
    /// Ticks in a slice of a sketch's last minute.
    slice_ticks: u32,
    rates: Rates,
    totals: Totals,
    metas: Metas,
    lifetimes: Lifetimes,
    tops: Tops,
    /// Nodes below each key of the root.
    branches: HashMap<NodeId, usize>,
    gone: Gone,
    /// Leaves that were counted at an `(other)`, or dropped, because a limit was met; since the start.
    overflowed: u64,
    /// What is known of what is kept; none where nobody keeps the tree.
    saved: Option<Saved>,
}

/// What closing a tick found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// The tick that is over.
    pub tick: u64,
    /// Leaves whose lifetime ended.
    pub expired: usize,
    /// Leaves that went to their `(other)` because their `top` is full.
    pub pruned: usize,
}

impl Tree {
    /// An empty tree. `tick_base` is the number of the tick that was over before it: take one that no earlier life
    /// of the daemon has reached, so that a client that was away for the restart is told all that is new.
    #[must_use]
    pub fn new(limits: Limits, tick: Duration, tick_base: u64) -> Tree {
        let slice = Duration::from_secs(60) / value::SLICES as u32;
        Tree {
            store: Store::new(),
            limits,
            tick_base,
            now: 1,
            tick,
            slice_ticks: (slice.as_secs_f64() / tick.as_secs_f64()).ceil().max(1.0) as u32,
            rates: Rates::default(),
            totals: Totals::default(),
            metas: Metas::default(),
            lifetimes: Lifetimes::default(),
            tops: Tops::default(),
            branches: HashMap::new(),
            gone: Gone::default(),
            overflowed: 0,
            saved: None,
        }
    }

    /// The last tick that is over.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.tick_base + u64::from(self.now) - 1
    }

    /// Nodes held.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.store.len()
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Tree>() + self.held_bytes() + self.tops.memory_bytes() + self.gone.memory_bytes()
    }

    /// Leaves that were counted at an `(other)`, or dropped, because a limit was met; since the start.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Gives the node at `path` an action of its own, making the node if it is not there. Does nothing when a limit
    /// leaves no room for it: the `(other)` that stands for it stands for others as well.
    pub fn set_action(&mut self, path: &[&str], action: Action) {
        let (node, whole) = self.walk(path);
        if whole {
            self.store.set_action(node, action);
        }
    }

    /// Closes the tick under way at `now_ms` (milliseconds on the clock that [`Tree::merge`] is given).
    pub fn end_tick(&mut self, now_ms: i64) -> TickReport {
        // First: the growth of what is pruned moves along as that of the tick under way.
        let pruned = self.prune_crowded();
        self.close_rates();
        let expired = self.expire(now_ms);
        let tick = self.tick_base + u64::from(self.now);
        self.now += 1;
        TickReport { tick, expired, pruned }
    }

    /// What was kept is back: what comes from now on is new. Nothing is pruned yet, for whoever keeps the tree has to hear of
    /// that.
    pub fn end_restore(&mut self) {
        self.close_rates();
        self.now += 1;
    }

    /// Bytes that [`Limits::bytes_max`] bounds. What `top`s and removals keep beside is in proportion to these.
    fn held_bytes(&self) -> usize {
        self.store.memory_bytes()
            + self.rates.memory_bytes()
            + self.totals.memory_bytes()
            + self.lifetimes.memory_bytes()
            + self.metas.memory_bytes()
            + self.saved.as_ref().map_or(0, Saved::memory_bytes)
    }

    fn slice(&self) -> u32 {
        self.now / self.slice_ticks
    }

    /// Notes that a node's own value changed in this tick, and is no total; whether for the first time in it.
    fn touch(&mut self, id: NodeId, now_ms: i64) -> bool {
        if self.store.node(id).marks.has(Marks::TOTAL) {
            self.end_total(id);
        }
        self.renew(id, now_ms)
    }

    /// As [`Tree::touch`], whether it is a total or not.
    fn renew(&mut self, id: NodeId, now_ms: i64) -> bool {
        let now = self.now;
        let node = self.store.node_mut(id);
        if node.marks.has(Marks::LIFETIME | Marks::META) {
            if node.marks.has(Marks::LIFETIME) {
                self.lifetimes.renew(id, now_ms);
            }
            if node.marks.has(Marks::META) {
                self.metas.reported(id, now_ms);
            }
        }
        let first = node.changed != now;
        node.changed = now;
        self.touch_above(id);
        first
    }

    fn touch_above(&mut self, id: NodeId) {
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.store.node_mut(id);
            if node.below == self.now {
                break;
            }
            node.below = self.now;
            at = self.store.parent(id);
        }
    }

    /// Takes a leaf out, and whatever above it was there for its sake alone, and remembers its path.
    fn remove(&mut self, id: NodeId) {
        self.gone.push(self.now, encode_path(self.store.keys(id)));
        self.take_out(id);
    }

    /// As [`Tree::remove`], but nothing remembers its path.
    fn take_out(&mut self, id: NodeId) {
        self.touch_above(id);
        let mut at = id;
        loop {
            let node = self.store.node(at);
            if at == NodeId::ROOT || node.children > 0 {
                return;
            }
            if at != id && (!node.value.is_none() || self.store.own_action(at).is_some()) {
                return;
            }
            let Some(parent) = self.store.parent(at) else { return };
            self.forget(at, parent);
            self.store.unhang(at);
            at = parent;
        }
    }

    /// Drops what is kept beside a node that is about to go.
    fn forget(&mut self, id: NodeId, parent: NodeId) {
        let marks = self.store.node(id).marks;
        if marks.has(Marks::LIFETIME) {
            self.lifetimes.forget(id);
        }
        if marks.has(Marks::RATE) {
            self.rates.forget(id);
        }
        if marks.has(Marks::TOTAL) {
            self.totals.forget(id);
        }
        if marks.has(Marks::META) {
            self.metas.forget(id);
        }
        self.tops.forget(id, parent);
        if let Some(saved) = &mut self.saved {
            saved.forget(id);
        }
        if parent == NodeId::ROOT {
            self.branches.remove(&id);
        } else if let Some(nodes) = self.branches.get_mut(&self.branch_of(id)) {
            *nodes -= 1;
        }
    }

    /// The ancestor that hangs from the root.
    fn branch_of(&self, id: NodeId) -> NodeId {
        let mut at = id;
        while let Some(parent) = self.store.parent(at) {
            if parent == NodeId::ROOT {
                break;
            }
            at = parent;
        }
        at
    }
}
