//! What two daemons say to each other.
//!
//! ```text
//! sender:    MARK hello (entry | commit | ping | pong)*
//! receiver:  MARK (welcome (acknowledged | ping | pong)* refused? error? | error)
//!
//! message    = length:u32 kind:u8 bytes{length - 1}              numbers are little endian
//! hello      = least:u64 most:u64 (text text)*                   versions spoken; pairs of a name and what it is
//! welcome    = version:u64 (text text)*
//! text       = length:u32 bytes                                   UTF-8
//! entry      = number:u64 tag:u64 zstd                            a frame of `plugin_api::delta::wire`, packed
//!            | number:u64 tag:u64 "raw" 1 zstd                    lines of logs (raw/piece.rs); since version 3
//! acknowledged = number:u64                                       it is on the receiver's disk, and so are all before it
//! refused    = number:u64 UTF-8                                   why this entry is not merged, now or ever; since version 2
//! error      = UTF-8                                              why the connection is closed
//! ```
//!
//! `hello`, `welcome` and `error` have this form in every version, so that any two can tell each other why they do not understand
//! each other. A name that is not known is passed over.

#[cfg(test)]
mod tests;

use super::room::{Asked, Held, Room};
use crate::limits::{RELAY_ENTRY_TIME_MAX, RELAY_HELLO_BYTES_MAX, RELAY_SLOW_BYTES, RELAY_STEP_BYTES, RELAY_WRITE_MAX};
use crate::trend::Place;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

/// What each side says first.
pub(super) const MARK: &[u8; 13] = b"graftd-relay\n";

/// The versions spoken here.
pub(super) const VERSIONS: std::ops::RangeInclusive<u64> = 1..=3;

/// The first in which a receiver says which entry it refuses.
pub(super) const SAYS_REFUSED: u64 = 2;

/// The first in which a receiver takes lines of logs.
pub(super) const TAKES_LINES: u64 = 3;

/// An acknowledgement, as it is written.
pub(super) const ACKNOWLEDGED_BYTES: i32 = 4 + 1 + 8;

/// What is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Hello {
        least: u64,
        most: u64,
        said: Said,
    },
    Welcome {
        version: u64,
        said: Said,
    },
    Entry {
        place: Place,
        data: Vec<u8>,
    },
    /// What was sent is to be committed soon.
    Commit,
    Acknowledged {
        number: u64,
    },
    Ping,
    Pong,
    /// An entry that the receiver does not merge, and why.
    Refused {
        number: u64,
        why: String,
    },
    Error(String),
}

/// Names and what they are.
pub(super) type Said = BTreeMap<String, String>;

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const WELCOME: u8 = 2;
    pub(super) const ENTRY: u8 = 3;
    pub(super) const COMMIT: u8 = 4;
    pub(super) const ACKNOWLEDGED: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const PONG: u8 = 7;
    pub(super) const ERROR: u8 = 8;
    pub(super) const REFUSED: u8 = 9;
}

impl Message {
    /// The bytes of it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        match self {
            Message::Hello { least, most, said } => {
                bytes.push(kind::HELLO);
                bytes.extend_from_slice(&least.to_le_bytes());
                bytes.extend_from_slice(&most.to_le_bytes());
                put_said(&mut bytes, said);
            }
            Message::Welcome { version, said } => {
                bytes.push(kind::WELCOME);
                bytes.extend_from_slice(&version.to_le_bytes());
                put_said(&mut bytes, said);
            }
            Message::Entry { place, data } => {
                bytes.push(kind::ENTRY);
                bytes.extend_from_slice(&place.number.to_le_bytes());
                bytes.extend_from_slice(&place.tag.to_le_bytes());
                bytes.extend_from_slice(data);
            }
            Message::Commit => bytes.push(kind::COMMIT),
            Message::Acknowledged { number } => {
                bytes.push(kind::ACKNOWLEDGED);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Message::Ping => bytes.push(kind::PING),
            Message::Pong => bytes.push(kind::PONG),
            Message::Refused { number, why } => {
                bytes.push(kind::REFUSED);
                bytes.extend_from_slice(&number.to_le_bytes());
                bytes.extend_from_slice(why.as_bytes());
            }
            Message::Error(why) => {
                bytes.push(kind::ERROR);
                bytes.extend_from_slice(why.as_bytes());
            }
        }
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// Reads what follows the length.
    ///
    /// # Errors
    /// It is no message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Message, &'static str> {
        let (&kind, rest) = bytes.split_first().ok_or("an empty message")?;
        let mut rest = rest;
        let message = match kind {
            kind::HELLO => {
                Message::Hello { least: number(&mut rest)?, most: number(&mut rest)?, said: said(&mut rest)? }
            }
            kind::WELCOME => Message::Welcome { version: number(&mut rest)?, said: said(&mut rest)? },
            kind::ENTRY => {
                let place = Place { number: number(&mut rest)?, tag: number(&mut rest)? };
                Message::Entry { place, data: std::mem::take(&mut rest).to_vec() }
            }
            kind::COMMIT => Message::Commit,
            kind::ACKNOWLEDGED => Message::Acknowledged { number: number(&mut rest)? },
            kind::PING => Message::Ping,
            kind::PONG => Message::Pong,
            kind::REFUSED => Message::Refused { number: number(&mut rest)?, why: words(&mut rest) },
            kind::ERROR => Message::Error(words(&mut rest)),
            _ => return Err("a message of no kind that is known"),
        };
        if rest.is_empty() { Ok(message) } else { Err("a message that is too long") }
    }
}

fn put_said(bytes: &mut Vec<u8>, said: &Said) {
    for text in said.iter().flat_map(|(name, is)| [name, is]) {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
}

fn number(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let (bytes, left) = rest.split_first_chunk().ok_or("a message that is cut off")?;
    *rest = left;
    Ok(u64::from_le_bytes(*bytes))
}

fn text(rest: &mut &[u8]) -> Result<String, &'static str> {
    const CUT: &str = "a message that is cut off";
    let (length, left) = rest.split_first_chunk().ok_or(CUT)?;
    let (text, left) = left.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(CUT)?;
    *rest = left;
    Ok(std::str::from_utf8(text).map_err(|_| "a text that is not UTF-8")?.to_owned())
}

fn words(rest: &mut &[u8]) -> String {
    String::from_utf8_lossy(std::mem::take(rest)).into_owned()
}

fn said(rest: &mut &[u8]) -> Result<Said, &'static str> {
    let mut said = Said::new();
    while !rest.is_empty() {
        let name = text(rest)?;
        said.insert(name, text(rest)?);
    }
    Ok(said)
}

/// A place as a hello says it, and as it is kept with what was merged.
pub(super) fn put_place(place: Place) -> String {
    format!("{} {:016x}", place.number, place.tag)
}

/// Reads what [`put_place`] wrote; what stands behind it is left.
pub(super) fn place(text: &str) -> Option<Place> {
    let mut words = text.split(' ');
    let number = words.next()?.parse().ok()?;
    Some(Place { number, tag: u64::from_str_radix(words.next()?, 16).ok()? })
}

/// Reads messages of a connection. Reading may be broken off at any time, and goes on where it was.
pub(super) struct Reading<R> {
    from: R,
    bytes: Vec<u8>,
    /// Where room is taken for large messages, and what was taken for the one that is read, or was read last.
    room: Option<Arc<Room>>,
    held: Option<Held>,
    /// Room that is waited for, and since when.
    asked: Option<(Instant, Asked)>,
    /// The last message is done with when the next is asked for.
    done: bool,
    /// When the peer gave a sign of life last: a message, or so much of one that it is not held back on purpose.
    heard: Instant,
    /// Bytes since.
    since: usize,
}

/// What stands before an entry's bytes: the length, the kind and the place.
const ENTRY_HEAD: usize = 4 + 1 + 8 + 8;

/// Why there is no further message.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is over.
    Ended(io::Error),
    /// What comes is no message: the peer is told.
    Wrong(String),
}

impl<R: AsyncRead + Unpin> Reading<R> {
    pub(super) fn new(from: R) -> Reading<R> {
        let heard = Instant::now();
        Reading { from, bytes: Vec::new(), room: None, held: None, asked: None, done: false, heard, since: 0 }
    }

    /// From now on large messages wait for room that is shared with others.
    pub(super) fn share(&mut self, room: &Arc<Room>) {
        self.room = Some(Arc::clone(room));
    }

    /// When the peer gave a sign of life last. While there is no room for what it sends nobody listens.
    pub(super) fn heard(&self) -> Instant {
        self.asked.as_ref().map_or(self.heard, |(since, _)| self.heard + since.elapsed())
    }

    /// Whether the peer has to wait, for want of room.
    pub(super) fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// Nothing was read for so long because nobody here did.
    pub(super) fn rested(&mut self, time: Duration) {
        self.heard = (self.heard + time).min(Instant::now());
    }

    /// Bytes that it has room for.
    #[cfg(test)]
    pub(super) fn room_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn into_inner(self) -> R {
        self.from
    }

    /// Whether the peer begins as it has to. What it says instead, if not.
    pub(super) async fn mark(&mut self) -> Result<(), Broken> {
        while self.bytes.len() < MARK.len() {
            if !MARK.starts_with(&self.bytes) {
                break;
            }
            self.more(MARK.len()).await?;
        }
        if !self.bytes.starts_with(MARK) {
            if let Some(why) = self.bytes.first().and_then(|first| super::secure::is_tls(*first)) {
                return Err(Broken::Wrong(why.to_owned()));
            }
            let begin = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(16)]).into_owned();
            return Err(Broken::Wrong(format!("this is no relay of graftd's: it begins with {begin:?}")));
        }
        self.bytes.drain(..MARK.len());
        Ok(())
    }

    /// The next message, of at most so many bytes.
    pub(super) async fn next(&mut self, most: usize) -> Result<Message, Broken> {
        if std::mem::take(&mut self.done) {
            self.held = None;
        }
        loop {
            let mut whole = 4;
            if let Some(length) = self.bytes.first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > most {
                    return Err(Broken::Wrong(format!("a message of {length} bytes, where {most} are the most")));
                }
                whole += length;
                if length > RELAY_STEP_BYTES && self.held.is_none() {
                    self.wait_for_room(length).await?;
                }
                if let Some(held) = &self.held {
                    held.came(self.bytes.len());
                }
                if self.bytes.len() >= whole {
                    self.done = true;
                    if let Some(held) = &self.held {
                        held.is_whole();
                    }
                    self.heard = Instant::now();
                    self.since = 0;
                    return self.take(whole).map_err(|why| Broken::Wrong(why.to_owned()));
                }
            }
            self.more(whole).await?;
        }
    }

    /// Waits for room for a message of so many bytes, where that is shared.
    async fn wait_for_room(&mut self, length: usize) -> Result<(), Broken> {
        let Some(room) = &self.room else { return Ok(()) };
        // It is kept where this is broken off: its place in the queue would be lost.
        let (since, asked) = self.asked.get_or_insert_with(|| (Instant::now(), room.ask(length)));
        let held = asked.await;
        self.heard += since.elapsed();
        self.asked = None;
        self.held = Some(held.ok_or_else(|| Broken::Wrong("the daemon ends".to_owned()))?);
        Ok(())
    }

    /// Takes out a message that is there.
    fn take(&mut self, whole: usize) -> Result<Message, &'static str> {
        // An entry alone, as large ones are: its bytes are not copied.
        if self.bytes.len() == whole && whole > RELAY_STEP_BYTES && self.bytes[4] == kind::ENTRY {
            let mut data = std::mem::take(&mut self.bytes);
            let mut head = &data[5..ENTRY_HEAD];
            let place = Place { number: number(&mut head)?, tag: number(&mut head)? };
            data.drain(..ENTRY_HEAD);
            return Ok(Message::Entry { place, data });
        }
        let message = Message::decode(&self.bytes[4..whole]);
        self.bytes.drain(..whole);
        // A large one is not kept room for.
        if self.bytes.is_empty() && self.bytes.capacity() > RELAY_STEP_BYTES {
            self.bytes = Vec::new();
        }
        message
    }

    /// Reads more of a message of so many bytes in all. The peer has to send half of it before there is room for the rest.
    async fn more(&mut self, whole: usize) -> Result<(), Broken> {
        let has = self.bytes.len();
        if has >= whole / 2 && has < whole && whole > RELAY_STEP_BYTES {
            self.bytes.reserve_exact(whole - has);
        } else {
            self.bytes.reserve(RELAY_STEP_BYTES.min(has.max(4 * 1024)));
        }
        let read = match &self.held {
            None => self.from.read_buf(&mut self.bytes).await,
            Some(held) => tokio::select! {
                biased;
                read = self.from.read_buf(&mut self.bytes) => read,
                () = held.gives_way() => {
                    return Err(Broken::Wrong(format!(
                        "an entry that would take more than {RELAY_ENTRY_TIME_MAX:?} at the rate at which it comes, while others \
                         wait for room"
                    )));
                }
            },
        };
        match read {
            Ok(0) => {
                Err(Broken::Ended(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side closed the connection")))
            }
            Ok(read) => {
                self.since += read;
                if self.since >= RELAY_SLOW_BYTES {
                    self.heard = Instant::now();
                    self.since = 0;
                }
                Ok(())
            }
            Err(error) => Err(Broken::Ended(error)),
        }
    }
}

/// Writes bytes; who reads none of them for so long is given up. One that reads slowly is not.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    write_within(to, bytes, RELAY_WRITE_MAX).await
}

async fn write_within(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], most: Duration) -> io::Result<()> {
    let stuck = || io::Error::new(io::ErrorKind::TimedOut, format!("the other side reads nothing for {most:?}"));
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = timeout(most, to.write(rest)).await.map_err(|_| stuck())??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest = &rest[written..];
    }
    // What TLS has gathered: no more than a sign of life is.
    timeout(most, to.flush()).await.map_err(|_| stuck())?
}

/// Writes bytes, and hands on what is said meanwhile: a receiver that has no room for an entry yet reads nothing, and says that it is
/// alive. Who does neither for so long is given up.
pub(super) async fn write_listening<R: AsyncRead + Unpin>(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    from: &mut Reading<R>,
    most: Duration,
    mut hear: impl FnMut(Message) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut rest = bytes;
    let mut taken = Instant::now();
    while !rest.is_empty() {
        let until = taken.max(from.heard()) + most;
        tokio::select! {
            biased;
            written = to.write(rest) => match written.map_err(Broken::Ended)? {
                0 => return Err(Broken::Ended(io::ErrorKind::WriteZero.into())),
                written => {
                    rest = &rest[written..];
                    taken = Instant::now();
                }
            },
            message = from.next(RELAY_HELLO_BYTES_MAX) => hear(message?)?,
            () = sleep_until(until) => {
                return Err(Broken::Wrong(format!("the other side reads nothing, and says nothing, for {most:?}")));
            }
        }
    }
    // What TLS has gathered.
    write(to, &[]).await.map_err(Broken::Ended)
}
