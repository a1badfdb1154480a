//! What is told of nodes beside their values: units, titles, groups.
//!
//! Kept beside the nodes that have any. A thousand hosts say the same of the same metric, so equal metadata is held once.

use super::Tree;
use super::query::NodeRef;
use super::store::{Marks, NodeId};
use hashbrown::{HashMap, HashSet};
use plugin_api::delta::meta::Pairs;
use std::sync::Arc;

/// The metadata of a node.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'t> {
    pairs: Pairs<'t>,
    said_ms: i64,
    reported_ms: Option<i64>,
}

impl<'t> Meta<'t> {
    /// The pairs, in the order in which they were said; a key may come more than once.
    pub fn pairs(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.pairs.iter()
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'t str> {
        self.pairs.get(key)
    }

    /// The pairs as bytes, for who copies them: [`Pairs::reread`] reads them.
    #[must_use]
    pub fn encoded(self) -> &'t [u8] {
        self.pairs.bytes()
    }

    /// When the metadata was said last, changed or not; in milliseconds on the clock that [`Tree::merge`] is given.
    #[must_use]
    pub fn said_ms(self) -> i64 {
        self.said_ms
    }

    /// When the node's own value was merged last, changed or not; in milliseconds as above. `None` when none came since
    /// there is metadata.
    #[must_use]
    pub fn reported_ms(self) -> Option<i64> {
        self.reported_ms
    }
}

#[derive(Debug)]
struct Kept {
    /// Encoded [`Pairs`].
    pairs: Arc<[u8]>,
    said_ms: i64,
    reported_ms: Option<i64>,
}

/// The metadata of all nodes that have any.
#[derive(Debug, Default)]
pub(super) struct Metas {
    of: HashMap<NodeId, Kept>,
    /// Each encoded list once.
    texts: HashSet<Arc<[u8]>>,
    /// Bytes of the texts, with what each takes beside.
    text_bytes: usize,
}

/// What an `Arc` takes beside its bytes.
const ARC_BYTES: usize = 2 * size_of::<usize>();

impl Metas {
    fn set(&mut self, id: NodeId, pairs: Pairs<'_>, now_ms: i64, reported_ms: Option<i64>) {
        if let Some(kept) = self.of.get_mut(&id)
            && *kept.pairs == *pairs.bytes()
        {
            kept.said_ms = now_ms;
            return;
        }
        let text = match self.texts.get(pairs.bytes()) {
            Some(text) => Arc::clone(text),
            None => {
                let text: Arc<[u8]> = pairs.bytes().into();
                self.text_bytes += text.len() + ARC_BYTES;
                self.texts.insert(Arc::clone(&text));
                text
            }
        };
        match self.of.get_mut(&id) {
            Some(kept) => {
                let old = std::mem::replace(&mut kept.pairs, text);
                kept.said_ms = now_ms;
                self.drop_text(&old);
            }
            None => drop(self.of.insert(id, Kept { pairs: text, said_ms: now_ms, reported_ms })),
        }
    }

    /// A value came.
    pub(super) fn reported(&mut self, id: NodeId, now_ms: i64) {
        if let Some(kept) = self.of.get_mut(&id) {
            kept.reported_ms = Some(now_ms);
        }
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        if let Some(kept) = self.of.remove(&id) {
            self.drop_text(&kept.pairs);
        }
        // A burst of metadata must not be paid for ever.
        if self.of.capacity() > 64 && self.of.capacity() > 4 * self.of.len() {
            self.of.shrink_to(2 * self.of.len());
            self.texts.shrink_to(2 * self.texts.len());
        }
    }

    /// Drops a text when nobody has it any more but the caller, who is about to drop it, and the set of texts.
    fn drop_text(&mut self, text: &Arc<[u8]>) {
        if Arc::strong_count(text) == 2 && self.texts.remove(text) {
            self.text_bytes -= text.len() + ARC_BYTES;
        }
    }

    /// How many different lists there are.
    #[cfg(test)]
    pub(super) fn texts(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.allocation_size() + self.texts.allocation_size() + self.text_bytes
    }
}

impl Tree {
    /// Sets a node's metadata; none takes it away. Whether there was room for it.
    pub(super) fn set_meta(&mut self, id: NodeId, pairs: Pairs<'_>, now_ms: i64) -> bool {
        if let Some(saved) = &mut self.saved
            && self.metas.of.get(&id).is_none_or(|kept| *kept.pairs != *pairs.bytes())
        {
            saved.meta_changed(id);
        }
        if pairs.is_empty() {
            self.store.node_mut(id).marks.clear(Marks::META);
            self.metas.forget(id);
            return true;
        }
        let node = self.store.node(id);
        let is_new = !node.marks.has(Marks::META);
        if self.held_bytes() > self.limits.bytes_max && !self.metas.texts.contains(pairs.bytes()) {
            return false;
        }
        // What a frame says of a value may stand behind the value.
        let reported = (node.changed == self.now && !node.value.is_none()).then_some(now_ms);
        self.metas.set(id, pairs, now_ms, reported);
        if is_new {
            self.store.node_mut(id).marks.set(Marks::META);
            let mut at = Some(id);
            while let Some(id) = at.filter(|id| !self.store.node(*id).marks.has(Marks::META_BELOW)) {
                self.store.node_mut(id).marks.set(Marks::META_BELOW);
                at = self.store.parent(id);
            }
        }
        true
    }

    pub(super) fn meta(&self, id: NodeId) -> Option<Meta<'_>> {
        if !self.store.node(id).marks.has(Marks::META) {
            return None;
        }
        let Kept { pairs, said_ms, reported_ms } = self.metas.of.get(&id)?;
        Some(Meta { pairs: Pairs::reread(pairs), said_ms: *said_ms, reported_ms: *reported_ms })
    }

    /// Whether a node or something below it has metadata, or had.
    pub(super) fn may_have_meta(&self, id: NodeId) -> bool {
        self.store.node(id).marks.has(Marks::META_BELOW)
    }
}

impl<'t> NodeRef<'t> {
    /// Calls `each` with every node that has metadata, this one and what hangs up to `depth` levels below it, in the order of
    /// the tree, until it says stop (`false`); whether it never did. The keys are those from this node on: none for
    /// itself. Branches in which nobody ever told anything are not entered.
    pub fn each_meta(self, depth: usize, each: &mut dyn FnMut(&[&'t str], NodeRef<'t>, Meta<'t>) -> bool) -> bool {
        self.each_meta_below(depth, &mut Vec::new(), each)
    }

    fn each_meta_below(
        self,
        depth: usize,
        keys: &mut Vec<&'t str>,
        each: &mut dyn FnMut(&[&'t str], NodeRef<'t>, Meta<'t>) -> bool,
    ) -> bool {
        if !self.may_have_meta() {
            return true;
        }
        if let Some(meta) = self.meta()
            && !each(keys, self, meta)
        {
            return false;
        }
        let Some(depth) = depth.checked_sub(1) else { return true };
        self.children().all(|child| {
            keys.push(child.key());
            let goes_on = child.each_meta_below(depth, keys, each);
            keys.pop();
            goes_on
        })
    }
}
