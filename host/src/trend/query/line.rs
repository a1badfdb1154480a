//! A series on an axis.

use super::{Axis, Figure};
use crate::trend::codec::bucket::Bucket;
use crate::trend::history::{DAY_MS, Past, There};

mod rate;

/// How long a value holds that no daemon was there to renew, in milliseconds: as long as Prometheus lets one stand, and a bucket
/// of the longest that there are but the days.
const IMPORTED_HOLDS_MS: i64 = 600_000;

/// Until when the last value of a series holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds<'a> {
    /// While the daemon was there, and until the node went.
    Alive(&'a Alive, Option<i64>),
    /// To its end, where that is known, else for a while.
    Imported(Option<i64>),
}

/// When the daemon was there.
#[derive(Clone, Debug, Default)]
pub(super) struct Alive {
    /// By the places of the axis.
    places: Vec<bool>,
    /// When it committed last within each step, if it did; for rates alone.
    known: Vec<Option<i64>>,
    /// When it did so before the axis begins.
    before: Option<i64>,
    /// It was not there any more as the axis begins.
    paused: bool,
    /// The times of its commits, ascending.
    times: Vec<i64>,
    /// Those are days.
    days: bool,
}

impl Alive {
    /// On an axis, for what a figure needs.
    pub(super) fn on(axis: &Axis, there: &[There], figure: Figure) -> Alive {
        let times = there.iter().map(|there| there.at).collect();
        let mut alive = Alive { times, days: axis.of_days(), ..Alive::default() };
        if axis.len() == 0 {
            return alive;
        }
        let mut rest = there.iter().peekable();
        let mut until = i64::MIN;
        let begin = axis.at(0);
        while let Some(there) = rest.next_if(|there| there.at < begin) {
            until = until.max(there.until);
            alive.before = alive.before.max(Some(there.known));
        }
        alive.paused = until <= begin;
        for place in 0..axis.len() {
            let end = end_of(axis, place);
            let mut was = until > axis.at(place);
            let mut known = None;
            while let Some(there) = rest.next_if(|there| there.at < end) {
                until = until.max(there.until);
                known = known.max(Some(there.known));
                was = true;
            }
            alive.places.push(was);
            if figure == Figure::Rate {
                alive.known.push(known);
            }
        }
        alive
    }

    /// Whether it was there in a step.
    pub(super) fn is_there(&self, place: usize) -> bool {
        self.places.get(place) == Some(&true)
    }

    /// Whether it had all there was before a value came at a time, so that this is new: each day begins with all there is.
    fn before(&self, time: i64) -> bool {
        let day = time.div_euclid(DAY_MS) * DAY_MS;
        let at = self.times.partition_point(|other| *other < time);
        at > 0 && self.times[at - 1] >= if self.days { day - DAY_MS } else { day }
    }
}

/// Steps of which some have samples.
struct Cells {
    cells: Vec<Bucket>,
    /// The last value before the axis begins, and when it was told or its bucket began.
    before: Option<(i64, f64)>,
    /// The times of the last of each step; none unless they are wanted.
    times: Vec<i64>,
}

const EMPTY: Bucket = Bucket { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, last: f64::NAN };

impl Cells {
    fn of<'p>(past: &'p Past, axis: &Axis, figure: Figure, cuts: &mut Cuts<'p>) -> Cells {
        let mut cells = Cells { cells: vec![EMPTY; axis.len()], before: None, times: Vec::new() };
        if figure == Figure::Rate {
            cells.times.resize(axis.len(), i64::MIN);
        }
        let extremes = matches!(figure, Figure::Min | Figure::Max);
        let (times, buckets) = &past.buckets;
        let cut = cuts.buckets.of(times, axis);
        cells.before = cut.before.checked_sub(1).map(|at| (times[at], buckets[at].last));
        for (place, within) in cut.steps() {
            buckets[within].iter().for_each(|bucket| cells.cells[place].add(bucket));
        }
        cells.told_by(cut);
        let (times, values) = &past.samples;
        let cut = cuts.samples.of(times, axis);
        cells.before = cut.before.checked_sub(1).map(|at| (times[at], values[at])).or(cells.before);
        for (place, within) in cut.steps() {
            let values = &values[within];
            let cell = &mut cells.cells[place];
            cell.count += values.len() as u64;
            cell.sum += values.iter().sum::<f64>();
            cell.last = values.last().copied().unwrap_or(cell.last);
            if extremes {
                cell.min = values.iter().copied().fold(cell.min, f64::min);
                cell.max = values.iter().copied().fold(cell.max, f64::max);
            }
        }
        cells.told_by(cut);
        cells
    }

    /// Takes on when each step was told last, where that is wanted.
    fn told_by(&mut self, cut: &Cut<'_>) {
        if !self.times.is_empty() {
            for (place, within) in cut.steps() {
                self.times[place] = cut.times[within.end - 1];
            }
        }
    }
}

/// How the steps of an axis cut the times of one series after another. What is told at each commit has the same times: they
/// are cut once.
#[derive(Debug, Default)]
pub(super) struct Cuts<'p> {
    buckets: Cut<'p>,
    samples: Cut<'p>,
}

/// Times, and which of them are in which step.
#[derive(Debug, Default)]
struct Cut<'p> {
    times: &'p [i64],
    /// So many are before the first step.
    before: usize,
    /// Of those that have some, the place, and where its times end: there those of the next begin.
    ends: Vec<(u32, u32)>,
}

impl<'p> Cut<'p> {
    /// That of these times on the axis, which is always the same.
    fn of(&mut self, times: &'p [i64], axis: &Axis) -> &Cut<'p> {
        if !std::ptr::eq(self.times, times) && self.times != times {
            self.times = times;
            self.before = 0;
            self.ends.clear();
            self.ends.reserve(times.len().min(axis.len()));
            each_step(times, axis, |place, within| match place {
                None => self.before = within.end,
                // There are fewer than columns and lines may have values.
                Some(place) => self.ends.push((place as u32, within.end as u32)),
            });
        }
        self
    }

    /// The place of each step that has some, and these.
    fn steps(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + '_ {
        let mut start = self.before;
        self.ends
            .iter()
            .map(move |(place, end)| (*place as usize, std::mem::replace(&mut start, *end as usize)..*end as usize))
    }
}

/// Calls with the times of each step that has some, first of all with those before the first step.
fn each_step(times: &[i64], axis: &Axis, mut each: impl FnMut(Option<usize>, std::ops::Range<usize>)) {
    let begin = if axis.len() == 0 { i64::MAX } else { axis.at(0) };
    let mut at = times.partition_point(|time| *time < begin);
    if at > 0 {
        each(None, 0..at);
    }
    let mut place = 0;
    while at < times.len() {
        let mut end = end_of(axis, place);
        if times[at] >= end {
            // Steps that have none are passed over.
            place += 1;
            if let Axis::Even { from, step, n } = axis
                && *n > 0
            {
                place = usize::try_from((times[at] - from) / step).map_or(*n - 1, |place| place.min(*n - 1));
            }
            end = end_of(axis, place);
        }
        let first = at;
        while at < times.len() && times[at] < end {
            at += 1;
        }
        if first < at {
            each(Some(place), first..at);
        }
    }
}

/// When the value of each step was told last.
pub(super) fn told_at(past: &Past, axis: &Axis) -> Vec<i64> {
    let mut all = vec![i64::MIN; axis.len()];
    let mut before = i64::MIN;
    for times in [&past.buckets.0, &*past.samples.0] {
        each_step(times, axis, |place, within| match place {
            None => before = before.max(times[within.end - 1]),
            Some(place) => all[place] = times[within.end - 1],
        });
    }
    for time in &mut all {
        before = before.max(*time);
        *time = before;
    }
    all
}

/// Where the step at a place ends, and another begins.
fn end_of(axis: &Axis, place: usize) -> i64 {
    if place + 1 < axis.len() { axis.at(place + 1) } else { i64::MAX }
}

/// Puts a series on an axis: one figure for each step, not a number where there is none. Of a counter it is said whether it
/// may have begun at nothing.
pub(super) fn put<'p>(
    past: &'p Past,
    axis: &Axis,
    cuts: &mut Cuts<'p>,
    figure: Figure,
    holds: Holds<'_>,
    from_nothing: bool,
    into: &mut [f64],
) {
    let cells = Cells::of(past, axis, figure, cuts);
    if figure == Figure::Rate {
        return rate::put(past, axis, &cells, holds, from_nothing, into);
    }
    let mut last = cells.before.map(|(_, value)| value);
    let mut renewed = last.map(|_| axis.at(0));
    for (place, (cell, out)) in cells.cells.iter().zip(into).enumerate() {
        let at = axis.at(place);
        if cell.count == 0 {
            let Some(value) = last.filter(|_| holds.at(place, at, renewed)) else { continue };
            *out = match figure {
                Figure::Count => 0.0,
                Figure::Sum => f64::NAN,
                _ => value,
            };
            continue;
        }
        *out = match figure {
            Figure::Mean => cell.sum / cell.count as f64,
            Figure::Min => cell.min,
            Figure::Max => cell.max,
            Figure::Sum => cell.sum,
            Figure::Count => cell.count as f64,
            // Those of sketches are not asked of numbers.
            Figure::Value | Figure::Last | Figure::Rate | Figure::Quantile(_) | Figure::Distinct => cell.last,
        };
        last = Some(cell.last);
        renewed = Some(at);
    }
}

impl Holds<'_> {
    /// Whether a value that was renewed last at a time holds at a place.
    fn at(&self, place: usize, at: i64, renewed: Option<i64>) -> bool {
        match self {
            Holds::Alive(alive, gone) => alive.is_there(place) && gone.is_none_or(|gone| at < gone),
            Holds::Imported(Some(end)) => at < *end,
            Holds::Imported(None) => renewed.is_some_and(|renewed| at - renewed <= IMPORTED_HOLDS_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Alive, Axis, Cuts, Figure, Holds, Past, put};

    fn past(samples: &[(i64, f64)]) -> Past {
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        Past { samples: (times.into(), values), ..Past::default() }
    }

    fn line(samples: &[(i64, f64)], figure: Figure, holds: Holds<'_>) -> Vec<Option<f64>> {
        let axis = Axis::Even { from: 100_000, step: 10_000, n: 6 };
        let mut values = vec![f64::NAN; axis.len()];
        put(&past(samples), &axis, &mut Cuts::default(), figure, holds, true, &mut values);
        values.into_iter().map(|x| (!x.is_nan()).then_some(x)).collect()
    }

    fn there(places: [bool; 6]) -> Alive {
        let known = (10..).zip(places).map(|(n, there)| there.then_some(n * 10_000)).collect();
        let times = (5..16).map(|n| n * 10_000).collect();
        Alive { places: places.to_vec(), known, before: Some(90_000), times, ..Alive::default() }
    }

    #[test]
    fn a_value_holds_while_the_daemon_is_there() {
        let samples = [(90_000, 1.0), (120_000, 2.0)];
        let always = there([true; 6]);
        assert_eq!(
            line(&samples, Figure::Value, Holds::Alive(&always, None)),
            [1.0, 1.0, 2.0, 2.0, 2.0, 2.0].map(Some)
        );
        let was_not = there([true, false, true, true, false, true]);
        let was_not = Holds::Alive(&was_not, None);
        let expected = [Some(1.0), None, Some(2.0), Some(2.0), None, Some(2.0)];
        assert_eq!(line(&samples, Figure::Value, was_not), expected);
    }

    #[test]
    fn what_is_gone_has_no_value_any_more() {
        let always = there([true; 6]);
        let gone = Holds::Alive(&always, Some(135_000));
        let expected = [None, Some(5.0), Some(5.0), Some(5.0), None, None];
        assert_eq!(line(&[(110_000, 5.0)], Figure::Value, gone), expected);
    }

    #[test]
    fn a_rate_has_no_peak_after_a_pause() {
        // For thirty seconds nobody was there, and three hundred came meanwhile.
        let was_not = there([true, true, false, false, true, true]);
        let was_not = Holds::Alive(&was_not, None);
        let samples = [(90_000, 1_000.0), (110_000, 1_100.0), (140_000, 1_400.0), (150_000, 1_500.0)];
        let expected = [Some(0.0), Some(10.0), None, None, Some(10.0), Some(10.0)];
        assert_eq!(line(&samples, Figure::Rate, was_not), expected);
    }

    #[test]
    fn a_counter_that_begins_anew_counts_from_nothing() {
        let samples = [(90_000, 1_000.0), (110_000, 40.0)];
        let always = there([true; 6]);
        assert_eq!(line(&samples, Figure::Rate, Holds::Alive(&always, None))[1], Some(4.0));
        // One that was not there before did as well, but not one that the day began with: it may be old.
        assert_eq!(line(&[(120_000, 30.0)], Figure::Rate, Holds::Alive(&always, None))[2], Some(3.0));
        assert_eq!(line(&[(50_000, 30.0), (120_000, 30.0)], Figure::Rate, Holds::Alive(&always, None))[2], Some(0.0));
        let begins = Alive { times: vec![120_000, 130_000], ..always };
        assert_eq!(line(&[(120_000, 30.0)], Figure::Rate, Holds::Alive(&begins, None))[2], None);
    }

    #[test]
    fn several_samples_of_a_step_are_one_figure() {
        let samples = [(100_000, 1.0), (103_000, 4.0), (106_000, 1.0)];
        let always = there([true; 6]);
        for (figure, expected) in [
            (Figure::Mean, 2.0),
            (Figure::Min, 1.0),
            (Figure::Max, 4.0),
            (Figure::Last, 1.0),
            (Figure::Sum, 6.0),
            (Figure::Count, 3.0),
        ] {
            assert_eq!(line(&samples, figure, Holds::Alive(&always, None))[0], Some(expected), "{figure:?}");
        }
    }

    #[test]
    fn what_was_imported_holds_for_a_while() {
        assert_eq!(line(&[(100_000, 3.0)], Figure::Value, Holds::Imported(None)), [Some(3.0); 6]);
        let ends = Holds::Imported(Some(120_000));
        assert_eq!(line(&[(100_000, 3.0)], Figure::Value, ends)[2..], [None; 4]);
    }
}
