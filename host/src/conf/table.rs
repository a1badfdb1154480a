//! TOML tables that know their lines, so that every error can name one.

use super::error::ConfError;
use plugin_api::{Params, Value, parse_duration};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The spelling among `known` that `word` was probably meant to be.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Beyond a third of the letters it is a guess, not a slip.
    let far = (word.chars().count() / 3).max(1) + 1;
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(word, name), name));
    distances.filter(|(distance, _)| *distance < far).min().map(|(_, name)| name)
}

/// A file under reading: its name and text, to say where something stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'s> {
    pub(super) file: &'s Path,
    pub(super) text: &'s str,
}

impl<'s> Source<'s> {
    fn line(self, at: usize) -> usize {
        self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn error(self, at: usize, why: impl std::fmt::Display) -> ConfError {
        ConfError::new(self.file, self.line(at), why)
    }

    pub(super) fn parse(self) -> Result<Table<'s>, ConfError> {
        let parsed = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, format_args!("not TOML: {}", error.message().replace('\n', "; ")))
        })?;
        Ok(Table { source: self, entries: parsed.into_inner() })
    }
}

/// A table being taken apart: each known key is taken out, and what is left over is unknown.
#[derive(Debug)]
pub(super) struct Table<'s> {
    source: Source<'s>,
    entries: DeTable<'s>,
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Given<'s> {
    source: Source<'s>,
    key: &'static str,
    value: Spanned<DeValue<'s>>,
}

impl<'s> Table<'s> {
    pub(super) fn take(&mut self, key: &'static str) -> Option<Given<'s>> {
        let value = self.entries.remove(key)?;
        Some(Given { source: self.source, key, value })
    }

    /// The line of each key that is left.
    pub(super) fn lines(&self) -> Vec<(String, usize)> {
        let line = |key: &Spanned<_>| self.source.line(key.span().start);
        self.entries.keys().map(|key| (key.get_ref().to_string(), line(key))).collect()
    }

    /// The table of this name; an empty one if it is not there.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Table<'s>, ConfError> {
        match self.take(key) {
            None => Ok(Table { source: self.source, entries: DeTable::new() }),
            Some(given) => match given.value.get_ref() {
                DeValue::Table(entries) => Ok(Table { source: self.source, entries: entries.clone() }),
                other => Err(given.wrong("a table", other)),
            },
        }
    }

    /// All that is left, as parameters.
    pub(super) fn into_params(self) -> Result<Params, ConfError> {
        let mut params = Params::new();
        for (name, value) in self.entries {
            let at = value.span().start;
            let value = param(value.get_ref())
                .map_err(|why| self.source.error(at, format_args!("{:?} {why}", name.get_ref())))?;
            params = params.with(name.get_ref(), value);
        }
        Ok(params)
    }

    /// Says which key is unknown, if one is left.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), ConfError> {
        let Some((key, _)) = self.entries.iter().next() else { return Ok(()) };
        Err(self.source.error(key.span().start, unknown(key.get_ref(), known)))
    }
}

/// `unknown key "evry"; did you mean "every"?`
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key {key:?}; did you mean {near:?}?"),
        None if known.is_empty() => format!("unknown key {key:?}; none is known here"),
        None => format!("unknown key {key:?}; known are {}", known.join(", ")),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Given<'_> {
    fn wrong(&self, wanted: &str, got: &DeValue<'_>) -> ConfError {
        self.error(format_args!("{:?} must be {wanted}, not {}", self.key, kind(got)))
    }

    pub(super) fn error(&self, why: impl std::fmt::Display) -> ConfError {
        self.source.error(self.value.span().start, why)
    }

    pub(super) fn text(&self) -> Result<String, ConfError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => Err(self.wrong("text", other)),
        }
    }

    pub(super) fn key(&self) -> &'static str {
        self.key
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, ConfError> {
        let wrong = |other: &DeValue<'_>| self.wrong("text or a list of texts", other);
        let text = |value: &DeValue<'_>| match value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            other => Err(wrong(other)),
        };
        match self.value.get_ref() {
            DeValue::Array(list) => list.iter().map(|item| text(item.get_ref())).collect(),
            other => Ok(vec![text(other)?]),
        }
    }

    /// A table of texts.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, ConfError> {
        let pair = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| match value.get_ref() {
            DeValue::String(text) => {
                Ok((ToString::to_string(name.get_ref() as &std::borrow::Cow<'_, str>), text.clone().into_owned()))
            }
            other => Err(self.wrong("a table of texts", other)),
        };
        match self.value.get_ref() {
            DeValue::Table(table) => table.iter().map(pair).collect(),
            other => Err(self.wrong("a table of texts", other)),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, ConfError> {
        match self.value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            other => Err(self.wrong("true or false", other)),
        }
    }

    pub(super) fn count(&self) -> Result<u64, ConfError> {
        match self.value.get_ref() {
            DeValue::Integer(n) => integer(n)
                .and_then(|n| u64::try_from(n).ok())
                .ok_or_else(|| self.error(format_args!("{:?} must be a whole number of 0 or more", self.key))),
            other => Err(self.wrong("a whole number", other)),
        }
    }

    /// A size in bytes: text with a unit, or a whole number.
    pub(super) fn size(&self) -> Result<u64, ConfError> {
        let wanted = "a size such as \"512MiB\", \"2GiB\" or \"64MB\", or bytes as a whole number";
        match self.value.get_ref() {
            DeValue::Integer(_) => self.count(),
            DeValue::String(text) => parse_size(text)
                .ok_or_else(|| self.error(format_args!("{:?} must be {wanted}, not {text:?}", self.key))),
            other => Err(self.wrong(wanted, other)),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfError> {
        let wanted = "a duration such as \"200ms\", \"10s\" or \"5m\"";
        match self.value.get_ref() {
            DeValue::String(text) => parse_duration(text)
                .ok_or_else(|| self.error(format_args!("{:?} must be {wanted}, not {text:?}", self.key))),
            other => Err(self.wrong(wanted, other)),
        }
    }
}

/// Reads `512MiB`, `2GiB`, `64MB`, `1.5GB`: powers of 1,024 with the `i`, of 1,000 without.
fn parse_size(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let bytes_a_unit: u64 = match unit {
        "B" => 1,
        // Only k is what SI has for it, and K what everybody writes.
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    // What is too large for a u64 becomes the largest, which no limit allows.
    Some((number.parse::<f64>().ok()? * bytes_a_unit as f64) as u64)
}

fn integer(n: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

fn param(value: &DeValue<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(n) => Value::Integer(integer(n).ok_or("is too large a number")?),
        DeValue::Float(x) => Value::Float(x.as_str().parse().map_err(|_| "is no number")?),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::from(date.to_string().as_str()),
        DeValue::Array(list) => Value::List(list.iter().map(|item| param(item.get_ref())).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(name, value)| {
                let value = param(value.get_ref())?;
                Ok(plugin_api::Entry { name: name.get_ref().as_ref().into(), value })
            });
            Value::Table(entries.collect::<Result<_, &'static str>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes) in [
            ("512MiB", Some(512 << 20)),
            ("2GiB", Some(2 << 30)),
            ("64MB", Some(64_000_000)),
            ("64KB", Some(64_000)),
            ("64kB", Some(64_000)),
            ("1.5GiB", Some(3 << 29)),
            ("7B", Some(7)),
            ("99999999999999999999TiB", Some(u64::MAX)),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for bad in ["", "512", "MiB", "512 MiB", "512mib", "-1MiB", "1.2.3MiB", "1e3MiB", "nanMiB", "512M"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
