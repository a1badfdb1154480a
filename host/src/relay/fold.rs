//! Deltas folded into one, path by path: what was added is summed, what was set is what was set last, sketches are merged.
//!
//! Which action holds at a path is settled before anything is fed here ([`Fed::Number`](plugin_api::delta::wire::Op::Number) is
//! an addition by then, or sets), so two folds can be folded together without the tree, in the order in which they were made.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use plugin_api::Action;
use plugin_api::delta::meta::Pairs;
use plugin_api::delta::wire::{FrameError, Op, Reader, Writer};
use plugin_api::limits::DEPTH_MAX;
use plugin_api::sketch::{Distinct, Quantiles, Top};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Ends a key in a path's bytes: it is in no UTF-8.
const END: u8 = 0xff;

/// What was set at a path last; what was said of its value before that is over.
#[derive(Debug, Default)]
enum Base {
    /// Nothing: what is added goes on from what is there.
    #[default]
    None,
    Number(f64),
    Text(Box<str>),
    Bool(bool),
    Total(f64),
}

/// What few paths have.
#[derive(Debug, Default)]
struct Rest {
    quantiles: Option<Quantiles>,
    distinct: Option<Distinct>,
    tops: Vec<Top>,
    action: Option<Action>,
    life: Option<Duration>,
    meta: Option<Box<[u8]>>,
}

#[derive(Debug, Default)]
struct Leaf {
    /// Its keys, each with an [`END`].
    path: Box<[u8]>,
    base: Base,
    add: Option<f64>,
    rest: Option<Box<Rest>>,
}

/// A fold of deltas.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    leaves: Vec<Leaf>,
    /// By their paths, where they are in `leaves`.
    index: HashTable<u32>,
    hasher: RandomState,
    /// What it takes in memory, about.
    bytes: usize,
    /// Where a path is written for a look into the index.
    path: Vec<u8>,
    /// All that was set is in it: which time that was asked for; 0 if it was not.
    tells: u64,
}

impl Fold {
    /// Whether nothing was fed.
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.tells == 0
    }

    /// From now on all that was set is in it.
    pub(crate) fn tells_all(&mut self, which: u64) {
        self.tells = which;
    }

    /// Which time that was asked for; 0 if it was not.
    pub(crate) fn tells(&self) -> u64 {
        self.tells
    }

    /// What it takes in memory, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Feeds what happens at a path; whether there is such a path: one that is too deep is none.
    pub(crate) fn feed(&mut self, path: &[&str], op: Op<'_>) -> bool {
        if path.len() > DEPTH_MAX {
            return false;
        }
        let leaf = self.leaf(path);
        let mut grown = 0;
        match op {
            Op::Number(x) | Op::Add(x) => {
                let sum = leaf.add.unwrap_or(0.0) + x;
                leaf.add = Some(if sum.is_finite() { sum } else { leaf.add.unwrap_or(0.0) });
            }
            Op::Set(x) => leaf.set(Base::Number(x)),
            Op::Text(text) => {
                grown = text.len();
                leaf.set(Base::Text(text.into()));
            }
            Op::Bool(flag) => leaf.set(Base::Bool(flag)),
            Op::Total(x) => leaf.set(Base::Total(x)),
            Op::Quantiles(bytes) => {
                if let Ok(sketch) = Quantiles::decode(bytes) {
                    leaf.quantiles(|own| own.merge(&sketch));
                    grown = sketch.memory_bytes();
                }
            }
            Op::Distinct(bytes) => {
                if let Ok(sketch) = Distinct::decode(bytes) {
                    leaf.distinct(|own| own.merge(&sketch));
                    grown = sketch.memory_bytes();
                }
            }
            Op::Top(bytes) => {
                if let Ok(sketch) = Top::decode(bytes) {
                    grown = sketch.memory_bytes();
                    leaf.top(sketch);
                }
            }
            Op::Action(action) => leaf.rest().action = Some(action),
            Op::Lifetime(life) => leaf.rest().life = Some(life),
            Op::Meta(pairs) => {
                grown = pairs.bytes().len();
                leaf.rest().meta = Some(pairs.bytes().into());
            }
        }
        self.bytes += grown;
        true
    }

    /// Feeds a number to the sketch of a path at which numbers are observed.
    pub(crate) fn observe(&mut self, path: &[&str], x: f64) {
        if path.len() <= DEPTH_MAX {
            let mut grown = 0;
            self.leaf(path)
                .quantiles(|sketch| grown = growth(sketch, Quantiles::memory_bytes, |sketch| sketch.observe(x)));
            self.bytes += grown;
        }
    }

    /// Feeds an item to the sketch of a path at which items are counted once.
    pub(crate) fn distinct(&mut self, path: &[&str], item: &[u8]) {
        if path.len() <= DEPTH_MAX {
            let mut grown = 0;
            self.leaf(path)
                .distinct(|sketch| grown = growth(sketch, Distinct::memory_bytes, |sketch| sketch.insert(item)));
            self.bytes += grown;
        }
    }

    /// Feeds a frame that a fold has made.
    ///
    /// # Errors
    /// It is none; what stands before the fault has been fed.
    pub(crate) fn merge(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let mut reader = Reader::new(frame)?;
        while let Some(entry) = reader.next_entry()? {
            self.feed(reader.path(), entry.op);
        }
        Ok(())
    }

    /// Leaves only what adds to what is there: what was set is told by whoever comes later.
    pub(crate) fn forget_what_was_set(&mut self) {
        for leaf in &mut self.leaves {
            if !matches!(leaf.base, Base::None) {
                leaf.base = Base::None;
                leaf.add = None;
            }
            if let Some(rest) = &mut leaf.rest {
                (rest.action, rest.life, rest.meta) = (None, None, None);
            }
        }
    }

    /// All of it as frames of about `most` bytes each: one that holds a large sketch alone may be larger. What is there first
    /// decides what becomes of the rest, so actions stand first.
    pub(crate) fn frames(mut self, most: usize) -> Vec<Vec<u8>> {
        self.leaves.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut frames = Frames { most, done: Vec::new(), writer: Writer::new() };
        for leaf in &self.leaves {
            if let Some(action) = leaf.rest.as_ref().and_then(|rest| rest.action) {
                frames.put(leaf, Op::Action(action));
            }
        }
        for leaf in &self.leaves {
            leaf.write(&mut frames);
        }
        frames.finish()
    }

    fn leaf(&mut self, path: &[&str]) -> &mut Leaf {
        self.path.clear();
        for key in path {
            self.path.extend_from_slice(key.as_bytes());
            self.path.push(END);
        }
        let Fold { leaves, index, hasher, path, bytes, .. } = self;
        let hash = hash(hasher, path);
        let found =
            index.entry(hash, |&at| *leaves[at as usize].path == **path, |&at| hash_of(hasher, &leaves[at as usize]));
        let at = match found {
            Entry::Occupied(found) => *found.get() as usize,
            Entry::Vacant(place) => {
                place.insert(leaves.len() as u32);
                *bytes += size_of::<Leaf>() + path.len() + size_of::<u64>();
                leaves.push(Leaf { path: path.as_slice().into(), ..Leaf::default() });
                leaves.len() - 1
            }
        };
        &mut leaves[at]
    }
}

/// By how many bytes a sketch grows by what is done to it.
fn growth<S>(sketch: &mut S, bytes: impl Fn(&S) -> usize, feed: impl FnOnce(&mut S)) -> usize {
    let before = bytes(sketch);
    feed(sketch);
    bytes(sketch).saturating_sub(before)
}

fn hash(hasher: &RandomState, path: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(path);
    hasher.finish()
}

fn hash_of(hasher: &RandomState, leaf: &Leaf) -> u64 {
    hash(hasher, &leaf.path)
}

impl Leaf {
    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    fn set(&mut self, base: Base) {
        self.base = base;
        self.add = None;
        if let Some(rest) = &mut self.rest {
            (rest.quantiles, rest.distinct) = (None, None);
        }
    }

    fn quantiles(&mut self, feed: impl FnOnce(&mut Quantiles)) {
        feed(self.rest().quantiles.get_or_insert_default());
    }

    fn distinct(&mut self, feed: impl FnOnce(&mut Distinct)) {
        feed(self.rest().distinct.get_or_insert_default());
    }

    fn top(&mut self, sketch: Top) {
        let tops = &mut self.rest().tops;
        match tops.iter_mut().find(|top| top.k() == sketch.k()) {
            Some(top) => top.merge(&sketch),
            None => tops.push(sketch),
        }
    }

    fn write(&self, frames: &mut Frames) {
        match &self.base {
            Base::None => {}
            Base::Number(x) => frames.put(self, Op::Set(*x)),
            Base::Text(text) => frames.put(self, Op::Text(text)),
            Base::Bool(flag) => frames.put(self, Op::Bool(*flag)),
            Base::Total(x) => frames.put(self, Op::Total(*x)),
        }
        if let Some(n) = self.add {
            frames.put(self, Op::Add(n));
        }
        let Some(rest) = &self.rest else { return };
        let mut sketch = Vec::new();
        if let Some(quantiles) = &rest.quantiles {
            quantiles.encode(&mut sketch);
            frames.put(self, Op::Quantiles(&sketch));
        }
        if let Some(distinct) = &rest.distinct {
            sketch.clear();
            distinct.encode(&mut sketch);
            frames.put(self, Op::Distinct(&sketch));
        }
        for top in &rest.tops {
            sketch.clear();
            top.encode(&mut sketch);
            frames.put(self, Op::Top(&sketch));
        }
        if let Some(life) = rest.life {
            frames.put(self, Op::Lifetime(life));
        }
        if let Some(meta) = &rest.meta {
            frames.put(self, Op::Meta(Pairs::reread(meta)));
        }
    }
}

/// Frames that are being written.
struct Frames {
    most: usize,
    done: Vec<Vec<u8>>,
    writer: Writer,
}

impl Frames {
    fn put(&mut self, leaf: &Leaf, op: Op<'_>) {
        let keys: Vec<&str> =
            leaf.path.split(|byte| *byte == END).map(|key| std::str::from_utf8(key).unwrap_or_default()).collect();
        // Behind the last key's end there is no other.
        self.writer.entry(&keys[..keys.len() - 1], op);
        if self.writer.bytes().len() >= self.most {
            self.done.push(std::mem::take(&mut self.writer).into_bytes());
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if self.writer.entries() > 0 {
            self.done.push(self.writer.into_bytes());
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Limits, Tree};
    use proptest::prelude::*;

    fn tree() -> Tree {
        Tree::new(Limits::default(), Duration::from_secs(1), 0)
    }

    /// All that a tree holds, in words.
    fn all(tree: &Tree) -> Vec<String> {
        let mut all = Vec::new();
        tree.each_state(&[], true, &mut |path, op| all.push(format!("{} {op:?}", path.join(","))));
        all.sort();
        all
    }

    fn sketch(n: u8) -> Vec<u8> {
        let mut quantiles = Quantiles::new();
        quantiles.observe(f64::from(n));
        let mut bytes = Vec::new();
        quantiles.encode(&mut bytes);
        bytes
    }

    proptest! {
        /// However entries are folded, cut and folded again: a tree that gets the folds holds what one holds that got each.
        #[test]
        fn a_fold_tells_what_its_deltas_told(
            told in prop::collection::vec((0u8..6, 0u8..7, 0u8..50), 0..60), cut in 0usize..60, most in 1usize..400
        ) {
            let (mut each, mut folded) = (tree(), tree());
            let mut folds = [Fold::default(), Fold::default()];
            for (i, (path, kind, n)) in told.iter().enumerate() {
                // A path has one kind of value, as all that is measured has.
                let name = path.to_string();
                let keys = [["a", "b"][usize::from(path % 2)], &name];
                let bytes = sketch(*n);
                let text = n.to_string();
                let mut meta = Vec::new();
                let op = match (kind, path) {
                    (0, _) => Op::Meta(Pairs::write(&mut meta, &[("units", &text)])),
                    (1, _) => Op::Lifetime(Duration::from_secs(u64::from(*n))),
                    (_, 0 | 1) => Op::Add(f64::from(*n)),
                    (_, 2) => Op::Set(f64::from(*n)),
                    (_, 3) => Op::Text(&text),
                    (_, 4) => Op::Quantiles(&bytes),
                    _ => Op::Total(f64::from(*n)),
                };
                let mut writer = Writer::new();
                writer.entry(&keys, op);
                each.merge(&[], writer.bytes(), 0).unwrap();
                folds[usize::from(i > cut)].feed(&keys, op);
            }
            let [first, second] = folds.map(|fold| fold.frames(most));
            let mut both = Fold::default();
            first.iter().chain(&second).for_each(|frame| both.merge(frame).unwrap());
            for frame in both.frames(most) {
                folded.merge(&[], &frame, 0).unwrap();
            }
            prop_assert_eq!(all(&folded), all(&each));
        }
    }

    #[test]
    fn what_was_set_is_forgotten_and_what_was_added_is_not() {
        let mut fold = Fold::default();
        fold.feed(&["n"], Op::Add(3.0));
        fold.feed(&["g"], Op::Add(3.0));
        fold.feed(&["g"], Op::Set(5.0));
        fold.feed(&["g"], Op::Lifetime(Duration::from_secs(1)));
        fold.forget_what_was_set();
        let frames = fold.frames(1_000);
        let mut reader = Reader::new(&frames[0]).unwrap();
        assert_eq!(reader.next_entry().unwrap().map(|entry| entry.op), Some(Op::Add(3.0)));
        assert!(reader.next_entry().unwrap().is_none() && frames.len() == 1);
    }

    #[test]
    fn sketches_that_grow_are_seen_in_the_memory_that_is_told() {
        let mut fold = Fold::default();
        fold.observe(&["q"], 1.0);
        fold.distinct(&["d"], b"x");
        let before = fold.memory_bytes();
        for n in 0..2_000_u32 {
            fold.observe(&["q"], f64::from(n % 300).exp2());
            fold.distinct(&["d"], &n.to_le_bytes());
        }
        assert!(fold.memory_bytes() > before + 4_000, "{before} {}", fold.memory_bytes());
    }

    #[test]
    fn a_path_that_no_frame_can_have_is_refused() {
        let mut fold = Fold::default();
        assert!(!fold.feed(&["k"; DEPTH_MAX + 1], Op::Add(1.0)) && fold.is_empty());
    }
}
