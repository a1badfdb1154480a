//! Tries a plugin in a process of its own, before the daemon lets it in.
//!
//! The child loads the plugin, makes its module and has it work once, and says on its standard output what it has come to, step by
//! step; so whatever kills it, or stops it from coming back, it is known at which step. What the plugin prints by itself is told
//! apart by a word that only the two know; its last lines are kept, for what dies often says why.

mod death;
mod elf;
mod misfit;

use super::branch::Branch;
use super::library::{Declared, Library};
use super::load::check_conf;
use crate::clock::Timepiece;
use crate::conf::ModuleConf;
use crate::ingest::format::{Decoded, Format};
use crate::limits::{PLUGIN_BYTES_MAX, PROBE_MEMORY_BYTES, PROBE_TIME_MAX};
use death::Death;
pub(super) use misfit::readable;
use parking_lot::Mutex;
use plugin_api::ErrorKind;
use plugin_api::limits::cut;
use rustix::io::fcntl_getfd;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, set_parent_process_death_signal, setrlimit,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// Why a plugin is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one readable line.
    pub why: String,
    /// It may have been the moment's fault and not the plugin's: to be tried again.
    pub again: bool,
}

impl Refusal {
    /// The moment's fault, perhaps.
    pub(crate) fn now(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), again: true }
    }
}

impl From<String> for Refusal {
    /// The plugin's fault.
    fn from(why: String) -> Refusal {
        Refusal { why, again: false }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// What came of making a module or having it work once: only what will not be better next time keeps it out.
pub(crate) fn refusal(error: &plugin_api::Error, conf: &ModuleConf) -> Refusal {
    let why = if error.kind() == ErrorKind::Config { conf.place(error.message()) } else { error.to_string() };
    Refusal { why, again: error.kind() == ErrorKind::Failed }
}

/// What a plugin turned out to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// Its own version.
    pub version: String,
    /// `pipe` or `collector`.
    pub kind: String,
    /// Where its branch would hang.
    pub path: String,
    /// The branch's action.
    pub action: String,
    /// What it says of itself.
    pub declared: Declared,
    /// What it said instead of a sample, where there was none to be had now.
    pub no_data: Option<String>,
    /// How long the steps of the probe took.
    #[serde(default)]
    pub took: Took,
}

/// How long the steps of a probe took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Took {
    /// To load it: `dlopen` and the check of its layout.
    pub load_ms: f64,
    /// The module's `new`.
    pub new_ms: f64,
    /// One batch with its flush, or one collect.
    pub work_ms: f64,
    /// The whole probe, with its process.
    pub all_ms: f64,
}

/// In milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// The steps of a probe, as they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// `dlopen`, which runs the object's constructors, and the check of the layout.
    Load,
    /// The module's `new`.
    New,
    /// One batch, or one collect.
    Work,
    /// The module is dropped, and the library unloaded.
    Drop,
}

impl Step {
    /// Fills in how long a step took that is over.
    fn took(self, time: Duration, took: &mut Took) {
        match self {
            Step::Load => took.load_ms = ms(time),
            Step::New => took.new_ms = ms(time),
            Step::Work => took.work_ms = ms(time),
            Step::Drop => {}
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Step::Load => "while it was loaded",
            Step::New => "in its new()",
            Step::Work => "in its first call",
            Step::Drop => "while it was dropped",
        }
    }
}

/// Bytes of a line that the child may print: more than all it has to say about a plugin.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// The last lines of what a plugin printed that are kept, and how many bytes of each: what is said at the end of a process is
/// short, and may be followed by a remark or two.
const WORDS_LINES_MAX: usize = 3;
const WORDS_BYTES_MAX: usize = 200;

/// How long the child's last words may take to be read after it has ended: a busy machine is slow.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    At(Step),
    Is(Box<Probed>),
    Wrong { why: String, again: bool },
}

/// Probes a plugin, with the parameters of its `.on` if there is one.
///
/// # Errors
/// Why it may not be let in, in one readable line.
pub fn probe(file: &Path, conf: Option<&Path>) -> Result<Probed, Refusal> {
    let meta = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a folder" } else { "no regular file" };
        return Err(format!("is {what}, and a plugin is a file; take it away or name it otherwise").into());
    }
    if meta.len() > PLUGIN_BYTES_MAX {
        return Err(format!("is {} bytes long; a plugin has at most {PLUGIN_BYTES_MAX}; strip it", meta.len()).into());
    }
    elf::check(file)?;
    let word = format!("graftd-probe-{}-{}", std::process::id(), Timepiece::start().unix_ms());
    // This very image, also when its file has been replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.arg("probe").arg("--inside").arg(&word).arg(file);
    if let Some(conf) = conf {
        command.arg("--conf").arg(conf);
    }
    let lost = |error: &dyn std::fmt::Display| Refusal::now(format!("cannot be probed: {error}"));
    // What a plugin prints is nobody's: it could fill the daemon's log.
    let spawned = std::io::pipe().and_then(|(out, to)| {
        command.stdin(Stdio::null()).stdout(to.try_clone()?).stderr(to).process_group(0);
        let child = command.spawn()?;
        // Ours of the pipe's other end are closed, or it would never be read to the end.
        drop(command);
        Ok((Probing(child), out))
    });
    let (mut child, out) = spawned.map_err(|error| lost(&error))?;
    let began = Instant::now();
    let (lines, said) = channel();
    let words = Arc::new(Mutex::new(VecDeque::new()));
    let last_lines = Arc::clone(&words);
    let reader = thread::Builder::new().name("graftd-probe".to_owned()).spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        // What a plugin prints without end is read in pieces and dropped.
        while (&mut out).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            match text.split_once(&word).and_then(|(_, told)| told.split_once(' ')) {
                Some((us, json)) => {
                    let (Ok(us), Ok(said)) = (us.parse(), serde_json::from_str::<Said>(json)) else { continue };
                    if lines.send((said, Duration::from_micros(us))).is_err() {
                        break;
                    }
                }
                None => keep(&text, &mut last_lines.lock()),
            }
        }
    });
    reader.map_err(|error| lost(&error))?;
    let deadline = began + PROBE_TIME_MAX;
    let (mut step, mut since, mut took) = (Step::Load, Duration::ZERO, Took::default());
    let mut found: Option<Probed> = None;
    let mut ended: Option<ExitStatus> = None;
    let mut last_words = deadline;
    loop {
        match said.recv_timeout(Duration::from_millis(5)) {
            Ok((Said::At(now), at)) => {
                // The first is said when it begins to load: what was before is its process.
                if step != now {
                    step.took(at.saturating_sub(since), &mut took);
                }
                (step, since) = (now, at);
            }
            Ok((Said::Is(probed), _)) => found = Some(*probed),
            Ok((Said::Wrong { why, again }, _)) => return Err(Refusal { why, again }),
            // All is read; or something that the plugin started holds the pipe open.
            Err(RecvTimeoutError::Disconnected) if ended.is_some() => break,
            Err(RecvTimeoutError::Timeout) if ended.is_some() && Instant::now() > last_words => break,
            Err(error) => {
                ended = child.0.try_wait().map_err(|error| lost(&error))?;
                if ended.is_some() {
                    last_words = last_words.min(Instant::now() + LAST_WORDS_MAX);
                } else if error == RecvTimeoutError::Disconnected {
                    // It closed its output and lives on.
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        if Instant::now() > deadline {
            let limit = PROBE_TIME_MAX.as_secs();
            return Err(Refusal::now(format!("did not come back within {limit} s {}", step.doing())));
        }
    }
    match (found, ended) {
        (Some(probed), Some(status)) if status.success() => {
            took.all_ms = ms(began.elapsed());
            Ok(Probed { took, ..probed })
        }
        (_, Some(status)) => {
            Err(Death { status, doing: step.doing(), words: words.lock().make_contiguous() }.to_string().into())
        }
        (_, None) => Err(lost(&"its process got lost")),
    }
}

/// Keeps what a plugin printed, if it is among its last lines.
fn keep(line: &str, lines: &mut VecDeque<String>) {
    let line = cut(line.trim(), WORDS_BYTES_MAX);
    if !line.is_empty() {
        if lines.len() == WORDS_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// The process of a probe. Whatever comes of it, neither it nor what it started is left behind.
struct Probing(Child);

impl Drop for Probing {
    fn drop(&mut self) {
        // Its group: what a plugin forked has its number, unless it took pains.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// The child's side. What it has come to goes to standard output behind `word`.
pub fn inside(word: &str, file: &Path, conf: Option<&Path>) {
    limit(Resource::As, PROBE_MEMORY_BYTES);
    limit(Resource::Core, 0);
    limit(Resource::Cpu, PROBE_TIME_MAX.as_secs());
    // A daemon that is killed leaves no probe behind that never ends.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("graftd: the probe cannot be tied to its parent: {error}");
    }
    let said = match try_once(word, file, conf) {
        Ok(probed) => Said::Is(Box::new(probed)),
        Err(Refusal { why, again }) => Said::Wrong { why, again },
    };
    say(word, &said);
    // The standard library takes a closed output for one that nobody wants to read: nothing of the above was heard.
    if fcntl_getfd(std::io::stdout()).is_err() {
        std::process::exit(death::OUTPUT_CLOSED);
    }
}

/// A limit can only be lowered: one that is lower already holds.
fn limit(resource: Resource, most: u64) {
    let now = getrlimit(resource);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    if let Err(error) = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }) {
        eprintln!("graftd: a limit of the probe cannot be set: {error}");
    }
}

fn say(word: &str, said: &Said) {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let us = BEGAN.elapsed().as_micros();
    if let Ok(json) = serde_json::to_string(said) {
        // On a line of its own, whatever the plugin has printed.
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "\n{word}{us} {json}");
        let _ = out.flush();
    }
}

fn try_once(word: &str, file: &Path, conf: Option<&Path>) -> Result<Probed, Refusal> {
    let conf = match conf {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            ModuleConf::parse(path, &text).map_err(|error| error.to_string())?
        }
        None => ModuleConf::default(),
    };
    say(word, &Said::At(Step::Load));
    let library = Library::load(file)?;
    let declared = library.declared();
    check_conf(&declared, &conf)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("lib").unwrap_or(&name);
    let branch = Branch::of(name, &conf, &declared, "{host}")?;
    let mut probed = Probed {
        version: library.version().to_owned(),
        kind: if library.is_pipe() { "pipe" } else { "collector" }.to_owned(),
        path: crate::tree::encode_path(branch.keys.iter().map(String::as_str)),
        action: branch.action.map_or_else(|| "add".to_owned(), |(_, action)| action.to_string()),
        declared,
        no_data: None,
        took: Took::default(),
    };
    say(word, &Said::At(Step::New));
    let clock = Timepiece::start().now();
    let mut frame = Vec::new();
    if library.is_pipe() {
        let mut pipe = library.pipe(&conf.params).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Work));
        let format = Format::compile("timed").map_err(|error| error.to_string())?;
        let mut parser = format.parser(library.wants());
        let (mut decoded, mut records) = (Decoded::default(), Vec::new());
        for line in SAMPLE.lines() {
            let _ = parser.parse(line, &mut records, &mut decoded);
        }
        decoded.settle(&mut records);
        pipe.process(clock, &records).map_err(|error| refusal(&error, &conf))?;
        pipe.flush(clock, &mut frame).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Drop));
    } else {
        let mut collector = library.collector(&conf.params).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Work));
        match collector.collect(clock, &mut frame) {
            Ok(()) => {}
            // It failed this once: the daemon shows it as failing, and tries it again.
            Err(error) if matches!(error.kind(), ErrorKind::NoData | ErrorKind::Failed) => {
                probed.no_data = Some(error.to_string());
            }
            Err(error) => return Err(refusal(&error, &conf)),
        }
        say(word, &Said::At(Step::Drop));
    }
    if !frame.is_empty() {
        plugin_api::delta::wire::Reader::new(&frame)
            .and_then(|reader| reader.check())
            .map_err(|error| error.to_string())?;
    }
    drop(library);
    Ok(probed)
}

/// A few lines such as a pipe will meet: plain ones, an error, absent fields, IPv6, hostile ones.
const SAMPLE: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1024 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36" 0.012 0.010
2001:db8::7 - ann [17/May/2015:10:05:03 +0000] "POST /cart?item=7 HTTP/2.0" 302 0 "https://shop.example/" "curl/8.5.0" 0.120 0.001, 0.119
192.0.2.9 - - [17/May/2015:10:05:04 +0000] "GET /%22%00?a=b,c* HTTP/1.1" 404 - "-" "-" 0.001 -
192.0.2.9 - - [17/May/2015:10:05:04 +0000] "-" 400 0 "-" "-" 0.000 -
192.0.2.4 - - [17/May/2015:10:05:05 +0000] "GET /slow HTTP/1.1" 502 157 "-" "\x22quoted\x22 agent" 30.001 30.000
"#;
