//! A connection with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{client, server};

/// A connection with TLS or without. What is written with TLS is gathered: flush it.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Without.
    Plain(TcpStream),
    /// That was accepted.
    Server(Box<server::TlsStream<TcpStream>>),
    /// That was made.
    Client(Box<client::TlsStream<TcpStream>>),
}

/// The same for each kind.
macro_rules! each {
    ($stream:expr, $inner:ident => $what:expr) => {
        match $stream {
            Stream::Plain($inner) => $what,
            Stream::Server($inner) => $what,
            Stream::Client($inner) => $what,
        }
    };
}

impl Stream {
    /// It is with TLS.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Stream::Plain(_))
    }

    /// Says that nothing more comes. What is encrypted may have to wait for that, for somebody who takes nothing: no longer than this.
    ///
    /// # Errors
    /// `TimedOut`; the connection is broken.
    pub(crate) async fn end(&mut self, patience: Duration) -> io::Result<()> {
        timeout(patience, self.shutdown()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Waits until something can be read, or nothing more comes. What can be read stays where it is.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.readable().await,
            tls => std::future::poll_fn(|cx| tls.poll_fill(cx)).await.map(drop),
        }
    }

    /// Waits until something can be read (`true`), or nothing more comes.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn goes_on(&mut self) -> io::Result<bool> {
        match self {
            Stream::Plain(socket) => socket.peek(&mut [0]).await.map(|read| read > 0),
            tls => std::future::poll_fn(|cx| tls.poll_fill(cx)).await.map(|bytes| bytes > 0),
        }
    }

    /// Reads what is there into the room that a vector has; 0 when nothing more comes.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; else the connection is broken.
    pub(crate) fn try_read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        if let Stream::Plain(socket) = self {
            return socket.try_read_buf(into);
        }
        // Who finds nothing waits with `ready`, which has a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        let room = into.capacity() - into.len();
        let read = match self {
            Stream::Plain(_) => return Err(io::ErrorKind::WouldBlock.into()),
            Stream::Server(tls) => take(&mut **tls, &mut cx, room, into),
            Stream::Client(tls) => take(&mut **tls, &mut cx, room, into),
        };
        match read {
            Poll::Ready(read) => read,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// How many bytes have been deciphered and wait to be read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(0)),
            Stream::Server(tls) => Pin::new(&mut **tls).poll_fill_buf(cx).map_ok(<[u8]>::len),
            Stream::Client(tls) => Pin::new(&mut **tls).poll_fill_buf(cx).map_ok(<[u8]>::len),
        }
    }
}

fn take<S>(tls: &mut S, cx: &mut Context<'_>, room: usize, into: &mut Vec<u8>) -> Poll<io::Result<usize>>
where
    S: AsyncBufRead + Unpin,
{
    let mut tls = Pin::new(tls);
    let filled = match tls.as_mut().poll_fill_buf(cx) {
        Poll::Ready(Ok(filled)) => filled,
        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        Poll::Pending => return Poll::Pending,
    };
    let read = filled.len().min(room);
    into.extend_from_slice(&filled[..read]);
    tls.consume(read);
    Poll::Ready(Ok(read))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }
}
