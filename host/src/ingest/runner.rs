//! A log's thread: it feeds the log's pipes, and at each tick hands what they folded to the core.

use super::engine::{Engine, PipeFault, PipeRun, Remember};
use super::format::Format;
use crate::clock::Timepiece;
use crate::core::{Delta, Event, Events, LogReport, Report};
use crate::limits::LOG_BLOCKS_MAX;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A log's name.
pub type LogName = String;

/// What a log's thread is told.
#[derive(Debug)]
pub enum LogMessage {
    /// Whole lines; who wants to know is told when they are in the tree.
    Lines(Vec<u8>, Option<oneshot::Sender<LinesDone>>),
    /// A pipe, to be put in the place of the one of its name at the next batch's boundary.
    Put(PipeRun, u64),
    /// The name of a pipe that is to be taken out.
    Take(String),
}

/// What became of lines.
#[derive(Clone, Debug, Default)]
pub struct LinesDone {
    /// Lines that parsed.
    pub merged: u64,
    /// Lines that did not.
    pub rejected: u64,
    /// The first of these, their numbers counted in what was handed over.
    pub faults: Vec<super::LineFault>,
}

/// Hands lines and pipes to a log's thread.
#[derive(Clone, Debug)]
pub struct LogHandle {
    /// The log's name.
    pub name: LogName,
    /// What its pipes' branches hang below.
    pub prefix: Vec<String>,
    messages: SyncSender<LogMessage>,
}

impl LogHandle {
    /// Starts a log's thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        name: &str,
        prefix: Vec<String>,
        format: Format,
        tick: Duration,
        clock: Timepiece,
        remember: Remember,
        events: Events,
    ) -> io::Result<LogHandle> {
        let (messages, inbox) = sync_channel(LOG_BLOCKS_MAX);
        let runner = Runner {
            name: name.to_owned(),
            engine: Engine::new(format, clock, remember),
            generations: Vec::new(),
            tick,
            flushed: Instant::now(),
            pending: false,
            events,
        };
        thread::Builder::new().name(format!("graftd-{name}")).spawn(move || runner.run(&inbox))?;
        Ok(LogHandle { name: name.to_owned(), prefix, messages })
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

    /// Sends, waiting for room. Not for tasks.
    pub fn send(&self, message: LogMessage) -> bool {
        self.messages.send(message).is_ok()
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
            let go_on = match inbox.recv_timeout(wait) {
                Ok(message) => self.handle(message),
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

    fn handle(&mut self, message: LogMessage) -> bool {
        match message {
            LogMessage::Lines(block, reply) => {
                if reply.is_some() {
                    self.engine.forget_faults();
                }
                let before = self.engine.stats().clone();
                self.engine.feed(&block);
                self.pending = true;
                let Some(reply) = reply else { return true };
                let now = self.engine.stats();
                let rejected = now.errors - before.errors;
                let done = LinesDone {
                    merged: now.lines - before.lines - rejected,
                    rejected,
                    faults: self.engine.faults_after_line(self.engine.at_line() - count_lines(&block)),
                };
                self.flush(Some((reply, done)))
            }
            LogMessage::Put(run, generation) => {
                // The old pipe's last words are flushed before it goes; the new one's first words come at once.
                let flushed = self.flush(None);
                self.generations.retain(|(name, _)| *name != run.name);
                self.generations.push((run.name.clone(), generation));
                drop(self.engine.put(run));
                flushed
            }
            LogMessage::Take(name) => {
                let flushed = self.flush(None);
                self.generations.retain(|(other, _)| *other != name);
                drop(self.engine.take(&name));
                flushed
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

fn count_lines(block: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', block).count() as u64;
    ends + u64::from(block.last().is_some_and(|byte| *byte != b'\n'))
}
