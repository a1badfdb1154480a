//! Roll-ups: what the samples of a stretch of time came to.
//!
//! The five figures of a bucket are told relative to each other, for they lie close: the last as its difference from the last
//! of the bucket before, the least and the greatest from the last, and the sum from what it would be if the samples lay evenly
//! between the least and the greatest.

use super::Damaged;
use super::column::{self, Scaled, VALUES_MAX, places, put_whole, take_whole, unscaled};
use super::varint::{Bytes, put};

/// Whole numbers, the rest of the sum doubled: that is read, but not written any more.
const DOUBLED: u8 = 0;
const FLOATS: u8 = 1;
const WHOLE: u8 = 2;

/// The samples of a series in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The last of them.
    pub(crate) last: f64,
}

impl Bucket {
    /// That of one sample.
    pub(crate) fn of(value: f64) -> Bucket {
        Bucket { count: 1, sum: value, min: value, max: value, last: value }
    }

    /// Takes on what came later.
    pub(crate) fn add(&mut self, later: &Bucket) {
        self.count += later.count;
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }
}

/// Joins ascending times with their buckets into longer ones, which begin at whole multiples of `step_ms`.
///
/// Sums of figures with few decimals are exact: they are made as whole numbers.
pub(crate) fn joined(times: &[i64], buckets: &[Bucket], step_ms: i64) -> (Vec<i64>, Vec<Bucket>) {
    let sums: Vec<f64> = buckets.iter().map(|bucket| bucket.sum).collect();
    let scaled = Scaled::of(&sums);
    let (mut starts, mut joined): (Vec<i64>, Vec<Bucket>) = (Vec::new(), Vec::new());
    let mut sum = 0_i128;
    for (n, (time, bucket)) in times.iter().zip(buckets).enumerate() {
        let start = time.div_euclid(step_ms) * step_ms;
        match joined.last_mut() {
            Some(open) if starts.last() == Some(&start) => {
                open.add(bucket);
                if let Some(scaled) = &scaled {
                    sum += i128::from(scaled.whole[n]);
                    open.sum = i64::try_from(sum).map_or(open.sum, |sum| unscaled(sum, scaled.places));
                }
            }
            _ => {
                starts.push(start);
                joined.push(*bucket);
                sum = scaled.as_ref().map_or(0, |scaled| i128::from(scaled.whole[n]));
            }
        }
    }
    (starts, joined)
}

/// Puts buckets in the order of their times.
pub(super) fn put_buckets(buckets: &[Bucket], out: &mut Vec<u8>) {
    let of = |figure: fn(&Bucket) -> f64| buckets.iter().map(figure);
    let counts: Vec<i64> = buckets.iter().map(|bucket| bucket.count.cast_signed()).collect();
    let mut columns = vec![packed(|out| put_whole(&counts, 0, false, out))];
    let all = of(|b| b.last).chain(of(|b| b.min)).chain(of(|b| b.max)).chain(of(|b| b.sum));
    match Scaled::of(&all.collect::<Vec<f64>>()) {
        Some(Scaled { places, whole }) => {
            out.push(WHOLE);
            let n = buckets.len();
            let (last, min, max, sum) = (&whole[..n], &whole[n..2 * n], &whole[2 * n..3 * n], &whole[3 * n..]);
            let below: Vec<i64> = last.iter().zip(min).map(|(last, min)| last - min).collect();
            let above: Vec<i64> = last.iter().zip(max).map(|(last, max)| max - last).collect();
            let rest = |at: usize| {
                let even = even_sum(counts[at], min[at], max[at]);
                sum[at].wrapping_mul(2).wrapping_sub(even).wrapping_sub(odd(even)) >> 1
            };
            let rest: Vec<i64> = (0..n).map(rest).collect();
            columns.push(packed(|out| put_whole(last, places, true, out)));
            columns.extend([below, above, rest].map(|column| packed(|out| put_whole(&column, 0, false, out))));
        }
        None => {
            out.push(FLOATS);
            let figures: [fn(&Bucket) -> f64; 4] = [|b| b.last, |b| b.min, |b| b.max, |b| b.sum];
            columns.extend(figures.map(|figure| packed(|out| column::put(&of(figure).collect::<Vec<f64>>(), out))));
        }
    }
    for column in columns {
        put(column.len() as u64, out);
        out.extend(column);
    }
}

fn packed(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes
}

/// Twice the sum of so many samples if they lay evenly between two. It may be beyond 64 bits: what is added is
/// taken off again in the same ring.
fn even_sum(count: i64, min: i64, max: i64) -> i64 {
    count.wrapping_mul(min.wrapping_add(max))
}

/// What twice a sum has beyond an even number, less what lies evenly: known, and so not kept.
fn odd(even_sum: i64) -> i64 {
    even_sum & 1
}

/// Takes so many buckets.
pub(super) fn take_buckets(bytes: &[u8], n: usize) -> Result<Vec<Bucket>, Damaged> {
    if n > VALUES_MAX {
        return Err(Damaged("a count beyond its bound"));
    }
    let mut bytes = Bytes(bytes);
    let kind = bytes.byte()?;
    let mut column = || {
        let len = bytes.count(usize::MAX)?;
        bytes.take(len)
    };
    let counts = take_whole(column()?, n)?;
    let columns = [column()?, column()?, column()?, column()?];
    let figures: [Vec<f64>; 4] = match kind {
        FLOATS => {
            let [last, min, max, sum] = columns.map(|bytes| column::take(bytes, n));
            [last?, min?, max?, sum?]
        }
        WHOLE | DOUBLED => {
            let places = places(columns[0]);
            let [last, below, above, rest] = columns.map(|bytes| take_whole(bytes, n));
            let (last, below, above, rest) = (last?, below?, above?, rest?);
            let min: Vec<i64> = last.iter().zip(below).map(|(last, below)| last.wrapping_sub(below)).collect();
            let max: Vec<i64> = last.iter().zip(above).map(|(last, above)| last.wrapping_add(above)).collect();
            let sum = |at: usize| {
                let even = even_sum(counts[at], min[at], max[at]);
                let rest = if kind == DOUBLED { rest[at] } else { rest[at].wrapping_shl(1).wrapping_add(odd(even)) };
                rest.wrapping_add(even) / 2
            };
            let sum: Vec<i64> = (0..n).map(sum).collect();
            [last, min, max, sum].map(|whole| whole.into_iter().map(|whole| unscaled(whole, places)).collect())
        }
        _ => return Err(Damaged("buckets of no known kind")),
    };
    let [last, min, max, sum] = figures;
    let bucket = |at: usize| Bucket {
        count: counts[at].cast_unsigned(),
        sum: sum[at],
        min: min[at],
        max: max[at],
        last: last[at],
    };
    Ok((0..n).map(bucket).collect())
}

#[cfg(test)]
mod tests {
    use super::{Bucket, DOUBLED, WHOLE, joined, put_buckets, take_buckets};
    use proptest::prelude::*;

    #[test]
    fn buckets_whose_sums_were_kept_doubled_are_read() {
        // 1 and 2 and 4, and then 3 and 3: sums beside what lies evenly are 7 - 7.5 and 6 - 6.
        let buckets = [
            Bucket { count: 3, sum: 7.0, min: 1.0, max: 4.0, last: 4.0 },
            Bucket { count: 2, sum: 6.0, min: 3.0, max: 3.0, last: 3.0 },
        ];
        let written = [DOUBLED, 3, 1, 6, 1, 3, 1, 8, 1, 3, 1, 6, 5, 3, 1, 0, 0, 3, 1, 1, 2];
        assert_eq!(take_buckets(&written, 2), Ok(buckets.to_vec()));
        let mut now = Vec::new();
        put_buckets(&buckets, &mut now);
        assert_eq!(now[0], WHOLE);
        assert_eq!(take_buckets(&now, 2), Ok(buckets.to_vec()));
    }

    #[test]
    fn sums_of_decimals_are_exact() {
        let samples = [0.1, 0.2, 0.3, 21.34].map(Bucket::of);
        let (starts, buckets) = joined(&[0, 10_000, 50_000, 60_000], &samples, 60_000);
        assert_eq!(starts, [0, 60_000]);
        assert_eq!(buckets[0], Bucket { count: 3, sum: 0.6, min: 0.1, max: 0.3, last: 0.3 });
        assert_eq!(buckets[1], Bucket::of(21.34));
    }

    proptest! {
        #[test]
        fn buckets_come_out_bit_for_bit(samples in prop::collection::vec(prop_oneof![
            4 => (-1_000_000_i32..1_000_000).prop_map(|n| f64::from(n) / 100.0), 1 => -1e300_f64..1e300, 4 => (0_u32..9_999).prop_map(f64::from),
        ], 0..300), per in 1_usize..7, float in any::<bool>()) {
            let samples: Vec<Bucket> = samples.into_iter().map(|x| Bucket::of(if float { x } else { (x * 100.0).trunc() / 100.0 })).collect();
            let times: Vec<i64> = (0..samples.len()).map(|n| n as i64 * 60_000 / per as i64).collect();
            let (_, buckets) = joined(&times, &samples, 60_000);
            let mut bytes = Vec::new();
            put_buckets(&buckets, &mut bytes);
            prop_assert_eq!(take_buckets(&bytes, buckets.len()).expect("its own bytes"), buckets);
        }
    }
}
