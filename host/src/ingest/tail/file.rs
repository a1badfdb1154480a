//! One file of a log, read on and on.

use super::opened::{Look, Opened, beginning, read_at};
use super::packed::Packed;
use super::position::{FilePosition, PRINT_BYTES, Print};
use super::share::Descriptor;
use crate::ingest::format::header_before;
use crate::ingest::log::ReadLines;
use crate::limits::{BLOCK_BYTES, LINE_BYTES_MAX, LOG_READ_PAUSE, LOG_READ_PAUSE_MAX};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file's number for as long as it is followed.
pub(super) type FileNumber = u32;

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

/// That a file could not be read.
#[derive(Debug)]
struct Failed {
    why: String,
    /// How often in a row before.
    times: u32,
    /// It is left alone until then.
    until: Instant,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) number: FileNumber,
    pub(super) path: PathBuf,
    pub(super) stage: Stage,
    file: Arc<File>,
    _descriptor: Descriptor,
    /// It holds packed text, and is read through this.
    packed: Option<Packed>,
    pub(super) seen: Look,
    pub(super) print: Print,
    pub(super) offset: u64,
    in_long_line: bool,
    /// What was read did not fit what it began with.
    is_cut: bool,
    /// It could not be read last.
    failed: Option<Failed>,
    /// It was empty when it was looked at last: it may hold by now what came after something that was cut.
    was_empty: bool,
    /// As what it was compared with what it is a copy of, and with which.
    pub(super) compared: Option<(Look, Print)>,
    /// When it was last seen to grow.
    pub(super) grew: Instant,
    /// All that is there has been read, but for the beginning of a line.
    pub(super) at_end: bool,
}

impl Followed {
    pub(super) fn new(
        number: FileNumber,
        (opened, descriptor): (Opened, Descriptor),
        offset: u64,
        in_long_line: bool,
        stage: Stage,
    ) -> Followed {
        let Opened { path, file, look, packed, beginning, .. } = opened;
        Followed {
            number,
            path,
            stage,
            file,
            _descriptor: descriptor,
            packed: packed.then(Packed::default),
            seen: look,
            print: Print::of(&beginning),
            offset,
            in_long_line,
            is_cut: false,
            failed: None,
            was_empty: beginning.is_empty(),
            compared: None,
            grew: Instant::now(),
            at_end: false,
        }
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

    /// As one that nobody follows: it is to be seen anew what it is. Its descriptor is given back.
    pub(super) fn reopened(self) -> Result<Opened, (PathBuf, io::Error)> {
        Opened::of(&self.path, self.file).map_err(|error| (self.path, error))
    }

    /// It cannot be read at the moment.
    pub(super) fn fail(&mut self, why: &io::Error) {
        let times = self.failed.take().map_or(0, |failed| failed.times + 1);
        let pause = LOG_READ_PAUSE.saturating_mul(1 << times.min(10)).min(LOG_READ_PAUSE_MAX);
        self.failed = Some(Failed { why: why.to_string(), times, until: Instant::now() + pause });
    }

    /// Why it could not be read last; nothing if it could be.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failed.as_ref().map(|failed| failed.why.as_str())
    }

    /// Whether it is left alone for a while.
    pub(super) fn is_paused(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| Instant::now() < failed.until)
            || self.packed.as_ref().is_some_and(Packed::is_resting)
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// The header that holds where it has been read to; empty where there is none, or it is packed.
    pub(super) fn header(&self) -> io::Result<String> {
        if self.packed.is_some() { Ok(String::new()) } else { header_before(&self.file, self.offset) }
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
        // Perhaps it has been mended.
        if let Some(failed) = &mut self.failed {
            failed.until = self.grew;
        }
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

    /// Whether nobody has written to it for a while, up to this moment.
    pub(super) fn is_silent(&self, time: Duration) -> bool {
        self.grew.elapsed() > time && self.file.metadata().is_ok_and(|meta| Look::of(&meta) == self.seen)
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
            self.failed = None;
            return Ok(lines);
        }
        let mut block = vec![0; BLOCK_BYTES];
        let read = read_at(&self.file, &mut block, self.offset)?;
        block.truncate(read);
        self.failed = None;
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
