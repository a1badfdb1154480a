//! `graftd ingest`: logs through the pipes, without a daemon.
//!
//! [`files`] says which, [`part`] cuts them into parts, [`unpack`] unpacks them (by [`pieces`] and [`zstd`]), [`reader`] reads one through pipes of its
//! own, [`team`] does so with several threads. [`summary`] is what is printed of it.

mod at_time;
mod files;
mod part;
mod pauses;
mod pieces;
mod pipes;
mod progress;
mod push;
mod reader;
mod steps;
mod summary;
mod team;
mod times;
mod unpack;
mod zstd;

pub(super) use files::{bytes, files};
pub(super) use pauses::is_pause;
pub(super) use progress::Progress;
pub(super) use push::Pushed;

use super::client::{Server, Trust};
use super::error::print;
use super::read::AUTO;
use super::{Dirs, Failure, dirs, run, show};
use crate::clock::Timepiece;
use crate::ingest::format::Format;
use crate::ingest::{Frames, PipeReport};
use crate::json::{Shape, write_view};
use crate::limits::{INGEST_THREADS_MAX, LINE_FAULTS_MAX};
use crate::tree::{Hit, Pattern, Tree, Want};
use crate::trend::Retention;
use at_time::AtTime;
use clap::Args;
use part::Part;
use pipes::pipes;
use reader::{Reader, TICK, Told};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use steps::Steps;
use summary::Shown;

/// Read access logs through the pipes, and print what they came to.
///
/// Files may be packed (gzip, zstd, bzip2: told by their content, not by their names), patterns in quotes, or - for standard
/// input. Each file's format is told from its lines, or given. The pipes are those that a daemon with the same folders would
/// run; no daemon is needed.
///
/// A line that does not parse is counted and the first few of a file are named; the rest go on. Nothing in a log stops the
/// reading. Of a packed file that is cut off the lines before that count; garbage behind one is passed over and said.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
graftd ingest /var/log/nginx/access.log\n  \
graftd ingest '/var/log/nginx/access.log*'          all rotations, packed ones too\n  \
ssh web1 cat /var/log/nginx/access.log.2.gz | graftd ingest -\n  \
graftd ingest --threads 4 --json access.log.*\n  \
graftd ingest --format '$remote_addr [$time_local] \"$request\" $status' access.log\n  \
graftd ingest --push http://127.0.0.1:8650 access.log\n  \
graftd ingest --at-time --data /var/lib/graftd '/var/log/nginx/access.log*'\n\n\
What is printed is a summary of the branches that are there; --tree prints the tree, --json all of it. What concerns the \
reading (formats, lines that did not parse, how far it is) goes to stderr. From when to when a log is, is exact up to a \
megabyte; of a larger one the first and last line of each 256 KiB are looked at.\n\n\
--push sends the lines themselves, as POST /push takes them (formats combined and timed): the daemon's pipes fold them, for \
sketches (percentiles, visitors, tops) cannot be sent as JSON. They count as if they came now, whatever times they have, and \
what is pushed twice counts twice. An answer that refuses them ends it; what was taken before stays.\n\n\
--at-time makes a chart of an old log: what its lines came to goes into the history at their own times, in steps of ten \
seconds, or a minute where they are older than [trend] raw, two days. The files may be named in any order, but must follow each other: logs that \
ran side by side, such as those of two servers, must be merged by time before. The daemon's tree does not change by it; it must not run meanwhile.\n\n\
Exit codes: 0 all was read, though lines may not have parsed; 1 a file could not be read, or no line of one parsed; 2 it was \
asked wrongly.")]
pub(super) struct Ingest {
    /// Files or patterns in quotes; - is standard input
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
    /// Print the tree, of each node the ten heaviest
    #[arg(long, conflicts_with = "json")]
    tree: bool,
    /// Print the tree with every key
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Hand the lines to the daemon at this address, and print how many it took
    #[arg(long, value_name = "URL", conflicts_with_all = ["json", "tree", "all", "threads"])]
    push: Option<String>,
    /// With --push: file with the daemon's token, where it has one [default: the token in $GRAFTD_TOKEN]
    #[arg(long, value_name = "FILE", requires = "push")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Keep what the lines come to at their own times as history, in the data folder of a daemon that does not run
    #[arg(long, conflicts_with_all = ["push", "threads"])]
    at_time: bool,
    /// With --at-time: the data folder [default: data/ of the checkout, or /var/lib/graftd]
    #[arg(long, value_name = "DIR", requires = "at_time")]
    data: Option<PathBuf>,
    #[command(flatten)]
    dirs: Dirs,
}

impl Ingest {
    pub(super) fn run(self) -> Result<(), Failure> {
        let format = self.format()?;
        if let Some(url) = &self.push {
            return self.push(url, format.as_ref());
        }
        let folders = self.dirs.folders()?;
        let conf = dirs::daemon_conf(&folders)?;
        let clock = Timepiece::start();
        let files = files::files(&self.files)?;
        let progress = Progress::over(files::bytes(&files));
        let mut parts = part::parts(&files, self.threads.into(), format.is_none().then_some(&progress));
        let threads = usize::from(self.threads).min(parts.len());
        let (mut teams, mut branches) = (Vec::with_capacity(threads), Vec::new());
        for _ in 0..threads {
            let (pipes, hang) = pipes(&folders, &conf.host_name())?;
            teams.push(pipes);
            branches = hang;
        }
        let mut into = Into { tree: Tree::new(conf.limits.into(), TICK, 0), clock, ended: Instant::now(), kept: None };
        let _lock = if self.at_time {
            at_time::in_order(&mut parts, format.as_ref());
            let data = dirs::data(self.data.as_deref())?;
            let lock = run::lock(&data)?;
            into.kept = Some(AtTime::new(&data, conf.trend, &mut into.tree)?);
            Some(lock)
        } else {
            None
        };
        let mut said = Said::default();
        let merge = |frames, ended| into.merge(frames, ended);
        let reports = match <[_; 1]>::try_from(teams) {
            Ok([pipes]) => {
                let mut reader = Reader::new(format, clock, progress.clone(), pipes, merge);
                if self.at_time {
                    reader = reader.by_steps(Steps::new(clock.unix_ms(), Retention::from(conf.trend).raw_ms));
                }
                for part in &parts {
                    let told = reader.read(part);
                    progress.aside(|| said.of(&part.path, told));
                }
                progress.end();
                said.of_another = reader.of_another();
                reader.end()
            }
            Err(teams) => {
                let (told, reports) =
                    team::read(&parts, format.as_ref(), clock, teams, &progress, |frames| into.merge(frames, None));
                progress.end();
                for (file, told) in files.iter().zip(by_file(files.len(), &parts, told)) {
                    said.of(file, told);
                }
                reports
            }
        };
        if let Some(kept) = into.kept.take() {
            kept.finish()?;
        } else {
            into.tree.end_tick(clock.unix_ms());
        }
        let broken = complain_of_pipes(reports);
        if said.foreign && said.all.errors == said.all.lines {
            return Err(Failure::work("nothing was read; see --format"));
        }
        if said.of_another > 0 {
            eprintln!(
                "graftd: {} lines are more than an hour older than others before them, and are kept at the times of those: logs that \
                 ran side by side must be merged by time before",
                said.of_another
            );
        }
        self.print(&into.tree, &branches, files.len(), &said.all)?;
        match (said.unread, said.foreign) {
            _ if broken => Err(Failure::work("not every pipe got to the end, so its branch is not whole")),
            (true, _) => Err(Failure::work("not every file could be read")),
            (_, true) => Err(Failure::work("not every file is in that format; see --format")),
            // Some requests last so long; more of them are another log.
            _ if said.of_another > said.all.lines / 100 => {
                Err(Failure::work("the logs overlap, so that their chart is wrong"))
            }
            _ => Ok(()),
        }
    }

    /// Hands the lines to a daemon.
    fn push(&self, url: &str, format: Option<&Format>) -> Result<(), Failure> {
        let server = Server::at_url(url.to_owned(), self.token_file.clone(), self.trust.clone())?;
        let push::Pushed { merged, rejected, unread } = lines_of(&server, &self.files, format)?;
        print(&format!("pushed {merged}, {rejected} did not parse"))?;
        if unread {
            return Err(Failure::work("not every file could be pushed"));
        }
        if merged == 0 && rejected > 0 {
            return Err(Failure::work("no line parsed; see --format"));
        }
        Ok(())
    }

    /// The format that is given; `None` where each file's is to be told from its lines.
    fn format(&self) -> Result<Option<Format>, Failure> {
        if self.format.trim() == AUTO {
            return Ok(None);
        }
        let compiled = Format::compile(&self.format);
        compiled.map(Some).map_err(|error| Failure::usage(format_args!("--format: {error}")))
    }

    fn print(&self, tree: &Tree, branches: &[Shown], files: usize, all: &Told) -> Result<(), Failure> {
        let mut out = Vec::new();
        if self.json {
            let shape = Shape { want: Want::Value, depth: usize::MAX, limit: usize::MAX };
            for (_, hit) in tree.select(&Pattern::default(), Want::Value, 1) {
                if let Hit::Node(root) = hit {
                    write_view(&mut out, &root, shape);
                }
            }
            out.push(b'\n');
        } else if self.tree || self.all {
            show::tree(&mut out, tree, if self.all { usize::MAX } else { 10 });
        } else {
            out.extend_from_slice(summary::summary(tree, branches, files, all).as_bytes());
        }
        super::error::unless_pipe_closed(io::stdout().lock().write_all(&out))
    }
}

/// Hands the lines of files to a daemon; the format of each is told from its lines.
///
/// # Errors
/// The daemon does not answer, or answers that it does not take them.
pub(super) fn push_lines(server: &Server, named: &[PathBuf]) -> Result<Pushed, Failure> {
    lines_of(server, named, None)
}

fn lines_of(server: &Server, named: &[PathBuf], format: Option<&Format>) -> Result<Pushed, Failure> {
    let files = files::files(named)?;
    let progress = Progress::over(files::bytes(&files));
    let pushed = push::push(server, &part::parts(&files, 1, None), format, &progress);
    progress.end();
    pushed
}

/// A file as it was before it was packed, its progress counted. Where it [pauses](is_pause), a read says so.
///
/// # Errors
/// It cannot be read.
pub(super) fn open(file: &Path, progress: &Progress) -> io::Result<Box<dyn io::Read>> {
    part::Part::whole(0, file).open_pausing(progress)
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
    /// Where its history goes.
    kept: Option<AtTime>,
}

impl Into {
    /// Merges what was folded, and keeps what the tree is at the end of a step of the lines' own times.
    fn merge(&mut self, frames: Frames, ended: Option<i64>) {
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
        if let Some(kept) = &mut self.kept {
            if let Some(stamp) = ended {
                kept.keep(&mut self.tree, stamp);
            }
        } else if self.ended.elapsed() >= TICK {
            self.tree.end_tick(now_ms);
            self.ended = Instant::now();
        }
    }
}

/// What was said of all files.
#[derive(Debug, Default)]
struct Said {
    /// Of all files together.
    all: Told,
    /// A file could not be read to its end.
    unread: bool,
    /// No line of a file parsed: it is in another format, or no log.
    foreign: bool,
    /// Lines that are of another log than those before them, by their times.
    of_another: u64,
}

impl Said {
    /// Says on stderr what of a file was not read or did not parse.
    fn of(&mut self, file: &Path, told: Told) {
        let Told { lines, errors, faults, broken, format, bytes, span, .. } = told;
        self.all.follow(Told { lines, errors, bytes, span, ..Told::default() }, 0);
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
