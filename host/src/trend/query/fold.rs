//! Folds the lines of a question's series as the tree folds its nodes.

use super::events::{EVENT_BYTES_MAX, EVENT_VALUES_MAX, EVENTS_MAX, Events};
use super::find::{AskError, Node, VALUES_MAX};
use super::sketches::{Member, Merging};
use super::{Ask, Figure, Fold, Line, Told};
use crate::tree::{Pattern, Step};
use crate::trend::history::{IMPORTED, Range};
use plugin_api::Action;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// A line, and where it matters when each of its values was told last.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub(super) values: Vec<f64>,
    pub(super) times: Vec<i64>,
}

/// The lines of series that have any value, by their numbers.
pub(super) type Own = HashMap<u64, Timed>;

/// Series that are no numbers, or were none at some time.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) sketches: HashSet<u64>,
    pub(super) events: HashSet<u64>,
}

impl Others {
    pub(super) fn is_empty(&self) -> bool {
        self.sketches.is_empty() && self.events.is_empty()
    }
}

/// Folds lines as the tree folds its nodes.
pub(super) struct Folding<'a> {
    pub(super) ask: &'a Ask,
    /// For each figure.
    pub(super) owns: &'a [Own],
    pub(super) others: &'a Others,
    /// As it was asked for; that of the steps may begin earlier.
    pub(super) asked: Range,
    pub(super) merging: Merging<'a>,
    /// What all lines have of events, as [`Line::values`] counts them.
    pub(super) events: Cell<usize>,
}

impl Folding<'_> {
    /// Adds a line for each node that the steps find; `above` is the action that a node has without one of its own.
    pub(super) fn lines(
        &self,
        node: &Node,
        steps: &[Step],
        above: Action,
        shown: &mut Vec<Step>,
        lines: &mut Vec<Line>,
    ) -> Result<(), AskError> {
        let action = node.action.unwrap_or(above);
        match steps.split_first() {
            Some((Step::Each, rest)) => {
                for (key, child) in &node.children {
                    shown.push(Step::Key(key.clone()));
                    self.lines(child, rest, action, shown, lines)?;
                    shown.pop();
                }
            }
            Some((Step::Key(key), rest)) if rest.contains(&Step::Each) => {
                let Some(child) = node.children.get(key) else { return Ok(()) };
                shown.push(Step::Key(key.clone()));
                self.lines(child, rest, action, shown, lines)?;
                shown.pop();
            }
            _ => {
                if let Some(told) = self.told(node, steps, above)? {
                    let path = Pattern::display_steps(&[&shown[..], steps].concat());
                    let line = Line { path, told };
                    if matches!(line.told, Told::Events(_)) {
                        self.events.set(self.events.get().saturating_add(line.values()));
                    }
                    lines.push(line);
                    if self.events.get() > EVENT_VALUES_MAX {
                        return Err(AskError::TooMuch(
                            "there are more events in all than there is room for: ask for a shorter time or fewer keys"
                                .to_owned(),
                        ));
                    }
                    if lines.len().saturating_mul(self.merging.axis.len()) > VALUES_MAX {
                        return Err(AskError::TooMuch(format!(
                            "its lines have more than {VALUES_MAX} values: ask for a longer step, a shorter time or fewer keys"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is told of what the steps find below a node: figures of numbers, or else of sketches, or else events. Figures that
    /// only sketches have are told of these.
    fn told(&self, node: &Node, steps: &[Step], above: Action) -> Result<Option<Told>, AskError> {
        if self.ask.figures.iter().any(|figure| figure.is_of_sketches())
            && let Some(told) = self.merged(node, steps)?
        {
            return Ok(Some(told));
        }
        let n = self.merging.axis.len();
        let line = |(figure, own): (&Figure, &Own)| {
            let numbers = Numbers { figure: *figure, fold: self.ask.fold, own };
            if own.is_empty() { None } else { numbers.fold(node, steps, above).map(|line| line.values) }
        };
        let figures: Vec<Option<Vec<f64>>> = self.ask.figures.iter().zip(self.owns).map(line).collect();
        if figures.iter().any(Option::is_some) {
            let none = || vec![f64::NAN; n];
            return Ok(Some(Told::Figures(figures.into_iter().map(|line| line.unwrap_or_else(none)).collect())));
        }
        if !self.ask.figures.is_empty()
            && let Some(told) = self.merged(node, steps)?
        {
            return Ok(Some(told));
        }
        let mut members = Vec::new();
        self.gather(node, steps, &self.others.events, &mut members);
        let mut events = Events::default();
        for member in &members {
            if !events.add(self.merging.snapshot, member, self.asked)? {
                return Err(AskError::TooMuch(format!(
                    "there are more than {EVENTS_MAX} events, or {EVENT_BYTES_MAX} bytes of them: ask for a shorter time"
                )));
            }
        }
        // Of several nodes, one that went says nothing of the others.
        let of_one =
            members.first().is_some_and(|first| steps.is_empty() && node.series.iter().any(|(id, ..)| *id == first.id));
        Ok(events.finish(of_one))
    }

    fn merged(&self, node: &Node, steps: &[Step]) -> Result<Option<Told>, AskError> {
        let mut members = Vec::new();
        self.gather(node, steps, &self.others.sketches, &mut members);
        if members.is_empty() {
            return Ok(None);
        }
        Ok(self.merging.lines(&members)?.map(Told::Figures))
    }

    /// The series of a kind that the steps find below a node; below what they find, where that has no values of its own and figures are
    /// wanted.
    fn gather(&self, node: &Node, steps: &[Step], of: &HashSet<u64>, into: &mut Vec<Member>) {
        if of.is_empty() {
            return;
        }
        let rest = match steps.split_first() {
            None => {
                let own = node.series.iter().filter(|(id, ..)| of.contains(id));
                let before = into.len();
                into.extend(own.map(|(id, gone, _)| Member { id: *id, gone: *gone, imported: *id >= IMPORTED }));
                if into.len() > before
                    || self.ask.figures.is_empty()
                    || node.series.iter().any(|(id, ..)| self.owns.iter().any(|own| own.contains_key(id)))
                {
                    return;
                }
                &[]
            }
            Some((Step::Key(key), rest)) => {
                if let Some(child) = node.children.get(key) {
                    self.gather(child, rest, of, into);
                }
                return;
            }
            Some((Step::Fold | Step::Each, rest)) => rest,
        };
        for child in node.children.values() {
            self.gather(child, rest, of, into);
        }
    }
}

/// What is told of numbers: one figure of the lines of their series.
struct Numbers<'a> {
    figure: Figure,
    fold: Option<Fold>,
    own: &'a Own,
}

impl Numbers<'_> {
    /// What the steps find below a node, as one line.
    fn fold(&self, node: &Node, steps: &[Step], above: Action) -> Option<Timed> {
        let action = node.action.unwrap_or(above);
        match steps.split_first() {
            None => match (self.own(node), self.children(node, &[], action)) {
                // Where it has no values of its own, what is below counts.
                (Some(mut own), Some(below)) if self.figure != Figure::Sum => {
                    for (own, below) in own.values.iter_mut().zip(below.values) {
                        *own = if own.is_nan() { below } else { *own };
                    }
                    own.times.iter_mut().zip(below.times).for_each(|(own, below)| *own = below.max(*own));
                    Some(own)
                }
                (own, below) => own.or(below),
            },
            Some((Step::Key(key), rest)) => self.fold(node.children.get(key)?, rest, action),
            Some((Step::Fold | Step::Each, rest)) => self.children(node, rest, action),
        }
    }

    fn children(&self, node: &Node, rest: &[Step], action: Action) -> Option<Timed> {
        let fold = self.fold.unwrap_or(match action {
            Action::Average => Fold::Mean,
            Action::Min => Fold::Min,
            Action::Max => Fold::Max,
            Action::Last => Fold::Last,
            Action::Add | Action::Top { .. } | Action::Quantiles | Action::Distinct => Fold::Sum,
        });
        let mut sum: Option<Timed> = None;
        let mut counts: Vec<u32> = Vec::new();
        for child in node.children.values() {
            let Some(told) = self.fold(child, rest, action) else { continue };
            if fold == Fold::Mean {
                counts.resize(told.values.len(), 0);
                counts.iter_mut().zip(&told.values).for_each(|(count, value)| *count += u32::from(!value.is_nan()));
            }
            match &mut sum {
                None => sum = Some(told),
                Some(sum) if fold == Fold::Last => sum.take_later(&told),
                Some(sum) => {
                    sum.values.iter_mut().zip(told.values).for_each(|(sum, value)| *sum = folded(fold, *sum, value));
                    sum.times.iter_mut().zip(told.times).for_each(|(sum, time)| *sum = time.max(*sum));
                }
            }
        }
        let mut sum = sum?;
        if fold == Fold::Mean {
            sum.values.iter_mut().zip(counts).for_each(|(sum, count)| *sum /= f64::from(count));
        }
        Some(sum)
    }

    /// The line of a node's own values, if it ever had any: of the series that it was, one after another.
    fn own(&self, node: &Node) -> Option<Timed> {
        let mut lines = node.series.iter().filter_map(|(id, ..)| self.own.get(id));
        let mut all = lines.next()?.clone();
        for later in lines {
            all.values.iter_mut().zip(&later.values).for_each(|(value, later)| {
                *value = if later.is_nan() { *value } else { *later };
            });
            all.times.iter_mut().zip(&later.times).for_each(|(time, later)| *time = *later.max(time));
        }
        Some(all)
    }
}

impl Timed {
    /// Takes what was told later in each step.
    fn take_later(&mut self, other: &Timed) {
        for (at, value) in other.values.iter().enumerate() {
            let is_later = self.times.get(at) <= other.times.get(at);
            if !value.is_nan() && (self.values[at].is_nan() || is_later) {
                self.values[at] = *value;
                if let (Some(time), Some(later)) = (self.times.get_mut(at), other.times.get(at)) {
                    *time = *later;
                }
            }
        }
    }
}

fn folded(fold: Fold, a: f64, b: f64) -> f64 {
    match fold {
        // What is there counts.
        _ if a.is_nan() => b,
        _ if b.is_nan() => a,
        Fold::Sum | Fold::Mean => a + b,
        Fold::Min => a.min(b),
        Fold::Max => a.max(b),
        Fold::Last => b,
    }
}
