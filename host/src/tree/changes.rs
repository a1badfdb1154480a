//! What changed since a tick.
//!
//! No log of changes is kept: each node knows the tick of its own last change and of the last one below it, so a
//! client that was away for a second and one that was away for a day are answered by the same walk, which enters only
//! branches that changed. What was removed is remembered for a while.

use super::path::{Pattern, Step, encode_key, encode_path};
use super::query::Reading;
use super::store::NodeId;
use super::{Tree, Want};
use std::collections::{HashSet, VecDeque};

/// How many removed paths are remembered: a client that was away for longer than these took to go asks for all anew.
const GONE_MAX: usize = 4_096;

/// How many bytes of removed paths are remembered: a path may have 64 keys of 16 KiB.
const GONE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The paths that were removed last, each with its tick.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// The newest last.
    paths: VecDeque<(u32, String)>,
    /// Bytes of the paths.
    bytes: usize,
    /// The tick of the newest path that had to make room; 0 when all are here.
    forgotten: u32,
}

impl Gone {
    pub(super) fn push(&mut self, tick: u32, path: String) {
        self.bytes += path.capacity();
        self.paths.push_back((tick, path));
        while self.paths.len() > GONE_MAX || self.bytes > GONE_BYTES_MAX {
            let Some((tick, path)) = self.paths.pop_front() else { break };
            self.bytes -= path.capacity();
            self.forgotten = tick;
        }
    }

    /// The paths that went after a tick, the newest first.
    fn after(&self, since: u32) -> impl Iterator<Item = &str> {
        self.paths.iter().rev().take_while(move |(tick, _)| *tick > since).map(|(_, path)| path.as_str())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.paths.capacity() * size_of::<(u32, String)>() + self.bytes
    }
}

/// A leaf that changed.
#[derive(Clone, Debug)]
pub struct Change<'t> {
    /// Its path; of a folding query, the query itself with each `*` filled in.
    pub path: String,
    /// What it is now; `None` when it is gone.
    pub value: Option<Reading<'t>>,
}

impl Tree {
    /// The leaves that a query touches and that changed after the tick `since`, at most `limit` of them. A folding query
    /// gives its folded value, once.
    ///
    /// What was removed comes without a value, as far as it is remembered ([`Tree::forgot_removals_since`]). A key that
    /// a `top` pruned did not vanish, it is counted in `(other)` from then on, and there may be thousands a tick: a
    /// query that names the key itself is told that it is gone; to one that takes in the whole `top`, the change of
    /// `(other)` tells that keys may have gone there.
    #[must_use]
    pub fn changes(&self, pattern: &Pattern, since: u64, limit: usize) -> Vec<Change<'_>> {
        let since = self.relative(since);
        let mut walk = Walk { tree: self, since, limit, want: Want::Value, found: Vec::new() };
        walk.steps(NodeId::ROOT, pattern.steps(), &mut String::new());
        let covering = Covering::of(pattern);
        if pattern.folds() {
            walk.folds_of_gone(pattern, &covering);
        } else {
            for path in self.gone.after(since) {
                if walk.found.len() < limit && covering.covers(path) && !self.is_there(path) {
                    walk.found.push(Change { path: path.to_owned(), value: None });
                }
            }
        }
        walk.found
    }

    /// Whether anything that a query touches changed after the tick `since`.
    #[must_use]
    pub fn changed(&self, pattern: &Pattern, since: u64) -> bool {
        let since = self.relative(since);
        if self.store.node(NodeId::ROOT).below <= since {
            return false;
        }
        if self.changed_below(NodeId::ROOT, pattern.steps(), since) {
            return true;
        }
        let covering = Covering::of(pattern);
        self.gone.after(since).any(|path| covering.covers(path))
    }

    /// Whether removals after the tick `since` may have been forgotten: a client that old must ask for all anew, for
    /// [`Tree::changes`] cannot tell it all that is gone. That is so when more than 4,096 paths (or 4 MiB of them) went
    /// since, and for a tick of an earlier life of the daemon. A client at tick 0 holds nothing yet that could be gone.
    #[must_use]
    pub fn forgot_removals_since(&self, since: u64) -> bool {
        since != 0 && (since < self.tick_base || since > self.tick() || self.gone.forgotten > self.relative(since))
    }

    fn relative(&self, since: u64) -> u32 {
        // A tick of the future is one of an earlier life that ran longer than the clock says: tell all.
        if since > self.tick() { 0 } else { since.saturating_sub(self.tick_base) as u32 }
    }

    fn changed_below(&self, id: NodeId, steps: &[Step], since: u32) -> bool {
        if self.store.node(id).below <= since {
            return false;
        }
        match steps.split_first() {
            None => true,
            Some((Step::Key(key), rest)) => match self.store.child(id, key) {
                Some(child) => self.changed_below(child, rest, since),
                None => self.may_be_pruned(id, rest, since),
            },
            Some((Step::Fold | Step::Each, rest)) => {
                self.store.children(id).any(|child| self.changed_below(child, rest, since))
            }
        }
    }

    /// Whether a key that is not below this node may have been pruned after a tick; only leaves are.
    fn may_be_pruned(&self, top: NodeId, rest: &[Step], since: u32) -> bool {
        rest.is_empty() && self.tops.pruned_after(top, since)
    }

    /// The node at a path, if there is one.
    fn node_at(&self, path: &str) -> Option<NodeId> {
        let keys = super::parse_plain(path).ok()?;
        keys.iter().try_fold(NodeId::ROOT, |at, key| self.store.child(at, key))
    }

    fn is_there(&self, path: &str) -> bool {
        self.node_at(path).is_some_and(|id| !self.store.node(id).value.is_none())
    }
}

/// A pattern to hold many paths against: its keys as they are written, `None` where any key will do.
struct Covering {
    keys: Vec<Option<String>>,
}

impl Covering {
    fn of(pattern: &Pattern) -> Covering {
        let written = |step: &Step| match step {
            Step::Key(key) => Some(encode_path([key.as_str()])),
            Step::Fold | Step::Each => None,
        };
        Covering { keys: pattern.steps().iter().map(written).collect() }
    }

    /// Whether a node at `path` would be found by the pattern, or below what it finds.
    fn covers(&self, path: &str) -> bool {
        let mut keys = path.split(',');
        self.keys.iter().all(|wanted| match (keys.next(), wanted) {
            (None, _) => false,
            (Some(key), Some(wanted)) => key == wanted,
            (Some(_), None) => true,
        })
    }
}

struct Walk<'t> {
    tree: &'t Tree,
    since: u32,
    limit: usize,
    want: Want,
    found: Vec<Change<'t>>,
}

impl Walk<'_> {
    fn steps(&mut self, id: NodeId, steps: &[Step], path: &mut String) {
        if self.tree.store.node(id).below <= self.since || self.found.len() >= self.limit {
            return;
        }
        match steps.split_first() {
            None => self.leaves(id, path),
            Some((Step::Key(key), rest)) => match self.tree.store.child(id, key) {
                Some(child) => self.at_child(path, key, |walk, path| walk.steps(child, rest, path)),
                None if self.tree.may_be_pruned(id, rest, self.since) => self.at_child(path, key, |walk, path| {
                    walk.found.push(Change { path: path.clone(), value: None });
                }),
                None => {}
            },
            Some((Step::Each, rest)) => {
                for child in self.tree.store.children(id) {
                    let key = &self.tree.store.node(child).key;
                    self.at_child(path, key, |walk, path| walk.steps(child, rest, path));
                }
            }
            // A `*` behind the fold would list what the fold has made one: it folds too.
            Some((Step::Fold, _)) => {
                if self.tree.changed_below(id, steps, self.since) {
                    self.folded(Some(id), steps, path);
                }
            }
        }
    }

    /// What `steps` below a node are worth together; no value when nothing is left there.
    fn folded(&mut self, id: Option<NodeId>, steps: &[Step], path: &str) {
        let rest = Pattern::display_steps(steps);
        let path = if path.is_empty() { rest } else { format!("{path},{rest}") };
        let value = id.and_then(|id| self.tree.value_at(id, steps, self.want));
        self.found.push(Change { path, value });
    }

    /// The folds that are told nothing of yet, but lost some of what they folded.
    fn folds_of_gone(&mut self, pattern: &Pattern, covering: &Covering) {
        let tree = self.tree;
        let mut gone = tree.gone.after(self.since).filter(|path| covering.covers(path)).peekable();
        if gone.peek().is_none() {
            return;
        }
        let fold = pattern.steps().iter().position(|step| *step == Step::Fold).unwrap_or(0);
        let (plain, rest) = pattern.steps().split_at(fold);
        // How much of a path leads to the fold; behind it, the pattern says what is folded.
        let lead = |path: &str| match plain.len() {
            0 => 0,
            keys => path.match_indices(',').nth(keys - 1).map_or(path.len(), |(at, _)| at),
        };
        let mut told: HashSet<String> =
            self.found.iter().map(|change| change.path[..lead(&change.path)].to_owned()).collect();
        for path in gone {
            if self.found.len() >= self.limit {
                return;
            }
            let place = &path[..lead(path)];
            if told.insert(place.to_owned()) {
                self.folded(tree.node_at(place), rest, place);
            }
        }
    }

    fn leaves(&mut self, id: NodeId, path: &mut String) {
        let node = self.tree.store.node(id);
        if node.below <= self.since || self.found.len() >= self.limit {
            return;
        }
        if node.changed > self.since
            && let Some(value) = self.tree.own(id, self.want)
        {
            self.found.push(Change { path: path.clone(), value: Some(value) });
        }
        for child in self.tree.store.children(id) {
            let key = &self.tree.store.node(child).key;
            self.at_child(path, key, |walk, path| walk.leaves(child, path));
        }
    }

    /// Does something with the path of a child, and gives the path back as it was.
    fn at_child(&mut self, path: &mut String, key: &str, then: impl FnOnce(&mut Self, &mut String)) {
        let length = path.len();
        if length > 0 {
            path.push(',');
        }
        encode_key(key, path);
        then(self, path);
        path.truncate(length);
    }
}
