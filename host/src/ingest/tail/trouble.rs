//! What is wrong with a log's files, in a line.

use std::fmt;
use std::path::Path;

/// The first thing that is wrong, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    first: String,
    more: usize,
}

impl Trouble {
    /// Something is wrong.
    pub(super) fn add(&mut self, what: impl fmt::Display) {
        if self.first.is_empty() {
            self.first = what.to_string();
        } else {
            self.more += 1;
        }
    }

    /// Something is wrong with a file.
    pub(super) fn of(&mut self, path: &Path, what: impl fmt::Display) {
        self.add(format_args!("{}: {what}", path.display()));
    }

    /// In words; empty where nothing is wrong.
    pub(super) fn text(&self) -> String {
        if self.more == 0 { self.first.clone() } else { format!("{} (and {} more)", self.first, self.more) }
    }
}
