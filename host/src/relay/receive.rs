//! Takes what relays send.

use super::pack::{Unpacking, unpack, unpack_within};
use super::secure;
use super::senders::{Claim, Claimant, NotNow};
use super::sink::{Refusal, Relayed, Taken, source_of, without_own};
use super::wire::{Broken, MARK, Message, Reading, SAYS_REFUSED, Said, VERSIONS, put_place, write};
use crate::core::{Event, Shared};
use crate::limits::{
    RELAY_BYTES_MAX, RELAY_CLAIM_MAX, RELAY_CONNECTIONS_MAX, RELAY_ENTRY_BYTES_MAX, RELAY_HELLO_BYTES_MAX,
    RELAY_HELLO_MAX, RELAY_IDLE_MAX, RELAY_LINGER_MAX, RELAY_SENDERS_MAX, RELAY_SMALL_FRAME_BYTES,
    RELAY_SMALL_FRAMES_MAX, RELAY_STEP_BYTES, RELAY_VIA_DIGITS, RELAY_VIA_MAX,
};
use crate::tls::Stream;
use crate::tokens::Access;
use crate::trend::Place;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The longest name that a sender may go by, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What all connections share.
#[derive(Debug)]
struct Rooms {
    /// For bytes that are on their way.
    bytes: Arc<Semaphore>,
    /// For frames that are unpacked: a few bytes may stand for a large one.
    small: Semaphore,
    large: Semaphore,
    connections: AtomicU64,
}

/// Takes connections of relays.
///
/// # Errors
/// The listener is broken.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(RELAY_CONNECTIONS_MAX));
    let rooms = Arc::new(Rooms {
        bytes: Arc::new(Semaphore::new(RELAY_BYTES_MAX)),
        small: Semaphore::new(RELAY_SMALL_FRAMES_MAX),
        large: Semaphore::new(1),
        connections: AtomicU64::new(0),
    });
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: some will be given back.
                tracing::warn!("relay: a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let call = shared.sources.relay.call(from.ip());
        let (Ok(permit), Some(call)) = (Arc::clone(&connections).try_acquire_owned(), call) else {
            shared.counters.relay_connections_refused.add(1);
            continue;
        };
        let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
        tokio::spawn(async move {
            let _here = (permit, call);
            connection(stream, from, &shared, &rooms).await;
        });
    }
}

/// Speaks with a peer until that ends; tells it why, where it can be told.
async fn connection(stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>, rooms: &Rooms) {
    let _ = stream.set_nodelay(true);
    let (stream, turned_away) = match secure::accept(stream, from, shared.tls.as_deref()).await {
        Ok(accepted) => accepted,
        Err(why) => {
            shared.counters.tls_refused.add(1);
            if let Some(why) = why {
                shared.counters.relay_refused.add(1);
                tracing::warn!("a relay from {from} is refused: {why}");
            }
            return;
        }
    };
    let (from_peer, mut out) = tokio::io::split(stream);
    let mut reading = Reading::new(from_peer);
    let mut marked = false;
    let why = match converse(&mut reading, &mut out, from, shared, rooms, turned_away, &mut marked).await {
        Ok(()) | Err(Broken::Ended(_)) => return,
        Err(Broken::Wrong(why)) => why,
    };
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

/// A sender that was let in.
struct Peer<'s> {
    shared: &'s Arc<Shared>,
    rooms: &'s Rooms,
    source: String,
    host: String,
    /// By what name is told what came of it.
    shown: String,
    connection: u64,
    version: u64,
    /// What it has been told is on the disk.
    told: Option<Place>,
    /// The last of its entries that is surely here as it has it: it was asked whether it knows it, or has sent it on this connection.
    /// Nothing beyond is acknowledged, for a copy of it may have sent that.
    sure: u64,
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let senders = &self.shared.relays.senders;
        senders.leave(&self.source, self.connection);
        senders.part(&self.shown, self.connection);
    }
}

async fn converse(
    reading: &mut Reading<ReadHalf<Stream>>,
    out: &mut WriteHalf<Stream>,
    from: SocketAddr,
    shared: &Arc<Shared>,
    rooms: &Rooms,
    turned_away: Option<&str>,
    marked: &mut bool,
) -> Result<(), Broken> {
    let late = |_| Broken::Wrong(format!("no hello within {RELAY_HELLO_MAX:?}"));
    let hello = async {
        reading.mark().await?;
        *marked = true;
        write(out, MARK).await.map_err(Broken::Ended)?;
        match turned_away {
            Some(why) => Err(Broken::Wrong(why.to_owned())),
            None => reading.next(RELAY_HELLO_BYTES_MAX).await,
        }
    };
    let hello = timeout(RELAY_HELLO_MAX, hello).await.map_err(late)??;
    let Message::Hello { least, most, said } = hello else {
        return Err(Broken::Wrong("a relay begins with a hello".to_owned()));
    };
    let (host, stream) = check(shared, least, most, &said).map_err(Broken::Wrong)?;
    let source = source_of(&stream);
    let senders = &shared.relays.senders;
    let (claims, mut claimed) = mpsc::channel(4);
    let connection = rooms.connections.fetch_add(1, Ordering::Relaxed);
    let life = said.get("life").cloned().unwrap_or_default();
    let listens = said.get("listens").is_some_and(|listens| listens == "yes");
    let own = stream.split('.').next().filter(|_| listens);
    let via = said.get("via").map_or("", String::as_str).split(' ').chain(own).filter(|id| !id.is_empty());
    let via = via.map(|id| named(id).to_owned()).take(RELAY_VIA_MAX + 1).collect();
    let claimant = Claimant { connection, life, from, claims, via };
    match senders.claim(&source, claimant, RELAY_CLAIM_MAX).await {
        Ok(()) => {}
        Err(NotNow::Another(other)) => {
            return Err(Broken::Wrong(format!(
                "another sender with the same id is connected from {other}: a data folder was copied; `graftd relay renew --data \
                 DIR`, while the daemon is stopped, makes one of them a sender of its own"
            )));
        }
        Err(NotNow::TooMany) => {
            return Err(Broken::Wrong(format!(
                "more than {RELAY_VIA_MAX} daemons would send here what others send them: whether their deltas go round in a ring \
                 could not be told any more; have fewer relays send here"
            )));
        }
    }
    let shown = senders.join(&host);
    let version = most.min(*VERSIONS.end());
    let mut peer = Peer { shared, rooms, source, host, shown, connection, version, told: None, sure: 0 };
    // From here on nothing is missed that is committed.
    let mut committed = senders.follow();
    let merged = shared.positions.lock().get(&peer.source).and_then(|text| super::wire::place(text));
    peer.told = senders.has(&peer.source);
    peer.sure = merged.or(peer.told).map_or(0, |place| place.number);
    let mut answer: Said = [("id", shared.relays.spooler().map_or("", |spooler| &spooler.id)), ("host", &*shared.host)]
        .into_iter()
        .map(|(name, is)| (name.to_owned(), is.to_owned()))
        .collect();
    for (name, place) in [("committed", peer.told), ("merged", merged)] {
        answer.extend(place.map(|place| (name.to_owned(), put_place(place))));
    }
    write(out, &Message::Welcome { version, said: answer }.encode()).await.map_err(Broken::Ended)?;
    tracing::info!("{} relays from {from}", peer.host);
    warn_of_names(shared, &peer, &stream, from);
    reading.share(&rooms.bytes);
    let mut alive: Vec<oneshot::Sender<()>> = Vec::new();
    loop {
        // More may have come of a message meanwhile: that is seen when this is over.
        let over = reading.heard() + RELAY_IDLE_MAX;
        tokio::select! {
            message = reading.next(RELAY_ENTRY_BYTES_MAX) => {
                let message = message?;
                let began = Instant::now();
                for reply in alive.drain(..) {
                    // Whoever claims the name may have gone.
                    let _ = reply.send(());
                }
                peer.take(message, out).await?;
                // Meanwhile nobody here has listened.
                reading.rested(began.elapsed());
            }
            _ = committed.changed() => peer.acknowledge(out).await?,
            claim = claimed.recv() => match claim {
                Some(Claim::Alive(reply)) => {
                    alive.push(reply);
                    write(out, &Message::Ping.encode()).await.map_err(Broken::Ended)?;
                }
                Some(Claim::Over) | None => {
                    return Err(Broken::Wrong("the sender has connected anew".to_owned()));
                }
            },
            () = sleep_until(over) => if reading.heard() + RELAY_IDLE_MAX <= Instant::now() {
                return Err(Broken::Wrong(format!("no sign of life within {RELAY_IDLE_MAX:?}")));
            }
        }
    }
}

/// Two by one name are told once: what they measure is at the same paths, and each writes over the other's.
fn warn_of_names(shared: &Shared, peer: &Peer<'_>, stream: &str, from: SocketAddr) {
    let senders = &shared.relays.senders;
    let host = &peer.host;
    let id = stream.split('.').next().unwrap_or_default();
    let way_out =
        "give each daemon a name of its own: host = \"…\" in its graftd.conf, and in its relay.on if it says one there";
    if let Some(other) = senders.called(peer.connection, host, id, from) {
        tracing::warn!(
            "two senders call themselves {host}, from {other} and from {from}: what they measure is at the same paths; {way_out}"
        );
    }
    if **host == *shared.host && senders.called_as_here(host) {
        tracing::warn!(
            "the sender from {from} calls itself {host}, as this daemon does: what both measure is at the same paths, and what it says \
             of its own health is left out; {way_out}"
        );
    }
}

/// By what a daemon's id is named among those that send on.
pub(super) fn named(id: &str) -> &str {
    id.get(..RELAY_VIA_DIGITS).unwrap_or(id)
}

/// Whether a sender may send: by what names it goes.
fn check(shared: &Shared, least: u64, most: u64, said: &Said) -> Result<(String, String), String> {
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
    Ok((host.to_owned(), stream.to_owned()))
}

impl Peer<'_> {
    async fn take(&mut self, message: Message, out: &mut WriteHalf<Stream>) -> Result<(), Broken> {
        match message {
            Message::Entry { place, data } => self.merge(place, data, out).await,
            Message::Commit => {
                self.shared.events.send_async(Event::Commit { reply: None }).await;
                Ok(())
            }
            Message::Ping => write(out, &Message::Pong.encode()).await.map_err(Broken::Ended),
            Message::Pong => Ok(()),
            _ => Err(Broken::Wrong("it says what only a receiver may say".to_owned())),
        }
    }

    async fn merge(&mut self, place: Place, data: Vec<u8>, out: &mut WriteHalf<Stream>) -> Result<(), Broken> {
        let bytes = data.len() as u64;
        match self.enter(place, data).await? {
            Ok(Taken::Before) => Ok(()),
            Ok(Taken::Last) => {
                self.sure = place.number;
                // It may be on the disk already.
                self.acknowledge(out).await
            }
            Ok(Taken::Merged) => {
                self.sure = place.number;
                self.shared.relays.senders.note(&self.shown, bytes);
                Ok(())
            }
            Err(Refusal::Another) => Err(Broken::Wrong(format!(
                "its entry {} is another than the one of this number that is here: a data folder was copied; `graftd relay renew \
                 --data DIR`, while the daemon is stopped, makes one of them a sender of its own",
                place.number
            ))),
            Err(Refusal::Entry(why)) => {
                if self.version >= SAYS_REFUSED {
                    let refused = Message::Refused { number: place.number, why: why.clone() };
                    write(out, &refused.encode()).await.map_err(Broken::Ended)?;
                }
                Err(Broken::Wrong(why))
            }
        }
    }

    /// Brings an entry into the tree.
    async fn enter(&self, place: Place, data: Vec<u8>) -> Result<Result<Taken, Refusal>, Broken> {
        let ends = || Broken::Wrong("this daemon ends".to_owned());
        let small = self.rooms.small.acquire().await.map_err(|_| ends())?;
        let data = Arc::new(data);
        let (_room, frame) = match self.unpacked(&data, true).await? {
            Some(frame) => (small, frame),
            None => {
                drop(small);
                let large = self.rooms.large.acquire().await.map_err(|_| ends())?;
                let frame = self.unpacked(&data, false).await?;
                (large, frame.unwrap_or_else(|| Err("it is too large".to_owned())))
            }
        };
        drop(data);
        let frame = match frame {
            Ok(frame) => frame,
            Err(why) => return Ok(Err(Refusal::Entry(why))),
        };
        let (reply, answer) = oneshot::channel();
        let relayed = Relayed { source: self.source.clone(), host: self.host.clone(), place, frame, reply };
        if !self.shared.events.send_async(Event::Relayed(relayed)).await {
            return Err(ends());
        }
        answer.await.map_err(|_| ends())
    }

    /// The frame in an entry, without what it says of this daemon; `None` where it is large and only small ones are wanted.
    async fn unpacked(&self, data: &Arc<Vec<u8>>, small: bool) -> Result<Option<Result<Vec<u8>, String>>, Broken> {
        let (host, data) = (self.shared.host.clone(), Arc::clone(data));
        let is_little = data.len() <= RELAY_STEP_BYTES;
        let work = move || {
            let frame = if small {
                match unpack_within(&data, RELAY_SMALL_FRAME_BYTES) {
                    Err(Unpacking::Large(_)) => return None,
                    Err(Unpacking::Wrong(why)) => Err(why),
                    Ok(frame) => Ok(frame),
                }
            } else {
                unpack(&data)
            };
            Some(frame.and_then(|frame| match without_own(&frame, &host).ok_or("an entry holds no delta")? {
                Cow::Borrowed(_) => Ok(frame),
                Cow::Owned(left) => Ok(left),
            }))
        };
        // Handing on a little one costs more than unpacking it.
        if small && is_little {
            return Ok(work());
        }
        spawn_blocking(work).await.map_err(|error| Broken::Wrong(error.to_string()))
    }

    /// Tells the sender what is on the disk, if that is more than it has been told.
    async fn acknowledge(&mut self, out: &mut WriteHalf<Stream>) -> Result<(), Broken> {
        let has = self.shared.relays.senders.has(&self.source);
        let told = self.told.map_or(0, |place| place.number);
        if let Some(place) = has
            && place.number.min(self.sure) > told
        {
            let number = place.number.min(self.sure);
            self.told = Some(Place { number, ..place });
            write(out, &Message::Acknowledged { number }.encode()).await.map_err(Broken::Ended)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Sides;

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
