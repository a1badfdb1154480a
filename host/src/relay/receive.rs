//! Takes what relays send.

use super::pack::unpack;
use super::senders::{Claim, Claimant};
use super::sink::{Relayed, source_of, without_own};
use super::wire::{Broken, MARK, Message, Reading, Said, VERSIONS, put_place, write};
use crate::core::{Event, Shared};
use crate::ingest::push::same;
use crate::limits::{
    RELAY_BYTES_MAX, RELAY_CLAIM_MAX, RELAY_CONNECTIONS_MAX, RELAY_ENTRY_BYTES_MAX, RELAY_FRAME_BYTES_MAX,
    RELAY_HELLO_BYTES_MAX, RELAY_HELLO_MAX, RELAY_IDLE_MAX, RELAY_LINGER_MAX, RELAY_SENDERS_MAX, RELAY_VIA_MAX,
};
use crate::trend::Place;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Frames that may be unpacked at the same time: a few bytes may stand for a large one.
const UNPACKED_AT_ONCE: usize = RELAY_BYTES_MAX / RELAY_FRAME_BYTES_MAX;

/// The longest name that a sender may go by, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What all connections share.
#[derive(Debug)]
struct Rooms {
    /// For bytes that are on their way.
    bytes: Arc<Semaphore>,
    unpacking: Semaphore,
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
        unpacking: Semaphore::new(UNPACKED_AT_ONCE),
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
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            shared.counters.relay_connections_refused.add(1);
            continue;
        };
        let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
        tokio::spawn(async move {
            let _permit = permit;
            connection(stream, from, &shared, &rooms).await;
        });
    }
}

/// Speaks with a peer until that ends; tells it why, where it can be told.
async fn connection(stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>, rooms: &Rooms) {
    let _ = stream.set_nodelay(true);
    let (from_peer, mut out) = stream.into_split();
    let mut reading = Reading::new(from_peer);
    let mut marked = false;
    let why = match converse(&mut reading, &mut out, from, shared, rooms, &mut marked).await {
        Ok(()) | Err(Broken::Ended(_)) => return,
        Err(Broken::Wrong(why)) => why,
    };
    shared.counters.relay_refused.add(1);
    tracing::warn!("a relay from {from} is refused: {why}");
    let said = if marked { Message::Error(why).encode() } else { format!("graftd: {why}\n").into_bytes() };
    if write(&mut out, &said).await.is_ok() && out.shutdown().await.is_ok() {
        // Closing while the peer sends would reset the connection, and it might never see the answer.
        let mut dropped = vec![0; 4 * 1024];
        let mut from = reading.into_inner();
        let drain = async { while matches!(from.read(&mut dropped).await, Ok(1..)) {} };
        let _ = timeout(RELAY_LINGER_MAX, drain).await;
    }
}

/// A sender that was let in.
struct Peer<'s> {
    shared: &'s Arc<Shared>,
    rooms: &'s Rooms,
    source: String,
    host: String,
    connection: u64,
    /// What it has been told is on the disk.
    told: Option<Place>,
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let senders = &self.shared.relays.senders;
        senders.leave(&self.source, self.connection);
        senders.note(&self.host, |received| received.connected = received.connected.saturating_sub(1));
    }
}

async fn converse(
    reading: &mut Reading<OwnedReadHalf>,
    out: &mut OwnedWriteHalf,
    from: SocketAddr,
    shared: &Arc<Shared>,
    rooms: &Rooms,
    marked: &mut bool,
) -> Result<(), Broken> {
    let late = |_| Broken::Wrong(format!("no hello within {RELAY_HELLO_MAX:?}"));
    let hello = async {
        reading.mark().await?;
        *marked = true;
        write(out, MARK).await.map_err(Broken::Ended)?;
        reading.next(RELAY_HELLO_BYTES_MAX).await
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
    let via = said.get("via").map_or("", String::as_str).split(' ').filter(|id| !id.is_empty()).chain(own);
    let via = via.take(RELAY_VIA_MAX).map(str::to_owned).collect();
    let claimant = Claimant { connection, life, from, claims, via };
    if let Err(other) = senders.claim(&source, claimant, RELAY_CLAIM_MAX).await {
        return Err(Broken::Wrong(format!(
            "another sender with the same id is connected from {other}: a data folder was copied; `graftd relay renew --data \
             DIR`, while the daemon is stopped, makes one of them a sender of its own"
        )));
    }
    senders.note(&host, |received| received.connected += 1);
    let mut peer = Peer { shared, rooms, source, host, connection, told: None };
    // From here on nothing is missed that is committed.
    let mut committed = senders.follow();
    let merged = shared.positions.lock().get(&peer.source).and_then(|text| super::wire::place(text));
    peer.told = senders.has(&peer.source);
    let mut answer: Said = [("id", shared.relays.spooler().map_or("", |spooler| &spooler.id)), ("host", &*shared.host)]
        .into_iter()
        .map(|(name, is)| (name.to_owned(), is.to_owned()))
        .collect();
    for (name, place) in [("committed", peer.told), ("merged", merged)] {
        answer.extend(place.map(|place| (name.to_owned(), put_place(place))));
    }
    let version = most.min(*VERSIONS.end());
    write(out, &Message::Welcome { version, said: answer }.encode()).await.map_err(Broken::Ended)?;
    tracing::info!("{} relays from {from}", peer.host);
    reading.share(&rooms.bytes);
    let mut alive: Vec<oneshot::Sender<()>> = Vec::new();
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = reading.next(RELAY_ENTRY_BYTES_MAX) => {
                let message = message?;
                heard = Instant::now();
                for reply in alive.drain(..) {
                    // Whoever claims the name may have gone.
                    let _ = reply.send(());
                }
                peer.take(message, out).await?;
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
            () = sleep_until(heard + RELAY_IDLE_MAX) => {
                return Err(Broken::Wrong(format!("no whole message within {RELAY_IDLE_MAX:?}")));
            }
        }
    }
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
    if let Some(token) = &shared.token
        && !same(is("token").as_bytes(), token.as_bytes())
    {
        let what = if is("token").is_empty() { "this daemon asks for its token" } else { "the token is another" };
        return Err(format!(
            "{what}; name a file with what is in the file of token_file in graftd.conf here: token_file = \"…\" in relay.on"
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
    if is("via").split(' ').any(|id| id == spooler.id) {
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
    async fn take(&mut self, message: Message, out: &mut OwnedWriteHalf) -> Result<(), Broken> {
        match message {
            Message::Entry { place, data } => self.merge(place, data).await.map_err(Broken::Wrong),
            Message::Commit => {
                self.shared.events.send_async(Event::Commit { reply: None }).await;
                Ok(())
            }
            Message::Ping => write(out, &Message::Pong.encode()).await.map_err(Broken::Ended),
            Message::Pong => Ok(()),
            _ => Err(Broken::Wrong("it says what only a receiver may say".to_owned())),
        }
    }

    async fn merge(&mut self, place: Place, data: Vec<u8>) -> Result<(), String> {
        let ends = || "this daemon ends".to_owned();
        let bytes = data.len() as u64;
        let _room = self.rooms.unpacking.acquire().await.map_err(|_| ends())?;
        let host = self.shared.host.clone();
        let work = move || {
            let frame = unpack(&data)?;
            match without_own(&frame, &host).ok_or("an entry holds no delta")? {
                Cow::Borrowed(_) => Ok(frame),
                Cow::Owned(left) => Ok(left),
            }
        };
        let frame: Result<Vec<u8>, String> = spawn_blocking(work).await.map_err(|error| error.to_string())?;
        let (reply, answer) = oneshot::channel();
        let relayed = Relayed { source: self.source.clone(), host: self.host.clone(), place, frame: frame?, reply };
        if !self.shared.events.send_async(Event::Relayed(relayed)).await {
            return Err(ends());
        }
        if answer.await.map_err(|_| ends())?? {
            self.shared.relays.senders.note(&self.host, |received| {
                received.entries += 1;
                received.bytes += bytes;
            });
        }
        Ok(())
    }

    /// Tells the sender what is on the disk, if that is more than it has been told.
    async fn acknowledge(&mut self, out: &mut OwnedWriteHalf) -> Result<(), Broken> {
        let has = self.shared.relays.senders.has(&self.source);
        if has != self.told
            && let Some(place) = has
        {
            self.told = has;
            write(out, &Message::Acknowledged { number: place.number }.encode()).await.map_err(Broken::Ended)?;
        }
        Ok(())
    }
}
