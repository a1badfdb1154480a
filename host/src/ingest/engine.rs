//! One log's pipes, fed with its lines. The journey of a line without any thread: `graftd ingest` and the daemon's logs
//! both drive it.

use super::format::{Decoded, Format, Parser};
use crate::clock::Timepiece;
use crate::limits::{BATCH_RECORDS, LINE_BYTES_MAX, LINE_FAULTS_MAX};
use crate::module::{Branch, Pipe};
use plugin_api::{Access, Error, Fields};
use std::borrow::Cow;
use std::collections::VecDeque;

/// Bytes that are kept of a line that did not parse.
const SAMPLE_BYTES: usize = 200;

/// A pipe of one log.
#[derive(Debug)]
pub struct PipeRun {
    /// The module's name.
    pub name: String,
    /// Where its branch hangs, the log's prefix included.
    pub branch: Branch,
    /// The fields it reads.
    pub wants: Fields,
    /// The pipe itself.
    pub pipe: Pipe,
}

/// A line that did not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// The line's number in what was fed, from 1.
    pub line: u64,
    /// What is wrong: the field, the column and why.
    pub why: String,
    /// The beginning of the line.
    pub sample: String,
}

/// What a pipe said instead of doing its work.
#[derive(Clone, Debug)]
pub struct PipeFault {
    /// The module's name.
    pub name: String,
    /// What it said.
    pub error: Error,
}

/// What has been read of a log since its engine was made.
#[derive(Clone, Debug, Default)]
pub struct LogStats {
    /// Lines, those that did not parse among them. Empty lines are none.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines that did not parse.
    pub errors: u64,
    /// The first or last of these.
    pub faults: VecDeque<LineFault>,
}

/// Which of the lines that did not parse are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// The first: for a file that is read once.
    First,
    /// The last: for a log that never ends.
    Last,
}

/// One log's pipes.
#[derive(Debug)]
pub struct Engine {
    /// A line is in the first of these that it fits.
    formats: Vec<Format>,
    parsers: Vec<Parser>,
    pipes: Vec<PipeRun>,
    clock: Timepiece,
    remember: Remember,
    decoded: Decoded,
    /// Parsed records keep their memory from block to block.
    records: Vec<Access<'static>>,
    stats: LogStats,
    /// The number of the line read last, empty ones counted.
    at_line: u64,
    faults: Vec<PipeFault>,
}

impl Engine {
    /// An engine without pipes. A line is in the first of the formats that it fits; what is said of one that fits none
    /// is of the last.
    #[must_use]
    pub fn new(formats: Vec<Format>, clock: Timepiece, remember: Remember) -> Engine {
        Engine {
            parsers: formats.iter().map(|format| format.parser(Fields::NONE)).collect(),
            formats,
            pipes: Vec::new(),
            clock,
            remember,
            decoded: Decoded::default(),
            records: Vec::new(),
            stats: LogStats::default(),
            at_line: 0,
            faults: Vec::new(),
        }
    }

    /// Adds a pipe, or puts it in the place of the one of that name, which is given back.
    pub fn put(&mut self, run: PipeRun) -> Option<PipeRun> {
        let place = self.pipes.iter().position(|pipe| pipe.name == run.name);
        let old = match place {
            Some(place) => Some(std::mem::replace(&mut self.pipes[place], run)),
            None => {
                self.pipes.push(run);
                None
            }
        };
        self.decide();
        old
    }

    /// Takes a pipe out.
    pub fn take(&mut self, name: &str) -> Option<PipeRun> {
        let place = self.pipes.iter().position(|pipe| pipe.name == name)?;
        let run = self.pipes.remove(place);
        self.decide();
        Some(run)
    }

    /// Whether anybody reads the lines.
    #[must_use]
    pub fn has_pipes(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// What no pipe reads is not decoded.
    fn decide(&mut self) {
        let wants = self.pipes.iter().fold(Fields::NONE, |all, run| all.union(run.wants));
        self.parsers = self.formats.iter().map(|format| format.parser(wants)).collect();
    }

    /// What has been read.
    #[must_use]
    pub fn stats(&self) -> &LogStats {
        &self.stats
    }

    /// Begins another file: its lines are numbered from 1, and its faults are its own.
    pub fn begin_file(&mut self) {
        self.at_line = 0;
        self.stats.faults.clear();
    }

    /// The number of the line read last, empty ones counted, from 1.
    #[must_use]
    pub fn at_line(&self) -> u64 {
        self.at_line
    }

    /// Forgets the lines that did not parse; they stay counted.
    pub fn forget_faults(&mut self) {
        self.stats.faults.clear();
    }

    /// The remembered faults of lines after this one, their numbers counted from it.
    #[must_use]
    pub fn faults_after_line(&self, line: u64) -> Vec<LineFault> {
        let after = self.stats.faults.iter().filter(|fault| fault.line > line);
        after.map(|fault| LineFault { line: fault.line - line, ..fault.clone() }).collect()
    }

    /// What pipes said instead of doing their work, since this was asked last.
    pub fn take_faults(&mut self) -> Vec<PipeFault> {
        std::mem::take(&mut self.faults)
    }

    /// Feeds whole lines; the last may lack its end. Bytes that are no UTF-8 are replaced, so that pipes see text.
    pub fn feed(&mut self, block: &[u8]) {
        self.stats.bytes += block.len() as u64;
        let text = match std::str::from_utf8(block) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(block),
        };
        let mut decoded = std::mem::take(&mut self.decoded);
        let mut rest = text.as_ref();
        while !rest.is_empty() {
            let mut records = recycle(std::mem::take(&mut self.records));
            rest = self.parse(rest, &mut records, &mut decoded);
            decoded.settle(&mut records);
            self.process(&records);
            self.records = recycle(records);
            decoded.clear();
        }
        self.decoded = decoded;
    }

    /// Counts a line that is too long to be kept; this is its beginning.
    pub fn too_long(&mut self, beginning: &[u8]) {
        self.at_line += 1;
        self.stats.lines += 1;
        let beginning = String::from_utf8_lossy(&beginning[..beginning.len().min(SAMPLE_BYTES)]).into_owned();
        self.fault(&beginning, format_args!("longer than {LINE_BYTES_MAX} bytes"));
    }

    /// Parses a batch, and gives what is left of the block.
    fn parse<'b: 'r, 'r>(&mut self, block: &'b str, records: &mut Vec<Access<'r>>, decoded: &mut Decoded) -> &'b str {
        let mut rest = block;
        while !rest.is_empty() && records.len() < BATCH_RECORDS {
            let line;
            (line, rest) = match memchr::memchr(b'\n', rest.as_bytes()) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, ""),
            };
            self.at_line += 1;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            self.stats.lines += 1;
            if line.len() > LINE_BYTES_MAX {
                self.fault(line, format_args!("longer than {LINE_BYTES_MAX} bytes"));
            } else {
                let mut error = None;
                for parser in &mut self.parsers {
                    error = parser.parse(line, records, decoded).err();
                    if error.is_none() {
                        break;
                    }
                }
                if let Some(error) = error {
                    self.fault(line, error);
                }
            }
        }
        rest
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

    fn process(&mut self, batch: &[Access<'_>]) {
        let clock = self.clock.now();
        let Engine { pipes, faults, .. } = self;
        // A pipe that panicked is in a state that nobody knows: it goes, and is made anew by whoever hears of it.
        pipes.retain_mut(|run| match run.pipe.process(clock, batch) {
            Ok(()) => true,
            Err(error) => {
                faults.push(PipeFault { name: run.name.clone(), error });
                false
            }
        });
    }

    /// Takes what the pipes have folded since the last flush, each under its branch.
    pub fn flush(&mut self) -> Vec<(Branch, Vec<u8>)> {
        let clock = self.clock.now();
        let mut frames = Vec::with_capacity(self.pipes.len());
        let Engine { pipes, faults, .. } = self;
        pipes.retain_mut(|run| {
            let mut frame = Vec::new();
            let flushed = run.pipe.flush(clock, &mut frame);
            if !frame.is_empty() {
                frames.push((run.branch.clone(), frame));
            }
            match flushed {
                Ok(()) => true,
                Err(error) => {
                    faults.push(PipeFault { name: run.name.clone(), error });
                    false
                }
            }
        });
        frames
    }
}

/// An empty vector for records of another lifetime, in the same memory: collecting in place does not allocate.
fn recycle<'b>(mut records: Vec<Access<'_>>) -> Vec<Access<'b>> {
    records.clear();
    records.into_iter().map(|_| Access::new("")).collect()
}
