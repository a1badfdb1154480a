//! What outlives the process: nodes as they are written down, and made anew from that.
//!
//! Whoever keeps the tree asks at each of its commits for what changed since the last one ([`Tree::changed_rows`]). Nothing
//! is copied but that: nodes know the tick of their last change, so the walk enters only branches that changed. A node that
//! is kept has a number of its own for as long as it lives; numbers are never used twice.

use super::Tree;
use super::path::{PathError, encode_path, parse_plain};
use super::store::{Marks, NodeId};
use super::value::{Value, Windowed};
use plugin_api::Action;
use plugin_api::delta::meta::Pairs;
use plugin_api::sketch::{Distinct, Quantiles};
use std::time::Duration;

/// A node's own value, to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kept {
    /// It has none.
    #[default]
    None,
    /// A counter or a gauge.
    Number(f64),
    /// A boolean.
    Bool(bool),
    /// A text.
    Text(Box<str>),
    /// An encoded sketch of all since the start.
    Quantiles(Box<[u8]>),
    /// An encoded sketch of all since the start.
    Distinct(Box<[u8]>),
}

/// A node to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The node's number.
    pub id: u64,
    /// Its own value.
    pub value: Kept,
    /// What most nodes that change have nothing of.
    pub more: Option<Box<More>>,
}

/// What else is to be kept of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct More {
    /// Its path, where its number is new.
    pub path: Option<Box<str>>,
    /// Its own action.
    pub action: Option<Action>,
    /// How long its value lasts when it is not renewed.
    pub lifetime: Option<Duration>,
    /// It is a counter whose totals are told.
    pub total: bool,
    /// By how much a child of a `top` may be too low; of a `top` itself, what a child that comes may have lost.
    pub error: f64,
    /// Its metadata, encoded, where that was not kept yet; empty where there is none any more.
    pub meta: Option<Box<[u8]>>,
}

/// What a sketch was fed in some time.
#[derive(Clone, Debug)]
pub enum Fed {
    /// Numbers.
    Quantiles(Box<Quantiles>),
    /// Items.
    Distinct(Box<Distinct>),
}

impl Fed {
    /// Whether it was nothing that counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Fed::Quantiles(sketch) => sketch.is_empty(),
            Fed::Distinct(sketch) => sketch.is_empty(),
        }
    }

    /// Takes on what was fed later. A node's sketch stays of one kind for as long as its number is the same, so what is of
    /// the other kind is not taken.
    pub fn merge(&mut self, later: &Fed) {
        match (self, later) {
            (Fed::Quantiles(sketch), Fed::Quantiles(later)) => sketch.merge(later),
            (Fed::Distinct(sketch), Fed::Distinct(later)) => sketch.merge(later),
            _ => {}
        }
    }
}

/// What changed.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Nodes that are new or different.
    pub changed: Vec<Row>,
    /// What sketches were fed since, by the numbers of their nodes.
    pub fed: Vec<(u64, Fed)>,
    /// Numbers of nodes that are no more.
    pub gone: Vec<u64>,
    /// To be asked for next: what changes from now on.
    pub next: Mark,
}

/// A moment in the tree's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u32);

/// What is known of what is kept. A word for each node, by its place: its number, whether it is kept as a sketch, whether its
/// metadata is kept, and which action is.
#[derive(Debug)]
pub(super) struct Saved {
    words: Vec<u64>,
    last: u64,
    gone: Vec<u64>,
}

/// Bits below the number.
const NUMBER_SHIFT: u32 = 16;
const META_KEPT: u64 = 1 << 8;
const SKETCH: u64 = 1 << 9;
const ACTION: u64 = 0xff;

impl Saved {
    fn word(&mut self, id: NodeId) -> &mut u64 {
        if self.words.len() <= id.at() {
            self.words.resize(id.at() + 1, 0);
        }
        &mut self.words[id.at()]
    }

    /// A node is about to go.
    pub(super) fn forget(&mut self, id: NodeId) {
        let word = self.words.get_mut(id.at()).map(std::mem::take).unwrap_or_default();
        if word != 0 {
            self.gone.push(word >> NUMBER_SHIFT);
        }
    }

    /// A node's metadata is another.
    pub(super) fn meta_changed(&mut self, id: NodeId) {
        if let Some(word) = self.words.get_mut(id.at()) {
            *word &= !META_KEPT;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.words.capacity() + self.gone.capacity()) * size_of::<u64>()
    }
}

impl Tree {
    /// From now on nodes have numbers: the tree is kept. `last` is the greatest that was ever given.
    pub fn keep(&mut self, last: u64) {
        self.saved = Some(Saved { words: Vec::new(), last, gone: Vec::new() });
    }

    /// This moment, for [`Tree::changed_rows`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.now)
    }

    /// What changed since a moment, and everything that was never kept; below nodes for which `skip` says so (by their keys)
    /// nothing is. Nothing where the tree is not [kept](Tree::keep).
    ///
    /// The caller asks with [`Rows::next`] the next time: what it got it has to keep, for it is not told again.
    pub fn changed_rows(&mut self, since: Mark, skip: impl Fn(&[&str]) -> bool) -> Rows {
        let next = Mark(self.now);
        let Some(mut saved) = self.saved.take() else { return Rows { next, ..Rows::default() } };
        let gone = std::mem::take(&mut saved.gone);
        let mut rows = Rows { gone, next, ..Rows::default() };
        let way = Vec::new();
        let mut walk =
            Walk { tree: self, since: since.0, saved: &mut saved, rows: &mut rows, sketches: Vec::new(), way };
        walk.below(NodeId::ROOT, &skip);
        for (id, number) in std::mem::take(&mut walk.sketches) {
            let fed = self.store.change(id, |value| match value {
                Value::Quantiles(sketch) => sketch.take_fed().map(Fed::Quantiles),
                Value::Distinct(sketch) => sketch.take_fed().map(Fed::Distinct),
                Value::None | Value::Number(_) | Value::Bool(_) | Value::Text(_) => None,
            });
            rows.fed.extend(fed.filter(|fed| !fed.is_empty()).map(|fed| (number, fed)));
        }
        self.saved = Some(saved);
        rows
    }

    /// The numbers of all nodes that are kept and have one, in the order of these; below nodes for which `skip` says so none.
    #[must_use]
    pub fn numbers(&self, skip: impl Fn(&[&str]) -> bool) -> Vec<(u64, f64)> {
        let mut all = Vec::new();
        if let Some(saved) = &self.saved {
            self.numbers_below(NodeId::ROOT, saved, &skip, &mut Vec::new(), &mut all);
        }
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    fn numbers_below<'t>(
        &'t self,
        id: NodeId,
        saved: &Saved,
        skip: &impl Fn(&[&str]) -> bool,
        way: &mut Vec<&'t str>,
        all: &mut Vec<(u64, f64)>,
    ) {
        for child in self.store.children(id) {
            let node = self.store.node(child);
            way.push(node.key.as_str());
            if way.len() > 3 || !skip(way) {
                let word = saved.words.get(child.at()).copied().unwrap_or_default();
                if let (true, Value::Number(x)) = (word != 0, &node.value) {
                    all.push((word >> NUMBER_SHIFT, *x));
                }
                self.numbers_below(child, saved, skip, way, all);
            }
            way.pop();
        }
    }

    /// Makes a node anew that was kept under a number, if there is room for it: whether there was. What was there is
    /// replaced.
    ///
    /// # Errors
    /// The path is none.
    pub fn restore(&mut self, path: &str, row: &Row, now_ms: i64) -> Result<bool, PathError> {
        let keys = parse_plain(path)?;
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let (id, whole) = self.walk(&keys);
        if !whole {
            return Ok(false);
        }
        let value = match &row.value {
            Kept::None => Value::None,
            Kept::Number(x) => Value::Number(*x),
            Kept::Bool(flag) => Value::Bool(*flag),
            Kept::Text(text) => Value::Text(Box::new(String::from(&**text))),
            Kept::Quantiles(bytes) => match Quantiles::decode(bytes) {
                Ok(sketch) => Value::Quantiles(Box::new(Windowed::of(sketch))),
                Err(_) => return Ok(false),
            },
            Kept::Distinct(bytes) => match Distinct::decode(bytes) {
                Ok(sketch) => Value::Distinct(Box::new(Windowed::of(sketch))),
                Err(_) => return Ok(false),
            },
        };
        self.store.change(id, |old| *old = value);
        self.touch(id, now_ms);
        let is_sketch = matches!(row.value, Kept::Quantiles(_) | Kept::Distinct(_));
        let mut word = row.id << NUMBER_SHIFT | if is_sketch { SKETCH } else { 0 };
        if let Some(more) = &row.more {
            if let Some(action) = more.action {
                self.store.set_action(id, action);
                word |= u64::from(self.store.node(id).action_number());
            }
            if let Some(lifetime) = more.lifetime {
                self.store.node_mut(id).marks.set(Marks::LIFETIME);
                self.lifetimes.set(id, lifetime, now_ms);
            }
            if more.total
                && let Kept::Number(x) = row.value
            {
                self.total(id, x, now_ms);
            }
            if let Some(meta) = &more.meta {
                // What was written is read as what comes from a plugin is: it may be damaged.
                if let Ok(pairs) = Pairs::read(meta) {
                    self.set_meta(id, pairs, now_ms);
                }
                word |= META_KEPT;
            }
        }
        self.restore_error(id, row.more.as_ref().map_or(0.0, |more| more.error));
        if let Some(saved) = &mut self.saved {
            *saved.word(id) = word;
        }
        Ok(true)
    }

    fn restore_error(&mut self, id: NodeId, error: f64) {
        if matches!(self.store.own_action(id), Some(Action::Top { .. })) {
            self.tops.restore_floor(id, error);
        } else if let Some(parent) = self.store.parent(id) {
            self.tops.restore_error(parent, id, error);
        }
    }

    /// What is kept as a node's error.
    fn error_to_keep(&self, id: NodeId) -> f64 {
        if matches!(self.store.own_action(id), Some(Action::Top { .. })) {
            return self.tops.floor(id);
        }
        self.store.parent(id).map_or(0.0, |parent| self.top_error(parent, id))
    }
}

struct Walk<'t> {
    tree: &'t Tree,
    since: u32,
    saved: &'t mut Saved,
    rows: &'t mut Rows,
    /// Sketches that changed, and their nodes' numbers.
    sketches: Vec<(NodeId, u64)>,
    /// The nodes from the root to where the walk is.
    way: Vec<NodeId>,
}

impl Walk<'_> {
    fn below(&mut self, id: NodeId, skip: &impl Fn(&[&str]) -> bool) {
        let tree = self.tree;
        for child in tree.store.children(id) {
            if tree.store.node(child).below < self.since && self.since > 0 {
                continue;
            }
            self.way.push(child);
            let keys: Vec<&str>;
            // The first levels alone are named by what is not kept.
            let skipped = self.way.len() <= 3 && {
                keys = self.way.iter().map(|id| tree.store.node(*id).key.as_str()).collect();
                skip(&keys)
            };
            if !skipped {
                self.node(child);
                self.below(child, skip);
            }
            self.way.pop();
        }
    }

    fn node(&mut self, id: NodeId) {
        let tree = self.tree;
        let node = tree.store.node(id);
        let mut word = *self.saved.word(id);
        let sketch = match &node.value {
            Value::Quantiles(sketch) => Some(sketch.is_known()),
            Value::Distinct(sketch) => Some(sketch.is_known()),
            Value::None | Value::Number(_) | Value::Bool(_) | Value::Text(_) => None,
        };
        if word & SKETCH != 0 && sketch != Some(true) {
            // What the sketch was fed is history. What took its place is something else, with a number of its own.
            self.rows.gone.push(word >> NUMBER_SHIFT);
            word = 0;
            *self.saved.word(id) = 0;
        }
        let is_new = word == 0;
        let action = tree.store.own_action(id);
        let another = word & ACTION != u64::from(node.action_number());
        let pruned = tree.tops.pruned_after(id, self.since.saturating_sub(1));
        let tells = !node.value.is_none() || action.is_some();
        let changed = if is_new { tells } else { node.changed >= self.since };
        if !changed && !another && !pruned {
            return;
        }
        let number = if is_new {
            self.saved.last += 1;
            self.saved.last
        } else {
            word >> NUMBER_SHIFT
        };
        let has_meta = node.marks.has(Marks::META);
        let meta = match (word & META_KEPT != 0, has_meta) {
            (false, true) => tree.meta(id).map(|meta| meta.encoded().into()),
            // It had some, or may have had.
            (false, false) if node.marks.has(Marks::META_BELOW) && !is_new => Some(Box::from([])),
            _ => None,
        };
        let is_sketch = if sketch.is_some() { SKETCH } else { 0 };
        *self.saved.word(id) = number << NUMBER_SHIFT | META_KEPT | is_sketch | u64::from(node.action_number());
        if sketch.is_some() {
            self.sketches.push((id, number));
        }
        let lifetime = node.marks.has(Marks::LIFETIME).then(|| tree.lifetimes.life(id)).flatten();
        let more = More {
            path: is_new.then(|| encode_path(tree.store.keys(id)).into()),
            action,
            lifetime,
            total: node.marks.has(Marks::TOTAL),
            error: tree.error_to_keep(id),
            meta,
        };
        let more = (more != More::default()).then(|| Box::new(more));
        self.rows.changed.push(Row { id: number, value: kept(&node.value), more });
    }
}

fn kept(value: &Value) -> Kept {
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes.into_boxed_slice()
    };
    match value {
        Value::None => Kept::None,
        Value::Number(x) => Kept::Number(*x),
        Value::Bool(flag) => Kept::Bool(*flag),
        Value::Text(text) => Kept::Text(text.as_str().into()),
        Value::Quantiles(sketch) => Kept::Quantiles(encoded(&|out| sketch.total().encode(out))),
        Value::Distinct(sketch) => Kept::Distinct(encoded(&|out| sketch.total().encode(out))),
    }
}
