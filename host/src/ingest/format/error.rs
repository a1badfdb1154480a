//! What can be wrong with a format, and with a line.

use std::fmt;

/// A format that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Where in the text that was given, in characters from 1.
    pub(crate) column: usize,
    /// What is wrong and what to do.
    pub(crate) why: String,
}

impl FormatError {
    pub(super) fn new(column: usize, why: impl Into<String>) -> FormatError {
        FormatError { column, why: why.into() }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log format, column {}: {}", self.column, self.why)
    }
}

impl std::error::Error for FormatError {}

/// A line that is not of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The field at which reading stopped, as messages name it; `skipped field` for one that is not read.
    pub(crate) field: &'static str,
    /// The number of that field in [`Format::items`](super::Format::items), for its spelling in the format.
    pub(crate) item: u16,
    /// Where in the line, in bytes from 1.
    pub(crate) column: u32,
    /// What is wrong.
    pub(crate) why: Why,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The line does not begin with the text that the format begins with.
    Lead,
    /// The line ends before the field does.
    Ends,
    /// An address with no text.
    NoAddr,
    /// Not three digits, 100 to 999.
    NotStatus,
    /// Not a whole number.
    NotBytes,
    /// Not a time as the format has it.
    NotTime,
    /// Not a number of seconds.
    NotSeconds,
    /// Longer than [`MAX_LINE`](super::MAX_LINE).
    TooLong,
    /// The line is no object of JSON.
    NotObject,
    /// There is something else than a key in quotes, a colon, a comma or a closing brace.
    NotJson,
    /// No key of the object is that of a request.
    NoKey,
    /// No line before says what the columns are.
    NoHeader,
    /// A header whose columns cannot be used.
    BadHeader,
}

impl Why {
    /// The reason in words, to be read after the field's name and the column.
    pub const fn text(self) -> &'static str {
        match self {
            Why::Lead => "the line does not begin as its format does",
            Why::Ends => "the line ends before this field does: it is cut off, or of another format",
            Why::NoAddr => "no address",
            Why::NotStatus => "not a status code, which is three digits from 100 to 999",
            Why::NotBytes => "not a number of bytes",
            Why::NotTime => "not a time of the form that the format names",
            Why::NotSeconds => "not a number of seconds",
            Why::TooLong => "the line is longer than a line may be",
            Why::NotObject => "no JSON object, which begins with {",
            Why::NotJson => "not JSON from here on: an object has \"key\": value, with commas between them",
            Why::NoKey => {
                "no key that tells of a request, such as status, uri or remote_addr; see json: in the formats"
            }
            Why::NoHeader => "the header is missing: a line that begins with #Fields: has to come first",
            Why::BadHeader => "the header names no column, or more than a log may have",
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, column {}: {}", self.field, self.column, self.why.text())
    }
}

impl std::error::Error for LineError {}
