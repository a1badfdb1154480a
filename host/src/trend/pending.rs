//! What waits to be written: each node of the tree once, so no more than that.

use super::history::KeptTime;
use crate::tree::{Fed, Kept, More, Row, Rows};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What is to be written at once.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) rows: HashMap<u64, Row>,
    /// What sketches were fed, by the numbers of their nodes.
    pub(super) fed: BTreeMap<u64, Fed>,
    /// What was in a commit that failed, and may be in the file all the same: feeding a sketch twice is not as doing it once.
    pub(super) tried: BTreeMap<u64, Fed>,
    /// Which try of this daemon to write a commit this is.
    pub(super) attempt: i64,
    pub(super) gone: Vec<u64>,
    /// The numbers of all nodes, where history is to have them.
    pub(super) whole: Vec<(u64, f64)>,
    /// The same, where a store is to be told what has not changed.
    pub(super) fill: Vec<(u64, f64)>,
    /// `None` for a source that is no more.
    pub(super) sources: BTreeMap<String, Option<Arc<str>>>,
    pub(super) unix_ms: i64,
    /// The time that history has of it, in milliseconds since the Unix epoch.
    pub(super) stamp: i64,
    /// How often there is one, in milliseconds; 0 where that is not known.
    pub(super) every_ms: i64,
    /// The history of numbers is in a store alone, and not in the file.
    pub(super) elsewhere: bool,
    /// Whether history is to have it.
    pub(super) history: bool,
    /// The time that has passed by then, and the one at which what is gone has gone.
    pub(super) passed: KeptTime,
    pub(super) gone_ms: i64,
    /// A number of the daemon's own, which no other has.
    pub(super) writer: i64,
}

impl Pending {
    /// Takes on what changed since.
    pub(super) fn add(&mut self, rows: Rows, sources: Vec<(String, Option<Arc<str>>)>) {
        for id in rows.gone {
            let waiting = self.rows.remove(&id).and_then(|row| row.more);
            // What was never written need not be removed.
            if waiting.is_none_or(|more| more.path.is_none()) {
                self.gone.push(id);
            } else {
                self.fed.remove(&id);
                self.tried.remove(&id);
            }
        }
        for row in rows.changed {
            match self.rows.get_mut(&row.id) {
                Some(waiting) => replace(waiting, row),
                None => drop(self.rows.insert(row.id, row)),
            }
        }
        for (id, fed) in rows.fed {
            self.feed(id, fed);
        }
        self.sources.extend(sources);
    }

    fn feed(&mut self, id: u64, fed: Fed) {
        match self.fed.get_mut(&id) {
            Some(waiting) => waiting.merge(&fed),
            None => drop(self.fed.insert(id, fed)),
        }
    }

    /// A commit has failed, and it is not known whether what sketches were fed is in the file.
    pub(super) fn may_be_written(&mut self) {
        self.tried = std::mem::take(&mut self.fed);
    }

    /// It is known now: what sketches were fed is in the file, or waits again.
    pub(super) fn tried(&mut self, written: bool) {
        let tried = std::mem::take(&mut self.tried);
        if !written {
            tried.into_iter().for_each(|(id, fed)| self.feed(id, fed));
        }
    }

    /// Takes on the numbers of all nodes, for a store.
    pub(super) fn add_fill(&mut self, fill: Vec<(u64, f64)>) {
        replace_all(&mut self.fill, fill, &self.gone);
    }

    /// Takes on the numbers of all nodes.
    pub(super) fn add_whole(&mut self, whole: Vec<(u64, f64)>) {
        replace_all(&mut self.whole, whole, &self.gone);
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let more = |more: &More| {
            size_of::<More>() + more.path.as_deref().map_or(0, str::len) + more.meta.as_deref().map_or(0, <[u8]>::len)
        };
        let of = |row: &Row| {
            let value = match &row.value {
                Kept::Text(text) => text.len(),
                Kept::Quantiles(bytes) | Kept::Distinct(bytes) => bytes.len(),
                Kept::None | Kept::Number(_) | Kept::Bool(_) => 0,
            };
            size_of::<(u64, Row)>() + value + row.more.as_deref().map_or(0, more)
        };
        let rows: usize = self.rows.values().map(of).sum();
        rows + size_of_val(&*self.gone) + size_of_val(&*self.whole) + size_of_val(&*self.fill)
    }
}

/// Takes on the numbers of all nodes. Where those of before wait, those that have gone meanwhile are left out.
fn replace_all(waiting: &mut Vec<(u64, f64)>, all: Vec<(u64, f64)>, gone: &[u64]) {
    if !all.is_empty() {
        *waiting = all;
    } else if !waiting.is_empty() && !gone.is_empty() {
        let gone: HashSet<u64> = gone.iter().copied().collect();
        waiting.retain(|(id, _)| !gone.contains(id));
    }
}

/// A node that waits to be written has changed again: its path and its metadata are told once only.
fn replace(waiting: &mut Row, new: Row) {
    let old = std::mem::replace(waiting, new);
    let Some(old) = old.more.filter(|more| more.path.is_some() || more.meta.is_some()) else { return };
    let more = waiting.more.get_or_insert_default();
    more.path = old.path;
    more.meta = more.meta.take().or(old.meta);
}
