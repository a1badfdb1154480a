//! Reading a part of a file through pipes of one's own.

use super::part::{Part, tell_format};
use super::progress::Progress;
use super::steps::Steps;
use super::times::{Span, Times};
use crate::cli::read::{Lines, read_lines};
use crate::clock::Timepiece;
use crate::ingest::format::{Format, guess};
use crate::ingest::{Frames, LineFault, PipeReport, PipeRun, Remember, Solo};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// How often the pipes flush: as in the daemon, so that what a delta may hold bounds memory here too.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// What is to be told of a part of a file, or of several that follow each other.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Lines, empty ones counted.
    pub(super) numbered: u64,
    /// Bytes, unpacked.
    pub(super) bytes: u64,
    /// Lines, those that did not parse among them.
    pub(super) lines: u64,
    /// Lines that did not parse.
    pub(super) errors: u64,
    /// The first of them.
    pub(super) faults: VecDeque<LineFault>,
    /// Why it was not read to its end.
    pub(super) broken: Option<io::Error>,
    /// From when to when its lines are.
    pub(super) span: Span,
    /// The format that it was read in.
    pub(super) format: String,
}

impl Told {
    /// Adds what is to be told of the part that follows, of whose faults as many are kept as leave `most`.
    pub(super) fn follow(&mut self, next: Told, most: usize) {
        let room = most.saturating_sub(self.faults.len());
        let faults = next.faults.into_iter().take(room);
        self.faults.extend(faults.map(|fault| LineFault { line: fault.line + self.numbered, ..fault }));
        self.numbered += next.numbered;
        self.bytes += next.bytes;
        self.lines += next.lines;
        self.errors += next.errors;
        self.broken = self.broken.take().or(next.broken);
        self.span.add(next.span);
        self.format = next.format;
    }
}

/// An engine with its pipes. What they fold is handed to `merge`, at each tick and at the end; and, where the lines' own times
/// matter, at the end of each step of these, with the time of that.
pub(super) struct Reader<F> {
    engine: Solo,
    /// The format that is read.
    format: Format,
    /// Each file's is told from its lines.
    auto: bool,
    flushed: Instant,
    times: Times,
    progress: Progress,
    /// Lines of the file that the progress has been told of.
    shown: u64,
    /// The lines' own times matter.
    steps: Option<Steps>,
    /// Lines that are so much older than the step that was open that they are of another log.
    of_another: u64,
    merge: F,
}

impl<F: FnMut(Frames, Option<i64>)> Reader<F> {
    /// Without a format each file's is told from its lines.
    pub(super) fn new(
        format: Option<Format>,
        clock: Timepiece,
        progress: Progress,
        pipes: Vec<PipeRun>,
        merge: F,
    ) -> Reader<F> {
        let auto = format.is_none();
        // Until the first lines say more.
        let format = format.unwrap_or_else(|| guess(&[]).format);
        let mut engine = Solo::new(format.clone(), clock, Remember::First);
        pipes.into_iter().for_each(|run| engine.put(run));
        let times = Times::of(&format);
        Reader {
            engine,
            format,
            auto,
            flushed: Instant::now(),
            times,
            progress,
            shown: 0,
            steps: None,
            of_another: 0,
            merge,
        }
    }

    /// Has what was folded handed over at the end of each step of the lines' own times.
    pub(super) fn by_steps(mut self, steps: Steps) -> Reader<F> {
        self.steps = Some(steps);
        self
    }

    /// Reads a part to its end, or as far as it can be.
    pub(super) fn read(&mut self, part: &Part) -> Told {
        let before = self.engine.stats();
        self.engine.begin_file();
        self.times.begin_file();
        self.shown = 0;
        let broken = self.read_part(part).err();
        let after = self.engine.stats();
        Told {
            numbered: self.engine.at_line(),
            bytes: after.bytes - before.bytes,
            lines: after.lines - before.lines,
            errors: after.errors - before.errors,
            faults: after.faults,
            span: self.times.take(),
            broken,
            format: self.format.spec().to_owned(),
        }
    }

    fn read_part(&mut self, part: &Part) -> io::Result<()> {
        if let Some(format) = &part.format {
            self.change_format(format.clone());
        }
        let (mut open, header) = part.open(self.format.has_header(), &self.progress)?;
        if let Some(header) = header {
            self.engine.prime(&header);
            self.times.prime(&header);
        }
        if !self.auto || part.format.is_some() {
            return read_lines(open, self);
        }
        let (begins, format) = tell_format(&part.path, &mut open, &self.progress)?;
        if let Some(format) = format {
            self.change_format(format);
        }
        read_lines(begins.then(open), self)
    }

    fn change_format(&mut self, format: Format) {
        if format.spec() != self.format.spec() {
            self.format = format;
            self.engine.change_format(self.format.clone());
            self.times.change_format(&self.format);
        }
    }

    /// Lines whose times lie long before others that had been read: they are kept at the times of those.
    pub(super) fn of_another(&self) -> u64 {
        self.of_another
    }

    /// Hands over what is left, and says how the pipes fared.
    pub(super) fn end(&mut self) -> Vec<PipeReport> {
        let ended = self.steps.as_ref().and_then(Steps::end);
        self.flush(ended);
        self.engine.take_reports()
    }

    fn flush(&mut self, ended: Option<i64>) {
        (self.merge)(self.engine.flush(), ended);
        self.flushed = Instant::now();
    }

    /// Feeds lines of which each belongs to a step. Those of a block mostly belong to one, or to few that follow each other.
    fn feed_by_steps(&mut self, block: &[u8], mut steps: Steps) -> Steps {
        let ends = self.times.ends(block);
        let is_one = match ends {
            [Some(first), Some(last)] => steps.are_one(first, last),
            // Lines without a time may hide others.
            _ => Times::are_few(block),
        };
        let middle = || memchr::memchr(b'\n', &block[block.len() / 2..]).map(|at| block.len() / 2 + at + 1);
        let middle = middle().filter(|at| *at < block.len());
        let middle = middle.or_else(|| memchr::memrchr(b'\n', &block[..block.len() / 2]).map(|at| at + 1));
        match middle {
            Some(middle) if !is_one => {
                let (before, after) = block.split_at(middle);
                steps = self.feed_by_steps(before, steps);
                self.feed_by_steps(after, steps)
            }
            _ => {
                if let Some(first) = ends[0].or(ends[1]) {
                    if let Some(ended) = steps.begin(first) {
                        self.flush(Some(ended));
                    }
                    if steps.is_of_another(first) {
                        self.of_another += memchr::memchr_iter(b'\n', block).count() as u64;
                    }
                }
                self.engine.feed(block);
                steps
            }
        }
    }
}

impl<F: FnMut(Frames, Option<i64>)> Lines for Reader<F> {
    fn lines(&mut self, block: &[u8]) {
        match self.steps.take() {
            Some(steps) => self.steps = Some(self.feed_by_steps(block, steps)),
            None => self.engine.feed(block),
        }
        self.times.look(block);
        let at = self.engine.at_line();
        self.progress.lines(at - std::mem::replace(&mut self.shown, at));
        if self.flushed.elapsed() >= TICK {
            self.flush(None);
        }
    }

    fn too_long(&mut self, beginning: &[u8]) {
        self.engine.too_long(beginning);
    }
}
