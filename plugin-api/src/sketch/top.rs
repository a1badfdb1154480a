//! The heaviest keys of more than could be held.

use super::DecodeError;
use super::coding::{Reader, VERSION, put, put_weight};
use crate::action::Action;
use crate::limits::{KEY_BYTES_MAX, cut};
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Keys past k up to which a sketch of a small k goes without pruning.
const SLACK: usize = 64;

/// Bytes that the keys kept may have on the mean, for each of the k: URLs have 60. Longer ones leave room
/// for fewer, so that hostile keys do not make a sketch larger than its k says.
pub const KEY_BYTES_MEAN_MAX: usize = 512;

/// Bytes of keys that even the smallest sketch keeps: some of the longest.
const KEYS_BYTES_MIN: usize = 4 * KEY_BYTES_MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    /// Counted for certain.
    count: f64,
    /// What may have been counted elsewhere before the key came in.
    error: f64,
    /// Where the key stands in `Top::keys`: in the order of the entries, without gaps.
    start: u32,
    length: u32,
}

impl Entry {
    /// The greatest weight that the key can have.
    fn most(&self) -> f64 {
        plus(self.count, self.error)
    }
}

/// Whether two keys are the same. Most are shorter than what a call of `memcmp` is worth.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() > 64 {
        return a == b;
    }
    let (Some(last_of_a), Some(last_of_b)) = (a.last_chunk::<16>(), b.last_chunk::<16>()) else {
        return same_short(a, b);
    };
    let ((a, _), (b, _)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let differs = |a: &[u8; 16], b: &[u8; 16]| u128::from_ne_bytes(*a) != u128::from_ne_bytes(*b);
    !differs(last_of_a, last_of_b) && !a.iter().zip(b).any(|(a, b)| differs(a, b))
}

/// The same for keys of one length, fewer than 16 bytes.
#[inline]
fn same_short(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<8>(), a.last_chunk::<8>(), b.first_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(first_a), Some(last_a), Some(first_b), Some(last_b)) => first_a == first_b && last_a == last_b,
        _ => a.iter().zip(b).all(|(a, b)| a == b),
    }
}

/// Adds weights, none negative; the sum stays finite.
#[inline]
fn plus(a: f64, b: f64) -> f64 {
    (a + b).min(f64::MAX)
}

/// A sketch of weighed keys: the heaviest, each with a stated error, and the total of all.
///
/// Space-Saving (Metwally, Agrawal, El Abbadi: *Efficient computation of frequent and top-k elements in data
/// streams*, 2005) with eviction in batches: keys may grow to twice `k`, then all but the `k` heaviest go together.
/// The greatest weight that went is the [`floor`](Top::floor); a key that comes in later may have weighed so much
/// before, and that is its error. Merging adds floors (Agarwal, Cormode, Huang, Phillips, Wei, Yi: *Mergeable
/// summaries*, 2013). What holds, after any additions and merges of sketches with this `k`:
///
/// * a key's weight is at least its count, and at most its count and error together;
/// * a key that weighs more than the floor is held; one that is not held weighs no more;
/// * the floor is at most total / (k + 1), and zero as long as there are no more than `k` keys: then all is exact
///   (for this, keys have [`KEY_BYTES_MEAN_MAX`] bytes on the mean at most; longer ones leave room for fewer);
/// * the total is that of all additions, and [`other`](Top::other) is what of it the counts of the held keys leave.
///
/// All of it is exact as long as weights are whole numbers up to 2^53, and else to the rounding of an f64. An
/// addition takes constant time (a pruning, linear in `k`, comes after `k` new keys at the earliest), a merge time
/// by the entries. Memory: at most 100 bytes × `k` (and 10 KiB), and the keys: at most 1,024 bytes × `k` + 128 KiB.
///
/// ```
/// # use plugin_api::sketch::Top;
/// let mut urls = Top::new(1_000);
/// ["/", "/cart", "/"].iter().for_each(|url| urls.add(url, 1.0));
/// assert_eq!(urls.heaviest(1), [("/", 2.0, 0.0)]);
/// assert_eq!((urls.total(), urls.other(), urls.floor()), (3.0, 0.0, 0.0));
/// ```
#[derive(Clone, Debug)]
pub struct Top {
    k: u32,
    entries: Vec<Entry>,
    /// From a key's hash to its entry.
    index: HashTable<u32>,
    /// The keys one after another.
    keys: Vec<u8>,
    total: f64,
    /// The counts of the keys that went.
    other: f64,
    floor: f64,
    refused: u64,
    /// Seeded by each process for itself, so that nobody can prepare keys that collide.
    hasher: RandomState,
}

impl Top {
    /// An empty sketch of the `k` heaviest keys, 1 to 1,000,000; it holds no memory yet.
    #[must_use]
    pub fn new(k: u32) -> Top {
        Top {
            k: k.clamp(1, Action::TOP_K_MAX),
            entries: Vec::new(),
            index: HashTable::new(),
            keys: Vec::new(),
            total: 0.0,
            other: 0.0,
            floor: 0.0,
            refused: 0,
            hasher: RandomState::default(),
        }
    }

    /// Entries up to which nothing is pruned.
    fn entries_max(&self) -> usize {
        (2 * self.k as usize).max(self.k as usize + SLACK)
    }

    /// Bytes of keys that a pruning leaves; it takes twice as many to bring one about.
    fn keys_bytes_kept(&self) -> usize {
        self.k as usize * KEY_BYTES_MEAN_MAX + KEYS_BYTES_MIN
    }

    /// Adds to the weight of a key. A key of more than [`KEY_BYTES_MAX`] bytes is cut.
    ///
    /// Weights only grow: one that is negative or not finite is not added but counted as
    /// [`refused`](Top::refused). Zero changes nothing.
    #[inline]
    pub fn add(&mut self, key: &str, n: f64) {
        if !(n > 0.0 && n < f64::INFINITY) {
            self.refused = self.refused.saturating_add(u64::from(n != 0.0));
            return;
        }
        let key = if key.len() > KEY_BYTES_MAX { cut(key, KEY_BYTES_MAX) } else { key };
        let hash = self.hash(key.as_bytes());
        self.total = plus(self.total, n);
        match self.find(key.as_bytes(), hash).and_then(|i| self.entries.get_mut(i)) {
            Some(entry) => entry.count = plus(entry.count, n),
            None => self.enter(key.as_bytes(), hash, n),
        }
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[inline]
    fn find(&self, key: &[u8], hash: u64) -> Option<usize> {
        let same = |i: &u32| {
            let entry = &self.entries[*i as usize];
            entry.hash == hash && same(self.key(entry), key)
        };
        self.index.find(hash, same).map(|i| *i as usize)
    }

    #[inline]
    fn key(&self, entry: &Entry) -> &[u8] {
        &self.keys[entry.start as usize..][..entry.length as usize]
    }

    /// Takes in a key that is not held.
    #[inline(never)]
    fn enter(&mut self, key: &[u8], hash: u64, n: f64) {
        if self.is_full(key.len()) {
            self.prune();
        }
        self.push(key, hash, n, self.floor);
    }

    fn is_full(&self, more: usize) -> bool {
        self.entries.len() >= self.entries_max() || self.keys.len() + more > 2 * self.keys_bytes_kept()
    }

    fn push(&mut self, key: &[u8], hash: u64, count: f64, error: f64) {
        let (entries_max, keys_max) = (self.entries_max(), 2 * self.keys_bytes_kept());
        grow(&mut self.entries, 1, entries_max);
        grow(&mut self.keys, key.len(), keys_max);
        let entry = Entry { hash, count, error, start: self.keys.len() as u32, length: key.len() as u32 };
        self.keys.extend_from_slice(key);
        let Top { entries, index, .. } = self;
        index.insert_unique(hash, entries.len() as u32, |i| entries[*i as usize].hash);
        entries.push(entry);
    }

    /// Lets all but the k heaviest go: by the greatest weight they can have, so that the floor rises least.
    fn prune(&mut self) {
        let mut weights: Vec<(f64, u32)> = self.entries.iter().map(|entry| (entry.most(), entry.length)).collect();
        let by_weight = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0);
        let k = self.k as usize;
        if weights.len() > k {
            weights.select_nth_unstable_by(k, by_weight);
            weights.truncate(k);
        }
        let room = self.keys_bytes_kept();
        if weights.iter().map(|(_, length)| *length as usize).sum::<usize>() > room {
            weights.sort_unstable_by(by_weight);
            let mut taken = 0;
            weights.retain(|(_, length)| {
                taken += *length as usize;
                taken <= room
            });
        }
        // The lightest that stays; of those that weigh as much, the oldest stay.
        let lightest = weights.iter().map(|(weight, _)| *weight).fold(f64::INFINITY, f64::min);
        let mut ties = weights.iter().filter(|(weight, _)| *weight <= lightest).count();
        let mut bytes = 0;
        let Top { entries, keys, floor, other, .. } = self;
        entries.retain_mut(|entry| {
            let (weight, length) = (entry.most(), entry.length as usize);
            let stays = weight > lightest || (weight == lightest && ties > 0 && bytes + length <= room);
            if stays {
                ties -= usize::from(weight == lightest);
                let start = entry.start as usize;
                keys.copy_within(start..start + length, bytes);
                entry.start = bytes as u32;
                bytes += length;
            } else {
                *floor = floor.max(weight);
                *other = plus(*other, entry.count);
            }
            stays
        });
        keys.truncate(bytes);
        self.index.clear();
        let Top { entries, index, .. } = self;
        for (i, entry) in entries.iter().enumerate() {
            index.insert_unique(entry.hash, i as u32, |i| entries[*i as usize].hash);
        }
    }

    /// Takes in what another sketch was fed. Afterwards it holds as many keys as its own `k` allows.
    pub fn merge(&mut self, other: &Top) {
        let mut met = vec![false; self.entries.len()];
        let floor = self.floor;
        for theirs in &other.entries {
            let key = other.key(theirs);
            let hash = self.hash(key);
            match self.find(key, hash) {
                Some(i) => {
                    let mine = &mut self.entries[i];
                    mine.count = plus(mine.count, theirs.count);
                    mine.error = plus(mine.error, theirs.error);
                    met[i] = true;
                }
                // It may have been here before, and gone. (Both sketches' keys together may be too many for a moment.)
                None => self.push(key, hash, theirs.count, plus(theirs.error, floor)),
            }
        }
        if other.floor > 0.0 {
            // The others may have been there before, and gone.
            let missed = self.entries.iter_mut().zip(met).filter(|(_, met)| !met);
            missed.for_each(|(entry, _)| entry.error = plus(entry.error, other.floor));
        }
        self.floor = plus(self.floor, other.floor);
        self.other = plus(self.other, other.other);
        self.total = plus(self.total, other.total);
        self.refused = self.refused.saturating_add(other.refused);
        if self.entries.len() > self.entries_max() || self.keys.len() > 2 * self.keys_bytes_kept() {
            self.prune();
            self.entries.shrink_to(self.entries_max());
            self.keys.shrink_to(2 * self.keys_bytes_kept());
            let Top { entries, index, .. } = self;
            index.shrink_to(entries.capacity(), |i| entries[*i as usize].hash);
        }
    }

    /// How many of the heaviest keys it is to keep.
    #[must_use]
    pub fn k(&self) -> u32 {
        self.k
    }

    /// The keys held, up to twice `k`, in no order: each with its count and by how much that may be too low.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.entries.iter().map(|entry| {
            let key = core::str::from_utf8(self.key(entry)).unwrap_or_default();
            (key, entry.count, entry.error)
        })
    }

    /// The `n` keys of the greatest counts, the greatest first: each with its count and by how much that may be too
    /// low.
    #[must_use]
    pub fn heaviest(&self, n: usize) -> Vec<(&str, f64, f64)> {
        let order = |a: &(&str, f64, f64), b: &(&str, f64, f64)| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0));
        let mut all: Vec<_> = self.iter().collect();
        if n < all.len() {
            all.select_nth_unstable_by(n, order);
            all.truncate(n);
        }
        all.sort_unstable_by(order);
        all
    }

    /// The count of a key, if it is held.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<f64> {
        self.get_with_error(key).map(|(count, _)| count)
    }

    /// The count of a key and by how much that may be too low, if it is held.
    #[must_use]
    pub fn get_with_error(&self, key: &str) -> Option<(f64, f64)> {
        let key = cut(key, KEY_BYTES_MAX).as_bytes();
        self.find(key, self.hash(key)).map(|i| (self.entries[i].count, self.entries[i].error))
    }

    /// How many keys are held, up to twice `k`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All that was added.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// What of the total is not in the counts of the keys held; zero as long as no key went.
    #[must_use]
    pub fn other(&self) -> f64 {
        self.other
    }

    /// The most that a key which is not held can weigh, and that any count may be too low.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Additions that were refused: negative or not finite.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
        self.keys.clear();
        (self.total, self.other, self.floor, self.refused) = (0.0, 0.0, 0.0, 0);
    }

    /// Memory held, itself included, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Top>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.index.allocation_size()
            + self.keys.capacity()
    }

    /// Appends it as bytes: the keys, and three or so for each.
    ///
    /// ```text
    /// top    = 0x01 k:varint floor:weight other:weight refused:varint length:varint entry{length}
    /// entry  = length:varint key:bytes count:weight error:weight
    /// weight = twice the number:varint, or 0x01 number:f64 if it is not whole or past 2^53
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put(out, u64::from(self.k));
        put_weight(out, self.floor);
        put_weight(out, self.other);
        put(out, self.refused);
        put(out, self.entries.len() as u64);
        for entry in &self.entries {
            put(out, u64::from(entry.length));
            out.extend_from_slice(self.key(entry));
            put_weight(out, entry.count);
            put_weight(out, entry.error);
        }
    }

    /// Reads what [`Top::encode`] wrote. Allocates no more than 25 bytes for each that it is given: a frame
    /// cannot claim more keys than it has.
    ///
    /// # Errors
    /// The bytes are no such sketch.
    pub fn decode(bytes: &[u8]) -> Result<Top, DecodeError> {
        /// Bytes of the shortest entry.
        const ENTRY_BYTES_MIN: usize = 3;
        let mut read = Reader::new(bytes)?;
        let k = read.size(Action::TOP_K_MAX as usize, "top keeps 1 to 1,000,000 keys")?;
        if k == 0 {
            return Err(read.error("top keeps 1 to 1,000,000 keys"));
        }
        let mut found = Top::new(k as u32);
        found.floor = read.weight()?;
        found.other = read.weight()?;
        found.total = found.other;
        found.refused = read.varint()?;
        let length = read.size(found.entries_max(), "more keys than allowed")?;
        if length > read.left() / ENTRY_BYTES_MIN {
            return Err(read.error("cut off"));
        }
        found.entries.reserve_exact(length);
        found.index.reserve(length, |_| 0);
        for _ in 0..length {
            found.decode_entry(&mut read)?;
        }
        read.end()?;
        // A floor rises when keys go, and the heaviest never do.
        let pruned = found.floor > 0.0;
        if pruned != (found.other > 0.0) || pruned && found.entries.is_empty() {
            return Err(read.error("a floor and no keys, or nothing below it"));
        }
        Ok(found)
    }

    fn decode_entry(&mut self, read: &mut Reader<'_>) -> Result<(), DecodeError> {
        let length = read.size(KEY_BYTES_MAX, "key longer than allowed")?;
        let key = read.take(length)?;
        if core::str::from_utf8(key).is_err() {
            return Err(read.error("key not UTF-8"));
        }
        if self.keys.len() + length > 2 * self.keys_bytes_kept() {
            return Err(read.error("more bytes of keys than allowed"));
        }
        let (count, error) = (read.weight()?, read.weight()?);
        if count == 0.0 || error > self.floor {
            return Err(read.error("no such count or error"));
        }
        let hash = self.hash(key);
        if self.find(key, hash).is_some() {
            return Err(read.error("the same key twice"));
        }
        self.total = plus(self.total, count);
        self.push(key, hash, count, error);
        Ok(())
    }
}

/// Makes room for `more`, doubling but not past `most` as a `Vec` by itself would.
#[inline]
fn grow<T>(vec: &mut Vec<T>, more: usize, most: usize) {
    /// Elements to begin with.
    const LEAST: usize = 16;
    let needed = vec.len() + more;
    if needed > vec.capacity() {
        let room = (2 * vec.capacity()).max(LEAST).min(most).max(needed);
        vec.reserve_exact(room - vec.len());
    }
}

#[cfg(test)]
mod tests;
