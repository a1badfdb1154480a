//! One graftd sends its deltas to another, and each counts there exactly once, whatever dies.
//!
//! ```text
//!               at the commit, in one transaction                 at its commit, in one transaction
//! deltas ── outbox ──► spool, with the sources' positions ── TCP ──► the tree, with the sender's last number
//!          outbox.rs      trend/spool.rs                 send.rs     receive.rs          │
//!                            ▲ dropped                                                   │
//!                            └────────────── acknowledged ◄──────────────────────────────┘
//! ```
//!
//! An [outbox](outbox) folds what has entered the tree since the last commit. At the commit it becomes a numbered entry of the
//! relay's spool, together with how far every source was read: so a daemon that dies has told what it will not read again, and
//! has not told what it will. A receiver keeps the number of the last entry together with what it merged, so it knows an entry again
//! that is sent twice, and acknowledges what is on its disk. An entry is promised to one receiver before it is sent, and goes to no
//! other from then on. What a receiver merges enters its own outboxes like all else.
//!
//! **Invariant:** nothing is sent that is not committed here; nothing is acknowledged that is not committed there. Nothing that
//! a peer sends is believed, or takes more memory than `limits.rs` says.

mod ear;
mod fold;
#[cfg(test)]
mod fuzz;
mod meet;
mod nats;
mod outbox;
mod pack;
mod raw;
mod receive;
mod room;
mod secure;
mod send;
mod senders;
mod sink;
mod wire;

use crate::conf::{DaemonConf, RelayConf};
use crate::core::{Position, Shared};
use crate::limits::RAW_SPOOL_ENTRIES_MAX;
use crate::tree::Tree;
use crate::trend::{Board, RelayJob, Spooler};
pub(crate) use fold::Fold;
pub(crate) use nats::Nats;
use outbox::Outbox;
pub(crate) use pack::{Packed, pack, unpack};
use parking_lot::Mutex;
use plugin_api::Action;
pub(crate) use raw::{Outgoing, Piece, RawLines, RawLogs, RawOrigin, RawRoom, is_raw, pack_raw};
pub(crate) use receive::serve;
use senders::Senders;
pub(crate) use sink::{Entry, Refusal, Relayed, Taken};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A relay, whether it runs at the moment or its `.on` is being exchanged.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) name: String,
    outbox: Mutex<Outbox>,
    board: Arc<Board>,
    told: Mutex<Told>,
    /// A receiver has to be told all that the tree holds: which time that was asked for; 0 if it has not.
    tell_all: AtomicU64,
    /// The entry that was refused last, and how often.
    refused: Mutex<(u64, u32)>,
    /// The number of the last entry that was sent to each receiver since the daemon began.
    sent: Mutex<BTreeMap<String, u64>>,
    /// How often it commits, in milliseconds.
    every_ms: AtomicU64,
    /// It sends lines that are not folded here.
    takes_raw: AtomicBool,
    /// Bytes that its spool may have.
    limit: AtomicU64,
    /// Modules that have it: two while one takes over from the other.
    owners: AtomicUsize,
}

/// What is told of a relay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// To whom it is connected, and since when (Unix seconds).
    pub(crate) to: String,
    pub(crate) since: Option<i64>,
    /// Entries that were acknowledged since the daemon began.
    pub(crate) acknowledged: u64,
    /// Why it is not connected; empty if it is.
    pub(crate) error: String,
}

/// How a relay fares, for the daemon's own branch.
#[derive(Clone, Debug)]
pub(crate) struct LineFigures {
    pub(crate) name: String,
    pub(crate) told: Told,
    pub(crate) load: crate::trend::Load,
    /// Values that there was no room for, since the daemon began.
    pub(crate) lost: u64,
}

/// All that is sent and received here.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    /// Whether there are any lines, so that nothing is asked of them where there are none.
    any: AtomicBool,
    lines: Mutex<Vec<Arc<Line>>>,
    /// The daemon stops: what comes yet is still committed for the lines.
    ending: AtomicBool,
    /// What lines had that run no more, and is not committed yet.
    left: Mutex<Vec<(String, Fold)>>,
    left_raw: Mutex<Vec<(String, Outgoing)>>,
    /// Room for lines that go on as they are.
    pub(crate) raw: RawRoom,
    /// The logs of lines that others have sent as they are.
    pub(crate) raw_logs: RawLogs,
    /// Which line had lines last, and what hangs all of them below itself where they arrive: for those that come when none takes
    /// any more.
    raw_home: Mutex<(String, Vec<String>)>,
    /// Bytes of lines since they were taken last.
    raw_fresh: AtomicU64,
    /// Modules that read from streams.
    streams: AtomicUsize,
    /// None where nothing is kept.
    spooler: OnceLock<Spooler>,
    pub(crate) senders: Senders,
}

impl Relays {
    /// What is kept is kept there.
    pub(crate) fn keep(&self, spooler: Spooler, positions: &BTreeMap<String, Arc<str>>) {
        // It is the only one that sets it.
        let _ = self.spooler.set(spooler);
        self.senders.committed(positions.iter().map(|(source, text)| (source.as_str(), &**text)));
    }

    pub(crate) fn spooler(&self) -> Option<&Spooler> {
        self.spooler.get()
    }

    /// Whether deltas of other daemons come here: what this one sends may go round then.
    fn take_from_others(&self, conf: &DaemonConf) -> bool {
        conf.relay.is_some() || self.streams.load(Ordering::Acquire) > 0
    }

    /// The daemons whose deltas are sent on here, this one among them if it takes any.
    fn via(&self, shared: &Shared) -> String {
        let mut via = self.senders.via();
        if let Some(spooler) = self.spooler().filter(|_| self.take_from_others(&shared.conf)) {
            let space = if via.is_empty() { "" } else { " " };
            via = format!("{via}{space}{}", meet::named(&spooler.id));
        }
        via
    }

    /// A frame was merged below `base`; `own` says that the daemon speaks of itself in it.
    pub(crate) fn merged(&self, tree: &Tree, base: &[&str], frame: &[u8], own: bool) {
        if self.any.load(Ordering::Acquire) && !frame.is_empty() {
            self.lines.lock().iter().for_each(|line| line.outbox.lock().merged(tree, base, frame, own));
        }
    }

    /// A node got an action that no frame told.
    pub(crate) fn acted(&self, path: &[&str], action: Action) {
        if self.any.load(Ordering::Acquire) {
            self.lines.lock().iter().for_each(|line| line.outbox.lock().acted(path, action));
        }
    }

    /// How often there is to be a commit at least, where something waits for one.
    pub(crate) fn every(&self) -> Option<Duration> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let lines = self.lines.lock();
        let pressing = lines.iter().filter(|line| line.wants_all() || line.outbox.lock().is_pressing());
        pressing.map(|line| Duration::from_millis(line.every_ms.load(Ordering::Acquire))).min()
    }

    /// The daemon stops. Its lines are there until the last commit.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// What is to be committed now, by the lines' names.
    pub(crate) fn take(&self, tree: &Tree) -> Vec<(String, Fold)> {
        let mut taken = std::mem::take(&mut *self.left.lock());
        for line in self.lines.lock().iter() {
            let mut outbox = line.outbox.lock();
            let which = line.tell_all.swap(0, Ordering::AcqRel);
            if which > 0 {
                outbox.tell_all(tree, which);
            }
            let fold = outbox.take();
            if !fold.is_empty() {
                taken.push((line.name.clone(), fold));
            }
        }
        taken
    }

    /// Whether lines go on as they are.
    pub(crate) fn takes_raw(&self) -> bool {
        self.any.load(Ordering::Acquire) && self.lines.lock().iter().any(|line| line.takes_raw.load(Ordering::Acquire))
    }

    /// Whether there is room for more lines, where they go on: a spool is never more than three quarters full of them.
    pub(crate) fn has_raw_room(&self) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let lines = self.lines.lock();
        let mut takes = lines.iter().filter(|line| line.takes_raw.load(Ordering::Acquire)).peekable();
        let has_room = |line: &Arc<Line>| {
            let load = line.board.load();
            let limit = line.limit.load(Ordering::Acquire);
            self.raw.has_any(limit) && load.bytes < limit / 4 * 3 && load.entries < RAW_SPOOL_ENTRIES_MAX
        };
        takes.peek().is_some() && takes.all(has_room)
    }

    /// Takes room for so many bytes of lines, where they go on.
    pub(crate) fn take_raw_room(&self, bytes: u64) -> bool {
        let lines = self.lines.lock();
        let takes = lines.iter().filter(|line| line.takes_raw.load(Ordering::Acquire));
        let limit = takes.map(|line| line.limit.load(Ordering::Acquire)).min();
        limit.is_some_and(|limit| self.raw.take(bytes, limit))
    }

    /// Lines go on as they are; gives how many bytes have since the last commit.
    pub(crate) fn forward(&self, pieces: Vec<Piece>) -> u64 {
        let pieces: Vec<Arc<Piece>> = pieces.into_iter().map(Arc::new).collect();
        let bytes: u64 = pieces.iter().map(|piece| piece.bytes() as u64).sum();
        let mut any = false;
        for line in self.lines.lock().iter().filter(|line| line.takes_raw.load(Ordering::Acquire)) {
            let mut outbox = line.outbox.lock();
            outbox.forward(&pieces);
            any = true;
            *self.raw_home.lock() = (line.name.clone(), outbox.prefix().to_vec());
        }
        if !any {
            // It ran when they were read: they wait in its spool until it does again.
            let (name, prefix) = self.raw_home.lock().clone();
            self.left_raw.lock().push((name, Outgoing { pieces, prefix }));
        }
        self.raw_fresh.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    /// Lines that are to be committed now, by the lines' names, and how many bytes they have.
    pub(crate) fn take_raw(&self) -> (Vec<(String, Outgoing)>, u64) {
        let mut taken = std::mem::take(&mut *self.left_raw.lock());
        for line in self.lines.lock().iter() {
            taken.push((line.name.clone(), line.outbox.lock().take_raw()));
        }
        taken.retain(|(_, outgoing)| !outgoing.pieces.is_empty());
        (taken, self.raw_fresh.swap(0, Ordering::AcqRel))
    }

    /// How the lines fare.
    pub(crate) fn figures(&self) -> Vec<LineFigures> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let figures = |line: &Arc<Line>| LineFigures {
            name: line.name.clone(),
            told: line.told.lock().clone(),
            load: line.board.load(),
            lost: line.outbox.lock().dropped(),
        };
        self.lines.lock().iter().map(figures).collect()
    }

    /// What was committed of what was received.
    pub(crate) fn committed(&self, positions: &[Position]) {
        self.senders.committed(positions.iter().map(|position| (position.source.as_str(), &*position.text)));
    }
}

impl Line {
    fn wants_all(&self) -> bool {
        self.tell_all.load(Ordering::Acquire) > 0
    }

    fn note_sent(&self, peer: &str, number: u64) {
        let mut sent = self.sent.lock();
        let last = sent.entry(peer.to_owned()).or_default();
        *last = number.max(*last);
    }

    fn last_sent(&self, peer: &str) -> u64 {
        self.sent.lock().get(peer).copied().unwrap_or(0)
    }

    /// A connection to a receiver is over.
    fn leave(&self, spooler: &Spooler, peer: &str, connection: u64) {
        spooler.send(&self.name, RelayJob::Leave { connection, sent: self.last_sent(peer) });
        self.told.lock().since = None;
    }
}

/// The built-in module `relay`, running. It ends when this is dropped; what was committed by then waits in its spool.
#[derive(Debug)]
pub(crate) struct Relay {
    conf: RelayConf,
    line: Arc<Line>,
    shared: Arc<Shared>,
    /// Dropping it tells the task.
    _stop: watch::Sender<()>,
}

impl Relay {
    /// As a `.on` calls it.
    pub(crate) const NAME: &'static str = "relay";

    /// Starts it, in place of the one `before`.
    ///
    /// # Errors
    /// Nothing is kept.
    pub(crate) fn start(
        conf: &RelayConf,
        before: Option<&Relay>,
        name: &str,
        shared: &Arc<Shared>,
        runtime: &Handle,
    ) -> Result<Relay, String> {
        let Some(spooler) = shared.relays.spooler() else {
            return Err("this daemon keeps nothing, for its database could not be opened; see its log".to_owned());
        };
        let line = match before {
            Some(before) => Arc::clone(&before.line),
            None => Arc::new(Line { name: name.to_owned(), ..Line::default() }),
        };
        // What is set in a branch that did not travel before is not known where it goes.
        let tell = line.outbox.lock().follow(conf) && before.is_some();
        line.every_ms.store(u64::try_from(conf.every.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
        line.limit.store(conf.spool_bytes, Ordering::Release);
        let addresses = match &conf.nats {
            Some(nats) => vec![nats::address(nats)],
            None => conf.to.iter().map(send::address).collect(),
        };
        let open = RelayJob::Open { limit: conf.spool_bytes, addresses, tell, board: Arc::clone(&line.board) };
        if !spooler.send(name, open) {
            return Err("the daemon ends".to_owned());
        }
        line.owners.fetch_add(1, Ordering::AcqRel);
        let mut lines = shared.relays.lines.lock();
        if !lines.iter().any(|other| Arc::ptr_eq(other, &line)) {
            lines.push(Arc::clone(&line));
        }
        line.takes_raw.store(conf.raw, Ordering::Release);
        if conf.raw {
            *shared.relays.raw_home.lock() = (line.name.clone(), conf.prefix.clone());
        }
        drop(lines);
        shared.relays.any.store(true, Ordering::Release);
        let (stop, stopping) = watch::channel(());
        let (own, spooler) = ((conf.clone(), Arc::clone(&line), Arc::clone(shared)), spooler.clone());
        if conf.nats.is_some() {
            // Boxed: what it is to know of NATS, others need no room for.
            runtime.spawn(Box::pin(nats::NatsSender::new(own.0, own.1, own.2, spooler).run(stopping)));
        } else {
            runtime.spawn(send::Sender::new(own.0, own.1, own.2, spooler).run(stopping));
        }
        Ok(Relay { conf: conf.clone(), line, shared: Arc::clone(shared), _stop: stop })
    }

    /// What it does, in words.
    pub(crate) fn remark(&self) -> String {
        let to: Vec<String> = self.conf.to.iter().map(send::address).collect();
        let by = if self.conf.tls.is_some() { " by TLS" } else { "" };
        let told = self.line.told.lock();
        if told.since.is_none() && !told.error.is_empty() {
            return format!("waits: {}", told.error);
        }
        if let Some(nats) = &self.conf.nats {
            return format!("sends to {}", nats::place(nats));
        }
        format!("sends to {}{by}", to.join(", or "))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let relays = &self.shared.relays;
        // One that goes on with another `.on` has the line from now on.
        if self.line.owners.fetch_sub(1, Ordering::AcqRel) > 1 || relays.ending.load(Ordering::Acquire) {
            return;
        }
        let mut lines = relays.lines.lock();
        lines.retain(|line| !Arc::ptr_eq(line, &self.line));
        relays.any.store(!lines.is_empty(), Ordering::Release);
        drop(lines);
        let lines = self.line.outbox.lock().take_raw();
        if !lines.pieces.is_empty() {
            relays.left_raw.lock().push((self.line.name.clone(), lines));
        }
        let rest = self.line.outbox.lock().take();
        if !rest.is_empty() {
            relays.left.lock().push((self.line.name.clone(), rest));
        }
        if let Some(spooler) = relays.spooler() {
            spooler.send(&self.line.name, RelayJob::Close);
        }
    }
}
