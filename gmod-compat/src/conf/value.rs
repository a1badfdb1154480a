//! Texts to booleans and numbers, by the rules of libconfuse's `cfg_setopt`.

use super::error::{Error, Pos, Warnings, quoted};
use std::ops::RangeInclusive;

/// The one value of a known key.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    /// The key, in its usual spelling.
    pub(super) key: &'static str,
    pub(super) text: &'a str,
    pub(super) pos: &'a Pos,
}

impl Value<'_> {
    fn wrong(&self, wanted: &str, hint: &str) -> Error {
        let hint = if self.text.ends_with(';') { "remove the `;`: items need no end mark" } else { hint };
        Error::at(self.pos, format!("`{}` must be {wanted}, not {}", self.key, quoted(self.text)), hint)
    }

    /// The text as it stands.
    pub(super) fn string(&self) -> String {
        self.text.to_owned()
    }

    /// `true on yes`, `false off no`, in any case, and nothing else: libconfuse refuses `1` and `0`.
    pub(super) fn boolean(&self) -> Result<bool, Error> {
        let is = |words: [&str; 3]| words.iter().any(|word| self.text.eq_ignore_ascii_case(word));
        if is(["true", "on", "yes"]) {
            Ok(true)
        } else if is(["false", "off", "no"]) {
            Ok(false)
        } else {
            Err(self.wrong("yes or no", "write `yes` or `no`"))
        }
    }

    /// A whole number as `strtol(3)` with base 0 reads it: `10`, `0x0a` and, with a warning, octal `012`; an empty
    /// text is 0, also with one. What gmond would take but make no sense of is moved into the `range`, with a
    /// warning.
    pub(super) fn integer(&self, range: RangeInclusive<u32>, warnings: &mut Warnings) -> Result<u32, Error> {
        let wrong = || self.wrong("a whole number", "write digits, like `60`");
        let text = self.text.trim_start_matches(is_c_space);
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
        let (digits, radix) = match hexadecimal {
            Some(digits) => (digits, 16),
            None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
            None => (digits, 10),
        };
        let value = if self.text.is_empty() {
            warnings.push(Error::at(
                self.pos,
                format!("`{}` is empty and counts as 0, as in gmond", self.key),
                "write a number",
            ));
            0
        } else {
            // from_str_radix takes a sign of its own.
            if digits.starts_with(['+', '-']) {
                return Err(wrong());
            }
            let value = i64::from_str_radix(digits, radix).map_err(|_| wrong())?;
            if negative { -value } else { value }
        };
        if radix == 8 {
            let what = format!("{} starts with 0 and is octal, {value}, as in gmond", quoted(self.text));
            warnings.push(Error::at(self.pos, what, "leave out the leading 0 if it is not meant so"));
        }
        let (low, high) = (*range.start(), *range.end());
        let clamped = u32::try_from(value.clamp(i64::from(low), i64::from(high))).unwrap_or(low);
        if i64::from(clamped) != value {
            let what = format!("`{}` is {value}, outside {low} to {high}; {clamped} is used", self.key);
            warnings.push(Error::at(self.pos, what, ""));
        }
        Ok(clamped)
    }

    /// A number as `strtod(3)` reads it, hexadecimal fractions left out: `1`, `1.`, `.5`, `1e3`, `0x10`, `inf`,
    /// `nan`; an empty text is 0.
    pub(super) fn number(&self) -> Result<f64, Error> {
        if self.text.is_empty() {
            return Ok(0.0);
        }
        let text = self.text.trim_start_matches(is_c_space);
        let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let value = match hexadecimal {
            Some(digits) if !digits.starts_with(['+', '-']) => u32::from_str_radix(digits, 16).ok().map(f64::from),
            _ => text.parse().ok(),
        };
        value.ok_or_else(|| self.wrong("a number", "write one like `0.5`, without a unit"))
    }
}

/// What `isspace(3)` takes for a blank in the C locale.
fn is_c_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(text: &str, read: impl Fn(Value<'_>) -> T) -> T {
        let pos = Pos { file: "t".into(), line: 1, column: 1 };
        read(Value { key: "k", text, pos: &pos })
    }

    #[test]
    fn booleans_are_words() {
        for (text, expected) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("TRUE", Some(true)),
            ("no", Some(false)),
            ("oFF", Some(false)),
            ("False", Some(false)),
        ] {
            assert_eq!(with(text, |value| value.boolean().ok()), expected, "{text}");
        }
        for text in ["1", "0", "", "yes ", "y"] {
            assert_eq!(with(text, |value| value.boolean().ok()), None, "{text}");
        }
        let error = with("yes;", |value| value.boolean().expect_err("an error").to_string());
        assert_eq!(error, "t:1:1: `k` must be yes or no, not `yes;`; remove the `;`: items need no end mark");
    }

    /// The values were measured on libconfuse 3.3, those with a warning too.
    #[test]
    fn integers_are_those_of_strtol() {
        for (text, expected, warned) in [
            ("60", Some(60), 0),
            ("0", Some(0), 0),
            ("0x10", Some(16), 0),
            ("0X1f", Some(31), 0),
            ("010", Some(8), 1),
            (" \t+10", Some(10), 0),
            ("", Some(0), 1),
            ("-1", Some(0), 1),
            ("1001", Some(1000), 1),
            ("99999999999", Some(1000), 1),
            ("99999999999999999999", None, 0),
            ("10 ", None, 0),
            ("1.5", None, 0),
            ("0x", None, 0),
            ("08", None, 0),
            ("--1", None, 0),
            ("0x-1", None, 0),
            (" ", None, 0),
            ("60s", None, 0),
        ] {
            let mut warnings = Warnings::default();
            let got = with(text, |value| value.integer(0..=1000, &mut Warnings::default()).ok());
            assert_eq!(got, expected, "{text}");
            let pos = Pos { file: "t".into(), line: 1, column: 1 };
            let _ = Value { key: "k", text, pos: &pos }.integer(0..=1000, &mut warnings);
            assert_eq!(warnings.list().len(), warned, "{text} {warnings:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_strtod() {
        for (text, expected) in [
            ("1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("-1", -1.0),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            (" 1.5", 1.5),
            ("", 0.0),
            ("inf", f64::INFINITY),
        ] {
            assert_eq!(with(text, |value| value.number().ok()), Some(expected), "{text}");
        }
        assert!(with("nan", |value| value.number()).expect("a number").is_nan());
        for text in ["1.0f", "x", "1 ", "0x", " "] {
            assert!(with(text, |value| value.number()).is_err(), "{text}");
        }
    }
}
