//! Nodes by what somebody remembers of their paths.
//!
//! A question is words. Each has to be in the path as it stands there, or its letters in that order; small and large letters are the
//! same. A node is found only where its own key has to do with it: all that hangs below `cpu` has `cpu` in its path, and is found by
//! opening that.
//!
//! Nothing is kept for this beside the tree: all places of the arena are looked at, one after another, a piece at a time between which
//! the tree may change. Most are told by their letters alone: a path that lacks one of the question's is not looked at closer. What the
//! nodes of one parent have in common is made once for those of them that lie beside each other, as nearly all do. Of what fits, the places
//! alone are kept; paths are made of the best of them, when all has been looked at.

use super::Tree;
use super::path::encode_path;
use super::store::NodeId;
use crate::limits::FOUND_BYTES_MAX;
use memchr::memmem::Finder;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Words of a question; more are passed over.
const WORDS_MAX: usize = 8;

/// Bytes of a key that are looked at: nobody remembers more.
const KEY_BYTES: usize = 256;

/// Bytes of a path that are looked at for what looking at one more node costs.
const BYTES_A_NODE: usize = 64;

/// What a word scores that is a whole key, begins one, begins a word in one, or stands inside.
const WHOLE: u32 = 100;
const BEGINS: u32 = 80;
const BEGINS_WORD: u32 = 70;
const INSIDE: u32 = 60;
/// How much less where that is a key above the node.
const ABOVE: u32 = 10;
/// What a word scores whose letters are there in that order, and how much less for each gap between them.
const SCATTERED: u32 = 40;
const GAP: u32 = 6;

/// A node that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub path: String,
    /// How well it fits: the more, the better.
    pub score: u32,
}

/// A question under way.
#[derive(Debug)]
pub struct Search {
    words: Vec<Word>,
    /// The letters of all words.
    letters: u64,
    limit: usize,
    /// The place to look at next.
    at: usize,
    /// The best so far, the worst of them on top: of the same score the shorter path is the better, then the one that was met first.
    best: BinaryHeap<Met>,
    above: Above,
    /// Those of the best that are still to be made paths of, the worst first.
    fitting: Vec<Met>,
    /// Those that have been made paths of.
    named: Vec<(Met, String)>,
    /// Bytes of paths that there is still room for.
    room: usize,
    /// There was one that had no room.
    full: bool,
    /// The path that is looked at, in small letters.
    text: Vec<u8>,
}

/// A node that fits: its score, the bytes of its path that were looked at, and its place.
type Met = (Reverse<u32>, usize, NodeId);

#[derive(Debug)]
struct Word {
    finder: Finder<'static>,
    bytes: Box<[u8]>,
}

/// What the nodes of one parent have in common.
#[derive(Debug, Default)]
struct Above {
    parent: Option<NodeId>,
    /// The parent's path in small letters, and a comma unless it is the root.
    text: Vec<u8>,
    letters: u64,
}

/// Which letters there are, a bit each; some share one.
fn letters(text: &[u8]) -> u64 {
    text.iter().fold(0, |letters, byte| letters | 1 << (byte & 63))
}

/// Writes a key in small letters, as much of it as is looked at.
fn lower(key: &str, out: &mut Vec<u8>) {
    let key = &key[..key.floor_char_boundary(KEY_BYTES)];
    if key.is_ascii() {
        out.extend(key.bytes().map(|byte| byte.to_ascii_lowercase()));
    } else {
        out.extend_from_slice(key.to_lowercase().as_bytes());
    }
}

impl Search {
    /// Looks for the `limit` best.
    #[must_use]
    pub fn new(question: &str, limit: usize) -> Search {
        let words: Vec<Word> = question.split_whitespace().take(WORDS_MAX).map(Word::new).collect();
        let letters = words.iter().fold(0, |all, word| all | letters(&word.bytes));
        let (above, best) = (Above::default(), BinaryHeap::new());
        Search {
            words,
            letters,
            limit,
            at: 0,
            best,
            above,
            fitting: Vec::new(),
            named: Vec::new(),
            room: FOUND_BYTES_MAX,
            full: false,
            text: Vec::new(),
        }
    }

    /// Looks on, for about as long as it takes to look at so many nodes; whether there is more to look at. The next call may be of the
    /// tree as it has become meanwhile.
    pub fn look(&mut self, tree: &Tree, nodes: usize) -> bool {
        if self.words.is_empty() || self.limit == 0 {
            return false;
        }
        // Since the last look there may be another node in its place.
        self.above.parent = None;
        let mut left = nodes;
        while left > 0 && self.at < tree.store.places() {
            // Free places cost a sixty-fourth of a node.
            let end = self.at + left.min(64);
            let mut reached = end;
            for (id, _) in tree.store.in_places(self.at..end) {
                self.meet(tree, id);
                // Each word goes through all of it.
                left = left.saturating_sub(1 + self.text.len() * self.words.len() / BYTES_A_NODE);
                if left == 0 {
                    reached = id.at() + 1;
                    break;
                }
            }
            left = left.saturating_sub(1);
            self.at = reached;
        }
        self.at < tree.store.places()
    }

    /// Makes paths of what was found, the best first, for about as long as it takes to look at so many nodes; whether there are more to be
    /// made. What has gone meanwhile is left out.
    pub fn name(&mut self, tree: &Tree, nodes: usize) -> bool {
        if !self.best.is_empty() {
            self.fitting = std::mem::take(&mut self.best).into_sorted_vec();
            self.fitting.reverse();
        }
        self.above.parent = None;
        let mut left = nodes;
        while left > 0 {
            let Some(met) = self.fitting.pop() else { return false };
            left = left.saturating_sub(1 + met.1 / BYTES_A_NODE);
            let id = met.2;
            // There may be another in its place, or nothing.
            let fits = if id.at() < tree.store.places() { self.fits(tree, id) } else { None };
            if fits.is_none_or(|(score, length)| (Reverse(score), length) != (met.0, met.1)) {
                continue;
            }
            let keys = tree.store.keys(id);
            let bytes = keys.iter().map(|key| key.len() + 1).sum::<usize>();
            left = left.saturating_sub(bytes / BYTES_A_NODE);
            // Each byte may be escaped. A shorter path may still have room.
            if bytes * 3 > self.room {
                self.full = true;
                continue;
            }
            let path = encode_path(keys);
            self.room = self.room.saturating_sub(path.len());
            self.named.push((met, path));
        }
        !self.fitting.is_empty()
    }

    /// What was found and has a path, the best first; of the same score and length the lesser path. And whether one had no
    /// room.
    #[must_use]
    pub fn found(self) -> (Vec<Found>, bool) {
        let mut named = self.named;
        named.sort_unstable_by(|((score, length, _), path), ((other, long, _), than)| {
            (score, length, path).cmp(&(other, long, than))
        });
        // One that went and came back elsewhere meanwhile was met twice.
        named.dedup_by(|(_, path), (_, before)| path == before);
        let found = named.into_iter().map(|((Reverse(score), ..), path)| Found { path, score }).collect();
        (found, self.full)
    }

    fn meet(&mut self, tree: &Tree, id: NodeId) {
        let Some((score, length)) = self.fits(tree, id) else { return };
        let met = (Reverse(score), length, id);
        let full = self.best.len() >= self.limit;
        if full && self.best.peek().is_some_and(|worst| met >= *worst) {
            return;
        }
        if tree.is_bare(id) {
            return;
        }
        self.best.push(met);
        if full {
            self.best.pop();
        }
    }

    /// How well the node in this place fits, and how many bytes of its path were looked at.
    fn fits(&mut self, tree: &Tree, id: NodeId) -> Option<(u32, usize)> {
        // A place may be free.
        let parent = tree.store.parent(id)?;
        if self.above.parent != Some(parent) {
            self.above.of(tree, parent);
        }
        let Search { words, text, above, .. } = self;
        text.clear();
        text.extend_from_slice(&above.text);
        let own = text.len();
        lower(&tree.store.node(id).key, text);
        if (above.letters | letters(&text[own..])) & self.letters != self.letters {
            return None;
        }
        let (mut score, mut takes_part) = (0, false);
        for word in words {
            let (points, of_own) = word.score(text, own)?;
            score += points;
            takes_part |= of_own;
        }
        takes_part.then_some((score, text.len()))
    }
}

impl Above {
    fn of(&mut self, tree: &Tree, parent: NodeId) {
        self.parent = Some(parent);
        self.text.clear();
        for key in tree.store.keys(parent) {
            lower(key, &mut self.text);
            self.text.push(b',');
        }
        self.letters = letters(&self.text);
    }
}

impl Word {
    fn new(word: &str) -> Word {
        let bytes = word.to_lowercase().into_bytes().into_boxed_slice();
        Word { finder: Finder::new(&bytes).into_owned(), bytes }
    }

    /// How well it fits a path whose own key begins at `own`, and whether that key has to do with it.
    fn score(&self, text: &[u8], own: usize) -> Option<(u32, bool)> {
        let in_own = self.finder.find(&text[own..]).map(|at| own + at);
        match in_own.or_else(|| self.finder.find(text)) {
            Some(at) => {
                let end = at + self.bytes.len();
                // A word that ends with the comma before a key asks for the keys behind it.
                let of_own = end >= own;
                Some((stands(text, at, end) - if of_own { 0 } else { ABOVE }, of_own))
            }
            None => self.scattered(text, own),
        }
    }

    /// As fzf does it: forward to the first end, and from there back to the nearest beginning.
    fn scattered(&self, text: &[u8], own: usize) -> Option<(u32, bool)> {
        let mut wanted = self.bytes.iter();
        let mut next = wanted.next()?;
        let mut end = None;
        for (at, byte) in text.iter().enumerate() {
            if byte == next {
                match wanted.next() {
                    Some(byte) => next = byte,
                    None => {
                        end = Some(at);
                        break;
                    }
                }
            }
        }
        let end = end?;
        let (mut gaps, mut gap) = (0, false);
        let mut back = self.bytes.iter().rev().peekable();
        for byte in text[..=end].iter().rev() {
            match back.peek() {
                None => break,
                Some(wanted) if *wanted == byte => {
                    gaps += u32::from(gap);
                    gap = false;
                    back.next();
                }
                Some(_) => gap = true,
            }
        }
        Some((SCATTERED.saturating_sub(gaps * GAP).max(1), end >= own))
    }
}

/// What it is worth where a word stands.
fn stands(text: &[u8], at: usize, end: usize) -> u32 {
    let before = at.checked_sub(1).map(|before| text[before]);
    let begins = before.is_none_or(|byte| byte == b',');
    let ends = text.get(end).is_none_or(|byte| *byte == b',');
    match before {
        _ if begins && ends => WHOLE,
        _ if begins => BEGINS,
        Some(byte) if byte.is_ascii() && !byte.is_ascii_alphanumeric() => BEGINS_WORD,
        _ => INSIDE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Limits, NodeRef, parse_plain};
    use plugin_api::Delta;
    use std::time::Duration;

    fn tree<'p>(paths: impl IntoIterator<Item = &'p str>) -> Tree {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        for path in paths {
            let keys = parse_plain(path).unwrap();
            let mut delta = Delta::new();
            delta.set(&keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(), 1.0);
            tree.merge(&[], delta.flush(), 0).unwrap();
        }
        tree
    }

    fn find(tree: &Tree, question: &str, limit: usize) -> Vec<String> {
        let mut search = Search::new(question, limit);
        while search.look(tree, 3) {}
        found(search, tree).into_iter().map(|found| found.path).collect()
    }

    fn found(mut search: Search, tree: &Tree) -> Vec<Found> {
        while search.name(tree, 3) {}
        search.found().0
    }

    fn fleet() -> Tree {
        tree([
            "cpu,web1,idle",
            "cpu,web1,user",
            "cpu,web2,idle",
            "disk,db-idle,free",
            "hits,shop,Idle-Time",
            "sidle",
            "ice,d,le",
            "größe,ÄRGER",
        ])
    }

    #[test]
    fn the_best_come_first_and_shorter_ones_before_longer() {
        let fleet = fleet();
        let want = ["cpu,web1,idle", "cpu,web2,idle", "hits,shop,Idle-Time", "disk,db-idle", "sidle", "ice,d,le"];
        assert_eq!(find(&fleet, "idle", 10), want);
        for limit in 0..want.len() {
            assert_eq!(find(&fleet, "IDLE", limit), want[..limit], "{limit}");
        }
        assert_eq!(find(&fleet, "web2 idle", 10), ["cpu,web2,idle"]);
        assert_eq!(find(&fleet, "idle web2", 10), ["cpu,web2,idle"]);
        assert_eq!(find(&fleet, "cw1u", 10), ["cpu,web1,user"]);
        assert_eq!(find(&fleet, "ärger", 10), ["größe,ÄRGER"]);
        assert_eq!(find(&fleet, "xyz", 10), [""; 0]);
        assert_eq!(find(&fleet, " \t", 10), [""; 0]);
    }

    #[test]
    fn what_hangs_below_a_node_is_not_found_by_that_nodes_key() {
        let fleet = fleet();
        assert_eq!(find(&fleet, "cpu", 10), ["cpu"]);
        assert_eq!(find(&fleet, "cpu web", 10), ["cpu,web1", "cpu,web2"]);
        assert_eq!(find(&fleet, "cpu,web1,", 10), ["cpu,web1,idle", "cpu,web1,user"]);
        assert_eq!(find(&tree(["web,web1", "web,x"]), "web", 10), ["web", "web,web1"]);
    }

    #[test]
    fn keys_may_be_anything() {
        let long = "x".repeat(10_000);
        let tree =
            tree(["a%2Cb,%2A", "<script>,\u{202e}rtl,🦀", long.as_str(), &format!("{}é", "y".repeat(KEY_BYTES - 1))]);
        assert_eq!(find(&tree, "a,b", 10), ["a%2Cb"]);
        assert_eq!(find(&tree, "*", 10), ["a%2Cb,%2A"]);
        assert_eq!(find(&tree, "🦀", 10), ["<script>,\u{202e}rtl,🦀"]);
        assert_eq!(find(&tree, "xxx", 10), [long.as_str()]);
        assert_eq!(find(&tree, &"y".repeat(20), 10).len(), 1);
    }

    #[test]
    fn a_look_is_at_no_more_than_it_was_told() {
        let keys: Vec<String> = (0..10_000).map(|n| format!("k{n}")).collect();
        let tree = tree(keys.iter().map(String::as_str));
        let mut search = Search::new("k77", 5);
        let mut looks = 1;
        while search.look(&tree, 1_000) {
            assert!(search.at <= looks * 1_064, "{}", search.at);
            looks += 1;
        }
        assert_eq!(found(search, &tree)[0], Found { path: "k77".to_owned(), score: WHOLE });
    }

    #[test]
    fn long_keys_cost_more_than_short_ones() {
        let keys: Vec<String> = (0..1_000).map(|n| format!("{}{n:03}", "k".repeat(BYTES_A_NODE))).collect();
        let tree = tree(keys.iter().map(String::as_str));
        let mut search = Search::new("k777", 5);
        assert!(search.look(&tree, 10));
        // The root's place, and two for each.
        assert_eq!(search.at, 6);
    }

    #[test]
    fn of_many_that_fit_as_well_the_first_are_found_and_nothing_is_kept_of_the_others() {
        let keys: Vec<String> = (0..2_000).rev().map(|n| format!("web{n:05}")).collect();
        let tree = tree(keys.iter().map(String::as_str));
        assert_eq!(find(&tree, "web", 3), ["web01997", "web01998", "web01999"]);
    }

    #[test]
    fn paths_have_a_room_and_what_has_none_is_told() {
        // Escaped, each is as long as three of it.
        let long = ",".repeat(FOUND_BYTES_MAX / 400);
        let mut tree = tree([""; 0]);
        let mut delta = Delta::new();
        (0..200).for_each(|n| delta.set(&[&long, &format!("x{n:03}")], 1.0));
        tree.merge(&[], delta.flush(), 0).unwrap();
        let mut search = Search::new("x", 1_000);
        while search.look(&tree, 1_000) {}
        let mut calls = 0;
        while search.name(&tree, 1_000) {
            calls += 1;
        }
        assert!(calls > 10, "{calls}: a path of many bytes costs as much as many nodes");
        let (found, cut) = search.found();
        let bytes: usize = found.iter().map(|found| found.path.len()).sum();
        assert!(cut && bytes <= FOUND_BYTES_MAX && bytes > FOUND_BYTES_MAX / 2, "{bytes}");
        let mut few = Search::new("x", 5);
        while few.look(&tree, 1_000) {}
        while few.name(&tree, 1_000) {}
        assert!(!few.found().1);
    }

    #[test]
    fn what_went_meanwhile_is_not_told_and_another_in_its_place_neither() {
        let mut tree = tree(["a", "web1", "web2", "web3"]);
        let mut search = Search::new("web", 10);
        while search.look(&tree, 10) {}
        let mut delta = Delta::new();
        delta.lifetime(&["web1"], Duration::from_millis(1));
        delta.lifetime(&["web3"], Duration::from_millis(1));
        tree.merge(&[], delta.flush(), 0).unwrap();
        tree.end_tick(10);
        let mut delta = Delta::new();
        delta.set(&["else"], 1.0);
        tree.merge(&[], delta.flush(), 20).unwrap();
        assert_eq!(found(search, &tree).into_iter().map(|found| found.path).collect::<Vec<_>>(), ["web2"]);
    }

    #[test]
    fn who_has_an_action_alone_is_found_and_who_waits_for_its_value_not() {
        let mut tree = tree(["a"]);
        let mut delta = Delta::new();
        delta.action(&["web-acts"], plugin_api::Action::Average);
        delta.lifetime(&["web-waits"], Duration::from_secs(100));
        tree.merge(&[], delta.flush(), 0).unwrap();
        assert!(tree.node(&["web-waits"]).is_some_and(NodeRef::is_bare));
        assert_eq!(find(&tree, "web", 10), ["web-acts"]);
    }

    /// Prints what a question costs where a million leaves are, and how long a look holds the tree.
    #[test]
    #[ignore = "a figure, not a check"]
    fn figure_of_a_million_leaves() {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let metrics =
            ["cpu_user", "cpu_idle", "load_one", "mem_free", "bytes_in", "bytes_out", "disk_free", "proc_run"];
        for host in 0..12_500 {
            let mut delta = Delta::new();
            let host = format!("web{host:05}.example.net");
            for group in 0..10 {
                for metric in metrics {
                    delta.set(&["ganglia", "cluster", &host, &format!("group{group}"), metric], 1.0);
                }
            }
            tree.merge(&[], delta.flush(), 0).unwrap();
        }
        println!("{} nodes, {} MiB", tree.nodes(), tree.memory_bytes() >> 20);
        for question in ["web01234", "web01234 idle", "idle", "g7 web001 out", "w1234ci", "e", "zzz", "xylophone"] {
            let mut search = Search::new(question, 1_000);
            let (mut all, mut longest, mut looks) = (Duration::ZERO, Duration::ZERO, 0);
            loop {
                let began = std::time::Instant::now();
                let goes = search.look(&tree, crate::limits::LOOK_NODES);
                let took = began.elapsed();
                (all, longest, looks) = (all + took, longest.max(took), looks + 1);
                if !goes {
                    break;
                }
            }
            let found = found(search, &tree);
            println!("{question:>14}: {all:>9.1?} in {looks} looks of {longest:.1?} at most; {:?}", found.first());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_question_is_answered(question in ".{0,40}", key in "\\PC{1,12}") {
            let mut tree = fleet();
            let mut delta = Delta::new();
            delta.set(&[key.as_str()], 1.0);
            tree.merge(&[], delta.flush(), 0).unwrap();
            find(&tree, &question, 3);
            let found = find(&tree, &key, 100);
            proptest::prop_assert!(key.trim().is_empty() || found.contains(&encode_path([key.as_str()])), "{found:?}");
        }
    }
}
