//! Hearing a receiver without being woken by its one acknowledgement.
//!
//! An agent at rest sends one entry each ten seconds or so. That it has arrived is told after the receiver's commit, which would wake the
//! agent once more for each, and most of what a wake takes is finding its code and data cold. So the kernel is asked to wake it for anything
//! longer than one acknowledgement (`SO_RCVLOWAT`, socket(7)): the end of the connection does at once, and so does what a receiver says that
//! wants an answer soon, for it says that three times. What has come lies there until it speaks again.

#![allow(unsafe_code)] // An option of sockets for which there is no safe call.

use super::wire::ACKNOWLEDGED_BYTES;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use tokio::net::TcpStream;

/// What TLS 1.3 puts around a message: the record's head, its kind and its tag (RFC 8446 §5.2). With TLS 1.2 it is more, and an
/// acknowledgement wakes as ever.
const TLS_RECORD_BYTES: i32 = 5 + 1 + 16;

/// How much a sender's socket has to hold before that wakes it.
#[derive(Debug)]
pub(super) struct Ear {
    /// The connection's, by another number: the stream itself is in two halves.
    socket: OwnedFd,
    /// One acknowledgement, on its way.
    one: i32,
    deaf: bool,
}

impl Ear {
    /// Of a connection.
    pub(super) fn of(stream: &TcpStream, secure: bool) -> io::Result<Ear> {
        let one = ACKNOWLEDGED_BYTES + if secure { TLS_RECORD_BYTES } else { 0 };
        Ok(Ear { socket: stream.as_fd().try_clone_to_owned()?, one, deaf: false })
    }

    /// One acknowledgement wakes nobody from now on.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        if !self.deaf {
            self.wakes_at(self.one + 1)?;
            self.deaf = true;
        }
        Ok(())
    }

    /// Everything is heard, also what came meanwhile: whether that may be something.
    pub(super) fn listen(&mut self) -> io::Result<bool> {
        if self.deaf {
            self.wakes_at(1)?;
        }
        Ok(std::mem::take(&mut self.deaf))
    }

    fn wakes_at(&self, bytes: i32) -> io::Result<()> {
        // Safety: the number is that of a socket that is open, and it is told the size of what is pointed to.
        let set = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVLOWAT,
                (&raw const bytes).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::wire::Message;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(20);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (made, listener.accept().await.unwrap().0)
    }

    /// What has arrived, though nobody was woken.
    fn arrived(stream: &TcpStream) -> usize {
        let mut bytes = [0; 256];
        let peeked =
            rustix::net::recv(stream, &mut bytes, rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT);
        peeked.map_or(0, |(read, _)| read)
    }

    #[tokio::test]
    async fn one_acknowledgement_wakes_nobody_until_it_is_listened_for() {
        let (stream, mut peer) = pair().await;
        let acknowledged = Message::Acknowledged { number: 7 }.encode();
        assert_eq!(acknowledged.len(), ACKNOWLEDGED_BYTES as usize);
        let mut ear = Ear::of(&stream, false).unwrap();
        ear.rest().unwrap();
        peer.write_all(&acknowledged).await.unwrap();
        while arrived(&stream) < acknowledged.len() {
            tokio::task::yield_now().await;
        }
        let _ = timeout(Duration::from_millis(100), stream.readable()).await.unwrap_err();
        assert!(ear.listen().unwrap());
        timeout(LONG, stream.readable()).await.unwrap().unwrap();
        assert!(!ear.listen().unwrap(), "it did already");
    }

    #[tokio::test]
    async fn what_wants_an_answer_and_the_end_wake_at_once() {
        for secure in [false, true] {
            let (stream, mut peer) = pair().await;
            let mut ear = Ear::of(&stream, secure).unwrap();
            ear.rest().unwrap();
            // In one record, where there are any.
            let around = if secure { TLS_RECORD_BYTES as usize } else { 0 };
            let asked = [vec![0; around], Message::Ping.encode().repeat(3)].concat();
            peer.write_all(&asked).await.unwrap();
            timeout(LONG, stream.readable()).await.unwrap().unwrap();
        }
        let (stream, peer) = pair().await;
        let mut ear = Ear::of(&stream, true).unwrap();
        ear.rest().unwrap();
        drop(peer);
        timeout(LONG, stream.readable()).await.unwrap().unwrap();
    }
}
