//! The built-in module `nats`: reads what relays have sent to a stream.

use super::asks::Asks;
use super::link::{ENTRY, Link, words};
use super::message::{Body, Head, decode, token};
use super::pending::{Given, Lies, Pending};
use crate::conf::NatsConf;
use crate::core::{Delta, Event, Position, Shared};
use crate::limits::{
    NATS_ACK_WAIT, NATS_ASK_EVERY, NATS_FETCH_BYTES, NATS_FETCH_EXPIRES, NATS_FETCH_MESSAGES, NATS_PENDING_MAX,
    RELAY_PAUSE, RELAY_PAUSE_MAX, RELAY_RECEIVED_MAX, RELAY_SENDERS_MAX, RELAY_SMALL_FRAME_BYTES, RELAY_STEP_BYTES,
};
use crate::relay::meet::named;
use crate::relay::pack::{Unpacking, unpack, unpack_within};
use crate::relay::send::chance;
use crate::relay::sink::{Entry, Refusal, Relayed, Taken, source_of, without_own};
use crate::relay::wire::place;
use crate::trend::Place;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::{ConsumerErrorKind, LastRawMessageErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use futures_util::StreamExt;
use parking_lot::Mutex;
use plugin_api::limits::OTHER;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

/// The longest name that a sender may go by, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Messages that are acknowledged together where no commit is waited for.
const ACKNOWLEDGED_TOGETHER: usize = 64;

/// What is told of a reader.
#[derive(Debug, Default)]
struct Told {
    /// Why it does not read; empty if it does.
    error: Mutex<String>,
    missed: AtomicU64,
    refused: AtomicU64,
}

/// The built-in module `nats`, running. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Nats {
    /// In words.
    place: String,
    shared: Arc<Shared>,
    told: Arc<Told>,
    /// Dropping it tells the task.
    _stop: watch::Sender<()>,
}

impl Nats {
    /// As a `.on` calls it.
    pub(crate) const NAME: &'static str = "nats";

    /// Starts it.
    ///
    /// # Errors
    /// Nothing is kept.
    pub(crate) fn start(conf: &NatsConf, name: &str, shared: &Arc<Shared>, runtime: &Handle) -> Result<Nats, String> {
        let Some(spooler) = shared.relays.spooler() else {
            return Err("this daemon keeps nothing, for its database could not be opened; see its log".to_owned());
        };
        shared.relays.streams.fetch_add(1, Ordering::AcqRel);
        let (stop, mut stopping) = watch::channel(());
        let told = Arc::<Told>::default();
        let reader = Reader {
            conf: conf.clone(),
            name: name.to_owned(),
            id: spooler.id.to_string(),
            shared: Arc::clone(shared),
            told: Arc::clone(&told),
        };
        runtime.spawn(Box::pin(async move {
            tokio::select! {
                biased;
                // There is never a new value: it ends when the module is dropped.
                _ = stopping.changed() => {}
                () = reader.run() => {}
            }
        }));
        Ok(Nats { place: super::place(conf), shared: Arc::clone(shared), told, _stop: stop })
    }

    /// What it does, in words.
    pub(crate) fn remark(&self) -> String {
        let mut remark = format!("reads {}", self.place);
        let missed = self.told.missed.load(Ordering::Acquire);
        if missed > 0 {
            remark.push_str(&format!("; up to {missed} entries were dropped there before they were read here"));
        }
        let refused = self.told.refused.load(Ordering::Acquire);
        if refused > 0 {
            remark.push_str(&format!("; {refused} messages or entries were passed over: see the log"));
        }
        let error = self.told.error.lock();
        if !error.is_empty() {
            remark.push_str(&format!("; not at the moment: {error}"));
        }
        remark
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.shared.relays.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the task has.
#[derive(Debug)]
struct Reader {
    conf: NatsConf,
    name: String,
    /// By what this daemon is known.
    id: String,
    shared: Arc<Shared>,
    told: Arc<Told>,
}

/// A stream that is read.
struct Met<'r> {
    reader: &'r Reader,
    link: &'r Link,
    pending: Pending,
    given: Given,
    asks: Asks,
    /// Hosts that were heard, and by what name is told what comes of them.
    hosts: HashMap<String, String>,
    /// A commit has been asked for, and nothing acknowledged since.
    asked: bool,
}

impl Drop for Met<'_> {
    fn drop(&mut self) {
        let senders = &self.reader.shared.relays.senders;
        self.hosts.values().for_each(|shown| senders.gone(shown));
    }
}

impl Reader {
    async fn run(&self) {
        let mut pause = RELAY_PAUSE;
        loop {
            let mut met = false;
            let Err(why) = self.converse(&mut met).await;
            if *self.told.error.lock() != why {
                tracing::warn!("{}: {}: {why}", self.name, super::place(&self.conf));
                self.tell(why).await;
            }
            if met {
                pause = RELAY_PAUSE;
            }
            sleep(pause.mul_f64(0.5 + chance())).await;
            pause = (pause * 2).min(RELAY_PAUSE_MAX);
        }
    }

    /// Has it shown how it fares.
    async fn tell(&self, error: String) {
        *self.told.error.lock() = error;
        self.shared.events.send_async(Event::Remark).await;
    }

    /// What is known of a source.
    fn position(&self, source: &str) -> Option<Arc<str>> {
        self.shared.positions.lock().get(source).cloned()
    }

    /// Has it written down how far a source was read, with the next commit.
    async fn read_on(&self, source: String, text: &str) {
        let position = Some(Position { source, text: text.into() });
        self.shared.events.send_async(Event::Delta(Delta { position, ..Delta::default() })).await;
    }

    /// Under what the place in the stream is kept: of what is read there, for one stream may have what several read.
    fn source(&self) -> String {
        super::address(&self.conf)
    }

    /// Where to read on: behind what is on the disk here, or from the first if that was another stream.
    async fn begins_at(&self, link: &Link) -> Result<u64, String> {
        let known = self.position(&self.source());
        // A stream that has lost its end would give the numbers of that out anew.
        let last = link.stream.cached_info().state.last_sequence;
        let kept = known.as_deref().and_then(|text| Lies::kept(text, &link.id)).filter(|kept| kept.sequence <= last);
        let Some(kept) = kept else { return Ok(1) };
        match link.stream.get_raw_message(kept.sequence).await {
            // Or it has already: entries that are here are known by their numbers.
            Ok(there) if there.time.unix_timestamp_nanos() != kept.since => {
                let Reader { name, conf, .. } = self;
                tracing::warn!(
                    "{name}: {} was set back: message {} is another than the one that was read; all of it is read again",
                    super::place(conf),
                    kept.sequence
                );
                Ok(1)
            }
            Ok(_) => Ok(kept.sequence.saturating_add(1)),
            // Dropped since, by the stream's limits.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(kept.sequence.saturating_add(1))
            }
            Err(error) => Err(format!("message {} cannot be read: {}", kept.sequence, words(&error))),
        }
    }

    /// The consumer of this host, which reads from there. The one before is taken away: it would give out what was not
    /// acknowledged behind what is newer, and of a sender's entries only those count that come in their order.
    async fn consumer(&self, link: &Link) -> Result<Consumer<pull::Config>, String> {
        let host: String = self
            .shared
            .host
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .take(64)
            .collect();
        let durable = durable(&host, &self.id, &self.conf.subject);
        match link.stream.delete_consumer(&durable).await {
            Ok(_) => {}
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(of) if of.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {}
                _ => return Err(format!("the consumer {durable} cannot be made anew: {}", words(&error))),
            },
        }
        let config = pull::Config {
            durable_name: Some(durable.clone()),
            description: Some(format!("graftd on {}", self.shared.host)),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.begins_at(link).await? },
            ack_policy: AckPolicy::All,
            ack_wait: NATS_ACK_WAIT,
            filter_subject: format!("{}.{ENTRY}.>", self.conf.subject),
            max_ack_pending: NATS_PENDING_MAX as i64,
            ..pull::Config::default()
        };
        let made = link.stream.create_consumer(config).await;
        made.map_err(|error| format!("the consumer {durable} cannot be made: {}", words(&error)))
    }

    /// Reads until that ends: why.
    async fn converse(&self, met: &mut bool) -> Result<std::convert::Infallible, String> {
        let link = Link::open(&self.conf, &self.shared.host).await?;
        let consumer = self.consumer(&link).await?;
        *met = true;
        tracing::info!("{} reads {}, which is {}", self.name, super::place(&self.conf), link.id);
        self.tell(String::new()).await;
        let mut committed = self.shared.relays.senders.follow();
        let asks = Asks::new(&link.client, &self.conf.subject);
        let mut reads = Met {
            reader: self,
            link: &link,
            pending: Pending::default(),
            given: Given::default(),
            asks,
            hosts: HashMap::new(),
            asked: false,
        };
        let mut looks = interval(NATS_ASK_EVERY);
        let gone = link.gone();
        tokio::pin!(gone);
        let bytes_max = NATS_FETCH_BYTES.max(link.client.max_payload().saturating_mul(2));
        loop {
            let batch =
                consumer.batch().max_messages(NATS_FETCH_MESSAGES).max_bytes(bytes_max).expires(NATS_FETCH_EXPIRES);
            let mut batch = batch.messages().await.map_err(|error| words(&error))?;
            loop {
                tokio::select! {
                    why = &mut gone => return Err(why),
                    message = batch.next() => match message {
                        Some(Ok(message)) => reads.take(message).await?,
                        // The bytes that were asked for are there.
                        Some(Err(error)) if error.to_string().contains("MaxBytes") => break,
                        Some(Err(error)) => return Err(ended(&error.to_string())),
                        None => break,
                    },
                    _ = committed.changed() => reads.acknowledge().await?,
                    Some(stream) = reads.asks.told() => self.read_on(told_of(&stream), "yes").await,
                    _ = looks.tick() => {
                        reads.asks.ask();
                        reads.acknowledge().await?;
                    }
                }
            }
        }
    }
}

/// What the consumer of a host and a subject is called; no name has a dot, and no subject a `=`.
fn durable(host: &str, id: &str, subject: &str) -> String {
    format!("{host}-{}-{}", named(id), subject.replace('.', "="))
}

/// Why a server gives out nothing more, in words.
fn ended(why: &str) -> String {
    if why.contains("Consumer Deleted") {
        return "another takes this host's consumer away: is its data folder a copy of another host's? `graftd relay renew --data DIR`, \
                while the daemon is stopped, gives it a name of its own"
            .to_owned();
    }
    why.to_owned()
}

/// Under what is kept whether a sender has told all that was set when this daemon did not know it.
fn told_of(stream: &str) -> String {
    format!("told:{stream}")
}

impl Met<'_> {
    /// Takes a message: what is in it is in the tree then, or passed over.
    async fn take(&mut self, message: jetstream::Message) -> Result<(), String> {
        let info = message.info().map_err(|error| error.to_string())?;
        // Before anything counts: what is missing would be taken for dropped, and acknowledged with what is behind it.
        self.given.comes(info.consumer_sequence)?;
        let sequence = info.stream_sequence;
        let lies = Lies { sequence, since: info.published.unix_timestamp_nanos() };
        let wants = match decode(&message.payload) {
            Ok((head, body)) => self.take_read(sequence, &message.subject, head, body).await?,
            Err(why) => Err(why.to_owned()),
        };
        let wants = match wants {
            Ok(wants) => wants,
            Err(why) => {
                self.refuse(sequence, &message.subject, &why).await;
                None
            }
        };
        self.pending.add(lies, message.reply.clone(), wants);
        if self.pending.len() > NATS_PENDING_MAX / 2 && !self.asked {
            self.asked = true;
            self.reader.shared.events.send_async(Event::Commit { reply: None }).await;
        }
        // No commit may come of what is known already.
        if self.pending.len() >= ACKNOWLEDGED_TOGETHER && self.pending.is_over(&self.reader.shared.relays.senders) {
            self.acknowledge().await?;
        }
        Ok(())
    }

    async fn refuse(&self, sequence: u64, subject: &str, why: &str) {
        let Reader { told, shared, name, .. } = self.reader;
        let before = told.refused.fetch_add(1, Ordering::AcqRel);
        shared.counters.nats_refused.add(1);
        // The first of each hundred: others may write to the stream what they like.
        if before.is_multiple_of(100) {
            tracing::error!("{name}: message {sequence} ({subject}) is passed over: {why}");
            shared.events.send_async(Event::Remark).await;
        }
    }

    /// Takes what a message brings: which entry of which source has to be on the disk before it is acknowledged. `Ok(Err(why))`: it is
    /// passed over. An entry that is refused is passed over alone.
    async fn take_read(
        &mut self,
        sequence: u64,
        subject: &str,
        head: Head<'_>,
        body: Body<'_>,
    ) -> Result<Result<Option<(String, u64)>, String>, String> {
        let Reader { shared, conf, id, .. } = self.reader;
        if head.stream.split('.').next() == Some(id) {
            return Ok(Ok(None));
        }
        if let Err(why) = self.check(subject, conf, head) {
            return Ok(Err(why));
        }
        let via = head.via.split(' ').filter(|id| !id.is_empty()).map(named);
        // It waits, and the reader with it, until there is room: passed over, it would be lost.
        let heard = shared.relays.senders.by_stream(head.stream, via, Instant::now());
        heard.map_err(|why| format!("message {sequence} of {} waits: {why}", head.host))?;
        if let Body::Part(_) = body {
            return Ok(Ok(None));
        }
        let source = source_of(head.stream);
        let last = self.reader.position(&source).and_then(|text| place(&text)).map(|place| place.number);
        if let Some(last) = last.filter(|last| head.follows.number > *last) {
            self.missed(head, head.follows.number - last).await;
        } else if self.reader.position(&told_of(head.stream)).as_deref() != Some("yes") {
            self.asks.want(head.stream);
        }
        let shown = self.shown(head.host);
        let entries = match body {
            Body::Part(_) => Vec::new(),
            Body::Entries(entries) => entries.into_iter().map(|(place, data)| (place, Cow::Borrowed(data))).collect(),
            Body::Whole { place, .. } if last.is_some_and(|last| place.number < last) => Vec::new(),
            Body::Whole { place, bytes, parts } => match self.whole(sequence, subject, bytes, &parts).await? {
                Ok(data) => vec![(place, Cow::Owned(data))],
                Err(why) => return Ok(Err(format!("entry {} of {}: {why}", place.number, head.host))),
            },
        };
        let mut wants = None;
        for (place, data) in entries {
            let bytes = data.len() as u64;
            let why = match self.enter(&source, head.host, place, data).await? {
                Ok(taken) => {
                    if taken == Taken::Merged {
                        shared.relays.senders.note(&shown, bytes);
                    }
                    wants = Some((source.clone(), place.number));
                    continue;
                }
                Err(Refusal::Entry(why)) => format!("entry {} of {}: {why}", place.number, head.host),
                Err(Refusal::Another) => format!(
                    "entry {} of {} is another than the one of this number that is here: a data folder was copied; `graftd relay \
                     renew --data DIR`, while the daemon is stopped, makes one of them a sender of its own",
                    place.number, head.host
                ),
            };
            // Those behind it in the message are none the worse for it.
            self.refuse(sequence, subject, &why).await;
        }
        Ok(Ok(wants))
    }

    /// Whether a sender may send.
    fn check(&self, subject: &str, conf: &NatsConf, head: Head<'_>) -> Result<(), String> {
        let Reader { shared, id, .. } = self.reader;
        let senders = &shared.relays.senders;
        let named_right = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        if !named_right(head.host) || !named_right(head.stream) {
            return Err(format!("the names of a sender have 1 to {NAME_BYTES_MAX} bytes"));
        }
        // Who may publish for whom is decided by subjects.
        if subject != format!("{}.{ENTRY}.{}", conf.subject, token(head.stream)) {
            return Err(format!("it says that it is by {}, whose subject is another", head.stream));
        }
        let via = || head.via.split(' ').filter(|id| !id.is_empty()).map(named);
        if via().any(|via| via == named(id)) {
            return Err(format!(
                "{} sends what this daemon sends to it, or to others before it: deltas would go round for ever; take one of the relays \
                 away",
                head.host
            ));
        }
        if senders.known() >= RELAY_SENDERS_MAX && senders.has(&source_of(head.stream)).is_none() {
            return Err(format!("{RELAY_SENDERS_MAX} senders are known here; no more are taken"));
        }
        Ok(())
    }

    /// The stream has dropped what was not read here.
    async fn missed(&mut self, head: Head<'_>, entries: u64) {
        let Reader { told, shared, name, .. } = self.reader;
        told.missed.fetch_add(entries, Ordering::AcqRel);
        shared.counters.nats_missed.add(entries);
        tracing::error!(
            "{name}: up to {entries} entries of {} were dropped by {} before they were read here; what they counted is missing",
            head.host,
            super::place(&self.reader.conf)
        );
        // Before anything of it counts as read: what was set in these is to be told anew.
        self.reader.read_on(told_of(head.stream), "no").await;
        self.asks.want(head.stream);
        shared.events.send_async(Event::Remark).await;
    }

    /// By what name is told what comes of a host.
    fn shown(&mut self, host: &str) -> String {
        if let Some(shown) = self.hosts.get(host) {
            return shown.clone();
        }
        if self.hosts.len() >= RELAY_RECEIVED_MAX {
            return OTHER.to_owned();
        }
        let shown = self.reader.shared.relays.senders.join(host);
        self.hosts.insert(host.to_owned(), shown.clone());
        shown
    }

    /// An entry that came in parts, which are still in the stream, before the message at `sequence` that names them.
    async fn whole(
        &self,
        sequence: u64,
        subject: &str,
        bytes: usize,
        parts: &[u64],
    ) -> Result<Result<Vec<u8>, String>, String> {
        if parts.last().is_some_and(|last| *last >= sequence) {
            return Ok(Err("it names parts that lie behind it".to_owned()));
        }
        let mut data = Vec::new();
        for sequence in parts {
            let message = tokio::select! {
                message = self.link.stream.get_raw_message(*sequence) => message,
                why = self.link.gone() => return Err(why),
            };
            let message = match message {
                Ok(message) => message,
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                    return Ok(Err("a part of it is not in the stream any more".to_owned()));
                }
                Err(error) => return Err(format!("a part of an entry cannot be read: {}", words(&error))),
            };
            let part = match decode(&message.payload) {
                Ok((_, Body::Part(part))) if message.subject.as_str() == subject && !part.is_empty() => part,
                _ => return Ok(Err("what it says to be a part of it is none".to_owned())),
            };
            if data.len() + part.len() > bytes {
                return Ok(Err("its parts are longer than it is".to_owned()));
            }
            data.extend_from_slice(part);
        }
        Ok(if data.len() == bytes { Ok(data) } else { Err("its parts are shorter than it is".to_owned()) })
    }

    /// Brings an entry into the tree.
    async fn enter(
        &self,
        source: &str,
        host: &str,
        place: Place,
        data: Cow<'_, [u8]>,
    ) -> Result<Result<Taken, Refusal>, String> {
        let own = self.reader.shared.host.clone();
        let bare = |frame: Vec<u8>, host: &str| match without_own(&frame, host).ok_or("an entry holds no delta")? {
            Cow::Borrowed(_) => Ok::<_, String>(frame),
            Cow::Owned(left) => Ok(left),
        };
        // Handing on a little one costs more than unpacking it.
        let little = match data.len() <= RELAY_STEP_BYTES {
            true => match unpack_within(&data, RELAY_SMALL_FRAME_BYTES) {
                Err(Unpacking::Large(_)) => None,
                Err(Unpacking::Wrong(why)) => Some(Err(why)),
                Ok(frame) => Some(bare(frame, &own)),
            },
            false => None,
        };
        let frame = match little {
            Some(frame) => frame,
            None => {
                let data = data.into_owned();
                let work = spawn_blocking(move || unpack(&data).and_then(|frame| bare(frame, &own)));
                work.await.map_err(|error| error.to_string())?
            }
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(why) => return Ok(Err(Refusal::Entry(why))),
        };
        let (reply, answer) = oneshot::channel();
        let relayed =
            Relayed { source: source.to_owned(), host: host.to_owned(), place, entry: Entry::Frame(frame), reply };
        let ends = || "this daemon ends".to_owned();
        if !self.reader.shared.events.send_async(Event::Relayed(relayed)).await {
            return Err(ends());
        }
        answer.await.map_err(|_| ends())
    }

    /// Acknowledges what is on the disk here, and has it written down how far that is.
    async fn acknowledge(&mut self) -> Result<(), String> {
        let Some((lies, reply)) = self.pending.take(&self.reader.shared.relays.senders) else { return Ok(()) };
        self.asked = false;
        if let Some(reply) = reply {
            // All before it is acknowledged with it.
            let acked = self.link.client.publish(reply, "+ACK".into()).await;
            acked.map_err(|error| words(&error))?;
        }
        self.reader.read_on(self.reader.source(), &lies.text(&self.link.id)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_that_of_a_host_and_a_subject() {
        let id = "0123456789abcdef0123456789abcdef";
        let names = ["graftd", "site.a", "site-a", "site_a", "site.b"].map(|subject| durable("web1", id, subject));
        assert_eq!(names[1], format!("web1-{}-site=a", named(id)));
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
