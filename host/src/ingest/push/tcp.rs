//! Documents by TCP: one a line, with TLS or without.

use super::held::Held;
use super::{may, merge};
use crate::core::Shared;
use crate::ingest::sources::{Figures, Way};
use crate::json::Documents;
use crate::limits::{
    BODY_BYTES_SHORT, PUSH_BYTES_MAX, PUSH_CONNECTIONS_MAX, PUSH_IDLE_MAX, PUSH_LINE_BYTES_MAX, PUSH_LINE_MAX,
    PUSH_LINGER_MAX, PUSH_MERGE_BYTES_MAX, PUSH_OPENING_BYTES_MAX, PUSH_OPENING_MAX, PUSH_TURNED_AWAY_MAX,
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
use tokio::time::{Instant, sleep, timeout};

/// How long a client may take nothing of what it is told; tests do not wait that long.
const WRITE_MAX: Duration = if cfg!(test) { Duration::from_millis(100) } else { PUSH_WRITE_MAX };

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For the first line, where it has to say a token.
    opening: Duration,
    /// For a line to be whole.
    line: Duration,
    /// For the next line.
    idle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { opening: PUSH_OPENING_MAX, line: PUSH_LINE_MAX, idle: PUSH_IDLE_MAX }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Rooms {
    patience: Patience,
    /// For bytes that are held.
    bytes: Arc<Semaphore>,
    /// For bytes that are read and merged.
    merging: Semaphore,
}

impl Rooms {
    fn new(bytes: usize) -> Rooms {
        let (patience, bytes) = (Patience::default(), Arc::new(Semaphore::new(bytes)));
        Rooms { patience, bytes, merging: Semaphore::new(PUSH_MERGE_BYTES_MAX) }
    }
}

/// Takes documents, one a line. What is wrong with one is answered with a line, `{"error":…}`; good ones are not answered.
///
/// # Errors
/// The listener is broken.
pub async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(PUSH_CONNECTIONS_MAX));
    let turned_away = Arc::new(Semaphore::new(PUSH_TURNED_AWAY_MAX));
    let rooms = Arc::new(Rooms::new(PUSH_BYTES_MAX));
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
        let permit = Arc::clone(&connections).try_acquire_owned().ok();
        let why = match permit.map(|permit| (permit, shared.sources.tcp.call(peer))) {
            Some((permit, Some(call))) => {
                let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
                tokio::spawn(async move {
                    let _here = (permit, call);
                    // A connection that breaks is its client's affair.
                    let _ = connection(stream, peer, &shared, &rooms).await;
                });
                continue;
            }
            Some((_, None)) => {
                let most = shared.sources.tcp.connections_max();
                format!("your address has {most} connections here already; send more over one of them, or close some")
            }
            None => format!("there are {PUSH_CONNECTIONS_MAX} connections already; try again later"),
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

async fn connection(stream: TcpStream, peer: IpAddr, shared: &Arc<Shared>, rooms: &Rooms) -> io::Result<()> {
    let asks = shared.tokens.ask_for(Access::Write);
    let mut stream = match &shared.tls {
        None => Stream::Plain(stream),
        Some(acceptor) => {
            match acceptor.take(stream, peer, if asks { rooms.patience.opening } else { rooms.patience.idle }).await {
                Ok(stream) => stream,
                Err(refused) => {
                    shared.counters.tls_refused.add(1);
                    shared.sources.count(Way::Tcp, peer, Figures::REFUSED);
                    return match refused {
                        NotTaken::Plain(stream) => {
                            turn_away(&mut Stream::Plain(stream), "this daemon speaks TLS: graftd push --to tls://…")
                                .await
                        }
                        NotTaken::Failed(error) => {
                            tracing::debug!("push: no TLS with {peer}: {error}");
                            Ok(())
                        }
                    };
                }
            }
        }
    };
    let (why, figures) = match take(&mut stream, peer, shared, rooms).await? {
        Ended::Closed => return Ok(()),
        Ended::Late(why) => (why.to_owned(), None),
        Ended::Broken(why) => (why, Some(Figures { errors: 1, ..Figures::default() })),
        Ended::Refused(why) => (why, Some(Figures::REFUSED)),
    };
    if let Some(figures) = figures {
        shared.counters.push_faults.add(1);
        shared.sources.count(Way::Tcp, peer, figures);
    }
    turn_away(&mut stream, &why).await
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
enum Ended {
    Closed,
    /// What was waited for did not come, or the daemon is stopping.
    Late(&'static str),
    /// What came is no line of documents.
    Broken(String),
    /// It was not let in, or there is no room.
    Refused(String),
}

async fn take(stream: &mut Stream, peer: IpAddr, shared: &Arc<Shared>, rooms: &Rooms) -> io::Result<Ended> {
    let mut held = Held::new(&rooms.bytes, shared.sources.tcp.share(peer));
    let mut begun = false;
    // With a token set, the first line says it.
    let mut trusted = !shared.tokens.ask_for(Access::Write);
    let connected = Instant::now();
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
        let (until, late) = match half {
            _ if !trusted => {
                (connected + rooms.patience.opening, "the first line, with the token, was not there in time")
            }
            Some(since) => (since + rooms.patience.line, "a line was not whole in time; send it in smaller documents"),
            None => (Instant::now() + rooms.patience.idle, "nothing was sent for too long"),
        };
        // Room is taken when there is something to read: a connection that is only open holds none.
        match tokio::time::timeout_at(until, stream.ready()).await {
            Ok(ready) => ready?,
            Err(_) => return Ok(Ended::Late(late)),
        }
        if !held.grow() {
            let why = format!(
                "more than {PUSH_BYTES_MAX} bytes are being pushed at once, or half as many by you; come again"
            );
            return Ok(Ended::Refused(why));
        }
        let fresh = held.bytes.len();
        let last = match stream.try_read(&mut held.bytes) {
            Ok(read) => read == 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // What was readable has been read before; from here on the connection is only open.
                held.rest();
                continue;
            }
            Err(error) => return Err(error),
        };
        if !begun && let Some(first) = held.bytes.trim_ascii_start().first() {
            // A web page can send an HTTP request here whose body is lines, with no leave asked. Its head gives it away.
            if !matches!(first, b'{' | b'[') {
                let why = "the first line must be a document, such as {\"hits\": 1}; HTTP has a port of its own";
                return Ok(Ended::Broken(why.to_owned()));
            }
            begun = true;
        }
        let longest = if trusted { PUSH_LINE_BYTES_MAX } else { PUSH_OPENING_BYTES_MAX };
        let end = match memchr::memrchr(b'\n', &held.bytes[fresh..]) {
            Some(at) => fresh + at + 1,
            None if last => held.bytes.len(),
            None if held.bytes.len() > longest => {
                return Ok(Ended::Broken(format!("a line of more than {longest} bytes")));
            }
            None => {
                half = half.or_else(|| Some(Instant::now()));
                continue;
            }
        };
        let text = held.split(end);
        if !trusted && let Some(line) = lines(&text).next() {
            if let Err(why) = may(line, shared) {
                shared.counters.push_refused.add(1);
                return Ok(Ended::Refused(why.to_owned()));
            }
            trusted = true;
        }
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

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
mod tests {
    use super::*;
    use crate::http::testing::shared;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(30);

    /// What a client hears that sends this, and then drips a byte now and then.
    async fn heard(token: Option<&str>, patience: Patience, sends: &[u8], drips: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let rooms = Rooms { patience, ..Rooms::new(PUSH_BYTES_MAX) };
        let shared = shared(token);
        client.write_all(sends).await.unwrap();
        let (mut reads, mut writes) = client.split();
        let drip = async {
            while drips && writes.write_all(b"x").await.is_ok() {
                sleep(SHORT / 10).await;
            }
            std::future::pending::<()>().await;
        };
        let mut said = String::new();
        tokio::select! {
            (served, read) = async { tokio::join!(connection(stream, peer.ip(), &shared, &rooms), reads.read_to_string(&mut said)) } => {
                assert!(served.is_ok() && read.is_ok(), "{served:?} {read:?}");
            }
            () = drip => {}
        }
        assert_eq!(rooms.bytes.available_permits(), PUSH_BYTES_MAX);
        said
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever() {
        let patience = Patience { opening: LONG, line: LONG, idle: LONG };
        for drips in [false, true] {
            let line = Patience { line: SHORT, ..patience };
            let said = heard(None, line, b"{\"a\":\"", drips).await;
            assert!(said.contains("a line was not whole in time"), "{said}");
            let opening = Patience { opening: SHORT, ..patience };
            let said = heard(Some("0123456789abcdef"), opening, b"{\"token\":\"", drips).await;
            assert!(said.contains("the first line, with the token, was not there in time"), "{said}");
        }
        let idle = Patience { idle: SHORT, ..patience };
        let said = heard(None, idle, b"", false).await;
        assert!(said.contains("nothing was sent for too long"), "{said}");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_turned_away_for_ever() {
        let sides = crate::tls::testing::Sides::new();
        let (client, mut server) = sides.stuck().await;
        let told = timeout(LONG, turn_away(&mut server, "why")).await.expect("it has ended");
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
        let (mut client, mut server) = sides.pair().await;
        let mut said = String::new();
        let (told, read) = tokio::join!(turn_away(&mut server, "why"), client.read_to_string(&mut said));
        assert!(told.is_ok() && read.is_ok(), "{told:?} {read:?}");
        assert_eq!(said, "{\"end\":true,\"error\":\"why\"}\n");
    }
}
