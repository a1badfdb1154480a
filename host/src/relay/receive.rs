//! Takes what relays send.

use super::meet::{Hello, Met, meet, named, refuse};
use super::pack::{Unpacking, unpack, unpack_within};
use super::raw::{Unfolded, is_raw, unpack_raw};
use super::room::Room;
use super::senders::{Claim, Claimant, NotNow};
use super::sink::{Entry, Refusal, Relayed, Taken, source_of, without_own};
use super::wire::{Broken, Message, Reading, SAYS_REFUSED, Said, VERSIONS, put_place, write};
use crate::core::{Event, Shared};
use crate::ingest::sources::{Stranger, Strangers};
use crate::limits::{
    RAW_ENTRIES_MAX, RELAY_BYTES_MAX, RELAY_CLAIM_MAX, RELAY_CONNECTIONS_MAX, RELAY_ENTRY_BYTES_MAX, RELAY_IDLE_MAX,
    RELAY_PING_EVERY, RELAY_SMALL_FRAME_BYTES, RELAY_SMALL_FRAMES_MAX, RELAY_STEP_BYTES, RELAY_STRANGERS_MAX,
    RELAY_VIA_MAX,
};
use crate::tls::Stream;
use crate::trend::Place;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until};

/// How often it is looked whether lines may go on that had to wait.
const RAW_LOOK_EVERY: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Rooms {
    /// For bytes that are on their way.
    bytes: Arc<Room>,
    /// For frames that are unpacked: a few bytes may stand for a large one.
    small: Semaphore,
    large: Semaphore,
    /// For entries of lines: pipes may take long to fold these, and no delta is to wait for them.
    lines: Semaphore,
    /// For senders.
    pub(super) places: Arc<Semaphore>,
    /// Those that have not said yet who they are.
    strangers: Arc<Strangers>,
    connections: AtomicU64,
}

impl Rooms {
    fn new() -> Rooms {
        Rooms {
            bytes: Room::new(RELAY_BYTES_MAX),
            small: Semaphore::new(RELAY_SMALL_FRAMES_MAX),
            large: Semaphore::new(1),
            lines: Semaphore::new(RAW_ENTRIES_MAX),
            places: Arc::new(Semaphore::new(RELAY_CONNECTIONS_MAX)),
            strangers: Strangers::new(RELAY_STRANGERS_MAX),
            connections: AtomicU64::new(0),
        }
    }
}

/// Takes connections of relays.
///
/// # Errors
/// The listener is broken.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    serve_in(listener, shared, Arc::new(Rooms::new())).await
}

async fn serve_in(listener: TcpListener, shared: Arc<Shared>, rooms: Arc<Rooms>) -> io::Result<()> {
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
        crate::ingest::keep_alive(&stream);
        let stranger = rooms.strangers.meet(from.ip());
        let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
        tokio::spawn(async move { connection(stream, from, stranger, &shared, &rooms).await });
    }
}

/// Speaks with a peer until that ends; tells it why, where it can be told.
async fn connection(stream: TcpStream, from: SocketAddr, mut stranger: Stranger, shared: &Arc<Shared>, rooms: &Rooms) {
    let met = tokio::select! {
        met = meet(stream, from, shared, rooms) => met,
        () = stranger.sent_away() => {
            shared.counters.relay_connections_refused.add(1);
            return;
        }
    };
    drop(stranger);
    let Some(Met { mut reading, mut out, hello, _place }) = met else { return };
    match converse(&mut reading, &mut out, hello, from, shared, rooms).await {
        Ok(()) | Err(Broken::Ended(_)) => {}
        Err(Broken::Wrong(why)) => refuse(reading, out, why, true, from, shared).await,
    }
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
    hello: Hello,
    from: SocketAddr,
    shared: &Arc<Shared>,
    rooms: &Rooms,
) -> Result<(), Broken> {
    let Hello { host, stream, most, said } = hello;
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
    let mut signs = interval(RELAY_PING_EVERY);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                    // More than one acknowledgement, which alone would not wake an agent (`ear.rs`).
                    write(out, &Message::Ping.encode().repeat(3)).await.map_err(Broken::Ended)?;
                }
                Some(Claim::Over) | None => {
                    return Err(Broken::Wrong("the sender has connected anew".to_owned()));
                }
            },
            // What it asks stands behind what there is no room for.
            _ = signs.tick() => if reading.waits() {
                write(out, &Message::Ping.encode()).await.map_err(Broken::Ended)?;
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
        let entered = if is_raw(&data) {
            self.enter_lines(place, data, out).await?
        } else {
            self.alive(self.enter(place, data), out).await?
        };
        match entered {
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
        self.tell(place, Entry::Frame(frame)).await?.await.map_err(|_| ends())
    }

    /// Hands an entry to the core, which answers what became of it.
    async fn tell(&self, place: Place, entry: Entry) -> Result<oneshot::Receiver<Result<Taken, Refusal>>, Broken> {
        let (reply, answer) = oneshot::channel();
        let relayed = Relayed { source: self.source.clone(), host: self.host.clone(), place, entry, reply };
        if !self.shared.events.send_async(Event::Relayed(relayed)).await {
            return Err(Broken::Wrong("this daemon ends".to_owned()));
        }
        Ok(answer)
    }

    /// Lines of logs: they go on as they are where a relay here takes them, and else the pipes here fold them. The sender hears
    /// meanwhile that somebody is there.
    async fn enter_lines(
        &self,
        place: Place,
        data: Vec<u8>,
        out: &mut WriteHalf<Stream>,
    ) -> Result<Result<Taken, Refusal>, Broken> {
        let mut signs = interval_at(Instant::now() + RELAY_PING_EVERY, RELAY_PING_EVERY);
        let relays = &self.shared.relays;
        // Which relays and pipes there are is known only when all is ready.
        while !self.shared.ready.load(Ordering::Acquire) || relays.takes_raw() && !relays.has_raw_room() {
            tokio::select! {
                () = sleep(RAW_LOOK_EVERY) => {}
                _ = signs.tick() => write(out, &Message::Ping.encode()).await.map_err(Broken::Ended)?,
            }
        }
        self.alive(self.lines(place, data), out).await
    }

    /// Waits for what becomes of an entry; the sender hears meanwhile that somebody is there.
    async fn alive<T>(
        &self,
        work: impl Future<Output = Result<T, Broken>>,
        out: &mut WriteHalf<Stream>,
    ) -> Result<T, Broken> {
        let over = Notify::new();
        let work = async {
            let done = work.await;
            over.notify_one();
            done
        };
        // A sign is never cut off, and nothing waits for who does not take it.
        let signs = async {
            loop {
                tokio::select! {
                    biased;
                    () = over.notified() => return Ok(()),
                    () = sleep(RELAY_PING_EVERY) => write(out, &Message::Ping.encode()).await?,
                }
            }
        };
        // What has begun is brought to its end, whoever is there: its number is told with it.
        let (done, told) = tokio::join!(work, signs);
        told.map_err(Broken::Ended)?;
        done
    }

    async fn lines(&self, place: Place, data: Vec<u8>) -> Result<Result<Taken, Refusal>, Broken> {
        let ends = || Broken::Wrong("this daemon ends".to_owned());
        // It is kept until they are folded: so long they are in memory, and a thread waits for the pipes.
        let _room = self.rooms.lines.acquire().await.map_err(|_| ends())?;
        let unpacked = spawn_blocking(move || unpack_raw(&data)).await.map_err(|_| ends())?;
        let pieces = match unpacked {
            Ok(pieces) => pieces,
            Err(why) => return Ok(Err(Refusal::Entry(why))),
        };
        let shared = Arc::clone(self.shared);
        let bytes = pieces.iter().map(|piece| piece.bytes() as u64).sum();
        let mut goes_on = false;
        while !goes_on && shared.relays.takes_raw() {
            goes_on = shared.relays.take_raw_room(bytes);
            if !goes_on {
                sleep(RAW_LOOK_EVERY).await;
            }
        }
        let entry = if goes_on {
            Entry::Lines(pieces)
        } else {
            match spawn_blocking(move || shared.relays.raw_logs.fold(pieces, &shared)).await.map_err(|_| ends())? {
                Ok(frames) => Entry::Folded(frames),
                Err(Unfolded::Never(why)) => return Ok(Err(Refusal::Entry(why))),
                // It is told why, and sends them anew.
                Err(Unfolded::NotNow(why)) => return Err(Broken::Wrong(why)),
            }
        };
        self.tell(place, entry).await?.await.map_err(|_| ends())
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
