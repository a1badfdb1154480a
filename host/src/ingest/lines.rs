//! What is remembered of lines: how many there were, and which did not parse.

use std::collections::VecDeque;

/// Bytes that are kept of a line that did not parse.
pub(super) const SAMPLE_BYTES: usize = 200;

/// A line that did not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// The line's number in what was fed, from 1.
    pub line: u64,
    /// What is wrong: the field, the column and why.
    pub why: String,
    /// The beginning of the line.
    pub sample: String,
}

/// What has been read of a log since its engine was made.
#[derive(Clone, Debug, Default)]
pub struct LogStats {
    /// Lines, those that did not parse among them. Empty lines are none.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines that did not parse.
    pub errors: u64,
    /// The first or last of these.
    pub faults: VecDeque<LineFault>,
}

/// Which of the lines that did not parse are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// The first: for a file that is read once.
    First,
    /// The last: for a log that never ends.
    Last,
}
