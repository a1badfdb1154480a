//! Several nodes folded into one.

use super::Tree;
use super::path::Step;
use super::query::{Reading, Sketched, Want};
use super::store::NodeId;
use compact_str::CompactString;
use hashbrown::HashMap;
use plugin_api::Action;
use plugin_api::sketch::{Distinct, Quantiles};

/// Nodes that the folds of one query copy: some dozens of MB at the most, and more than any page shows.
pub(super) const FOLD_NODES_MAX: usize = 65_536;

/// Several nodes folded into one, with all that hangs below them.
#[derive(Clone, Debug, Default)]
pub struct Folded<'t> {
    own: Option<Reading<'t>>,
    /// What the nodes are worth together, where that is not the fold of their own values.
    worth: Option<Box<Reading<'t>>>,
    /// In the order in which they came first.
    children: Vec<(CompactString, Folded<'t>)>,
    cut: bool,
}

impl<'t> Folded<'t> {
    /// The fold of the nodes' own values.
    #[must_use]
    pub fn own(&self) -> Option<&Reading<'t>> {
        self.own.as_ref()
    }

    /// The fold of what each node is worth: its own value, or else the fold of its children. The same as
    /// [`Tree::values`] tells.
    #[must_use]
    pub fn value(&self) -> Option<Reading<'t>> {
        self.worth.as_deref().or(self.own.as_ref()).cloned()
    }

    /// The folds of their children, key by key.
    pub fn children(&self) -> impl Iterator<Item = (&str, &Folded<'t>)> {
        self.children.iter().map(|(key, child)| (key.as_str(), child))
    }

    /// Whether keys were left out, here or deeper, because a query copies no more than 65,536 nodes. What is there is
    /// exact even so, and so is what is left out in the values above it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Tree {
    /// What `steps`, of which the first folds, find below a node: as one node with all that hangs below. At most
    /// `room` nodes are copied, and taken off it.
    pub(super) fn fold_below(&self, id: NodeId, steps: &[Step], want: Want, room: &mut usize) -> Option<Folded<'_>> {
        let mut gathered = Gathered::new(self.store.action(id));
        let rest = steps.get(1..).unwrap_or_default();
        let mut cut = false;
        let mut gathering = Gathering { tree: self, want, room, cut: &mut cut };
        let any = gathering.children(id, rest, &mut gathered);
        any.then(|| Folded { cut, ..gathered.finish() })
    }
}

/// A walk that gathers whole subtrees.
struct Gathering<'t, 'w> {
    tree: &'t Tree,
    want: Want,
    room: &'w mut usize,
    cut: &'w mut bool,
}

impl<'t> Gathering<'t, '_> {
    /// Gathers what `steps` find below each child; whether there was any.
    fn children(&mut self, id: NodeId, steps: &[Step], into: &mut Gathered<'t>) -> bool {
        let tree = self.tree;
        let mut any = false;
        for child in tree.store.children(id) {
            any |= self.steps(child, steps, into);
        }
        any
    }

    fn steps(&mut self, id: NodeId, steps: &[Step], into: &mut Gathered<'t>) -> bool {
        match steps.split_first() {
            None => {
                self.pour(id, into);
                true
            }
            Some((Step::Key(key), rest)) => {
                self.tree.store.child(id, key).is_some_and(|child| self.steps(child, rest, into))
            }
            Some((Step::Fold | Step::Each, rest)) => {
                let mut inner = Gathered::new(self.tree.store.action(id));
                let (had, cut_before) = (*self.room, std::mem::take(self.cut));
                let any = self.children(id, rest, &mut inner);
                let held = had - *self.room;
                if any {
                    self.merge(inner, into);
                }
                // The inner fold is done with, and its room free again.
                *self.room += held;
                if *self.cut {
                    // What one of the folds lacks is missing in the keys above it: better none than wrong ones.
                    into.close();
                }
                *self.cut |= cut_before;
                any
            }
        }
    }

    /// Another fold under this one's action: what it has gathered is finished by its own action first.
    fn merge(&mut self, from: Gathered<'t>, into: &mut Gathered<'t>) {
        let worth = from.worth.and_then(|worth| worth.finish());
        into.feed(from.own.finish(), worth);
        for (key, below) in from.children {
            if let Some(child) = self.child(into, &key) {
                self.merge(below, child);
            }
        }
    }

    /// Gathers a node and all below it, and tells what it is worth.
    fn pour(&mut self, id: NodeId, into: &mut Gathered<'t>) -> Option<(Stamp, Reading<'t>)> {
        let tree = self.tree;
        let own = tree.own(id, self.want).map(|own| (tree.stamp(id), own));
        let mut below = own.is_none().then(|| Fold::new(tree.store.action(id)));
        for child in tree.store.children(id) {
            let worth = match self.child(into, &tree.store.node(child).key) {
                Some(place) => self.pour(child, place),
                None if below.is_some() => tree.newest_value_at(child, &[], self.want),
                None => None,
            };
            if let (Some(below), Some((stamp, worth))) = (&mut below, worth) {
                below.feed(stamp, worth);
            }
        }
        let folded = below.and_then(Fold::finish);
        into.feed(own.clone(), folded.clone());
        own.or(folded)
    }

    /// The place for a key, unless there is no room for one more. A key that has its place gets all that belongs
    /// there, so what is left out is left out whole.
    fn child<'g>(&mut self, into: &'g mut Gathered<'t>, key: &CompactString) -> Option<&'g mut Gathered<'t>> {
        let at = match into.at.get(key) {
            Some(at) => *at,
            None if into.closed || *self.room == 0 => {
                *self.cut = true;
                return None;
            }
            None => {
                *self.room -= 1;
                into.at.insert(key.clone(), into.children.len());
                into.children.push((key.clone(), Gathered::new(into.own.action)));
                into.children.len() - 1
            }
        };
        into.children.get_mut(at).map(|(_, child)| child)
    }
}

/// A fold of whole subtrees under way.
#[derive(Debug)]
struct Gathered<'t> {
    own: Fold<'t>,
    /// What the nodes are worth, from the first on that is worth something else than its own value.
    worth: Option<Box<Fold<'t>>>,
    children: Vec<(CompactString, Gathered<'t>)>,
    at: HashMap<CompactString, usize>,
    /// It takes no children.
    closed: bool,
}

impl<'t> Gathered<'t> {
    fn new(action: Option<Action>) -> Gathered<'t> {
        Gathered { own: Fold::new(action), worth: None, children: Vec::new(), at: HashMap::new(), closed: false }
    }

    /// Takes in one that has this value of its own, and is worth that, or else this.
    fn feed(&mut self, own: Option<(Stamp, Reading<'t>)>, worth: Option<(Stamp, Reading<'t>)>) {
        if let Some((stamp, worth)) = worth {
            self.worth.get_or_insert_with(|| Box::new(self.own.clone())).feed(stamp, worth);
        } else if let (Some(fold), Some((stamp, own))) = (&mut self.worth, &own) {
            fold.feed(*stamp, own.clone());
        }
        if let Some((stamp, own)) = own {
            self.own.feed(stamp, own);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.children.clear();
        self.at.clear();
    }

    fn finish(self) -> Folded<'t> {
        let own = self.own.finish().map(|(_, value)| value);
        let worth = self.worth.and_then(|worth| worth.finish()).map(|(_, value)| Box::new(value));
        let children = self.children.into_iter().map(|(key, below)| (key, below.finish())).collect();
        Folded { own, worth, children, cut: false }
    }
}

/// What a fold has to know of a value beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The tick in which the newest of it changed.
    pub(super) changed: u32,
    /// It is a total, or a sum of such.
    pub(super) total: bool,
}

/// A fold across keys under way.
#[derive(Clone, Debug)]
pub(super) struct Fold<'t> {
    action: Option<Action>,
    numbers: u64,
    /// How many of the numbers are totals.
    totals: u64,
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
    pub(super) fn new(action: Option<Action>) -> Fold<'t> {
        Fold {
            action,
            numbers: 0,
            totals: 0,
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

    pub(super) fn feed(&mut self, stamp: Stamp, value: Reading<'t>) {
        let Stamp { changed, total } = stamp;
        self.changed = self.changed.max(changed);
        match value {
            Reading::Number(x) => {
                self.numbers += 1;
                self.totals += u64::from(total);
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
    /// numbers sketches are merged, or the newest string holds. Totals that would be averaged are summed: a collector's branch
    /// averages unless told otherwise, and a mean says nothing of counters.
    pub(super) fn finish(self) -> Option<(Stamp, Reading<'t>)> {
        let totals = self.numbers > 0 && self.totals == self.numbers;
        let action = if totals && self.action == Some(Action::Average) { Some(Action::Add) } else { self.action };
        let sums = matches!(action, None | Some(Action::Add | Action::Top { .. }));
        let stamp = Stamp { changed: self.changed, total: totals && sums };
        let quantiles = self.quantiles.map(Reading::Quantiles);
        let distinct = self.distinct.map(Reading::Distinct);
        let number = |x: f64| (self.numbers > 0).then(|| Reading::Number(x.clamp(f64::MIN, f64::MAX)));
        let newest_other = self.newest_other;
        let folded = match action {
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
        folded.map(|value| (stamp, value))
    }
}
