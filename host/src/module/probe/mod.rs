//! Tries a plugin in a process of its own, before the daemon lets it in.
//!
//! The child loads the plugin, makes its module and has it work once, and says on its standard output what it has come to, step by
//! step; so whatever kills it, or stops it from coming back, it is known at which step. What the plugin prints by itself is told
//! apart by a word that only the two know; its last lines are kept, for what dies often says why.

mod apart;
mod death;
mod elf;
mod inside;
pub(super) mod sample;

pub(super) use apart::probe_apart;
pub use inside::inside;

use super::library::Declared;
use crate::clock::Timepiece;
use crate::conf::ModuleConf;
use crate::limits::{PLUGIN_BYTES_MAX, PROBE_TIME_MAX};
use death::Death;
use parking_lot::Mutex;
use plugin_api::ErrorKind;
use plugin_api::limits::cut;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Why a plugin is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one readable line.
    pub why: String,
    /// It may have been the moment's fault and not the plugin's: to be tried again.
    pub again: bool,
    /// Nothing is wrong: it is off until somebody tells it what it has to know.
    pub off: bool,
}

impl Refusal {
    /// The moment's fault, perhaps.
    pub(crate) fn now(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), again: true, off: false }
    }
}

impl Refusal {
    /// Why a plugin is off that has parameters that must be given, and no `.on`; none if it has no such parameters.
    pub(super) fn unless_it_runs_by_itself(declared: &Declared, name: &str) -> Result<(), Refusal> {
        let wanted: Vec<String> = declared.must_be_given().map(|param| format!("{param:?}")).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let why = format!("needs conf/{name}.on, which says {} under [params]", wanted.join(" and "));
        Err(Refusal { why, again: false, off: true })
    }
}

impl From<String> for Refusal {
    /// The plugin's fault.
    fn from(why: String) -> Refusal {
        Refusal { why, again: false, off: false }
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
    // What a plugin says is one line; only modules in Python have more to tell.
    Refusal { why: why.replace('\n', " "), again: error.kind() == ErrorKind::Failed, off: false }
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
    Wrong { why: String, again: bool, off: bool },
}

/// Probes a plugin, with the parameters of its `.on` if there is one: its path and what stands in it. What stands there is
/// handed over, for the file may be another by the time that the child would read it. One that is to run by itself, as the
/// module of the name that is given, is not even made where it has to be told something first.
///
/// # Errors
/// Why it may not be let in, in one readable line.
pub fn probe(file: &Path, conf: Option<(&Path, &str)>, by_itself: Option<&str>) -> Result<Probed, Refusal> {
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
    if let Some((conf, _)) = conf {
        command.arg("--conf").arg(conf);
    } else if let Some(name) = by_itself {
        command.arg("--by-itself").arg(name);
    }
    let lost = |error: &dyn std::fmt::Display| Refusal::now(format!("cannot be probed: {error}"));
    // What a plugin prints is nobody's: it could fill the daemon's log.
    let spawned = std::io::pipe().and_then(|(out, to)| {
        let stdin = conf.map_or_else(|| Ok(Stdio::null()), |(_, text)| handed_over(text).map(Stdio::from))?;
        command.stdin(stdin).stdout(to.try_clone()?).stderr(to).process_group(0);
        // Of what it says at its end a few lines are kept: not those of a backtrace.
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
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
            Ok((Said::Wrong { why, again, off }, _)) => return Err(Refusal { why, again, off }),
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

/// A text as a file in memory, to be read from its beginning.
fn handed_over(text: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("graftd-conf", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// Keeps what a plugin printed, if it is among its last lines.
fn keep(line: &str, lines: &mut VecDeque<String>) {
    let line = cut(line.trim(), WORDS_BYTES_MAX);
    if !line.is_empty() {
        if lines.len() == WORDS_LINES_MAX {
            // What tells why the process ends stays, whatever is printed after it.
            let why = usize::from(lines.front().is_some_and(|line| death::tells_why(line)));
            lines.remove(why);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_the_one_that_tells_why() {
        let kept = |lines: &[&str]| {
            let mut words = VecDeque::new();
            lines.iter().for_each(|line| keep(line, &mut words));
            Vec::from(words)
        };
        assert_eq!(kept(&["a", " ", "b", "c", "d"]), ["b", "c", "d"]);
        let why = "memory allocation of 16 bytes failed";
        assert_eq!(kept(&["a", why, "1: x", "2: x", "3: x", "4: x"]), [why, "3: x", "4: x"]);
    }
}
