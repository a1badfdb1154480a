//! What has entered the tree since the last commit, for one relay.

use super::fold::Fold;
use super::raw::{Outgoing, Piece};
use crate::conf::RelayConf;
use crate::ingest::LOG_OWN;
use crate::limits::RELAY_OUTBOX_BYTES_MAX;
use crate::tree::Tree;
use plugin_api::Action;
use plugin_api::delta::wire::{Op, Reader};
use std::sync::Arc;

/// Which branches travel, and below what they hang when they have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Route {
    /// All unless there are some; all but the log of the daemon's own HTTP, which would add up with the receiver's.
    branches: Vec<Vec<String>>,
    prefix: Vec<String>,
}

impl Route {
    fn takes(&self, path: &[&str]) -> bool {
        let below = |branch: &Vec<String>| {
            path.len() >= branch.len() && branch.iter().zip(path).all(|(key, other)| key == other)
        };
        if self.branches.is_empty() {
            return path.first().is_none_or(|key| *key != LOG_OWN);
        }
        self.branches.iter().any(below)
    }
}

/// The changes of one relay that are not committed yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    route: Route,
    fold: Fold,
    /// Lines that go as they are.
    raw: Vec<Arc<Piece>>,
    /// There is more in it than what the daemon says of itself.
    pressing: bool,
    /// Values that there was no room for.
    dropped: u64,
}

impl Outbox {
    /// From now on as a `.on` says; what is in it stays. Whether other branches travel, or to elsewhere.
    pub(super) fn follow(&mut self, conf: &RelayConf) -> bool {
        let route = Route { branches: conf.branches.clone(), prefix: conf.prefix.clone() };
        let before = std::mem::replace(&mut self.route, route);
        before != self.route
    }

    /// A frame was merged below `base`; `own` says that the daemon speaks of itself in it.
    pub(super) fn merged(&mut self, tree: &Tree, base: &[&str], frame: &[u8], own: bool) {
        let Ok(mut reader) = Reader::new(frame) else { return };
        // A sketch that is none has had the frame refused.
        while let Ok(Some(entry)) = reader.next_entry() {
            let path = [base, reader.path()].concat();
            if !self.route.takes(&path) {
                continue;
            }
            self.pressing |= !own;
            match (entry.op, in_force(tree, &path, entry.op)) {
                (Op::Number(x), Some(Action::Quantiles)) => self.with_prefix(&path, |fold, path| fold.observe(path, x)),
                (Op::Number(x), Some(Action::Distinct)) => {
                    self.with_prefix(&path, |fold, path| fold.distinct(path, x.to_string().as_bytes()));
                }
                (Op::Text(text), Some(Action::Distinct)) => {
                    self.with_prefix(&path, |fold, path| fold.distinct(path, text.as_bytes()));
                }
                (Op::Number(x), Some(Action::Average | Action::Min | Action::Max | Action::Last)) => {
                    self.feed(&path, Op::Set(x));
                }
                (op, _) => self.feed(&path, op),
            }
        }
    }

    /// A node got an action that no frame told.
    pub(super) fn acted(&mut self, path: &[&str], action: Action) {
        if self.route.takes(path) {
            self.feed(path, Op::Action(action));
        }
    }

    /// Puts all in that the tree holds and that was set, for a receiver that may not have it; `which` time that was asked for.
    pub(super) fn tell_all(&mut self, tree: &Tree, which: u64) {
        let route = self.route.clone();
        let branches = &route.branches;
        let root = [Vec::new()];
        for branch in if branches.is_empty() { &root[..] } else { branches } {
            let branch: Vec<&str> = branch.iter().map(String::as_str).collect();
            tree.each_state(&branch, false, &mut |path, op| {
                if route.takes(path) {
                    self.feed(path, op);
                }
            });
        }
        self.fold.tells_all(which);
        self.pressing = true;
    }

    /// Lines that go as they are.
    pub(super) fn forward(&mut self, pieces: &[Arc<Piece>]) {
        self.raw.extend_from_slice(pieces);
        self.pressing = true;
    }

    /// What all of it hangs below where it arrives.
    pub(super) fn prefix(&self) -> &[String] {
        &self.route.prefix
    }

    /// Takes the lines out.
    pub(super) fn take_raw(&mut self) -> Outgoing {
        Outgoing { pieces: std::mem::take(&mut self.raw), prefix: self.route.prefix.clone() }
    }

    /// Whether there is something that a commit should not wait for long with.
    pub(super) fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// Values that there was no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes out what is in it.
    pub(super) fn take(&mut self) -> Fold {
        self.pressing = false;
        std::mem::take(&mut self.fold)
    }

    fn feed(&mut self, path: &[&str], op: Op<'_>) {
        let mut fits = true;
        self.with_prefix(path, |fold, path| fits = fold.feed(path, op));
        self.dropped += u64::from(!fits);
    }

    fn with_prefix(&mut self, path: &[&str], feed: impl FnOnce(&mut Fold, &[&str])) {
        if self.fold.memory_bytes() > RELAY_OUTBOX_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        if self.route.prefix.is_empty() {
            return feed(&mut self.fold, path);
        }
        let whole: Vec<&str> = self.route.prefix.iter().map(String::as_str).chain(path.iter().copied()).collect();
        feed(&mut self.fold, &whole);
    }
}

/// The action that decides what becomes of a number or a text; of nothing else it has to be known.
fn in_force(tree: &Tree, path: &[&str], op: Op<'_>) -> Option<Action> {
    matches!(op, Op::Number(_) | Op::Text(_)).then(|| tree.action_at(path)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Limits;
    use plugin_api::delta::wire::Writer;
    use std::path::Path;
    use std::time::Duration;

    fn outbox(text: &str) -> Outbox {
        let mut outbox = Outbox::default();
        outbox.follow(&RelayConf::parse(Path::new("relay.on"), text).unwrap());
        outbox
    }

    fn all(tree: &Tree) -> Vec<String> {
        let mut all = Vec::new();
        tree.each_state(&[], true, &mut |path, op| all.push(format!("{} {op:?}", path.join(","))));
        all.sort();
        all
    }

    #[test]
    fn numbers_arrive_as_the_action_here_took_them() {
        let tree = || Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let (mut here, mut there) = (tree(), tree());
        let mut outbox = outbox("to = \"a\"");
        let mut frame = Writer::new();
        for (key, action) in [("n", Action::Add), ("g", Action::Max), ("q", Action::Quantiles), ("d", Action::Distinct)]
        {
            frame.entry(&[key], Op::Action(action));
        }
        for round in 0..3 {
            for key in ["n", "g", "q", "d", "plain"] {
                frame.entry(&[key, "x"], Op::Number(f64::from(round)));
            }
            frame.entry(&["d", "x"], Op::Text("seen"));
            frame.entry(&["t"], Op::Text("said"));
            here.merge(&["base"], frame.bytes(), 0).unwrap();
            outbox.merged(&here, &["base"], frame.bytes(), false);
            assert!(outbox.is_pressing());
            frame.clear();
        }
        for frame in outbox.take().frames(1_000) {
            there.merge(&[], &frame, 0).unwrap();
        }
        assert_eq!(all(&there), all(&here));
        assert!(!outbox.is_pressing());
    }

    #[test]
    fn the_log_of_the_daemons_own_http_stays() {
        let tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let mut frame = Writer::new();
        frame.entry(&["self", "status", "200"], Op::Add(1.0));
        for (more, stays) in [("", true), ("\nbranches = \"self\"", false)] {
            let mut outbox = outbox(&format!("to = \"a\"{more}"));
            outbox.merged(&tree, &[], frame.bytes(), false);
            assert_eq!(outbox.take().is_empty(), stays);
        }
    }

    #[test]
    fn branches_that_do_not_travel_stay_and_a_prefix_is_put_before_the_others() {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let mut outbox = outbox("to = \"a\"\nprefix = \"site,a\"\nbranches = [\"status\", \"cpu,web1\"]");
        let mut frame = Writer::new();
        for path in [&["status", "200"][..], &["cpu", "web2"], &["cpu", "web1", "idle"], &["cpu"]] {
            frame.entry(path, Op::Set(1.0));
        }
        tree.merge(&[], frame.bytes(), 0).unwrap();
        let want = ["site,a,cpu,web1,idle", "site,a,status,200"];
        for round in 0..2 {
            match round {
                0 => outbox.merged(&tree, &[], frame.bytes(), false),
                _ => outbox.tell_all(&tree, 1),
            }
            let frames = outbox.take().frames(usize::MAX);
            let mut reader = Reader::new(&frames[0]).unwrap();
            let mut found = Vec::new();
            while let Some(entry) = reader.next_entry().unwrap() {
                if let Op::Set(_) = entry.op {
                    found.push(reader.path().join(","));
                }
            }
            assert_eq!(found, want);
        }
    }
}
