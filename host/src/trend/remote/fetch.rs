//! The values of series, as they were told, or as a store sums them up.

use super::answer::{Found as Answer, Sample};
use super::labels::path_of;
use super::past::changes;
use super::read::{Book, Page};
use crate::tree::encode_path;
use crate::trend::AskError;
use crate::trend::codec::bucket::Bucket;
use crate::trend::history::{Past, Range};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values of one request, about, and times of one: what Prometheus answers.
const AT_ONCE: i64 = 500_000;
const TIMES_AT_ONCE: i64 = 10_000;

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const TEN_MINUTES_MS: i64 = 600_000;

/// What a store is asked of each bucket.
const OVER_TIME: [&str; 5] = ["count", "sum", "min", "max", "last"];

impl Book<'_> {
    /// Adds values as they were told.
    pub(super) fn samples(
        &self,
        page: &Page,
        alone: bool,
        range: Range,
        all: &mut BTreeMap<String, Past>,
    ) -> Result<(), AskError> {
        let selector = self.selector(alone);
        let series = page.paths.len() as i64;
        let length = (AT_ONCE / series.max(1)).max(1).saturating_mul(self.ask.commit_ms.max(1)).max(MINUTE_MS);
        let mut from = range.from;
        while from < range.to {
            let to = from.saturating_add(length).min(range.to);
            let query = format!("{selector}[{}ms]", to - from);
            let time = seconds(to - 1);
            let mut body = Vec::new();
            let answer: Answer = self
                .store
                .ask("query", &[("query", &query), ("time", &time), ("nocache", "1")], &mut body)
                .map_err(AskError::Elsewhere)?;
            for series in answer.result {
                let Some((path, false)) = path_of(&series.metric.0) else { continue };
                let past = all.entry(encode_path(path.iter().map(String::as_str))).or_default();
                for Sample(time, value) in series.values {
                    if value.is_finite() && (from..to).contains(&time) {
                        Arc::make_mut(&mut past.samples.0).push(time);
                        past.samples.1.push(value);
                    }
                }
            }
            from = to;
        }
        for past in all.values_mut() {
            let (times, values) = std::mem::take(&mut past.samples);
            let (times, values) = changes((Arc::unwrap_or_clone(times), values));
            past.samples = (times.into(), values);
        }
        Ok(())
    }

    /// Adds what values came to in each of some stretches of time.
    pub(super) fn buckets(
        &self,
        page: &Page,
        alone: bool,
        range: Range,
        length: i64,
        all: &mut BTreeMap<String, Past>,
    ) -> Result<(), AskError> {
        let series = page.paths.len() as i64;
        let times = (AT_ONCE / series.max(1)).clamp(1, TIMES_AT_ONCE);
        let plain = self.selector(alone);
        for name in &page.names {
            // These have no name in the answer.
            let named = format!("{},__name__=\"{name}\"}}", plain.trim_end_matches('}'));
            let mut from = range.from;
            while from < range.to {
                let to = from.saturating_add(times.saturating_mul(length)).min(range.to);
                let mut found: BTreeMap<String, BTreeMap<i64, Bucket>> = BTreeMap::new();
                for over in OVER_TIME {
                    let part = Range { from, to };
                    let query = format!("{over}_over_time({named}[{length}ms])");
                    self.each(&query, part, length, Some(name), |path, start, value| {
                        let empty = Bucket { count: 0, sum: 0.0, min: 0.0, max: 0.0, last: 0.0 };
                        let bucket = found.entry(path.to_owned()).or_default().entry(start).or_insert(empty);
                        match over {
                            "count" => bucket.count = value.max(0.0) as u64,
                            "sum" => bucket.sum = value,
                            "min" => bucket.min = value,
                            "max" => bucket.max = value,
                            _ => bucket.last = value,
                        }
                    })?;
                }
                for (path, buckets) in found {
                    let past = all.entry(path).or_default();
                    if length == MINUTE_MS {
                        past.minutes_from = i64::MIN;
                    }
                    for (start, bucket) in buckets {
                        if bucket.count > 0 && past.buckets.0.last().is_none_or(|last| *last < start) {
                            past.buckets.0.push(start);
                            past.buckets.1.push(bucket);
                        }
                    }
                }
                from = to;
            }
        }
        Ok(())
    }

    /// Adds the last value of each ten minutes, as if they were all.
    pub(super) fn lasts(&self, alone: bool, range: Range, all: &mut BTreeMap<String, Past>) -> Result<(), AskError> {
        let query = format!("last_over_time({}[{TEN_MINUTES_MS}ms])", self.selector(alone));
        let newest = self.alive.last().map_or(i64::MAX, |there| there.known);
        let to = (range.to.saturating_add(TEN_MINUTES_MS - 1)).div_euclid(TEN_MINUTES_MS) * TEN_MINUTES_MS;
        self.each(&query, Range { from: range.from, to }, TEN_MINUTES_MS, None, |path, start, value| {
            let past = all.entry(path.to_owned()).or_default();
            let time = (start + TEN_MINUTES_MS - self.ask.commit_ms.min(TEN_MINUTES_MS)).min(newest.max(start));
            if past.samples.0.last().is_none_or(|last| *last < time) {
                Arc::make_mut(&mut past.samples.0).push(time);
                past.samples.1.push(value);
            }
        })
    }

    /// Asks for a value for each of some stretches of time, which begin at whole multiples of their length.
    fn each(
        &self,
        query: &str,
        range: Range,
        length: i64,
        name: Option<&str>,
        mut each: impl FnMut(&str, i64, f64),
    ) -> Result<(), AskError> {
        if range.from >= range.to {
            return Ok(());
        }
        // The last moment of each: whether a store counts the first or not, there is nothing at the moment before it.
        let (start, end) = (seconds(range.from + length - 1), seconds(range.to - 1));
        let step = seconds(length);
        let arguments = [("query", query), ("start", &start), ("end", &end), ("step", &step), ("nocache", "1")];
        let mut body = Vec::new();
        let answer: Answer = self.store.ask("query_range", &arguments, &mut body).map_err(AskError::Elsewhere)?;
        for series in answer.result {
            let mut labels = series.metric.0;
            if let Some(name) = name {
                labels.retain(|(label, _)| label != "__name__");
                labels.push(("__name__".to_owned(), name.to_owned()));
            }
            let Some((path, false)) = path_of(&labels) else { continue };
            let path = encode_path(path.iter().map(String::as_str));
            for Sample(time, value) in series.values {
                let start = time + 1 - length;
                if value.is_finite() && (range.from..range.to).contains(&start) {
                    each(&path, start, value);
                }
            }
        }
        Ok(())
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> String {
    format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000)
}
