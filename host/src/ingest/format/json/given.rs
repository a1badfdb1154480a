//! Keys that a format gives: `addr=client.ip,request_time=dur/1000`.
//!
//! A dot goes into an object, a number after a slash says how many of the value's unit are a second. A backslash takes
//! `. , = /` and itself as they are. A field that is given has no other keys; given several times it is taken from the first
//! that is there, given without a key from nowhere.

use super::super::error::FormatError;
use super::map::{Source, Target, Way};
use plugin_api::Field;

/// Objects inside each other on the way to a key.
const DEPTH_MAX: usize = 8;
/// Keys that a format gives.
const GIVEN_MAX: usize = 100;

/// What a format gives.
#[derive(Default)]
pub(super) struct Given {
    pub(super) ways: Vec<Way>,
    /// What was given, if only to have no key.
    pub(super) targets: Vec<Target>,
}

impl Given {
    /// Reads `addr=client.ip,…`, which stands after so many characters.
    pub(super) fn read(map: &str, before: usize) -> Result<Given, FormatError> {
        let mut given = Given::default();
        let mut column = before + 1;
        for part in split(map, ',') {
            given.part(part, column)?;
            column += part.chars().count() + 1;
        }
        Ok(given)
    }

    fn part(&mut self, part: &str, column: usize) -> Result<(), FormatError> {
        let column = column + part.chars().take_while(|c| c.is_whitespace()).count();
        let part = part.trim();
        let error = |at: usize, why: String| Err(FormatError::new(column + at, why));
        if part.is_empty() {
            return Ok(());
        }
        let Some((name, path)) = part.split_once('=') else {
            return error(0, format!("\"{part}\" is no FIELD=KEY, such as addr=client.ip"));
        };
        let at = name.chars().count() + 1;
        let (name, path) = (name.trim(), path.trim());
        let Some(target) = Target::all().find(|target| target.name() == name) else {
            let known: Vec<&str> = Target::all().map(Target::name).collect();
            let near = known.iter().map(|known| (strsim::levenshtein(name, known), known)).min();
            let hint = near.filter(|(apart, _)| *apart <= 2).map(|(_, known)| format!("; did you mean \"{known}\"?"));
            let (known, hint) = (known.join(", "), hint.unwrap_or_default());
            return error(0, format!("unknown field \"{name}\": known are {known}{hint}"));
        };
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
        if path.is_empty() {
            return Ok(());
        }
        let mut per_second = None;
        let mut pieces = split(path, '/').into_iter();
        let (path, unit) = (pieces.next().unwrap_or_default(), pieces.next());
        if let Some(unit) = unit {
            let timed = matches!(target, Target::Field(Field::RequestTime | Field::UpstreamTime | Field::Time));
            let number: Option<f64> = unit.trim().parse().ok().filter(|n| *n > 0.0 && f64::is_finite(*n));
            if !timed || number.is_none() || pieces.next().is_some() {
                let why = format!(
                    "/{unit} says how many are a second, of request_time, upstream_time and time only: /1000; a slash in a key is written \\/"
                );
                return error(at + path.chars().count(), why);
            }
            per_second = number;
        }
        let keys: Vec<String> = split(path.trim(), '.').into_iter().map(plain).collect();
        if keys.iter().any(String::is_empty) {
            return error(at, format!("a key of \"{path}\" is empty; a dot in a key is written \\."));
        }
        if keys.len() > DEPTH_MAX {
            return error(at, format!("more than {DEPTH_MAX} objects inside each other"));
        }
        if self.ways.len() == GIVEN_MAX {
            return error(0, format!("more than {GIVEN_MAX} keys"));
        }
        if let Some((_, other)) = self.ways.iter().find(|(path, _)| *path == keys) {
            return error(at, format!("\"{path}\" is {} already, and a key gives one field", other.target.name()));
        }
        let rank = self.ways.iter().filter(|(_, source)| source.target == target).count() as u8;
        self.ways.push((keys, Source { target, rank, per_second }));
        Ok(())
    }
}

/// The parts between `mark`s that no backslash stands before.
fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == mark && !escaped {
            parts.push(&text[from..at]);
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[from..]);
    parts
}

/// A key without its backslashes.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}
