//! `graftd ingest`: logs through the pipes, without a daemon.
//!
//! [`part`] cuts files into parts, [`reader`] reads one through pipes of its own, [`team`] does so with several threads.

mod part;
mod pipes;
mod progress;
mod reader;
mod team;

use super::read::AUTO;
use super::{Dirs, Failure, dirs, show};
use crate::clock::Timepiece;
use crate::ingest::format::Format;
use crate::ingest::{Frames, PipeReport};
use crate::json::{Shape, write_view};
use crate::limits::{INGEST_THREADS_MAX, LINE_FAULTS_MAX};
use crate::tree::{Hit, Pattern, Tree, Want};
use clap::Args;
use part::Part;
use pipes::pipes;
use progress::progress;
use reader::{Reader, TICK, Told};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Read access logs through the pipes and print the tree.
///
/// The pipes are those that a daemon with the same folders would run. A line that does not parse is counted and the
/// first few are named; the rest go on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
graftd ingest /var/log/nginx/access.log\n  \
zcat access.log.*.gz | graftd ingest - --json\n  \
graftd ingest --threads 4 --json access.log.*\n  \
graftd ingest --format '$remote_addr [$time_local] \"$request\" $status' access.log")]
pub(super) struct Ingest {
    /// Files to read, one after another; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// auto (tells each file's from its lines), combined, common, timed, vhost_combined, json, w3c, json:FIELD=KEY,…, an
    /// nginx log_format or an Apache LogFormat; see check-format
    #[arg(long, value_name = "NAME|STRING", default_value = AUTO)]
    format: String,
    /// Read with so many threads, each with pipes of its own: parts of plain files, or several files, at a time
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(INGEST_THREADS_MAX)))]
    threads: u16,
    /// Print the tree as JSON, whole
    #[arg(long)]
    json: bool,
    /// Print every key; without it each node shows its ten heaviest
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    dirs: Dirs,
}

impl Ingest {
    pub(super) fn run(self) -> Result<(), Failure> {
        let auto = self.format.trim() == AUTO;
        // Until the first lines say more.
        let format = if auto { "combined" } else { &self.format };
        let format = Format::compile(format).map_err(|error| Failure::usage(format_args!("--format: {error}")))?;
        let folders = self.dirs.folders()?;
        let conf = dirs::daemon_conf(&folders)?;
        let clock = Timepiece::start();
        let parts = part::parts(&self.files, self.threads.into(), Some(&format).filter(|_| !auto));
        let threads = usize::from(self.threads).min(parts.len());
        let mut teams = Vec::with_capacity(threads);
        for _ in 0..threads {
            teams.push(pipes(&folders, &conf.host_name())?);
        }
        let mut into = Into { tree: Tree::new(conf.limits.into(), TICK, 0), clock, ended: Instant::now() };
        let mut said = Said::default();
        let merge = |frames| into.merge(frames);
        let reports = match <[_; 1]>::try_from(teams) {
            Ok([pipes]) => {
                let mut reader = Reader::new(format, auto, clock, pipes, merge);
                for (part, file) in parts.iter().zip(&self.files) {
                    let progress = progress(file_bytes(file));
                    let told = reader.read(file, part, &progress);
                    progress.finish_and_clear();
                    said.of(file, told);
                }
                reader.end()
            }
            Err(teams) => {
                let progress = progress(self.files.iter().map(|file| file_bytes(file)).sum());
                let (told, reports) = team::read(&self.files, &parts, (&format, auto), clock, teams, &progress, merge);
                progress.finish_and_clear();
                for (file, told) in self.files.iter().zip(by_file(self.files.len(), &parts, told)) {
                    said.of(file, told);
                }
                reports
            }
        };
        into.tree.end_tick(clock.unix_ms());
        let broken = complain_of_pipes(reports);
        if said.foreign && said.errors == said.lines {
            return Err(Failure::work("nothing was read; see --format"));
        }
        self.print(&into.tree)?;
        match (said.unread, said.foreign) {
            _ if broken => Err(Failure::work("not every pipe got to the end, so its branch is not whole")),
            (true, _) => Err(Failure::work("not every file could be read")),
            (_, true) => Err(Failure::work("not every file is in that format; see --format")),
            _ => Ok(()),
        }
    }

    fn print(&self, tree: &Tree) -> Result<(), Failure> {
        let mut out = Vec::new();
        if self.json {
            let shape = Shape { want: Want::Value, depth: usize::MAX, limit: usize::MAX };
            for (_, hit) in tree.select(&Pattern::default(), Want::Value, 1) {
                if let Hit::Node(root) = hit {
                    write_view(&mut out, &root, shape);
                }
            }
            out.push(b'\n');
        } else {
            show::tree(&mut out, tree, if self.all { usize::MAX } else { 10 });
        }
        super::error::unless_pipe_closed(io::stdout().lock().write_all(&out))
    }
}

/// How long a file is; `None` where nobody can tell.
fn file_bytes(file: &Path) -> Option<u64> {
    let meta = file.metadata().ok().filter(|_| file != Path::new("-"))?;
    meta.is_file().then_some(meta.len())
}

/// What is to be told of each file, put together from its parts.
fn by_file(files: usize, parts: &[Part], told: Vec<Told>) -> Vec<Told> {
    let mut all: Vec<Told> = (0..files).map(|_| Told::default()).collect();
    for (part, told) in parts.iter().zip(told) {
        if let Some(file) = all.get_mut(part.file) {
            file.follow(told, LINE_FAULTS_MAX);
        }
    }
    all
}

/// The tree that everything goes into.
struct Into {
    tree: Tree,
    clock: Timepiece,
    /// When its last tick ended.
    ended: Instant,
}

impl Into {
    fn merge(&mut self, frames: Frames) {
        let now_ms = self.clock.unix_ms();
        for (branch, frame) in frames {
            let keys: Vec<&str> = branch.keys.iter().map(String::as_str).collect();
            if let Some((depth, action)) = branch.action {
                self.tree.set_action(&keys[..depth.min(keys.len())], action);
            }
            if let Err(error) = self.tree.merge(&keys, &frame, now_ms) {
                eprintln!("graftd: the delta of {} cannot be merged: {error}", keys.join(","));
            }
        }
        if self.ended.elapsed() >= TICK {
            self.tree.end_tick(now_ms);
            self.ended = Instant::now();
        }
    }
}

/// What was said of all files.
#[derive(Debug, Default)]
struct Said {
    lines: u64,
    errors: u64,
    /// A file could not be read to its end.
    unread: bool,
    /// No line of a file parsed: it is in another format, or no log.
    foreign: bool,
}

impl Said {
    /// Says on stderr what of a file was not read or did not parse.
    fn of(&mut self, file: &Path, told: Told) {
        let Told { lines, errors, faults, broken, format, .. } = told;
        self.lines += lines;
        self.errors += errors;
        let file = file.display();
        if let Some(error) = broken {
            eprintln!("graftd: {file}: {error}");
            self.unread = true;
        }
        for fault in &faults {
            eprintln!("graftd: {file}: line {}: {}: {:?}", fault.line, fault.why, fault.sample);
        }
        if errors == 0 {
            return;
        }
        let all_named = errors <= faults.len() as u64;
        let named = if all_named { String::new() } else { format!(" (the first {} are named)", faults.len()) };
        eprintln!("graftd: {file}: {errors} of {lines} lines did not parse{named}");
        if errors == lines {
            eprintln!("graftd: {file}: no line is in the format {format:?}");
            self.foreign = true;
        }
    }
}

/// Says which pipes broke; whether any did.
fn complain_of_pipes(reports: Vec<PipeReport>) -> bool {
    let broken = reports.into_iter().filter_map(|report| Some((report.fault?, report.callee)));
    // The pipes of several threads mostly break for one reason.
    let said: BTreeSet<String> =
        broken.map(|(fault, callee)| format!("graftd: module {}: {fault}", callee.module)).collect();
    said.iter().for_each(|said| eprintln!("{said}"));
    !said.is_empty()
}
