//! What is written down: the tree as it stands, how far each source has been read, always together; and how values went on.
//!
//! A thread of its own writes ([`Keeper`]). What cannot be written, because the disk is full or the file is locked, stays in
//! memory, each node once, and is written with the next commit that can be. Who reads history reads the file, as it was after
//! some commit, and waits for nobody ([`Trend`]).

mod codec;
mod figures;
mod history;
mod keeper;
mod pending;
mod query;
mod relays;
mod remote;
mod spool;
mod sqlite;
#[cfg(test)]
mod tests;
pub(crate) mod tools;

pub(crate) use figures::Figures;
use history::Snapshot;
pub(crate) use history::{Range, Reader, Retention};
pub(crate) use keeper::{Commit, Elsewhere, FILE, Keeper, Kept, Restored, Spooler};
use parking_lot::Mutex;
pub(crate) use query::{Ask, AskError, Axis, Figure, Fold, Line, Told, step_for};
pub(crate) use relays::{Board, RelayJob, renew};
pub(crate) use remote::{Remote, Store};
pub(crate) use spool::{Load, Place, STREAM_PEER, Sent, SpoolReader};
pub(crate) use sqlite::OpenError;
use std::fmt::Debug;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where history is read.
pub(crate) trait Trend: Debug + Send + Sync {
    /// Lines for what is asked, and the axis that they share.
    ///
    /// # Errors
    /// It asks for too much, or history cannot be read.
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError>;

    /// That of an engine, if history is there: this one, or another one beside it.
    fn of(&self, engine: Engine) -> Option<&dyn Trend>;
}

/// What keeps history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The daemon's own file.
    Own,
    /// A store elsewhere.
    Store,
}

impl Engine {
    /// All, as they are written.
    pub(crate) const NAMES: [(&'static str, Engine); 2] = [("sqlite", Engine::Own), ("prometheus", Engine::Store)];
}

/// History in the file and in a store. The file is asked, unless the other is named.
#[derive(Debug)]
pub(crate) struct Both(pub(crate) Own, pub(crate) Remote);

impl Trend for Both {
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
        self.0.ask(ask)
    }

    fn of(&self, engine: Engine) -> Option<&dyn Trend> {
        Some(match engine {
            Engine::Own => &self.0,
            Engine::Store => &self.1,
        })
    }
}

/// Connections that are kept open for the next question.
const IDLE_MAX: usize = 8;

/// Device and inode; none of what is not there.
type FileId = Option<(u64, u64)>;

/// Which file lies there.
fn file_id(file: &Path) -> FileId {
    file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

/// History in the file that the [`Keeper`] writes.
#[derive(Debug)]
pub(crate) struct Own {
    file: PathBuf,
    /// Each with the file that it has open.
    idle: Mutex<Vec<(FileId, Reader)>>,
}

impl Own {
    /// That of the file.
    pub(crate) fn new(file: PathBuf) -> Own {
        Own { file, idle: Mutex::default() }
    }

    /// Reads the file as it is now.
    fn with<T>(&self, read: impl FnOnce(&Snapshot<'_>) -> Result<T, AskError>) -> Result<T, AskError> {
        // The file may have been put back since.
        let place = file_id(&self.file);
        let idle = self.idle.lock().pop();
        let reader = match idle {
            Some((of, reader)) if of == place => reader,
            _ => Reader::open(&self.file).map_err(AskError::Failed)?,
        };
        let answer = reader.snapshot().map_err(AskError::from).and_then(|snapshot| read(&snapshot));
        // One that failed may look at a file that is no more.
        if answer.is_ok() {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push((place, reader));
            }
        }
        answer
    }
}

impl Trend for Own {
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
        self.with(|snapshot| query::ask(snapshot, ask))
    }

    fn of(&self, engine: Engine) -> Option<&dyn Trend> {
        (engine == Engine::Own).then_some(self)
    }
}
