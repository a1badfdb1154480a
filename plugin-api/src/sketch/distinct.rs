//! How many different items there are.

use super::DecodeError;
use super::coding::{Reader, VERSION, put};
use super::hash::xxh3;
use core::hash::BuildHasher;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Bits of a hash that choose a register.
const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// The greatest rank that a register may hold: one more than the bits left.
const RANK_MAX: u8 = (64 - PRECISION + 1) as u8;

/// Bits of a hash that tell items apart while the sketch is sparse.
const SPARSE_PRECISION: u32 = 26;
/// Bits of a sparse entry that hold the rank.
const RANK_BITS: u32 = 6;
const SPARSE_RANK_MAX: u32 = 64 - SPARSE_PRECISION + 1;

/// Items up to which the sketch is sparse: a hash table of 10 KiB, smaller than the registers.
pub const SPARSE_MAX: usize = 1_792;

/// Registers as bytes: four of six bits in three.
const DENSE_BYTES: usize = REGISTERS / 4 * 3;

const SPARSE: u8 = 0;
const DENSE: u8 = 1;

/// A sketch of a set: how many different items it has.
///
/// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) with 2^14 registers and 64-bit hashes, read with the
/// improved estimator of Ertl (*New cardinality estimation algorithms for HyperLogLog sketches*, 2017, algorithm 6),
/// which needs no tables and has no bias at any size. Up to [`SPARSE_MAX`] items it is sparse (as in
/// HyperLogLog++, Heule, Nunkesser, Hall 2013): a set of hashes cut to 26 bits.
///
/// * The standard error is 1.04 / √2^14 = 0.81 %; while sparse, the estimate rounds to the exact number for some
///   hundreds of items and is within a few per mille up to the end.
/// * Merging is associative, commutative and idempotent, to the byte.
/// * An insertion and a look at whether it is new take constant time; a merge and an estimate time by the registers.
/// * Memory: 120 bytes empty, 10 KiB sparse, 16 KiB dense; after a [`clear`](Distinct::clear) 27 KiB at most.
///
/// Items are hashed with XXH3-64, unseeded (the specification is at <https://github.com/Cyan4973/xxHash>): every
/// plugin and every machine must hash alike, or merged sets would not be unions. So whoever chooses the items
/// freely can make up a set that is estimated too high or too low.
///
/// ```
/// # use plugin_api::sketch::Distinct;
/// let mut visitors = Distinct::default();
/// ["10.0.0.1", "10.0.0.2", "10.0.0.1"].iter().for_each(|addr| visitors.insert(addr.as_bytes()));
/// assert_eq!(visitors.estimate().round(), 2.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    /// While sparse: each the leading 26 bits of a hash, then the rank of the rest. No two have the same bits.
    sparse: HashTable<u32>,
    /// Empty while sparse, else the ranks.
    dense: Vec<u8>,
    /// Places the sparse entries: hashes that nobody can prepare to collide.
    places: RandomState,
}

/// The place of the first one in what is left of a hash after its leading bits, counted from one.
#[inline]
fn rank(hash: u64, leading: u32) -> u32 {
    // The one that is put at the end is found when there is no other.
    (hash << leading | 1 << (leading - 1)).leading_zeros() + 1
}

fn sparse_entry(hash: u64) -> u32 {
    ((hash >> (64 - SPARSE_PRECISION)) as u32) << RANK_BITS | rank(hash, SPARSE_PRECISION)
}

/// The register of a sparse entry and the rank there.
fn register_of(entry: u32) -> (usize, u8) {
    const BETWEEN: u32 = SPARSE_PRECISION - PRECISION;
    let bits = entry >> RANK_BITS;
    let between = bits & ((1 << BETWEEN) - 1);
    let rank = match between {
        0 => BETWEEN + (entry & ((1 << RANK_BITS) - 1)),
        _ => between.leading_zeros() - (32 - BETWEEN) + 1,
    };
    ((bits >> BETWEEN) as usize, rank as u8)
}

impl Distinct {
    /// An empty sketch; it holds no memory yet.
    #[must_use]
    pub fn new() -> Distinct {
        Distinct::default()
    }

    /// Counts an item, unless it was counted before.
    #[inline]
    pub fn insert(&mut self, item: &[u8]) {
        self.insert_hash(xxh3(item));
    }

    /// Counts an item by its hash, which must be one of 64 good bits and the same wherever sketches are merged.
    #[inline]
    pub fn insert_hash(&mut self, hash: u64) {
        match self.dense.get_mut((hash >> (64 - PRECISION)) as usize) {
            Some(register) => {
                let rank = rank(hash, PRECISION) as u8;
                if rank > *register {
                    *register = rank;
                }
            }
            None => self.insert_entry(sparse_entry(hash)),
        }
    }

    fn insert_entry(&mut self, entry: u32) {
        if !self.dense.is_empty() {
            self.raise(entry);
            return;
        }
        let Distinct { sparse, places, .. } = self;
        let bits = entry >> RANK_BITS;
        let place = |entry: &u32| places.hash_one(entry >> RANK_BITS);
        match sparse.entry(place(&entry), |other| other >> RANK_BITS == bits, place) {
            // Of the same bits, the higher rank is the greater number.
            Entry::Occupied(mut held) => *held.get_mut() = entry.max(*held.get()),
            Entry::Vacant(free) => {
                free.insert(entry);
                if sparse.len() > SPARSE_MAX {
                    self.make_dense();
                }
            }
        }
    }

    fn raise(&mut self, entry: u32) {
        let (register, rank) = register_of(entry);
        if let Some(held) = self.dense.get_mut(register) {
            *held = rank.max(*held);
        }
    }

    fn make_dense(&mut self) {
        if self.dense.is_empty() {
            self.dense.reserve_exact(REGISTERS);
            self.dense.resize(REGISTERS, 0);
            for entry in core::mem::take(&mut self.sparse) {
                self.raise(entry);
            }
        }
    }

    /// Takes in another's items: the union of both sets.
    pub fn merge(&mut self, other: &Distinct) {
        if other.dense.is_empty() {
            other.sparse.iter().for_each(|entry| self.insert_entry(*entry));
            return;
        }
        self.make_dense();
        for (mine, other) in self.dense.iter_mut().zip(&other.dense) {
            *mine = (*mine).max(*other);
        }
    }

    /// How many different items there are, about.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        if self.dense.is_empty() {
            // Linear counting: by how many of 2^26 places are taken.
            let places = f64::from(1u32 << SPARSE_PRECISION);
            return -places * (-(self.sparse.len() as f64) / places).ln_1p();
        }
        let mut of_rank = [0u32; RANK_MAX as usize + 1];
        for rank in &self.dense {
            of_rank[(*rank).min(RANK_MAX) as usize] += 1;
        }
        let registers = REGISTERS as f64;
        let share = |rank: u8| f64::from(of_rank[rank as usize]) / registers;
        let mut sum = tau(1.0 - share(RANK_MAX));
        for rank in (1..RANK_MAX).rev() {
            sum = 0.5 * (sum + share(rank));
        }
        sum += sigma(share(0));
        registers / (2.0 * core::f64::consts::LN_2 * sum)
    }

    /// Whether nothing was inserted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dense.is_empty() && self.sparse.is_empty()
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.sparse.clear();
        self.dense.clear();
    }

    /// Memory held, itself included, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Distinct>() + self.sparse.allocation_size() + self.dense.capacity()
    }

    /// Appends it as bytes: four or five for each item while sparse, then 12 KiB.
    ///
    /// ```text
    /// distinct = 0x01 0x00 length:varint (entry or difference to the one before:varint){length}    entries ascending
    ///          | 0x01 0x01 registers:12288 bytes         four registers of six bits, the first lowest, in three bytes
    /// entry    = leading 26 bits of the hash, then 6 bits of rank of the rest
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        if self.dense.is_empty() {
            out.push(SPARSE);
            let mut entries: Vec<u32> = self.sparse.iter().copied().collect();
            entries.sort_unstable();
            put(out, entries.len() as u64);
            let mut before = 0;
            for entry in entries {
                put(out, u64::from(entry - before));
                before = entry;
            }
        } else {
            out.push(DENSE);
            out.reserve(DENSE_BYTES);
            for four in self.dense.chunks_exact(4) {
                let bits = four.iter().rev().fold(0u32, |bits, rank| bits << 6 | u32::from(*rank));
                out.extend_from_slice(&bits.to_le_bytes()[..3]);
            }
        }
    }

    /// Reads what [`Distinct::encode`] wrote. Allocates no more than 16 KiB.
    ///
    /// # Errors
    /// The bytes are no such sketch.
    pub fn decode(bytes: &[u8]) -> Result<Distinct, DecodeError> {
        let mut read = Reader::new(bytes)?;
        let mut found = Distinct::new();
        match read.byte()? {
            SPARSE => found.decode_sparse(&mut read)?,
            DENSE => found.decode_dense(&mut read)?,
            _ => return Err(read.error("neither sparse nor dense")),
        }
        read.end()?;
        Ok(found)
    }

    fn decode_sparse(&mut self, read: &mut Reader<'_>) -> Result<(), DecodeError> {
        let length = read.size(SPARSE_MAX, "more entries than a sparse sketch has")?;
        if length > read.left() {
            return Err(read.error("cut off"));
        }
        let Distinct { sparse, places, .. } = self;
        let place = |entry: &u32| places.hash_one(entry >> RANK_BITS);
        sparse.reserve(length, place);
        let mut before = 0u32;
        for i in 0..length {
            let ahead = u32::try_from(read.varint()?).ok().and_then(|ahead| before.checked_add(ahead));
            let entry = ahead.ok_or(read.error("no such entry"))?;
            if !(1..=SPARSE_RANK_MAX).contains(&(entry & ((1 << RANK_BITS) - 1))) {
                return Err(read.error("no such rank"));
            }
            if i > 0 && entry >> RANK_BITS == before >> RANK_BITS {
                return Err(read.error("the same entry twice"));
            }
            sparse.insert_unique(place(&entry), entry, place);
            before = entry;
        }
        Ok(())
    }

    fn decode_dense(&mut self, read: &mut Reader<'_>) -> Result<(), DecodeError> {
        let packed = read.take(DENSE_BYTES)?;
        self.dense.reserve_exact(REGISTERS);
        for three in packed.chunks_exact(3) {
            let bits = three.iter().rev().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            self.dense.extend([0, 6, 12, 18].map(|shift| (bits >> shift & 0x3f) as u8));
        }
        if self.dense.iter().any(|rank| *rank > RANK_MAX) {
            return Err(read.error("no such rank"));
        }
        Ok(())
    }
}

/// Ertl's σ: x + Σ x^(2^k) 2^(k-1), for the registers that are still zero.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut weight) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// Ertl's τ: (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3, for the registers that can rise no more.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The n-th of a sequence of hashes (SplitMix64, Steele, Lea, Flood 2014).
    fn hash(n: u64) -> u64 {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of(numbers: impl IntoIterator<Item = u64>) -> Distinct {
        let mut sketch = Distinct::new();
        numbers.into_iter().for_each(|n| sketch.insert_hash(hash(n)));
        sketch
    }

    fn bytes(sketch: &Distinct) -> Vec<u8> {
        let mut out = Vec::new();
        sketch.encode(&mut out);
        out
    }

    #[test]
    fn the_hash_is_the_specified_one() {
        // The test vectors of xxHash 0.8: every plugin ever built must agree with them.
        assert_eq!(xxh3(b""), 0x2d06_8005_38d3_94c2);
        let mut sketch = Distinct::new();
        sketch.insert(b"");
        assert_eq!(bytes(&sketch), [VERSION, SPARSE, 1, 0x84, 0x80, 0x9a, 0xe8, 0x02]);
    }

    #[test]
    fn the_error_is_as_stated_at_every_size() {
        const RUNS: u64 = 24;
        for n in [1, 10, 500, 1_700, 2_000, 4_000, 10_000, 30_000, 60_000, 100_000, 300_000] {
            let errors = (1..=RUNS).map(|run| of(run << 32..(run << 32) + n).estimate() / n as f64 - 1.0);
            let (sum, squares) = errors.fold((0.0, 0.0), |(sum, squares), e| (sum + e, squares + e * e));
            let (bias, deviation) = (sum / RUNS as f64, (squares / RUNS as f64).sqrt());
            // Of 24 runs, the deviation is itself known to 15 %: three times that, and the bias to 0.0081 / √24.
            let most = if n as usize <= SPARSE_MAX { 0.001 } else { 0.0081 };
            assert!(deviation < most * 1.45, "{n}: deviation {deviation}");
            assert!(bias.abs() < most * 0.62, "{n}: bias {bias}");
        }
    }

    #[test]
    fn small_sets_are_exact() {
        let mut sketch = Distinct::new();
        for n in 0..500u64 {
            assert_eq!(sketch.estimate().round(), n as f64);
            for _ in 0..3 {
                sketch.insert(format!("10.1.{}.{}", n / 250, n % 250).as_bytes());
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut sketch = of(0..SPARSE_MAX as u64);
        assert!(sketch.dense.is_empty() && sketch.memory_bytes() < 11 << 10, "{}", sketch.memory_bytes());
        (0..1 << 20).for_each(|n| sketch.insert_hash(hash(n)));
        assert!(sketch.memory_bytes() <= (16 << 10) + size_of::<Distinct>());
        sketch.clear();
        assert!(sketch.is_empty() && sketch.estimate() == 0.0);
        (0..1_000).for_each(|n| sketch.insert_hash(hash(n)));
        assert!(sketch.memory_bytes() < 27 << 10);
        assert_eq!(bytes(&sketch), bytes(&of(0..1_000)));
    }

    #[test]
    fn extreme_hashes_are_held() {
        for (hash, register, wanted) in [(0, 0, RANK_MAX), (1, 0, 50), (u64::MAX, REGISTERS - 1, 1), (1 << 37, 0, 13)] {
            assert_eq!(register_of(sparse_entry(hash)), (register, wanted));
            assert_eq!(rank(hash, PRECISION), u32::from(wanted));
        }
        let mut full = of(0..10_000);
        full.dense.fill(RANK_MAX);
        assert_eq!(bytes(&Distinct::decode(&bytes(&full)).unwrap()), bytes(&full));
        // Every register at its end: more than can be told.
        assert_eq!(full.estimate(), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn sparse_entries_lose_nothing(hash: u64, low in 0u32..64) {
            let hash = hash >> low;
            let (register, held) = register_of(sparse_entry(hash));
            prop_assert_eq!((register as u64, u32::from(held)), (hash >> 50, rank(hash, PRECISION)));
        }

        #[test]
        fn a_merge_is_a_union(a in 0u64..4_000, b in 0u64..4_000, c in 0u64..4_000, from in 0u64..6_000) {
            let (x, y, z) = (of(0..a), of(from..from + b), of(3_000..3_000 + c));
            let wanted = bytes(&of((0..a).chain(from..from + b).chain(3_000..3_000 + c)));
            let merged = |parts: &[&Distinct]| {
                let mut all = Distinct::new();
                parts.iter().for_each(|part| all.merge(part));
                all
            };
            prop_assert_eq!(&bytes(&merged(&[&x, &y, &z])), &wanted);
            prop_assert_eq!(&bytes(&merged(&[&z, &x, &y, &y])), &wanted);
            prop_assert_eq!(&bytes(&merged(&[&x, &merged(&[&y, &z])])), &wanted);
        }

        #[test]
        fn what_is_encoded_is_decoded(n in 0u64..4_000) {
            let sketch = of(0..n);
            let found = Distinct::decode(&bytes(&sketch)).unwrap();
            prop_assert_eq!(bytes(&found), bytes(&sketch));
            prop_assert_eq!(found.estimate(), sketch.estimate());
        }

        #[test]
        fn any_bytes_are_a_sketch_or_refused(
            noise in prop::collection::vec(any::<u8>(), 0..80), n in 0u64..3_000, at: prop::sample::Index, flip: u8,
        ) {
            let mut nearly = bytes(&of(0..n));
            let at = at.index(nearly.len());
            nearly[at] ^= flip;
            let headed = [&[VERSION, noise.len() as u8 & 1], &noise[..]].concat();
            for bytes_in in [&noise, &headed, &nearly, &nearly[..at]] {
                if let Ok(mut found) = Distinct::decode(bytes_in) {
                    prop_assert!(found.memory_bytes() <= (16 << 10) + size_of::<Distinct>());
                    prop_assert_eq!(&Distinct::decode(&bytes(&found)).map(|again| bytes(&again)), &Ok(bytes(&found)));
                    prop_assert!(!found.estimate().is_nan());
                    found.merge(&of(0..n));
                }
            }
        }
    }

    #[test]
    fn what_no_sketch_has_is_refused() {
        let why = |bytes: &[u8]| Distinct::decode(bytes).map(|_| ()).map_err(|error| error.why);
        assert_eq!(why(&[VERSION, SPARSE, 0]), Ok(()));
        assert_eq!(why(&[VERSION, SPARSE, 0, 0]), Err("more bytes than a sketch has"));
        assert_eq!(why(&[VERSION, SPARSE, 1, 0]), Err("no such rank"));
        assert_eq!(why(&[VERSION, SPARSE, 2, 1, 1]), Err("the same entry twice"));
        assert_eq!(why(&[VERSION, SPARSE, 0x80, 0x40]), Err("more entries than a sparse sketch has"));
        assert_eq!(why(&[VERSION, SPARSE, 0x80, 0x0e]), Err("cut off"));
        assert_eq!(why(&[VERSION, 2]), Err("neither sparse nor dense"));
        let mut dense = vec![0xff; DENSE_BYTES + 2];
        dense[..2].copy_from_slice(&[VERSION, DENSE]);
        assert_eq!(why(&dense), Err("no such rank"));
    }
}
