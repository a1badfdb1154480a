//! A pipe whose branch hangs under values of the lines: once for each group of lines that have the same.
//!
//! `place.rs` is where that is, `countries.rs` knows which country an address is of, `names.rs` numbers the groups and bounds them, `sorted.rs` brings the records of a batch
//! into the order of their groups. Each group has an instance of the pipe, which sees its own records alone; so no plugin
//! needs to know of groups.
//!
//! **Invariant:** nothing is allocated for a line of a group that is known. Every record is in one group, the last of which
//! is the rest's: totals are exact however many groups there are.

mod countries;
mod names;
mod place;
mod sorted;

pub(crate) use place::Place;

use super::engine::Frames;
use crate::conf::GroupBy;
use crate::module::{Branch, Fault, PipeBody};
use ::countries::Countries;
use countries::Remembered;
use names::Names;
use plugin_api::{Access, Clock};
use sorted::Sorted;
use std::sync::Arc;

/// What a pipe's `.on` says of groups, and what it takes to make them.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    by: GroupBy,
    countries: Option<Arc<Countries>>,
}

impl Grouping {
    /// Reads the database, where one is asked for that nobody has yet: this may take its time.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(by: Option<&GroupBy>) -> Result<Option<Grouping>, String> {
        let Some(by) = by else { return Ok(None) };
        let open = |file| Countries::open(file).map_err(|why| format!("\"by_database\": {why}"));
        let countries = by.database.as_deref().map(open).transpose()?;
        Ok(Some(Grouping { by: by.clone(), countries }))
    }

    /// Keys that stand between a pipe's branch and its own.
    pub(crate) fn levels(&self) -> usize {
        self.by.fields.len()
    }

    /// What is asked for.
    pub(super) fn by(&self) -> &GroupBy {
        &self.by
    }
}

/// The groups of one pipe in one log.
#[derive(Debug)]
pub(crate) struct Groups {
    place: Place,
    names: Names,
    countries: Option<Remembered>,
    /// Where each hangs, by its number; none before it was seen first.
    branches: Vec<Option<Branch>>,
    sorted: Sorted,
    /// Those that were fed since the last flush.
    fed: Vec<u32>,
    is_fed: Vec<bool>,
}

impl Groups {
    /// No group yet of a pipe that hangs there.
    pub(crate) fn new(place: Place, grouping: Option<&Grouping>) -> Groups {
        let names = Names::new(place.max());
        let countries = grouping.and_then(|grouping| grouping.countries.clone()).map(Remembered::new);
        Groups {
            place,
            names,
            countries,
            branches: Vec::new(),
            sorted: Sorted::default(),
            fed: Vec::new(),
            is_fed: Vec::new(),
        }
    }

    /// Goes on with the groups of a pipe that had this one's place: those that were kept apart stay so.
    pub(crate) fn follow(&mut self, before: &Groups) {
        if self.place.makes_the_groups_of(&before.place) {
            self.names = before.names.clone();
        }
    }

    /// Folds a batch: the records of each group by its instance.
    ///
    /// # Errors
    /// What an instance did instead, or why it cannot be made. Others may have folded theirs: the pipe is of no use any more.
    pub(crate) fn process(&mut self, pipe: &mut PipeBody, clock: Clock, batch: &[Access<'_>]) -> Result<(), Fault> {
        let Groups { place, names, countries, sorted, fed, is_fed, .. } = self;
        sorted.sort(
            batch,
            |record| names.number(|name| place.write_name(record, countries.as_mut(), name)),
            |group, records| {
                let at = group as usize;
                if is_fed.len() <= at {
                    is_fed.resize(at + 1, false);
                }
                if !std::mem::replace(&mut is_fed[at], true) {
                    fed.push(group);
                }
                pipe.process_in(group, clock, records)
            },
        )
    }

    /// Appends what each group that was fed since the last flush has folded, under its branch.
    ///
    /// # Errors
    /// What an instance did instead; what others said before is there.
    pub(crate) fn flush(&mut self, pipe: &mut PipeBody, clock: Clock, frames: &mut Frames) -> Result<(), Fault> {
        while let Some(group) = self.fed.pop() {
            let at = group as usize;
            self.is_fed[at] = false;
            let mut frame = Vec::new();
            let flushed = pipe.flush_of(group, clock, &mut frame);
            if !frame.is_empty() {
                frames.push((self.branch(group), frame));
            }
            flushed?;
        }
        Ok(())
    }

    fn branch(&mut self, group: u32) -> Branch {
        let at = group as usize;
        if self.branches.len() <= at {
            self.branches.resize(at + 1, None);
        }
        let Groups { place, names, .. } = self;
        self.branches[at].get_or_insert_with(|| place.branch(names.name(group))).clone()
    }
}
