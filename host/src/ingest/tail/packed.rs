//! Files that hold packed text (gzip), such as rotations that were archived. They are read to their end, once. One that grows while
//! it is read (gzip is still writing it, or a server packs its log) is read on from the member (RFC 1952, 2.2) that was not whole.

use super::opened::read_at;
use crate::ingest::log::ReadLines;
use crate::limits::{BLOCK_BYTES, LINE_BYTES_MAX, PACKED_PAUSE, PACKED_PAUSE_TIMES};
use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What gzip files begin with (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes of a packed file that are read at once.
const READ_BYTES: usize = 32 * 1024;

/// A file from a place on; it shares its descriptor with all others who read it.
#[derive(Debug)]
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

type Source = BufReader<From>;

/// A member's beginning.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    /// Bytes of the file before it.
    packed: u64,
    /// Bytes of what is in the file before it.
    plain: u64,
}

/// What unpacking came to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Came {
    /// There may be more.
    More,
    /// To the end of the file, where a member ends too.
    End,
    /// To the end of the file, in the midst of a member.
    CutOff,
}

/// Reads a packed file.
#[derive(Debug, Default)]
pub(super) struct Packed {
    reader: Option<GzDecoder<Source>>,
    /// Bytes of what is in the file that were unpacked so far.
    at: u64,
    /// Where members began, from that in which the first byte lies that was not handed on.
    members: Vec<Member>,
    /// The beginning of a line.
    carry: Vec<u8>,
    ended: bool,
    /// When the reader was made.
    began: Option<Instant>,
    /// It was not whole: it is left alone until then.
    again: Option<Instant>,
}

impl Packed {
    /// Whether a file that begins so is packed.
    pub(super) fn is(beginning: &[u8]) -> bool {
        beginning.starts_with(&MAGIC)
    }

    /// The first bytes of what is in it, as far as they are there; and whether there are to be more, as it is not whole.
    pub(super) fn beginning(file: &Arc<File>, bytes: usize) -> io::Result<(Vec<u8>, bool)> {
        let (mut found, mut packed) = (Vec::new(), Packed::default());
        while found.len() < bytes {
            match packed.unpack(file, bytes - found.len(), Some(&mut found))? {
                Came::More => {}
                Came::End => return Ok((found, false)),
                Came::CutOff => return Ok((found, true)),
            }
        }
        Ok((found, false))
    }

    pub(super) fn at_end(&self) -> bool {
        self.ended
    }

    /// It was found not to be whole a moment ago: what has been unpacked of it must not be unpacked again and again.
    pub(super) fn is_resting(&self) -> bool {
        self.again.is_some_and(|again| Instant::now() < again)
    }

    /// The next whole lines behind `offset`, and how many bytes of what is in the file that takes it further; at the end of the
    /// file also what is no whole line. `in_long_line`: in the midst of one that is too long, and was told of.
    pub(super) fn read(
        &mut self,
        file: &Arc<File>,
        offset: u64,
        in_long_line: &mut bool,
    ) -> io::Result<(ReadLines, u64)> {
        if offset == u64::MAX {
            // All of it was written before the log was read for the first time.
            self.ended = true;
            return Ok((ReadLines::None, 0));
        }
        self.again = None;
        let read = self.read_on(file, offset, in_long_line);
        match &read {
            Ok((_, passed)) => self.settle(offset + passed),
            // Where it stands now is not where the lines end.
            Err(_) => self.rewind(),
        }
        read
    }

    fn read_on(&mut self, file: &Arc<File>, offset: u64, in_long_line: &mut bool) -> io::Result<(ReadLines, u64)> {
        if self.reader.is_none() {
            self.began = Some(Instant::now());
        }
        while self.at < offset && self.carry.is_empty() {
            let left = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
            match self.unpack(file, left, None)? {
                Came::More => {}
                came => return Ok(self.end(came)),
            }
        }
        let mut block = std::mem::take(&mut self.carry);
        let mut passed = 0;
        loop {
            let until = block.len() + BLOCK_BYTES;
            let mut came = Came::More;
            while came == Came::More && block.len() < until {
                came = self.unpack(file, until - block.len(), Some(&mut block))?;
            }
            if came == Came::CutOff {
                // What was passed of a long line is passed again.
                return Ok(self.end(came));
            }
            self.ended = came == Came::End;
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

    /// Nothing more is there.
    fn end(&mut self, came: Came) -> (ReadLines, u64) {
        self.ended = true;
        if came == Came::CutOff {
            let took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
            self.again = Some(Instant::now() + PACKED_PAUSE.max(took.saturating_mul(PACKED_PAUSE_TIMES)));
            self.rewind();
        }
        (ReadLines::None, 0)
    }

    /// Has the next read begin with the member that holds what was not handed on.
    fn rewind(&mut self) {
        self.reader = None;
        self.carry.clear();
        self.members.truncate(1);
        self.at = self.members.first().map_or(0, |member| member.plain);
    }

    /// All before this was handed on.
    fn settle(&mut self, offset: u64) {
        let done = self.members.iter().rposition(|member| member.plain <= offset);
        self.members.drain(..done.unwrap_or(0));
    }

    /// Unpacks a piece of some bytes at most, or passes it.
    fn unpack(&mut self, file: &Arc<File>, most: usize, into: Option<&mut Vec<u8>>) -> io::Result<Came> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                if self.members.is_empty() {
                    self.members.push(Member::default());
                }
                let from = From { file: Arc::clone(file), at: self.members.last().map_or(0, |member| member.packed) };
                match member(BufReader::with_capacity(READ_BYTES, from))? {
                    Ok(reader) => reader,
                    Err(came) => return Ok(came),
                }
            }
        };
        let mut piece = [0; READ_BYTES];
        let most = most.min(piece.len());
        let read = match reader.read(&mut piece[..most]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Came::CutOff),
            Err(error) => return Err(error),
        };
        self.at += read as u64;
        if let Some(into) = into {
            into.extend_from_slice(&piece[..read]);
        }
        if read > 0 {
            self.reader = Some(reader);
            return Ok(Came::More);
        }
        let source = reader.into_inner();
        let packed = source.get_ref().at - source.buffer().len() as u64;
        self.members.push(Member { packed, plain: self.at });
        match member(source)? {
            Ok(reader) => {
                self.reader = Some(reader);
                Ok(Came::More)
            }
            Err(came) => Ok(came),
        }
    }
}

/// Begins a member, if one is there. What else follows the last one is none of it (gzip itself says: trailing garbage ignored).
fn member(mut source: Source) -> io::Result<Result<GzDecoder<Source>, Came>> {
    let begins = source.fill_buf()?;
    Ok(match begins {
        [] => Err(Came::End),
        [first] if *first == MAGIC[0] => Err(Came::CutOff),
        begins if begins.starts_with(&MAGIC) => Ok(GzDecoder::new(source)),
        _ => Err(Came::End),
    })
}

#[cfg(test)]
mod tests;
