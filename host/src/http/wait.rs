//! Clients that wait, without the machinery of HTTP.
//!
//! A request under way has buffers, futures and headers that come to twenty kilobytes. Who waits for a change needs a socket
//! and a place in its group. So a handler that has nothing to answer yet hands the request on ([`Waits`]): the connection is
//! taken out of hyper, whatever the request took is given back, and the answer is written here. After an answer that ends, the
//! connection goes back to hyper, for the next request.

use super::answer::Answer;
use super::ownlog::Waited;
use super::pull::{Feed, Once};
use super::seat;
use super::web::Web;
use crate::tls::Stream;
use parking_lot::Mutex;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use warp::reply::Response;

/// What is waited for.
pub(super) enum Waits {
    /// One answer.
    Once(Once),
    /// Event after event.
    Stream(Feed),
}

impl Waits {
    /// Waits where the request is.
    pub(super) async fn here(self) -> Answer {
        match self {
            Waits::Once(once) => once.answer().await,
            Waits::Stream(feed) => Answer::events(feed.frames()),
        }
    }
}

/// A request that is handed on.
pub(super) struct HandedOn {
    pub(super) waits: Waits,
    /// Its line in the log.
    pub(super) entry: Waited,
    /// The client understands no chunks.
    pub(super) plain: bool,
    /// The connection ends with the answer.
    pub(super) last: bool,
}

/// Where a connection finds a request that was handed on.
pub(super) type Desk = Arc<Mutex<Option<Box<HandedOn>>>>;

/// How it gets there: in the extensions of an answer that is none.
#[derive(Clone)]
struct Carried(Desk);

impl HandedOn {
    /// An answer that is none, for [`lay_down`].
    pub(super) fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(Carried(Arc::new(Mutex::new(Some(Box::new(self))))));
        response
    }
}

/// Passes an answer on; a request that was handed on is laid on the desk instead, and its answer never comes.
pub(super) async fn lay_down<E>(answer: Result<Response, E>, desk: &Desk) -> Result<Response, E> {
    let mut answer = answer?;
    if let Some(Carried(handed_on)) = answer.extensions_mut().remove::<Carried>() {
        *desk.lock() = handed_on.lock().take();
        pending::<()>().await;
    }
    Ok(answer)
}

/// Waits, and answers; the connection, if it goes on.
pub(super) async fn answer(mut stream: Stream, handed_on: HandedOn, web: &Web) -> Option<Stream> {
    // How long a client may take nothing.
    let write = web.patience.write;
    let HandedOn { waits, mut entry, plain, last } = handed_on;
    // A connection that breaks is its client's affair; the log says so.
    match waits {
        Waits::Once(once) => {
            let answer = tokio::select! {
                biased;
                answer = once.answer() => Some(answer),
                () = gone(&mut stream) => None,
            };
            if let Some(answer) = answer {
                entry.answered(answer.status.as_u16());
                let last = last || *web.stopping.borrow();
                let (bytes, body) = answer.into_bytes(last);
                entry.sent(body);
                if write_all(&mut stream, &bytes, write).await.is_ok() && !last {
                    return Some(stream);
                }
            }
        }
        Waits::Stream(feed) => {
            entry.answered(200);
            let head = Answer::stream_head(plain);
            stream = match stream {
                Stream::Plain(socket) => {
                    let _ = seat::events(socket, feed, &mut entry, plain, &head, write).await;
                    return None;
                }
                stream => stream,
            };
            let _ = events(&mut stream, feed, &mut entry, plain, &head, write).await;
        }
    }
    let _ = stream.end(write).await;
    None
}

/// What is encrypted is written by its task.
async fn events(
    stream: &mut Stream,
    mut feed: Feed,
    entry: &mut Waited,
    plain: bool,
    head: &[u8],
    write: Duration,
) -> io::Result<()> {
    write_all(stream, head, write).await?;
    let mut stopped = pin!(feed.stopped());
    loop {
        let event = tokio::select! {
            biased;
            event = feed.next() => event,
            () = gone(stream) => return Ok(()),
            () = &mut stopped => break,
        };
        let chunk = event.chunk();
        entry.sent(chunk.text().len());
        write_all(stream, chunk.bytes(plain), write).await?;
    }
    if plain { Ok(()) } else { write_all(stream, b"0\r\n\r\n", write).await }
}

/// Ends when the client is gone. What it sends meanwhile stays where it is.
async fn gone(stream: &mut Stream) {
    if matches!(stream.goes_on().await, Ok(true)) {
        pending::<()>().await;
    }
}

/// What is written to an encrypted connection at a time.
const PIECE_BYTES: usize = 8 * 1024;

/// Writes all of it, as long as something is taken in each such time.
async fn write_all(stream: &mut Stream, bytes: &[u8], patience: Duration) -> io::Result<()> {
    let Stream::Plain(socket) = stream else {
        // Piece by piece, for what is written is only taken when it is flushed.
        for piece in bytes.chunks(PIECE_BYTES) {
            let written = async {
                stream.write_all(piece).await?;
                stream.flush().await
            };
            timeout(patience, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        return Ok(());
    };
    socket.write_patiently(bytes, patience).await
}

/// A socket to a client that may be slow.
pub(super) trait Patient {
    /// Writes all of it, as long as something is taken in each such time.
    async fn write_patiently(&self, bytes: &[u8], patience: Duration) -> io::Result<()>;
}

impl Patient for TcpStream {
    async fn write_patiently(&self, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(patience, self.writable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Ends when the client of a socket is gone.
pub(super) async fn gone_from(socket: &TcpStream) {
    if matches!(socket.peek(&mut [0]).await, Ok(1..)) {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{SOCKET_BYTES, Sides};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), Stream::Plain(accepted.unwrap().0))
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_let_go_and_one_that_is_slow_is_not() {
        let (mut client, mut server) = pair().await;
        // More than sockets hold.
        let bytes = vec![b'x'; 32 << 20];
        let patience = Duration::from_millis(50);
        assert_eq!(write_all(&mut server, &bytes, patience).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(server);
        client.read_to_end(&mut Vec::new()).await.unwrap();

        let (mut client, mut server) = pair().await;
        let mut read = vec![0; bytes.len()];
        let (written, taken) =
            tokio::join!(write_all(&mut server, &bytes, Duration::from_secs(60)), client.read_exact(&mut read));
        assert!(written.is_ok() && taken.is_ok() && read == bytes);
    }

    #[tokio::test]
    async fn who_sends_more_is_not_gone_and_who_closes_is() {
        let (client, mut server) = pair().await;
        client.try_write(b"x").unwrap();
        server.ready().await.unwrap();
        tokio::select! {
            biased;
            () = gone(&mut server) => panic!("what waits to be read is no end"),
            () = tokio::task::yield_now() => {}
        }
        let (client, mut server) = pair().await;
        drop(client);
        gone(&mut server).await;
    }

    #[tokio::test]
    async fn what_is_encrypted_is_taken_piece_by_piece_or_let_go() {
        let sides = Sides::new();
        let bytes: Vec<u8> = (0..16 * SOCKET_BYTES + 5).map(|n| (n % 251) as u8).collect();
        let (client, mut server) = sides.pair().await;
        let written = write_all(&mut server, &bytes, Duration::from_millis(50)).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);

        // Who takes something now and then is not, though all of it takes longer than is waited for at a time.
        let (mut client, mut server) = sides.pair().await;
        let patience = Duration::from_secs(1);
        let began = tokio::time::Instant::now();
        let taking = async {
            let mut read = vec![0; bytes.len()];
            for piece in read.chunks_mut(SOCKET_BYTES / 2) {
                tokio::time::sleep(patience / 16).await;
                client.read_exact(piece).await?;
            }
            io::Result::Ok(read)
        };
        let (written, read) = tokio::join!(write_all(&mut server, &bytes, patience), taking);
        written.unwrap();
        assert!(read.unwrap() == bytes && began.elapsed() > patience);
    }
}
