//! What is done with history where no daemon runs: it is taken in, given out, looked over and packed.

mod check;
mod export;
mod import;
mod record;
mod text;

pub(crate) use check::check;
pub(crate) use export::{ExportError, export};
pub(crate) use import::{Importer, Refused};
pub(crate) use record::Recorder;
pub(crate) use text::{Form, parse_line, parse_text};

use super::history::{Error, History, Passed, Retention};
use super::sqlite::{Database, OpenError};
use std::path::Path;

/// Samples that are held before they are packed: 64 MB of them.
const HELD_MAX: usize = 4_000_000;

/// History and its file, for whoever has it for itself.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    history: History,
}

impl Store {
    /// Opens the file that is there, or makes it where that is wanted.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn open(file: &Path, make: bool, retention: Retention) -> Result<Store, OpenError> {
        let mut database = if make { Database::open(file)? } else { Database::reopen(file)? };
        let history = History::open(database.connection(), retention);
        let history = history.map_err(|error| OpenError::Failed(error.to_string()))?;
        Ok(Store { database, history })
    }

    /// The time that has passed, where the wall clock says this, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn passed(&self, wall_ms: i64) -> Result<Passed, OpenError> {
        let mut passed = Passed::since(self.database.passed()?);
        passed.look(wall_ms, 0);
        Ok(passed)
    }

    /// Packs everything, rolls up what is old, and gives back the room that is free. `each` is told of each step.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn compact(&mut self, now: i64, each: impl FnMut()) -> Result<(), Error> {
        self.history.compact(self.database.connection(), now, each)?;
        let connection = self.database.connection();
        // Of a file that could not be made anew when it was to be: it gives room back from then on.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }

    /// Steps that packing takes, at least.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn blocks(&mut self) -> Result<u64, Error> {
        let of = "SELECT (SELECT count(DISTINCT block) FROM recent) + \
                  (SELECT count(*) FROM (SELECT DISTINCT block, start / 86400000 FROM pack WHERE step = 0 AND sealed = 0))";
        Ok(self.database.connection().query_row(of, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }
}
