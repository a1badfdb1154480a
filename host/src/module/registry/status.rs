//! What is shown of a module.

use crate::conf::Isolation;
use crate::module::stats::ModuleStats;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The states that a module can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its `.off` keeps it off.
    Off,
    /// It is being loaded.
    Probing,
    /// It runs.
    Running,
    /// It has not come back from a call in time.
    Late,
    /// It failed and will be tried again.
    Failing,
    /// It cannot run until its file changes.
    Rejected,
    /// It has been stopped.
    Stopped,
}

impl State {
    /// As the tree, the pages and the API spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Off => "off",
            State::Probing => "probing",
            State::Running => "running",
            State::Late => "late",
            State::Failing => "failing",
            State::Rejected => "rejected",
            State::Stopped => "stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a module does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It folds access-log records.
    Pipe,
    /// It samples on an interval.
    Collector,
    /// It is part of the daemon.
    BuiltIn,
    /// Its plugin has never been loaded, so nobody knows.
    Unknown,
}

impl Kind {
    /// As the pages and the API spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Pipe => "pipe",
            Kind::Collector => "collector",
            Kind::BuiltIn => "built-in",
            Kind::Unknown => "unknown",
        }
    }
}

/// What is shown of a module.
#[derive(Clone, Debug)]
pub struct ModuleStatus {
    /// Its name: that of its `.on`, or of its plugin.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The file that configures it, or that it is.
    pub file: PathBuf,
    /// The state it is in.
    pub state: State,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Why, where there is something to say.
    pub why: String,
    /// What is known beyond that, in several lines: a traceback.
    pub detail: String,
    /// When a failing module is tried next, in milliseconds since the Unix epoch.
    pub next_ms: Option<i64>,
    /// Whether it runs in a process of its own.
    pub isolation: Isolation,
    /// A life of it runs, whatever became of the newest: what is rejected or being probed may go on as it was before.
    pub runs: bool,
    /// The keys from the root to where its values hang, as far as that is known.
    pub branch: Option<Arc<[String]>>,
    /// What is counted of its calls.
    pub stats: Arc<ModuleStats>,
}
