//! What stands under `[params]` in a module's `.on`.

use crate::error::Error;
use abi_stable::StableAbi;
use abi_stable::std_types::{RStr, RString, RVec};
use core::time::Duration;

/// One value of a parameter.
#[repr(u8)]
#[derive(StableAbi, Clone, Debug, PartialEq)]
pub enum Value {
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(RString),
    /// `[…]`
    List(RVec<Value>),
    /// `{…}` or a table of its own.
    Table(RVec<Entry>),
}

/// A named [`Value`].
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name, as written.
    pub name: RString,
    /// What it is set to.
    pub value: Value,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Integer(n)
    }
}
impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Float(x)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Value {
        Value::List(list.into_iter().map(Into::into).collect())
    }
}

/// Declares a parameter that a module takes: the host refuses all others, naming the nearest of these, and
/// `graftd probe` prints them.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct ParamDecl {
    /// The name under `[params]`.
    pub name: RStr<'static>,
    /// What holds when it is not given, as it would be written; empty where it must be given. A plugin that has such a
    /// parameter is off until there is a `.on` for it.
    pub default: RStr<'static>,
    /// What it is for, in a line.
    pub help: RStr<'static>,
}

impl ParamDecl {
    /// Declares a parameter.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, help: &'static str) -> ParamDecl {
        ParamDecl { name: RStr::from_str(name), default: RStr::from_str(default), help: RStr::from_str(help) }
    }
}

/// The parameters of one module. Check all of them in `new`: a wrong one is found when the module is probed
/// and never stops a running one.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Default)]
pub struct Params {
    entries: RVec<Entry>,
}

impl Params {
    /// No parameters.
    #[must_use]
    pub fn new() -> Params {
        Params::default()
    }

    /// With one more parameter, or another value for one that was there.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Params {
        let value = value.into();
        match self.entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Entry { name: name.into(), value }),
        }
        self
    }

    /// The value as written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }

    /// All parameters in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// Text.
    ///
    /// # Errors
    /// It is given and is no text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.read(name, "text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number of zero or more.
    ///
    /// # Errors
    /// It is given and is no such number.
    pub fn count(&self, name: &str) -> Result<Option<u64>, Error> {
        self.read(name, "a whole number of 0 or more", |value| match value {
            Value::Integer(n) => u64::try_from(*n).ok(),
            _ => None,
        })
    }

    /// A number.
    ///
    /// # Errors
    /// It is given and is no number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        self.read(name, "a number", |value| match value {
            Value::Integer(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// It is given and is neither.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A list of texts; a single text is a list of one.
    ///
    /// # Errors
    /// It is given and is something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Error> {
        self.read(name, "a list of texts", |value| match value {
            Value::Text(text) => Some(vec![text.as_str()]),
            Value::List(list) => list
                .iter()
                .map(|item| match item {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A duration: `"200ms"`, `"10s"`, `"5m"`, `"2h"`, `"7d"`.
    ///
    /// # Errors
    /// It is given and is no duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Error> {
        self.read(name, "a duration such as \"200ms\", \"10s\" or \"5m\"", |value| match value {
            Value::Text(text) => parse_duration(text),
            _ => None,
        })
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        wanted: &str,
        take: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match take(value) {
            Some(taken) => Ok(Some(taken)),
            None => Err(Error::config(format_args!("params: {name:?} must be {wanted}, not {}", value.kind()))),
        }
    }
}

/// Reads `200ms`, `10s`, `5m`, `2h`, `7d`; nothing else, and no sum of them.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let seconds_a_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds_a_unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_of_another_kind_is_named() {
        let params = Params::new().with("k", "many").with("every", "10s").with("n", -1);
        assert_eq!(
            params.count("k").unwrap_err().message(),
            "params: \"k\" must be a whole number of 0 or more, not text"
        );
        assert!(params.count("n").is_err());
        assert_eq!(params.count("absent"), Ok(None));
        assert_eq!(params.duration("every"), Ok(Some(Duration::from_secs(10))));
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in
            [("200ms", Some(200)), ("1.5s", Some(1_500)), ("2h", Some(7_200_000)), ("7d", Some(604_800_000))]
        {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), millis);
        }
        for bad in ["", "10", "s", "10 s", "-1s", "1h30m", "nans", "1e3s", "99999999999999999999d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
