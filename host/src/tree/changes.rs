//! What changed since a tick.
//!
//! No log of changes is kept: each node knows the tick of its own last change and of the last one below it, so a
//! client that was away for a second and one that was away for a day are answered by the same walk, which enters only
//! branches that changed. What was removed is remembered for a while.

use super::path::{Pattern, Step, encode_key, encode_path};
use super::query::Reading;
use super::store::NodeId;
use super::{Tree, Want};
use std::collections::VecDeque;

/// How many removed paths are remembered: a client that was away for longer than these took to go asks for all anew.
const GONE_MAX: usize = 4_096;

/// The paths that were removed last, each with its tick.
#[derive(Debug, Default)]
pub(super) struct Gone {
    paths: VecDeque<(u32, String)>,
}

impl Gone {
    pub(super) fn push(&mut self, tick: u32, path: String) {
        if self.paths.len() == GONE_MAX {
            self.paths.pop_front();
        }
        self.paths.push_back((tick, path));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.paths.capacity() * size_of::<(u32, String)>()
            + self.paths.iter().map(|(_, path)| path.capacity()).sum::<usize>()
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
    #[must_use]
    pub fn changes(&self, pattern: &Pattern, since: u64, limit: usize) -> Vec<Change<'_>> {
        let mut walk = Walk { tree: self, since: self.relative(since), limit, want: Want::Value, found: Vec::new() };
        walk.steps(NodeId::ROOT, pattern.steps(), &mut String::new());
        if !pattern.folds() {
            for (tick, path) in &self.gone.paths {
                if *tick > walk.since && walk.found.len() < limit && covers(pattern, path) && !self.is_there(path) {
                    walk.found.push(Change { path: path.clone(), value: None });
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
        self.changed_below(NodeId::ROOT, pattern.steps(), since)
            || (!pattern.folds()
                && self
                    .gone
                    .paths
                    .iter()
                    .rev()
                    .take_while(|(tick, _)| *tick > since)
                    .any(|(_, path)| covers(pattern, path)))
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
            Some((Step::Key(key), rest)) => {
                self.store.child(id, key).is_some_and(|child| self.changed_below(child, rest, since))
            }
            Some((Step::Fold | Step::Each, rest)) => {
                self.store.children(id).any(|child| self.changed_below(child, rest, since))
            }
        }
    }

    fn is_there(&self, path: &str) -> bool {
        let Ok(keys) = super::parse_plain(path) else { return false };
        let mut at = NodeId::ROOT;
        for key in &keys {
            match self.store.child(at, key) {
                Some(child) => at = child,
                None => return false,
            }
        }
        !self.store.node(at).value.is_none()
    }
}

/// Whether a node at `path` would be found by a pattern, or below what it finds.
fn covers(pattern: &Pattern, path: &str) -> bool {
    let mut keys = path.split(',');
    pattern.steps().iter().all(|step| match (step, keys.next()) {
        (_, None) => false,
        (Step::Key(key), Some(written)) => written == encode_path([key.as_str()]),
        (Step::Fold | Step::Each, Some(_)) => true,
    })
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
            Some((Step::Key(key), rest)) => {
                if let Some(child) = self.tree.store.child(id, key) {
                    self.at_child(path, key, |walk, path| walk.steps(child, rest, path));
                }
            }
            Some((Step::Each, rest)) => {
                for child in self.tree.store.children(id) {
                    let key = &self.tree.store.node(child).key;
                    self.at_child(path, key, |walk, path| walk.steps(child, rest, path));
                }
            }
            Some((Step::Fold, _)) => self.folded(id, steps, path),
        }
    }

    /// The folded value of what `steps` find below a node, if any of it changed.
    fn folded(&mut self, id: NodeId, steps: &[Step], path: &str) {
        // A `*` behind the fold would list what the fold has made one: it folds too.
        if self.tree.changed_below(id, steps, self.since)
            && let Some(value) = self.tree.value_at(id, steps, self.want)
        {
            let rest = Pattern::display_steps(steps);
            let path = if path.is_empty() { rest } else { format!("{path},{rest}") };
            self.found.push(Change { path, value: Some(value) });
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
