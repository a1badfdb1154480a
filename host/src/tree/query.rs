//! What the tree answers: nodes, folded nodes, values.

use super::Tree;
use super::fold::{FOLD_NODES_MAX, Fold, Folded, Stamp};
use super::meta::Meta;
use super::path::{Pattern, Step, encode_key};
use super::store::{Marks, NodeId};
use super::value::{Sketch, Value, Windowed};
use plugin_api::Action;
use plugin_api::sketch::{Distinct, Quantiles};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// What is wanted of each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Its value.
    Value,
    /// By how much it grows per second; only counters do.
    Rate,
}

/// What a node or a fold of nodes is worth.
#[derive(Clone, Debug)]
pub enum Reading<'t> {
    /// A counter, a gauge, or a fold of these. Finite.
    Number(f64),
    /// A boolean.
    Bool(bool),
    /// A text.
    Text(&'t str),
    /// Quantiles since the start and of the last minute.
    Quantiles(Sketched<'t, Quantiles>),
    /// A count of different items since the start and in the last minute.
    Distinct(Sketched<'t, Distinct>),
}

/// A sketch, of one node or merged from several.
#[derive(Clone, Debug)]
pub struct Sketched<'t, S: Clone> {
    windowed: Cow<'t, Windowed<S>>,
    slice: u32,
}

#[allow(private_bounds, reason = "the two sketches are all there are")]
impl<S: Sketch> Sketched<'_, S> {
    /// All since the start.
    #[must_use]
    pub fn total(&self) -> &S {
        self.windowed.total()
    }

    /// The last minute.
    #[must_use]
    pub fn last_minute(&self) -> S {
        self.windowed.last_minute(self.slice)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.windowed.to_mut().merge(&other.windowed);
    }
}

/// One node of the tree, to walk on from.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl<'t> NodeRef<'t> {
    pub(super) fn of(tree: &'t Tree, id: NodeId) -> NodeRef<'t> {
        NodeRef { tree, id }
    }

    /// Its key; empty at the root.
    #[must_use]
    pub fn key(self) -> &'t str {
        &self.tree.store.node(self.id).key
    }

    /// Its own value.
    #[must_use]
    pub fn own(self, want: Want) -> Option<Reading<'t>> {
        self.tree.own(self.id, want)
    }

    /// Its own value, or else the fold of its children.
    #[must_use]
    pub fn value(self, want: Want) -> Option<Reading<'t>> {
        self.tree.value_at(self.id, &[], want)
    }

    /// Whether nothing hangs below it.
    #[must_use]
    pub fn is_leaf(self) -> bool {
        self.tree.store.node(self.id).children == 0
    }

    /// Whether there is nothing here to be told: no value, nothing below it, no action of its own. So it is with a node
    /// that only waits for its value.
    #[must_use]
    pub fn is_bare(self) -> bool {
        self.tree.is_bare(self.id)
    }

    /// The tick in which its value or one below it changed last.
    #[must_use]
    pub fn changed(self) -> u64 {
        self.tree.tick_base + u64::from(self.tree.store.node(self.id).below)
    }

    /// How many children it has.
    #[must_use]
    pub fn children_count(self) -> usize {
        self.tree.store.node(self.id).children as usize
    }

    /// What it costs to say what its own value is, in nodes; `None` where it has none. A sketch has to be read through.
    #[must_use]
    pub fn own_cost(self) -> Option<usize> {
        match self.tree.store.node(self.id).value {
            Value::None => None,
            Value::Number(_) | Value::Bool(_) | Value::Text(_) => Some(1),
            Value::Quantiles(_) => Some(QUANTILES_READ),
            Value::Distinct(_) => Some(DISTINCT_READ),
        }
    }

    /// What a fold of what hangs below it costs, in nodes: as many as there are, and a sketch that has to be merged counts for many. `None`
    /// when that is more than `most`; no more than that is looked at.
    #[must_use]
    pub fn fold_cost(self, most: usize) -> Option<usize> {
        let mut left = most;
        self.tree.take_cost(self.id, &mut left).then(|| most - left)
    }

    /// What it costs to say what it is worth: [`NodeRef::own_cost`], or else [`NodeRef::fold_cost`]. `None` when that is more than `most`.
    #[must_use]
    pub fn cost(self, most: usize) -> Option<usize> {
        match self.own_cost() {
            Some(cost) => (cost <= most).then_some(cost),
            None => self.fold_cost(most),
        }
    }

    /// What is told of it beside its value.
    #[must_use]
    pub fn meta(self) -> Option<Meta<'t>> {
        self.tree.meta(self.id)
    }

    /// Whether it or something below it has metadata, or had.
    #[must_use]
    pub fn may_have_meta(self) -> bool {
        self.tree.may_have_meta(self.id)
    }

    /// The child of this key.
    #[must_use]
    pub fn child(self, key: &str) -> Option<NodeRef<'t>> {
        let NodeRef { tree, id } = self;
        tree.store.child(id, key).map(|id| NodeRef { tree, id })
    }

    /// Its children in the order in which they came.
    pub fn children(self) -> impl Iterator<Item = NodeRef<'t>> {
        let NodeRef { tree, id } = self;
        tree.store.children(id).map(move |id| NodeRef { tree, id })
    }

    /// The action in force.
    #[must_use]
    pub fn action(self) -> Option<Action> {
        self.tree.store.action(self.id)
    }

    /// By how much a key of a `top` may have been counted too low.
    #[must_use]
    pub fn error(self) -> f64 {
        self.tree.store.parent(self.id).map_or(0.0, |parent| self.tree.top_error(parent, self.id))
    }
}

/// What a merge of two quantile sketches costs, and of two distinct counts, in nodes that are added: each is of the whole and of
/// twelve slices of the last minute.
const QUANTILES_COST: usize = 128;
const DISTINCT_COST: usize = 512;

/// What it costs to say what one quantile sketch or one distinct count tells of the whole, in nodes.
const QUANTILES_READ: usize = 16;
const DISTINCT_READ: usize = 64;

fn goes_on(goes_on: bool) -> ControlFlow<()> {
    if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// What a query found.
#[derive(Clone, Debug)]
pub enum Hit<'t> {
    /// A node.
    Node(NodeRef<'t>),
    /// Several nodes, folded.
    Folded(Folded<'t>),
}

impl Tree {
    /// The root, to walk from.
    #[must_use]
    pub fn root(&self) -> NodeRef<'_> {
        NodeRef { tree: self, id: NodeId::ROOT }
    }

    /// The node at a path, if there is one.
    #[must_use]
    pub fn node(&self, path: &[&str]) -> Option<NodeRef<'_>> {
        path.iter().try_fold(self.root(), |at, key| at.child(key))
    }

    /// What a query finds: one entry, or with `*` one a match. Each comes with its path, in which a folding step is
    /// still empty. A `*` behind a folding step folds too, for the fold has made one of what it would list.
    ///
    /// At most `limit` entries, and no more of the tree is looked at than these need. What folds is copied, up to 65,536
    /// nodes in all: see [`Folded::is_cut`].
    #[must_use]
    pub fn select(&self, pattern: &Pattern, want: Want, limit: usize) -> Vec<(String, Hit<'_>)> {
        let mut found = Vec::new();
        let mut room = FOLD_NODES_MAX;
        self.visit(pattern, |path, id, rest| {
            if found.len() < limit {
                let hit = if rest.is_empty() {
                    Some(Hit::Node(NodeRef { tree: self, id }))
                } else {
                    self.fold_below(id, rest, want, &mut room).map(Hit::Folded)
                };
                found.extend(hit.map(|hit| (path.to_owned(), hit)));
            }
            goes_on(found.len() < limit)
        });
        found
    }

    /// As [`Tree::select`], but only what each entry is worth: its own value, or else the fold of its children.
    #[must_use]
    pub fn values(&self, pattern: &Pattern, want: Want, limit: usize) -> Vec<(String, Reading<'_>)> {
        let mut found = Vec::new();
        self.visit(pattern, |path, id, rest| {
            if found.len() < limit {
                found.extend(self.value_at(id, rest, want).map(|value| (path.to_owned(), value)));
            }
            goes_on(found.len() < limit)
        });
        found
    }

    /// Calls `found` with each place where the pattern's plain steps and `*`s lead, and the folding rest, until it
    /// breaks off.
    pub(super) fn visit(&self, pattern: &Pattern, mut found: impl FnMut(&str, NodeId, &[Step]) -> ControlFlow<()>) {
        let _ = self.visit_below(NodeId::ROOT, pattern.steps(), &mut String::new(), &mut found);
    }

    fn visit_below(
        &self,
        id: NodeId,
        steps: &[Step],
        path: &mut String,
        found: &mut impl FnMut(&str, NodeId, &[Step]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let length = path.len();
        let mut go = |path: &mut String, child: NodeId, rest: &[Step]| {
            if length > 0 {
                path.push(',');
            }
            encode_key(&self.store.node(child).key, path);
            let flow = self.visit_below(child, rest, path, found);
            path.truncate(length);
            flow
        };
        match steps.split_first() {
            None => found(path, id, &[]),
            Some((Step::Key(key), rest)) => match self.store.child(id, key) {
                Some(child) => go(path, child, rest),
                None => ControlFlow::Continue(()),
            },
            Some((Step::Each, rest)) => self.store.children(id).try_for_each(|child| go(path, child, rest)),
            Some((Step::Fold, _)) => {
                let tail = Pattern::display_steps(steps);
                if length > 0 {
                    path.push(',');
                }
                path.push_str(&tail);
                let flow = found(path, id, steps);
                path.truncate(length);
                flow
            }
        }
    }

    /// A node's own value.
    pub(super) fn own(&self, id: NodeId, want: Want) -> Option<Reading<'_>> {
        let slice = self.slice();
        match (&self.store.node(id).value, want) {
            (Value::None, _) => None,
            (Value::Number(_), Want::Rate) => match self.store.action(id) {
                None | Some(Action::Add | Action::Top { .. }) => self.rate(id).map(Reading::Number),
                _ => None,
            },
            (_, Want::Rate) => None,
            (Value::Number(x), Want::Value) => Some(Reading::Number(*x)),
            (Value::Bool(flag), Want::Value) => Some(Reading::Bool(*flag)),
            (Value::Text(text), Want::Value) => Some(Reading::Text(text)),
            (Value::Quantiles(sketch), Want::Value) => {
                Some(Reading::Quantiles(Sketched { windowed: Cow::Borrowed(sketch), slice }))
            }
            (Value::Distinct(sketch), Want::Value) => {
                Some(Reading::Distinct(Sketched { windowed: Cow::Borrowed(sketch), slice }))
            }
        }
    }

    /// As [`NodeRef::is_bare`].
    pub(super) fn is_bare(&self, id: NodeId) -> bool {
        let node = self.store.node(id);
        node.children == 0 && node.value.is_none() && self.store.own_action(id).is_none()
    }

    /// Takes what a fold of this node costs from what is left, as [`NodeRef::fold_cost`] counts it; whether there was enough.
    fn take_cost(&self, id: NodeId, left: &mut usize) -> bool {
        let node = self.store.node(id);
        let (own, ends) = match node.value {
            Value::None => (1, false),
            Value::Number(_) | Value::Bool(_) | Value::Text(_) => (1, true),
            Value::Quantiles(_) => (QUANTILES_COST, true),
            Value::Distinct(_) => (DISTINCT_COST, true),
        };
        let Some(rest) = left.checked_sub(own) else { return false };
        *left = rest;
        ends || self.store.children(id).all(|child| self.take_cost(child, left))
    }

    /// What `steps` below a node are worth: every folding step folds by the action that holds where it stands.
    pub(super) fn value_at(&self, id: NodeId, steps: &[Step], want: Want) -> Option<Reading<'_>> {
        self.newest_value_at(id, steps, want).map(|(_, value)| value)
    }

    /// What a fold has to know of a node's own value beside it.
    pub(super) fn stamp(&self, id: NodeId) -> Stamp {
        let node = self.store.node(id);
        Stamp { changed: node.changed, total: node.marks.has(Marks::TOTAL) }
    }

    /// As [`Tree::value_at`], and what a fold has to know of it.
    pub(super) fn newest_value_at(&self, id: NodeId, steps: &[Step], want: Want) -> Option<(Stamp, Reading<'_>)> {
        let rest = match steps.split_first() {
            Some((Step::Key(key), rest)) => return self.newest_value_at(self.store.child(id, key)?, rest, want),
            Some((Step::Fold | Step::Each, rest)) => rest,
            None => match self.own(id, want) {
                Some(own) => return Some((self.stamp(id), own)),
                None => &[],
            },
        };
        let mut fold = Fold::new(self.store.action(id));
        for child in self.store.children(id) {
            if let Some((stamp, value)) = self.newest_value_at(child, rest, want) {
                fold.feed(stamp, value);
            }
        }
        fold.finish()
    }
}
