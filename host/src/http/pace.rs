//! A connection that does not wait for ever: for the rest of a head, for the next request, for its answer to be taken.
//!
//! hyper has a deadline for heads, but it runs while a kept connection is silent too, and these are two things: a head
//! takes a second, and who pushes every ten seconds wants to keep the connection. So the socket notes what happens, and
//! [`Overdue`], polled in the same task right after the connection, sees whether anything has lasted too long.

use super::web::Patience;
use crate::tls::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use warp::hyper::body::Bytes;

/// What a connection is waiting for, and since when. One task alone uses it; it is atomic because the task moves
/// between threads.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Patience,
    /// Times count from here.
    begin: Instant,
    phase: AtomicU8,
    /// Since when it is in this phase, in nanoseconds.
    since: AtomicU64,
    /// Since when an answer has not been taken, in nanoseconds; 0 when none waits.
    stuck: AtomicU64,
}

impl Pace {
    /// Nothing has been read since the last answer.
    const IDLE: u8 = 0;
    /// A head has begun.
    const HEAD: u8 = 1;
    /// A request is being answered; its body has a time limit of its own.
    const BUSY: u8 = 2;

    /// Of a connection that has just been made: it was made to ask.
    pub(super) fn new(patience: Patience) -> Arc<Pace> {
        Arc::new(Pace {
            patience,
            begin: Instant::now(),
            phase: AtomicU8::new(Pace::HEAD),
            since: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
        })
    }

    /// Of a connection that is kept after an answer that hyper knows nothing of.
    pub(super) fn resumed(patience: Patience) -> Arc<Pace> {
        let pace = Pace::new(patience);
        pace.enter(Pace::IDLE);
        pace
    }

    /// A head is whole.
    pub(super) fn asked(&self) {
        self.phase.store(Pace::BUSY, Ordering::Relaxed);
    }

    /// The request is answered.
    pub(super) fn answered(&self) {
        self.enter(Pace::IDLE);
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        // Never 0, which is "not at all".
        self.begin.elapsed().as_nanos() as u64 + 1
    }

    /// Something was read.
    fn read(&self) {
        if self.phase.load(Ordering::Relaxed) == Pace::IDLE {
            self.enter(Pace::HEAD);
        }
    }

    /// Something was written, or could not be.
    fn wrote(&self, taken: bool) {
        if taken {
            self.stuck.store(0, Ordering::Relaxed);
        } else if self.stuck.load(Ordering::Relaxed) == 0 {
            self.stuck.store(self.now(), Ordering::Relaxed);
        }
    }

    /// All that was to be written has been taken.
    pub(super) fn is_flushed(&self) -> bool {
        self.stuck.load(Ordering::Relaxed) == 0
    }

    /// When this has lasted too long, if it goes on.
    fn deadline(&self) -> Option<Instant> {
        let at = |since: u64, patience: Duration| self.begin + Duration::from_nanos(since) + patience;
        let since = self.since.load(Ordering::Relaxed);
        let read = match self.phase.load(Ordering::Relaxed) {
            Pace::IDLE => Some(at(since, self.patience.idle)),
            Pace::HEAD => Some(at(since, self.patience.head)),
            _ => None,
        };
        let stuck = self.stuck.load(Ordering::Relaxed);
        let write = (stuck > 0).then(|| at(stuck, self.patience.write));
        match (read, write) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (read, write) => read.or(write),
        }
    }
}

/// Ends when a connection has made its server wait too long.
#[derive(Debug)]
pub(super) struct Overdue {
    pace: Arc<Pace>,
    /// It is only moved when it would fire too late: moving it with each request would cost more than a request's
    /// parsing.
    timer: Pin<Box<Sleep>>,
}

impl Overdue {
    pub(super) fn new(pace: Arc<Pace>) -> Overdue {
        let first = pace.begin + pace.patience.head;
        Overdue { pace, timer: Box::pin(sleep_until(first)) }
    }
}

impl Future for Overdue {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // While nothing is waited for no timer is needed: what changes that has this polled.
            let Some(deadline) = self.pace.deadline() else { return Poll::Pending };
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}

/// A connection that notes what happens on it.
#[derive(Debug)]
pub(super) struct Paced {
    stream: Stream,
    /// What was read before, and is read again.
    before: Bytes,
    pace: Arc<Pace>,
}

impl Paced {
    pub(super) fn new(stream: Stream, before: Bytes, pace: Arc<Pace>) -> Paced {
        Paced { stream, before, pace }
    }

    pub(super) fn into_inner(self) -> (Stream, Bytes) {
        (self.stream, self.before)
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pace.wrote(written.is_ready());
        written
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before.split_to(length));
            self.pace.read();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.read();
        }
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // A socket has nothing to flush: this says nothing about what the client takes. TLS has.
        if self.stream.is_secure() { self.noted(flushed) } else { flushed }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(written)
    }
}
