//! What is written down: the tree as it stands, how far each source has been read, always together; and how values went on.
//!
//! A thread of its own writes ([`Keeper`]). What cannot be written, because the disk is full or the file is locked, stays in
//! memory, each node once, and is written with the next commit that can be. Who reads history reads the file, as it was after
//! some commit, and waits for nobody ([`Trend`]).

mod codec;
mod history;
mod keeper;
mod query;
mod relays;
mod spool;
mod sqlite;
pub(crate) mod tools;

pub(crate) use history::{Range, Reader, Retention};
pub(crate) use keeper::{Commit, FILE, Keeper, Kept, Restored, Spooler};
use parking_lot::Mutex;
pub(crate) use query::{Ask, AskError, Axis, Figure, Fold, Line};
pub(crate) use relays::{Board, RelayJob, renew};
pub(crate) use spool::{Load, Place, Sent, SpoolReader};
pub(crate) use sqlite::OpenError;
use std::fmt::Debug;
use std::path::PathBuf;

/// Where history is read.
pub(crate) trait Trend: Debug + Send + Sync {
    /// Lines for what is asked, and the axis that they share.
    ///
    /// # Errors
    /// It asks for too much, or history cannot be read.
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError>;
}

/// Connections that are kept open for the next question.
const IDLE_MAX: usize = 8;

/// History in the file that the [`Keeper`] writes.
#[derive(Debug)]
pub(crate) struct Own {
    file: PathBuf,
    idle: Mutex<Vec<Reader>>,
}

impl Own {
    /// That of the file.
    pub(crate) fn new(file: PathBuf) -> Own {
        Own { file, idle: Mutex::default() }
    }
}

impl Trend for Own {
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
        let idle = self.idle.lock().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.file).map_err(AskError::Failed)?,
        };
        let answer = reader.snapshot().map_err(AskError::from).and_then(|snapshot| query::ask(&snapshot, ask));
        // One that failed may look at a file that is no more.
        if answer.is_ok() {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push(reader);
            }
        }
        answer
    }
}
