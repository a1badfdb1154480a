//! What the daemon and a worker say to each other: messages of a length (u32, little endian), a tag (u8) and a body.
//!
//! ```text
//! daemon -> worker    start: params, or gmod.rs    batch: see records.rs    flush, collect: clock    group: u32
//! worker -> daemon    hello, then (keep, if it has made something that is dear to make) loaded, then ready or failed;
//!                     later answers to the orders, in turn: done (so many batches are folded), frame (a flush or a sample),
//!                     partly (length:u32 of what failed, what failed as in failed, a frame of the rest), failed (kind, message)
//! keeper -> daemon    on a line of its own: started: pid    ended: how, code, last words    fault: message
//! ```
//!
//! The daemon believes nothing of what a worker says: lengths are bounded before anything is kept, and a tag, a text or a
//! number that has no meaning ends the worker.

use super::limits::{DECLARED_BYTES_MAX, FRAME_BYTES_MAX, KEPT_BYTES_MAX, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use plugin_api::Clock;
use std::io::{self, Read};

/// Bytes before a message's body.
pub const HEAD: usize = 5;

/// Tags of messages.
pub mod tag {
    /// The order to make the module.
    pub const START: u8 = 1;
    /// The order to fold records.
    pub const BATCH: u8 = 2;
    /// The order to hand over what was folded.
    pub const FLUSH: u8 = 3;
    /// The order to sample.
    pub const COLLECT: u8 = 4;
    /// Whose records come next, and whose are to be flushed.
    pub const GROUP: u8 = 5;
    /// The first words.
    pub const HELLO: u8 = 16;
    /// The file is open, and this is what it says of itself.
    pub const LOADED: u8 = 17;
    /// The module is made.
    pub const READY: u8 = 18;
    /// So many batches are folded.
    pub const DONE: u8 = 19;
    /// What was folded or sampled.
    pub const FRAME: u8 = 20;
    /// The module failed.
    pub const FAILED: u8 = 21;
    /// What is to be given back at the next start of the same file.
    pub const KEEP: u8 = 22;
    /// A sample of which a part failed.
    pub const PARTLY: u8 = 23;
    /// The worker has this process.
    pub const STARTED: u8 = 32;
    /// The worker ended, and how.
    pub const ENDED: u8 = 33;
    /// No worker could be set up.
    pub const FAULT: u8 = 34;
}

/// The longest body that a message of this tag may have; none where there is no such tag.
#[must_use]
pub fn body_max(tag: u8) -> Option<usize> {
    Some(match tag {
        tag::START | tag::BATCH => MESSAGE_BYTES_MAX,
        tag::FLUSH | tag::COLLECT => CLOCK,
        tag::HELLO => 256,
        tag::LOADED => DECLARED_BYTES_MAX,
        tag::DONE | tag::GROUP => 4,
        tag::READY => 5,
        tag::FRAME => FRAME_BYTES_MAX,
        tag::KEEP => KEPT_BYTES_MAX,
        tag::PARTLY => 4 + 16 + TEXT_BYTES_MAX + FRAME_BYTES_MAX,
        tag::FAILED | tag::ENDED | tag::FAULT => 16 + TEXT_BYTES_MAX,
        tag::STARTED => 4,
        _ => return None,
    })
}

/// Appends a message.
pub fn put(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.extend_from_slice(&head(tag, body.len()));
    out.extend_from_slice(body);
}

/// The head of a message. Bodies are bounded far below 4 GiB by whoever makes them.
#[must_use]
pub fn head(tag: u8, body_bytes: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(body_bytes).unwrap_or(u32::MAX).to_le_bytes();
    [a, b, c, d, tag]
}

/// A message at the start of `bytes`, if it is there whole: its tag, and the length of its body.
///
/// # Errors
/// An unknown tag, or a body longer than one of this tag may be.
pub fn peek(bytes: &[u8]) -> Result<Option<(u8, usize)>, &'static str> {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let [a, b, c, d, tag] = *head;
    let body = u32::from_le_bytes([a, b, c, d]) as usize;
    if body > body_max(tag).ok_or("a message of an unknown kind")? {
        return Err("a message longer than any may be");
    }
    Ok((bytes.len() - HEAD >= body).then_some((tag, body)))
}

/// Bytes of the message at the start of `bytes`, as far as its head is there.
#[must_use]
pub fn announced(bytes: &[u8]) -> usize {
    bytes.first_chunk::<4>().map_or(HEAD, |length| HEAD + u32::from_le_bytes(*length) as usize)
}

/// Messages out of a stream. Several are read at once where they have come.
#[derive(Debug)]
pub struct Messages<R> {
    stream: R,
    bytes: Vec<u8>,
    /// What of them is read and not taken yet.
    from: usize,
    to: usize,
}

impl<R: Read> Messages<R> {
    /// Memory for several batches.
    const BYTES: usize = 256 * 1024;

    /// Of a stream.
    pub fn of(stream: R) -> Messages<R> {
        Messages { stream, bytes: vec![0; Messages::<R>::BYTES], from: 0, to: 0 }
    }

    /// Whether there is one without waiting.
    #[must_use]
    pub fn has_one(&self) -> bool {
        !matches!(peek(&self.bytes[self.from..self.to]), Ok(None))
    }

    /// The next: its tag and its body; none at the end of the stream.
    ///
    /// # Errors
    /// The stream fails or ends within a message, or the message makes no sense.
    #[allow(clippy::should_implement_trait)] // What it gives borrows from it, which an iterator's items cannot.
    pub fn next(&mut self) -> io::Result<Option<(u8, &[u8])>> {
        loop {
            let found = peek(&self.bytes[self.from..self.to]);
            if let Some((tag, length)) = found.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))? {
                let body = self.from + HEAD;
                self.from = body + length;
                return Ok(Some((tag, &self.bytes[body..body + length])));
            }
            let whole = announced(&self.bytes[self.from..self.to]);
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            if self.bytes.len() < whole {
                self.bytes.resize(whole, 0);
            }
            match self.stream.read(&mut self.bytes[self.to..]) {
                Ok(0) if self.to == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.to += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bytes of an encoded clock.
pub const CLOCK: usize = 16;

/// A clock, encoded.
#[must_use]
pub fn clock_bytes(clock: Clock) -> [u8; CLOCK] {
    let mut bytes = [0; CLOCK];
    bytes[..8].copy_from_slice(&clock.unix_ms().to_le_bytes());
    let monotonic = u64::try_from(clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
    bytes[8..].copy_from_slice(&monotonic.to_le_bytes());
    bytes
}

/// Takes a clock off the beginning of `bytes`.
#[must_use]
pub fn take_clock(bytes: &[u8]) -> Option<(Clock, &[u8])> {
    let (unix_ms, rest) = bytes.split_first_chunk::<8>()?;
    let (monotonic, rest) = rest.split_first_chunk::<8>()?;
    Some((Clock::new(i64::from_le_bytes(*unix_ms), u64::from_le_bytes(*monotonic)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_is_read_as_it_was_meant() {
        assert_eq!(take_clock(&clock_bytes(Clock::new(-7, 9))), Some((Clock::new(-7, 9), &[][..])));
    }

    #[test]
    fn a_message_that_none_is_is_refused() {
        let mut long = head(tag::STARTED, 5).to_vec();
        long.push(0);
        assert!(peek(&long).is_err());
        assert!(peek(&head(tag::FRAME, FRAME_BYTES_MAX + 1)).is_err());
        assert!(peek(&head(99, 0)).is_err());
    }

    /// Gives what it has in pieces.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let piece = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(piece);
            into[..piece].copy_from_slice(now);
            self.0 = later;
            Ok(piece)
        }
    }

    #[test]
    fn messages_are_read_whatever_pieces_they_come_in() {
        let bodies: Vec<Vec<u8>> =
            [0, 3, 400_000, 1, 70_000, 300_000].iter().map(|length| vec![*length as u8; *length]).collect();
        let mut bytes = Vec::new();
        bodies.iter().for_each(|body| put(&mut bytes, tag::BATCH, body));
        for piece in [7, 4_096, 1_000_000] {
            let mut messages = Messages::of(Pieces(&bytes, piece));
            for body in &bodies {
                assert_eq!(messages.next().expect("whole"), Some((tag::BATCH, &body[..])));
            }
            assert_eq!(messages.next().expect("the end"), None);
            let mut cut = Messages::of(Pieces(&bytes[..bytes.len() - 1], piece));
            assert!((0..bodies.len() - 1).all(|_| matches!(cut.next(), Ok(Some(_)))) && cut.next().is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((_, body))) = peek(&bytes) {
                prop_assert!(HEAD + body <= bytes.len());
            }
            let mut messages = Messages::of(&bytes[..]);
            while let Ok(Some(_)) = messages.next() {}
        }

        #[test]
        fn messages_are_whole_or_waited_for(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..205) {
            let mut bytes = Vec::new();
            put(&mut bytes, tag::FRAME, &body);
            let whole = cut >= bytes.len();
            let found = peek(&bytes[..cut.min(bytes.len())]).expect("a good head");
            prop_assert_eq!(found, whole.then_some((tag::FRAME, body.len())));
        }
    }
}
