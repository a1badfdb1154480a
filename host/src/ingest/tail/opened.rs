//! A file that may be a log, opened to see what it is.

use super::packed::Packed;
use super::position::{PRINT_BYTES, Print};
use crate::limits::GUESS_BYTES_MAX;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// How long a packed file of which hardly anything is there may be on its way.
const BEGINNING_PATIENCE: Duration = Duration::from_secs(60);

/// What a file is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) id: FileId,
    pub(super) bytes: u64,
    pub(super) changed_ms: i64,
}

impl Look {
    pub(super) fn of(meta: &std::fs::Metadata) -> Look {
        let changed_ms = meta.mtime().saturating_mul(1_000).saturating_add(meta.mtime_nsec() / 1_000_000);
        Look { id: (meta.dev(), meta.ino()), bytes: meta.len(), changed_ms }
    }

    /// At a path, links followed.
    pub(super) fn at(path: &Path) -> Option<Look> {
        std::fs::metadata(path).ok().map(|meta| Look::of(&meta))
    }
}

/// A file that was opened, and nobody follows yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) look: Look,
    pub(super) packed: bool,
    /// The first bytes of what is in it.
    pub(super) beginning: Vec<u8>,
    /// It is packed, and so little of it is there yet that nobody can say what it is.
    pub(super) is_on_its_way: bool,
}

impl Opened {
    /// Opens a file that may be a log: no folder, and nothing that would wait for a writer.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Opened::of(path, Arc::new(File::from(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    /// One that is open.
    pub(super) fn of(path: &Path, file: Arc<File>) -> io::Result<Opened> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        let raw = beginning(&file)?;
        let packed = Packed::is(&raw);
        let (beginning, more) = if packed { Packed::beginning(&file, PRINT_BYTES)? } else { (raw, false) };
        let is_new = || {
            let now = SystemTime::now();
            meta.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < BEGINNING_PATIENCE))
        };
        let is_on_its_way = more && is_new();
        Ok(Opened { path: path.to_owned(), file, look: Look::of(&meta), packed, beginning, is_on_its_way })
    }

    /// The first lines of a log, to see of which format they are.
    pub(super) fn first_lines(path: &Path) -> io::Result<Vec<u8>> {
        let opened = Opened::open(path)?;
        if opened.packed {
            return Ok(Packed::beginning(&opened.file, GUESS_BYTES_MAX)?.0);
        }
        let mut bytes = vec![0; GUESS_BYTES_MAX.min(usize::try_from(opened.look.bytes).unwrap_or(usize::MAX))];
        let read = read_at(&opened.file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Whether what was read up to there may be in it.
    pub(super) fn holds(&self, print: Print, offset: u64) -> bool {
        print.fits(&self.beginning) && (self.packed || self.look.bytes >= offset)
    }

    /// Whether a place in it lies in the midst of a line.
    pub(super) fn is_in_a_line(&self, at: u64) -> bool {
        let mut last = [b'\n'];
        let read = if at > 0 { read_at(&self.file, &mut last, at - 1) } else { Ok(0) };
        read.is_ok() && last != *b"\n"
    }
}

/// A file's first bytes.
pub(super) fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PRINT_BYTES];
    let read = read_at(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Fills a buffer from a place in a file on, as far as there is something.
pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(&mut into[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
