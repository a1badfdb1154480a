//! Nodes by what somebody remembers of their paths.
//!
//! A question is words. Each has to be in the path as it stands there, or its letters in that order; small and large letters are the
//! same. A node is found only where its own key has to do with it: all that hangs below `cpu` has `cpu` in its path, and is found by
//! opening that.
//!
//! Nothing is kept for this beside the tree: all places of the arena are looked at, one after another, a piece at a time between which
//! the tree may change. Most are told by their letters alone: a path that lacks one of the question's is not looked at closer. What the
//! nodes of one parent have in common is made once for those of them that lie beside each other, as nearly all do.

use super::Tree;
use super::path::encode_path;
use super::store::NodeId;
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
    /// The best so far, the worst of them on top: of the same score the shorter path is the better, then the lesser.
    best: BinaryHeap<(Reverse<u32>, usize, String)>,
    above: Above,
    /// The path that is looked at, in small letters.
    text: Vec<u8>,
}

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
        Search { words, letters, limit, at: 0, best, above, text: Vec::new() }
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
            // A piece of these is looked at at least, else it would never end.
            let end = self.at + left.min(64);
            for (id, node) in tree.store.in_places(self.at..end) {
                self.meet(tree, id, &node.key);
                left = left.saturating_sub(1 + self.text.len() / BYTES_A_NODE);
            }
            left = left.saturating_sub(1);
            self.at = end;
        }
        self.at < tree.store.places()
    }

    /// What was found, the best first.
    #[must_use]
    pub fn found(self) -> Vec<Found> {
        let best = self.best.into_sorted_vec();
        best.into_iter().map(|(Reverse(score), _, path)| Found { path, score }).collect()
    }

    fn meet(&mut self, tree: &Tree, id: NodeId, key: &str) {
        let Some(parent) = tree.store.parent(id) else { return };
        if self.above.parent != Some(parent) {
            self.above.of(tree, parent);
        }
        let Search { words, text, above, best, .. } = self;
        text.clear();
        text.extend_from_slice(&above.text);
        let own = text.len();
        lower(key, text);
        if (above.letters | letters(&text[own..])) & self.letters != self.letters {
            return;
        }
        let (mut score, mut takes_part) = (0, false);
        for word in words {
            let Some((points, of_own)) = word.score(text, own) else { return };
            score += points;
            takes_part |= of_own;
        }
        if !takes_part {
            return;
        }
        let full = best.len() >= self.limit;
        let worst = best.peek().filter(|_| full);
        if worst.is_some_and(|(Reverse(worst), length, _)| (Reverse(score), text.len()) > (Reverse(*worst), *length)) {
            return;
        }
        let node = tree.store.node(id);
        if node.children == 0 && node.value.is_none() {
            return;
        }
        let path = encode_path(tree.store.keys(id));
        // It went and came back meanwhile.
        if best.iter().any(|(_, _, known)| *known == path) {
            return;
        }
        best.push((Reverse(score), text.len(), path));
        if full {
            best.pop();
        }
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
    use crate::tree::{Limits, parse_plain};
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
        search.found().into_iter().map(|found| found.path).collect()
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
        assert_eq!(search.found()[0], Found { path: "k77".to_owned(), score: WHOLE });
        // Long keys cost more than short ones.
        let mut search = Search::new("k77", 5);
        assert!(search.look(&tree, 1));
        assert!(search.at <= 64, "{}", search.at);
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
            let mut search = Search::new(question, 20);
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
            let found = search.found();
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
