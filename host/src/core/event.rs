//! Everything that can wake the core.

use crate::ingest::{LogHandle, LogName, LogSerial, LogStats};
use crate::module::{Branch, Callee, Fault, Loaded};
use crate::relay::{Piece, Relayed};
use crate::tree::Merged;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What wakes the core. `Core::handle` is the one place that matches on it.
#[derive(Debug)]
pub enum Event {
    /// A tick is over.
    Tick,
    /// Documents were pushed.
    Push {
        /// Each a frame, to be merged whole.
        frames: Vec<Vec<u8>>,
        /// Answered when they are merged.
        reply: oneshot::Sender<Pushed>,
    },
    /// A module or a log has something for the tree, or about itself.
    Delta(Delta),
    /// Something changed in `plugins/` or `conf/`, or may have.
    Files,
    /// Another daemon has sent a delta.
    Relayed(Relayed),
    /// A module has been loaded, or could not be.
    Loaded(Loaded),
    /// Somebody waits for a commit: of all that was sent before this.
    Commit {
        /// Told when it is on the disk, or why it is not; none for who only wants it to be soon.
        reply: Option<oneshot::Sender<Result<(), String>>>,
    },
    /// A commit has been written, or could not be.
    Committed(Result<(), String>),
    /// A built-in module has ended by itself.
    BuiltInEnded {
        /// The module's name, and which life of it.
        life: (String, u64),
        /// What happened.
        why: String,
    },
    /// There may be something else to say of a built-in module: a log has looked at its files, a relay has met somebody or nobody.
    Remark,
    /// There is a log that nobody has put pipes into yet.
    LogCame(LogHandle),
    /// Somebody follows the ticks: from now on each is told when it is over.
    Followed,
    /// Somebody switches a module.
    Switch {
        /// The module's name.
        name: String,
        /// What is to become of it.
        to: Switch,
        /// Answered when the file is renamed and the change is under way.
        reply: oneshot::Sender<Result<(), SwitchError>>,
    },
    /// The daemon is to stop.
    Stop,
}

/// What came of pushed documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pushed {
    /// What was merged.
    pub merged: Merged,
}

/// What a module or a log has for the tree.
#[derive(Debug, Default)]
pub struct Delta {
    /// Frames, each under its branch; they enter the tree together.
    pub frames: Vec<(Branch, Vec<u8>)>,
    /// Lines that are not folded here.
    pub(crate) raw: Vec<Piece>,
    /// How a module fares.
    pub report: Option<Report>,
    /// How a log fares.
    pub log: Option<LogReport>,
    /// How far a source has been read, all that is in the frames included: kept together with them.
    pub position: Option<Position>,
    /// Told when all is merged.
    pub reply: Option<oneshot::Sender<()>>,
}

impl Delta {
    /// It is what a collector found, and not what logs come to.
    pub(super) fn is_of_a_collector(&self) -> bool {
        self.report.is_some() && self.log.is_none() && self.reply.is_none()
    }
}

/// How far a source has been read.
#[derive(Clone, Debug)]
pub struct Position {
    /// The source's name.
    pub source: String,
    /// What the source makes of it again.
    pub text: Arc<str>,
}

/// How a module fares, after a call.
#[derive(Debug)]
pub struct Report {
    /// Which life of which module was called.
    pub(crate) callee: Arc<Callee>,
    /// What it did instead of its work.
    pub(crate) fault: Option<Fault>,
    /// When it is tried again, in milliseconds since the Unix epoch.
    pub(crate) next_ms: Option<i64>,
    /// What ran before it has its place again.
    pub(crate) rolled_back: bool,
    /// The log in which it was called; none for a collector.
    pub(crate) log: Option<LogName>,
}

/// How a log fares, since its start.
#[derive(Debug)]
pub struct LogReport {
    /// The log's name.
    pub name: String,
    /// What has been read.
    pub stats: LogStats,
    /// Which of the logs it was that had this name, one after the other.
    pub(crate) serial: LogSerial,
    /// This is the last of it.
    pub(crate) ended: bool,
}

/// What is to become of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `NAME.off` becomes `NAME.on`.
    On,
    /// `NAME.on` becomes `NAME.off`.
    Off,
    /// It is loaded anew.
    Reload,
}

/// Why a module could not be switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchError {
    /// There is no such module; the nearest name, if there is one near.
    Unknown(Option<String>),
    /// The file could not be renamed, or there is no folder for it.
    Failed(String),
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchError::Unknown(Some(near)) => write!(f, "there is no such module; did you mean {near:?}?"),
            SwitchError::Unknown(None) => write!(f, "there is no such module; `graftd modules` lists them"),
            SwitchError::Failed(why) => f.write_str(why),
        }
    }
}

/// Where events are sent to.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Event>);

impl Events {
    /// A bounded queue of events.
    pub(crate) fn new(room: usize) -> (Events, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(room);
        (Events(sender), receiver)
    }

    /// Sends from a thread, waiting for room; `false` when the core is gone.
    pub(crate) fn send(&self, event: Event) -> bool {
        self.0.blocking_send(event).is_ok()
    }

    /// Waits until all that was sent before is on the disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn commit(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the daemon is stopping".to_owned();
        if !self.send_async(Event::Commit { reply: Some(reply) }).await {
            return Err(gone());
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Sends from a task, waiting for room; `false` when the core is gone.
    pub(crate) async fn send_async(&self, event: Event) -> bool {
        self.0.send(event).await.is_ok()
    }

    /// Events that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    /// Merges pushed documents; `None` when the core is gone.
    pub async fn push(&self, frames: Vec<Vec<u8>>) -> Option<Pushed> {
        let (reply, answer) = oneshot::channel();
        self.send_async(Event::Push { frames, reply }).await.then_some(())?;
        answer.await.ok()
    }

    /// Switches a module.
    ///
    /// # Errors
    /// There is no such module, or its file cannot be renamed.
    pub async fn switch(&self, name: String, to: Switch) -> Result<(), SwitchError> {
        let gone = || SwitchError::Failed("the daemon is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        if !self.send_async(Event::Switch { name, to, reply }).await {
            return Err(gone());
        }
        answer.await.map_err(|_| gone())?
    }
}
