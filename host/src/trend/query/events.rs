//! Texts and booleans as they changed.

use super::Told;
use super::find::AskError;
use super::sketches::Member;
use crate::trend::history::{Range, Snapshot};

/// Events of one line, and bytes of their texts.
pub(super) const EVENTS_MAX: usize = 10_000;
pub(super) const EVENT_BYTES_MAX: usize = 8 << 20;

/// Events of all lines of a question, as [`Line::values`](super::Line::values) counts them: 32 MiB.
pub(super) const EVENT_VALUES_MAX: usize = 4 << 20;

/// Events of one or more series.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// In the order of the series.
    all: Vec<(i64, Option<String>)>,
    bytes: usize,
}

impl Events {
    /// Adds those of a series: whether there was room for them. Where its node went in the range, there is no text from then on.
    ///
    /// # Errors
    /// History cannot be read.
    pub(super) fn add(&mut self, snapshot: &Snapshot<'_>, of: &Member, range: Range) -> Result<bool, AskError> {
        if of.gone.is_some_and(|gone| gone < range.from) {
            return Ok(true);
        }
        let before = self.all.len();
        snapshot.events(of.id, range, |time, text| {
            self.bytes += text.len();
            self.all.push((time, Some(text.to_owned())));
            self.fits()
        })?;
        if let Some(gone) = of.gone.filter(|gone| *gone < range.to && self.all.len() > before) {
            self.all.push((gone, None));
        }
        Ok(self.fits())
    }

    fn fits(&self) -> bool {
        self.all.len() <= EVENTS_MAX && self.bytes <= EVENT_BYTES_MAX
    }

    /// All, in the order of their times; none if there are none. Of several series, the newest event is what holds.
    pub(super) fn finish(mut self, of_one: bool) -> Option<Told> {
        self.all.retain(|(_, text)| of_one || text.is_some());
        self.all.sort_by_key(|(time, _)| *time);
        (!self.all.is_empty()).then_some(Told::Events(self.all))
    }
}
