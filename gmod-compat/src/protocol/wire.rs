//! What the daemon and a worker say to each other: messages of a length (u32, little endian), a tag (u8) and a body.
//!
//! ```text
//! daemon -> worker    start: params, or gmod.rs    batch: see records.rs    flush, collect: clock
//! worker -> daemon    hello, then (keep, if it has made something that is dear to make) loaded, then ready or failed;
//!                     later answers to the orders, in turn: done (so many batches are folded), frame (a flush or a sample),
//!                     partly (length:u32 of what failed, what failed as in failed, a frame of the rest), failed (kind, message)
//! keeper -> daemon    on a line of its own: started: pid    ended: how, code, last words    fault: message
//! ```
//!
//! The daemon believes nothing of what a worker says: lengths are bounded before anything is kept, and a tag, a text or a
//! number that has no meaning ends the worker.

use super::declared::Declared;
use super::limits::{DECLARED_BYTES_MAX, FRAME_BYTES_MAX, KEPT_BYTES_MAX, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use plugin_api::{Clock, Error, ErrorKind, Field, Fields, limits::cut};
use std::io::{self, Read};

/// The version of this protocol. Both sides are of one build unless a file was replaced while the daemon runs.
const PROTOCOL: u32 = 2;

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
        tag::DONE => 4,
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

/// The first words of a worker: which protocol it speaks, and which graftd it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol's version.
    pub protocol: u32,
    /// The program's version.
    pub version: String,
}

impl Hello {
    /// This binary's.
    #[must_use]
    pub fn ours() -> Hello {
        Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// The body of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.protocol.to_le_bytes().to_vec();
        bytes.extend_from_slice(cut(&self.version, 64).as_bytes());
        bytes
    }

    /// Reads the body.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(body: &[u8]) -> Result<Hello, &'static str> {
        let (protocol, version) = body.split_first_chunk::<4>().ok_or("a cut greeting")?;
        let version = std::str::from_utf8(version).map_err(|_| "a greeting that is no text")?;
        Ok(Hello { protocol: u32::from_le_bytes(*protocol), version: one_line(version) })
    }

    /// Whether the daemon can work with it.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn accept(&self) -> Result<(), String> {
        let ours = Hello::ours();
        if self.protocol == ours.protocol {
            return Ok(());
        }
        Err(format!(
            "graftd {} for workers speaks protocol {}, this graftd {} speaks {}: restart the daemon",
            self.version, self.protocol, ours.version, ours.protocol
        ))
    }
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Its first words.
    Hello(Hello),
    /// What is to be given back to it at the next start of the same file: the message's body.
    Keep,
    /// The library is open, and this is what it says of itself; the module's `new` comes next.
    Loaded(Box<Declared>),
    /// The module is made.
    Ready {
        /// It is a pipe; a collector otherwise.
        is_pipe: bool,
        /// The fields that a pipe reads.
        wants: Fields,
    },
    /// So many batches are folded.
    Done(u32),
    /// A flush or a sample: the message's body. It is still to be checked.
    Frame,
    /// A sample of which this failed; the rest is a frame at the end of the body, from this byte on.
    Partly {
        /// What failed.
        error: Error,
        /// Where the frame begins in the body.
        frame_at: usize,
    },
    /// The module said so.
    Failed(Error),
    /// The worker could not be set up, before the plugin was touched.
    Fault(String),
}

impl Reply {
    /// Reads a message.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn decode(tag: u8, body: &[u8]) -> Result<Reply, &'static str> {
        Ok(match tag {
            tag::HELLO => Reply::Hello(Hello::decode(body)?),
            tag::LOADED => Reply::Loaded(serde_json::from_slice(body).map_err(|_| "what no plugin says of itself")?),
            tag::READY => {
                let (is_pipe, wants) = body.split_first().ok_or("a cut message")?;
                let wants = wants.first_chunk::<4>().ok_or("a cut message")?;
                let is_pipe = match is_pipe {
                    0 => false,
                    1 => true,
                    _ => return Err("a module that is neither pipe nor collector"),
                };
                Reply::Ready { is_pipe, wants: fields_of(u32::from_le_bytes(*wants)).ok_or("unknown fields")? }
            }
            tag::DONE => Reply::Done(u32::from_le_bytes(*body.first_chunk::<4>().ok_or("a cut message")?)),
            tag::FRAME => Reply::Frame,
            tag::KEEP => Reply::Keep,
            tag::PARTLY => {
                let (length, rest) = body.split_first_chunk::<4>().ok_or("a cut message")?;
                let length = u32::from_le_bytes(*length) as usize;
                let failed = rest.get(..length).ok_or("a cut message")?;
                Reply::Partly { error: error_of(failed)?, frame_at: 4 + length }
            }
            tag::FAILED => Reply::Failed(error_of(body)?),
            tag::FAULT => Reply::Fault(text(body)?),
            _ => return Err("a message that is none of a worker's"),
        })
    }
}

/// The body of the message that the module is made.
#[must_use]
pub fn ready(is_pipe: bool, wants: Fields) -> [u8; 5] {
    let [a, b, c, d] = bits_of(wants).to_le_bytes();
    [u8::from(is_pipe), a, b, c, d]
}

/// The body of the message that the module failed. The message's first line says what; further lines, such as a traceback,
/// are for whoever wants to know more.
#[must_use]
pub fn failed(error: &Error) -> Vec<u8> {
    let kind = match error.kind() {
        ErrorKind::Config => 0,
        ErrorKind::NoData => 1,
        ErrorKind::Failed => 2,
        ErrorKind::Panic => 3,
    };
    let mut body = vec![kind];
    body.extend_from_slice(cut(error.message(), TEXT_BYTES_MAX).as_bytes());
    body
}

/// The body of the message that a part of a sample failed.
#[must_use]
pub fn partly(error: &Error, frame: &[u8]) -> Vec<u8> {
    let failed = failed(error);
    let mut body = u32::try_from(failed.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    body.extend_from_slice(&failed);
    body.extend_from_slice(frame);
    body
}

fn error_of(body: &[u8]) -> Result<Error, &'static str> {
    let (kind, message) = body.split_first().ok_or("a cut message")?;
    let kind = match kind {
        0 => ErrorKind::Config,
        1 => ErrorKind::NoData,
        2 => ErrorKind::Failed,
        3 => ErrorKind::Panic,
        _ => return Err("an error of an unknown kind"),
    };
    Ok(Error::new(kind, lines(message)?))
}

fn bits_of(fields: Fields) -> u32 {
    Field::ALL.iter().filter(|field| fields.has(**field)).fold(0, |bits, field| bits | 1 << *field as u32)
}

fn fields_of(bits: u32) -> Option<Fields> {
    if bits >= 1 << Field::COUNT {
        return None;
    }
    let set = Field::ALL.into_iter().filter(|field| bits & (1 << *field as u32) != 0);
    Some(set.fold(Fields::NONE, |fields, field| fields.union(Fields::of(&[field]))))
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    std::str::from_utf8(bytes).map(one_line).map_err(|_| "a message that is no text")
}

/// The same, of several lines.
fn lines(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a message that is no text")?;
    Ok(text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect())
}

/// Foreign text for a line of our own: without control characters, which could forge further lines.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How a worker's process ended, as its keeper tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ended {
    /// By a signal.
    pub signal: Option<i32>,
    /// By itself.
    pub code: Option<i32>,
    /// The end of what it had written to its standard error.
    pub last_words: String,
}

impl Ended {
    /// The body of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (how, code) = match (self.signal, self.code) {
            (Some(signal), _) => (1, signal),
            (None, Some(code)) => (0, code),
            (None, None) => (2, 0),
        };
        let mut body = vec![how];
        body.extend_from_slice(&code.to_le_bytes());
        body.extend_from_slice(cut(&self.last_words, TEXT_BYTES_MAX).as_bytes());
        body
    }

    /// Reads the body.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Ended> {
        let (how, rest) = body.split_first()?;
        let (code, last_words) = rest.split_first_chunk::<4>()?;
        let code = i32::from_le_bytes(*code);
        Some(Ended {
            signal: (*how == 1).then_some(code),
            code: (*how == 0).then_some(code),
            last_words: String::from_utf8_lossy(last_words).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_worker_of_another_protocol_is_refused() {
        let ours = Hello::ours();
        assert_eq!(Hello::decode(&ours.encode()), Ok(ours.clone()));
        assert_eq!(ours.accept(), Ok(()));
        let other = Hello { protocol: PROTOCOL + 1, version: "9.9.9".to_owned() };
        let why = Hello::decode(&other.encode()).expect("read").accept().expect_err("refused");
        assert!(why.contains("9.9.9") && why.contains("restart the daemon"), "{why}");
        assert!(Hello::decode(&[1, 0]).is_err());
    }

    #[test]
    fn answers_are_read_as_they_were_meant() {
        let wants = Fields::of(&[Field::Status, Field::Host]);
        assert_eq!(Reply::decode(tag::READY, &ready(true, wants)), Ok(Reply::Ready { is_pipe: true, wants }));
        let error = Error::new(ErrorKind::Panic, "told\x1b\nto");
        assert_eq!(
            Reply::decode(tag::FAILED, &failed(&error)),
            Ok(Reply::Failed(Error::new(ErrorKind::Panic, "told \nto")))
        );
        let body = partly(&error, b"frame");
        let Ok(Reply::Partly { frame_at, .. }) = Reply::decode(tag::PARTLY, &body) else { panic!("not read") };
        assert_eq!(&body[frame_at..], b"frame");
        let ended = Ended { signal: Some(11), code: None, last_words: "oh".to_owned() };
        assert_eq!(Ended::decode(&ended.encode()), Some(ended));
        assert_eq!(take_clock(&clock_bytes(Clock::new(-7, 9))), Some((Clock::new(-7, 9), &[][..])));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let mut unknown_fields = ready(true, Fields::ALL);
        unknown_fields[3] = 0xff;
        assert!(Reply::decode(tag::READY, &unknown_fields).is_err());
        assert!(Reply::decode(tag::READY, &[2, 0, 0, 0, 0]).is_err());
        assert!(Reply::decode(tag::FAILED, &[9]).is_err());
        assert!(Reply::decode(tag::FAILED, &[0, 0xff, 0xfe]).is_err());
        assert!(Reply::decode(tag::BATCH, &[]).is_err());
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
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0u8..40) {
            let _ = Reply::decode(tag, &bytes);
            let _ = Ended::decode(&bytes);
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
