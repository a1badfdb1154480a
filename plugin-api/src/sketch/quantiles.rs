//! Quantiles of numbers with a bounded relative error.

use super::DecodeError;
use super::bins::{BINS_MAX, Bins, index, middle};
use super::coding::{Reader, VERSION, put, put_f64};

/// A sketch of numbers: their count, sum and extremes exactly, their quantiles to 1 % of the value.
///
/// DDSketch (Masson, Rim, Lee: *DDSketch: a fast and fully-mergeable quantile sketch with relative-error
/// guarantees*, VLDB 2019): numbers are counted in bins that grow by a constant factor, 35 of them from a power
/// of two to the next, for each sign. Any finite number can be fed; others are ignored.
///
/// * The error holds for every answer whose value is at most 58 octaves (17 decades) below the greatest one of its
///   sign: past [`BINS_MAX`] bins the lowest collapse into one. Among subnormal numbers (below 2.3e-308), an f64 has
///   no finer steps, and half of one such step is added to it.
/// * The sum is compensated: its error does not grow with the count. It stays at ±`f64::MAX` once it gets there.
/// * Merging is associative and commutative (up to the rounding of the sum).
/// * Feeding takes constant time, a quantile and a merge time by the bins held. Memory: 8 bytes for each bin
///   between the lowest and the highest, at most 2 × 16 KiB + 120 bytes.
///
/// ```
/// # use plugin_api::sketch::Quantiles;
/// let mut times = Quantiles::default();
/// (1..=1_000).for_each(|ms| times.observe(f64::from(ms)));
/// let p99 = times.quantile(0.99).unwrap();
/// assert!((p99 / 990.0 - 1.0).abs() <= 0.01);
/// assert_eq!((times.count(), times.sum(), times.max()), (1_000, 500_500.0, Some(1_000.0)));
/// ```
#[derive(Clone, Debug)]
pub struct Quantiles {
    positive: Bins,
    /// By magnitude: the highest bin holds the least numbers.
    negative: Bins,
    zeros: u64,
    count: u64,
    sum: f64,
    /// What `sum` lost by rounding.
    lost: f64,
    min: f64,
    max: f64,
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        Quantiles::new()
    }
}

impl Quantiles {
    /// An empty sketch; it holds no memory yet.
    #[must_use]
    pub fn new() -> Quantiles {
        Quantiles {
            positive: Bins::default(),
            negative: Bins::default(),
            zeros: 0,
            count: 0,
            sum: 0.0,
            lost: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Feeds a number. What is not finite is ignored.
    #[inline]
    pub fn observe(&mut self, value: f64) {
        self.observe_n(value, 1);
    }

    /// Feeds a number `n` times at the price of one. Counts stay at `u64::MAX` once they get there.
    #[inline]
    pub fn observe_n(&mut self, value: f64, n: u64) {
        if !value.is_finite() || n == 0 {
            return;
        }
        self.count = self.count.saturating_add(n);
        self.add_to_sum(value * n as f64);
        // Minus zero becomes zero.
        let value = value + 0.0;
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
        if value > 0.0 {
            self.positive.add(index(value), n);
        } else if value < 0.0 {
            self.negative.add(index(-value), n);
        } else {
            self.zeros = self.zeros.saturating_add(n);
        }
    }

    /// Adds to the sum and keeps what rounding takes (Knuth's TwoSum).
    #[inline]
    fn add_to_sum(&mut self, x: f64) {
        let sum = self.sum + x;
        if sum.is_finite() {
            let added = sum - self.sum;
            self.lost += (self.sum - (sum - added)) + (x - added);
            self.sum = sum;
        } else {
            (self.sum, self.lost) = (sum.clamp(f64::MIN, f64::MAX), 0.0);
        }
    }

    /// Takes in what another sketch was fed.
    pub fn merge(&mut self, other: &Quantiles) {
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.count = self.count.saturating_add(other.count);
        self.add_to_sum(other.sum);
        self.add_to_sum(other.lost);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many numbers were fed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their sum; zero if there are none.
    #[must_use]
    pub fn sum(&self) -> f64 {
        (self.sum + self.lost).clamp(f64::MIN, f64::MAX)
    }

    /// The least.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// The number below which a share `q` of all lie: to 1 % that at rank ⌊q (count − 1)⌋, counted from zero, of
    /// all in order (the paper's lower quantile). 0 is the least and 1 the greatest, exactly.
    ///
    /// `None` if there are none, or `q` is not from 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let last = self.count - 1;
        let rank = ((q * last as f64) as u64).min(last);
        if rank == 0 {
            return Some(self.min);
        }
        if rank == last {
            return Some(self.max);
        }
        Some(self.at_rank(rank).clamp(self.min, self.max))
    }

    fn at_rank(&self, mut rank: u64) -> f64 {
        for (index, n) in self.negative.iter().rev() {
            if rank < n {
                return -middle(index);
            }
            rank -= n;
        }
        if rank < self.zeros {
            return 0.0;
        }
        rank -= self.zeros;
        for (index, n) in self.positive.iter() {
            if rank < n {
                return middle(index);
            }
            rank -= n;
        }
        self.max
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        let (mut positive, mut negative) = (core::mem::take(&mut self.positive), core::mem::take(&mut self.negative));
        positive.clear();
        negative.clear();
        *self = Quantiles { positive, negative, ..Quantiles::new() };
    }

    /// Memory held, itself included, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Quantiles>() + self.positive.heap_bytes() + self.negative.heap_bytes()
    }

    /// Appends it as bytes: two or three for each bin in use.
    ///
    /// ```text
    /// quantiles = 0x01 [sum:f64 min:f64 max:f64 zeros:varint positive:bins negative:bins]    nothing more if empty
    /// bins      = length:varint (index:zigzag count:varint [(gap:varint count:varint){length - 1}])
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        if self.count > 0 {
            put_f64(out, self.sum());
            put_f64(out, self.min);
            put_f64(out, self.max);
            put(out, self.zeros);
            self.positive.encode(out);
            self.negative.encode(out);
        }
    }

    /// Reads what [`Quantiles::encode`] wrote. Allocates no more than 64 KiB, of which it keeps half.
    ///
    /// # Errors
    /// The bytes are no such sketch, or their extremes are not those of their bins.
    pub fn decode(bytes: &[u8]) -> Result<Quantiles, DecodeError> {
        let mut read = Reader::new(bytes)?;
        let mut found = Quantiles::new();
        if read.left() == 0 {
            return Ok(found);
        }
        (found.sum, found.min, found.max) = (read.f64()?, read.f64()? + 0.0, read.f64()? + 0.0);
        found.zeros = read.varint()?;
        found.positive = Bins::decode(&mut read)?;
        found.negative = Bins::decode(&mut read)?;
        let bins = found.positive.iter().chain(found.negative.iter());
        found.count = bins.fold(found.zeros, |sum, (_, n)| sum.saturating_add(n));
        read.end()?;
        if found.extremes_fit() { Ok(found) } else { Err(read.error("the extremes are not those of the bins")) }
    }

    /// Whether the extremes lie in the outermost bins.
    fn extremes_fit(&self) -> bool {
        // Of one sign, given the extreme farther from zero and the one nearer to it.
        let fits = |bins: &Bins, far: f64, near: Option<f64>| match bins.span() {
            None => far <= 0.0,
            Some((low, high)) => {
                let lowest = |near: f64| near > 0.0 && low == index(near).max(high - (BINS_MAX as i32 - 1));
                far > 0.0 && high == index(far) && near.is_none_or(lowest)
            }
        };
        let (positive, negative) = (self.positive.span().is_some(), self.negative.span().is_some());
        let zeros_only_end = |end: f64| self.zeros == 0 || end == 0.0;
        self.count > 0
            && self.min <= self.max
            && fits(&self.positive, self.max, (!negative && self.zeros == 0).then_some(self.min))
            && fits(&self.negative, -self.min, (!positive && self.zeros == 0).then_some(-self.max))
            && (negative || zeros_only_end(self.min))
            && (positive || zeros_only_end(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is promised, with the half of a step that is allowed to a subnormal.
    fn near(answer: f64, truth: f64) -> bool {
        let off = (answer - truth).abs();
        let step = f64::from_bits(1);
        // Half a step cannot be told among subnormals: less than a whole one.
        off <= 0.01 * truth.abs() || (truth.abs() < f64::MIN_POSITIVE && off <= 0.01 * truth.abs() + step)
    }

    fn of(values: &[f64]) -> Quantiles {
        let mut sketch = Quantiles::new();
        values.iter().for_each(|value| sketch.observe(*value));
        sketch
    }

    fn bytes(sketch: &Quantiles) -> Vec<u8> {
        let mut out = Vec::new();
        sketch.encode(&mut out);
        out
    }

    fn merged(parts: &[&Quantiles]) -> Quantiles {
        let mut all = Quantiles::new();
        parts.iter().for_each(|part| all.merge(part));
        all
    }

    /// Numbers within 58 octaves, whose sums are exact.
    fn whole() -> impl Strategy<Value = f64> {
        prop_oneof![-1e6..1e6f64, Just(0.0), Just(-0.0), 0.0..10.0f64].prop_map(f64::round)
    }

    fn any_finite() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_number_is_within_a_hundredth_of_its_bin(value in any_finite()) {
            let answer = middle(index(value.abs().max(f64::from_bits(1))));
            prop_assert!(value == 0.0 || near(answer, value.abs()), "{value:e} is held as {answer:e}");
        }

        #[test]
        fn every_quantile_is_within_a_hundredth(
            mut values in prop::collection::vec(
                prop_oneof![whole(), 1e-6..1e6f64, (-20.0..20.0f64).prop_map(f64::exp), Just(0.0)], 1..200),
            q in 0.0..=1.0f64,
        ) {
            let sketch = of(&values);
            values.sort_by(f64::total_cmp);
            for q in [q, 0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let truth = values[(q * (values.len() - 1) as f64) as usize];
                let answer = sketch.quantile(q).unwrap();
                prop_assert!(near(answer, truth), "{q}: {answer} is not {truth}");
                prop_assert!((sketch.min().unwrap()..=sketch.max().unwrap()).contains(&answer));
            }
            prop_assert_eq!(sketch.count(), values.len() as u64);
            prop_assert_eq!(sketch.min(), Some(values[0] + 0.0));
            prop_assert_eq!(sketch.max(), values.last().map(|last| last + 0.0));
        }

        #[test]
        fn the_order_of_feeding_and_merging_does_not_matter(
            a in prop::collection::vec(any_finite(), 0..60),
            b in prop::collection::vec(any_finite(), 0..60),
            c in prop::collection::vec(any_finite(), 0..60),
        ) {
            // Sums of any numbers round; all else is the same to the byte.
            let no_sum = |sketch: &Quantiles| bytes(&Quantiles { sum: 0.0, lost: 0.0, ..sketch.clone() });
            let (x, y, z) = (of(&a), of(&b), of(&c));
            let wanted = no_sum(&of(&[a, b, c].concat()));
            prop_assert_eq!(&no_sum(&merged(&[&x, &y, &z])), &wanted);
            prop_assert_eq!(&no_sum(&merged(&[&z, &y, &x])), &wanted);
            prop_assert_eq!(&no_sum(&merged(&[&x, &merged(&[&y, &z])])), &wanted);
        }

        #[test]
        fn sums_are_exact(a in prop::collection::vec(whole(), 0..60), b in prop::collection::vec(whole(), 0..60)) {
            let all = [&a[..], &b[..]].concat();
            prop_assert_eq!(merged(&[&of(&a), &of(&b)]).sum(), all.iter().sum::<f64>());
        }

        #[test]
        fn n_at_once_is_n_times(value in whole(), n in 0u64..100) {
            let mut once = Quantiles::new();
            once.observe_n(value, n);
            prop_assert_eq!(bytes(&once), bytes(&of(&vec![value; n as usize])));
        }

        #[test]
        fn what_is_encoded_is_decoded(values in prop::collection::vec(prop_oneof![any_finite(), whole()], 0..100)) {
            let sketch = of(&values);
            let found = Quantiles::decode(&bytes(&sketch)).unwrap();
            prop_assert_eq!(bytes(&found), bytes(&sketch));
            prop_assert_eq!((found.count(), found.sum()), (sketch.count(), sketch.sum()));
            prop_assert_eq!(found.quantile(0.5), sketch.quantile(0.5));
        }

        #[test]
        fn any_bytes_are_a_sketch_or_refused(
            noise in prop::collection::vec(any::<u8>(), 0..80),
            values in prop::collection::vec(whole(), 0..20),
            at: prop::sample::Index,
            flip: u8,
        ) {
            let mut nearly = bytes(&of(&values));
            let at = at.index(nearly.len());
            nearly[at] ^= flip;
            for bytes_in in [&noise[..], &[&[VERSION], &noise[..]].concat(), &nearly, &nearly[..at]] {
                if let Ok(mut found) = Quantiles::decode(bytes_in) {
                    prop_assert!(found.memory_bytes() <= size_of::<Quantiles>() + 2 * BINS_MAX * 8);
                    prop_assert!(Quantiles::decode(&bytes(&found)).is_ok());
                    let _ = (found.quantile(0.5), found.quantile(0.99));
                    found.merge(&of(&values));
                    found.observe(1.0);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_ignored() {
        let sketch = of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(sketch.is_empty() && bytes(&sketch) == [VERSION]);
        assert_eq!((sketch.quantile(0.5), sketch.min(), sketch.max(), sketch.sum()), (None, None, None, 0.0));
        assert_eq!(of(&[1.0]).quantile(f64::NAN), None);
        assert_eq!(of(&[1.0]).quantile(1.1), None);
    }

    #[test]
    fn sums_stay_finite_and_precise() {
        let mut sketch = of(&[f64::MAX, f64::MAX]);
        assert_eq!(sketch.sum(), f64::MAX);
        sketch.observe_n(f64::MIN, u64::MAX);
        sketch.observe_n(f64::MIN, u64::MAX);
        assert_eq!((sketch.sum(), sketch.count()), (f64::MIN, u64::MAX));
        assert!(sketch.quantile(0.5).is_some() && Quantiles::decode(&bytes(&sketch)).is_ok());

        let mut tenths = Quantiles::new();
        (0..1_000_000).for_each(|_| tenths.observe(0.1));
        assert_eq!(tenths.sum(), 100_000.0);
    }

    #[test]
    fn what_lies_in_reach_of_the_greatest_keeps_its_precision() {
        let mut values: Vec<f64> = (0..1_000).map(|i| 1e-300 * f64::from(i)).collect();
        values.extend((1..=1_000).map(|i| 1e-10 * 10f64.powi(i % 15) * f64::from(i)));
        values.sort_by(f64::total_cmp);
        let sketch = of(&values);
        for rank in 1_000..2_000 {
            let q = rank as f64 / 1_999.0;
            let truth = values[(q * 1_999.0) as usize];
            assert!(near(sketch.quantile(q).unwrap(), truth), "{rank}");
        }
    }

    #[test]
    fn a_cleared_sketch_is_as_new_and_keeps_its_memory() {
        let mut sketch = of(&[1.0, -5.0, 0.0, 1e6]);
        let held = sketch.memory_bytes();
        sketch.clear();
        assert_eq!((bytes(&sketch), sketch.memory_bytes()), (vec![VERSION], held));
        sketch.observe(3.0);
        assert_eq!(bytes(&sketch), bytes(&of(&[3.0])));
    }

    #[test]
    fn lies_about_the_extremes_are_refused() {
        let why = |change: fn(&mut Quantiles)| {
            let mut sketch = of(&[1.0, 2.0, 3.0]);
            change(&mut sketch);
            Quantiles::decode(&bytes(&sketch)).map(|_| ()).map_err(|error| error.why)
        };
        let lie = Err("the extremes are not those of the bins");
        assert_eq!(why(|_| {}), Ok(()));
        assert_eq!(why(|sketch| sketch.max = 4.0), lie);
        assert_eq!(why(|sketch| sketch.min = 0.5), lie);
        assert_eq!(why(|sketch| sketch.min = -0.5), lie);
        assert_eq!(why(|sketch| sketch.zeros = 1), lie);
        assert_eq!(why(|sketch| sketch.positive.clear()), lie);
        assert_eq!(why(|sketch| sketch.negative.add(0, 1)), lie);
        assert_eq!(why(|sketch| sketch.sum = f64::NAN), Err("not a number"));
    }

    #[test]
    fn bins_that_no_sketch_has_are_refused() {
        // sum, min, max, zeros, then the positive bins and no negative ones
        let why = |bins: &[u8]| {
            let bytes = [&[VERSION], &[0; 25][..], bins, &[0]].concat();
            Quantiles::decode(&bytes).map(|_| ()).map_err(|error| error.why)
        };
        assert_eq!(why(&[0]), Err("the extremes are not those of the bins"));
        assert_eq!(why(&[0x81, 0x10]), Err("more bins than allowed"));
        assert_eq!(why(&[2, 0, 1, 0x80, 0x10, 1]), Err("bins too far apart"));
        assert_eq!(why(&[2, 0, 1, 0xff, 0x0f, 1]), Err("bins too far apart"));
        assert_eq!(why(&[1, 0, 0]), Err("an empty bin"));
        assert_eq!(why(&[1, 0x80, 0x80, 0x80, 0x80, 8, 1]), Err("a bin that no number has"));
    }
}
