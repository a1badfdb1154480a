//! What series were, cut and put together. Pure.

use super::send::FILL_MS;
use crate::trend::history::{Past, Samples};
use std::sync::Arc;

/// Values as they changed: ascending by their times, and without those that only say that one still holds.
pub(super) fn changes(samples: Samples) -> Samples {
    let mut all: Vec<(i64, f64)> = samples.0.into_iter().zip(samples.1).collect();
    all.sort_by_key(|(time, _)| *time);
    all.dedup_by_key(|(time, _)| *time);
    let mut kept: Samples = Default::default();
    for (time, value) in all {
        let is_fill = time.rem_euclid(1_000) == FILL_MS;
        if is_fill && kept.1.last().is_some_and(|last| last.to_bits() == value.to_bits()) {
            continue;
        }
        kept.0.push(time);
        kept.1.push(value);
    }
    kept
}

/// What of it lies in a stretch of time.
pub(super) fn cut(past: &Past, from: i64, to: i64) -> Past {
    let within = |times: &[i64]| times.partition_point(|time| *time < from)..times.partition_point(|time| *time < to);
    let buckets = within(&past.buckets.0);
    let samples = within(&past.samples.0);
    Past {
        buckets: (past.buckets.0[buckets.clone()].to_vec(), past.buckets.1[buckets].to_vec()),
        samples: (past.samples.0[samples.clone()].to_vec().into(), past.samples.1[samples].to_vec()),
        minutes_from: past.minutes_from,
    }
}

/// What the file has of a series goes on with what the store has of it.
pub(super) fn continue_with(own: &mut Past, later: &Past) {
    let end_of_buckets = own.buckets.0.last().map(|start| start + own.bucket_ms(*start, false));
    let from = own.samples.0.last().map(|last| last + 1).max(end_of_buckets).unwrap_or(i64::MIN);
    let later = cut(later, from, i64::MAX);
    let times = Arc::make_mut(&mut own.samples.0);
    if times.is_empty() {
        own.buckets.0.extend(&later.buckets.0);
        own.buckets.1.extend(&later.buckets.1);
    } else {
        times.extend(&later.buckets.0);
        own.samples.1.extend(later.buckets.1.iter().map(|bucket| bucket.last));
    }
    times.extend(&*later.samples.0);
    own.samples.1.extend(&later.samples.1);
}

#[cfg(test)]
mod tests {
    use super::{changes, continue_with, cut};
    use crate::trend::codec::bucket::Bucket;
    use crate::trend::history::Past;

    fn past(buckets: &[(i64, f64)], samples: &[(i64, f64)]) -> Past {
        let buckets = buckets.iter().map(|(at, x)| (*at, Bucket::of(*x))).unzip();
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        Past { buckets, samples: (times.into(), values), minutes_from: i64::MIN }
    }

    #[test]
    fn what_only_says_that_a_value_holds_is_left_out() {
        let told = [(20_000, 2.0), (0, 1.0), (10_001, 1.0), (20_000, 2.0), (30_001, 5.0), (40_000, 5.0), (50_001, 5.0)];
        let left = changes(told.into_iter().unzip());
        // A change of which only that was told is one.
        assert_eq!(left, ([0, 20_000, 30_001, 40_000].to_vec(), [1.0, 2.0, 5.0, 5.0].to_vec()));
        // Nothing else is known of what was before.
        assert_eq!(changes((vec![10_001, 20_001], vec![1.0, 1.0])), (vec![10_001], vec![1.0]));
    }

    #[test]
    fn a_stretch_has_its_beginning_and_not_its_end() {
        let all = past(&[(0, 1.0), (60_000, 2.0)], &[(120_000, 3.0), (130_000, 4.0)]);
        assert_eq!(cut(&all, 60_000, 130_000), past(&[(60_000, 2.0)], &[(120_000, 3.0)]));
    }

    #[test]
    fn where_the_file_ends_the_store_goes_on() {
        let later = past(&[(0, 9.0), (60_000, 9.0), (120_000, 5.0)], &[(180_000, 6.0)]);
        let mut own = past(&[(0, 1.0), (60_000, 2.0)], &[]);
        continue_with(&mut own, &later);
        assert_eq!(own, past(&[(0, 1.0), (60_000, 2.0), (120_000, 5.0)], &[(180_000, 6.0)]));
        let mut own = past(&[], &[(10_000, 1.0), (70_000, 2.0)]);
        continue_with(&mut own, &later);
        assert_eq!(own, past(&[], &[(10_000, 1.0), (70_000, 2.0), (120_000, 5.0), (180_000, 6.0)]));
    }
}
