//! Whether the file is where it was, and what becomes of one that was removed.

use super::{Database, said};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What each file of SQLite's begins with (its file format, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where the file is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::trend) enum Place {
    /// Where it was.
    There,
    /// It was removed, or its folder was.
    Gone,
    /// It cannot be looked at, or another lies there.
    Hidden(String),
    /// Something else has been written into it.
    Overwritten,
}

impl Database {
    /// Whether the file is still where it was, and begins as it did: SQLite itself goes on writing into one that was removed.
    pub(in crate::trend) fn place(&self, file: &Path) -> Place {
        let opened = File::open(file).and_then(|open| Ok((open.metadata()?, open)));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::Gone,
            Err(error) => Place::Hidden(format!("{error}; the daemon has to be able to read and write it and its folder")),
            Ok((meta, _)) if (meta.dev(), meta.ino()) != self.id => Place::Hidden(
                "another file was put in its place while the daemon ran; put the one back that was there, or start the \
                 daemon anew to go on with this one"
                    .to_owned(),
            ),
            Ok((_, mut open)) => {
                let mut begins = [0; MAGIC.len()];
                let good = open.read_exact(&mut begins).is_ok() && begins == *MAGIC;
                if good { Place::There } else { Place::Overwritten }
            }
        }
    }

    /// Leaves nothing in the log beside the file: whoever opens another in its place would have pages of both.
    pub(in crate::trend) fn settle(&self) {
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!("the log beside the file is not empty: {error}");
        }
    }

    /// Writes all there is to where the file was before it was removed: it is there for as long as it is open.
    ///
    /// # Errors
    /// Its folder is not there, or not all of it could be written.
    pub(in crate::trend) fn put_back(&self, file: &Path) -> Result<(), String> {
        let folder = file.parent().unwrap_or(file);
        if !folder.is_dir() {
            return Err("its folder is not there; put it back, or make it anew".to_owned());
        }
        let beside = |tail: &str| PathBuf::from(format!("{}{tail}", file.display()));
        let again = beside(".again");
        let absent = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        };
        absent(fs::remove_file(&again))?;
        let into = again.display().to_string();
        self.connection.execute("VACUUM INTO ?", [into]).map_err(|error| said(&error))?;
        File::open(&again).and_then(|again| again.sync_all()).map_err(|error| error.to_string())?;
        // They belong to the one that was removed: SQLite would put their pages into this.
        for tail in ["-wal", "-shm"] {
            absent(fs::remove_file(beside(tail)))?;
        }
        // Not by renaming: what somebody has put there meanwhile stays.
        fs::hard_link(&again, file).map_err(|error| error.to_string())?;
        absent(fs::remove_file(&again))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| error.to_string())
    }
}
