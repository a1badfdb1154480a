//! A log's thread: it feeds the log's pipes, and at each tick hands what they folded to the core.

use super::engine::{Engine, LineFault, PipeFault, PipeRun, Remember};
use super::format::Format;
use crate::clock::Timepiece;
use crate::core::{Delta, Event, Events, LogReport, Report};
use crate::limits::LOG_BLOCKS_MAX;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A log's name.
pub type LogName = String;

/// What a log's thread is fed.
#[derive(Debug)]
pub enum LogMessage {
    /// Whole lines; who wants to know is told when they are in the tree.
    Lines(Vec<u8>, Option<oneshot::Sender<LinesDone>>),
    /// Nothing: only wakes the thread, for there is a change of its pipes.
    Wake,
}

/// A change of a log's pipes, made at the next block's boundary.
#[derive(Debug)]
enum Change {
    /// A pipe, and which of its lives it is: it takes the place of the one of its name.
    Put(PipeRun, u64),
    /// The name of a pipe that is to be taken out.
    Take(String),
}

/// Changes that wait for a log's thread. They do not queue behind lines, and there is always room: the core makes them,
/// and must never wait for a log that may be waiting for the core. They are as few as modules are switched.
type Changes = Arc<Mutex<VecDeque<Change>>>;

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
    pub prefix: Vec<String>,
    messages: SyncSender<LogMessage>,
    changes: Changes,
    /// Dropped when the log may begin.
    closed: Arc<Mutex<Option<Sender<()>>>>,
}

impl LogHandle {
    /// Starts a log's thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        name: &str,
        prefix: Vec<String>,
        formats: Vec<Format>,
        tick: Duration,
        clock: Timepiece,
        remember: Remember,
        events: Events,
    ) -> io::Result<LogHandle> {
        let (messages, inbox) = sync_channel(LOG_BLOCKS_MAX);
        let changes = Changes::default();
        let (closed, opened) = channel::<()>();
        let runner = Runner {
            name: name.to_owned(),
            engine: Engine::new(formats, clock, remember),
            generations: Vec::new(),
            tick,
            flushed: Instant::now(),
            pending: false,
            changes: Arc::clone(&changes),
            events,
        };
        thread::Builder::new().name(format!("graftd-{name}")).spawn(move || {
            // Lines wait until the pipes are there: otherwise they would be counted by those that came first.
            let _ = opened.recv();
            runner.run(&inbox);
        })?;
        let closed = Arc::new(Mutex::new(Some(closed)));
        Ok(LogHandle { name: name.to_owned(), prefix, messages, changes, closed })
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

    /// The pipes are there: the lines that waited may go through them.
    pub(crate) fn open(&self) {
        drop(self.closed.lock().take());
    }

    /// Puts a pipe in the place of the one of its name. Never waits.
    pub(crate) fn put(&self, run: PipeRun, generation: u64) {
        self.change(Change::Put(run, generation));
    }

    /// Takes a pipe out. Never waits.
    pub(crate) fn take(&self, name: &str) {
        self.change(Change::Take(name.to_owned()));
    }

    fn change(&self, change: Change) {
        self.changes.lock().push_back(change);
        // When there is no room the thread is awake, and looks before its next block.
        let _ = self.try_send(LogMessage::Wake);
    }
}

struct Runner {
    name: LogName,
    engine: Engine,
    /// Which life of each pipe runs.
    generations: Vec<(String, u64)>,
    tick: Duration,
    flushed: Instant,
    /// Something was fed since the last flush.
    pending: bool,
    changes: Changes,
    events: Events,
}

impl Runner {
    fn run(mut self, inbox: &Receiver<LogMessage>) {
        loop {
            let wait = if self.pending {
                self.tick.saturating_sub(self.flushed.elapsed())
            } else {
                Duration::from_secs(3_600)
            };
            let received = inbox.recv_timeout(wait);
            if !self.change() {
                return;
            }
            let go_on = match received {
                Ok(LogMessage::Wake) => true,
                Ok(LogMessage::Lines(block, reply)) => self.lines(&block, reply),
                Err(RecvTimeoutError::Timeout) => true,
                // The daemon stops: what was folded is not lost.
                Err(RecvTimeoutError::Disconnected) => {
                    self.flush(None);
                    false
                }
            };
            if !go_on || (self.pending && self.flushed.elapsed() >= self.tick && !self.flush(None)) {
                return;
            }
        }
    }

    fn lines(&mut self, block: &[u8], reply: Option<oneshot::Sender<LinesDone>>) -> bool {
        let Some(reply) = reply else {
            self.engine.feed(block);
            self.pending = true;
            return true;
        };
        self.engine.forget_faults();
        let before = self.engine.stats().clone();
        let first_line = self.engine.at_line();
        self.engine.feed(block);
        let now = self.engine.stats();
        let lines = now.lines - before.lines;
        let rejected = now.errors - before.errors;
        let faults = self.engine.faults_after_line(first_line);
        let done = if self.engine.has_pipes() || lines == 0 {
            LinesDone { merged: lines - rejected, rejected, faults }
        } else {
            let why = "no pipe runs, so nobody reads the lines; see /modules".to_owned();
            LinesDone { merged: 0, rejected: lines, faults: vec![LineFault { line: 1, why, sample: String::new() }] }
        };
        self.flush(Some((reply, done)))
    }

    /// Makes the changes that wait; `false` when the core is gone.
    fn change(&mut self) -> bool {
        loop {
            let Some(change) = self.changes.lock().pop_front() else { return true };
            // The old pipe's last words are flushed before it goes; the new one's first words come at once.
            let flushed = self.flush(None);
            match change {
                Change::Put(run, generation) => {
                    self.generations.retain(|(name, _)| *name != run.name);
                    self.generations.push((run.name.clone(), generation));
                    drop(self.engine.put(run));
                }
                Change::Take(name) => {
                    self.generations.retain(|(other, _)| *other != name);
                    drop(self.engine.take(&name));
                }
            }
            if !flushed {
                return false;
            }
        }
    }

    /// Hands what was folded to the core; `false` when the core is gone.
    fn flush(&mut self, reply: Option<(oneshot::Sender<LinesDone>, LinesDone)>) -> bool {
        let frames = self.engine.flush();
        self.flushed = Instant::now();
        self.pending = false;
        for PipeFault { name, error } in self.engine.take_faults() {
            let generation = self.generations.iter().find(|(other, _)| *other == name).map_or(0, |(_, life)| *life);
            let report = Report { name, generation, error: Some(error), next_ms: None };
            if !self.events.send(Event::Delta(Delta { report: Some(report), ..Delta::default() })) {
                return false;
            }
        }
        let log = Some(LogReport { name: self.name.clone(), stats: self.engine.stats().clone() });
        let (merged, done) = match reply {
            Some((reply, done)) => {
                let (merged, is_merged) = oneshot::channel();
                (Some(merged), Some((is_merged, reply, done)))
            }
            None => (None, None),
        };
        let sent = self.events.send(Event::Delta(Delta { frames, log, reply: merged, ..Delta::default() }));
        if let Some((is_merged, reply, done)) = done
            && is_merged.blocking_recv().is_ok()
        {
            let _ = reply.send(done);
        }
        sent
    }
}
