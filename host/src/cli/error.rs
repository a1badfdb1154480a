//! Why a command ended, and the exit code that says so.

use std::fmt;
use std::io::Write;

/// Why a command ended.
#[derive(Debug)]
pub struct Failure {
    /// 1: it could not be done; 2: it was asked wrongly, or the configuration is wrong.
    code: u8,
    why: String,
}

impl Failure {
    /// It could not be done.
    pub fn work(why: impl fmt::Display) -> Failure {
        Failure { code: 1, why: why.to_string() }
    }

    /// It was asked wrongly, or the configuration is wrong.
    pub fn usage(why: impl fmt::Display) -> Failure {
        Failure { code: 2, why: why.to_string() }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Failure {}

/// What is written to a closed pipe (`graftd get | head`) is not missed by anybody.
pub(super) fn unless_pipe_closed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::work(format_args!("the output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line. An output that is full is an error and no panic.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    unless_pipe_closed(writeln!(out, "{line}").and_then(|()| out.flush()))
}
