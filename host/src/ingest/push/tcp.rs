//! Documents by TCP: one a line, with TLS or without.

use super::held::Held;
use super::merge;
use super::opening::opening;
use super::rooms::{Guest, Place, Rooms};
use crate::core::Shared;
use crate::ingest::sources::{Figures, Way};
use crate::json::Documents;
use crate::limits::{
    BODY_BYTES_SHORT, PUSH_BYTES_MAX, PUSH_LINE_BYTES_MAX, PUSH_LINGER_MAX, PUSH_MERGE_BYTES_MAX, PUSH_TURNED_AWAY_MAX,
    PUSH_WRITE_MAX,
};
use crate::tls::{NotTaken, Stream};
use crate::tokens::Access;
use serde_json::json;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a client may take nothing of what it is told; tests do not wait that long.
const WRITE_MAX: Duration = if cfg!(test) { Duration::from_millis(100) } else { PUSH_WRITE_MAX };

/// Takes documents, one a line. What is wrong with one is answered with a line, `{"error":…}`; good ones are not answered.
///
/// # Errors
/// The listener is broken.
pub async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    serve(listener, shared, Arc::new(Rooms::new(PUSH_BYTES_MAX))).await
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, rooms: Arc<Rooms>) -> io::Result<()> {
    let turned_away = Arc::new(Semaphore::new(PUSH_TURNED_AWAY_MAX));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                // Out of descriptors, mostly: some will be given back.
                tracing::warn!("push: a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        crate::ingest::keep_alive(&stream);
        let asks = shared.tokens.ask_for(Access::Write);
        let why = match rooms.meet(peer, asks, &shared) {
            Ok(guest) => {
                let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
                tokio::spawn(async move {
                    // A connection that breaks is its client's affair.
                    let _ = connection(stream, peer, guest, &shared, &rooms).await;
                });
                continue;
            }
            Err(why) => why,
        };
        shared.counters.push_connections_refused.add(1);
        shared.sources.count(Way::Tcp, peer, Figures::REFUSED);
        // A crowd is not answered: that would take what it is refused for. Nor is TLS, which would take more.
        if let (Ok(permit), None) = (Arc::clone(&turned_away).try_acquire_owned(), &shared.tls) {
            tokio::spawn(async move {
                let _permit = permit;
                let _ = turn_away(&mut Stream::Plain(stream), &why).await;
            });
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    guest: Guest,
    shared: &Arc<Shared>,
    rooms: &Rooms,
) -> io::Result<()> {
    let (mut stream, begin, _place) = match guest {
        Guest::Known(place) => match secured(stream, peer, rooms.patience.idle, shared).await? {
            Some(stream) => (stream, Vec::new(), place),
            None => return Ok(()),
        },
        Guest::Stranger(mut stranger) => {
            let introduced = tokio::select! {
                introduced = introduce(stream, peer, shared, rooms) => introduced?,
                () = stranger.sent_away() => {
                    shared.counters.push_connections_refused.add(1);
                    shared.sources.count(Way::Tcp, peer, Figures::REFUSED);
                    return Ok(());
                }
            };
            let Some(known) = introduced else { return Ok(()) };
            known
        }
    };
    let ended = take(&mut stream, begin, peer, shared, rooms).await?;
    end(&mut stream, ended, peer, shared).await
}

/// Waits until a connection has said a token; without one it ends here. What was read of it, and its place among those that push.
async fn introduce(
    stream: TcpStream,
    peer: IpAddr,
    shared: &Arc<Shared>,
    rooms: &Rooms,
) -> io::Result<Option<(Stream, Vec<u8>, Place)>> {
    let until = Instant::now() + rooms.patience.opening;
    let secured = timeout_at(until, secured(stream, peer, rooms.patience.opening, shared)).await;
    let Some(mut stream) = secured.map_err(|_| io::ErrorKind::TimedOut)?? else { return Ok(None) };
    let why = match opening(&mut stream, until, shared, rooms).await? {
        Ok(begin) => match rooms.place(peer, shared) {
            Ok(place) => return Ok(Some((stream, begin, place))),
            Err(why) => {
                shared.counters.push_connections_refused.add(1);
                Ended::Refused(why)
            }
        },
        Err(ended) => ended,
    };
    end(&mut stream, why, peer, shared).await?;
    Ok(None)
}

/// A connection with TLS where that is spoken here; none where there is no agreement, of which it was told if it could be.
async fn secured(
    stream: TcpStream,
    peer: IpAddr,
    patience: Duration,
    shared: &Arc<Shared>,
) -> io::Result<Option<Stream>> {
    let Some(acceptor) = &shared.tls else { return Ok(Some(Stream::Plain(stream))) };
    let refused = match acceptor.take(stream, peer, patience).await {
        Ok(stream) => return Ok(Some(stream)),
        Err(refused) => refused,
    };
    shared.counters.tls_refused.add(1);
    shared.sources.count(Way::Tcp, peer, Figures::REFUSED);
    match refused {
        NotTaken::Plain(stream) => {
            turn_away(&mut Stream::Plain(stream), "this daemon speaks TLS: graftd push --to tls://…").await?;
        }
        NotTaken::Failed(error) => tracing::debug!("push: no TLS with {peer}: {error}"),
    }
    Ok(None)
}

/// Counts how a connection ended, and says why.
async fn end(stream: &mut Stream, ended: Ended, peer: IpAddr, shared: &Shared) -> io::Result<()> {
    let (why, figures) = match ended {
        Ended::Closed => return Ok(()),
        Ended::Late(why) => (why.to_owned(), None),
        Ended::Broken(why) => (why, Some(Figures { errors: 1, ..Figures::default() })),
        Ended::Refused(why) => (why, Some(Figures::REFUSED)),
    };
    if let Some(figures) = figures {
        shared.counters.push_faults.add(1);
        shared.sources.count(Way::Tcp, peer, figures);
    }
    turn_away(stream, &why).await
}

/// Says why, and ends the connection.
async fn turn_away(stream: &mut Stream, why: &str) -> io::Result<()> {
    say(stream, &[json!({ "error": why, "end": true })]).await?;
    stream.end(PUSH_LINGER_MAX).await?;
    // Closing while the client sends would reset the connection, and it might never see the answer.
    let mut dropped = vec![0; 4 * 1024];
    let drain = async { while matches!(stream.read(&mut dropped).await, Ok(1..)) {} };
    let _ = timeout(PUSH_LINGER_MAX, drain).await;
    Ok(())
}

/// How a connection ended.
pub(super) enum Ended {
    Closed,
    /// What was waited for did not come, or the daemon is stopping.
    Late(&'static str),
    /// What came is no line of documents.
    Broken(String),
    /// It was not let in, or there is no room.
    Refused(String),
}

/// Takes lines until that ends; `begin` has been read already.
async fn take(
    stream: &mut Stream,
    begin: Vec<u8>,
    peer: IpAddr,
    shared: &Arc<Shared>,
    rooms: &Rooms,
) -> io::Result<Ended> {
    let full = || {
        format!("more than {PUSH_BYTES_MAX} bytes are being pushed at once, or half as many by you; try again later")
    };
    let mut held = Held::new(&rooms.bytes, shared.sources.tcp.share(peer));
    let mut begun = false;
    // What was read before anybody held anything.
    let mut unread = !begin.is_empty();
    if !held.take_over(begin) {
        return Ok(Ended::Refused(full()));
    }
    // Since when a line has been half there.
    let mut half = None;
    loop {
        // Who is too fast is not read for a while, and by and by cannot write.
        if let Some(wait) = shared.sources.wait(peer) {
            shared.counters.push_throttled.add(1);
            sleep(wait).await;
            half = half.map(|since: Instant| since + wait);
            continue;
        }
        let (fresh, last) = if std::mem::take(&mut unread) {
            (0, false)
        } else {
            let (until, late) = match half {
                Some(since) => {
                    (since + rooms.patience.line, "a line was not whole in time; send it in smaller documents")
                }
                None => (Instant::now() + rooms.patience.idle, "nothing was sent for too long"),
            };
            // Room is taken when there is something to read: a connection that is only open holds none.
            match timeout_at(until, stream.ready()).await {
                Ok(ready) => ready?,
                Err(_) => return Ok(Ended::Late(late)),
            }
            if !held.grow() {
                return Ok(Ended::Refused(full()));
            }
            let fresh = held.bytes.len();
            match stream.try_read(&mut held.bytes) {
                Ok(read) => (fresh, read == 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What was readable has been read before; from here on the connection is only open.
                    held.rest();
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        if !begun && !held.bytes.trim_ascii_start().is_empty() {
            if !is_begin(&held.bytes) {
                return Ok(Ended::Broken(NO_DOCUMENT.to_owned()));
            }
            begun = true;
        }
        let end = match memchr::memrchr(b'\n', &held.bytes[fresh..]) {
            Some(at) => fresh + at + 1,
            None if last => held.bytes.len(),
            None if held.bytes.len() > PUSH_LINE_BYTES_MAX => {
                return Ok(Ended::Broken(format!("a line of more than {PUSH_LINE_BYTES_MAX} bytes")));
            }
            None => {
                half = half.or_else(|| Some(Instant::now()));
                continue;
            }
        };
        let text = held.split(end);
        let Some((faults, rejected)) = merge_text(text, peer, shared, rooms).await else {
            return Ok(Ended::Late("this daemon is stopping"));
        };
        half = (!held.bytes.is_empty()).then(Instant::now);
        held.settle();
        let more = rejected - faults.len() as u64;
        let mut answers: Vec<_> = faults.iter().map(|fault| json!({ "error": fault })).collect();
        if more > 0 {
            answers.push(json!({ "error": format!("{more} more documents were refused"), "more": more }));
        }
        if !answers.is_empty() {
            say(stream, &answers).await?;
        }
        if last {
            return Ok(Ended::Closed);
        }
    }
}

/// What is said to who begins with something else than a document.
pub(super) const NO_DOCUMENT: &str =
    "the first line must be a document, such as {\"hits\": 1}; HTTP has a port of its own";

/// Whether what comes first may be a document. A web page can send an HTTP request here whose body is lines, with no leave asked;
/// its head gives it away.
pub(super) fn is_begin(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_none_or(|first| matches!(first, b'{' | b'['))
}

pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// Merges lines when it is their turn; gives what [`merge`] gives.
async fn merge_text(text: Vec<u8>, peer: IpAddr, shared: &Arc<Shared>, rooms: &Rooms) -> Option<(Vec<String>, u64)> {
    let bytes = text.len();
    let turn = u32::try_from(bytes).unwrap_or(u32::MAX).min(PUSH_MERGE_BYTES_MAX as u32);
    let _turn = rooms.merging.acquire_many(turn).await;
    let read = |text: Vec<u8>, shared: &Shared| {
        let mut documents = Documents::default();
        lines(&text).for_each(|line| documents.read(line, Some(&shared.tokens)));
        documents
    };
    let documents = if bytes <= BODY_BYTES_SHORT {
        read(text, shared)
    } else {
        let shared = Arc::clone(shared);
        // It fails when the daemon stops.
        spawn_blocking(move || read(text, &shared)).await.ok()?
    };
    merge(documents, bytes, (Way::Tcp, peer), shared).await
}

/// Writes lines. Who does not read them is let go.
async fn say(stream: &mut Stream, answers: &[serde_json::Value]) -> io::Result<()> {
    let text: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    let write = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    timeout(WRITE_MAX, write).await.map_err(|_| io::ErrorKind::TimedOut)?
}

#[cfg(test)]
mod tests;
