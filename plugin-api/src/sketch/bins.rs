//! The bins of [`Quantiles`](super::Quantiles): which one a number belongs to, and how many are in each.
//!
//! Every octave (from a power of two to the next) has 35 bins, each wider than the one before by the 35th root of
//! two. A bin's middle is therefore within tanh(ln 2 / 70) = 0.9902 % of all that is in it, which leaves what an f64
//! rounds far behind the promised 1 %. As bins begin anew at each power of two, a number's bin is its exponent, its
//! mantissa's leading seven bits looked up in a table, and one comparison: integers only, exact and the same on
//! every machine, and faster than a logarithm or a polynomial in its place. (With γ = (1 + α) / (1 − α), 34.7 bins
//! an octave would do for 1 %: whole octaves cost 1 % more bins.)

use super::DecodeError;
use super::coding::{Reader, put, zigzag};

/// Bins kept for each sign, at most 16 KiB. They span 58 octaves, from a nanosecond to nine years; what is smaller
/// than that by comparison with the greatest is counted in the lowest bin.
pub const BINS_MAX: usize = 2_048;

const SPAN: i32 = BINS_MAX as i32;

/// Bins from a power of two to the next.
const OCTAVE: i32 = 35;

/// Bins are made room for in blocks, so that a neighbour does not move them again.
const BLOCK: i32 = 32;

/// Bits of an f64 below its exponent.
const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

/// The exponent of the least normal number; below it numbers have no leading one.
const EXPONENT_MIN: i32 = f64::MIN_EXP - 1;

/// The indices that numbers have: of the least subnormal, and one past that of the greatest.
const INDEX_MIN: i32 = (EXPONENT_MIN - MANTISSA_BITS as i32) * OCTAVE;
const INDEX_END: i32 = f64::MAX_EXP * OCTAVE;

/// Where each bin of an octave begins: the mantissa of 2^(i/35), rounded up.
const BOUNDS: [u64; OCTAVE as usize + 1] = [
    0x0_0000_0000_0000,
    0x0_51ed_3525_4d7b,
    0x0_a57d_e9c1_6bc8,
    0x0_faba_81d4_e5e0,
    0x1_51ab_8c56_eea3,
    0x1_aa59_c411_5e7e,
    0x2_04ce_1081_1782,
    0x2_6111_86ba_e675,
    0x2_bf2d_6a54_f7db,
    0x3_1f2b_2e54_f85d,
    0x3_8114_7622_f887,
    0x3_e4f3_1681_2c30,
    0x4_4ad1_1688_9e7c,
    0x4_b2b8_b0aa_f3c8,
    0x5_1cb4_53b9_536d,
    0x5_88ce_a3f0_93be,
    0x5_f712_7c0a_c32a,
    0x6_678a_ee56_29f8,
    0x6_da43_45d1_e0ae,
    0x7_4f47_0750_17a0,
    0x7_c6a1_f29e_2ce7,
    0x8_4060_03b2_ae5d,
    0x8_bc8d_73e1_6610,
    0x9_3b36_bb15_8fff,
    0x9_bc68_9112_58c0,
    0xa_402f_eeb9_c533,
    0xa_c69a_0f5a_241d,
    0xb_4fb4_7202_2b1b,
    0xb_db8c_dadb_e121,
    0xc_6a31_548e_794e,
    0xc_fbb0_31a7_41a5,
    0xd_9018_0e09_c9e4,
    0xe_2777_d067_6771,
    0xe_c1de_abbe_3c15,
    0xf_5f5c_20df_e5f3,
    0x10_0000_0000_0000,
];

const CELL_BITS: u32 = 7;

/// An octave cut into 128 equal cells: the bin in which a cell begins, and where in it the next bin begins. The
/// narrowest bin is 2.6 cells wide, so there is one such place at most.
const CELLS: [(u64, i32); 1 << CELL_BITS] = {
    let mut cells = [(0, 0); 1 << CELL_BITS];
    let mut bin = 0;
    let mut cell = 0;
    while cell < cells.len() {
        let start = (cell as u64) << (MANTISSA_BITS - CELL_BITS);
        while BOUNDS[bin + 1] <= start {
            bin += 1;
        }
        cells[cell] = (BOUNDS[bin + 1], bin as i32);
        cell += 1;
    }
    cells
};

/// The bin of a positive, finite number.
#[inline]
pub(super) fn index(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32;
    if exponent == 0 {
        return index_of_subnormal(bits);
    }
    (exponent - 1 + EXPONENT_MIN) * OCTAVE + place(bits & MANTISSA)
}

#[cold]
fn index_of_subnormal(bits: u64) -> i32 {
    // Shifted until its highest one is where a normal number has its implied one.
    let shift = bits.leading_zeros() as i32 - (u64::BITS - f64::MANTISSA_DIGITS) as i32;
    (EXPONENT_MIN - shift) * OCTAVE + place((bits << shift) & MANTISSA)
}

/// The bin within its octave.
#[inline]
fn place(mantissa: u64) -> i32 {
    let (next, bin) = CELLS[(mantissa >> (MANTISSA_BITS - CELL_BITS)) as usize & (CELLS.len() - 1)];
    bin + i32::from(mantissa >= next)
}

/// The middle of a bin: what differs least, by the ratio, from both its ends.
pub(super) fn middle(index: i32) -> f64 {
    /// Far enough down that a subnormal is rounded once, at the last step.
    const LOW: i32 = 200;
    let bound = |i: i32| 1.0 + BOUNDS[i as usize] as f64 / (1u64 << MANTISSA_BITS) as f64;
    let power = |exponent: i32| f64::from_bits(((exponent + 1 - EXPONENT_MIN) as u64) << MANTISSA_BITS);
    let (exponent, place) = (index.div_euclid(OCTAVE), index.rem_euclid(OCTAVE));
    let (low, high) = (bound(place), bound(place + 1));
    let middle = 2.0 * low * high / (low + high);
    if exponent < EXPONENT_MIN { middle * power(exponent + LOW) * power(-LOW) } else { middle * power(exponent) }
}

/// How many numbers are in each bin, in a window of at most [`BINS_MAX`] bins that ends no lower than the highest.
///
/// Which window that is, and so what each bin holds, depends on the numbers alone, not on their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins {
    counts: Vec<u64>,
    /// The index of `counts[0]`.
    first: i32,
}

impl Bins {
    #[inline]
    pub(super) fn add(&mut self, index: i32, n: u64) {
        match self.counts.get_mut(index.wrapping_sub(self.first) as u32 as usize) {
            Some(count) => *count = count.saturating_add(n),
            None => self.add_outside(index, n),
        }
    }

    #[cold]
    fn add_outside(&mut self, index: i32, n: u64) {
        // Far too low, and again and again: not worth looking through all bins each time.
        let full = self.counts.len() == BINS_MAX && self.counts.last() != Some(&0);
        let lowest = if full && index < self.first { self.first } else { self.cover(index, index) };
        self.add(index.max(lowest), n);
    }

    /// Moves the window so that it holds what it held and these bins too, as far as the limit allows. Returns the
    /// lowest bin in which to count: what is lower belongs there.
    fn cover(&mut self, low: i32, high: i32) -> i32 {
        let held = self.span();
        let (low, high) = held.map_or((low, high), |(least, most)| (low.min(least), high.max(most)));
        let low = low.max(high - SPAN + 1);
        let length = self.counts.len() as i32;
        if low >= self.first && high < self.first + length {
            return low;
        }
        if held.is_none() && high - low < length {
            self.first = low - (length - (high - low)) / 2;
            return low;
        }
        let (mut start, mut end) = (low.div_euclid(BLOCK) * BLOCK, (high.div_euclid(BLOCK) + 1) * BLOCK);
        if end - start > SPAN {
            (start, end) = (high - SPAN + 1, high + 1);
        }
        let moved = Bins { counts: vec![0; (end - start) as usize], first: start };
        let old = core::mem::replace(self, moved);
        for (index, n) in old.iter() {
            // In the window now, so this does not come back here.
            self.add(index.max(low), n);
        }
        low
    }

    pub(super) fn merge(&mut self, other: &Bins) {
        let Some((low, high)) = other.span() else { return };
        let lowest = self.cover(low, high);
        let below = other.iter().take_while(|(index, _)| *index < lowest);
        let below = below.fold(0u64, |sum, (_, n)| sum.saturating_add(n));
        let low = low.max(lowest);
        if below > 0 {
            self.add(lowest, below);
        }
        if low > high {
            return;
        }
        let to = self.counts[(low - self.first) as usize..].iter_mut();
        let from = &other.counts[(low - other.first) as usize..=(high - other.first) as usize];
        for (to, from) in to.zip(from) {
            *to = to.saturating_add(*from);
        }
    }

    /// The lowest and the highest bin that hold something.
    pub(super) fn span(&self) -> Option<(i32, i32)> {
        let low = self.counts.iter().position(|n| *n > 0)?;
        let high = self.counts.iter().rposition(|n| *n > 0)?;
        Some((self.first + low as i32, self.first + high as i32))
    }

    /// The bins that hold something, in order, with how much.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        let all = self.counts.iter().enumerate().map(|(i, n)| (self.first + i as i32, *n));
        all.filter(|(_, n)| *n > 0)
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }

    /// `length (index or gap, count){length}`, all varints, the first index zigzag.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.iter().count() as u64);
        let mut before = None;
        for (index, n) in self.iter() {
            match before {
                None => put(out, zigzag(index)),
                Some(before) => put(out, (index - before - 1) as u64),
            }
            put(out, n);
            before = Some(index);
        }
    }

    pub(super) fn decode(read: &mut Reader<'_>) -> Result<Bins, DecodeError> {
        let length = read.size(BINS_MAX, "more bins than allowed")?;
        let mut found = Vec::with_capacity(length.min(read.left() / 2));
        let mut next = 0;
        for i in 0..length {
            let index = match i {
                0 => read.signed()?,
                _ => next + read.size(BINS_MAX, "bins too far apart")? as i32,
            };
            if !(INDEX_MIN..INDEX_END).contains(&index) {
                return Err(read.error("a bin that no number has"));
            }
            let n = read.varint()?;
            if n == 0 {
                return Err(read.error("an empty bin"));
            }
            found.push((index, n));
            next = index + 1;
        }
        let mut bins = Bins::default();
        if let (Some((low, _)), Some((high, _))) = (found.first(), found.last()) {
            if high - low >= SPAN {
                return Err(read.error("bins too far apart"));
            }
            bins.cover(*low, *high);
        }
        for (index, n) in found {
            bins.add(index, n);
        }
        Ok(bins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_roots_of_two_and_in_order() {
        for (i, bound) in BOUNDS.into_iter().enumerate() {
            let mantissa = 1.0 + bound as f64 / (1u64 << MANTISSA_BITS) as f64;
            assert!((mantissa / (i as f64 / f64::from(OCTAVE)).exp2() - 1.0).abs() < 4e-16, "{i}");
            if i > 0 {
                assert!(bound - BOUNDS[i - 1] > 2 << (MANTISSA_BITS - CELL_BITS), "a cell has two bounds at {i}");
            }
        }
    }

    #[test]
    fn a_bin_begins_at_its_bound_and_not_before() {
        for (i, bound) in BOUNDS[..OCTAVE as usize].iter().enumerate() {
            for exponent in [EXPONENT_MIN, -1, 0, 1, f64::MAX_EXP - 1] {
                let bits = ((exponent + 1 - EXPONENT_MIN) as u64) << MANTISSA_BITS | bound;
                let wanted = exponent * OCTAVE + i as i32;
                assert_eq!(index(f64::from_bits(bits)), wanted);
                assert_eq!(index(f64::from_bits(bits - 1)), wanted - 1);
            }
        }
        assert_eq!(index(f64::from_bits(1)), INDEX_MIN);
        assert_eq!(index(f64::MAX), INDEX_END - 1);
    }

    #[test]
    fn both_ends_of_every_bin_are_within_a_hundredth_of_its_middle() {
        // What lies between the ends is nearer, so this holds for every number there is.
        for exponent in EXPONENT_MIN..f64::MAX_EXP {
            for bound in &BOUNDS[..OCTAVE as usize] {
                let start = ((exponent + 1 - EXPONENT_MIN) as u64) << MANTISSA_BITS | bound;
                for value in [f64::from_bits(start), f64::from_bits(start - 1)] {
                    let off = (middle(index(value)) - value).abs();
                    assert!(off <= 0.00991 * value, "{value:e} is off by {off:e}");
                }
            }
        }
        for bits in (1..100_000).chain((0..MANTISSA_BITS).flat_map(|bit| [1 << bit, (2 << bit) - 1])) {
            let value = f64::from_bits(bits);
            let steps = middle(index(value)).to_bits().abs_diff(bits) as f64;
            assert!(steps <= 0.00991 * bits as f64 + 0.5, "{bits} steps are off by {steps}");
        }
    }

    #[test]
    fn what_is_far_too_low_is_in_the_lowest_bin() {
        let mut up = Bins::default();
        let mut down = Bins::default();
        let indices: Vec<i32> = (INDEX_MIN..INDEX_END).step_by(7).collect();
        indices.iter().for_each(|index| up.add(*index, 1));
        indices.iter().rev().for_each(|index| down.add(*index, 1));
        assert!(up.iter().eq(down.iter()));
        let (low, high) = up.span().unwrap();
        assert_eq!((low, high), (high - SPAN + 1, *indices.last().unwrap()));
        assert_eq!(up.iter().map(|(_, n)| n).sum::<u64>(), indices.len() as u64);
        assert!(up.heap_bytes() <= BINS_MAX * 8 && down.heap_bytes() <= BINS_MAX * 8);
    }

    #[test]
    fn a_cleared_window_is_moved_not_made_anew() {
        let mut bins = Bins::default();
        (0..100).for_each(|index| bins.add(index, 1));
        let held = bins.heap_bytes();
        bins.clear();
        (5_000..5_030).for_each(|index| bins.add(index, 1));
        assert_eq!((bins.span(), bins.heap_bytes()), (Some((5_000, 5_029)), held));
    }
}
