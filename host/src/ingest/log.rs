//! A log of the daemon as others see it: they hand it lines and pipes, and watch over its thread.

use super::engine::{Engine, PipeRun};
use super::format::Format;
use super::forward::{Forward, RawAsked};
use super::lines::{LineFault, Remember};
use super::runner::{self, Inlets, Work};
use super::tail::{LogPosition, Step};
use crate::clock::Timepiece;
use crate::conf::Prefix;
use crate::core::Events;
use crate::limits::{LOG_BLOCKS_MAX, RAW_BLOCKS_MAX};
use crate::module::{Desk, Disposer, Look, Watched};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The name of the daemon's own HTTP log.
pub(crate) const LOG_OWN: &str = "self";

/// The name of the log of lines that are pushed.
pub(crate) const LOG_PUSH: &str = "push";

/// A log's name.
pub type LogName = String;

/// Tells logs apart that have the same name, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogSerial(u64);

/// How many logs have been started.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// What a log's thread is fed.
#[derive(Debug)]
pub enum LogMessage {
    /// Whole lines; who wants to know is told when they are in the tree.
    Lines(Vec<u8>, Option<oneshot::Sender<LinesDone>>),
    /// Of a file: lines, or how far it has been read without any.
    Read(Read),
    /// Lines that another daemon has sent: what the pipes make of them goes back to who asks, and not into the tree.
    Raw(RawAsked),
    /// Nothing: only wakes the thread, for there is a change of its pipes.
    Wake,
}

/// What has been read of a file.
#[derive(Debug, Default)]
pub struct Read {
    pub(crate) lines: ReadLines,
    /// What they and all that follow are in, where it was not known before.
    pub(crate) format: Option<Box<Format>>,
    /// The header that holds where they begin, if they do not follow the lines before.
    pub(crate) header: Option<String>,
    /// What is so when the lines are in the pipes.
    pub(crate) steps: Vec<Step>,
    /// It is not to be kept for the next commit that is due: a file is new, or has been turned over.
    pub(crate) commit: bool,
}

/// Lines of a file.
#[derive(Debug, Default)]
pub(crate) enum ReadLines {
    #[default]
    None,
    /// Whole ones.
    Whole(Vec<u8>),
    /// The beginning of one that is too long.
    TooLong(Vec<u8>),
}

/// A change of a log's pipes, made at the next block's boundary.
#[derive(Debug)]
pub(super) enum Change {
    /// A pipe: it takes the place of the one of its name.
    Put(Box<PipeRun>),
    /// The name of a pipe that is to be taken out.
    Take(String),
    /// A module and the life of it that is sure of its place: the one before goes.
    Settle(String, u64),
    /// A module and the life of it that gives its place back to the one before.
    RollBack(String, u64),
    /// What was handed over is the last; it is fed only where the log was open.
    End { feeds: bool },
}

impl Change {
    fn module(&self) -> Option<&str> {
        match self {
            Change::Put(run) => Some(&run.callee.module),
            Change::Take(module) | Change::Settle(module, _) | Change::RollBack(module, _) => Some(module),
            Change::End { .. } => None,
        }
    }
}

/// Changes that wait for a log's thread. They do not queue behind lines, and there is always room: the core makes them,
/// and must never wait for a log that may be waiting for the core. There are a few for each module at most: a pipe that is put
/// where another waits to be put takes its turn.
pub(super) type Changes = Arc<Mutex<VecDeque<Change>>>;

/// What became of lines.
#[derive(Clone, Debug, Default)]
pub struct LinesDone {
    /// Lines that parsed.
    pub merged: u64,
    /// Lines that did not.
    pub rejected: u64,
    /// The first of these, their numbers counted in what was handed over.
    pub faults: Vec<LineFault>,
}

/// Hands lines and pipes to a log's thread.
#[derive(Clone, Debug)]
pub struct LogHandle {
    /// The log's name.
    pub name: LogName,
    /// What its pipes' branches hang below.
    pub prefix: Prefix,
    messages: SyncSender<LogMessage>,
    changes: Changes,
    /// Dropped when the log may begin.
    closed: Arc<Mutex<Option<Sender<()>>>>,
    watched: Arc<Watched<Work>>,
    disposer: Disposer,
    began: Instant,
    /// Its lines are not folded here.
    forwards: bool,
    serial: LogSerial,
    /// Its other end is dropped with the log's work.
    alive: Arc<Mutex<Receiver<()>>>,
}

/// What a log's thread is started with.
#[derive(Debug)]
pub(crate) struct LogParts {
    pub(crate) name: LogName,
    pub(crate) prefix: Prefix,
    pub(crate) formats: Vec<Format>,
    pub(crate) tick: Duration,
    pub(crate) clock: Timepiece,
    pub(crate) remember: Remember,
    pub(crate) events: Events,
    pub(crate) disposer: Disposer,
    /// How far its files had been read; none of a log without files.
    pub(crate) position: Option<LogPosition>,
    /// Its lines go to another daemon as they are; none of a log that is folded here.
    pub(crate) forwards: Option<Forward>,
}

impl LogHandle {
    /// Starts a log's thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(parts: LogParts) -> io::Result<LogHandle> {
        let LogParts { name, prefix, formats, tick, clock, remember, events, disposer, position, forwards } = parts;
        let is_forwarded = forwards.is_some();
        // What goes elsewhere and has to wait for that, waits in its file.
        let blocks = if is_forwarded { RAW_BLOCKS_MAX } else { LOG_BLOCKS_MAX };
        let (messages, inbox) = sync_channel(blocks);
        let changes = Changes::default();
        let (closed, opened) = channel::<()>();
        let (life, alive) = channel::<()>();
        let serial = LogSerial(STARTED.fetch_add(1, Ordering::Relaxed));
        let desk = Arc::new(Desk::default());
        let engine = Engine::new(formats, clock, remember);
        let inlets = Inlets { inbox, changes: Arc::clone(&changes), serial, _life: life };
        let work = Work::new(name.clone(), engine, tick, inlets, events, disposer.clone(), (position, forwards));
        // Lines wait until the pipes are there: otherwise they would be counted by those that came first.
        runner::start(Box::new(work), &desk, Some(opened)).map_err(|(error, _)| error)?;
        let closed = Arc::new(Mutex::new(Some(closed)));
        Ok(LogHandle {
            name,
            prefix,
            messages,
            changes,
            closed,
            watched: Arc::new(Watched::new(desk)),
            disposer,
            began: Instant::now(),
            forwards: is_forwarded,
            serial,
            alive: Arc::new(Mutex::new(alive)),
        })
    }

    /// Sends without waiting; gives the message back when there is no room.
    ///
    /// # Errors
    /// There is no room, or the thread is gone.
    pub fn try_send(&self, message: LogMessage) -> Result<(), LogMessage> {
        self.messages.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }

    /// Sends, waiting for room: neither for tasks nor for the core. `false` when the thread is gone.
    pub fn send(&self, message: LogMessage) -> bool {
        self.messages.send(message).is_ok()
    }

    /// Waits until all that was handed over before its end is in the tree, for some time; whether it is.
    pub(crate) fn wait_for_end(&self, most: Duration) -> bool {
        // Nothing is ever sent: it hears of the end.
        matches!(self.alive.lock().recv_timeout(most), Err(RecvTimeoutError::Disconnected))
    }

    /// Tells a log from one of the same name that was there before.
    pub(crate) fn serial(&self) -> LogSerial {
        self.serial
    }

    /// Whether its lines go to another daemon as they are.
    pub(crate) fn forwards(&self) -> bool {
        self.forwards
    }

    /// Whether its lines go through pipes already.
    pub(crate) fn is_open(&self) -> bool {
        self.closed.lock().is_none()
    }

    /// How long it has been there.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The pipes are there: the lines that waited may go through them.
    pub(crate) fn open(&self) {
        drop(self.closed.lock().take());
    }

    /// Puts a pipe in the place of the one of its name. Never waits.
    pub(crate) fn put(&self, run: PipeRun) {
        let mut changes = self.changes.lock();
        let waiting = changes.iter_mut().rev().find(|change| change.module() == Some(&run.callee.module));
        if let Some(Change::Put(waiting)) = waiting {
            let unused = std::mem::replace(&mut **waiting, run);
            self.disposer.dispose(Arc::clone(&unused.callee), unused);
            return;
        }
        drop(changes);
        self.change(Change::Put(Box::new(run)));
    }

    /// Takes a pipe out. Never waits.
    pub(crate) fn take(&self, module: &str) {
        self.change(Change::Take(module.to_owned()));
    }

    /// This life of a pipe is sure of its place. Never waits.
    pub(crate) fn settle(&self, module: &str, generation: u64) {
        self.change(Change::Settle(module.to_owned(), generation));
    }

    /// What was handed over is the last: it is fed, folded and told of, and then the thread ends. What came before its pipes were
    /// there is not read, and whoever goes on with it reads it. Never waits.
    pub(crate) fn end(&self) {
        self.change(Change::End { feeds: self.is_open() });
        self.open();
    }

    /// Has this life of a pipe give its place back to the one before. Never waits.
    pub(crate) fn roll_back(&self, module: &str, generation: u64) {
        self.change(Change::RollBack(module.to_owned(), generation));
    }

    fn change(&self, change: Change) {
        self.changes.lock().push_back(change);
        // When there is no room the thread is awake, and looks before its next block.
        let _ = self.try_send(LogMessage::Wake);
    }

    /// Its thread is in no call of a pipe.
    pub(crate) fn is_idle(&self) -> bool {
        self.watched.is_idle()
    }

    /// Looks whether its thread is in a pipe's call, and for how long; `apart` is the time between two looks. A call past
    /// its time limit is given up: its thread is left behind with the pipe, and another goes on with the others.
    pub(crate) fn watch(&self, apart: Duration, now: Instant) -> Option<Look> {
        let start = |work, desk: &Arc<Desk<Work>>| runner::start(work, desk, None);
        self.watched.look(apart, now, |call| call.callee.give_up_after, Work::lose, start)
    }
}
