//! Deltas enter the tree.

use super::store::{Marks, Node, NodeId};
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

/// What a shared `(other)` can hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sum,
    Quantiles,
    Distinct,
}

/// A sketch of a frame.
enum Decoded {
    Quantiles(Quantiles),
    Distinct(Distinct),
    Top(Top),
}

impl Decoded {
    fn memory_bytes(&self) -> usize {
        match self {
            Decoded::Quantiles(sketch) => sketch.memory_bytes(),
            Decoded::Distinct(sketch) => sketch.memory_bytes(),
            Decoded::Top(sketch) => sketch.memory_bytes(),
        }
    }
}

/// Bytes of decoded sketches that are kept between the check of a frame and its merge: those of any honest frame. The
/// others are decoded twice, for a few bytes may stand for a large sketch.
const SKETCHES_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What part of the limit of bytes the sketches that are there may grow past it.
const SKETCHES_PAST: usize = 8;

fn adds(action: Option<Action>) -> bool {
    matches!(action, None | Some(Action::Add | Action::Top { .. }))
}

/// Reads a frame to its end: whether it would merge whole. Gives back its first sketches.
fn check(frame: &[u8]) -> Result<Vec<Decoded>, FrameError> {
    let mut reader = Reader::new(frame)?;
    let mut kept = Vec::new();
    let mut bytes_kept = 0;
    while let Some(entry) = reader.next_entry()? {
        if let Op::Quantiles(bytes) | Op::Distinct(bytes) | Op::Top(bytes) = entry.op {
            let sketch = decode(frame, entry.op, bytes)?;
            if bytes_kept < SKETCHES_KEPT_BYTES {
                bytes_kept += sketch.memory_bytes();
                kept.push(sketch);
            }
        }
    }
    Ok(kept)
}

/// Decodes the sketch of an entry; `bytes` are a part of the frame.
fn decode(frame: &[u8], op: Op<'_>, bytes: &[u8]) -> Result<Decoded, FrameError> {
    let decoded = match op {
        Op::Quantiles(_) => Quantiles::decode(bytes).map(Decoded::Quantiles),
        Op::Distinct(_) => Distinct::decode(bytes).map(Decoded::Distinct),
        _ => Top::decode(bytes).map(Decoded::Top),
    };
    decoded.map_err(|error| {
        let begin = bytes.as_ptr().addr().saturating_sub(frame.as_ptr().addr());
        FrameError { at: begin + error.at, why: error.why }
    })
}

impl Tree {
    /// Merges a [frame](plugin_api::delta::wire) below the node at `base`: whole, or not at all.
    ///
    /// # Errors
    /// The bytes are no frame, or a sketch in it cannot be decoded; nothing was merged.
    pub fn merge(&mut self, base: &[&str], frame: &[u8], now_ms: i64) -> Result<Merged, FrameError> {
        if frame.is_empty() {
            return Ok(Merged::default());
        }
        let mut sketches = check(frame)?.into_iter();
        let mut reader = Reader::new(frame)?;
        let mut merged = Merged::default();
        let mut dropped = 0;
        let mut levels = vec![self.root_level()];
        for key in base {
            self.descend(&mut levels, key);
        }
        let above = levels.len();
        while let Some(entry) = reader.next_entry()? {
            let before = levels.get(above + entry.shared).map(|level| level.node);
            levels.truncate(above + entry.shared);
            let mut keys = reader.path()[entry.shared..].iter();
            // Who tells of many nodes mostly does so in the order in which they hang: the next is likely the next of these.
            if let Some(key) = keys.next() {
                self.descend_near(&mut levels, key, before);
            }
            for key in keys {
                self.descend_near(&mut levels, key, None);
            }
            let Some(level) = levels.last_mut() else { break };
            let kept = match entry.op {
                Op::Quantiles(bytes) | Op::Distinct(bytes) | Op::Top(bytes) => {
                    // The first were decoded by the check already.
                    let sketch = match sketches.next() {
                        Some(sketch) => sketch,
                        None => decode(frame, entry.op, bytes)?,
                    };
                    self.apply_sketch(level, &sketch, now_ms)
                }
                op if level.full => self.apply_at_other(level, op, now_ms),
                op => self.apply(level, op, now_ms),
            };
            match entry.op {
                Op::Action(_) | Op::Lifetime(_) => {}
                // Of a value that is counted elsewhere there is nothing to tell.
                Op::Meta(_) => dropped += u64::from(!level.full && !kept),
                _ => {
                    merged.leaves += 1;
                    merged.overflowed += u64::from(level.full || !kept);
                }
            }
        }
        self.overflowed += merged.overflowed + dropped;
        Ok(merged)
    }

    /// The node at `path`, made if it is not there; and whether it is that node, not an `(other)` or an ancestor for
    /// want of room.
    pub(super) fn walk(&mut self, path: &[&str]) -> (NodeId, bool) {
        let mut levels = vec![self.root_level()];
        for key in path {
            self.descend(&mut levels, key);
        }
        levels.last().map_or((NodeId::ROOT, true), |level| (level.node, !level.full))
    }

    fn root_level(&self) -> Level {
        Level { node: NodeId::ROOT, action: self.store.own_action(NodeId::ROOT), full: false, lost: false }
    }

    /// As [`Tree::descend`], where the child is likely the one behind `before`, or else the first.
    #[inline]
    fn descend_near(&mut self, levels: &mut Vec<Level>, key: &str, before: Option<NodeId>) {
        if let Some(&above) = levels.last()
            && !above.full
            && let Some(node) = self.store.child_near(above.node, key, before)
        {
            let action = self.store.own_action(node).or(above.action);
            levels.push(Level { node, action, ..above });
            return;
        }
        self.descend(levels, key);
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
            .max((in_branch + 1).saturating_sub(self.limits.branch_nodes_max))
            .max(self.held_bytes().saturating_sub(self.limits.bytes_max).div_ceil(size_of::<Node>()));
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

    /// Gives a node an action of its own, also on the way to what hangs deeper.
    fn act(&mut self, level: &mut Level, action: Action) {
        level.action = Some(self.store.set_action(level.node, action));
    }

    /// Whether an entry was kept.
    fn apply(&mut self, level: &mut Level, op: Op<'_>, now_ms: i64) -> bool {
        let id = level.node;
        match op {
            Op::Number(x) => match level.action {
                None | Some(Action::Add | Action::Top { .. }) => self.add(id, x, now_ms),
                Some(Action::Average | Action::Min | Action::Max | Action::Last) => {
                    self.replace(id, Value::Number(x), now_ms);
                }
                Some(Action::Quantiles) => return self.quantiles(id, now_ms, |sketch| sketch.observe(x)),
                Some(Action::Distinct) => {
                    let text = x.to_string();
                    return self.distinct(id, now_ms, |sketch| sketch.insert(text.as_bytes()));
                }
            },
            Op::Add(x) => {
                if !adds(level.action) {
                    self.act(level, Action::Add);
                }
                self.add(id, x, now_ms);
            }
            Op::Set(x) => {
                if !matches!(level.action, Some(Action::Average | Action::Min | Action::Max | Action::Last)) {
                    self.act(level, Action::Average);
                }
                self.replace(id, Value::Number(x), now_ms);
            }
            Op::Text(text) if level.action == Some(Action::Distinct) => {
                return self.distinct(id, now_ms, |sketch| sketch.insert(text.as_bytes()));
            }
            Op::Text(text) => {
                let grows = size_of::<String>() + text.len() > self.store.node(id).value.heap_bytes();
                if grows && self.held_bytes() > self.limits.bytes_max {
                    return false;
                }
                self.replace(id, Value::Text(Box::new(text.to_owned())), now_ms);
            }
            Op::Bool(flag) => self.replace(id, Value::Bool(flag), now_ms),
            Op::Action(action) => self.act(level, action),
            Op::Lifetime(life) => self.set_lifetime(id, life, now_ms),
            Op::Meta(pairs) => return self.set_meta(id, pairs, now_ms),
            // Pruned, and told again, it would be counted twice.
            Op::Total(_) if matches!(level.action, Some(Action::Top { .. })) => return false,
            Op::Total(x) => {
                if !adds(level.action) {
                    self.act(level, Action::Add);
                }
                self.total(id, x, now_ms);
            }
            Op::Quantiles(_) | Op::Distinct(_) | Op::Top(_) => return false,
        }
        true
    }

    /// As [`Tree::apply`], at a node that many keys share for want of room: only what can be told together is kept. The
    /// last of many gauges, totals or texts would tell nothing, and an action, a lifetime or metadata is that of one key, not of all.
    #[cold]
    fn apply_at_other(&mut self, level: &mut Level, op: Op<'_>, now_ms: i64) -> bool {
        match op {
            Op::Number(x) if adds(level.action) => self.add_at_other(*level, x, now_ms),
            Op::Add(x) => self.add_at_other(*level, x, now_ms),
            Op::Number(_) if level.action == Some(Action::Quantiles) && self.takes(*level, Kind::Quantiles) => {
                self.apply(level, op, now_ms)
            }
            Op::Number(_) | Op::Text(_)
                if level.action == Some(Action::Distinct) && self.takes(*level, Kind::Distinct) =>
            {
                self.apply(level, op, now_ms)
            }
            _ => false,
        }
    }

    /// Adds to an `(other)`, unless it holds something else than a sum.
    fn add_at_other(&mut self, level: Level, x: f64, now_ms: i64) -> bool {
        if !self.takes(level, Kind::Sum) {
            return false;
        }
        if !adds(self.store.action(level.node)) {
            // The keys that share it may have another action than the branch; the level's own stays as it is.
            self.store.set_action(level.node, Action::Add);
        }
        self.add(level.node, x, now_ms);
        true
    }

    /// Whether a shared `(other)` holds nothing yet, or what can be merged with this.
    fn takes(&self, level: Level, kind: Kind) -> bool {
        let holds = match &self.store.node(level.node).value {
            Value::None => return !level.lost,
            Value::Number(_) if adds(self.store.action(level.node)) => Kind::Sum,
            Value::Quantiles(_) => Kind::Quantiles,
            Value::Distinct(_) => Kind::Distinct,
            Value::Number(_) | Value::Bool(_) | Value::Text(_) => return false,
        };
        !level.lost && holds == kind
    }

    fn apply_sketch(&mut self, level: &mut Level, sketch: &Decoded, now_ms: i64) -> bool {
        let (action, kind) = match sketch {
            Decoded::Top(found) if level.full => return self.add_at_other(*level, found.total(), now_ms),
            Decoded::Top(found) => return self.merge_top(level, found, now_ms),
            Decoded::Quantiles(_) => (Action::Quantiles, Kind::Quantiles),
            Decoded::Distinct(_) => (Action::Distinct, Kind::Distinct),
        };
        if level.full {
            if !self.takes(*level, kind) {
                return false;
            }
            if self.store.action(level.node) != Some(action) {
                self.store.set_action(level.node, action);
            }
        } else if level.action != Some(action) {
            self.act(level, action);
        }
        match sketch {
            Decoded::Quantiles(found) => self.quantiles(level.node, now_ms, |sketch| sketch.merge(found)),
            Decoded::Distinct(found) => self.distinct(level.node, now_ms, |sketch| sketch.merge(found)),
            Decoded::Top(_) => false,
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
            let at = self.rates.began(id, before);
            self.store.node_mut(id).began = at;
        }
    }

    fn replace(&mut self, id: NodeId, new: Value, now_ms: i64) {
        self.store.change(id, |value| *value = new);
        self.touch(id, now_ms);
    }

    fn quantiles(&mut self, id: NodeId, now_ms: i64, feed: impl Fn(&mut Quantiles)) -> bool {
        if !self.has_room_to_sketch(matches!(self.store.node(id).value, Value::Quantiles(_))) {
            return false;
        }
        let (slice, is_kept) = (self.slice(), self.saved.is_some());
        self.store.change(id, |value| {
            if !matches!(value, Value::Quantiles(_)) {
                *value = Value::Quantiles(Box::<Windowed<Quantiles>>::default());
            }
            if let Value::Quantiles(sketch) = value {
                sketch.feed(slice, is_kept, feed);
            }
        });
        self.touch(id, now_ms);
        true
    }

    fn distinct(&mut self, id: NodeId, now_ms: i64, feed: impl Fn(&mut Distinct)) -> bool {
        if !self.has_room_to_sketch(matches!(self.store.node(id).value, Value::Distinct(_))) {
            return false;
        }
        let (slice, is_kept) = (self.slice(), self.saved.is_some());
        self.store.change(id, |value| {
            if !matches!(value, Value::Distinct(_)) {
                *value = Value::Distinct(Box::<Windowed<Distinct>>::default());
            }
            if let Value::Distinct(sketch) = value {
                sketch.feed(slice, is_kept, feed);
            }
        });
        self.touch(id, now_ms);
        true
    }

    /// Past the limit of bytes no sketch begins. One that is there has its own bound and goes on, but all of them
    /// could still grow to that: a little later they rest too.
    fn has_room_to_sketch(&self, is_there: bool) -> bool {
        let most = self.limits.bytes_max;
        self.held_bytes() <= if is_there { most.saturating_add(most / SKETCHES_PAST) } else { most }
    }

    /// Merges a pipe's `top` into the children of a node; whether each found its place. What the pipe could not keep goes
    /// to `(other)`, so the total stays exact.
    fn merge_top(&mut self, level: &mut Level, found: &Top, now_ms: i64) -> bool {
        let k = found.k();
        if level.action != Some(Action::Top { k }) {
            self.act(level, Action::Top { k });
        }
        let level = *level;
        let mut levels = vec![level];
        if level.node != NodeId::ROOT {
            // `descend` takes the branch from the level below the root.
            let branch = self.branch_of(level.node);
            levels.insert(0, Level { node: NodeId::ROOT, ..level });
            if branch != level.node {
                levels.insert(1, Level { node: branch, ..level });
            }
        }
        let above = levels.len();
        let mut all = true;
        self.tops.blur(level.node, found.floor(), self.store.children(level.node));
        for (key, count, error) in found.iter() {
            levels.truncate(above);
            self.descend(&mut levels, if key.is_empty() { plugin_api::limits::EMPTY } else { key });
            let Some(&child) = levels.last() else { continue };
            if child.full {
                all = false;
                self.add_at_other(child, count, now_ms);
                continue;
            }
            self.add(child.node, count, now_ms);
            self.tops.sharpen(level.node, child.node, found.floor(), error);
        }
        if found.other() > 0.0 {
            levels.truncate(above);
            self.descend(&mut levels, OTHER);
            if let Some(&child) = levels.last() {
                all &= if child.full {
                    self.add_at_other(child, found.other(), now_ms)
                } else {
                    self.add(child.node, found.other(), now_ms);
                    true
                };
            }
        }
        all
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
