//! `graftd ingest`: logs through the pipes, without a daemon.

use super::read::{AUTO, Lines, beginning, read_lines};
use super::{Dirs, Failure, dirs, show};
use crate::clock::Timepiece;
use crate::ingest::format::{Format, first_lines, guess};
use crate::ingest::{PipeRun, Remember, Solo};
use crate::json::{Shape, write_view};
use crate::module::{
    Branch, Folders, Library, PipeBody, Planned, check_conf, is_gmond_c, look, plan, python_pipe, refusal,
};
use crate::tree::{Hit, Pattern, Tree, Want};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Read access logs through the pipes and print the tree.
///
/// The pipes are those that a daemon with the same folders would run. A line that does not parse is counted and the
/// first few are named; the rest go on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
graftd ingest /var/log/nginx/access.log\n  \
zcat access.log.*.gz | graftd ingest - --json\n  \
graftd ingest --format '$remote_addr [$time_local] \"$request\" $status' access.log")]
pub(super) struct Ingest {
    /// Files to read, one after another; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// auto (tells each file's from its lines), combined, common, timed, vhost_combined, json, w3c, json:FIELD=KEY,…, an
    /// nginx log_format or an Apache LogFormat; see check-format
    #[arg(long, value_name = "NAME|STRING", default_value = AUTO)]
    format: String,
    /// Print the tree as JSON, whole
    #[arg(long)]
    json: bool,
    /// Print every key; without it each node shows its ten heaviest
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    dirs: Dirs,
}

/// How often the pipes flush: as in the daemon, so that what a delta may hold bounds memory here too.
const TICK: Duration = Duration::from_secs(1);

impl Ingest {
    pub(super) fn run(self) -> Result<(), Failure> {
        let auto = self.format.trim() == AUTO;
        // Until the first lines say more.
        let format = if auto { "combined" } else { &self.format };
        let format = Format::compile(format).map_err(|error| Failure::usage(format_args!("--format: {error}")))?;
        let folders = self.dirs.folders()?;
        let conf = dirs::daemon_conf(&folders)?;
        let clock = Timepiece::start();
        let mut reading = Reading {
            engine: Solo::new(format.clone(), clock, Remember::First),
            format,
            auto,
            tree: Tree::new(conf.limits.into(), TICK, 0),
            clock,
            flushed: Instant::now(),
            progress: ProgressBar::hidden(),
            told: (0, 0),
        };
        for run in pipes(&folders, &conf.host_name())? {
            reading.engine.put(run);
        }
        let (mut unread, mut foreign) = (false, false);
        for file in &self.files {
            if let Err(error) = reading.file(file) {
                eprintln!("graftd: {}: {error}", file.display());
                unread = true;
            }
            foreign |= !reading.complain(file);
        }
        reading.flush();
        reading.tree.end_tick(clock.unix_ms());
        let broken = reading.complain_of_pipes();
        if foreign && reading.engine.stats().errors == reading.engine.stats().lines {
            return Err(Failure::work("nothing was read; see --format"));
        }
        self.print(&reading.tree)?;
        match (unread, foreign) {
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

/// Loads every pipe that is to run.
fn pipes(folders: &Folders, host: &str) -> Result<Vec<PipeRun>, Failure> {
    let Some(plugins) = &folders.plugins else {
        return Err(Failure::usage(
            "there is no plugins folder, so no pipe to read a log through; name one with --plugins DIR",
        ));
    };
    let seen = look(folders).map_err(Failure::usage)?;
    let mut pipes = Vec::new();
    for (name, plan) in plan(&seen) {
        let loaded = match plan.what {
            Planned::Off(_) | Planned::BuiltIn(_) => continue,
            Planned::Rejected(why) => Err(why),
            Planned::Run { plugin, conf } if plugin.is_python() => {
                python_pipe(&name, &plugin.path, &conf, Some(plugins), host)
                    .map(|found| {
                        found.map(|(branch, wants, pipe)| PipeRun::alone(&name, &branch, conf.by.as_ref(), wants, pipe))
                    })
                    .map_err(|refusal| refusal.why)
            }
            // A collector, and none to be loaded here.
            Planned::Run { plugin, .. } if is_gmond_c(&plugin.path) => Ok(None),
            Planned::Run { plugin, conf } => Library::load(&plugin.path).and_then(|library| {
                if !library.is_pipe() {
                    return Ok(None);
                }
                let declared = library.declared();
                check_conf(&declared, &conf)?;
                let branch = Branch::of(&name, &conf, &declared, host)?;
                let pipe = library.pipe(&conf.params).map_err(|error| refusal(&error, &conf).why)?;
                Ok(Some(PipeRun::alone(&name, &branch, conf.by.as_ref(), library.wants(), PipeBody::here(pipe))))
            }),
        };
        match loaded {
            Ok(run) => pipes.extend(run),
            Err(why) => eprintln!("graftd: module {name}: rejected: {why}"),
        }
    }
    if pipes.is_empty() {
        let plugins = plugins.display();
        return Err(Failure::usage(format_args!(
            "{plugins}: no pipe to read a log through; name their folder with --plugins, or build them with `make build`"
        )));
    }
    Ok(pipes)
}

struct Reading {
    engine: Solo,
    /// The format that is read.
    format: Format,
    /// Each file's is told from its lines.
    auto: bool,
    tree: Tree,
    clock: Timepiece,
    flushed: Instant,
    progress: ProgressBar,
    /// Lines, and those that did not parse, of the files before.
    told: (u64, u64),
}

impl Reading {
    fn file(&mut self, file: &Path) -> io::Result<()> {
        self.engine.begin_file();
        if file == Path::new("-") {
            self.progress = progress(None);
            let read = self.read(file, io::stdin().lock());
            self.progress.finish_and_clear();
            return read;
        }
        let open = File::open(file)?;
        let meta = open.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::other("is a folder, not a log"));
        }
        self.progress = progress(meta.is_file().then_some(meta.len()));
        let read = self.read(file, open);
        self.progress.finish_and_clear();
        read
    }

    fn read(&mut self, file: &Path, mut from: impl Read) -> io::Result<()> {
        if !self.auto {
            return read_lines(from, self);
        }
        let begins = beginning(&mut from)?;
        let text = String::from_utf8_lossy(&begins.bytes);
        let guess = guess(&first_lines(&text, begins.whole));
        // Of nothing there is nothing to say.
        if guess.lines > 0 {
            self.progress.suspend(|| eprintln!("graftd: {}: {}", file.display(), guess.said));
            if guess.format.spec() != self.format.spec() {
                self.format = guess.format;
                self.engine.change_format(self.format.clone());
            }
        }
        read_lines(begins.bytes.as_slice().chain(from), self)
    }

    fn flush(&mut self) {
        let now_ms = self.clock.unix_ms();
        for (branch, frame) in self.engine.flush() {
            let keys: Vec<&str> = branch.keys.iter().map(String::as_str).collect();
            if let Some((depth, action)) = branch.action {
                self.tree.set_action(&keys[..depth.min(keys.len())], action);
            }
            if let Err(error) = self.tree.merge(&keys, &frame, now_ms) {
                eprintln!("graftd: the delta of {} cannot be merged: {error}", keys.join(","));
            }
        }
        self.tree.end_tick(now_ms);
        self.flushed = Instant::now();
    }

    /// Says on stderr what of a file did not parse. Whether any of it did: a file of which no line parses is in
    /// another format, or no log.
    fn complain(&mut self, file: &Path) -> bool {
        let stats = self.engine.stats();
        let (lines, errors) = (stats.lines - self.told.0, stats.errors - self.told.1);
        self.told = (stats.lines, stats.errors);
        let file = file.display();
        for fault in &stats.faults {
            eprintln!("graftd: {file}: line {}: {}: {:?}", fault.line, fault.why, fault.sample);
        }
        if errors == 0 {
            return true;
        }
        let all_named = errors <= stats.faults.len() as u64;
        let named = if all_named { String::new() } else { format!(" (the first {} are named)", stats.faults.len()) };
        eprintln!("graftd: {file}: {errors} of {lines} lines did not parse{named}");
        if errors == lines {
            eprintln!("graftd: {file}: no line is in the format {:?}", self.format.spec());
        }
        errors < lines
    }

    /// Says which pipes broke; whether any did.
    fn complain_of_pipes(&mut self) -> bool {
        let mut broken = false;
        for report in self.engine.take_reports() {
            if let Some(fault) = report.fault {
                eprintln!("graftd: module {}: {fault}", report.callee.module);
                broken = true;
            }
        }
        broken
    }
}

impl Lines for Reading {
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

/// On a terminal only, and on stderr: bytes, speed and what is left.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, style) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    // The template is fixed, so it is good.
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
