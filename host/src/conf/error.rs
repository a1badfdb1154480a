//! What is wrong with a configuration file, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// `conf/redis.on:12: unknown key "evry"; did you mean "every"?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfError {
    file: PathBuf,
    /// From 1; 0 when it is the file as a whole.
    line: usize,
    why: String,
}

impl ConfError {
    /// A message that says its place itself.
    pub(crate) fn whole(why: String) -> ConfError {
        ConfError { file: PathBuf::new(), line: 0, why }
    }

    pub(crate) fn new(file: &Path, line: usize, why: impl fmt::Display) -> ConfError {
        ConfError { file: file.to_owned(), line, why: why.to_string() }
    }
}

impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 if self.file.as_os_str().is_empty() => f.write_str(&self.why),
            0 => write!(f, "{}: {}", self.file.display(), self.why),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.why),
        }
    }
}

impl std::error::Error for ConfError {}
