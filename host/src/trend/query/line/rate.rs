//! How fast a counter grew.
//!
//! Growth lies between two moments at which the value was known, and is spread evenly over the time between them: over a
//! pause of the daemon, and over the steps of an axis that are shorter than what is kept.

use super::{Axis, Cells, Holds, Past, end_of};

/// How often a log that is read long after it was written is looked at, or was at the longest, in milliseconds; and how long before
/// the end of such a step its value is told.
const LOG_STEP_MS: i64 = 60_000;
const LOG_SHORT_MS: i64 = 10_000;

/// Puts how fast a counter grew on an axis, per second.
pub(super) fn put(past: &Past, axis: &Axis, cells: &Cells, holds: Holds<'_>, from_nothing: bool, into: &mut [f64]) {
    let seen = Seen { past, axis, holds, days: axis.of_days() };
    let first = past.buckets.0.first().or(past.samples.0.first()).copied();
    // A counter that was not there before began at nothing.
    let is_new = match holds {
        Holds::Alive(alive, _) => {
            from_nothing && cells.before.is_none() && first.is_some_and(|first| alive.before(first))
        }
        Holds::Imported(_) => false,
    };
    let mut last = cells.before.map(|(_, value)| value);
    let mut since = cells.before.map(|(time, _)| seen.before(time));
    let mut renewed = last.map(|_| axis.at(0));
    // When anything was known last, whether there was a value or not.
    let mut looked = match holds {
        Holds::Alive(alive, _) => alive.before,
        Holds::Imported(_) => None,
    };
    let (mut rate, mut until) = (f64::NAN, i64::MIN);
    // Steps before this one whose growth the next value that is known will tell.
    let mut waiting = 0;
    let mut gap = matches!(holds, Holds::Alive(alive, _) if alive.paused);
    for (place, cell) in cells.cells.iter().enumerate() {
        let at = axis.at(place);
        let told = cell.count > 0;
        if !(told || last.is_some() && holds.at(place, at, renewed)) {
            (waiting, gap) = (0, last.is_some());
            looked = looked.max(seen.commit(place));
            continue;
        }
        if !told && at <= until {
            into[place] = rate;
            continue;
        }
        let Some(known) = seen.known(place, told.then(|| cells.times[place])) else {
            waiting += 1;
            continue;
        };
        let now = if told { cell.last } else { last.unwrap_or(f64::NAN) };
        rate = match (last, since) {
            (Some(last), Some(since)) if known > since => grown(last, now) * 1e3 / (known - since) as f64,
            (None, _) if is_new => {
                looked.filter(|looked| known > *looked).map_or(f64::NAN, |looked| now * 1e3 / (known - looked) as f64)
            }
            _ => f64::NAN,
        };
        into[place - waiting..=place].fill(rate);
        // The first commit after a pause may come before all of the pause is caught up.
        if !(gap && rate == 0.0) {
            since = Some(known);
        }
        (last, until, waiting, gap) = (Some(now), known, 0, false);
        looked = looked.max(Some(known));
        if told {
            renewed = Some(at);
        }
    }
}

/// By how much a counter grew; one that is less than before began anew.
fn grown(before: f64, now: f64) -> f64 {
    if now >= before { now - before } else { now }
}

/// When values were known.
struct Seen<'a> {
    past: &'a Past,
    axis: &'a Axis,
    holds: Holds<'a>,
    days: bool,
}

impl Seen<'_> {
    /// When the value before the axis was known last, which was told at a time.
    fn before(&self, told: i64) -> i64 {
        let told_by = self.told_by(told);
        let begin = self.axis.at(0);
        match self.holds {
            Holds::Alive(alive, _) => alive.before.unwrap_or(told_by),
            Holds::Imported(Some(_)) => self.looked_before(begin).max(told_by),
            Holds::Imported(None) => told_by,
        }
    }

    /// When the value of a step was known last: it was told at a time within it, or it holds.
    fn known(&self, place: usize, told: Option<i64>) -> Option<i64> {
        let (at, end) = (self.axis.at(place), end_of(self.axis, place));
        let looked = match self.holds {
            Holds::Alive(..) => self.commit(place),
            Holds::Imported(Some(gone)) => Some(self.looked_before(end.min(gone))).filter(|looked| *looked >= at),
            Holds::Imported(None) => None,
        };
        let Some(told) = told else { return looked };
        match looked {
            // Others of the time have been rolled up, this one has not yet.
            Some(looked) if looked >= end && self.is_sample(told) => Some(told),
            Some(looked) => Some(looked.max(told)),
            None => Some(self.told_by(told)),
        }
    }

    /// When the daemon committed last in a step.
    fn commit(&self, place: usize) -> Option<i64> {
        match self.holds {
            Holds::Alive(alive, _) => alive.known.get(place).copied().flatten(),
            Holds::Imported(_) => None,
        }
    }

    fn is_sample(&self, time: i64) -> bool {
        self.past.samples.0.first().is_some_and(|first| *first <= time)
    }

    /// By when that was so which was told at a time: itself, or about the end of the bucket that begins at it.
    fn told_by(&self, time: i64) -> i64 {
        if self.is_sample(time) {
            return time;
        }
        let before_end = if matches!(self.holds, Holds::Imported(None)) { LOG_STEP_MS } else { LOG_SHORT_MS };
        time + self.past.bucket_ms(time, self.days) - before_end
    }

    /// When a log was looked at last before a time.
    fn looked_before(&self, end: i64) -> i64 {
        let step = if self.is_sample(end) { LOG_STEP_MS } else { self.past.bucket_ms(end, self.days).max(LOG_STEP_MS) };
        end.div_euclid(step).saturating_mul(step) - LOG_SHORT_MS
    }
}
