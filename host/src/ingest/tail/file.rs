//! One file of a log, read on and on.

use super::packed::Packed;
use super::position::{FilePosition, PRINT_BYTES, Print};
use crate::ingest::format::header_before;
use crate::ingest::log::ReadLines;
use crate::limits::{BLOCK_BYTES, GUESS_BYTES_MAX, LINE_BYTES_MAX};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file's number for as long as it is followed.
pub(super) type FileNumber = u32;

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// Where a file stands in its life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// It is where the log is looked for.
    Live,
    /// It is not there any more: renamed, replaced or removed. What is still written into it is read.
    Left,
    /// It is a copy of what is being read as this file, whose rest is read when that is gone.
    CopyOf(FileNumber),
}

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
}

/// What a file holds, beside what it held when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The same, and perhaps more.
    Same,
    /// It was empty, and has been written to since, or was cut while it was empty: what it holds is perhaps not the first that came.
    First,
    /// Something else.
    Another,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) number: FileNumber,
    pub(super) path: PathBuf,
    pub(super) stage: Stage,
    file: File,
    /// It holds packed text, and is read through this.
    packed: Option<Packed>,
    pub(super) seen: Look,
    pub(super) print: Print,
    pub(super) offset: u64,
    in_long_line: bool,
    /// What was read did not fit what it began with.
    is_cut: bool,
    /// When it could not be read last.
    failed: Option<Instant>,
    /// It was empty when it was looked at last: it may hold by now what came after something that was cut.
    was_empty: bool,
    /// When it was last seen to grow.
    pub(super) grew: Instant,
    /// All that is there has been read, but for the beginning of a line.
    pub(super) at_end: bool,
}

/// A file that was opened, and nobody follows yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    file: File,
    pub(super) look: Look,
    pub(super) packed: bool,
    /// The first bytes of what is in it.
    pub(super) beginning: Vec<u8>,
}

impl Opened {
    /// Opens a file that may be a log: no folder, and nothing that would wait for a writer.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        let raw = beginning(&file)?;
        let packed = Packed::is(&raw);
        let beginning = if packed { Packed::beginning(&file, PRINT_BYTES)? } else { raw };
        Ok(Opened { path: path.to_owned(), file, look: Look::of(&meta), packed, beginning })
    }

    /// Whether what was read up to there may be in it.
    pub(super) fn holds(&self, print: Print, offset: u64) -> bool {
        print.fits(&self.beginning) && (self.packed || self.look.bytes >= offset)
    }
}

fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PRINT_BYTES];
    let read = read_at(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
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

impl Followed {
    pub(super) fn new(number: FileNumber, opened: Opened, offset: u64, in_long_line: bool, stage: Stage) -> Followed {
        let Opened { path, file, look, packed, beginning } = opened;
        Followed {
            number,
            path,
            stage,
            file,
            packed: packed.then(Packed::default),
            seen: look,
            print: Print::of(&beginning),
            offset,
            in_long_line,
            is_cut: false,
            failed: None,
            was_empty: beginning.is_empty(),
            grew: Instant::now(),
            at_end: false,
        }
    }

    /// Where to begin in order to read what is written from now on: whether in the midst of a line.
    pub(super) fn end_of(opened: &Opened) -> (u64, bool) {
        let end = opened.look.bytes;
        let mut last = [b'\n'];
        let read = if end > 0 { read_at(&opened.file, &mut last, end - 1) } else { Ok(0) };
        (end, read.is_ok() && last != *b"\n")
    }

    pub(super) fn position(&self) -> FilePosition {
        FilePosition {
            path: self.path.to_string_lossy().into_owned(),
            id: self.seen.id,
            print: self.print,
            offset: self.offset,
            in_long_line: self.in_long_line,
            is_copy: matches!(self.stage, Stage::CopyOf(_)),
            changed_ms: self.seen.changed_ms,
        }
    }

    pub(super) fn in_long_line(&self) -> bool {
        self.in_long_line
    }

    /// It cannot be read at the moment.
    pub(super) fn pause(&mut self) {
        self.failed = Some(Instant::now());
    }

    /// Whether it could not be read a moment ago.
    pub(super) fn is_paused(&self, pause: Duration) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() < pause)
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// The header that holds where it has been read to; empty where there is none, or it is packed.
    pub(super) fn header(&self) -> io::Result<String> {
        if self.packed.is_some() { Ok(String::new()) } else { header_before(&self.file, self.offset) }
    }

    /// The first lines of a log, to see of which format they are.
    pub(super) fn first_lines(path: &Path) -> io::Result<Vec<u8>> {
        let opened = Opened::open(path)?;
        if opened.packed {
            return Packed::beginning(&opened.file, GUESS_BYTES_MAX);
        }
        let mut bytes = vec![0; GUESS_BYTES_MAX.min(usize::try_from(opened.look.bytes).unwrap_or(usize::MAX))];
        let read = read_at(&opened.file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Bytes that are there and have not been read.
    pub(super) fn behind(&self) -> u64 {
        match self.stage {
            Stage::CopyOf(_) => 0,
            _ if self.packed.is_some() => u64::from(!self.at_end),
            _ => self.seen.bytes.saturating_sub(self.offset),
        }
    }

    /// Looks at the file again: whether its content is still the one that was read. One that was cut and has grown past where
    /// it was, since it was looked at last, is known by its beginning.
    pub(super) fn look(&mut self) -> io::Result<Content> {
        let look = Look::of(&self.file.metadata()?);
        if self.is_cut {
            self.seen = look;
            return Ok(Content::Another);
        }
        if look == self.seen {
            return Ok(Content::Same);
        }
        self.seen = look;
        self.grew = Instant::now();
        self.at_end = false;
        if self.packed.is_some() {
            return Ok(Content::Same);
        }
        if look.bytes < self.offset || !self.print.fits(&beginning(&self.file)?) {
            return Ok(Content::Another);
        }
        let was_empty = self.was_empty;
        self.was_empty = self.print.bytes == 0;
        Ok(if was_empty { Content::First } else { Content::Same })
    }

    /// Its content is another: it is read from the beginning.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.offset = 0;
        self.in_long_line = false;
        self.is_cut = false;
        self.at_end = false;
        self.print = Print::of(&beginning(&self.file)?);
        self.was_empty = self.print.bytes == 0;
        Ok(())
    }

    /// Where it was empty so far: it is known from now on by what it begins with. Whether there is something.
    pub(super) fn learn(&mut self) -> io::Result<bool> {
        if self.print.bytes == 0 && self.packed.is_none() {
            self.print = Print::of(&beginning(&self.file)?);
            return Ok(self.print.bytes > 0);
        }
        Ok(false)
    }

    /// Goes on in it as a copy of something that was read so far.
    pub(super) fn begin_at(&mut self, offset: u64) {
        self.offset = offset;
        self.at_end = false;
    }

    /// The next whole lines; [`ReadLines::None`] at the end, and where a line that is too long goes on. `last`: nobody goes on
    /// writing the line that is not ended.
    pub(super) fn read(&mut self, last: bool) -> io::Result<ReadLines> {
        if let Some(packed) = &mut self.packed {
            let (lines, passed) = packed.read(&self.file, self.offset, &mut self.in_long_line)?;
            self.at_end = packed.at_end();
            self.offset += passed;
            return Ok(lines);
        }
        let mut block = vec![0; BLOCK_BYTES];
        let read = read_at(&self.file, &mut block, self.offset)?;
        block.truncate(read);
        // Looked at only now: what had been cut before this was not read by mistake.
        if !block.is_empty() && !self.still_begins(&block)? {
            self.is_cut = true;
            return Ok(ReadLines::None);
        }
        if self.in_long_line {
            return Ok(self.pass_long_line(block));
        }
        if memchr::memrchr(b'\n', &block).is_none() && read == BLOCK_BYTES {
            block.resize(LINE_BYTES_MAX + 1, 0);
            let more = read_at(&self.file, &mut block[read..], self.offset + read as u64)?;
            block.truncate(read + more);
        }
        self.at_end = block.is_empty();
        Ok(match memchr::memrchr(b'\n', &block) {
            Some(end) => {
                self.at_end = read < BLOCK_BYTES && end + 1 == block.len();
                block.truncate(end + 1);
                self.offset += block.len() as u64;
                ReadLines::Whole(block)
            }
            None if block.len() > LINE_BYTES_MAX => {
                self.offset += block.len() as u64;
                self.in_long_line = true;
                block.truncate(BLOCK_BYTES);
                ReadLines::TooLong(block)
            }
            None if last && !block.is_empty() => {
                self.offset += block.len() as u64;
                self.at_end = true;
                block.push(b'\n');
                ReadLines::Whole(block)
            }
            None => {
                self.at_end = true;
                ReadLines::None
            }
        })
    }

    /// Whether the file still begins as it did, and with what was read just now where that is its beginning. From now on it is known
    /// by all of the beginning that is there.
    fn still_begins(&mut self, block: &[u8]) -> io::Result<bool> {
        let begins = beginning(&self.file)?;
        let overlap = begins.get(usize::try_from(self.offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let both = overlap.len().min(block.len());
        if !self.print.fits(&begins) || overlap[..both] != block[..both] {
            return Ok(false);
        }
        if self.print.bytes < PRINT_BYTES as u64 {
            self.print = Print::of(&begins);
        }
        Ok(true)
    }

    fn pass_long_line(&mut self, mut block: Vec<u8>) -> ReadLines {
        self.at_end = block.is_empty();
        match memchr::memchr(b'\n', &block) {
            Some(end) => {
                self.in_long_line = false;
                self.offset += end as u64 + 1;
                let rest = block.split_off(end + 1);
                match memchr::memrchr(b'\n', &rest) {
                    Some(end) => {
                        let mut rest = rest;
                        rest.truncate(end + 1);
                        self.offset += rest.len() as u64;
                        ReadLines::Whole(rest)
                    }
                    None => ReadLines::None,
                }
            }
            None => {
                self.offset += block.len() as u64;
                ReadLines::None
            }
        }
    }
}
