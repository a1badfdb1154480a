//! A connection that does not wait for ever: for the rest of a head, for the next request, for its answer to be taken.
//!
//! The deadlines lie on the socket, because hyper's own one for a head runs while a kept connection is silent too, and
//! these are two things: a head takes a second, and who pushes every ten seconds wants to keep the connection.

use super::web::Patience;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// What is expected of the client.
#[derive(Debug)]
pub(super) struct Phase(AtomicU8);

impl Phase {
    /// Nothing has been read since the last answer, and nobody has looked yet.
    const OVER: u8 = 0;
    /// Nothing has been read since the last answer.
    const IDLE: u8 = 1;
    /// A head has begun.
    const HEAD: u8 = 2;
    /// A request is being answered; its body has a time limit of its own.
    const BUSY: u8 = 3;

    /// A connection that has just been made: it was made to ask.
    pub(super) fn new() -> Arc<Phase> {
        Arc::new(Phase(AtomicU8::new(Phase::HEAD)))
    }

    /// A head is whole.
    pub(super) fn begin(&self) {
        self.set(Phase::BUSY);
    }

    /// A request is answered.
    pub(super) fn end(&self) {
        self.set(Phase::OVER);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// A deadline. Moving it costs nothing: the timer under it looks again when it fires too early.
#[derive(Debug)]
struct Deadline {
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    fn new(after: Duration) -> Deadline {
        let at = Instant::now() + after;
        Deadline { at, timer: Box::pin(sleep_until(at)) }
    }

    fn set(&mut self, after: Duration) {
        self.at = Instant::now() + after;
        // A timer that fires too late is of no use.
        if self.timer.deadline() > self.at {
            self.timer.as_mut().reset(self.at);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, what: &'static str) -> Poll<io::Error> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.at {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            self.timer.as_mut().reset(self.at);
        }
        Poll::Pending
    }
}

/// A connection with deadlines.
#[derive(Debug)]
pub(super) struct Paced {
    stream: TcpStream,
    phase: Arc<Phase>,
    patience: Patience,
    read: Deadline,
    /// There while an answer lies in the socket and is not taken.
    write: Option<Deadline>,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, patience: Patience) -> Paced {
        Paced { stream, phase, patience, read: Deadline::new(patience.head), write: None }
    }

    fn poll_written<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(done) => {
                self.write = None;
                Poll::Ready(done)
            }
            Poll::Pending => {
                let deadline = self.write.get_or_insert_with(|| Deadline::new(self.patience.write));
                deadline.poll(cx, "the answer is not taken").map(Err)
            }
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let phase = this.phase.get();
        match read {
            Poll::Ready(read) => {
                if matches!(phase, Phase::OVER | Phase::IDLE) && buf.filled().len() > before {
                    this.phase.set(Phase::HEAD);
                    this.read.set(this.patience.head);
                }
                Poll::Ready(read)
            }
            Poll::Pending if phase == Phase::BUSY => Poll::Pending,
            Poll::Pending => {
                if phase == Phase::OVER {
                    this.phase.set(Phase::IDLE);
                    this.read.set(this.patience.idle);
                }
                this.read.poll(cx, "no request comes").map(Err)
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx, |stream, cx| stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }
}
