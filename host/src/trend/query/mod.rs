//! What was: lines of values over time.
//!
//! A question names nodes as the live tree's do, with folds and `*`. Each series that it finds is brought onto the same
//! [axis](Axis), where its value holds until it is another one, or the daemon was not there, or the node is gone
//! ([`line`]); then lines fold into each other as the tree's nodes do ([`fold`]). Where there are no numbers, what sketches were
//! fed in each step is merged ([`sketches`]), or texts are told as they changed ([`events`]).

mod events;
mod find;
mod fold;
mod line;
mod sketches;
#[cfg(test)]
mod tests;

pub(crate) use find::{AskError, Numbers, ask, ask_of};

use super::history::{DAY_MS, Range, of_days};
use crate::tree::Pattern;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) pattern: Pattern,
    pub(crate) range: Range,
    /// In milliseconds; 0 for each value that was committed.
    pub(crate) step_ms: i64,
    /// The range is one step, wherever it begins; `step_ms` is its length.
    pub(crate) one: bool,
    /// None where texts alone are wanted, of the nodes that the pattern finds and of none below: no numbers are read then.
    pub(crate) figures: Vec<Figure>,
    /// How nodes fold, whatever their action is.
    pub(crate) fold: Option<Fold>,
    /// How often the daemon commits, in milliseconds.
    pub(crate) commit_ms: i64,
}

/// The steps that a range is divided into unless it is told, in milliseconds: those of the roll-ups, and what people think in.
const STEPS: [i64; 12] = [
    10_000,
    30_000,
    60_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];

/// The length of a step in milliseconds so that a range has at most so many, and none is shorter than what is kept.
pub(crate) fn step_for(range: Range, finest_ms: i64, most: i64) -> i64 {
    let length = range.to.saturating_sub(range.from);
    let fits = |step: &&i64| length / **step <= most && **step >= finest_ms;
    STEPS.iter().find(fits).or(STEPS.last()).copied().unwrap_or(DAY_MS)
}

/// What is told of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// What the node's action makes of it: the mean of a gauge, the last of a counter, the median of quantiles.
    Value,
    /// By how much a counter grew per second; how many numbers quantiles were fed per second.
    Rate,
    Mean,
    Min,
    Max,
    Last,
    /// The sum of the values that were committed.
    Sum,
    /// How many values were committed, or quantiles fed.
    Count,
    /// The quantile of what was fed; of sketches alone.
    Quantile(f64),
    /// How many different items there were; of sketches alone.
    Distinct,
}

impl Figure {
    /// All, as they are written.
    pub(crate) const NAMES: [(&'static str, Figure); 14] = [
        ("value", Figure::Value),
        ("rate", Figure::Rate),
        ("mean", Figure::Mean),
        ("min", Figure::Min),
        ("max", Figure::Max),
        ("last", Figure::Last),
        ("sum", Figure::Sum),
        ("count", Figure::Count),
        ("p50", Figure::Quantile(0.5)),
        ("p90", Figure::Quantile(0.9)),
        ("p95", Figure::Quantile(0.95)),
        ("p99", Figure::Quantile(0.99)),
        ("p999", Figure::Quantile(0.999)),
        ("distinct", Figure::Distinct),
    ];

    /// Whether numbers have none of the kind.
    pub(in crate::trend) fn is_of_sketches(self) -> bool {
        matches!(self, Figure::Quantile(_) | Figure::Distinct)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Figure::NAMES.iter().find(|(_, figure)| *figure == self).map_or("", |(name, _)| name)
    }
}

/// How lines become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Mean,
    Min,
    Max,
    Last,
}

impl Fold {
    /// All, as they are written.
    pub(crate) const NAMES: [(&'static str, Fold); 5] =
        [("sum", Fold::Sum), ("mean", Fold::Mean), ("min", Fold::Min), ("max", Fold::Max), ("last", Fold::Last)];
}

/// The times of lines, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Steps that begin at whole multiples of their length.
    Even { from: i64, step: i64, n: usize },
    /// The times of commits.
    Times(Vec<i64>),
}

impl Axis {
    /// Steps that hold a range.
    pub(super) fn even(range: Range, step: i64) -> Axis {
        let from = range.from.div_euclid(step) * step;
        let n = (range.to - from + step - 1).div_euclid(step).max(0);
        Axis::Even { from, step, n: usize::try_from(n).unwrap_or(0) }
    }

    /// Leaves the first steps, so many.
    pub(crate) fn truncate(&mut self, most: usize) {
        match self {
            Axis::Even { n, .. } => *n = most.min(*n),
            Axis::Times(times) => times.truncate(most),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Axis::Even { n, .. } => *n,
            Axis::Times(times) => times.len(),
        }
    }

    /// Whether its steps are whole days, as history has them.
    pub(super) fn of_days(&self) -> bool {
        matches!(self, Axis::Even { from, step, .. } if of_days(*step) && from.rem_euclid(DAY_MS) == 0)
    }

    /// When it begins and the length of its steps, if they are all the same.
    pub(crate) fn evenly(&self) -> Option<(i64, i64)> {
        match self {
            Axis::Even { from, step, .. } => Some((*from, *step)),
            Axis::Times(times) => {
                let (first, second) = (times.first()?, times.get(1)?);
                times.windows(2).all(|pair| pair[1] - pair[0] == second - first).then_some((*first, second - first))
            }
        }
    }

    /// When a step begins.
    pub(crate) fn at(&self, place: usize) -> i64 {
        match self {
            Axis::Even { from, step, .. } => from + place as i64 * step,
            Axis::Times(times) => times.get(place).copied().unwrap_or(i64::MAX),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The path that was asked for, with what `*` stands for.
    pub(crate) path: String,
    pub(crate) told: Told,
}

impl Line {
    /// How much there is of it, in values of eight bytes.
    pub(crate) fn values(&self) -> usize {
        match &self.told {
            Told::Figures(figures) => figures.iter().map(Vec::len).sum(),
            // A text has its place, its bytes and their allocation.
            Told::Events(events) => events.iter().map(|(_, text)| 6 + text.as_ref().map_or(0, String::len) / 8).sum(),
        }
    }
}

/// What is told of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// A line for each figure that was asked for, with one for each step of the axis; not a number where there is none.
    Figures(Vec<Vec<f64>>),
    /// Since when there was which text, in milliseconds since the Unix epoch; none from when on there was no node any more. The
    /// first held as the range began, where it is older than that.
    Events(Vec<(i64, Option<String>)>),
}
