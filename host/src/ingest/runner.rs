//! A log's thread: it feeds the log's pipes, and at each tick hands what they folded to the core.
//!
//! The thread may be given up in any call of a pipe, and another goes on with its [`Work`]. So all that it is about to do
//! stands in the work, never only on its stack, and each turn of its loop begins with what was begun before.

use super::engine::{Engine, Frames, PipeReport, feed_on, flush_on};
use super::forward::{Forward, RawAsked};
use super::lines::LineFault;
use super::log::{Change, Changes, LinesDone, LogMessage, LogName, LogSerial, Read, ReadLines};
use super::tail::{LogPosition, Step, source};
use crate::core::{Delta, Event, Events, LogReport, Position, Report};
use crate::module::{Desk, Disposer, Started, UnderWay, spawn};
use crate::relay::RawLines;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What a log's thread works on.
#[derive(Debug)]
pub(crate) struct Work {
    name: LogName,
    engine: Engine,
    tick: Duration,
    inlets: Inlets,
    events: Events,
    disposer: Disposer,
    /// How far its files have been read, and whether that has been told.
    position: Option<(LogPosition, bool)>,
    /// Its lines are not folded, but go to another daemon.
    forwards: Option<Forward>,
    /// It was told that no pipe reads what others have sent.
    is_mute: bool,
    /// What was read and waits for room to go there.
    held: Option<Read>,
    /// Who wants to have what the pipes make of the lines that are being fed or flushed.
    folds: Option<oneshot::Sender<Frames>>,
    flushed: Instant,
    /// Something was fed since the last flush.
    pending: bool,
    /// A pipe is new: its first words are not kept until the tick.
    fresh: bool,
    /// The lines that are being fed.
    block: Option<Arc<Block>>,
    /// What is so when they are fed.
    steps: Vec<Step>,
    /// What is flushed next is to be written down at once.
    commit: bool,
    /// Who wants to know what became of the lines that are being fed or flushed.
    asked: Option<Asked>,
    /// What is in the inbox is the last.
    ending: bool,
    /// The flush under way is the last.
    last: bool,
}

/// Where its work comes from.
#[derive(Debug)]
pub(super) struct Inlets {
    pub(super) inbox: Receiver<LogMessage>,
    pub(super) changes: Changes,
    /// Which log it is.
    pub(super) serial: LogSerial,
    /// Whoever has the other end hears when the work is over.
    pub(super) _life: Sender<()>,
}

/// Lines that are being fed.
#[derive(Debug)]
struct Block {
    text: String,
}

/// Somebody waits to hear what became of lines.
#[derive(Debug)]
struct Asked {
    reply: oneshot::Sender<LinesDone>,
    /// Lines and faults before them.
    lines: u64,
    errors: u64,
    /// The number of the last line before them.
    line: u64,
}

impl AsMut<Engine> for Work {
    fn as_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

/// Starts a thread that goes on with the work, once `opened` says so by its end. When there is no thread to be had, the work
/// comes back with the error.
pub(super) fn start(work: Box<Work>, desk: &Arc<Desk<Work>>, opened: Option<Receiver<()>>) -> Started<Work> {
    let desk = Arc::clone(desk);
    let name = format!("graftd-{}", work.name);
    spawn(&name, work, move |work| {
        if let Some(opened) = opened {
            let _ = opened.recv();
        }
        run(work, &desk);
    })
}

/// Ends with the daemon, or when a call was given up and another thread has the work.
fn run(mut work: Box<Work>, desk: &Desk<Work>) {
    loop {
        if work.engine.is_flushing() {
            let Some((back, frames)) = flush_on(work, desk) else { return };
            work = back;
            if !work.hand_over(frames) || work.last {
                return;
            }
        } else if let Some(block) = work.block.clone() {
            let Some(back) = feed_on(work, desk, &block.text) else { return };
            work = back;
            work.block = None;
            work.pending = true;
            work.step();
            if work.asked.is_some() || work.folds.is_some() || work.fresh || work.commit {
                work.engine.begin_flush();
            }
        } else if work.changes_wait() {
            work.change();
        } else if work.pending && (work.commit || work.is_full() || work.flushed.elapsed() >= work.tick) {
            work.engine.begin_flush();
        } else {
            work.wait();
        }
        work.discard();
    }
}

impl Work {
    pub(super) fn new(
        name: LogName,
        engine: Engine,
        tick: Duration,
        inlets: Inlets,
        events: Events,
        disposer: Disposer,
        (position, forwards): (Option<LogPosition>, Option<Forward>),
    ) -> Work {
        Work {
            name,
            engine,
            tick,
            inlets,
            events,
            disposer,
            position: position.map(|position| (position, false)),
            forwards,
            held: None,
            is_mute: false,
            folds: None,
            flushed: Instant::now(),
            pending: false,
            fresh: false,
            block: None,
            steps: Vec::new(),
            commit: false,
            asked: None,
            ending: false,
            last: false,
        }
    }

    /// The call under way was given up.
    pub(super) fn lose(&mut self, call: &UnderWay, after: Duration) {
        self.engine.lose(&call.callee, call.doing, after);
    }

    /// Waits for lines, for changes, or for the tick.
    fn wait(&mut self) {
        let wait =
            if self.pending { self.tick.saturating_sub(self.flushed.elapsed()) } else { Duration::from_secs(3_600) };
        let watches = self.engine.has_pipes_apart();
        let wait = if watches { wait.min(self.tick) } else { wait };
        let wait = if self.ending { Duration::ZERO } else { wait };
        if let Some(forwards) = self.forwards.as_ref().filter(|forwards| !forwards.has_room()) {
            // What was not taken is read again by who goes on with the log.
            if self.ending {
                return self.end();
            }
            return forwards.wait(wait);
        }
        if let Some(read) = self.held.take() {
            return self.read(read);
        }
        match self.inlets.inbox.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) if self.ending => self.end(),
            Err(RecvTimeoutError::Timeout) if watches && self.engine.check_apart() => self.engine.begin_flush(),
            Ok(LogMessage::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Ok(LogMessage::Lines(lines, reply)) => self.begin(lines, reply),
            Ok(LogMessage::Read(read)) => self.read(read),
            Ok(LogMessage::Raw(raw)) => self.fold(raw),
            // The daemon stops.
            Err(RecvTimeoutError::Disconnected) => self.end(),
        }
    }

    fn end(&mut self) {
        self.last = true;
        self.engine.begin_flush();
    }

    fn is_full(&self) -> bool {
        self.forwards.as_ref().is_some_and(Forward::is_full)
    }

    /// Lines of another daemon's.
    fn fold(&mut self, mut raw: RawAsked) {
        if !self.engine.has_pipes() && !std::mem::replace(&mut self.is_mute, true) {
            tracing::warn!("{}: no pipe runs, so nobody reads the lines that are sent here; see /modules", self.name);
        }
        raw.prime(&mut self.engine);
        self.folds = Some(raw.reply);
        match raw.lines {
            RawLines::Whole(lines) => self.begin(lines, None),
            RawLines::TooLong(beginning) => {
                self.engine.too_long(&beginning);
                self.engine.begin_flush();
            }
        }
    }

    /// Something of a file.
    fn read(&mut self, mut read: Read) {
        if let Some(forwards) = &mut self.forwards {
            if !forwards.take_room(&read) {
                self.held = Some(read);
                return;
            }
            forwards.take(&mut read);
        }
        let Read { lines, format, header, steps, commit } = read;
        if let Some(format) = format {
            self.engine.change_format(*format);
        }
        if let Some(header) = header {
            self.engine.prime(&header);
        }
        self.steps.extend(steps);
        self.commit |= commit;
        match lines {
            ReadLines::Whole(lines) => return self.begin(lines, None),
            ReadLines::TooLong(beginning) => self.engine.too_long(&beginning),
            ReadLines::None => {}
        }
        self.step();
        self.pending = true;
    }

    /// What was read of files is in the pipes.
    fn step(&mut self) {
        let Some((position, untold)) = &mut self.position else { return };
        for step in self.steps.drain(..) {
            position.apply(step);
            *untold = true;
        }
    }

    /// How far the files have been read, if that was not told yet.
    fn untold(&mut self) -> Option<Position> {
        let (position, untold) = self.position.as_mut()?;
        let text = std::mem::take(untold).then(|| position.text())?;
        Some(Position { source: source(&self.name), text: text.into() })
    }

    /// Bytes that are no UTF-8 are replaced, so that pipes see text.
    fn begin(&mut self, lines: Vec<u8>, reply: Option<oneshot::Sender<LinesDone>>) {
        self.asked = reply.map(|reply| {
            self.engine.forget_faults();
            let (stats, line) = (self.engine.stats(), self.engine.at_line());
            Asked { reply, lines: stats.lines, errors: stats.errors, line }
        });
        self.engine.begin_feed(lines.len());
        let text =
            String::from_utf8(lines).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.block = Some(Arc::new(Block { text }));
    }

    fn changes_wait(&self) -> bool {
        !self.inlets.changes.lock().is_empty()
    }

    /// Makes the changes that wait, once what was folded is flushed: the old pipe's last words go before it does.
    fn change(&mut self) {
        if self.pending {
            self.engine.begin_flush();
            return;
        }
        while let Some(change) = self.next_change() {
            match change {
                Change::Put(run) => {
                    self.fresh = true;
                    self.engine.put(*run);
                }
                Change::Take(module) => self.engine.take(&module),
                Change::Settle(module, generation) => self.engine.settle(&module, generation),
                Change::RollBack(module, generation) => self.engine.roll_back(&module, generation),
                Change::End { feeds: true } => self.ending = true,
                Change::End { feeds: false } => return self.end(),
            }
        }
    }

    fn next_change(&self) -> Option<Change> {
        self.inlets.changes.lock().pop_front()
    }

    /// Pipes that are done with are dropped elsewhere: that may take for ever.
    fn discard(&mut self) {
        for run in self.engine.take_discarded() {
            let callee = Arc::clone(&run.callee);
            self.disposer.dispose(callee, run);
        }
    }

    /// Hands what was folded to the core; `false` when the core is gone.
    fn hand_over(&mut self, frames: Frames) -> bool {
        self.flushed = Instant::now();
        self.pending = false;
        self.fresh = false;
        for PipeReport { callee, fault, rolled_back } in self.engine.take_reports() {
            let log = Some(self.name.clone());
            let report = Report { callee, fault, next_ms: None, rolled_back, log };
            if !self.events.send(Event::Delta(Delta { report: Some(report), ..Delta::default() })) {
                return false;
            }
        }
        let position = self.untold();
        let log = Some(LogReport {
            name: self.name.clone(),
            stats: self.forwards.as_ref().map_or_else(|| self.engine.stats().clone(), Forward::stats),
            serial: self.inlets.serial,
            ended: self.last,
        });
        let raw = self.forwards.as_mut().map(Forward::hand_over).unwrap_or_default();
        let frames = match self.folds.take() {
            Some(folds) => {
                // Whoever is gone by now does not count them.
                let _ = folds.send(frames);
                Frames::new()
            }
            None => frames,
        };
        let delta = Delta { frames, raw, log, position, ..Delta::default() };
        if self.last {
            // Whoever waits for the end of it takes it that all is in the tree.
            let (merged, is_merged) = oneshot::channel();
            let sent = self.events.send(Event::Delta(Delta { reply: Some(merged), ..delta }));
            let _ = is_merged.blocking_recv();
            return sent;
        }
        if std::mem::take(&mut self.commit) {
            return self.events.send(Event::Delta(delta)) && self.events.send(Event::Commit { reply: None });
        }
        let Some(asked) = self.asked.take() else {
            return self.events.send(Event::Delta(delta));
        };
        let done = self.done(&asked);
        let (merged, is_merged) = oneshot::channel();
        let sent = self.events.send(Event::Delta(Delta { reply: Some(merged), ..delta }));
        if is_merged.blocking_recv().is_ok() {
            let _ = asked.reply.send(done);
        }
        sent
    }

    /// What became of the lines that somebody asks about.
    fn done(&self, asked: &Asked) -> LinesDone {
        let stats = self.engine.stats();
        let lines = stats.lines - asked.lines;
        let rejected = stats.errors - asked.errors;
        if self.engine.has_pipes() || lines == 0 {
            let faults = self.engine.faults_after_line(asked.line);
            return LinesDone { merged: lines - rejected, rejected, faults };
        }
        let why = "no pipe runs, so nobody reads the lines; see /modules".to_owned();
        LinesDone { merged: 0, rejected: lines, faults: vec![LineFault { line: 1, why, sample: String::new() }] }
    }
}
