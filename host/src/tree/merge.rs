//! Deltas enter the tree.

use super::store::{Marks, NodeId};
use super::value::{Value, Windowed};
use super::{OTHERS_MAX, Tree};
use plugin_api::Action;
use plugin_api::delta::wire::{FrameError, Op, Reader};
use plugin_api::limits::OTHER;
use plugin_api::sketch::{Distinct, Quantiles, Top};
use std::time::Duration;

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Values that were merged.
    pub leaves: u64,
    /// Of these, how many had to go to an `(other)`, or could not be kept at all, because a limit was met.
    pub overflowed: u64,
}

/// A node on the way from the root to an entry, with what has been found out about it.
#[derive(Clone, Copy)]
struct Level {
    node: NodeId,
    action: Option<Action>,
    /// No room was found below: what hangs deeper is counted here.
    full: bool,
    /// Not even for an `(other)`: what hangs here is dropped.
    lost: bool,
}

impl Tree {
    /// Merges a [frame](plugin_api::delta::wire) below the node at `base`: whole, or not at all.
    ///
    /// # Errors
    /// The bytes are no frame; nothing was merged. (A sketch inside a good frame that cannot be decoded is an
    /// error too: frames are checked where they enter, so only a broken plugin can cause it.)
    pub fn merge(&mut self, base: &[&str], frame: &[u8], now_ms: i64) -> Result<Merged, FrameError> {
        if frame.is_empty() {
            return Ok(Merged::default());
        }
        Reader::new(frame)?.check()?;
        let mut reader = Reader::new(frame)?;
        let mut merged = Merged::default();
        let mut levels = vec![self.root_level()];
        for key in base {
            self.descend(&mut levels, key);
        }
        let above = levels.len();
        while let Some(entry) = reader.next_entry()? {
            levels.truncate(above + entry.shared);
            for key in &reader.path()[entry.shared..] {
                self.descend(&mut levels, key);
            }
            let Some(&level) = levels.last() else { break };
            if level.lost {
                merged.leaves += 1;
                merged.overflowed += 1;
                continue;
            }
            let is_value = !matches!(entry.op, Op::Action(_) | Op::Lifetime(_));
            merged.leaves += u64::from(is_value);
            merged.overflowed += u64::from(is_value && level.full);
            self.apply(level, entry.op, now_ms);
        }
        self.overflowed += merged.overflowed;
        Ok(merged)
    }

    /// The node at `path`, made if it is not there.
    pub(super) fn walk(&mut self, path: &[&str]) -> NodeId {
        let mut levels = vec![self.root_level()];
        for key in path {
            self.descend(&mut levels, key);
        }
        levels.last().map_or(NodeId::ROOT, |level| level.node)
    }

    fn root_level(&self) -> Level {
        Level { node: NodeId::ROOT, action: self.store.own_action(NodeId::ROOT), full: false, lost: false }
    }

    fn descend(&mut self, levels: &mut Vec<Level>, key: &str) {
        let Some(&above) = levels.last() else { return };
        if above.full {
            levels.push(above);
            return;
        }
        if let Some(node) = self.store.child(above.node, key) {
            let action = self.store.own_action(node).or(above.action);
            levels.push(Level { node, action, ..above });
            return;
        }
        let branch = levels.get(1).map(|level| level.node);
        levels.push(self.hang(above, key, branch));
    }

    #[cold]
    fn hang(&mut self, above: Level, key: &str, branch: Option<NodeId>) -> Level {
        let in_branch = branch.map_or(0, |branch| self.branches.get(&branch).copied().unwrap_or(0));
        let excess = (self.store.len() + 1)
            .saturating_sub(self.limits.nodes_max)
            .max((in_branch + 1).saturating_sub(self.limits.branch_nodes_max));
        if excess == 0 {
            let node = self.hang_new(above, key, branch);
            return Level { node, ..above };
        }
        let full = Level { full: true, ..above };
        if let Some(node) = self.store.child(above.node, OTHER) {
            return Level { node, ..full };
        }
        if excess > OTHERS_MAX {
            return Level { lost: true, ..full };
        }
        Level { node: self.hang_new(above, OTHER, branch), ..full }
    }

    fn hang_new(&mut self, above: Level, key: &str, branch: Option<NodeId>) -> NodeId {
        if let Some(Action::Top { k }) = above.action {
            self.make_room(above.node, k);
        }
        let node = self.store.hang(above.node, key);
        match branch {
            None => {
                self.branches.insert(node, 0);
            }
            Some(branch) => *self.branches.entry(branch).or_insert(0) += 1,
        }
        if matches!(above.action, Some(Action::Top { .. })) {
            self.tops.joined(above.node, node);
        }
        node
    }

    fn apply(&mut self, level: Level, op: Op<'_>, now_ms: i64) {
        let id = level.node;
        match op {
            Op::Number(x) => match level.action {
                None | Some(Action::Add | Action::Top { .. }) => self.add(id, x, now_ms),
                Some(Action::Average | Action::Min | Action::Max | Action::Last) => {
                    self.replace(id, Value::Number(x), now_ms);
                }
                Some(Action::Quantiles) => self.quantiles(id, now_ms, |sketch| sketch.observe(x)),
                Some(Action::Distinct) => {
                    let text = x.to_string();
                    self.distinct(id, now_ms, |sketch| sketch.insert(text.as_bytes()));
                }
            },
            Op::Add(x) => {
                if !matches!(level.action, None | Some(Action::Add | Action::Top { .. })) {
                    self.store.set_action(id, Action::Add);
                }
                self.add(id, x, now_ms);
            }
            Op::Set(x) => {
                if !matches!(level.action, Some(Action::Average | Action::Min | Action::Max | Action::Last)) {
                    self.store.set_action(id, Action::Average);
                }
                self.replace(id, Value::Number(x), now_ms);
            }
            Op::Text(text) if level.action == Some(Action::Distinct) => {
                self.distinct(id, now_ms, |sketch| sketch.insert(text.as_bytes()));
            }
            Op::Text(text) => self.replace(id, Value::Text(Box::new(text.to_owned())), now_ms),
            Op::Bool(flag) => self.replace(id, Value::Bool(flag), now_ms),
            Op::Quantiles(bytes) => {
                if let Ok(found) = Quantiles::decode(bytes) {
                    if level.action != Some(Action::Quantiles) {
                        self.store.set_action(id, Action::Quantiles);
                    }
                    self.quantiles(id, now_ms, |sketch| sketch.merge(&found));
                }
            }
            Op::Distinct(bytes) => {
                if let Ok(found) = Distinct::decode(bytes) {
                    if level.action != Some(Action::Distinct) {
                        self.store.set_action(id, Action::Distinct);
                    }
                    self.distinct(id, now_ms, |sketch| sketch.merge(&found));
                }
            }
            Op::Top(bytes) => {
                if let Ok(found) = Top::decode(bytes) {
                    self.merge_top(level, &found, now_ms);
                }
            }
            Op::Action(action) => self.store.set_action(id, action),
            Op::Lifetime(life) => self.set_lifetime(id, life, now_ms),
        }
    }

    pub(super) fn add(&mut self, id: NodeId, x: f64, now_ms: i64) {
        let before = self.store.change(id, |value| {
            if let Value::Number(sum) = value {
                let before = *sum;
                let grown = before + x;
                if grown.is_finite() {
                    *sum = grown;
                }
                before
            } else {
                *value = Value::Number(x);
                0.0
            }
        });
        if self.touch(id, now_ms) {
            self.rates.began(id, before);
        }
    }

    fn replace(&mut self, id: NodeId, new: Value, now_ms: i64) {
        self.store.change(id, |value| *value = new);
        self.touch(id, now_ms);
    }

    fn quantiles(&mut self, id: NodeId, now_ms: i64, feed: impl Fn(&mut Quantiles)) {
        let slice = self.slice();
        self.store.change(id, |value| {
            if !matches!(value, Value::Quantiles(_)) {
                *value = Value::Quantiles(Box::<Windowed<Quantiles>>::default());
            }
            if let Value::Quantiles(sketch) = value {
                sketch.feed(slice, feed);
            }
        });
        self.touch(id, now_ms);
    }

    fn distinct(&mut self, id: NodeId, now_ms: i64, feed: impl Fn(&mut Distinct)) {
        let slice = self.slice();
        self.store.change(id, |value| {
            if !matches!(value, Value::Distinct(_)) {
                *value = Value::Distinct(Box::<Windowed<Distinct>>::default());
            }
            if let Value::Distinct(sketch) = value {
                sketch.feed(slice, feed);
            }
        });
        self.touch(id, now_ms);
    }

    /// Merges a pipe's `top` into the children of a node. What the pipe could not keep goes to `(other)`, so the
    /// total stays exact.
    fn merge_top(&mut self, level: Level, found: &Top, now_ms: i64) {
        let k = found.k();
        if level.action != Some(Action::Top { k }) {
            self.store.set_action(level.node, Action::Top { k });
        }
        let mut levels = vec![Level { action: Some(Action::Top { k }), ..level }];
        if level.node != NodeId::ROOT {
            // `descend` takes the branch from the level below the root.
            let branch = self.branch_of(level.node);
            levels.insert(0, Level { node: NodeId::ROOT, ..level });
            if branch != level.node {
                levels.insert(1, Level { node: branch, ..level });
            }
        }
        let above = levels.len();
        self.tops.blur(level.node, found.floor(), self.store.children(level.node));
        for (key, count, error) in found.iter() {
            levels.truncate(above);
            self.descend(&mut levels, if key.is_empty() { plugin_api::limits::EMPTY } else { key });
            let Some(&child) = levels.last() else { continue };
            if child.lost {
                self.overflowed += 1;
                continue;
            }
            self.add(child.node, count, now_ms);
            self.tops.sharpen(level.node, child.node, found.floor(), error);
        }
        if found.other() > 0.0 {
            levels.truncate(above);
            self.descend(&mut levels, OTHER);
            if let Some(&child) = levels.last().filter(|child| !child.lost) {
                self.add(child.node, found.other(), now_ms);
            }
        }
    }

    fn set_lifetime(&mut self, id: NodeId, life: Duration, now_ms: i64) {
        let node = self.store.node_mut(id);
        if life.is_zero() {
            node.marks.clear(Marks::LIFETIME);
            self.lifetimes.forget(id);
        } else {
            node.marks.set(Marks::LIFETIME);
            self.lifetimes.set(id, life, now_ms);
        }
    }
}
