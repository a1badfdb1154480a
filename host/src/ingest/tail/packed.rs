//! Files that hold packed text (gzip), such as rotations that were archived. They are read to their end, once; one that grows
//! while it is read (gzip is still writing it) is read on.

use crate::ingest::log::ReadLines;
use crate::limits::{BLOCK_BYTES, LINE_BYTES_MAX};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// What gzip files begin with (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a packed file.
#[derive(Debug, Default)]
pub(super) struct Packed {
    reader: Option<MultiGzDecoder<File>>,
    /// The beginning of a line.
    carry: Vec<u8>,
    ended: bool,
}

impl Packed {
    /// Whether a file that begins so is packed.
    pub(super) fn is(beginning: &[u8]) -> bool {
        beginning.starts_with(&MAGIC)
    }

    /// The first bytes of what is in it, as far as they are there.
    pub(super) fn beginning(file: &File, bytes: usize) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        // A file that is cut off is one that is still being written.
        match open(file)?.take(bytes as u64).read_to_end(&mut found) {
            Ok(_) => Ok(found),
            Err(error) if is_cut_off(&error) => Ok(found),
            Err(error) => Err(error),
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.ended
    }

    /// The next whole lines behind `offset`, and how many bytes of what is in the file that takes it further; at the end of the
    /// file also what is no whole line. `in_long_line`: in the midst of one that is too long, and was told of.
    pub(super) fn read(&mut self, file: &File, offset: u64, in_long_line: &mut bool) -> io::Result<(ReadLines, u64)> {
        if offset == u64::MAX {
            // All of it was written before the log was read for the first time.
            self.ended = true;
            return Ok((ReadLines::None, 0));
        }
        let read = self.read_on(file, offset, in_long_line);
        if read.is_err() {
            // Where it stands now is not where the lines end.
            self.reader = None;
        }
        read
    }

    fn read_on(&mut self, file: &File, offset: u64, in_long_line: &mut bool) -> io::Result<(ReadLines, u64)> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let mut reader = open(file)?;
                // Where it ends before that, there is nothing more to read.
                io::copy(&mut (&mut reader).take(offset), &mut io::sink()).or_else(ignore_cut_off)?;
                self.carry.clear();
                none.insert(reader)
            }
        };
        let mut block = std::mem::take(&mut self.carry);
        let mut passed = 0;
        loop {
            let before = block.len();
            match reader.take(BLOCK_BYTES as u64).read_to_end(&mut block) {
                Ok(_) => {}
                Err(error) if is_cut_off(&error) => {
                    // Begun anew when there is more of it. What was passed of a long line is passed again.
                    self.reader = None;
                    self.ended = true;
                    return Ok((ReadLines::None, 0));
                }
                Err(error) => return Err(error),
            }
            self.ended = block.len() - before < BLOCK_BYTES;
            if *in_long_line {
                match memchr::memchr(b'\n', &block) {
                    Some(end) => {
                        block.drain(..=end);
                        passed += end as u64 + 1;
                        *in_long_line = false;
                    }
                    None => {
                        passed += block.len() as u64;
                        return Ok((ReadLines::None, passed));
                    }
                }
            }
            if self.ended {
                passed += block.len() as u64;
                if block.is_empty() {
                    return Ok((ReadLines::None, passed));
                }
                if block.last() != Some(&b'\n') {
                    block.push(b'\n');
                }
                return Ok((ReadLines::Whole(block), passed));
            }
            if let Some(end) = memchr::memrchr(b'\n', &block) {
                self.carry = block.split_off(end + 1);
                passed += block.len() as u64;
                return Ok((ReadLines::Whole(block), passed));
            }
            if block.len() > LINE_BYTES_MAX {
                *in_long_line = true;
                passed += block.len() as u64;
                block.truncate(BLOCK_BYTES);
                return Ok((ReadLines::TooLong(block), passed));
            }
        }
    }
}

fn open(file: &File) -> io::Result<MultiGzDecoder<File>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(MultiGzDecoder::new(file))
}

fn is_cut_off(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn ignore_cut_off(error: io::Error) -> io::Result<u64> {
    if is_cut_off(&error) { Ok(0) } else { Err(error) }
}
