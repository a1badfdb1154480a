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

    /// The next whole lines behind `offset`, which is where the last ones ended; at the end of the file also what is no whole
    /// line.
    pub(super) fn read(&mut self, file: &File, offset: u64) -> io::Result<ReadLines> {
        if offset == u64::MAX {
            // All of it was written before the log was read for the first time.
            self.ended = true;
            return Ok(ReadLines::None);
        }
        if self.reader.is_none() {
            let mut reader = open(file)?;
            // Where it ends before that, there is nothing more to read.
            io::copy(&mut (&mut reader).take(offset), &mut io::sink()).or_else(ignore_cut_off)?;
            self.reader = Some(reader);
            self.carry.clear();
        }
        let Some(reader) = &mut self.reader else { return Ok(ReadLines::None) };
        let mut block = std::mem::take(&mut self.carry);
        let before = block.len();
        let mut chunk = reader.take(BLOCK_BYTES as u64);
        match chunk.read_to_end(&mut block) {
            Ok(_) => {}
            Err(error) if is_cut_off(&error) => {
                // Begun anew when there is more of it.
                self.reader = None;
                self.ended = true;
                return Ok(ReadLines::None);
            }
            Err(error) => return Err(error),
        }
        let ended = block.len() - before < BLOCK_BYTES;
        self.ended = ended;
        if ended {
            if block.is_empty() {
                return Ok(ReadLines::None);
            }
            if block.last() != Some(&b'\n') {
                block.push(b'\n');
            }
            return Ok(ReadLines::Whole(block));
        }
        match memchr::memrchr(b'\n', &block) {
            Some(end) => {
                self.carry = block.split_off(end + 1);
                Ok(ReadLines::Whole(block))
            }
            None if block.len() > LINE_BYTES_MAX + BLOCK_BYTES => Err(io::Error::other("has a line that is too long")),
            None => {
                self.carry = block;
                Ok(ReadLines::None)
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
