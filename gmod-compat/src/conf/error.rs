//! Where something stands, and what is wrong with it.

use super::limits::{MAX_QUOTED, MAX_WARNINGS};
use std::fmt;
use std::sync::Arc;

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pos {
    /// The file, as it was named to the reader or by an `include`.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1; a tab counts as one.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong, where, and what to do about it. Shows as
/// ``redis.pyconf:12:5: unknown key `evry`; did you mean `every`?``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file, as it was named to the reader or by an `include`.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant (it could not be read).
    pub line: u32,
    /// The column in characters, from 1; 0 when the whole file is meant.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Error {
    /// An error at a place.
    pub(crate) fn at(pos: &Pos, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error { file: pos.file.to_string(), line: pos.line, column: pos.column, what: what.into(), hint: hint.into() }
    }

    /// An error of a file as a whole.
    pub(crate) fn of_file(file: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error { file: file.into(), line: 0, column: 0, what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What the reader wondered about and read on. Each has the shape of an [`Error`]; at most [`MAX_WARNINGS`] are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    list: Vec<Error>,
    left_out: usize,
}

impl Warnings {
    /// The warnings, in the order they were met.
    pub fn list(&self) -> &[Error] {
        &self.list
    }

    /// How many more there were than are kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether there was nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn push(&mut self, warning: Error) {
        if self.list.len() < MAX_WARNINGS {
            self.list.push(warning);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    pub(crate) fn append(&mut self, other: Warnings) {
        self.left_out = self.left_out.saturating_add(other.left_out);
        for warning in other.list {
            self.push(warning);
        }
    }
}

/// A name or value as a message quotes it: in back-ticks, control characters escaped, cut after [`MAX_QUOTED`]
/// characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == MAX_QUOTED {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// `did you mean …?` for a misspelt name, or an empty text when nothing known is near. Near is at most two letters
/// put in, left out or changed, and fewer than half of them.
pub(crate) fn did_you_mean(name: &str, known: &[&[&str]]) -> String {
    let name = name.to_ascii_lowercase();
    known
        .iter()
        .flat_map(|names| names.iter())
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 2)
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 2 < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Levenshtein distance in bytes. The caller keeps both sides short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_what_to_do() {
        let pos = Pos { file: "redis.pyconf".into(), line: 12, column: 5 };
        let error = Error::at(&pos, "unknown key `evry`", "did you mean `every`?");
        assert_eq!(error.to_string(), "redis.pyconf:12:5: unknown key `evry`; did you mean `every`?");
        assert_eq!(Error::of_file("x.conf", "no such file", "").to_string(), "x.conf: no such file");
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known: &[&[&str]] = &[&["collect_every", "collect_once"], &["metric", "url"]];
        assert_eq!(did_you_mean("collect_evry", known), "did you mean `collect_every`?");
        assert_eq!(did_you_mean("METRICS", known), "did you mean `metric`?");
        assert_eq!(did_you_mean("uri", known), "did you mean `url`?");
        assert_eq!(did_you_mean("bananas", known), "");
        assert_eq!(did_you_mean("", known), "");
    }

    #[test]
    fn distances() {
        for (a, b, d) in
            [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("kitten", "sitting", 3), ("abc", "abc", 0), ("abc", "bc", 1)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn quoted_text_is_short_and_printable() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), MAX_QUOTED + 3);
    }

    #[test]
    fn warnings_are_bounded_and_counted() {
        let mut warnings = Warnings::default();
        for _ in 0..MAX_WARNINGS + 7 {
            warnings.push(Error::of_file("f", "w", ""));
        }
        assert_eq!((warnings.list().len(), warnings.left_out()), (MAX_WARNINGS, 7));
        let mut more = warnings.clone();
        more.append(warnings);
        assert_eq!((more.list().len(), more.left_out()), (MAX_WARNINGS, 7 + 7 + MAX_WARNINGS));
    }
}
