//! The children of one node by their keys, a page at a time.
//!
//! Children hang in the order in which they came, so the next page is found by looking at all of them. A node with a few has them looked
//! at in one go; one with very many is gone through in pieces, between which the tree may change: then the places of the arena are
//! looked at one after another, for those stay where they are whatever happens to their neighbours.

use super::Tree;
use super::store::NodeId;
use compact_str::CompactString;
use std::collections::BTreeSet;

/// A page of children that is looked for.
#[derive(Debug)]
pub struct Listing {
    path: Vec<CompactString>,
    after: Option<CompactString>,
    limit: usize,
    /// One more than the page has room for, at most: that tells that there is more.
    found: BTreeSet<CompactString>,
    /// How many have been met that there is something to tell of.
    children: usize,
    /// The places are looked at one after another, this one next.
    at: Option<usize>,
}

/// Bytes of a key whose comparing and copying costs as much as looking at one more node.
const BYTES_A_NODE: usize = 64;

/// How far a [`Listing`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// All has been looked at; the node has so many children.
    Done {
        /// Those left out that only wait for their value.
        children: usize,
    },
    /// There is more to look at.
    Goes,
    /// There is no such node.
    Missing,
}

impl Listing {
    /// The first `limit` children of the node at `path` whose keys come after `after`, in the order of their bytes.
    #[must_use]
    pub fn new(path: Vec<CompactString>, after: Option<&str>, limit: usize) -> Listing {
        Listing { path, after: after.map(CompactString::new), limit, found: BTreeSet::new(), children: 0, at: None }
    }

    /// Looks on, for about as long as it takes to look at so many nodes. The next call may be of the tree as it has become meanwhile.
    pub fn look(&mut self, tree: &Tree, nodes: usize) -> Looked {
        let store = &tree.store;
        let steps = self.path.iter().try_fold(NodeId::ROOT, |at, key| store.child(at, key));
        let Some(parent) = steps else { return Looked::Missing };
        let mut left = nodes;
        if self.at.is_none() && store.node(parent).children as usize <= nodes {
            let mut all = true;
            for id in store.children(parent) {
                if left == 0 {
                    all = false;
                    break;
                }
                left = left.saturating_sub(self.meet(tree, id));
            }
            if all {
                return Looked::Done { children: self.children };
            }
            // Their keys are long. From where this got to nobody finds on: they are met anew.
            self.children = 0;
            self.at = Some(0);
            return Looked::Goes;
        }
        let begin = self.at.unwrap_or(0);
        let mut reached = begin.saturating_add(nodes);
        for (id, _) in store.in_places(begin..reached) {
            left = left.saturating_sub(if store.parent(id) == Some(parent) { self.meet(tree, id) } else { 1 });
            if left == 0 {
                reached = id.at() + 1;
                break;
            }
        }
        self.at = Some(reached);
        if reached < store.places() { Looked::Goes } else { Looked::Done { children: self.children } }
    }

    /// The page's keys in order, and whether there are more behind them.
    #[must_use]
    pub fn page(self) -> (Vec<CompactString>, bool) {
        let more = self.found.len() > self.limit;
        (self.found.into_iter().take(self.limit).collect(), more)
    }

    /// Takes a child, and tells what that cost in nodes.
    fn meet(&mut self, tree: &Tree, id: NodeId) -> usize {
        if tree.is_bare(id) {
            return 1;
        }
        self.children += 1;
        let key = &tree.store.node(id).key;
        let full = self.found.len() > self.limit;
        let before = self.after.as_ref().is_some_and(|after| key <= after);
        let beyond = full && self.found.last().is_some_and(|last| key >= last);
        let wanted = !before && !beyond;
        if wanted && self.found.insert(key.clone()) && full {
            self.found.pop_last();
        }
        1 + key.len() / BYTES_A_NODE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Limits, parse_plain};
    use plugin_api::Delta;
    use std::time::Duration;

    fn tree(paths: &[Vec<String>]) -> Tree {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let mut delta = Delta::new();
        for path in paths {
            delta.set(&path.iter().map(String::as_str).collect::<Vec<_>>(), 1.0);
        }
        tree.merge(&[], delta.flush(), 0).unwrap();
        tree
    }

    fn of(keys: impl Iterator<Item = usize>) -> Vec<Vec<String>> {
        keys.map(|n| vec!["a".to_owned(), format!("{n:03}")]).chain([vec!["b".to_owned()]]).collect()
    }

    /// All pages, gone through so many nodes at a time, and how often was looked.
    fn pages(tree: &Tree, path: &str, limit: usize, nodes: usize) -> (Vec<Vec<CompactString>>, usize) {
        let (mut pages, mut after, mut looks) = (Vec::new(), None, 0);
        loop {
            let mut listing = Listing::new(parse_plain(path).unwrap(), after.as_deref(), limit);
            while listing.look(tree, nodes) == Looked::Goes {
                looks += 1;
            }
            let (page, more) = listing.page();
            after = page.last().cloned();
            pages.push(page);
            if !more {
                return (pages, looks);
            }
        }
    }

    #[test]
    fn pages_come_by_key_whether_gone_through_at_once_or_in_pieces() {
        let tree = tree(&of((0..100).rev()));
        let want: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
        for nodes in [1, 7, 99, 100, 1_000] {
            let (pages, looks) = pages(&tree, "a", 30, nodes);
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [30, 30, 30, 10], "{nodes}");
            assert_eq!(pages.concat(), want, "{nodes}");
            assert_eq!(looks > 0, nodes < 100, "{nodes}");
        }
        assert_eq!(pages(&tree, "", 10, 10).0, [["a", "b"]]);
        assert_eq!(pages(&tree, "a,001", 10, 10).0, [Vec::<CompactString>::new()]);
        let mut nowhere = Listing::new(vec!["c".into()], None, 1);
        assert_eq!(nowhere.look(&tree, 1), Looked::Missing);
    }

    #[test]
    fn long_keys_are_gone_through_in_pieces_although_they_are_few() {
        let long = "x".repeat(16_000);
        let paths: Vec<Vec<String>> = (0..100).rev().map(|n| vec!["a".to_owned(), format!("{long}{n:03}")]).collect();
        let tree = tree(&paths);
        let mut listing = Listing::new(vec!["a".into()], None, 30);
        let mut looks = 1;
        while listing.look(&tree, 1_000) == Looked::Goes {
            looks += 1;
        }
        assert!(looks > 20, "{looks}");
        assert_eq!(listing.look(&tree, 1_000), Looked::Done { children: 100 });
        let (page, more) = listing.page();
        assert!(more && page.len() == 30 && page[29].ends_with("029"), "{}", page.len());
    }

    #[test]
    fn those_that_wait_for_their_value_are_neither_listed_nor_counted() {
        let mut tree = tree(&of(0..10));
        let mut delta = Delta::new();
        delta.lifetime(&["a", "waits"], Duration::from_secs(100));
        delta.action(&["a", "acts"], plugin_api::Action::Average);
        tree.merge(&[], delta.flush(), 0).unwrap();
        assert_eq!(tree.node(&["a"]).unwrap().children_count(), 12);
        for nodes in [3, 1_000] {
            let mut listing = Listing::new(vec!["a".into()], Some("008"), 30);
            let children = loop {
                match listing.look(&tree, nodes) {
                    Looked::Done { children } => break children,
                    Looked::Goes => {}
                    Looked::Missing => panic!("it is there"),
                }
            };
            assert_eq!((children, listing.page().0), (11, vec!["009".into(), "acts".into()]), "{nodes}");
        }
    }

    #[test]
    fn what_goes_and_comes_meanwhile_is_listed_once_or_not_and_what_stays_always() {
        let mut tree = tree(&of(0..100));
        let mut listing = Listing::new(vec!["a".into()], None, 200);
        assert_eq!(listing.look(&tree, 50), Looked::Goes);
        let mut delta = Delta::new();
        for n in [3, 70, 3] {
            delta.lifetime(&["a", &format!("{n:03}")], Duration::from_millis(1));
        }
        tree.merge(&[], delta.flush(), 0).unwrap();
        tree.end_tick(10);
        assert!(tree.node(&["a", "070"]).is_none());
        // Their places are taken in the other order.
        let mut delta = Delta::new();
        delta.set(&["a", "070"], 1.0);
        delta.set(&["a", "003"], 1.0);
        tree.merge(&[], delta.flush(), 20).unwrap();
        while listing.look(&tree, 50) == Looked::Goes {}
        let (page, more) = listing.page();
        let stays = (0..100).filter(|n| ![3, 70].contains(n)).map(|n| format!("{n:03}"));
        assert!(stays.into_iter().all(|key| page.iter().any(|met| *met == key)), "{page:?}");
        assert!(page.is_sorted_by(|a, b| a < b) && !more, "{page:?}");
    }
}
