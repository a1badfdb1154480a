//! A pipe and the others that are made as it was: one for each group of lines that are folded apart.

use super::library::Pipe;
use plugin_api::{Access, Clock, Error};

/// Instances of a pipe, by their group's number.
#[derive(Debug)]
pub struct Instances {
    /// The one that was made first, which is that of group 0.
    first: Pipe,
    /// Those of the others, from 1 on, made when they are needed.
    more: Vec<Option<Pipe>>,
}

impl Instances {
    /// A pipe that is alone so far.
    #[must_use]
    pub fn of(pipe: Pipe) -> Instances {
        Instances { first: pipe, more: Vec::new() }
    }

    fn get(&mut self, group: u32) -> Result<&mut Pipe, Error> {
        let Some(at) = group.checked_sub(1) else { return Ok(&mut self.first) };
        let at = at as usize;
        if self.more.len() <= at {
            self.more.resize_with(at + 1, || None);
        }
        let place = &mut self.more[at];
        Ok(match place {
            Some(pipe) => pipe,
            None => place.insert(self.first.another()?),
        })
    }

    /// Folds a batch of a group's records.
    ///
    /// # Errors
    /// Its instance panicked, or cannot be made.
    pub fn process(&mut self, group: u32, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
        self.get(group)?.process(clock, batch)
    }

    /// Appends what a group's instance has folded since its last flush.
    ///
    /// # Errors
    /// It panicked, or cannot be made.
    pub fn flush(&mut self, group: u32, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Error> {
        self.get(group)?.flush(clock, frame)
    }
}
