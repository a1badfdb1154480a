//! Reading a part of a file through pipes of one's own.

use super::part::{Part, guessed};
use crate::cli::read::{Lines, read_lines};
use crate::clock::Timepiece;
use crate::ingest::format::Format;
use crate::ingest::{Frames, LineFault, PipeReport, PipeRun, Remember, Solo};
use indicatif::ProgressBar;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the pipes flush: as in the daemon, so that what a delta may hold bounds memory here too.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// What is to be told of a part of a file, or of several that follow each other.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Lines, empty ones counted.
    pub(super) numbered: u64,
    /// Lines, those that did not parse among them.
    pub(super) lines: u64,
    /// Lines that did not parse.
    pub(super) errors: u64,
    /// The first of them.
    pub(super) faults: VecDeque<LineFault>,
    /// Why it was not read to its end.
    pub(super) broken: Option<io::Error>,
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
        self.lines += next.lines;
        self.errors += next.errors;
        self.broken = self.broken.take().or(next.broken);
        self.format = next.format;
    }
}

/// An engine with its pipes. What they fold is handed to `merge`, at each tick and at the end.
pub(super) struct Reader<F> {
    engine: Solo,
    /// The format that is read.
    format: Format,
    /// Each file's is told from its lines.
    auto: bool,
    flushed: Instant,
    progress: ProgressBar,
    merge: F,
}

impl<F: FnMut(Frames)> Reader<F> {
    pub(super) fn new(format: Format, auto: bool, clock: Timepiece, pipes: Vec<PipeRun>, merge: F) -> Reader<F> {
        let mut engine = Solo::new(format.clone(), clock, Remember::First);
        pipes.into_iter().for_each(|run| engine.put(run));
        Reader { engine, format, auto, flushed: Instant::now(), progress: ProgressBar::hidden(), merge }
    }

    /// Reads a part of a file to its end, or as far as it can be.
    pub(super) fn read(&mut self, file: &Path, part: &Part, progress: &ProgressBar) -> Told {
        self.progress = progress.clone();
        let before = self.engine.stats();
        self.engine.begin_file();
        let broken = self.read_part(file, part).err();
        let after = self.engine.stats();
        Told {
            numbered: self.engine.at_line(),
            lines: after.lines - before.lines,
            errors: after.errors - before.errors,
            faults: after.faults,
            broken,
            format: self.format.spec().to_owned(),
        }
    }

    fn read_part(&mut self, file: &Path, part: &Part) -> io::Result<()> {
        let mut open = part.open()?;
        if !self.auto {
            return read_lines(open, self);
        }
        if !part.is_first() {
            self.take_format(part.guess()?.format);
            return read_lines(open, self);
        }
        let (guess, begins) = guessed(&mut open)?;
        // Of nothing there is nothing to say.
        if guess.lines > 0 {
            self.progress.suspend(|| eprintln!("graftd: {}: {}", file.display(), guess.said));
            self.take_format(guess.format);
        }
        read_lines(begins.as_slice().chain(open), self)
    }

    fn take_format(&mut self, format: Format) {
        if format.spec() != self.format.spec() {
            self.format = format;
            self.engine.change_format(self.format.clone());
        }
    }

    /// Hands over what is left, and says how the pipes fared.
    pub(super) fn end(&mut self) -> Vec<PipeReport> {
        self.flush();
        self.engine.take_reports()
    }

    fn flush(&mut self) {
        (self.merge)(self.engine.flush());
        self.flushed = Instant::now();
    }
}

impl<F: FnMut(Frames)> Lines for Reader<F> {
    fn lines(&mut self, block: &[u8]) {
        self.engine.feed(block);
        self.progress.inc(block.len() as u64);
        if self.flushed.elapsed() >= TICK {
            self.flush();
        }
    }

    fn too_long(&mut self, beginning: &[u8]) {
        self.engine.too_long(beginning);
    }
}
