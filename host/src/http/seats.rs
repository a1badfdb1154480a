//! The streams that sit in a group: what one thread has to know to write to all of them.
//!
//! A row a stream, in the order of their sockets, which is about that in which the kernel made them: what it has to look at
//! for one lies near what it looked at for the one before. What is written is one call of `send` a stream; everything else
//! that a stream is (its task, its timers, what the runtime knows of its socket) stays where it is, out of the processor's
//! caches.

use super::live::{Chunk, Delivery, Event, Heard, Place};
use crate::limits::{STREAM_QUIET_MAX, STREAMS_TOLD_AT_ONCE};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Streams that are written to before who sits down or stands up meanwhile has his turn.
const BATCH: usize = 32;

/// Streams of one question that are written to in one turn; few where it is tested, for sockets are scarce.
pub(super) const AT_ONCE: usize = if cfg!(test) { 2 * BATCH } else { STREAMS_TOLD_AT_ONCE };

/// A stream's socket, and its bell.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) socket: TcpStream,
    /// It has to stand up.
    pub(super) up: Notify,
}

/// What is known of a stream that sits.
#[derive(Debug)]
pub(super) struct Sitting {
    /// Without the frames of HTTP/1.1.
    pub(super) plain: bool,
    /// What its client has been told.
    pub(super) place: Place,
    /// When it was told something last.
    pub(super) said: Instant,
    /// Bytes of text that were told.
    pub(super) sent: usize,
    /// How the last one could not be told, if it could not: from then on nothing is written for it.
    pub(super) unsaid: Option<Unsaid>,
}

/// What the stream's task has to see to.
#[derive(Debug)]
pub(super) enum Unsaid {
    /// From a byte on, what its socket did not take.
    Rest(Event, usize),
    Failed(io::Error),
    /// It missed something.
    Missed,
}

/// What all of a group are told.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// What changed.
    News(Arc<Delivery>),
    /// That nothing has, now: to those who have heard nothing for long.
    Silence(Instant),
}

#[derive(Debug)]
struct Row {
    seat: Arc<Seat>,
    sitting: Sitting,
}

#[derive(Debug, Default)]
struct Rows {
    by_socket: BTreeMap<RawFd, Row>,
    /// Nobody has to be told before that nothing has happened.
    silent_until: Option<Instant>,
}

/// Notes that one who was told something then has to be told again after [`STREAM_QUIET_MAX`].
fn sooner(silent_until: &mut Option<Instant>, said: Instant) {
    let until = said + STREAM_QUIET_MAX;
    *silent_until = Some(silent_until.map_or(until, |earliest| earliest.min(until)));
}

/// The streams that sit in a group.
#[derive(Debug, Default)]
pub(super) struct Seats {
    rows: Mutex<Rows>,
}

impl Seats {
    /// From now on the stream is told what comes, until it [stands up](Seats::stand).
    pub(super) fn sit(&self, seat: &Arc<Seat>, sitting: Sitting) {
        let mut rows = self.rows.lock();
        sooner(&mut rows.silent_until, sitting.said);
        // As long as it sits its socket is open, and nobody else has that number.
        rows.by_socket.insert(seat.socket.as_raw_fd(), Row { seat: Arc::clone(seat), sitting });
    }

    /// What it was told while it sat; none when it does not sit.
    pub(super) fn stand(&self, seat: &Seat) -> Option<Sitting> {
        let row = self.rows.lock().by_socket.remove(&seat.socket.as_raw_fd())?;
        Some(row.sitting)
    }

    /// Somebody has heard nothing for so long that it has to be told so.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let mut rows = self.rows.lock();
        if rows.by_socket.is_empty() {
            rows.silent_until = None;
        }
        rows.silent_until.is_some_and(|until| until <= now)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.lock().by_socket.len()
    }

    /// Tells [`AT_ONCE`] of them, those after a socket; the last one's, if there may be more. It waits for none of them.
    pub(super) fn tell(&self, words: &Words, mut after: Option<RawFd>) -> Option<RawFd> {
        let is_silence = matches!(words, Words::Silence(_));
        let mut rows = self.rows.lock();
        if is_silence && after.is_none() {
            // It is found anew.
            rows.silent_until = None;
        }
        for _ in 0..AT_ONCE / BATCH {
            let Rows { by_socket, silent_until } = &mut *rows;
            let rest = by_socket.range_mut((after.map_or(Unbounded, Excluded), Unbounded));
            // The sockets first: each lies elsewhere, and so the processor asks for all of them together.
            let batch: Vec<_> =
                rest.take(BATCH).map(|(_, row)| (row.seat.socket.as_fd(), &*row.seat, &mut row.sitting)).collect();
            let told = batch.len();
            after = batch.last().map(|(socket, ..)| socket.as_raw_fd());
            for (socket, seat, sitting) in batch {
                if sitting.unsaid.is_some() {
                    // It is about to stand up.
                    continue;
                }
                sitting.hear(words, socket);
                if sitting.unsaid.is_some() {
                    seat.up.notify_one();
                } else if is_silence {
                    sooner(silent_until, sitting.said);
                }
            }
            if told < BATCH {
                return None;
            }
            MutexGuard::bump(&mut rows);
        }
        after
    }
}

impl Sitting {
    fn hear(&mut self, words: &Words, socket: BorrowedFd<'_>) {
        match words {
            Words::News(delivery) => match self.place.hear(delivery) {
                Heard::Known => {}
                Heard::Missed => self.unsaid = Some(Unsaid::Missed),
                Heard::Next => self.say(delivery.event(), delivery.at, socket, || Event::Told(Arc::clone(delivery))),
            },
            Words::Silence(now) => {
                if self.said + STREAM_QUIET_MAX <= *now {
                    let event = Event::silent();
                    self.say(event.chunk(), *now, socket, || event.clone());
                }
            }
        }
    }

    fn say(&mut self, chunk: &Chunk, now: Instant, socket: BorrowedFd<'_>, event: impl FnOnce() -> Event) {
        let bytes = chunk.bytes(self.plain);
        self.said = now;
        self.sent += chunk.text().len();
        // Past the runtime: what that knows of a socket is one more thing to look at, and who stands up finds out for itself.
        let written = match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => {
                self.unsaid = Some(Unsaid::Failed(error.into()));
                return;
            }
        };
        if written < bytes.len() {
            self.unsaid = Some(Unsaid::Rest(event(), written));
        }
    }
}

#[cfg(test)]
mod tests;
