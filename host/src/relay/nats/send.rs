//! A relay's task where it sends to a stream.

use super::link::{ASK, ENTRY, Link, NotPublished};
use super::message::{ENTRY_HEAD, Head, NONE, token};
use super::{TELL, TOLD};
use crate::conf::{NatsConf, RelayConf};
use crate::core::{Event, Shared};
use crate::limits::{NATS_TELL_EVERY, RELAY_PAUSE, RELAY_PAUSE_MAX, RELAY_READ_BYTES};
use crate::relay::Line;
use crate::relay::raw::is_raw;
use crate::relay::send::{chance, next_connection};
use crate::trend::{Place, RelayJob, STREAM_PEER, Sent, SpoolReader, Spooler};
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// Why nothing goes on where lines of logs are next. No reader of a stream takes them, and what is behind them has to follow them.
const LINES_WAIT: &str = "lines of logs (forward = \"raw\") are next in the spool, and a stream takes none: they wait, and all behind \
                          them, until `to` names a receiver by TCP";

/// What a relay's task has.
#[derive(Debug)]
pub(in crate::relay) struct NatsSender {
    conf: RelayConf,
    line: Arc<Line>,
    shared: Arc<Shared>,
    spooler: Spooler,
}

/// A stream that is sent to. However it ends, what was not sent may go elsewhere.
#[derive(Debug)]
struct Met<'s> {
    sender: &'s NatsSender,
    link: &'s Link,
    connection: u64,
    peer: String,
    /// By what this sender is known.
    stream: String,
    host: String,
    subject: String,
    /// Where the last message of the subject lies; 0 if there is none.
    behind: u64,
    /// The last entry that was published.
    last: Place,
    /// The last of the spool that was published, or need not be.
    sent: u64,
    /// It is known what was published by the spool's account.
    looked: bool,
    told: Option<Instant>,
}

impl Drop for Met<'_> {
    fn drop(&mut self) {
        let NatsSender { line, spooler, .. } = self.sender;
        line.leave(spooler, &self.peer, self.connection);
    }
}

impl NatsSender {
    pub(in crate::relay) fn new(conf: RelayConf, line: Arc<Line>, shared: Arc<Shared>, spooler: Spooler) -> NatsSender {
        NatsSender { conf, line, shared, spooler }
    }

    /// Runs until it is told to stop.
    pub(in crate::relay) async fn run(self, mut stop: watch::Receiver<()>) {
        let Some(nats) = self.conf.nats.clone() else { return };
        tokio::select! {
            biased;
            // There is never a new value: it ends when the module is dropped.
            _ = stop.changed() => {}
            () = self.connect(&nats) => {}
        }
    }

    async fn connect(&self, nats: &NatsConf) {
        let mut pause = RELAY_PAUSE;
        loop {
            let mut met = false;
            if let Err(why) = self.converse(nats, &mut met).await {
                let why = format!("{}: {why}", super::link::addresses(nats).join(", "));
                if crate::relay::send::waits(&self.line, why) {
                    self.shared.events.send_async(Event::Remark).await;
                }
            }
            if met {
                pause = RELAY_PAUSE;
            }
            sleep(pause.mul_f64(0.5 + chance())).await;
            pause = (pause * 2).min(RELAY_PAUSE_MAX);
        }
    }

    /// Sends to the stream until that ends. `Ok` if it only has to begin anew.
    async fn converse(&self, nats: &NatsConf, met: &mut bool) -> Result<(), String> {
        let host = self.conf.host.clone().unwrap_or_else(|| self.shared.host.clone());
        let link = Link::open(nats, &host).await?;
        let stream = format!("{}.{}", self.spooler.id, self.line.name);
        let subject = format!("{}.{ENTRY}.{}", nats.subject, token(&stream));
        let last = link.last(&subject).await?;
        let has = last.map(|(_, place)| place).filter(|place| place.number > 0);
        let asks = link.client.subscribe(format!("{}.{ASK}.{}", nats.subject, token(&stream))).await;
        let mut asks = asks.map_err(|error| super::link::words(&error))?;
        let connection = next_connection();
        let peer = format!("{STREAM_PEER}{}", link.id);
        let (reply, answer) = oneshot::channel();
        let job =
            RelayJob::Meet { peer: peer.clone(), address: super::address(nats), connection, has, merged: None, reply };
        let ends = || "the daemon ends".to_owned();
        if !self.spooler.send(&self.line.name, job) {
            return Err(ends());
        }
        let tell = answer.await.map_err(|_| ends())???;
        let sent = has.map_or(0, |place| place.number);
        let mut met_now = Met {
            sender: self,
            link: &link,
            connection,
            peer,
            stream,
            host,
            subject,
            behind: last.map_or(0, |(sequence, _)| sequence),
            last: has.unwrap_or(NONE),
            sent,
            looked: false,
            told: None,
        };
        *met = true;
        if let Some(which) = tell {
            self.line.tell_all.store(which, std::sync::atomic::Ordering::Release);
        }
        self.greet(nats, &link);
        self.shared.events.send_async(Event::Remark).await;
        let mut changed = self.line.board.follow();
        changed.mark_changed();
        let mut spool = None;
        let gone = link.gone();
        tokio::pin!(gone);
        loop {
            tokio::select! {
                why = &mut gone => return Err(why),
                told = changed.changed() => match told {
                    Ok(()) => match met_now.send_all(&mut spool).await {
                        Ok(true) => {}
                        Ok(false) => return Ok(()),
                        Err(why) => {
                            // That does not end by itself: it need not look each second.
                            *met = why != LINES_WAIT;
                            return Err(why);
                        }
                    },
                    Err(_) => return Err(ends()),
                },
                ask = asks.next() => match ask {
                    Some(ask) => met_now.tell(&ask).await,
                    None => return Err("the connection is over".to_owned()),
                }
            }
        }
    }

    fn greet(&self, nats: &NatsConf, link: &Link) {
        let mut told = self.line.told.lock();
        told.to = super::place(nats);
        told.since = Some(self.shared.clock.unix_ms() / 1_000);
        told.error.clear();
        tracing::info!("the relay {} sends to {}, which is {}", self.line.name, told.to, link.id);
    }
}

impl Met<'_> {
    /// Publishes what was promised and is not. Whether it goes on: not where the last message of the subject is another than was thought.
    async fn send_all(&mut self, spool: &mut Option<SpoolReader>) -> Result<bool, String> {
        loop {
            let entries = self.read(spool).await?;
            if entries.is_empty() {
                return Ok(true);
            }
            let (mut rest, lines) = before_lines(&entries);
            while let Some(first) = rest.first() {
                // Anew each time: others may have come whose deltas are sent on.
                let via = self.sender.shared.relays.via(&self.sender.shared);
                let head = Head { follows: self.last, last: self.last, stream: "", host: "", via: &via };
                let (stream, host) = (self.stream.clone(), self.host.clone());
                let head = Head { stream: &stream, host: &host, ..head };
                let room = head.room(self.link.payload_max)?;
                let fit = fitting(rest, room);
                let done = if fit == 0 {
                    self.send_in_parts(head, first, room).await
                } else {
                    self.send_together(head, &rest[..fit]).await
                };
                match done {
                    Ok(()) => {}
                    Err(NotPublished::Another) => return Ok(false),
                    Err(NotPublished::Failed(why)) => return Err(why),
                }
                rest = &rest[fit.max(1)..];
            }
            if lines {
                return Err(LINES_WAIT.to_owned());
            }
        }
    }

    /// Publishes entries in one message.
    async fn send_together(&mut self, head: Head<'_>, entries: &[Sent]) -> Result<(), NotPublished> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let payload = Head { last: last.place, ..head }.entries(entries);
        let id = format!("{}.{}-{}.{:x}", head.stream, first.place.number, last.place.number, last.place.tag);
        self.publish(&id, last.place, payload).await?;
        self.published(last.place, entries.len() as u64);
        Ok(())
    }

    /// Publishes an entry that no message has room for.
    async fn send_in_parts(&mut self, head: Head<'_>, entry: &Sent, room: usize) -> Result<(), NotPublished> {
        let Sent { place, data } = entry;
        let id = format!("{}.{}.{:x}", head.stream, place.number, place.tag);
        let mut parts = Vec::new();
        for (at, part) in data.chunks(room).enumerate() {
            let id = format!("{id}.{}+{}", at * room, part.len());
            parts.push(self.publish(&id, *place, head.part(part)).await?);
        }
        let payload = Head { last: *place, ..head }.whole(*place, data.len(), &parts);
        self.publish(&id, *place, payload).await?;
        self.published(*place, 1);
        Ok(())
    }

    async fn publish(&mut self, id: &str, place: Place, payload: Vec<u8>) -> Result<u64, NotPublished> {
        // Before it is, for it may arrive although this ends here.
        self.sender.line.note_sent(&self.peer, place.number);
        self.behind = self.link.publish(&self.subject, id, self.behind, payload).await?;
        Ok(self.behind)
    }

    /// The stream has all up to an entry.
    fn published(&mut self, last: Place, entries: u64) {
        let NatsSender { line, spooler, .. } = self.sender;
        self.last = last;
        self.sent = last.number;
        line.told.lock().acknowledged += entries;
        let load = line.board.load();
        spooler.acknowledged(&line.name, self.connection, last.number, load.entries > load.promised);
    }

    /// A receiver asks for all that is set: it is new, or has missed something.
    async fn tell(&mut self, ask: &async_nats::Message) {
        let Some(reply) = ask.reply.clone().filter(|_| *ask.payload == *TELL.as_bytes()) else { return };
        // Who is not answered asks again.
        if self.told.is_some_and(|told| told.elapsed() < NATS_TELL_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let NatsSender { line, spooler, .. } = self.sender;
        let (answer, wanted) = oneshot::channel();
        if spooler.send(&line.name, RelayJob::Tell { reply: answer })
            && let Ok(Some(which)) = wanted.await
        {
            line.tell_all.store(which, std::sync::atomic::Ordering::Release);
            // An agent's core may sleep until something is due.
            self.sender.shared.events.send_async(Event::Remark).await;
            // Who asks may have gone.
            let _ = self.link.client.publish(reply, TOLD.into()).await;
        }
    }

    async fn read(&mut self, spool: &mut Option<SpoolReader>) -> Result<Vec<Sent>, String> {
        let told = |why: &dyn std::fmt::Display| format!("the spool cannot be read: {why}");
        let open = spool.take();
        let (name, peer, behind) = (self.sender.line.name.clone(), self.peer.clone(), self.sent);
        let file = self.sender.spooler.file.clone();
        let first = !self.looked;
        let read = spawn_blocking(move || {
            let open = open.filter(SpoolReader::is_current).map_or_else(|| SpoolReader::open(&file), Ok)?;
            let published = if first { open.published(&name)? } else { None };
            let (entries, _) = open.next(&name, &peer, behind, RELAY_READ_BYTES)?;
            Ok::<_, rusqlite::Error>((open, published, entries))
        });
        let (open, published, entries) = read.await.map_err(|error| told(&error))?.map_err(|error| told(&error))?;
        *spool = Some(open);
        self.looked = true;
        // The stream has less of this sender than it once had, or is another: that receivers may have missed.
        if let Some(place) = published.filter(|place| place.number > self.last.number) {
            self.last = place;
        }
        Ok(entries)
    }
}

/// Entries up to the first that is lines as they are; whether there is one.
fn before_lines(entries: &[Sent]) -> (&[Sent], bool) {
    let lines = entries.iter().position(|sent| is_raw(&sent.data));
    (&entries[..lines.unwrap_or(entries.len())], lines.is_some())
}

/// How many of the first entries fit into a message; none where the first is too large.
fn fitting(entries: &[Sent], room: usize) -> usize {
    let mut left = room;
    let fits = |sent: &&Sent| {
        let rest = left.checked_sub(ENTRY_HEAD + sent.data.len());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    entries.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Outgoing, Piece, RawLines, RawOrigin, pack_raw};

    #[test]
    fn lines_as_they_are_stop_what_is_sent() {
        let lines = RawLines::Whole(
            b"a line
"
            .to_vec(),
        );
        let piece = Piece { origin: Arc::new(RawOrigin::default()), header: None, lines };
        let packed = pack_raw(&Outgoing { pieces: vec![Arc::new(piece)], prefix: Vec::new() });
        let lines = |number| Sent { place: Place { number, tag: 1 }, data: packed[0].data.clone() };
        let deltas = |number| Sent { place: Place { number, tag: 1 }, data: vec![0; 9] };
        let numbers = |entries: &[Sent]| {
            let (rest, lines) = before_lines(entries);
            (rest.iter().map(|sent| sent.place.number).collect::<Vec<_>>(), lines)
        };
        assert_eq!(numbers(&[deltas(1), deltas(2)]), (vec![1, 2], false));
        assert_eq!(numbers(&[deltas(1), deltas(2), lines(3), deltas(4), lines(5)]), (vec![1, 2], true));
        assert_eq!(numbers(&[lines(1), deltas(2)]), (vec![], true));
    }

    #[test]
    fn as_many_entries_as_there_is_room_for_go_together() {
        let sent = |bytes: usize| Sent { place: NONE, data: vec![0; bytes - ENTRY_HEAD] };
        let entries = [sent(50), sent(50), sent(20), sent(200), sent(20)];
        assert_eq!(fitting(&entries, 100), 2);
        assert_eq!(fitting(&entries, 120), 3);
        assert_eq!(fitting(&entries, 319), 3);
        assert_eq!(fitting(&entries, 320), 4);
        assert_eq!(fitting(&entries, 1_000), 5);
        assert_eq!(fitting(&entries, 49), 0);
        assert_eq!(fitting(&[], 49), 0);
    }
}
