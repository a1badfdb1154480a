//! The daemon's end of a worker: two sockets that never block, and what has come by them.
//!
//! By one it talks to the worker, whom nobody trusts; by the other to the worker's keeper, which says how the worker ended,
//! and ends it when this end is closed.

use gmod_compat::protocol::reply::{Ended, Reply};
use gmod_compat::protocol::wire::{self, HEAD, tag};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Bytes read at once where no more are announced: most answers have ten.
const READ_BYTES: usize = 4 * 1024;

/// Bytes of an announced answer that are read at once. Memory is taken as they come, not as they are announced.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Memory that is kept for answers, in bytes; what a large frame took is given back.
const KEPT_BYTES: usize = 1024 * 1024;

/// What stands between a request and its answer.
#[derive(Debug, PartialEq)]
pub(super) enum Broken {
    /// The time is over.
    Late,
    /// The worker is gone.
    Gone,
    /// It sent what makes no sense.
    Lied(String),
    /// The keeper could not start it.
    Fault(String),
}

/// What is waited for. An answer that nobody will read must not be: it would end the wait again and again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    Answer,
    Room,
    Either,
}

impl From<&'static str> for Broken {
    fn from(what: &'static str) -> Broken {
        Broken::Lied(what.to_owned())
    }
}

#[derive(Debug)]
pub(super) struct Link {
    data: UnixStream,
    control: UnixStream,
    /// What the worker has sent, from its last answer on.
    received: Vec<u8>,
    /// Bytes of it that belong to the answer given last.
    taken: usize,
    /// Of the keeper's messages what has come so far.
    told: Vec<u8>,
    /// The worker closed its end, or broke it.
    closed: bool,
    /// The worker's process.
    pid: Option<u32>,
    /// How it ended.
    ended: Option<Ended>,
}

impl Link {
    pub(super) fn new(data: UnixStream, control: UnixStream) -> io::Result<Link> {
        data.set_nonblocking(true)?;
        control.set_nonblocking(true)?;
        Ok(Link {
            data,
            control,
            received: Vec::new(),
            taken: 0,
            told: Vec::new(),
            closed: false,
            pid: None,
            ended: None,
        })
    }

    /// The worker's process, once its keeper has told it.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Writes what there is room for of `parts` after the first `sent` bytes, and says whether all is written.
    pub(super) fn write(&mut self, parts: [&[u8]; 2], sent: &mut usize) -> Result<bool, Broken> {
        let whole = parts[0].len() + parts[1].len();
        while *sent < whole {
            let first = parts[0].get(*sent..).unwrap_or_default();
            let second = &parts[1][sent.saturating_sub(parts[0].len())..];
            match self.data.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                // Its answers, if it gave any, are still to be read.
                Err(_) => return Err(Broken::Gone),
            }
        }
        Ok(true)
    }

    /// The next answer that is there whole, and where its body is.
    pub(super) fn next_reply(&mut self) -> Result<Option<(Reply, Range<usize>)>, Broken> {
        if self.taken > 0 {
            self.received.drain(..self.taken);
            self.taken = 0;
            self.received.shrink_to(KEPT_BYTES);
        }
        loop {
            if let Some((tag, length)) = wire::peek(&self.received)? {
                let body = HEAD..HEAD + length;
                let reply = Reply::decode(tag, &self.received[body.clone()])?;
                self.taken = body.end;
                return Ok(Some((reply, body)));
            }
            let missing = wire::announced(&self.received).saturating_sub(self.received.len());
            let most = missing.clamp(READ_BYTES, READ_BYTES_MAX);
            if self.closed || !read_some(&mut self.data, &mut self.received, most, &mut self.closed) {
                return Ok(None);
            }
        }
    }

    /// The body of the answer given last.
    pub(super) fn body(&self, at: Range<usize>) -> &[u8] {
        self.received.get(at).unwrap_or_default()
    }

    /// Waits until there may be what is wanted.
    pub(super) fn wait(&mut self, wanted: Wanted, until: Instant) -> Result<(), Broken> {
        if self.ended.is_some() || self.closed {
            return Err(Broken::Gone);
        }
        let left = until.saturating_duration_since(Instant::now());
        let wanted = match wanted {
            Wanted::Answer => PollFlags::IN,
            Wanted::Room => PollFlags::OUT,
            Wanted::Either => PollFlags::IN | PollFlags::OUT,
        };
        let mut polled = [PollFd::new(&self.data, wanted), PollFd::new(&self.control, PollFlags::IN)];
        match poll(&mut polled, Some(&timespec(left))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Broken::Fault(format!("poll: {error}"))),
        }
        let told = !polled[1].revents().is_empty();
        if told {
            self.hear_keeper()?;
        }
        // Whatever has come meanwhile: it is not all that was waited for, and more may come for ever.
        if left.is_zero() { Err(Broken::Late) } else { Ok(()) }
    }

    /// Waits until the keeper has told which process the worker is.
    pub(super) fn wait_for_pid(&mut self, until: Instant) -> Result<(), Broken> {
        while self.pid.is_none() {
            if self.ended.is_some() {
                return Err(Broken::Gone);
            }
            let left = until.saturating_duration_since(Instant::now());
            if poll(&mut [PollFd::new(&self.control, PollFlags::IN)], Some(&timespec(left))) == Ok(0) {
                return Err(Broken::Late);
            }
            self.hear_keeper()?;
        }
        Ok(())
    }

    /// How the worker ended, for which its keeper is waited for a while.
    ///
    /// # Errors
    /// The keeper says that it could not start it at all.
    pub(super) fn ending(&mut self, patience: Duration) -> Result<Option<Ended>, Broken> {
        let until = Instant::now() + patience;
        while self.ended.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            let mut polled = [PollFd::new(&self.control, PollFlags::IN)];
            if poll(&mut polled, Some(&timespec(left))) == Ok(0) {
                break;
            }
            match self.hear_keeper() {
                Ok(()) => {}
                Err(Broken::Fault(why)) => return Err(Broken::Fault(why)),
                Err(_) => break,
            }
        }
        Ok(self.ended.clone())
    }

    /// Whether the keeper has told that the worker ended. Never waits.
    pub(super) fn has_ended(&mut self) -> bool {
        // What else it may have said shows at the next call.
        let _ = self.hear_keeper();
        self.ended.is_some()
    }

    /// Has the worker killed now, with all that it started.
    pub(super) fn kill(&mut self) {
        // A keeper that is gone needs no telling.
        let _ = self.control.write(&[1]);
    }

    /// Has no more orders for it: its module ends, and its process where no other shares that.
    pub(super) fn hang_up(&mut self) {
        // One that is gone needs no telling.
        let _ = self.data.shutdown(std::net::Shutdown::Both);
        self.closed = true;
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.received.capacity()
    }

    fn hear_keeper(&mut self) -> Result<(), Broken> {
        let mut closed = false;
        while read_some(&mut self.control, &mut self.told, READ_BYTES, &mut closed) {}
        while let Some((tag, length)) = wire::peek(&self.told)? {
            let body = &self.told[HEAD..HEAD + length];
            match tag {
                tag::STARTED => self.pid = body.first_chunk::<4>().map(|pid| u32::from_le_bytes(*pid)),
                tag::ENDED => self.ended = Some(Ended::decode(body).unwrap_or_default()),
                tag::FAULT => return Err(Broken::Fault(String::from_utf8_lossy(body).into_owned())),
                _ => return Err(Broken::from("a message that is none of a keeper's")),
            }
            self.told.drain(..HEAD + length);
        }
        if closed && self.ended.is_none() {
            self.ended = Some(Ended::default());
        }
        Ok(())
    }
}

/// Reads once; `false` when there is nothing now, or never will be.
fn read_some(stream: &mut UnixStream, into: &mut Vec<u8>, most: usize, closed: &mut bool) -> bool {
    let before = into.len();
    into.resize(before + most, 0);
    let read = stream.read(&mut into[before..]);
    into.truncate(before + *read.as_ref().unwrap_or(&0));
    match read {
        Ok(0) => *closed = true,
        Ok(_) => return true,
        Err(error) if error.kind() == ErrorKind::Interrupted => return true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => *closed = true,
    }
    false
}

/// Rounded up to a millisecond, so that a wait is never cut into many that are too short.
fn timespec(duration: Duration) -> Timespec {
    let millis = duration.as_nanos().div_ceil(1_000_000).min(1_000_000_000) as i64;
    Timespec { tv_sec: millis / 1_000, tv_nsec: millis % 1_000 * 1_000_000 }
}
