//! What was: lines of values over time.
//!
//! A question names nodes as the live tree's do, with folds and `*`. Each series that it finds is brought onto the same
//! [axis](Axis), where its value holds until it is another one, or the daemon was not there, or the node is gone
//! ([`line`]); then lines fold into each other as the tree's nodes do ([`find`]).

mod find;
mod line;
#[cfg(test)]
mod tests;

pub(crate) use find::{AskError, ask};

use super::history::{Range, of_days};
use crate::tree::Pattern;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) pattern: Pattern,
    pub(crate) range: Range,
    /// In milliseconds; 0 for each value that was committed.
    pub(crate) step_ms: i64,
    pub(crate) figure: Figure,
    /// How nodes fold, whatever their action is.
    pub(crate) fold: Option<Fold>,
    /// How often the daemon commits, in milliseconds.
    pub(crate) commit_ms: i64,
}

/// What is told of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// What the node's action makes of it: the mean of a gauge, the last of a counter.
    Value,
    /// By how much a counter grew per second.
    Rate,
    Mean,
    Min,
    Max,
    Last,
    /// The sum of the values that were committed.
    Sum,
    /// How many values were committed.
    Count,
}

impl Figure {
    /// All, as they are written.
    pub(crate) const NAMES: [(&'static str, Figure); 8] = [
        ("value", Figure::Value),
        ("rate", Figure::Rate),
        ("mean", Figure::Mean),
        ("min", Figure::Min),
        ("max", Figure::Max),
        ("last", Figure::Last),
        ("sum", Figure::Sum),
        ("count", Figure::Count),
    ];
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

    /// Whether its steps are whole days.
    pub(super) fn of_days(&self) -> bool {
        matches!(self, Axis::Even { step, .. } if of_days(*step))
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
    /// One for each step of the axis; not a number where there is none.
    pub(crate) values: Vec<f64>,
}
