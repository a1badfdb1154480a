//! One log's pipes, fed with its lines. The journey of a line without any thread: `graftd ingest` and the daemon's logs
//! both drive it.
//!
//! A pipe is foreign code, and a call of it may never come back. So before each call whatever holds the engine is
//! handed to a [`Fence`], and the engine always knows how far it has come: whoever takes over from a call that is
//! given up goes on at the next pipe of the same batch.

mod agents;
mod drive;

pub(crate) use drive::{Fence, feed_on, flush_on};

use super::format::{Decoded, Format, Parser, Window};
use super::groups::{Grouping, Groups, Place};
use super::lines::{LineFault, LogStats, Remember, SAMPLE_BYTES};
use crate::clock::{Timepiece, thread_cpu};
use crate::conf::Prefix;
use crate::limits::{BATCH_RECORDS, LINE_BYTES_MAX, LINE_FAULTS_MAX};
use crate::module::{Branch, Callee, Doing, Fault, PipeBody, Tag};
use agents::Agents;
use plugin_api::{Access, Clock, Field, Fields};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pipe of one log.
#[derive(Debug)]
pub struct PipeRun {
    /// Which life of which module it is.
    pub(crate) callee: Arc<Callee>,
    /// Where its branch hangs.
    hangs: Hangs,
    /// The fields that it reads, and those that say where it hangs.
    wants: Fields,
    /// The pipe itself.
    pipe: PipeBody,
}

/// Where a pipe's branch hangs, the log's prefix included.
#[derive(Debug)]
enum Hangs {
    /// At one place, whatever the lines are.
    Here(Branch),
    /// Once for each group of lines.
    InGroups(Box<Groups>),
}

impl PipeRun {
    /// A pipe of a log: where its branch hangs, the log's prefix says, and what its `.on` says of groups.
    pub(crate) fn new(
        callee: Arc<Callee>,
        (prefix, branch, grouping): (&Prefix, &Branch, Option<&Grouping>),
        wants: Fields,
        pipe: PipeBody,
    ) -> PipeRun {
        let place = Place::of(prefix, branch, grouping.map(Grouping::by));
        let wants = wants.union(place.wants());
        let hangs = match place.is_fixed() {
            true => Hangs::Here(place.branch(None)),
            false => Hangs::InGroups(Box::new(Groups::new(place, grouping))),
        };
        PipeRun { callee, hangs, wants, pipe }
    }

    /// A pipe that belongs to no daemon, so that nobody counts its calls or asks how long they take.
    pub(crate) fn alone(
        module: &str,
        branch: &Branch,
        grouping: Option<&Grouping>,
        wants: Fields,
        pipe: PipeBody,
    ) -> PipeRun {
        let callee = Arc::new(Callee {
            module: module.to_owned(),
            tag: Tag::new(module, 0),
            generation: 0,
            stats: Arc::default(),
            time_limit: Duration::MAX,
            give_up_after: Duration::MAX,
        });
        PipeRun::new(callee, (&Prefix::default(), branch, grouping), wants, pipe)
    }

    /// Takes the place of another: groups that were kept apart stay so.
    fn follow(&mut self, before: &PipeRun) {
        if let (Hangs::InGroups(groups), Hangs::InGroups(before)) = (&mut self.hangs, &before.hangs) {
            groups.follow(before);
        }
    }

    /// Folds a batch.
    fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Fault> {
        match &mut self.hangs {
            Hangs::Here(_) => self.pipe.process(clock, batch),
            Hangs::InGroups(groups) => groups.process(&mut self.pipe, clock, batch),
        }
    }

    /// Appends what has been folded since the last flush, each under its branch.
    fn flush(&mut self, clock: Clock, frames: &mut Frames) -> Result<(), Fault> {
        match &mut self.hangs {
            Hangs::Here(branch) => {
                let mut frame = Vec::new();
                let flushed = self.pipe.flush(clock, &mut frame);
                if !frame.is_empty() {
                    frames.push((branch.clone(), frame));
                }
                flushed
            }
            Hangs::InGroups(groups) => groups.flush(&mut self.pipe, clock, frames),
        }
    }
}

/// What a pipe said instead of doing its work, or that it has worked.
#[derive(Debug)]
pub(crate) struct PipeReport {
    pub(crate) callee: Arc<Callee>,
    /// `None`: it has worked for the first time.
    pub(crate) fault: Option<Fault>,
    /// The pipe that ran before it has its place again.
    pub(crate) rolled_back: bool,
}

/// A pipe's place.
#[derive(Debug)]
struct Slot {
    /// `None` while it is called.
    run: Option<PipeRun>,
    /// What had the place before; kept until whoever put the new one is sure of it.
    previous: Option<PipeRun>,
    /// What has the place has worked.
    worked: bool,
    /// Time in its calls since the CPU time was shared out last.
    busy: Duration,
}

/// How far a text has been fed.
#[derive(Clone, Copy, Debug)]
struct Feeding {
    /// Where the batch begins that is under way, and where it ends: bytes in the text.
    batch: (usize, usize),
    /// The pipe whose turn it is; none before the first batch and after the last pipe.
    turn: Option<usize>,
    clock: Clock,
}

/// What was folded, each under its branch.
pub(crate) type Frames = Vec<(Branch, Vec<u8>)>;

/// How far a flush has come.
#[derive(Debug)]
struct Flushing {
    turn: usize,
    clock: Clock,
    frames: Frames,
}

/// One log's pipes.
#[derive(Debug)]
pub(crate) struct Engine {
    /// A line is in the first of these that it fits.
    formats: Vec<Format>,
    parsers: Vec<Parser>,
    slots: Vec<Slot>,
    clock: Timepiece,
    remember: Remember,
    /// Goes through the text that is being fed.
    window: Window,
    /// The agents of this log, while a pipe reads them.
    agents: Option<Agents>,
    decoded: Decoded,
    /// Parsed records keep their memory from block to block.
    records: Vec<Access<'static>>,
    stats: LogStats,
    /// The number of the line read last, empty ones counted.
    at_line: u64,
    feeding: Option<Feeding>,
    flushing: Option<Flushing>,
    reports: Vec<PipeReport>,
    /// What pipes on trial have folded, which the next flush takes along.
    early: Frames,
    /// Pipes that are done with. They are dropped by whoever can wait.
    discarded: Vec<PipeRun>,
    /// When the last thing was over whose time is told apart.
    mark: Instant,
    /// Time in which this engine worked, since the CPU time was shared out last.
    busy: Duration,
    /// What the thread's CPU clock showed then.
    cpu: Option<Duration>,
}

impl Engine {
    /// An engine without pipes. A line is in the first of the formats that it fits; what is said of one that fits none
    /// is of the last.
    pub(crate) fn new(formats: Vec<Format>, clock: Timepiece, remember: Remember) -> Engine {
        Engine {
            parsers: formats.iter().map(|format| format.parser(Fields::NONE)).collect(),
            formats,
            slots: Vec::new(),
            clock,
            remember,
            window: Window::default(),
            agents: None,
            decoded: Decoded::default(),
            records: Vec::new(),
            stats: LogStats::default(),
            at_line: 0,
            feeding: None,
            flushing: None,
            reports: Vec::new(),
            early: Frames::new(),
            discarded: Vec::new(),
            mark: Instant::now(),
            busy: Duration::ZERO,
            cpu: None,
        }
    }

    /// Adds a pipe, or puts it in the place of the one of its name. That is on trial then: what had the place before, and
    /// was sure of it, gets it back when the new one fails.
    pub(crate) fn put(&mut self, mut run: PipeRun) {
        match self.slots.iter_mut().find(|slot| slot.is(&run.callee.module)) {
            Some(slot) => {
                if let Some(old) = &slot.run {
                    run.follow(old);
                }
                let old = slot.run.replace(run);
                slot.worked = false;
                if slot.previous.is_none() {
                    slot.previous = old;
                } else {
                    self.discarded.extend(old);
                }
            }
            None => self.slots.push(Slot { run: Some(run), previous: None, worked: false, busy: Duration::ZERO }),
        }
        self.decide();
    }

    /// Takes a pipe out, and what had its place before.
    pub(crate) fn take(&mut self, module: &str) {
        if let Some(place) = self.slots.iter().position(|slot| slot.is(module)) {
            let slot = self.slots.remove(place);
            self.discarded.extend(slot.run.into_iter().chain(slot.previous));
            self.decide();
        }
    }

    /// This life of a module is sure of its place: what had it before goes.
    pub(crate) fn settle(&mut self, module: &str, generation: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_life(module, generation)) {
            self.discarded.extend(slot.previous.take());
            self.decide();
        }
    }

    /// This life of a module gives its place back.
    pub(crate) fn roll_back(&mut self, module: &str, generation: u64) {
        let Some(place) = self.slots.iter().position(|slot| slot.is_life(module, generation)) else { return };
        let slot = &mut self.slots[place];
        self.discarded.extend(slot.run.take());
        match slot.previous.take() {
            Some(previous) => {
                slot.run = Some(previous);
                slot.worked = true;
            }
            None => drop(self.slots.remove(place)),
        }
        self.decide();
    }

    /// Whether anybody reads the lines.
    pub(crate) fn has_pipes(&self) -> bool {
        !self.slots.is_empty()
    }

    /// What no pipe reads is not decoded.
    fn decide(&mut self) {
        let pipes = self.slots.iter().flat_map(|slot| slot.run.iter().chain(&slot.previous));
        let wants = pipes.fold(Fields::NONE, |all, run| all.union(run.wants));
        let before = std::mem::take(&mut self.parsers);
        self.parsers = self.formats.iter().map(|format| format.parser(wants)).collect();
        self.parsers.iter_mut().zip(&before).for_each(|(parser, before)| parser.follow(before));
        // They stay as they are when pipes change: a pipe that goes on must not be given a number for two agents.
        if wants.has(Field::Agent) && self.agents.is_none() {
            self.agents = Some(Agents::default());
        }
    }

    /// Whether a pipe runs in a process of its own, which may end between two calls.
    pub(crate) fn has_pipes_apart(&self) -> bool {
        self.slots.iter().any(|slot| slot.run.as_ref().is_some_and(|run| run.pipe.is_apart()))
    }

    /// Looks whether any of those has ended: whether there is something to report.
    pub(crate) fn check_apart(&mut self) -> bool {
        let ended = self.slots.iter_mut().enumerate().rev().filter_map(|(place, slot)| {
            let fault = slot.run.as_mut()?.pipe.check().err()?;
            Some((place, slot.run.take()?, fault))
        });
        let ended: Vec<(usize, PipeRun, Fault)> = ended.collect();
        let any = !ended.is_empty();
        // From the last place to the first: a place that goes moves those after it.
        for (place, run, fault) in ended {
            let callee = Arc::clone(&run.callee);
            self.discarded.push(run);
            self.broke(place, callee, fault);
        }
        any
    }

    /// What has been read.
    pub(crate) fn stats(&self) -> &LogStats {
        &self.stats
    }

    /// Begins another file: its lines are numbered from 1, and its faults are its own.
    pub(crate) fn begin_file(&mut self) {
        self.at_line = 0;
        self.stats.faults.clear();
        self.parsers.iter_mut().for_each(Parser::begin_file);
    }

    /// What follows is of another file, or of another part of one: this is the header that holds there, empty if none does.
    pub(crate) fn prime(&mut self, header: &str) {
        for parser in &mut self.parsers {
            parser.begin_file();
            parser.prime(header);
        }
    }

    /// Another format than those before: what comes is in that.
    pub(crate) fn change_format(&mut self, format: Format) {
        self.formats = vec![format];
        self.parsers.clear();
        self.decide();
    }

    /// The number of the line read last, empty ones counted, from 1.
    pub(crate) fn at_line(&self) -> u64 {
        self.at_line
    }

    /// Forgets the lines that did not parse; they stay counted.
    pub(crate) fn forget_faults(&mut self) {
        self.stats.faults.clear();
    }

    /// The remembered faults of lines after this one, their numbers counted from it.
    pub(crate) fn faults_after_line(&self, line: u64) -> Vec<LineFault> {
        let after = self.stats.faults.iter().filter(|fault| fault.line > line);
        after.map(|fault| LineFault { line: fault.line - line, ..fault.clone() }).collect()
    }

    /// How pipes fared, since this was asked last.
    pub(crate) fn take_reports(&mut self) -> Vec<PipeReport> {
        std::mem::take(&mut self.reports)
    }

    /// Pipes that are done with, since this was asked last.
    pub(crate) fn take_discarded(&mut self) -> Vec<PipeRun> {
        std::mem::take(&mut self.discarded)
    }

    /// Counts a line that is too long to be kept; this is its beginning.
    pub(crate) fn too_long(&mut self, beginning: &[u8]) {
        self.at_line += 1;
        self.stats.lines += 1;
        let beginning = String::from_utf8_lossy(&beginning[..beginning.len().min(SAMPLE_BYTES)]).into_owned();
        self.fault(&beginning, format_args!("longer than {LINE_BYTES_MAX} bytes"));
    }

    #[cold]
    fn fault(&mut self, line: &str, why: impl std::fmt::Display) {
        self.stats.errors += 1;
        if self.stats.faults.len() == LINE_FAULTS_MAX {
            match self.remember {
                Remember::First => return,
                Remember::Last => drop(self.stats.faults.pop_front()),
            }
        }
        let sample = plugin_api::limits::cut(line, SAMPLE_BYTES).to_owned();
        self.stats.faults.push_back(LineFault { line: self.at_line, why: why.to_string(), sample });
    }

    /// Begins to feed a text of `bytes`.
    pub(crate) fn begin_feed(&mut self, bytes: usize) {
        self.stats.bytes += bytes as u64;
        self.feeding = Some(Feeding { batch: (0, 0), turn: None, clock: self.clock.now() });
        self.window.begin(0);
        self.mark = Instant::now();
    }

    /// Begins to take what the pipes have folded.
    pub(crate) fn begin_flush(&mut self) {
        self.flushing =
            Some(Flushing { turn: 0, clock: self.clock.now(), frames: Vec::with_capacity(self.slots.len()) });
        self.mark = Instant::now();
    }

    /// What the pipes have folded is being taken.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Parses a batch of the text: the one under way if there is one, else the next; `false` at the end. Lines are counted
    /// the first time alone.
    fn parse<'t>(&mut self, text: &'t str, records: &mut Vec<Access<'t>>, decoded: &mut Decoded) -> bool {
        let Some(Feeding { batch: (begin, end), turn, .. }) = self.feeding else { return false };
        if turn.is_some() {
            // Somebody else has parsed it, and is stuck with the records.
            let counted = (self.stats.clone(), self.at_line);
            self.parsers.iter_mut().for_each(Parser::rewind);
            let mut window = Window::default();
            window.begin(begin);
            self.parse_lines(&text[..end], &mut window, records, decoded);
            (self.stats, self.at_line) = counted;
            return true;
        }
        if end == text.len() {
            self.feeding = None;
            return false;
        }
        self.parsers.iter_mut().for_each(Parser::mark);
        let mut window = std::mem::take(&mut self.window);
        self.parse_lines(text, &mut window, records, decoded);
        if let Some(feeding) = &mut self.feeding {
            feeding.batch = (end, window.at());
            feeding.turn = Some(0);
            feeding.clock = self.clock.now();
        }
        self.window = window;
        true
    }

    /// Parses as many lines as a batch holds.
    fn parse_lines<'t>(
        &mut self,
        text: &'t str,
        window: &mut Window,
        records: &mut Vec<Access<'t>>,
        decoded: &mut Decoded,
    ) {
        let bytes = text.as_bytes();
        while records.len() < BATCH_RECORDS {
            let Some(mut line) = window.next_line(bytes) else { break };
            self.at_line += 1;
            if line.end > line.start && bytes[line.end - 1] == b'\r' {
                line.end -= 1;
            }
            if line.is_empty() {
                continue;
            }
            self.stats.lines += 1;
            if line.len() > LINE_BYTES_MAX {
                self.fault(&text[line], format_args!("longer than {LINE_BYTES_MAX} bytes"));
            } else {
                let (mut error, before) = (None, records.len());
                for parser in &mut self.parsers {
                    error = parser.parse_within(text, line.clone(), window, records, decoded).err();
                    if error.is_none() {
                        break;
                    }
                }
                if let Some(error) = error {
                    self.fault(&text[line], error);
                } else if records.len() == before {
                    // Part of a header is no line.
                    self.stats.lines -= 1;
                }
            }
        }
    }

    /// Numbers the agents of a batch.
    fn number_agents(&mut self, records: &mut [Access<'_>]) {
        if let Some(agents) = &mut self.agents {
            agents.number(records);
        }
    }

    /// The pipe whose turn it is, taken out of its place; `None` after the last.
    fn next_to_feed(&mut self) -> Option<PipeRun> {
        let turn = self.feeding?.turn?;
        match self.slots.get_mut(turn) {
            Some(slot) => slot.run.take(),
            None => {
                if let Some(feeding) = &mut self.feeding {
                    feeding.turn = None;
                }
                None
            }
        }
    }

    /// A pipe has come back from a batch.
    fn fed(&mut self, run: PipeRun, result: Result<(), Fault>) {
        let Some(turn) = self.feeding.and_then(|feeding| feeding.turn) else { return };
        let took = self.mark_busy();
        let Some(slot) = self.slots.get_mut(turn) else { return };
        slot.busy += took;
        run.callee.stats.called();
        match result {
            Ok(()) => {
                if !slot.worked {
                    slot.worked = true;
                    self.reports.push(PipeReport { callee: Arc::clone(&run.callee), fault: None, rolled_back: false });
                }
                slot.run = Some(run);
                self.pass(turn + 1);
            }
            Err(fault) => {
                let callee = Arc::clone(&run.callee);
                self.discarded.push(run);
                self.broke(turn, callee, fault);
            }
        }
    }

    /// Whether the pipe whose turn it is has yet to show that it works.
    fn is_on_trial(&self) -> bool {
        let slot = self.feeding.and_then(|feeding| self.slots.get(feeding.turn?));
        slot.is_some_and(|slot| !slot.worked && slot.previous.is_some())
    }

    /// The pipe of a place cannot go on: what was there before gets its place and its batch, else the place goes.
    fn broke(&mut self, turn: usize, callee: Arc<Callee>, fault: Fault) {
        let fault = fault.for_good();
        callee.stats.failed();
        let Some(slot) = self.slots.get_mut(turn) else { return };
        let previous = slot.previous.take();
        let rolled_back = previous.is_some();
        match previous {
            Some(previous) => {
                slot.run = Some(previous);
                slot.worked = true;
            }
            // The next pipe moves up, so the turn stays as it is.
            None => drop(self.slots.remove(turn)),
        }
        self.reports.push(PipeReport { callee, fault: Some(fault), rolled_back });
    }

    fn pass(&mut self, turn: usize) {
        if let Some(feeding) = &mut self.feeding {
            feeding.turn = Some(turn);
        }
    }

    /// Time since the last mark, which is set anew.
    fn mark_busy(&mut self) -> Duration {
        let now = Instant::now();
        let took = now.saturating_duration_since(std::mem::replace(&mut self.mark, now));
        self.busy += took;
        took
    }

    /// The pipe whose turn it is to be flushed.
    fn next_to_flush(&mut self) -> Option<PipeRun> {
        let turn = self.flushing.as_ref()?.turn;
        self.slots.get_mut(turn)?.run.take()
    }

    /// A pipe has come back from a flush.
    fn flushed(&mut self, mut run: PipeRun, frames: Frames, result: Result<(), Fault>) {
        let took = self.mark_busy();
        if let Some(cpu) = run.pipe.spent_apart() {
            run.callee.stats.cpu(cpu);
        }
        let Some(flushing) = &mut self.flushing else { return };
        let turn = flushing.turn;
        flushing.frames.extend(frames);
        let Some(slot) = self.slots.get_mut(turn) else { return };
        slot.busy += took;
        run.callee.stats.called();
        match result {
            Ok(()) => {
                slot.run = Some(run);
                flushing.turn += 1;
            }
            Err(fault) => {
                let callee = Arc::clone(&run.callee);
                self.discarded.push(run);
                self.broke(turn, callee, fault);
            }
        }
    }

    /// The call under way was given up, and this engine taken from its thread: the pipe is lost with that.
    pub(crate) fn lose(&mut self, callee: &Arc<Callee>, doing: Doing, after: Duration) {
        let turn = match (&self.flushing, self.feeding) {
            (Some(flushing), _) => Some(flushing.turn),
            (None, feeding) => feeding.and_then(|feeding| feeding.turn),
        };
        let Some(turn) = turn else { return };
        callee.stats.called();
        let limit = callee.time_limit;
        callee.stats.late(after.saturating_sub(limit));
        self.broke(turn, Arc::clone(callee), Fault::left_behind(doing, limit));
        // The clock of the new thread begins anew.
        self.cpu = None;
        self.mark = Instant::now();
    }

    /// Ends a flush: what was folded, and the thread's CPU time is shared out in proportion to the time that each
    /// pipe's calls took.
    fn end_flush(&mut self) -> Frames {
        let cpu = thread_cpu();
        let spent = self.cpu.map_or(Duration::ZERO, |before| cpu.saturating_sub(before));
        self.cpu = Some(cpu);
        let busy = std::mem::take(&mut self.busy).as_secs_f64();
        for slot in &mut self.slots {
            let share = std::mem::take(&mut slot.busy).as_secs_f64();
            if let Some(run) = slot.run.as_ref().filter(|_| busy > 0.0) {
                run.callee.stats.cpu(spent.mul_f64((share / busy).min(1.0)));
            }
        }
        let mut frames = std::mem::take(&mut self.early);
        frames.extend(self.flushing.take().into_iter().flat_map(|flushing| flushing.frames));
        frames
    }
}

impl Slot {
    fn is_life(&self, module: &str, generation: u64) -> bool {
        self.is(module) && self.run.as_ref().is_some_and(|run| run.callee.generation == generation)
    }

    fn is(&self, module: &str) -> bool {
        self.run.as_ref().or(self.previous.as_ref()).is_some_and(|run| run.callee.module == module)
    }
}
