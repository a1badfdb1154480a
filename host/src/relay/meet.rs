//! The beginning of a connection: a peer says who it is and what it may, and gets a place among the senders. Until then it has
//! none, and not much time.

use super::receive::Rooms;
use super::secure;
use super::sink::source_of;
use super::wire::{Broken, MARK, Message, Reading, Said, VERSIONS, write};
use crate::core::Shared;
use crate::ingest::sources::Call;
use crate::limits::{
    RELAY_CONNECTIONS_MAX, RELAY_HELLO_BYTES_MAX, RELAY_HELLO_MAX, RELAY_LINGER_MAX, RELAY_SENDERS_MAX,
    RELAY_VIA_DIGITS,
};
use crate::tls::Stream;
use crate::tokens::Access;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

/// The longest name that a sender may go by, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What a sender has said of itself.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) host: String,
    pub(super) stream: String,
    /// The highest version that it speaks.
    pub(super) most: u64,
    pub(super) said: Said,
}

/// A place among the senders, as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _call: Call,
}

/// A connection whose peer may send.
pub(super) struct Met {
    pub(super) reading: Reading<ReadHalf<Stream>>,
    pub(super) out: WriteHalf<Stream>,
    pub(super) hello: Hello,
    pub(super) _place: Place,
}

/// Waits for a hello. None where the connection is over; the peer was told why, where it can be told.
pub(super) async fn meet(stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>, rooms: &Rooms) -> Option<Met> {
    let until = Instant::now() + RELAY_HELLO_MAX;
    let _ = stream.set_nodelay(true);
    let accepted = timeout_at(until, secure::accept(stream, from, shared.tls.as_deref())).await;
    let (stream, turned_away) = match accepted.unwrap_or(Err(None)) {
        Ok(accepted) => accepted,
        Err(why) => {
            shared.counters.tls_refused.add(1);
            if let Some(why) = why {
                shared.counters.relay_refused.add(1);
                tracing::warn!("a relay from {from} is refused: {why}");
            }
            return None;
        }
    };
    let (from_peer, mut out) = tokio::io::split(stream);
    let mut reading = Reading::new(from_peer);
    let mut marked = false;
    let heard = timeout_at(until, hear(&mut reading, &mut out, turned_away, &mut marked)).await;
    let late = || Broken::Wrong(format!("no hello within {RELAY_HELLO_MAX:?}"));
    let hello = heard.unwrap_or_else(|_| Err(late())).and_then(|message| match message {
        Message::Hello { least, most, said } => check(shared, least, most, said).map_err(Broken::Wrong),
        _ => Err(Broken::Wrong("a relay begins with a hello".to_owned())),
    });
    let placed = hello.and_then(|hello| match place(from, shared, rooms) {
        Ok(place) => Ok((hello, place)),
        Err(why) => {
            shared.counters.relay_connections_refused.add(1);
            Err(Broken::Wrong(why))
        }
    });
    match placed {
        Ok((hello, place)) => Some(Met { reading, out, hello, _place: place }),
        Err(Broken::Ended(_)) => None,
        Err(Broken::Wrong(why)) => {
            refuse(reading, out, why, marked, from, shared).await;
            None
        }
    }
}

/// What a peer says first.
async fn hear(
    reading: &mut Reading<ReadHalf<Stream>>,
    out: &mut WriteHalf<Stream>,
    turned_away: Option<&str>,
    marked: &mut bool,
) -> Result<Message, Broken> {
    reading.mark().await?;
    *marked = true;
    write(out, MARK).await.map_err(Broken::Ended)?;
    match turned_away {
        Some(why) => Err(Broken::Wrong(why.to_owned())),
        None => reading.next(RELAY_HELLO_BYTES_MAX).await,
    }
}

/// Tells a peer why its connection ends; `marked` says that it speaks as relays do.
pub(super) async fn refuse(
    reading: Reading<ReadHalf<Stream>>,
    mut out: WriteHalf<Stream>,
    why: String,
    marked: bool,
    from: SocketAddr,
    shared: &Shared,
) {
    shared.counters.relay_refused.add(1);
    tracing::warn!("a relay from {from} is refused: {why}");
    let said = if marked { Message::Error(why).encode() } else { format!("graftd: {why}\n").into_bytes() };
    if end(&mut out, &said).await {
        // Closing while the peer sends would reset the connection, and it might never see the answer.
        let mut dropped = vec![0; 4 * 1024];
        let mut from = reading.into_inner();
        let drain = async { while matches!(from.read(&mut dropped).await, Ok(1..)) {} };
        let _ = timeout(RELAY_LINGER_MAX, drain).await;
    }
}

/// Says why, and that nothing more comes; whether it was taken. What is encrypted may have to wait for somebody who takes nothing.
async fn end(out: &mut WriteHalf<Stream>, said: &[u8]) -> bool {
    let over = async { write(out, said).await.is_ok() && out.shutdown().await.is_ok() };
    timeout(RELAY_LINGER_MAX, over).await == Ok(true)
}

fn place(from: SocketAddr, shared: &Shared, rooms: &Rooms) -> Result<Place, String> {
    let permit = Arc::clone(&rooms.places).try_acquire_owned();
    let permit = permit.map_err(|_| format!("{RELAY_CONNECTIONS_MAX} relays are connected here already"))?;
    let Some(call) = shared.sources.relay.call(from.ip()) else {
        let most = shared.sources.relay.connections_max();
        return Err(format!("{most} relays are connected from your address already"));
    };
    Ok(Place { _permit: permit, _call: call })
}

/// By what a daemon's id is named among those that send on.
pub(super) fn named(id: &str) -> &str {
    id.get(..RELAY_VIA_DIGITS).unwrap_or(id)
}

/// Whether a sender may send: by what names it goes.
fn check(shared: &Shared, least: u64, most: u64, said: Said) -> Result<Hello, String> {
    if least > *VERSIONS.end() || most < *VERSIONS.start() {
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        return Err(format!(
            "it speaks versions {least} to {most} of the relay's protocol, and this graftd {} speaks {first} to {last}",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let is = |name: &str| said.get(name).map_or("", String::as_str);
    let token = is("token");
    let rights = shared.tokens.rights(token.as_bytes());
    if shared.tokens.ask_for(Access::Write) && !rights.is_some_and(|rights| rights.allow(Access::Write)) {
        let what = match rights {
            Some(_) => "the token is one for reading",
            None if token.is_empty() => "this daemon asks for its token",
            None => "the token is another",
        };
        return Err(format!(
            "{what}; name a file with what is in the file of write_token_file or token_file in graftd.conf here: token_file = \"…\" \
             in relay.on"
        ));
    }
    let Some(spooler) = shared.relays.spooler() else {
        return Err("this daemon keeps nothing, for its database could not be opened".to_owned());
    };
    let (host, stream) = (is("host"), is("stream"));
    if host.is_empty() || host.len() > NAME_BYTES_MAX || stream.is_empty() || stream.len() > NAME_BYTES_MAX {
        return Err(format!("the names of a sender have 1 to {NAME_BYTES_MAX} bytes"));
    }
    if stream.split('.').next() == Some(&spooler.id) {
        return Err(
            "that is this daemon itself, or a copy of its data folder; `graftd relay renew --data DIR`, while it is \
                    stopped, makes a copy a sender of its own"
                .to_owned(),
        );
    }
    if is("via").split(' ').any(|id| named(id) == named(&spooler.id)) {
        return Err("it sends what this daemon sends to it, or to others before it: deltas would go round for ever; take one of \
                    the relays away"
            .to_owned());
    }
    let senders = &shared.relays.senders;
    if senders.known() >= RELAY_SENDERS_MAX && senders.has(&source_of(stream)).is_none() {
        return Err(format!("{RELAY_SENDERS_MAX} senders are known here; no more are taken"));
    }
    let (host, stream) = (host.to_owned(), stream.to_owned());
    Ok(Hello { host, stream, most, said })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Sides;
    use std::time::Duration;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_not_told_why_for_ever() {
        let sides = Sides::new();
        let (client, server) = sides.stuck().await;
        let (_in, mut out) = tokio::io::split(server);
        for said in [&b"why"[..], b""] {
            let told = timeout(Duration::from_secs(20), end(&mut out, said)).await;
            assert_eq!(told, Ok(false), "{said:?}");
        }
        drop(client);
        let (client, server) = sides.pair().await;
        let (_in, mut out) = tokio::io::split(server);
        assert!(end(&mut out, b"why").await);
        let (mut from, _out) = tokio::io::split(client);
        let mut said = String::new();
        from.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "why");
    }
}
