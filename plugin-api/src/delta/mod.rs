//! What a module has to say since it was last asked.

pub mod meta;
mod table;
pub mod wire;

use crate::action::Action;
use crate::clock::Clock;
use crate::limits::{DELTA_META_BYTES_MAX, DEPTH_MAX, MARKER, OTHER, TEXT_BYTES_MAX, cut};
use core::time::Duration;
use meta::Pairs;
use table::{Acc, Kind, Table};
use wire::{Op, Writer};

/// A bundle of changes to the module's branch of the tree.
///
/// Paths are keys below the branch. What is fed at one path folds there (a million `add`s are one number), and
/// the host takes the whole once a tick; afterwards the delta is empty and goes on being used. It is bounded:
/// past [`DELTA_PATHS_MAX`](crate::limits::DELTA_PATHS_MAX) new paths are counted at `(other)`, and `top` and
/// `distinct` keep sketches, not keys. Numbers that are not finite are ignored.
///
/// ```
/// # use plugin_api::Delta;
/// let mut out = Delta::new();
/// out.add(&["ie", "7"], 1.0);
/// out.set(&["idle"], 93.5);
/// out.observe(&["2xx"], 0.012);
/// ```
///
/// Where nanoseconds count, [`Delta::slot`] looks a path up once and [`Delta::add_at`] is then an addition; so it is with
/// [`Delta::slot_of_quantiles`], [`Delta::slot_of_distinct`] and [`Delta::slot_of_top`]. Slots are good for a whole batch.
#[derive(Debug)]
pub struct Delta {
    clock: Clock,
    table: Table,
    writer: Writer,
    /// Sketches are encoded here on their way into the frame, and metadata on its way into the table.
    sketch: Vec<u8>,
    /// Metadata said since the last flush, in bytes.
    meta_bytes: usize,
    /// What was counted at `(other)` for want of room since the last flush.
    overflowed: u64,
}

/// A path looked up once, for [`Delta::add_at`] and its like.
///
/// Good until the delta's [`epoch`](Delta::epoch) changes; after that, what is added by it goes to `(other)`. A
/// [`Cache`](crate::Cache) made for a delta forgets its slots in time by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    index: u32,
    epoch: u32,
}

impl Default for Delta {
    fn default() -> Delta {
        Delta::new()
    }
}

impl Delta {
    /// An empty delta.
    #[must_use]
    pub fn new() -> Delta {
        Delta {
            clock: Clock::default(),
            table: Table::new(),
            writer: Writer::new(),
            sketch: Vec::new(),
            meta_bytes: 0,
            overflowed: 0,
        }
    }

    /// The moment of this call.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Sets the moment of the call that follows.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Adds to the counter at a path.
    #[inline]
    pub fn add(&mut self, path: &[&str], n: f64) {
        let index = self.locate(path, Kind::Add);
        self.table.add(index, n);
    }

    /// Looks up the counter at a path.
    #[must_use]
    pub fn slot(&mut self, path: &[&str]) -> Slot {
        Slot { index: self.locate(path, Kind::Add), epoch: self.table.epoch() }
    }

    /// Looks up the quantiles at a path, for [`Delta::observe_at`]. Nothing is there until they are fed.
    #[must_use]
    pub fn slot_of_quantiles(&mut self, path: &[&str]) -> Slot {
        Slot { index: self.locate(path, Kind::Quantiles), epoch: self.table.epoch() }
    }

    /// Looks up the set at a path, for [`Delta::distinct_at`]. Nothing is there until it is fed.
    #[must_use]
    pub fn slot_of_distinct(&mut self, path: &[&str]) -> Slot {
        Slot { index: self.locate(path, Kind::Distinct), epoch: self.table.epoch() }
    }

    /// Looks up the `k` heaviest keys below a path, for [`Delta::top_at`]. Nothing is there until they are fed.
    #[must_use]
    pub fn slot_of_top(&mut self, path: &[&str], k: u32) -> Slot {
        let kind = Kind::Top { k: k.clamp(1, Action::TOP_K_MAX) };
        Slot { index: self.locate(path, kind), epoch: self.table.epoch() }
    }

    /// Feeds a value to the quantiles of a slot.
    #[inline]
    pub fn observe_at(&mut self, slot: Slot, value: f64) {
        if slot.epoch != self.table.epoch() {
            self.overflowed += 1;
            self.observe(&[OTHER], value);
        } else if let Acc::Quantiles(sketch) = self.table.touch(slot.index) {
            sketch.observe(value);
        }
    }

    /// Counts an item among the distinct ones of a slot.
    #[inline]
    pub fn distinct_at(&mut self, slot: Slot, item: &str) {
        if slot.epoch != self.table.epoch() {
            self.overflowed += 1;
            self.distinct(&[OTHER], item);
        } else if let Acc::Distinct(sketch) = self.table.touch(slot.index) {
            sketch.insert(item.as_bytes());
        }
    }

    /// Adds to the counter of `key` among the heaviest keys of a slot.
    #[inline]
    pub fn top_at(&mut self, slot: Slot, key: &str, n: f64) {
        if slot.epoch != self.table.epoch() {
            self.overflowed += 1;
            self.add(&[OTHER], n);
        } else if let Acc::Top(sketch) = self.table.touch(slot.index) {
            sketch.add(key, n);
        }
    }

    /// Adds to the counter of a slot.
    #[inline]
    pub fn add_at(&mut self, slot: Slot, n: f64) {
        if slot.epoch == self.table.epoch() {
            self.table.add(slot.index, n);
        } else {
            self.overflowed += 1;
            self.add(&[OTHER], n);
        }
    }

    /// Changes when all slots become stale: at a flush after which the delta forgot its paths, so as to stay
    /// bounded.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.table.epoch()
    }

    /// Sets the gauge at a path.
    pub fn set(&mut self, path: &[&str], value: f64) {
        if value.is_finite() {
            let index = self.locate(path, Kind::Set);
            self.table.put(index, Acc::Set(value));
        }
    }

    /// Sets the text at a path. A text of more than [`TEXT_BYTES_MAX`] bytes is cut.
    pub fn set_text(&mut self, path: &[&str], text: &str) {
        let index = self.locate(path, Kind::Text);
        self.table.put(index, Acc::Text(cut(text, TEXT_BYTES_MAX).to_owned()));
    }

    /// Sets the boolean at a path.
    pub fn set_bool(&mut self, path: &[&str], flag: bool) {
        let index = self.locate(path, Kind::Bool);
        self.table.put(index, Acc::Bool(flag));
    }

    /// Marks this moment at a path with a text (a deployment, an alarm): it becomes the path's `marker`.
    pub fn mark(&mut self, path: &[&str], text: &str) {
        let mut keys = path.to_vec();
        keys.push(MARKER);
        self.set_text(&keys, text);
    }

    /// Feeds a value to the quantiles at a path.
    #[inline]
    pub fn observe(&mut self, path: &[&str], value: f64) {
        let index = self.locate(path, Kind::Quantiles);
        if let Acc::Quantiles(sketch) = self.table.touch(index) {
            sketch.observe(value);
        }
    }

    /// Counts an item among the distinct ones at a path.
    #[inline]
    pub fn distinct(&mut self, path: &[&str], item: &str) {
        let index = self.locate(path, Kind::Distinct);
        if let Acc::Distinct(sketch) = self.table.touch(index) {
            sketch.insert(item.as_bytes());
        }
    }

    /// Adds to the counter of `key` below a path that keeps its `k` heaviest keys.
    #[inline]
    pub fn top(&mut self, path: &[&str], key: &str, n: f64, k: u32) {
        let index = self.locate(path, Kind::Top { k: k.clamp(1, Action::TOP_K_MAX) });
        if let Acc::Top(sketch) = self.table.touch(index) {
            sketch.add(key, n);
        }
    }

    /// Gives a node of the branch an action of its own.
    pub fn action(&mut self, path: &[&str], action: Action) {
        let index = self.locate(path, Kind::Action);
        self.table.put(index, Acc::Action(action));
    }

    /// Says how long the value at a path lives when it is not renewed (ganglia's `dmax`); zero is for ever. To
    /// be said with each value.
    pub fn lifetime(&mut self, path: &[&str], life: Duration) {
        let index = self.locate(path, Kind::Lifetime);
        self.table.put(index, Acc::Lifetime(life));
    }

    /// Says what the counter at a path stands at, where somebody else counts (bytes of an interface, requests of a
    /// server). It is the path's value as it stands, and how fast it grows is told from one to the next; one that is less
    /// than the one before began anew. Where there is no room for a new path, it is counted as overflowed and not kept: the
    /// last of many totals would tell nothing. Below a `top` there are none.
    pub fn total(&mut self, path: &[&str], n: f64) {
        if !n.is_finite() {
            return;
        }
        match self.locate_own(path, Kind::Total) {
            Some(index) => self.table.put(index, Acc::Total(n)),
            None => self.overflowed += 1,
        }
    }

    /// Says what is to be known of the value at a path beside the value, as pairs of key and text: `units`, `title`,
    /// `description`, `group` (once for each group), `type`, `slope`, … It replaces what was said there before; no pairs take it
    /// away. To be said when it changes, and again as one likes: saying the same costs little and changes nothing. Where a
    /// value has a [lifetime](Delta::lifetime), its metadata goes with it, so it is said again with the value.
    ///
    /// At most [`META_PAIRS_MAX`](crate::limits::META_PAIRS_MAX) pairs and
    /// [`META_BYTES_MAX`](crate::limits::META_BYTES_MAX) bytes; what is more is cut.
    ///
    /// Whether it was kept: where there is no room for a new path, or where [`DELTA_META_BYTES_MAX`] bytes are kept since the last
    /// flush, it is not. Whoever says it only once then says it again after the flush.
    pub fn meta(&mut self, path: &[&str], pairs: &[(&str, &str)]) -> bool {
        let length = Pairs::write(&mut self.sketch, pairs).bytes().len();
        let Some(index) = self.locate_own(path, Kind::Meta) else { return false };
        let Acc::Meta(said) = self.table.peek(index) else { return false };
        let others = self.meta_bytes - said.len();
        let fits = others + length <= DELTA_META_BYTES_MAX;
        if fits {
            self.meta_bytes = others + length;
            let said = self.sketch.clone();
            self.table.put(index, Acc::Meta(said));
        }
        fits
    }

    /// Whether nothing was fed since the last flush.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_clean()
    }

    /// What was counted at `(other)` for want of room since the last flush.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Delta>() + self.table.memory_bytes() + self.sketch.capacity() + self.writer.bytes().len()
    }

    /// Takes what was fed since the last flush as a [frame](wire), and starts anew. Empty if there was nothing.
    pub fn flush(&mut self) -> &[u8] {
        self.overflowed = 0;
        self.meta_bytes = 0;
        self.writer.clear();
        if self.table.is_clean() {
            return &[];
        }
        let Delta { table, writer, sketch, .. } = self;
        table.drain(|path, acc| match acc {
            Acc::Add(n) => {
                writer.entry_bytes(path, Op::Add(*n));
                *n = 0.0;
            }
            Acc::Set(value) => writer.entry_bytes(path, Op::Set(*value)),
            Acc::Text(text) => writer.entry_bytes(path, Op::Text(text)),
            Acc::Bool(flag) => writer.entry_bytes(path, Op::Bool(*flag)),
            Acc::Action(action) => writer.entry_bytes(path, Op::Action(*action)),
            Acc::Lifetime(life) => writer.entry_bytes(path, Op::Lifetime(*life)),
            Acc::Total(n) => writer.entry_bytes(path, Op::Total(*n)),
            Acc::Meta(pairs) => writer.entry_bytes(path, Op::Meta(Pairs::reread(&std::mem::take(pairs)))),
            Acc::Quantiles(quantiles) => {
                sketch.clear();
                quantiles.encode(sketch);
                writer.entry_bytes(path, Op::Quantiles(sketch));
                quantiles.clear();
            }
            Acc::Distinct(distinct) => {
                sketch.clear();
                distinct.encode(sketch);
                writer.entry_bytes(path, Op::Distinct(sketch));
                distinct.clear();
            }
            Acc::Top(top) => {
                sketch.clear();
                top.encode(sketch);
                writer.entry_bytes(path, Op::Top(sketch));
                top.clear();
            }
        });
        self.writer.bytes()
    }

    #[inline]
    fn locate(&mut self, path: &[&str], kind: Kind) -> u32 {
        match self.table.find(path, kind) {
            Some(index) => index,
            None => self.make(path, kind),
        }
    }

    /// As [`Delta::locate`], but only at the path itself: `None` when there is no room for it.
    fn locate_own(&mut self, path: &[&str], kind: Kind) -> Option<u32> {
        let path = &path[..path.len().min(DEPTH_MAX)];
        self.table.find(path, kind).or_else(|| self.table.insert(path, kind))
    }

    #[cold]
    fn make(&mut self, path: &[&str], kind: Kind) -> u32 {
        let path = &path[..path.len().min(DEPTH_MAX)];
        if let Some(index) = self.table.insert(path, kind) {
            return index;
        }
        // No room: at the parent's `(other)`, and when even that is new, at the branch's.
        self.overflowed += 1;
        let mut keys = path.to_vec();
        if let Some(last) = keys.last_mut() {
            *last = OTHER;
        }
        if let Some(index) = self.table.find(&keys, kind) {
            return index;
        }
        if keys.len() > 1 && !self.table.is_overfull() {
            return self.table.insert_beyond(&keys, kind);
        }
        let other: &[&str] = &[OTHER];
        match self.table.find(other, kind) {
            Some(index) => index,
            None => self.table.insert_beyond(other, kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DELTA_KEYS_BYTES_MAX, DELTA_PATHS_MAX, EMPTY, KEY_BYTES_MAX, META_BYTES_MAX};
    use wire::Reader;

    fn entries(delta: &mut Delta) -> Vec<(String, String)> {
        let frame = delta.flush().to_vec();
        let mut found = Vec::new();
        if frame.is_empty() {
            return found;
        }
        let mut reader = Reader::new(&frame).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            found.push((reader.path().join(","), format!("{:?}", entry.op)));
        }
        found
    }

    fn sum(delta: &mut Delta) -> f64 {
        let number = |op: &str| op.strip_prefix("Add(")?.strip_suffix(')')?.parse::<f64>().ok();
        entries(delta).iter().filter_map(|(_, op)| number(op)).sum()
    }

    #[test]
    fn what_is_fed_at_a_path_folds_there_until_the_flush() {
        let mut delta = Delta::new();
        let slot = delta.slot(&["a", "b"]);
        delta.add(&["a", "b"], 1.0);
        delta.add_at(slot, 2.0);
        delta.set(&["a", "b"], 7.0);
        delta.set(&["g"], 1.0);
        delta.set(&["g"], 2.0);
        delta.mark(&["g"], "now");
        assert_eq!(
            entries(&mut delta),
            [("a,b", "Add(3.0)"), ("a,b", "Set(7.0)"), ("g", "Set(2.0)"), ("g,marker", "Text(\"now\")")]
                .map(|(path, op)| (path.to_owned(), op.to_owned()))
        );
        assert!(delta.is_empty() && entries(&mut delta).is_empty());
        delta.add_at(slot, 4.0);
        assert_eq!(entries(&mut delta), [("a,b".to_owned(), "Add(4.0)".to_owned())]);
    }

    #[test]
    fn one_key_and_two_keys_are_told_apart() {
        let mut delta = Delta::new();
        for path in [&["ab"][..], &["a", "b"], &["a"], &[]] {
            delta.add(path, 1.0);
        }
        assert_eq!(entries(&mut delta).len(), 4);
    }

    #[test]
    fn what_a_path_cannot_have_is_mended() {
        let mut delta = Delta::new();
        let long = "é".repeat(KEY_BYTES_MAX);
        delta.add(&["", &long], 1.0);
        delta.add(&["", &long], 1.0);
        delta.add(&vec!["k"; DEPTH_MAX + 9], 1.0);
        let found = entries(&mut delta);
        let keys: Vec<&str> = found[0].0.split(',').collect();
        assert_eq!((keys[0], keys[1].len(), found[0].1.as_str()), (EMPTY, KEY_BYTES_MAX, "Add(2.0)"));
        assert_eq!(found[1].0.split(',').count(), DEPTH_MAX);
    }

    #[test]
    fn numbers_that_are_none_are_ignored() {
        let mut delta = Delta::new();
        delta.set(&["a"], f64::NAN);
        delta.add(&["b"], f64::INFINITY);
        delta.add(&["b"], f64::MAX);
        delta.add(&["b"], f64::MAX);
        delta.observe(&["c"], f64::NAN);
        let found = entries(&mut delta);
        assert_eq!(found[0], ("b".to_owned(), format!("{:?}", Op::Add(f64::MAX))));
    }

    #[test]
    fn a_total_and_what_is_told_of_it_are_the_last_that_were_said() {
        let mut delta = Delta::new();
        delta.total(&["rx"], 5.0);
        delta.total(&["rx"], f64::NAN);
        delta.total(&["rx"], 7.0);
        delta.meta(&["rx"], &[("units", "bytes")]);
        delta.meta(&["rx"], &[("units", "B"), ("group", "net"), ("group", "eth0")]);
        let mut bytes = Vec::new();
        let pairs = Pairs::write(&mut bytes, &[("units", "B"), ("group", "net"), ("group", "eth0")]);
        let said = [("rx".to_owned(), "Total(7.0)".to_owned()), ("rx".to_owned(), format!("{:?}", Op::Meta(pairs)))];
        assert_eq!(entries(&mut delta), said);
        assert!(delta.is_empty() && delta.table.memory_bytes() < 10_000);
        delta.meta(&["rx"], &[]);
        assert_eq!(entries(&mut delta), [("rx".to_owned(), format!("{:?}", Op::Meta(Pairs::reread(&[]))))]);
    }

    #[test]
    fn what_has_no_room_of_its_own_is_no_total_and_has_no_metadata() {
        let mut delta = Delta::new();
        (0..DELTA_PATHS_MAX).for_each(|i| delta.add(&[&i.to_string()], 1.0));
        delta.total(&["new"], 5.0);
        assert!(!delta.meta(&["new"], &[("units", "s")]));
        assert_eq!((delta.overflowed(), entries(&mut delta).len()), (1, DELTA_PATHS_MAX));
    }

    #[test]
    fn metadata_is_bounded_by_its_bytes() {
        let mut delta = Delta::new();
        let long = "x".repeat(2 * META_BYTES_MAX);
        let mut kept = 0;
        for i in 0..10_000 {
            let said = [(); 2].map(|()| delta.meta(&[&i.to_string()], &[("description", &long)]));
            assert_eq!(said[0], said[1]);
            kept += usize::from(said[0]);
        }
        assert_eq!(kept, DELTA_META_BYTES_MAX / META_BYTES_MAX);
        assert!(delta.memory_bytes() < DELTA_META_BYTES_MAX + (4 << 20), "{}", delta.memory_bytes());
        assert_eq!(entries(&mut delta).len(), DELTA_META_BYTES_MAX / META_BYTES_MAX);
        assert!(delta.meta(&["9999"], &[("units", "s")]));
        assert_eq!(entries(&mut delta).len(), 1);
    }

    #[test]
    fn too_many_paths_are_counted_at_other_and_the_sum_stays_exact() {
        let mut delta = Delta::new();
        let n = 3 * DELTA_PATHS_MAX;
        for i in 0..n {
            delta.add(&["u", &i.to_string()], 1.0);
        }
        assert_eq!(delta.overflowed() as usize, n - DELTA_PATHS_MAX);
        assert!(delta.memory_bytes() < 64 << 20, "{}", delta.memory_bytes());
        assert_eq!(sum(&mut delta), n as f64);
        // Room is made by forgetting: new paths have places again.
        delta.add(&["u", "new"], 1.0);
        assert_eq!((delta.overflowed(), entries(&mut delta).len()), (0, 1));
    }

    #[test]
    fn long_keys_are_bounded_by_their_bytes() {
        let mut delta = Delta::new();
        let long = "k".repeat(KEY_BYTES_MAX - 10);
        for i in 0..10_000 {
            delta.add(&[&format!("{long}{i}"), "x"], 1.0);
        }
        assert!(delta.memory_bytes() < 4 * DELTA_KEYS_BYTES_MAX, "{}", delta.memory_bytes());
        assert_eq!(sum(&mut delta), 10_000.0);
    }

    #[test]
    fn what_is_fed_by_slots_is_what_is_fed_by_paths() {
        let (mut by_slot, mut by_path) = (Delta::new(), Delta::new());
        for round in 0..3 {
            let unused = (by_slot.slot_of_top(&["none"], 5), by_slot.slot_of_distinct(&[]));
            let times = by_slot.slot_of_quantiles(&["t"]);
            let who = by_slot.slot_of_distinct(&["t"]);
            let urls = by_slot.slot_of_top(&["t"], 5);
            assert!(unused.0 != urls && unused.1 != who && by_slot.is_empty());
            for i in 0..20 {
                let key = (i % (3 + round)).to_string();
                by_slot.observe_at(times, f64::from(i));
                by_path.observe(&["t"], f64::from(i));
                by_slot.distinct_at(who, &key);
                by_path.distinct(&["t"], &key);
                by_slot.top_at(urls, &key, 2.0);
                by_path.top(&["t"], &key, 2.0, 5);
            }
            assert_eq!(entries(&mut by_slot), entries(&mut by_path));
        }
    }

    #[test]
    fn sketch_slots_of_an_earlier_epoch_count_at_other() {
        let mut delta = Delta::new();
        let slots = (delta.slot_of_quantiles(&["a"]), delta.slot_of_distinct(&["a"]), delta.slot_of_top(&["a"], 5));
        (0..DELTA_PATHS_MAX).for_each(|i| delta.add(&[&i.to_string()], 1.0));
        delta.flush();
        delta.observe_at(slots.0, 1.0);
        delta.distinct_at(slots.1, "x");
        delta.top_at(slots.2, "x", 1.0);
        assert_eq!(delta.overflowed(), 3);
        let found = entries(&mut delta);
        assert!(found.len() == 3 && found.iter().all(|(path, _)| path == OTHER), "{found:?}");
    }

    #[test]
    fn a_slot_of_an_earlier_epoch_counts_at_other() {
        let mut delta = Delta::new();
        let slot = delta.slot(&["a"]);
        for i in 0..DELTA_PATHS_MAX {
            delta.add(&[&i.to_string()], 1.0);
        }
        let epoch = delta.epoch();
        delta.flush();
        assert_ne!(delta.epoch(), epoch);
        delta.add_at(slot, 5.0);
        assert_eq!(entries(&mut delta), [(OTHER.to_owned(), "Add(5.0)".to_owned())]);
    }
}
