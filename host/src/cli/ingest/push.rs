//! Lines handed on to a running daemon, whose own pipes fold them.
//!
//! A daemon takes no sketch as JSON (quantiles, distinct counts and tops would be figures that cannot be merged any more), so what
//! travels is the lines themselves: what becomes of them there is what would become of any line.

use super::part::{Part, tell_format};
use super::progress::Progress;
use crate::cli::Failure;
use crate::cli::client::{Server, json, text};
use crate::cli::read::{Lines, read_lines};
use crate::cli::show::printable;
use crate::ingest::format::Format;
use crate::limits::{LINE_BYTES_MAX, LINE_FAULTS_MAX, PUSH_BLOCK_BYTES, PUSH_GATHER_MAX};
use serde_json::Value;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::Instant;

/// The formats in which a daemon takes lines that are pushed.
const TAKEN: [&str; 2] = ["combined", "timed"];

/// What became of all lines.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Pushed {
    pub(in crate::cli) merged: u64,
    pub(in crate::cli) rejected: u64,
    /// Not every file could be read and pushed.
    pub(in crate::cli) unread: bool,
}

/// Pushes the lines of all files, one after another. Without a format each file's is told from its lines.
///
/// # Errors
/// The daemon does not answer, or answers that it does not take them.
pub(super) fn push(
    server: &Server,
    parts: &[Part],
    format: Option<&Format>,
    progress: &Progress,
) -> Result<Pushed, Failure> {
    if let Some(format) = format {
        check(format).map_err(Failure::usage)?;
    }
    let mut all = Pushed::default();
    for part in parts {
        let file = part.path.display().to_string();
        let mut pusher = Pusher::new(server, &file, progress, all);
        let read = pusher.read(part, format);
        if let Some(failure) = pusher.failed {
            let Pushed { merged, rejected, .. } = pusher.all;
            let before = format!("{failure} ({file}; {} lines were taken before)", merged + rejected);
            return Err(Failure::work(before));
        }
        let named = pusher.named;
        all = pusher.all;
        if let Err(error) = read {
            progress.aside(|| eprintln!("graftd: {file}: {error}"));
            all.unread = true;
        }
        let more = pusher.rejected.saturating_sub(named);
        if more > 0 {
            progress.aside(|| eprintln!("graftd: {file}: {more} more lines did not parse"));
        }
    }
    Ok(all)
}

/// Whether lines of a format can be pushed.
fn check(format: &Format) -> Result<(), String> {
    if TAKEN.contains(&format.spec()) {
        return Ok(());
    }
    Err(format!(
        "is in the format {:?}; lines are pushed in {} alone. Name the log in the daemon's graftd.conf, which reads any",
        format.spec(),
        TAKEN.join(" and ")
    ))
}

/// Gathers lines of a file, and pushes them a block at a time.
struct Pusher<'a> {
    server: &'a Server,
    file: &'a str,
    progress: &'a Progress,
    block: Vec<u8>,
    /// When the first of it came.
    since: Instant,
    /// Lines of the file that were pushed, empty ones counted.
    at_line: u64,
    rejected: u64,
    /// Of these, those that were named.
    named: u64,
    all: Pushed,
    failed: Option<Failure>,
    /// There is no use in reading on.
    stop: Rc<Cell<bool>>,
}

impl<'a> Pusher<'a> {
    fn new(server: &'a Server, file: &'a str, progress: &'a Progress, all: Pushed) -> Pusher<'a> {
        let block = Vec::with_capacity(PUSH_BLOCK_BYTES);
        Pusher {
            server,
            file,
            progress,
            block,
            since: Instant::now(),
            at_line: 0,
            rejected: 0,
            named: 0,
            all,
            failed: None,
            stop: Rc::default(),
        }
    }

    fn read(&mut self, part: &Part, format: Option<&Format>) -> io::Result<()> {
        let mut open = part.open_pausing(self.progress)?;
        let read = if format.is_none() {
            let (begins, format) = tell_format(&part.path, &mut open, self.progress)?;
            if let Some(format) = &format {
                check(format).map_err(io::Error::other)?;
            }
            read_on(begins.then(open), self)
        } else {
            read_on(open, self)
        };
        // What came before an error is whole lines.
        self.send();
        read
    }

    fn send(&mut self) {
        if self.block.is_empty() || self.failed.is_some() {
            return;
        }
        match self.post() {
            Ok((merged, rejected)) => {
                self.all.merged += merged;
                self.all.rejected += rejected;
                self.rejected += rejected;
            }
            Err(failure) => {
                self.failed = Some(failure);
                self.stop.set(true);
            }
        }
        let lines = memchr::memchr_iter(b'\n', &self.block).count() as u64;
        self.at_line += lines;
        self.progress.lines(lines);
        self.block.clear();
    }

    /// Pushes the block: lines that were merged, and that were rejected.
    fn post(&mut self) -> Result<(u64, u64), Failure> {
        let mut response = self.server.post("/push", "text/plain", &self.block)?;
        let status = response.status();
        // 400 says of lines that none of them was good; that is no reason to keep others back.
        if !status.is_success() && status.as_u16() != 400 {
            self.server.good(response)?;
            return Ok((0, 0));
        }
        let answer = json(&text(&mut response)?)?;
        let number = |name: &str| answer.get(name).and_then(Value::as_u64);
        let (Some(merged), Some(rejected)) = (number("merged"), number("rejected")) else {
            let said = answer.get("error").and_then(Value::as_str);
            return Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)));
        };
        for fault in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
            let line = part("at").strip_prefix("line ").and_then(|line| line.parse::<u64>().ok());
            self.name(line.unwrap_or_default() + self.at_line, &printable(part("why")));
        }
        Ok((merged, rejected))
    }

    /// Names one of the first lines that did not parse.
    fn name(&mut self, line: u64, why: &str) {
        if self.named < LINE_FAULTS_MAX as u64 {
            self.named += 1;
            self.progress.aside(|| eprintln!("graftd: {}: line {line}: {why}", self.file));
        }
    }
}

/// As [`read_lines`], until the pusher has had enough.
fn read_on(from: impl Read, pusher: &mut Pusher<'_>) -> io::Result<()> {
    struct Until<'s, R>(R, &'s Cell<bool>);
    impl<R: Read> Read for Until<'_, R> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.1.get() { Ok(0) } else { self.0.read(into) }
        }
    }
    let stop = Rc::clone(&pusher.stop);
    read_lines(Until(from, &stop), pusher)
}

impl Lines for Pusher<'_> {
    fn lines(&mut self, block: &[u8]) {
        if self.block.len() + block.len() > PUSH_BLOCK_BYTES || self.since.elapsed() > PUSH_GATHER_MAX {
            self.send();
        }
        if self.block.is_empty() {
            self.since = Instant::now();
        }
        self.block.extend_from_slice(block);
    }

    fn pause(&mut self) {
        self.send();
    }

    fn too_long(&mut self, _: &[u8]) {
        self.send();
        self.at_line += 1;
        self.all.rejected += 1;
        self.rejected += 1;
        self.name(self.at_line, &format!("longer than {LINE_BYTES_MAX} bytes"));
    }
}
