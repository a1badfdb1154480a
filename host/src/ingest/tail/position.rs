//! How far the files of a log have been read, as it is written down.

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;

/// Bytes at a file's beginning that tell it from others.
pub(crate) const PRINT_BYTES: usize = 1_024;

/// A print of fewer bytes may be that of any file.
const PRINT_BYTES_MIN: u64 = 32;

/// Files that were read and are gone, of which the prints are remembered: a copy or an archive of one may come later.
pub(super) const PAST_MAX: usize = 1_000;

/// The form of what is written down.
const FORM: u32 = 1;

/// What tells a file's content from others': a hash of its first bytes (SipHash-1-3, Aumasson and Bernstein 2012, its key zero:
/// what is written down has to mean the same to every process), and of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    pub(crate) bytes: u64,
    hash: u64,
}

impl Print {
    /// Of a file's first bytes, of [`PRINT_BYTES`] at most.
    pub(crate) fn of(beginning: &[u8]) -> Print {
        let beginning = &beginning[..beginning.len().min(PRINT_BYTES)];
        let mut hasher = SipHasher13::new();
        hasher.write(beginning);
        Print { bytes: beginning.len() as u64, hash: hasher.finish() }
    }

    /// Whether it says enough to know a file by it alone.
    pub(crate) fn tells(self) -> bool {
        self.bytes >= PRINT_BYTES_MIN
    }

    /// Whether a file that begins so may be the one whose print this is: it has grown since, perhaps.
    pub(crate) fn fits(self, beginning: &[u8]) -> bool {
        let bytes = self.bytes as usize;
        beginning.len() >= bytes && Print::of(&beginning[..bytes]) == self
    }
}

/// A file, and how far it has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    /// Where it was last.
    pub(crate) path: String,
    /// Device and inode.
    pub(crate) id: (u64, u64),
    pub(crate) print: Print,
    /// Bytes that have been read of it: up to the end of a line. Of a packed file, of what is in it.
    pub(crate) offset: u64,
    /// In the midst of a line that is too long, and was counted already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_long_line: bool,
    /// It is a copy of what is being read elsewhere, and nothing was read of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_copy: bool,
    /// When it was changed last, as far as it has been read: milliseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) changed_ms: i64,
}

/// A file that is gone, or whose content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) print: Print,
    pub(crate) offset: u64,
}

/// How far the files of a log have been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogPosition {
    form: u32,
    /// By numbers that mean nothing beyond the process.
    files: BTreeMap<u32, FilePosition>,
    past: VecDeque<Past>,
}

/// A change of it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A file is followed from here on, or is another than was thought.
    File(u32, FilePosition),
    /// A file has been read on.
    Offset { file: u32, offset: u64, in_long_line: bool, changed_ms: i64 },
    /// A file is followed no more.
    Gone(u32),
    /// A content is remembered that is gone.
    Past(Past),
}

impl LogPosition {
    /// Of a log that nothing was read of.
    pub(crate) fn new() -> LogPosition {
        LogPosition { form: FORM, ..LogPosition::default() }
    }

    /// Reads what was written down.
    ///
    /// # Errors
    /// It is damaged, or of a form that is not known.
    pub(crate) fn parse(text: &str) -> Result<LogPosition, String> {
        let position: LogPosition = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if position.form == FORM { Ok(position) } else { Err(format!("its form is {}", position.form)) }
    }

    /// As it is written down.
    pub(crate) fn text(&self) -> String {
        // It has nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::File(file, position) => drop(self.files.insert(file, position)),
            Step::Offset { file, offset, in_long_line, changed_ms } => {
                if let Some(position) = self.files.get_mut(&file) {
                    position.offset = offset;
                    position.in_long_line = in_long_line;
                    position.changed_ms = changed_ms;
                }
            }
            Step::Gone(file) => drop(self.files.remove(&file)),
            Step::Past(past) => {
                self.past.retain(|other| other.print != past.print);
                self.past.push_back(past);
                if self.past.len() > PAST_MAX {
                    self.past.pop_front();
                }
            }
        }
    }

    /// The files that were followed.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FilePosition> {
        self.files.values()
    }

    /// What is remembered, the newest last.
    pub(crate) fn past(&self) -> impl DoubleEndedIterator<Item = &Past> {
        self.past.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again() {
        let mut position = LogPosition::new();
        let file = FilePosition { path: "a\"b".to_owned(), id: (1, u64::MAX), offset: 7, ..FilePosition::default() };
        position.apply(Step::File(3, file));
        position.apply(Step::Offset { file: 3, offset: 9, in_long_line: true, changed_ms: -5 });
        position.apply(Step::Past(Past { print: Print::of(b"hello"), offset: 5 }));
        assert_eq!(LogPosition::parse(&position.text()), Ok(position));
        assert!(LogPosition::parse(r#"{"form":2,"files":{},"past":[]}"#).is_err());
    }

    #[test]
    fn a_print_means_the_same_for_ever() {
        assert_eq!(Print::of(b"hello"), Print { bytes: 5, hash: Print::of(b"hello").hash });
        assert!(Print::of(b"hello").fits(b"hello world"));
        assert!(!Print::of(b"hello").fits(b"hell"));
        assert!(!Print::of(b"hello").fits(b"hallo world"));
    }
}
