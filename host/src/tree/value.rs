//! What a node holds of its own.

use plugin_api::sketch::{Distinct, Quantiles};
use std::collections::VecDeque;

/// A node's own value. Sixteen bytes: whatever is larger is boxed, for most nodes are numbers.
#[derive(Clone, Debug, Default)]
pub(super) enum Value {
    /// It only has children.
    #[default]
    None,
    /// A counter or a gauge; finite.
    Number(f64),
    Bool(bool),
    #[allow(clippy::box_collection, reason = "a String in place would make every node sixteen bytes larger")]
    Text(Box<String>),
    Quantiles(Box<Windowed<Quantiles>>),
    Distinct(Box<Windowed<Distinct>>),
}

impl Value {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// Bytes beyond those of the node itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Value::None | Value::Number(_) | Value::Bool(_) => 0,
            Value::Text(text) => size_of::<String>() + text.capacity(),
            Value::Quantiles(sketch) => sketch.memory_bytes(),
            Value::Distinct(sketch) => sketch.memory_bytes(),
        }
    }
}

/// What the last minute is cut into, so that it can slide: the window reaches back 60 to 65 seconds.
pub(super) const SLICES: usize = 12;

/// What a sketch that slides must do.
pub trait Sketch: Clone + Default {
    fn merge(&mut self, other: &Self);
    fn memory_bytes(&self) -> usize;
}

impl Sketch for Quantiles {
    fn merge(&mut self, other: &Self) {
        Quantiles::merge(self, other);
    }
    fn memory_bytes(&self) -> usize {
        Quantiles::memory_bytes(self)
    }
}

impl Sketch for Distinct {
    fn merge(&mut self, other: &Self) {
        Distinct::merge(self, other);
    }
    fn memory_bytes(&self) -> usize {
        Distinct::memory_bytes(self)
    }
}

/// A sketch since the start, and of the last minute.
#[derive(Debug, Default)]
pub struct Windowed<S> {
    total: S,
    /// The newest last, each with the number of its slice of time.
    recent: VecDeque<(u32, S)>,
    /// What was fed since it was kept last; none where nothing was, or nobody keeps it.
    fed: Option<Box<S>>,
    /// It has been kept before.
    known: bool,
}

impl<S: Clone> Clone for Windowed<S> {
    /// A copy is for reading: what is still to be kept stays with the first one.
    fn clone(&self) -> Windowed<S> {
        Windowed { total: self.total.clone(), recent: self.recent.clone(), fed: None, known: self.known }
    }
}

impl<S: Sketch> Windowed<S> {
    /// A sketch of what was fed long ago, and kept.
    pub(super) fn of(total: S) -> Windowed<S> {
        Windowed { total, recent: VecDeque::new(), fed: None, known: true }
    }

    /// Whether it has been kept before.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// What was fed since this was asked last. From now on it has been kept.
    pub(super) fn take_fed(&mut self) -> Option<Box<S>> {
        self.known = true;
        self.fed.take()
    }

    pub(super) fn total(&self) -> &S {
        &self.total
    }

    /// Feeds both the total and the slice of now; and, where the sketch is kept, what is to be kept next.
    pub(super) fn feed(&mut self, slice: u32, is_kept: bool, feed: impl Fn(&mut S)) {
        feed(&mut self.total);
        if is_kept {
            feed(self.fed.get_or_insert_default());
        }
        if self.recent.back().is_none_or(|(at, _)| *at != slice) {
            self.recent.push_back((slice, S::default()));
            while self.recent.front().is_some_and(|(at, _)| slice.saturating_sub(*at) > SLICES as u32) {
                self.recent.pop_front();
            }
        }
        if let Some((_, sketch)) = self.recent.back_mut() {
            feed(sketch);
        }
    }

    /// What was fed in the last minute, seen from `slice`.
    pub(super) fn last_minute(&self, slice: u32) -> S {
        let mut minute = S::default();
        for (at, sketch) in &self.recent {
            if slice.saturating_sub(*at) <= SLICES as u32 {
                minute.merge(sketch);
            }
        }
        minute
    }

    /// Merges another's total, and its slices each into the slice of the same time.
    pub(super) fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        for (at, sketch) in &other.recent {
            let place = self.recent.partition_point(|(mine, _)| mine < at);
            match self.recent.get_mut(place).filter(|(mine, _)| mine == at) {
                Some((_, mine)) => mine.merge(sketch),
                None => self.recent.insert(place, (*at, sketch.clone())),
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.total.memory_bytes()
            + self.fed.as_ref().map_or(0, |sketch| sketch.memory_bytes())
            + self.recent.iter().map(|(_, sketch)| size_of::<u32>() + sketch.memory_bytes()).sum::<usize>()
    }
}
