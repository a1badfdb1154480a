//! `graftd trend`: history, from a running daemon; and what is done with it where none runs.

use super::client::{Server, json, text};
use super::error::{print, unless_pipe_closed};
use super::show::trend as table;
use super::{Dirs, Failure, dirs, run};
use crate::clock::Timepiece;
use crate::conf::TrendConf;
use crate::limits::LINE_BYTES_MAX;
use crate::trend::tools::{
    ExportError, Form, Importer, Refused, Store, check as check_all, export, parse_line, parse_text,
};
use crate::trend::{FILE, OpenError, Range, Reader, Retention};
use crate::when::parse_time;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read};
use std::path::{Path, PathBuf};

/// How values went on: ask a running daemon, or export, import, check and compact what it keeps.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(
    after_help = "Examples:\n  graftd trend status,200 --from -1d\n  graftd trend 'cpu,*,idle' --from -1h --step 1m --csv\n  \
graftd trend bytes --as rate\n  graftd trend export --data /var/lib/graftd > all.csv\n  \
graftd trend import --data /var/lib/graftd all.csv"
)]
pub(super) struct Trend {
    #[command(subcommand)]
    tool: Option<Tool>,
    /// Paths: keys joined by commas; an empty key folds all keys there, * lists each
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// From when: -1h, 2026-01-05T00:00:00Z, or seconds since 1970 [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Length of a step: 10s, 1m, 1h, 1d, raw, or all for one step [default: what gives up to 1,000 steps]
    #[arg(long, value_name = "TIME")]
    step: Option<String>,
    /// Figures of a step, joined by commas: value, rate, mean, min, max, last, sum, count; of sketches p50, p90, p95, p99, p999,
    /// distinct [default: value]
    #[arg(long = "as", value_name = "FIGURE")]
    figure: Option<String>,
    /// Fold keys by sum, mean, min, max or last, whatever their action is
    #[arg(long, value_name = "HOW")]
    fold: Option<String>,
    /// Where history is asked for, where there is more of it than one: sqlite or prometheus
    #[arg(long)]
    engine: Option<String>,
    /// Print CSV, with a column for each path, empty steps too
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print the answer as the daemon sent it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Print all samples but what is left as days alone; the daemon may run meanwhile
    Export(Export),
    /// Take samples in, as CSV or Prometheus text with timestamps; no daemon may run meanwhile
    #[command(
        after_help = "They become series of their own beside those of the daemon: its tree does not change by it. Of one time \
the last counts; where minutes are kept already, one that comes again the same is there once, and any other is added."
    )]
    Import(Import),
    /// Read everything, and compare what the tree holds with the end of its history
    Check(Data),
    /// Pack everything, roll up what is old, and give back the room; no daemon may run meanwhile
    Compact(Compact),
}

#[derive(Args, Debug)]
struct Data {
    /// The daemon's folder [default: data/ of the checkout, or /var/lib/graftd]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Compact {
    #[command(flatten)]
    data: Data,
    /// Folder with graftd.conf, whose [trend] says what is old [default: conf/ of the checkout, or /etc/graftd]
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Prometheus,
}

impl From<Format> for Form {
    fn from(format: Format) -> Form {
        match format {
            Format::Csv => Form::Csv,
            Format::Prometheus => Form::Prometheus,
        }
    }
}

#[derive(Args, Debug)]
struct Export {
    #[command(flatten)]
    data: Data,
    /// At and below this path [default: everything]
    #[arg(value_name = "PATH", default_value = "", hide_default_value = true)]
    path: String,
    /// From when [default: the beginning]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Until when [default: the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// How samples are written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
}

#[derive(Args, Debug)]
struct Import {
    #[command(flatten)]
    data: Data,
    /// Files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How samples are written [default: told from the first line]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// Faults of the input that are told one by one.
const FAULTS_TOLD: u64 = 10;

impl Trend {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.tool {
            None => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                for path in &self.paths {
                    query.append_pair("key", path);
                }
                for (name, value) in [
                    ("from", self.from.as_deref()),
                    ("to", self.to.as_deref()),
                    ("step", self.step.as_deref()),
                    ("as", self.figure.as_deref()),
                    ("fold", self.fold.as_deref()),
                    ("engine", self.engine.as_deref()),
                    ("format", self.csv.then_some("csv")),
                ] {
                    if let Some(value) = value {
                        query.append_pair(name, value);
                    }
                }
                let mut answer = self.server.get(&format!("/trend/?{}", query.finish()), "*/*")?;
                let answer = text(&mut answer)?;
                if self.csv || self.json {
                    return print(answer.trim_end());
                }
                let lines = table(&json(&answer)?);
                if lines.is_empty() {
                    eprintln!("graftd: there is nothing at {} in this time", self.paths.join(", "));
                }
                lines.iter().try_for_each(|line| print(line))
            }
            Some(Tool::Export(export)) => export.run(),
            Some(Tool::Import(import)) => import.run(),
            Some(Tool::Check(data)) => check(&data),
            Some(Tool::Compact(compact)) => compact.run(),
        }
    }
}

impl Data {
    fn folder(&self) -> Result<PathBuf, Failure> {
        dirs::data(self.data.as_deref())
    }
}

fn opened(file: &Path, make: bool, trend: TrendConf) -> Result<Store, Failure> {
    if !make || file.exists() {
        there(file)?;
    }
    Store::open(file, make, Retention::from(trend)).map_err(|error| {
        let (OpenError::Foreign(why) | OpenError::Failed(why)) = error;
        Failure::work(format_args!("{}: {why}", file.display()))
    })
}

/// Whether there is a file to be read.
fn there(file: &Path) -> Result<(), Failure> {
    match file.metadata() {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => Err(Failure::work(format_args!("{} is no file", file.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::work(format_args!(
            "{} is not there: no daemon has kept anything in this folder; name another with --data DIR",
            file.display()
        ))),
        Err(error) => Err(Failure::work(format_args!("{}: {error}", file.display()))),
    }
}

/// A bar on a terminal, for so many steps; none elsewhere.
fn bar(steps: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(5));
    // The template is fixed, so it is good.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn now_ms() -> i64 {
    Timepiece::start().unix_ms()
}

fn time(name: &str, text: Option<&str>, default: i64) -> Result<i64, Failure> {
    let Some(text) = text else { return Ok(default) };
    parse_time(text, now_ms()).ok_or_else(|| {
        Failure::usage(format_args!(
            "--{name} {text}: must be a time such as -1h, now, 1767571200 (seconds since 1970) or 2026-01-05T00:00:00Z"
        ))
    })
}

impl Export {
    fn run(self) -> Result<(), Failure> {
        let file = self.data.folder()?.join(FILE);
        there(&file)?;
        let range =
            Range { from: time("from", self.from.as_deref(), 0)?, to: time("to", self.to.as_deref(), i64::MAX / 2)? };
        if range.from >= range.to {
            return Err(Failure::usage("--from must be before --to"));
        }
        let failed = |error: &dyn std::fmt::Display| Failure::work(format_args!("{}: {error}", file.display()));
        let reader = Reader::open(&file).map_err(|error| failed(&error))?;
        let bar = bar(0, "{spinner} {pos} samples, {per_sec}");
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let done = export(&reader, &self.path, range, self.format.into(), &mut out, |samples| bar.inc(samples));
        bar.finish_and_clear();
        match done {
            Ok(0) => {
                eprintln!("graftd: there is nothing at this path and below it in this time");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(ExportError::Output(error)) => unless_pipe_closed(Err(error)),
            Err(ExportError::Failed(error)) => Err(failed(&error)),
        }
    }
}

impl Import {
    fn run(self) -> Result<(), Failure> {
        let data = self.data.folder()?;
        let _lock = run::lock(&data)?;
        let file = data.join(FILE);
        // It rolls nothing up: how long what is kept does not matter.
        let mut store = opened(&file, true, TrendConf::default())?;
        let failed = |error: &dyn std::fmt::Display| Failure::work(format_args!("{}: {error}", file.display()));
        let mut importer = Importer::new(&mut store).map_err(|error| failed(&error))?;
        let sizes = self.files.iter().map(|file| file.metadata().map(|meta| meta.len()));
        let bytes: u64 = sizes.sum::<io::Result<u64>>().unwrap_or(0);
        let bar = bar(bytes, "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
        let mut counted = Counted::default();
        for name in &self.files {
            let told = |error: io::Error| Failure::work(format_args!("{}: {error}", name.display()));
            let input: Box<dyn io::Read> = if name == Path::new("-") {
                Box::new(io::stdin().lock())
            } else {
                Box::new(File::open(name).map_err(told)?)
            };
            let mut input = BufReader::with_capacity(1 << 18, input);
            let mut form = self.format.map(Form::from);
            let (mut line, mut number) = (Vec::new(), 0_u64);
            loop {
                line.clear();
                let read = input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).map_err(told)?;
                if read == 0 {
                    break;
                }
                bar.inc(read as u64);
                number += 1;
                // As some programs begin a file in UTF-8 with.
                if number == 1 && line.starts_with(b"\xef\xbb\xbf") {
                    line.drain(..3);
                }
                let at = format_args!("{}:{number}", name.display());
                let Ok(text) = std::str::from_utf8(line.trim_ascii_end()) else {
                    counted.fault(&bar, &at, &"it is not UTF-8");
                    continue;
                };
                if text.is_empty() {
                    continue;
                }
                let form = *form.get_or_insert_with(|| Form::guess(text));
                if let Some(read) = parse_text(form, text) {
                    match read.map(|text| importer.add_text(form, text)) {
                        Ok(Ok(())) => counted.samples += 1,
                        Ok(Err(Refused::Failed(error))) => return Err(failed(&error)),
                        Ok(Err(why)) => counted.fault(&bar, &at, &why),
                        Err(why) => counted.fault(&bar, &at, &why),
                    }
                    continue;
                }
                match parse_line(form, text) {
                    Ok(None) => {}
                    Err(why) => counted.fault(&bar, &at, &why),
                    Ok(Some(sample)) => match importer.add(form, sample) {
                        Ok(()) => counted.samples += 1,
                        Err(Refused::Failed(error)) => return Err(failed(&error)),
                        Err(why) => counted.fault(&bar, &at, &why),
                    },
                }
            }
        }
        let series = importer.series();
        importer.finish().map_err(|error| failed(&error))?;
        bar.finish_and_clear();
        let Counted { samples, faults } = counted;
        print(&format!("{samples} samples of {series} series"))?;
        if faults > 0 {
            return Err(Failure::work(format_args!("{faults} lines were no samples and have been passed over")));
        }
        Ok(())
    }
}

/// What an import came to.
#[derive(Debug, Default)]
struct Counted {
    samples: u64,
    faults: u64,
}

impl Counted {
    fn fault(&mut self, bar: &ProgressBar, at: &dyn std::fmt::Display, why: &dyn std::fmt::Display) {
        self.faults += 1;
        if self.faults <= FAULTS_TOLD {
            bar.suspend(|| eprintln!("{at}: {why}"));
        }
    }
}

fn check(data: &Data) -> Result<(), Failure> {
    let file = data.folder()?.join(FILE);
    there(&file)?;
    let failed = |error: &dyn std::fmt::Display| Failure::work(format_args!("{}: {error}", file.display()));
    let reader = Reader::open(&file).map_err(|error| failed(&error))?;
    let packs = reader.snapshot().and_then(|snapshot| snapshot.packs()).map_err(|error| failed(&error))?;
    let bar = bar(packs, "{bar:30} {pos}/{len} packs, {eta} left");
    let checked = check_all(&reader, || bar.inc(1)).map_err(|error| failed(&error))?;
    bar.finish_and_clear();
    print(&format!(
        "{} samples in {} packs of {} bytes; {} totals are as their history ends; sketches in {} rows of {} bytes, {} have been \
         fed what their history has",
        checked.samples,
        checked.packs,
        checked.bytes,
        checked.totals,
        checked.sketch_rows,
        checked.sketch_bytes,
        checked.counts
    ))?;
    if let Some(remark) = checked.remark {
        eprintln!("graftd: {remark}");
    }
    if checked.damages.is_empty() {
        return Ok(());
    }
    Err(Failure::work(format_args!("{}: damaged:\n  {}", file.display(), checked.damages.join("\n  "))))
}

impl Compact {
    fn run(self) -> Result<(), Failure> {
        let dirs = Dirs { conf: self.conf, ..Dirs::default() };
        let conf = dirs::daemon_conf(&dirs.folders()?)?;
        let data = self.data.folder()?;
        let _lock = run::lock(&data)?;
        compact(&data.join(FILE), conf.trend)
    }
}

fn compact(file: &Path, trend: TrendConf) -> Result<(), Failure> {
    let mut store = opened(file, false, trend)?;
    let size = || file.metadata().map_or(0, |meta| meta.len());
    let before = size();
    let failed = |error: &dyn std::fmt::Display| Failure::work(format_args!("{}: {error}", file.display()));
    let bar = bar(store.blocks().map_err(|error| failed(&error))?, "{bar:30} {pos}/{len} blocks, {eta} left");
    let passed = store.passed(now_ms()).map_err(|error| failed(&error))?;
    if !passed.doubt().is_empty() {
        eprintln!("graftd: {}", passed.doubt());
    }
    store.compact(passed.now(), || bar.inc(1)).map_err(|error| failed(&error))?;
    bar.finish_and_clear();
    print(&format!("{} bytes, {before} before", size()))
}
