//! What the tree answers: nodes, folded nodes, values.

use super::Tree;
use super::path::{Pattern, Step, encode_key};
use super::store::NodeId;
use super::value::{Sketch, Value, Windowed};
use compact_str::CompactString;
use hashbrown::HashMap;
use plugin_api::Action;
use plugin_api::sketch::{Distinct, Quantiles};
use std::borrow::Cow;

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

    fn merge(&mut self, other: &Self) {
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

/// Several nodes folded into one, with all that hangs below them.
#[derive(Clone, Debug, Default)]
pub struct Folded<'t> {
    own: Option<Reading<'t>>,
    /// In the order in which they came first.
    children: Vec<(CompactString, Folded<'t>)>,
    action: Option<Action>,
}

impl<'t> Folded<'t> {
    /// The fold of the nodes' own values.
    #[must_use]
    pub fn own(&self) -> Option<&Reading<'t>> {
        self.own.as_ref()
    }

    /// Its own value, or else the fold of its children.
    #[must_use]
    pub fn value(&self) -> Option<Reading<'t>> {
        if self.own.is_some() {
            return self.own.clone();
        }
        let mut fold = Fold::new(self.action);
        for value in self.children.iter().filter_map(|(_, child)| child.value()) {
            fold.feed(0, value);
        }
        fold.finish().map(|(_, value)| value)
    }

    /// The folds of their children, key by key.
    pub fn children(&self) -> impl Iterator<Item = (&str, &Folded<'t>)> {
        self.children.iter().map(|(key, child)| (key.as_str(), child))
    }
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
    /// What a query finds: one entry, or with `*` one a match. Each comes with its path, in which a folding step is
    /// still empty. A `*` behind a folding step folds too, for the fold has made one of what it would list.
    ///
    /// At most `limit` entries. What folds is copied, so it costs what it folds.
    #[must_use]
    pub fn select(&self, pattern: &Pattern, want: Want, limit: usize) -> Vec<(String, Hit<'_>)> {
        let mut found = Vec::new();
        self.visit(pattern, limit, |path, id, rest| {
            let hit = if rest.is_empty() {
                Some(Hit::Node(NodeRef { tree: self, id }))
            } else {
                self.fold_below(id, rest, want).map(Hit::Folded)
            };
            found.extend(hit.map(|hit| (path, hit)));
        });
        found
    }

    /// As [`Tree::select`], but only what each entry is worth: its own value, or else the fold of its children.
    #[must_use]
    pub fn values(&self, pattern: &Pattern, want: Want, limit: usize) -> Vec<(String, Reading<'_>)> {
        let mut found = Vec::new();
        self.visit(pattern, limit, |path, id, rest| {
            found.extend(self.value_at(id, rest, want).map(|value| (path, value)));
        });
        found
    }

    /// Calls `found` with each place where the pattern's plain steps and `*`s lead, and the folding rest.
    fn visit(&self, pattern: &Pattern, limit: usize, mut found: impl FnMut(String, NodeId, &[Step])) {
        let mut places = vec![(String::new(), NodeId::ROOT)];
        let steps = pattern.steps();
        for (i, step) in steps.iter().enumerate() {
            let join = |path: &str, key: &str| {
                let mut path = path.to_owned();
                if i > 0 {
                    path.push(',');
                }
                encode_key(key, &mut path);
                path
            };
            match step {
                Step::Key(key) => {
                    places.retain_mut(|(path, id)| {
                        let child = self.store.child(*id, key);
                        if let Some(child) = child {
                            *path = join(path, key);
                            *id = child;
                        }
                        child.is_some()
                    });
                }
                Step::Each => {
                    let all = places.iter().flat_map(|(path, id)| {
                        self.store.children(*id).map(|child| (join(path, &self.store.node(child).key), child))
                    });
                    places = all.collect();
                }
                Step::Fold => {
                    let rest = &steps[i..];
                    for (path, id) in places.into_iter().take(limit) {
                        let tail = Pattern::display_steps(rest);
                        let path = if i == 0 { tail } else { format!("{path},{tail}") };
                        found(path, id, rest);
                    }
                    return;
                }
            }
        }
        for (path, id) in places.into_iter().take(limit) {
            found(path, id, &[]);
        }
    }

    /// A node's own value.
    pub(super) fn own(&self, id: NodeId, want: Want) -> Option<Reading<'_>> {
        let slice = self.slice();
        match (&self.store.node(id).value, want) {
            (Value::None, _) => None,
            (Value::Number(_), Want::Rate) => match self.store.action(id) {
                None | Some(Action::Add | Action::Top { .. }) => Some(Reading::Number(self.rate(id))),
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

    /// What `steps` below a node are worth: every folding step folds by the action that holds where it stands.
    pub(super) fn value_at(&self, id: NodeId, steps: &[Step], want: Want) -> Option<Reading<'_>> {
        self.newest_value_at(id, steps, want).map(|(_, value)| value)
    }

    fn newest_value_at(&self, id: NodeId, steps: &[Step], want: Want) -> Option<(u32, Reading<'_>)> {
        let rest = match steps.split_first() {
            Some((Step::Key(key), rest)) => return self.newest_value_at(self.store.child(id, key)?, rest, want),
            Some((Step::Fold | Step::Each, rest)) => rest,
            None => match self.own(id, want) {
                Some(own) => return Some((self.store.node(id).changed, own)),
                None => &[],
            },
        };
        let mut fold = Fold::new(self.store.action(id));
        for child in self.store.children(id) {
            if let Some((changed, value)) = self.newest_value_at(child, rest, want) {
                fold.feed(changed, value);
            }
        }
        fold.finish()
    }

    /// What `steps` find below a node, as one node with all that hangs below.
    fn fold_below(&self, id: NodeId, steps: &[Step], want: Want) -> Option<Folded<'_>> {
        self.gather(id, steps, want).map(Gathered::finish)
    }

    fn gather(&self, id: NodeId, steps: &[Step], want: Want) -> Option<Gathered<'_>> {
        match steps.split_first() {
            None => Some(self.gather_all(id, want)),
            Some((Step::Key(key), rest)) => self.gather(self.store.child(id, key)?, rest, want),
            Some((Step::Fold | Step::Each, rest)) => {
                let mut gathered = Gathered::new(self.store.action(id));
                let mut any = false;
                for child in self.store.children(id) {
                    if let Some(one) = self.gather(child, rest, want) {
                        gathered.merge(one);
                        any = true;
                    }
                }
                any.then_some(gathered)
            }
        }
    }

    fn gather_all(&self, id: NodeId, want: Want) -> Gathered<'_> {
        let mut gathered = Gathered::new(self.store.action(id));
        if let Some(own) = self.own(id, want) {
            gathered.own.feed(self.store.node(id).changed, own);
        }
        for child in self.store.children(id) {
            let below = self.gather_all(child, want);
            gathered.child(&self.store.node(child).key).merge(below);
        }
        gathered
    }
}

/// A fold of whole subtrees under way.
#[derive(Debug)]
struct Gathered<'t> {
    own: Fold<'t>,
    children: Vec<(CompactString, Gathered<'t>)>,
    at: HashMap<CompactString, usize>,
}

impl<'t> Gathered<'t> {
    fn new(action: Option<Action>) -> Gathered<'t> {
        Gathered { own: Fold::new(action), children: Vec::new(), at: HashMap::new() }
    }

    fn child(&mut self, key: &CompactString) -> &mut Gathered<'t> {
        let action = self.own.action;
        let at = self.at.get(key).copied().unwrap_or_else(|| {
            self.at.insert(key.clone(), self.children.len());
            self.children.push((key.clone(), Gathered::new(action)));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// Another subtree under this one's action: what it has gathered itself is finished by its own action first.
    fn merge(&mut self, other: Gathered<'t>) {
        if let Some((changed, value)) = other.own.finish() {
            self.own.feed(changed, value);
        }
        for (key, below) in other.children {
            self.child(&key).merge(below);
        }
    }

    fn finish(self) -> Folded<'t> {
        let action = self.own.action;
        let own = self.own.finish().map(|(_, value)| value);
        let children = self.children.into_iter().map(|(key, below)| (key, below.finish())).collect();
        Folded { own, children, action }
    }
}

/// A fold across keys under way.
#[derive(Debug)]
struct Fold<'t> {
    action: Option<Action>,
    numbers: u64,
    sum: f64,
    min: f64,
    max: f64,
    quantiles: Option<Sketched<'t, Quantiles>>,
    distinct: Option<Sketched<'t, Distinct>>,
    newest_number: Option<(u32, f64)>,
    newest_other: Option<(u32, Reading<'t>)>,
    changed: u32,
}

impl<'t> Fold<'t> {
    fn new(action: Option<Action>) -> Fold<'t> {
        Fold {
            action,
            numbers: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            quantiles: None,
            distinct: None,
            newest_number: None,
            newest_other: None,
            changed: 0,
        }
    }

    fn feed(&mut self, changed: u32, value: Reading<'t>) {
        self.changed = self.changed.max(changed);
        match value {
            Reading::Number(x) => {
                self.numbers += 1;
                self.sum += x;
                self.min = self.min.min(x);
                self.max = self.max.max(x);
                if self.newest_number.is_none_or(|(newest, _)| newest <= changed) {
                    self.newest_number = Some((changed, x));
                }
            }
            Reading::Quantiles(sketch) => match &mut self.quantiles {
                Some(merged) => merged.merge(&sketch),
                None => self.quantiles = Some(sketch),
            },
            Reading::Distinct(sketch) => match &mut self.distinct {
                Some(merged) => merged.merge(&sketch),
                None => self.distinct = Some(sketch),
            },
            Reading::Bool(_) | Reading::Text(_) => {
                if self.newest_other.as_ref().is_none_or(|(newest, _)| *newest <= changed) {
                    self.newest_other = Some((changed, value));
                }
            }
        }
    }

    /// The fold, and when the newest of what it folded changed. Numbers pass over strings, and where there are no
    /// numbers sketches are merged, or the newest string holds.
    fn finish(self) -> Option<(u32, Reading<'t>)> {
        let quantiles = self.quantiles.map(Reading::Quantiles);
        let distinct = self.distinct.map(Reading::Distinct);
        let number = |x: f64| (self.numbers > 0).then(|| Reading::Number(x.clamp(f64::MIN, f64::MAX)));
        let newest_other = self.newest_other;
        let folded = match self.action {
            Some(Action::Last) => match (self.newest_number, &newest_other) {
                (Some((when, x)), Some((other, _))) if when > *other => number(x),
                (Some((_, x)), None) => number(x),
                _ => None,
            }
            .or_else(|| newest_other.map(|(_, value)| value))
            .or(quantiles)
            .or(distinct),
            Some(Action::Quantiles) => {
                quantiles.or(distinct).or(number(self.sum)).or_else(|| newest_other.map(|(_, value)| value))
            }
            Some(Action::Distinct) => {
                distinct.or(quantiles).or(number(self.sum)).or_else(|| newest_other.map(|(_, value)| value))
            }
            action => {
                let x = match action {
                    Some(Action::Average) => self.sum / self.numbers as f64,
                    Some(Action::Min) => self.min,
                    Some(Action::Max) => self.max,
                    _ => self.sum,
                };
                number(x).or(quantiles).or(distinct).or_else(|| newest_other.map(|(_, value)| value))
            }
        };
        folded.map(|value| (self.changed, value))
    }
}
