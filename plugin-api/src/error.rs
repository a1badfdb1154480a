//! What a module answers when it cannot do its work.

use abi_stable::{StableAbi, std_types::RString};
use core::fmt;

/// The kinds of [`Error`]; the host treats each in its own way.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A parameter is missing or wrong. The module is `rejected` until its `.on` changes.
    Config,
    /// There is nothing to sample here (no such device, no such file). Not a failure: nothing is logged, and
    /// the module is asked again at its next turn.
    NoData,
    /// This time it failed. The module is `failing` and tried again with backoff.
    Failed,
    /// The module panicked; the panic was caught inside it.
    Panic,
}

/// Why a module could not be made or could not do its work: one readable line.
///
/// Return errors, do not log them: the host counts them, shows them in `/modules` and logs each once.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: RString,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Error {
        Error { kind, message: message.to_string().into() }
    }

    /// A parameter is missing or wrong.
    pub fn config(message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Config, message)
    }

    /// There is nothing to sample here.
    pub fn no_data(message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::NoData, message)
    }

    /// This time it failed.
    pub fn failed(message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Failed, message)
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The line to show.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::failed(error)
    }
}
