//! Sketches on an axis: what was fed in each step, merged.

use super::find::AskError;
use super::line::Alive;
use super::{Axis, Figure};
use crate::tree::Fed;
use crate::trend::history::{DAY_MS, Piece, Range, Snapshot};
use plugin_api::sketch::{Distinct, Quantiles};
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

/// A line to be: the series that it merges, each with the time from which on it was no more. Those that were imported are as if
/// the daemon had been there while they were.
#[derive(Debug)]
pub(super) struct Merging<'a> {
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) axis: &'a Axis,
    pub(super) range: Range,
    pub(super) figures: &'a [Figure],
    /// When the daemon was there.
    pub(super) alive: &'a Alive,
    /// When it was there last, and how often it commits, in milliseconds.
    pub(super) newest: i64,
    pub(super) commit_ms: i64,
}

/// A series that is merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) gone: Option<i64>,
    pub(super) imported: bool,
}

/// What was fed in a step.
#[derive(Debug, Default)]
struct Cell {
    quantiles: Option<Quantiles>,
    distinct: Option<Distinct>,
    /// The longest time that any of it is for, in milliseconds.
    long_ms: i64,
}

/// Lines of both kinds as they become.
#[derive(Debug)]
struct Lines {
    quantiles: Vec<Vec<f64>>,
    distinct: Vec<Vec<f64>>,
    any_quantiles: bool,
    any_distinct: bool,
}

impl Merging<'_> {
    /// A line of values for each figure; none if nothing was fed in the range, or no figure is one of what was.
    ///
    /// # Errors
    /// History cannot be read.
    pub(super) fn lines(&self, members: &[Member]) -> Result<Option<Vec<Vec<f64>>>, AskError> {
        let n = self.axis.len();
        let empty = || vec![vec![f64::NAN; n]; self.figures.len()];
        let mut lines = Lines { quantiles: empty(), distinct: empty(), any_quantiles: false, any_distinct: false };
        let mut cells: BTreeMap<usize, Cell> = BTreeMap::new();
        let mut spans = Vec::new();
        for member in members {
            if let Some(span) = self.snapshot.fed_span(member.id)? {
                spans.push((*member, span));
            }
        }
        let long = self.stretch();
        let first = spans.iter().map(|(_, span)| span.from).min().unwrap_or(i64::MAX);
        let end = spans.iter().map(|(_, span)| span.to).max().unwrap_or(i64::MIN).min(self.range.to);
        let mut from = self.range.from.max(first);
        while from < end && n > 0 {
            let to = (from.div_euclid(long) + 1).saturating_mul(long).min(end);
            for (member, _) in spans.iter().filter(|(_, span)| span.from < to && from < span.to) {
                let whole = |day: i64| self.is_even() && self.place(day) == self.place(day + DAY_MS - 1);
                self.snapshot.pieces(member.id, Range { from, to }, whole, |piece| self.put(&mut cells, piece))?;
            }
            // What comes is later: steps that end by now have all that is theirs.
            let open = if to < end { self.place(to).unwrap_or(0) } else { n };
            let rest = cells.split_off(&open);
            for (place, cell) in std::mem::replace(&mut cells, rest) {
                self.tell(&mut lines, place, &cell);
            }
            from = to;
        }
        let Lines { quantiles, distinct, any_quantiles, any_distinct } = lines;
        // As in the tree, quantiles go before distinct counts.
        let wants_distinct = self.figures.iter().all(|figure| *figure == Figure::Distinct);
        let (mut lines, is_distinct) = match (any_quantiles, any_distinct) {
            (true, _) if !(wants_distinct && any_distinct) => (quantiles, false),
            (_, true) => (distinct, true),
            _ => return Ok(None),
        };
        if !self.figures.iter().any(|figure| is_figure_of(*figure, is_distinct)) {
            return Ok(None);
        }
        self.put_zeros(&spans, &mut lines, is_distinct);
        Ok(Some(lines))
    }

    fn is_even(&self) -> bool {
        matches!(self.axis, Axis::Even { .. })
    }

    /// The time that is read at once: what is held of it is some thousand steps.
    fn stretch(&self) -> i64 {
        match self.axis {
            Axis::Even { step, .. } if *step >= DAY_MS => 32 * DAY_MS,
            Axis::Even { step, .. } if *step >= 600_000 => 2 * DAY_MS,
            Axis::Even { .. } | Axis::Times(_) => 6 * HOUR_MS,
        }
    }

    /// The step of a time.
    fn place(&self, time: i64) -> Option<usize> {
        match self.axis {
            Axis::Even { from, step, n } => {
                usize::try_from((time - from).div_euclid(*step)).ok().filter(|place| place < n)
            }
            Axis::Times(times) => times.partition_point(|other| *other <= time).checked_sub(1),
        }
    }

    fn put(&self, cells: &mut BTreeMap<usize, Cell>, piece: Piece) {
        let Some(place) = self.place(piece.time) else { return };
        let cell = cells.entry(place).or_default();
        cell.long_ms = cell.long_ms.max(piece.long_ms);
        match piece.fed {
            Fed::Quantiles(sketch) => match &mut cell.quantiles {
                Some(merged) => merged.merge(&sketch),
                None => cell.quantiles = Some(*sketch),
            },
            Fed::Distinct(sketch) => match &mut cell.distinct {
                Some(merged) => merged.merge(&sketch),
                None => cell.distinct = Some(*sketch),
            },
        }
    }

    fn tell(&self, lines: &mut Lines, place: usize, cell: &Cell) {
        lines.any_quantiles |= cell.quantiles.is_some();
        lines.any_distinct |= cell.distinct.is_some();
        let at = self.axis.at(place);
        // Steps that are shorter than what is kept have the same of it, as far as it can be divided.
        let mut covered = place + 1;
        while covered < self.axis.len() && self.axis.at(covered) < at.saturating_add(cell.long_ms) {
            covered += 1;
        }
        let seconds = self.seconds(place, covered, cell.long_ms);
        for (n, figure) in self.figures.iter().enumerate() {
            let told = [
                cell.quantiles.as_ref().map(|sketch| of_quantiles(sketch, *figure, seconds)),
                cell.distinct.as_ref().map(|sketch| of_distinct(sketch, *figure)),
            ];
            for (line, value) in [&mut lines.quantiles[n], &mut lines.distinct[n]].into_iter().zip(told) {
                let Some(value) = value else { continue };
                line[place] = value;
                if !matches!(figure, Figure::Count | Figure::Sum) {
                    line[place + 1..covered].fill(value);
                }
            }
        }
    }

    /// How long a step is, as far as there is anything of it, in seconds.
    fn seconds(&self, place: usize, covered: usize, long_ms: i64) -> f64 {
        let at = self.axis.at(place);
        let ms = match self.axis {
            Axis::Even { step, .. } => {
                let step = (*step).max(long_ms);
                let begun = (self.range.from - at).max(0);
                // A commit tells of the time before it.
                let there = self.newest.max(at) + self.commit_ms - at;
                if covered == place + 1 { step.min(there) - begun } else { step }
            }
            Axis::Times(_) if long_ms > 0 => long_ms,
            Axis::Times(times) => match place.checked_sub(1).and_then(|before| times.get(before)) {
                // After a pause, it is of no more than of one commit.
                Some(before) => (at - before).min(self.commit_ms),
                None => self.commit_ms,
            },
        };
        ms.max(1) as f64 / 1e3
    }

    /// Where nothing was fed though somebody was there to, nothing is what was counted.
    fn put_zeros(&self, members: &[(Member, Range)], lines: &mut [Vec<f64>], is_distinct: bool) {
        let mut there = vec![false; self.axis.len()];
        for (member, span) in members {
            // What was imported ends somewhen.
            let gone = if member.imported { Some(member.gone.unwrap_or(i64::MIN)) } else { member.gone };
            for (place, there) in there.iter_mut().enumerate() {
                let alive = member.imported || self.alive.is_there(place);
                let is_over = gone.is_some_and(|gone| self.axis.at(place) >= gone);
                *there |= alive && span.from < self.end(place) && !is_over;
            }
        }
        for (figure, line) in self.figures.iter().zip(lines) {
            let counts = match figure {
                Figure::Count | Figure::Sum | Figure::Rate => !is_distinct,
                Figure::Value | Figure::Last | Figure::Distinct => is_distinct,
                Figure::Mean | Figure::Min | Figure::Max | Figure::Quantile(_) => false,
            };
            if counts {
                line.iter_mut()
                    .zip(&there)
                    .filter(|(value, there)| **there && value.is_nan())
                    .for_each(|(value, _)| *value = 0.0);
            }
        }
    }

    fn end(&self, place: usize) -> i64 {
        match self.axis {
            Axis::Even { step, .. } => self.axis.at(place).saturating_add(*step),
            Axis::Times(times) => times.get(place + 1).copied().unwrap_or(i64::MAX),
        }
    }
}

/// Whether a kind of sketches has a figure.
fn is_figure_of(figure: Figure, is_distinct: bool) -> bool {
    match figure {
        Figure::Value | Figure::Last => true,
        Figure::Distinct => is_distinct,
        _ => !is_distinct,
    }
}

fn of_quantiles(sketch: &Quantiles, figure: Figure, seconds: f64) -> f64 {
    let told = match figure {
        Figure::Value | Figure::Last => sketch.quantile(0.5),
        Figure::Quantile(q) => sketch.quantile(q),
        Figure::Mean => Some(sketch.sum() / sketch.count() as f64),
        Figure::Min => sketch.min(),
        Figure::Max => sketch.max(),
        Figure::Sum => Some(sketch.sum()),
        Figure::Count => Some(sketch.count() as f64),
        Figure::Rate => Some(sketch.count() as f64 / seconds),
        Figure::Distinct => None,
    };
    told.unwrap_or(f64::NAN)
}

fn of_distinct(sketch: &Distinct, figure: Figure) -> f64 {
    match figure {
        Figure::Value | Figure::Last | Figure::Distinct => sketch.estimate().round(),
        _ => f64::NAN,
    }
}
