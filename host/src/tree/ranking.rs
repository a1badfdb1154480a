//! What of all that a pattern finds is the most, looked for in pieces between which the tree may change.
//!
//! What is small is gone through in one go. Else the places of the arena are looked at one after another, for those stay where they are
//! whatever happens to their neighbours; a node is one of those that are looked for if its ancestors are as the pattern has them.

use super::Tree;
use super::path::{Pattern, Step};
use super::query::{NodeRef, Reading, Want};
use super::store::NodeId;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

/// The `limit` greatest of what a pattern finds, under way.
#[derive(Debug)]
pub struct Ranking {
    /// Plain keys and `*`: where they lead, there is an entry.
    leading: Vec<Step>,
    /// What folds below it.
    folding: Vec<Step>,
    want: Want,
    limit: usize,
    /// Bytes of a name that are kept.
    name_bytes: usize,
    /// The least first.
    best: BinaryHeap<Entry>,
    /// How many there were, of those beside which others do not count in the second place.
    found: [usize; 2],
    /// The place to look at next; none before it is known whether all is gone through in one go.
    at: Option<usize>,
}

/// What has been found.
#[derive(Debug, Default)]
pub struct Ranked {
    /// Names and what they are worth, the greatest first.
    pub rows: Vec<(String, f64)>,
    /// How many there were, these among them.
    pub found: usize,
}

/// Whether a node is one of those beside which others do not count, and what it is worth.
pub type Worth = (bool, f64);

#[derive(Debug)]
struct Entry {
    worth: Worth,
    name: String,
    /// Of what is worth the same, what came first stays.
    came: usize,
}

impl Entry {
    fn rank(&self, (first, worth): Worth, came: usize) -> Ordering {
        let (own_first, own) = self.worth;
        own_first.cmp(&first).then_with(|| own.total_cmp(&worth)).then_with(|| came.cmp(&self.came))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        // The heap has its greatest on top, and that is to be the least.
        other.rank(self.worth, self.came)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// What one look costs at most, in nodes or what takes as long.
#[derive(Debug)]
struct Room(usize);

impl Room {
    fn take(&mut self, cost: usize) -> bool {
        self.0 = self.0.saturating_sub(cost);
        self.0 > 0
    }
}

impl Ranking {
    /// The `limit` greatest of what a pattern with a `*` finds. They are called by the keys that `*` stands for, of which `name_bytes` are
    /// kept.
    #[must_use]
    pub fn new(pattern: &Pattern, want: Want, limit: usize, name_bytes: usize) -> Ranking {
        let steps = pattern.steps();
        let folds = steps.iter().position(|step| *step == Step::Fold).unwrap_or(steps.len());
        let (leading, folding) = steps.split_at(folds);
        Ranking {
            leading: leading.to_vec(),
            folding: folding.to_vec(),
            want,
            limit: limit.max(1),
            name_bytes,
            best: BinaryHeap::new(),
            found: [0; 2],
            at: None,
        }
    }

    /// Looks on, at no more than about so many nodes, but at one entry at least; whether there is more to look at. The next call may be
    /// of the tree as it has become meanwhile. `weigh` says of a last key and a value what they are worth, if they count.
    pub fn look(&mut self, tree: &Tree, nodes: usize, weigh: impl Fn(&str, &Reading<'_>) -> Option<Worth>) -> bool {
        let mut room = Room(nodes.max(1));
        let begin = match self.at {
            Some(at) => at,
            None => {
                let leading = self.leading.clone();
                if self.walk(tree, NodeId::ROOT, &leading, &mut room, &weigh) {
                    return false;
                }
                // What was met so far is met again.
                self.best.clear();
                self.found = [0; 2];
                self.at = Some(0);
                return true;
            }
        };
        let end = begin.saturating_add(nodes.max(1));
        for (id, _) in tree.store.in_places(begin..end) {
            if self.leads_to(tree, id) && !self.meet(tree, id, &mut room, &weigh) {
                self.at = Some(id.at() + 1);
                return id.at() + 1 < tree.store.places();
            }
        }
        self.at = Some(end);
        end < tree.store.places()
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Ranked {
        let first = self.found[1] > 0;
        let counts = |entry: &Entry| entry.worth.0 == first;
        let rows = self.best.into_sorted_vec().into_iter().filter(counts).map(|entry| (entry.name, entry.worth.1));
        let mut rows: Vec<_> = rows.collect();
        // What went and came back between two looks was met twice.
        let mut seen = HashSet::with_capacity(rows.len());
        rows.retain(|(name, _)| seen.insert(name.clone()));
        Ranked { rows, found: self.found[usize::from(first)] }
    }

    /// Goes through what there is below a node; whether there was room for it.
    fn walk(
        &mut self,
        tree: &Tree,
        id: NodeId,
        steps: &[Step],
        room: &mut Room,
        weigh: &impl Fn(&str, &Reading<'_>) -> Option<Worth>,
    ) -> bool {
        match steps.split_first() {
            None => self.meet(tree, id, room, weigh),
            Some((Step::Key(key), rest)) => {
                tree.store.child(id, key).is_none_or(|child| self.walk(tree, child, rest, room, weigh))
            }
            Some((_, rest)) => {
                tree.store.children(id).all(|child| room.take(1) && self.walk(tree, child, rest, room, weigh))
            }
        }
    }

    /// Whether the leading steps lead to a node.
    fn leads_to(&self, tree: &Tree, id: NodeId) -> bool {
        let mut at = id;
        for step in self.leading.iter().rev() {
            let Some(parent) = tree.store.parent(at) else { return false };
            if step.key().is_some_and(|key| tree.store.node(at).key != key) {
                return false;
            }
            at = parent;
        }
        at == NodeId::ROOT
    }

    /// Takes a node if it is one of the greatest; whether there is room for another one.
    fn meet(
        &mut self,
        tree: &Tree,
        id: NodeId,
        room: &mut Room,
        weigh: &impl Fn(&str, &Reading<'_>) -> Option<Worth>,
    ) -> bool {
        // What folds below is asked for by itself.
        let cost = if self.folding.is_empty() { NodeRef::of(tree, id).cost(room.0) } else { None };
        if cost.is_none() && self.at.is_none() {
            // It would take all the room that there is, and what is met in one go would be met again: it is folded then, once.
            return false;
        }
        let cost = cost.unwrap_or(room.0);
        let Some(reading) = tree.value_at(id, &self.folding, self.want) else { return room.take(cost) };
        // What the last `*` stands for.
        let mut at = id;
        for _ in self.leading.iter().rev().take_while(|step| **step != Step::Each) {
            at = tree.store.parent(at).unwrap_or(NodeId::ROOT);
        }
        let key = &*tree.store.node(at).key;
        let worth = weigh(key, &reading).filter(|(_, worth)| worth.is_finite());
        let Some(worth) = worth else { return room.take(cost) };
        let came: usize = self.found.iter().sum();
        self.found[usize::from(worth.0)] += 1;
        let full = self.best.len() >= self.limit;
        if full && self.best.peek().is_some_and(|least| least.rank(worth, came).is_ge()) {
            return room.take(cost);
        }
        let name = self.name(tree, id);
        let bytes = name.len();
        if full {
            self.best.pop();
        }
        self.best.push(Entry { worth, name, came });
        room.take(cost.saturating_add(bytes / 64))
    }

    /// The keys that `*` stands for.
    fn name(&self, tree: &Tree, id: NodeId) -> String {
        let mut keys: Vec<&str> = Vec::new();
        let mut at = id;
        for step in self.leading.iter().rev() {
            if *step == Step::Each {
                keys.push(&tree.store.node(at).key);
            }
            at = tree.store.parent(at).unwrap_or(NodeId::ROOT);
        }
        let mut name = String::new();
        for key in keys.into_iter().rev() {
            if !name.is_empty() {
                name.push(' ');
            }
            let room = self.name_bytes.saturating_sub(name.len());
            name.push_str(&key[..key.floor_char_boundary(room)]);
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Limits;
    use plugin_api::Delta;
    use std::time::Duration;

    fn tree(paths: impl Iterator<Item = (Vec<String>, f64)>) -> Tree {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let mut delta = Delta::new();
        for (path, value) in paths {
            delta.set(&path.iter().map(String::as_str).collect::<Vec<_>>(), value);
        }
        tree.merge(&[], delta.flush(), 0).unwrap();
        tree
    }

    fn number(reading: &Reading<'_>) -> Option<f64> {
        if let Reading::Number(x) = reading { Some(*x) } else { None }
    }

    fn ranked(tree: &Tree, pattern: &str, limit: usize, nodes: usize) -> (Ranked, usize) {
        let mut ranking = Ranking::new(&Pattern::parse(pattern).unwrap(), Want::Value, limit, 100);
        let mut looks = 1;
        while ranking.look(tree, nodes, |_, reading| Some((false, number(reading)?))) {
            looks += 1;
        }
        (ranking.finish(), looks)
    }

    fn rows(ranked: &Ranked) -> Vec<(&str, f64)> {
        ranked.rows.iter().map(|(name, worth)| (&**name, *worth)).collect()
    }

    #[test]
    fn the_greatest_are_found_wherever_they_are_and_in_pieces_too() {
        let path = |n: usize| vec![["a", "b"][n % 2].to_owned(), format!("{n:05}"), "x".to_owned()];
        let worth = |n: usize| [7_000, 6_999, 12].iter().position(|top| *top == n).map_or(1.0, |at| 9.0 - at as f64);
        let tree = tree((0..8_000).map(|n| (path(n), worth(n))));
        for nodes in [1, 100, 4_096, 1_000_000] {
            let (all, looks) = ranked(&tree, "*,*", 3, nodes);
            assert_eq!(rows(&all), [("a 07000", 9.0), ("b 06999", 8.0), ("a 00012", 7.0)], "{nodes}");
            assert_eq!(all.found, 8_000);
            assert_eq!(looks > 1, nodes < 10_000, "{nodes}: {looks}");
            let (of_one, _) = ranked(&tree, "a,*,x", 2, nodes);
            assert_eq!((rows(&of_one), of_one.found), (vec![("07000", 9.0), ("00012", 7.0)], 4_000), "{nodes}");
            let (folded, _) = ranked(&tree, "*,,x", 2, nodes);
            assert_eq!(rows(&folded), [("a", 4_014.0), ("b", 4_007.0)], "{nodes}");
            assert_eq!(ranked(&tree, "nil,*", 2, nodes).0.found, 0);
        }
    }

    #[test]
    fn what_comes_first_stays_and_what_does_not_count_is_not_counted() {
        let tree = tree((0..500).map(|n| (vec!["a".to_owned(), format!("{n:03}")], 1.0)));
        let (all, _) = ranked(&tree, "a,*", 2, 10);
        assert_eq!((rows(&all), all.found), (vec![("000", 1.0), ("001", 1.0)], 500));
        for nodes in [10, 10_000] {
            let mut ranking = Ranking::new(&Pattern::parse("a,*").unwrap(), Want::Value, 3, 2);
            let weigh =
                |key: &str, _: &Reading<'_>| (!key.ends_with('7')).then_some((key == "400" || key == "300", 1.0));
            while ranking.look(&tree, nodes, weigh) {}
            let found = ranking.finish();
            assert_eq!((rows(&found), found.found), (vec![("30", 1.0), ("40", 1.0)], 2));
        }
    }

    #[test]
    fn what_takes_long_to_fold_is_folded_once() {
        let key = |at: &str, n: usize| vec!["a".to_owned(), at.to_owned(), n.to_string()];
        let tree = tree((0..2_000).flat_map(|n| ["p", "q"].map(|at| (key(at, n), 1.0))));
        for pattern in ["a,*", "a,*,"] {
            let weighed = std::cell::RefCell::new(Vec::new());
            let mut ranking = Ranking::new(&Pattern::parse(pattern).unwrap(), Want::Value, 3, 100);
            while ranking.look(&tree, 1_000, |key, reading| {
                weighed.borrow_mut().push(key.to_owned());
                Some((false, number(reading)?))
            }) {}
            assert_eq!(rows(&ranking.finish()), [("p", 2_000.0), ("q", 2_000.0)], "{pattern}");
            assert_eq!(weighed.into_inner(), ["p", "q"], "{pattern}");
        }
    }

    #[test]
    fn a_look_ends_where_a_fold_took_long() {
        let key = |at: &str, n: usize| vec!["a".to_owned(), at.to_owned(), n.to_string()];
        let tree = tree((0..2_000).flat_map(|n| ["p", "q", "r"].map(|at| (key(at, n), 1.0))));
        let (all, looks) = ranked(&tree, "a,*", 3, 1_000);
        assert_eq!(rows(&all), [("p", 2_000.0), ("q", 2_000.0), ("r", 2_000.0)]);
        assert!(looks > 7, "{looks}: one for each piece of the arena, and one more for each fold");
    }
}
