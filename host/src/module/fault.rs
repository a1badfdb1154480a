//! What a module did instead of its work.

use super::fence::Doing;
use plugin_api::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// How a call of a module went wrong; what follows from it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There was nothing to sample. No failure.
    NoData,
    /// A part of it failed this time; the rest is there.
    Partly,
    /// It said that it failed this time: it is asked again.
    Failed,
    /// Nobody knows the state that it is in (a panic): it is made anew.
    Broken,
    /// Its process has ended, or talks nonsense: it is made anew.
    Died,
    /// It did not come back in time: it is made anew, and its thread left behind.
    Late,
    /// It cannot run with what its `.on` says.
    Config,
}

/// What a module did instead of its work, in one readable line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What follows from it.
    pub kind: FaultKind,
    /// The line to show.
    pub why: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, why: impl Into<String>) -> Fault {
        Fault { kind, why: why.into() }
    }
}

impl Fault {
    /// It did not come back from a call.
    pub(crate) fn left_behind(doing: Doing, limit: Duration) -> Fault {
        let why = format!("did not come back from its {doing} within {limit:?}; its thread is left behind");
        Fault::new(FaultKind::Late, why)
    }

    /// The same of a call after which the module cannot go on, whatever it said: a pipe's are all so.
    pub(crate) fn for_good(self) -> Fault {
        let kind = match self.kind {
            FaultKind::Late | FaultKind::Died => self.kind,
            FaultKind::NoData | FaultKind::Partly | FaultKind::Failed | FaultKind::Broken | FaultKind::Config => {
                FaultKind::Broken
            }
        };
        Fault { kind, ..self }
    }

    /// The line to show of a module that was on trial.
    pub(crate) fn goes_on(&self) -> String {
        // What follows the first line stays behind it.
        let (line, detail) = self.why.split_once('\n').map_or((&*self.why, ""), |(line, detail)| (line, detail));
        format!("{line}; the one before goes on\n{detail}").trim_end().to_owned()
    }

    /// Whether its module goes, to be made anew.
    pub(crate) fn ends_it(&self) -> bool {
        matches!(self.kind, FaultKind::Broken | FaultKind::Died | FaultKind::Late)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let kind = match error.kind() {
            ErrorKind::Config => FaultKind::Config,
            ErrorKind::NoData => FaultKind::NoData,
            ErrorKind::Failed => FaultKind::Failed,
            ErrorKind::Panic => FaultKind::Broken,
        };
        Fault::new(kind, error.message())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
