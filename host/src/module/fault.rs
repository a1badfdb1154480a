//! What a module did instead of its work.

use plugin_api::{Error, ErrorKind};
use std::fmt;

/// How a call of a module went wrong; what follows from it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There was nothing to sample. No failure.
    NoData,
    /// It said that it failed this time: it is asked again.
    Failed,
    /// Nobody knows the state that it is in (a panic, a worker that died): it is made anew.
    Broken,
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
