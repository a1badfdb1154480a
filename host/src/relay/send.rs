//! A relay's task: connects to a receiver, and sends what is promised to it.

use super::ear::Ear;
use super::raw::is_raw;
use super::wire::{Broken, MARK, Message, Reading, Said, TAKES_LINES, VERSIONS, place, write, write_listening};
use super::{Line, secure};
use crate::conf::{RelayConf, Role};
use crate::core::{Event, Shared};
use crate::limits::{
    RELAY_ASK_AFTER, RELAY_CONNECT_MAX, RELAY_HELLO_BYTES_MAX, RELAY_HELLO_MAX, RELAY_IDLE_MAX, RELAY_LAST_WORDS_MAX,
    RELAY_PAUSE, RELAY_PAUSE_MAX, RELAY_PING_EVERY, RELAY_READ_ALONE_BYTES, RELAY_READ_BYTES, RELAY_REFUSED_MAX,
    RELAY_REST_BEAT, RELAY_WRITE_MAX,
};
use crate::tls::Stream;
use crate::trend::{RelayJob, Sent, SpoolReader, Spooler};
use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{oneshot, watch};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Connections so far, of all relays, to tell them apart: one may end after its relay has begun anew.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// The number of a connection that begins.
pub(super) fn next_connection() -> u64 {
    CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1
}

/// A target as it is written: `host:8652`, `[::1]:8652`.
pub(super) fn address((host, port): &(String, u16)) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a relay's task has.
#[derive(Debug)]
pub(super) struct Sender {
    conf: RelayConf,
    line: Arc<Line>,
    shared: Arc<Shared>,
    spooler: Spooler,
}

/// A connection that a receiver has agreed to. However it ends, what was not sent may go to another.
#[derive(Debug)]
struct Met<'s> {
    sender: &'s Sender,
    connection: u64,
    peer: String,
    /// The last that was sent on this connection, or need not be.
    sent: u64,
    /// What is not acknowledged.
    under_way: VecDeque<u64>,
    /// A commit has been asked for, and nothing acknowledged since.
    asked: bool,
    /// Who sends here, as the receiver has been told.
    via: String,
    /// The receiver has asked for a sign of life.
    owed: bool,
    signs: Signs,
    /// What can be deaf to one acknowledgement, where that saves a wake.
    ear: Option<Ear>,
    /// It has been a while since anything was sent before the last.
    rare: bool,
    /// The version of the protocol that is spoken.
    version: u64,
}

impl Drop for Met<'_> {
    fn drop(&mut self) {
        let Sender { line, spooler, .. } = self.sender;
        line.leave(spooler, &self.peer, self.connection);
    }
}

impl Sender {
    pub(super) fn new(conf: RelayConf, line: Arc<Line>, shared: Arc<Shared>, spooler: Spooler) -> Sender {
        Sender { conf, line, shared, spooler }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(self, mut stop: watch::Receiver<()>) {
        let told = stop.clone();
        let over = async {
            // There is never a new value: it ends when the module is dropped.
            let _ = stop.changed().await;
            // Who is in a conversation takes in what was said.
            sleep(RELAY_LAST_WORDS_MAX).await;
        };
        tokio::select! {
            biased;
            () = over => {}
            () = self.connect(told) => {}
        }
    }

    async fn connect(&self, mut stop: watch::Receiver<()>) {
        let mut pause = RELAY_PAUSE;
        loop {
            let mut met = false;
            for to in &self.conf.to {
                let Err(why) = self.converse(to, &mut met, &mut stop).await else { return };
                let why = format!("{}: {why}", address(to));
                if waits(&self.line, why) {
                    self.shared.events.send_async(Event::Remark).await;
                }
            }
            if met {
                pause = RELAY_PAUSE;
            }
            tokio::select! {
                _ = stop.changed() => return,
                () = sleep(pause.mul_f64(0.5 + chance())) => {}
            }
            pause = (pause * 2).min(RELAY_PAUSE_MAX);
        }
    }

    /// Speaks with a receiver until that ends, which is why, or until it is told to stop.
    async fn converse(&self, to: &(String, u16), met: &mut bool, stop: &mut watch::Receiver<()>) -> Result<(), String> {
        let connector = secure::open(self.conf.tls.as_ref()).await?;
        let connect = TcpStream::connect((to.0.as_str(), to.1));
        let stream = within(RELAY_CONNECT_MAX, "no connection", connect).await?.map_err(|error| error.to_string())?;
        let ear = (self.shared.conf.role == Role::Agent).then(|| Ear::of(&stream, self.conf.tls.is_some()));
        let ear = ear.transpose().map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let by = connector.as_ref().zip(self.conf.tls.as_ref());
        let stream = secure::connect(stream, &to.0, by).await?;
        let (from, mut out) = tokio::io::split(stream);
        let mut reading = Reading::new(from);
        let via = self.shared.relays.senders.via();
        let (version, said) =
            within(RELAY_HELLO_MAX, "no answer to the hello", self.hello(&mut reading, &mut out, &via)).await??;
        let is = |name: &str| said.get(name).map_or("", String::as_str);
        let (committed, merged) = (place(is("committed")), place(is("merged")));
        let peer = is("id").to_owned();
        let connection = next_connection();
        let (reply, answer) = oneshot::channel();
        let job =
            RelayJob::Meet { peer: peer.clone(), address: address(to), connection, has: committed, merged, reply };
        let ends = || "the daemon ends".to_owned();
        if !self.spooler.send(&self.line.name, job) {
            return Err(ends());
        }
        let tell = answer.await.map_err(|_| ends())???;
        let sent = merged.or(committed).map_or(0, |place| place.number);
        let mut met_now = Met {
            sender: self,
            connection,
            peer,
            sent,
            under_way: VecDeque::new(),
            asked: false,
            via,
            owed: false,
            signs: Signs::new(Instant::now()),
            ear,
            rare: false,
            version,
        };
        *met = true;
        if let Some(which) = tell {
            self.line.tell_all.store(which, Ordering::Release);
        }
        self.greet(is("host"), to);
        self.shared.events.send_async(Event::Remark).await;
        let said = tokio::select! {
            biased;
            _ = stop.changed() => None,
            said = met_now.go_on(&mut reading, &mut out) => Some(said),
        };
        match said {
            Some(Broken::Ended(error)) => Err(secure::ended(&error)),
            Some(Broken::Wrong(why)) => Err(why),
            None => {
                met_now.hear_out(&mut reading).await;
                Ok(())
            }
        }
    }

    fn greet(&self, host: &str, to: &(String, u16)) {
        let mut told = self.line.told.lock();
        told.to = if host.is_empty() { address(to) } else { format!("{host} ({})", address(to)) };
        told.since = Some(self.shared.clock.unix_ms() / 1_000);
        told.error.clear();
        tracing::info!("the relay {} sends to {}", self.line.name, told.to);
    }

    async fn hello(
        &self,
        reading: &mut Reading<ReadHalf<Stream>>,
        out: &mut WriteHalf<Stream>,
        via: &str,
    ) -> Result<(u64, Said), String> {
        // Anew each time: it may be exchanged, or not be there yet when the system starts.
        let token = self.conf.read_token()?;
        let listens = if self.shared.relays.take_from_others(&self.shared.conf) { "yes" } else { "" };
        let pairs = [
            ("stream", format!("{}.{}", self.spooler.id, self.line.name)),
            ("life", format!("{:016x}", self.spooler.life)),
            ("host", self.conf.host.clone().unwrap_or_else(|| self.shared.host.clone())),
            ("graftd", env!("CARGO_PKG_VERSION").to_owned()),
            ("token", token.unwrap_or_default()),
            ("listens", listens.to_owned()),
            ("via", via.to_owned()),
        ];
        let said = pairs.into_iter().map(|(name, is)| (name.to_owned(), is)).collect();
        let hello = Message::Hello { least: *VERSIONS.start(), most: *VERSIONS.end(), said };
        let told = |broken: Broken| match broken {
            Broken::Ended(error) => secure::ended(&error),
            Broken::Wrong(why) => why,
        };
        // Who is turned away before it has said anything may hear why all the same.
        let written = write(out, &[&MARK[..], &hello.encode()].concat()).await;
        reading.mark().await.map_err(told)?;
        written.map_err(|error| error.to_string())?;
        match reading.next(RELAY_HELLO_BYTES_MAX).await.map_err(told)? {
            Message::Welcome { version, .. } if !VERSIONS.contains(&version) => {
                Err(format!("it speaks version {version}, which is not known here"))
            }
            Message::Welcome { version, said } => {
                if said.get("id").is_none_or(|id| id.is_empty() || *id == self.spooler.id) {
                    return Err("that is this daemon itself, or a copy of it".to_owned());
                }
                Ok((version, said))
            }
            Message::Error(why) => Err(format!("refused: {why}")),
            _ => Err("it answers a hello with something else".to_owned()),
        }
    }
}

impl Met<'_> {
    /// Sends and listens until that ends.
    async fn go_on(&mut self, reading: &mut Reading<ReadHalf<Stream>>, out: &mut WriteHalf<Stream>) -> Broken {
        let mut changed = self.sender.line.board.follow();
        changed.mark_changed();
        let mut spool = None;
        loop {
            if let Err(error) = self.rest() {
                return Broken::Ended(error);
            }
            let heard = reading.heard();
            let done = tokio::select! {
                // What has come may be what is about to be asked for.
                biased;
                message = reading.next(RELAY_HELLO_BYTES_MAX) => match message {
                    Ok(message) => self.hear(message),
                    Err(broken) => return broken,
                },
                told = changed.changed() => match told {
                    Ok(()) => {
                        if let Err(error) = self.listen() {
                            return Broken::Ended(error);
                        }
                        let began = Instant::now();
                        self.rare = began.duration_since(self.signs.spoke) >= RELAY_REST_BEAT;
                        let sent = self.send_all(&mut spool, reading, out).await;
                        // Nobody has listened meanwhile, and who reads slowly is alive.
                        reading.rested(began.elapsed());
                        sent
                    }
                    Err(_) => return Broken::Wrong("the daemon ends".to_owned()),
                },
                () = sleep_until(self.signs.next(heard)) => {
                    // What it was to be asked for may lie there already.
                    match self.listen() {
                        Ok(true) => {
                            yield_now().await;
                            continue;
                        }
                        Ok(false) => {}
                        Err(error) => return Broken::Ended(error),
                    }
                    // A part of a message counts too.
                    if reading.heard().elapsed() >= RELAY_IDLE_MAX {
                        return Broken::Wrong(format!("no sign of life for {RELAY_IDLE_MAX:?}"));
                    }
                    self.signs.asks(Instant::now());
                    write(out, &Message::Ping.encode()).await.map_err(Broken::Ended)
                }
            };
            let done = match done {
                Ok(()) if std::mem::take(&mut self.owed) => {
                    self.signs.speaks(Instant::now());
                    write(out, &Message::Pong.encode()).await.map_err(Broken::Ended)
                }
                done => done,
            };
            if let Err(broken) = done {
                return broken;
            }
        }
    }

    /// Nothing is waited for but word of one entry, which may as well be heard with the next.
    fn rest(&mut self) -> io::Result<()> {
        match &mut self.ear {
            Some(ear) if self.rare && self.under_way.len() == 1 => ear.rest(),
            Some(ear) => ear.listen().map(drop),
            None => Ok(()),
        }
    }

    /// It is over here: what the receiver has said until now still counts.
    async fn hear_out(&mut self, reading: &mut Reading<ReadHalf<Stream>>) {
        if !self.listen().unwrap_or(false) {
            return;
        }
        yield_now().await;
        // Without waiting for more.
        while let Ok(Ok(message)) = timeout(Duration::ZERO, reading.next(RELAY_HELLO_BYTES_MAX)).await {
            if self.hear(message).is_err() {
                return;
            }
        }
    }

    /// Everything is to be heard; whether something may have come that was not.
    fn listen(&mut self) -> io::Result<bool> {
        self.rare = false;
        self.ear.as_mut().map_or(Ok(false), Ear::listen)
    }

    fn hear(&mut self, message: Message) -> Result<(), Broken> {
        match message {
            Message::Acknowledged { number } if number > self.sent => {
                Err(Broken::Wrong("it acknowledges what was not sent".to_owned()))
            }
            Message::Acknowledged { number } => {
                let line = &self.sender.line;
                let mut count = 0;
                while self.under_way.front().is_some_and(|first| *first <= number) {
                    self.under_way.pop_front();
                    count += 1;
                }
                line.told.lock().acknowledged += count;
                self.asked = false;
                let load = line.board.load();
                let more = load.entries > load.promised;
                self.sender.spooler.acknowledged(&line.name, self.connection, number, more);
                Ok(())
            }
            Message::Ping => {
                self.owed = true;
                Ok(())
            }
            Message::Pong => Ok(()),
            Message::Refused { number, why } => {
                self.refused(number, &why);
                Err(Broken::Wrong(format!("it refuses entry {number}: {why}")))
            }
            Message::Error(why) => Err(Broken::Wrong(format!("it closed the connection: {why}"))),
            _ => Err(Broken::Wrong("it says what only a sender may say".to_owned())),
        }
    }

    /// The receiver cannot merge an entry. It is sent some times, for it may have been damaged on the way; then it is given up, or
    /// those behind it would never go.
    fn refused(&self, number: u64, why: &str) {
        let Sender { line, spooler, .. } = self.sender;
        let mut refused = line.refused.lock();
        let times = if refused.0 == number { refused.1 + 1 } else { 1 };
        *refused = (number, times);
        if times >= RELAY_REFUSED_MAX && self.under_way.contains(&number) {
            tracing::error!(
                "the relay {}: {} has refused entry {number} {times} times, and it is dropped: {why}",
                line.name,
                self.peer
            );
            spooler.send(&line.name, RelayJob::GiveUp { connection: self.connection, number });
        }
    }

    /// Sends what was promised and is not sent.
    async fn send_all(
        &mut self,
        spool: &mut Option<SpoolReader>,
        reading: &mut Reading<ReadHalf<Stream>>,
        out: &mut WriteHalf<Stream>,
    ) -> Result<(), Broken> {
        // Before anything of theirs is sent on: so nothing goes round in a ring.
        if self.sender.shared.relays.senders.via() != self.via {
            return Err(Broken::Wrong("other daemons send here now, of which the receiver is to know".to_owned()));
        }
        loop {
            let (entries, more) = self.read(spool).await.map_err(Broken::Wrong)?;
            for Sent { place, data } in entries {
                if self.version < TAKES_LINES && is_raw(&data) {
                    let why =
                        "it is older, and takes no lines of logs (forward = \"raw\"): they wait until it is newer";
                    return Err(Broken::Wrong(why.to_owned()));
                }
                self.sent = place.number;
                self.under_way.push_back(place.number);
                // Before it is, for it may arrive although this ends here.
                self.sender.line.note_sent(&self.peer, place.number);
                let entry = Message::Entry { place, data }.encode();
                write_listening(out, &entry, reading, RELAY_WRITE_MAX, |message| self.hear(message)).await?;
                self.signs.speaks(Instant::now());
            }
            // What has been promised since is told by the board.
            if !more {
                break;
            }
        }
        let load = self.sender.line.board.load();
        if load.entries > load.promised && load.promised > 0 && !self.asked {
            // More waits than may be under way: it is not to wait for the receiver's next commit.
            self.asked = true;
            write(out, &Message::Commit.encode()).await.map_err(Broken::Ended)?;
        }
        Ok(())
    }

    /// The next entries, and whether there are more.
    async fn read(&self, spool: &mut Option<SpoolReader>) -> Result<(Vec<Sent>, bool), String> {
        let told = |why: &dyn std::fmt::Display| format!("the spool cannot be read: {why}");
        let open = spool.take();
        let (name, peer, behind) = (self.sender.line.name.clone(), self.peer.clone(), self.sent);
        let file = self.sender.spooler.file.clone();
        // What little an agent has just written is read from the kernel's cache, sooner than another thread is woken for it and wakes this
        // one again. Opening may wait for others.
        let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        let little = open.is_some() && self.sender.line.board.load().bytes <= RELAY_READ_ALONE_BYTES as u64;
        let most = if alone && little { RELAY_READ_ALONE_BYTES } else { RELAY_READ_BYTES };
        let read = move || {
            let open = open.filter(SpoolReader::is_current).map_or_else(|| SpoolReader::open(&file), Ok)?;
            let entries = open.next(&name, &peer, behind, most)?;
            Ok::<_, rusqlite::Error>((open, entries))
        };
        let read = if alone && little { read() } else { spawn_blocking(read).await.map_err(|error| told(&error))? };
        let (open, entries) = read.map_err(|error| told(&error))?;
        *spool = Some(open);
        Ok(entries)
    }
}

/// When a sender says that it is alive, and asks the same of the receiver.
#[derive(Debug)]
struct Signs {
    spoke: Instant,
    asked: Instant,
}

impl Signs {
    /// Who begins need not say anything yet.
    fn new(now: Instant) -> Signs {
        Signs { spoke: now, asked: now }
    }

    /// Something is said.
    fn speaks(&mut self, now: Instant) {
        self.spoke = now;
    }

    /// A sign of life is asked for, which is one too.
    fn asks(&mut self, now: Instant) {
        *self = Signs::new(now);
    }

    /// When to ask next, or to give up a receiver that was heard last then.
    fn next(&self, heard: Instant) -> Instant {
        // What was asked may have been lost on its way for longer than the answer takes.
        let ask = if self.asked > heard {
            self.asked + RELAY_PING_EVERY
        } else {
            heard.min(self.spoke).max(self.asked) + RELAY_ASK_AFTER
        };
        ask.min(heard + RELAY_IDLE_MAX)
    }
}

/// Nobody takes what there is to send; whether that, or why, is news.
pub(super) fn waits(line: &Line, why: String) -> bool {
    let mut told = line.told.lock();
    if told.error == why {
        return false;
    }
    tracing::warn!("the relay {}: {why}; what it has to send waits", line.name);
    told.error = why;
    true
}

/// What comes of it in time.
async fn within<T>(time: Duration, what: &str, work: impl Future<Output = T>) -> Result<T, String> {
    timeout(time, work).await.map_err(|_| format!("{what} within {time:?}"))
}

/// A number from 0 up to 1: relays that lost a receiver at the same time do not come back at the same time.
pub(super) fn chance() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_at_a_beat_and_is_answered_asks_for_nothing() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut signs = Signs::new(start);
        for beat in [10, 20, 30] {
            assert!(signs.next(at(beat - 2)) > at(beat), "heard of the last one");
            signs.speaks(at(beat));
            assert!(signs.next(at(beat - 2)) >= at(beat), "not heard of this one yet");
        }
        // It has something to send no more, and then hears nothing either.
        assert_eq!(signs.next(at(37)), at(30) + RELAY_ASK_AFTER);
        signs.asks(at(42));
        assert_eq!(signs.next(at(43)), at(42) + RELAY_ASK_AFTER);
        // Nobody answers.
        assert_eq!(signs.next(at(37)), at(42) + RELAY_PING_EVERY);
        signs.asks(at(47));
        assert_eq!(signs.next(at(37)), at(52));
        signs.asks(at(52));
        assert_eq!(signs.next(at(37)), at(37) + RELAY_IDLE_MAX);
    }

    #[test]
    fn who_sends_all_the_time_and_hears_nothing_asks() {
        let start = Instant::now();
        let mut signs = Signs::new(start);
        for second in 0..12 {
            signs.speaks(start + Duration::from_secs(second));
        }
        assert_eq!(signs.next(start), start + RELAY_ASK_AFTER);
        signs.asks(start + RELAY_ASK_AFTER);
        assert_eq!(signs.next(start), start + RELAY_ASK_AFTER + RELAY_PING_EVERY);
    }
}
