//! A connection that knows when it must be over.

use crate::room::Room;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What bytes go through in both directions.
pub trait Connection {
    /// Reads what has come, or waits for it; 0 at the end.
    ///
    /// # Errors
    /// It broke, or its time is over.
    fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>>;

    /// Sends all of it.
    ///
    /// # Errors
    /// It broke, or its time is over.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;
}

/// A socket. What waits for it ends at its moment, with [`ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Stream<'r> {
    pub(crate) room: &'r Room,
    pub(crate) socket: Rc<OwnedFd>,
    pub(crate) until: Instant,
}

impl Connection for Stream<'_> {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            left(self.until)?;
            match recv(&self.socket, &mut *into, RecvFlags::empty()) {
                Err(Errno::AGAIN) => self.room.wait(&self.socket, PollFlags::IN, self.until).await?,
                Err(Errno::INTR) => {}
                received => return Ok(received?.0),
            }
        }
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            left(self.until)?;
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => self.room.wait(&self.socket, PollFlags::OUT, self.until).await?,
                Err(Errno::INTR) => {}
                sent => bytes = bytes.get(sent?..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// The time that is left until a moment.
///
/// # Errors
/// None is: [`ErrorKind::TimedOut`].
pub(crate) fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// What went wrong, in words that are the same on every system; `doing` is said where the time was over.
#[must_use]
pub fn why(error: &io::Error, doing: &str) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("out of time {doing}"),
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            format!("connection reset {doing}")
        }
        _ => format!("{error}, {doing}"),
    }
}
