//! The built-in module `access-log`: files that are read while they are written, whatever rotates them.
//!
//! `position.rs` is how far they have been read, as it is written down; `file.rs` reads one file, `packed.rs` one that is packed;
//! `names.rs` knows which files are a log's. `follow.rs` compares the files that are there with those that are followed, and
//! decides where each is read from (`resume.rs` at the beginning, `parked.rs` where there is no room for them), `beside.rs` finds what
//! rotations left; `tailing.rs` does that again and again, when `ears.rs` hears of something, and hands the lines to the log's thread.
//! `tell.rs` tells how it fares; `share.rs` bounds the descriptors of all logs together.
//!
//! **Invariant:** lines and how far they reach travel together: to the pipes, into the tree and into the commit. So whatever
//! dies, a line is counted once. What a file is, its content tells, not its name: device, inode and a hash of its first bytes.

mod beside;
mod ears;
mod file;
mod follow;
mod names;
mod opened;
mod packed;
mod parked;
mod position;
mod resume;
mod share;
mod tailing;
mod tell;
mod trouble;

pub(crate) use position::{LogPosition, Step};
pub(crate) use share::Share;

use super::format::{Format, first_lines, guess};
use super::log::{LogHandle, LogName, LogParts};
use super::{Forward, Remember};
use crate::conf::AccessLogConf;
use crate::core::{Event, Shared};
use crate::module::Disposer;
use ears::{Ears, Heard};
use follow::Files;
use opened::Opened;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use tailing::Tailing;
use tell::Told;
use trouble::Trouble;

/// The format that is told from the first lines.
pub(crate) const AUTO: &str = "auto";

/// What is taken where no line is there yet; the first that a line fits.
const UNTOLD: [&str; 4] = ["vhost_combined", "timed", "combined", "json"];

/// Under which name a log's position is kept.
pub(super) fn source(log: &LogName) -> String {
    format!("log:{log}")
}

/// What a module needs of its surroundings.
#[derive(Debug)]
pub(crate) struct TailAround<'a> {
    /// What it reads and where it sends.
    pub(crate) shared: &'a Arc<Shared>,
    /// Takes what its pipes leave.
    pub(crate) disposer: &'a Disposer,
    /// The module's name.
    pub(crate) name: &'a str,
}

/// The module, running. It ends when this is dropped: what has been read by then is in the tree soon after.
#[derive(Debug)]
pub struct Tail {
    log: LogHandle,
    ending: Arc<Ending>,
    shared: Arc<Shared>,
    remark: Arc<Mutex<String>>,
}

impl Tail {
    /// As a `.on` calls it.
    pub const NAME: &'static str = "access-log";

    /// Starts it. What ran `before` under the name ends, and this goes on where that ended. Nothing is looked at here: the disk may
    /// take its time.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(conf: &AccessLogConf, before: Option<&Tail>, around: &TailAround<'_>) -> Result<Tail, String> {
        let shared = around.shared;
        let (formats, guesses) = formats(conf)?;
        let has_header = formats.iter().any(Format::has_header);
        let prefix = conf.prefix.as_ref().map(|prefix| prefix.on(&shared.host)).unwrap_or_default();
        let forwards = conf.raw.then(|| Forward::new(around.name, &prefix, &formats, shared));
        let parts = LogParts {
            name: around.name.to_owned(),
            prefix,
            formats,
            tick: shared.conf.tick,
            clock: shared.clock,
            remember: Remember::Last,
            events: shared.events.clone(),
            disposer: around.disposer.clone(),
            position: Some(LogPosition::new()),
            forwards,
        };
        let broken = |error: std::io::Error| format!("a thread cannot be started: {error}");
        let log = LogHandle::start(parts).map_err(broken)?;
        if let Some(before) = before {
            before.end();
        }
        // Also one that was switched off a moment ago.
        let before = shared.logs.ending_of(around.name);
        shared.logs.tailed.lock().push(log.clone());
        let ending = Arc::new(Ending::default());
        let remark = Arc::<Mutex<String>>::default();
        let mut tailing = Tailing {
            files: Files::new(conf.files.clone(), conf.from_end, &shared.logs.share),
            log: log.clone(),
            before,
            shared: Arc::clone(shared),
            ending: Arc::clone(&ending),
            told: Told::new(),
            has_header,
            guesses,
            remark: Arc::clone(&remark),
            untold: false,
            beginning: None,
            trouble: Trouble::default(),
            ears: Ears::new(&shared.logs.share),
            heard: Heard::Nothing,
            deaf_until: None,
            looked_at_all: None,
            last_read: None,
        };
        let tail = Tail { log, ending, shared: Arc::clone(shared), remark };
        // Counted here, and told of on its thread: the core, which may be who calls, must not wait for itself.
        shared.logs.beginning.fetch_add(1, Ordering::Relaxed);
        let started = thread::Builder::new().name(format!("graftd-tail-{}", around.name)).spawn(move || {
            tailing.beginning = Some(Beginning { shared: Arc::clone(&tailing.shared) });
            tailing.run();
        });
        match started {
            Ok(_) => Ok(tail),
            Err(error) => {
                shared.logs.beginning.fetch_sub(1, Ordering::Relaxed);
                Err(broken(error))
            }
        }
    }

    /// What it does, in words.
    pub(crate) fn remark(&self) -> String {
        self.remark.lock().clone()
    }

    fn end(&self) {
        self.ending.tell();
        self.shared.logs.leave(&self.log);
        self.log.end();
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.end();
    }
}

/// The formats that lines may be of, and whether it is to be told from the first of them which it is.
fn formats(conf: &AccessLogConf) -> Result<(Vec<Format>, bool), String> {
    let compile = |name: &str| Format::compile(name).map_err(|error| format!("\"format\": {error}"));
    if conf.format != AUTO {
        return Ok((vec![compile(&conf.format)?], false));
    }
    // Until there are lines to tell it from, each tells it for itself.
    let formats = UNTOLD.into_iter().map(compile).collect::<Result<_, _>>()?;
    Ok((formats, true))
}

/// The format that the first lines of a log are of, and what is to be said of that.
fn guessed(patterns: &[String]) -> (Option<Format>, String) {
    for path in names::matches(patterns).0 {
        let Ok(bytes) = Opened::first_lines(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let found = guess(&first_lines(&text, false));
        if found.share > 0.0 {
            return (Some(found.format), format!("{}: {}", path.display(), found.said));
        }
    }
    (None, format!("no line is there yet to tell the format from: each may be one of {}", UNTOLD.join(", ")))
}

/// What is to be said of the lines that came first into a log that had none when it began; nothing where no format fits them.
fn said_of(lines: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(lines);
    let found = guess(&first_lines(&text, true));
    if found.share == 0.0 {
        return None;
    }
    if UNTOLD.contains(&found.format.spec()) {
        return Some(format!("{}; each line may be one of {}", found.said, UNTOLD.join(", ")));
    }
    // Only what is told from the first lines of a file is read so.
    Some(format!("{}; `graftd modules reload` has them read so, or \"format\" in the .on", found.said))
}

/// A log that has not looked at its files yet. Who is told that the daemon is ready may write at once, so that waits for it.
#[derive(Debug)]
struct Beginning {
    shared: Arc<Shared>,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.shared.logs.beginning.fetch_sub(1, Ordering::Release);
        // When the core is gone nobody waits.
        let _ = self.shared.events.send(Event::Remark);
    }
}

/// Tells the thread that it is to stop.
#[derive(Debug, Default)]
struct Ending {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Ending {
    fn is_told(&self) -> bool {
        *self.told.lock()
    }

    /// Waits for a while, or until it is told.
    fn wait(&self, time: Duration) {
        let mut told = self.told.lock();
        if !*told {
            self.changed.wait_for(&mut told, time);
        }
    }

    fn tell(&self) {
        *self.told.lock() = true;
        self.changed.notify_all();
    }
}
