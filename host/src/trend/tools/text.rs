//! Samples as text.
//!
//! CSV (RFC 4180): a path, which is quoted if it has commas, a time and a value. Prometheus text (exposition format 0.0.4) with
//! timestamps: the metric's name is the first key, the values of its labels are the next ones, in their order.

use crate::tree::encode_key;
use std::fmt;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `"cpu,h1,user",1767571200,12.5`; seconds, or RFC 3339.
    Csv,
    /// `cpu{host="h1",mode="user"} 12.5 1767571200000`; milliseconds.
    Prometheus,
}

impl Form {
    /// That of a text, by its first line that says something.
    pub(crate) fn guess(line: &str) -> Form {
        let is_csv = line.starts_with('"') || line.split(',').count() == 3 && !line.contains(['{', ' ']);
        if is_csv { Form::Csv } else { Form::Prometheus }
    }
}

/// A line is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextError(&'static str);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A sample in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample<'l> {
    /// What names the series, as it is written: the same for the same one.
    pub(crate) series: &'l str,
    pub(crate) time_ms: i64,
    pub(crate) value: f64,
}

/// Reads a line; none where it says nothing: a comment, a head of columns, an empty one.
///
/// # Errors
/// It is no sample.
pub(crate) fn parse_line(form: Form, line: &str) -> Result<Option<Sample<'_>>, TextError> {
    match form {
        Form::Csv => csv(line),
        Form::Prometheus => prometheus(line),
    }
}

/// A line that says which text a node was from a time on: `"os,version",1767571200,"24.04"`. None where it is no such line; then
/// it may be a sample.
pub(crate) fn parse_text(form: Form, line: &str) -> Option<Result<(&str, i64, String), TextError>> {
    let line = line.strip_suffix('"').filter(|_| form == Form::Csv)?;
    let series = match line.strip_prefix('"') {
        Some(quoted) => {
            let mut quotes = quoted.match_indices('"').map(|(at, _)| at).peekable();
            loop {
                let at = quotes.next()?;
                // Two are one that is a part of the path.
                if quotes.next_if_eq(&(at + 1)).is_none() {
                    break &line[..at + 2];
                }
            }
        }
        None => &line[..line.find(',')?],
    };
    let (time, text) = line[series.len()..].strip_prefix(',')?.split_once(",\"")?;
    Some(time_ms(time, 1_000).map(|time| (series, time, text.replace("\"\"", "\""))))
}

fn csv(line: &str) -> Result<Option<Sample<'_>>, TextError> {
    if line.is_empty() {
        return Ok(None);
    }
    let split = || {
        let (rest, value) = line.rsplit_once(',')?;
        let (series, time) = rest.rsplit_once(',')?;
        Some((series, time, value))
    };
    let (series, time, value) = split().ok_or(TextError("it must be PATH,TIME,VALUE"))?;
    if (time, value) == ("time", "value") {
        return Ok(None);
    }
    if series.contains(',') && !series.starts_with('"') {
        return Err(TextError("a path with commas must be quoted, as in \"cpu,h1,user\",1767571200,12.5"));
    }
    Ok(Some(Sample { series, time_ms: time_ms(time, 1_000)?, value: number(value)? }))
}

fn prometheus(line: &str) -> Result<Option<Sample<'_>>, TextError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    // A label's value may have blanks; what follows has none.
    let end = line.rfind('}').map_or_else(|| line.find([' ', '\t']), |at| Some(at + 1));
    let (series, rest) = line.split_at(end.ok_or(TextError("it must be NAME{LABELS} VALUE TIMESTAMP"))?);
    let mut fields = rest.split_ascii_whitespace();
    let value = fields.next().ok_or(TextError("it has no value"))?;
    let time = fields.next().ok_or(TextError("it has no timestamp: when it was is not known"))?;
    if fields.next().is_some() {
        return Err(TextError("something follows its timestamp"));
    }
    Ok(Some(Sample { series, time_ms: time_ms(time, 1)?, value: number(value)? }))
}

fn number(text: &str) -> Result<f64, TextError> {
    let number: f64 = text.parse().map_err(|_| TextError("its value is no number"))?;
    if number.is_finite() { Ok(number) } else { Err(TextError("its value is no finite number")) }
}

/// Milliseconds up to the year 9999.
const TIME_MAX: i64 = 253_402_300_800_000;

/// A time as a whole number of units of so many milliseconds, with or without decimals, or as RFC 3339 has it.
fn time_ms(text: &str, unit: i64) -> Result<i64, TextError> {
    let ms = match text.parse::<i64>() {
        Ok(whole) => whole.checked_mul(unit),
        Err(_) => match text.parse::<f64>() {
            Ok(part) if !part.is_finite() => None,
            Ok(part) => Some((part * unit as f64).round() as i64),
            Err(_) => crate::when::parse_time(text, 0),
        },
    };
    ms.filter(|ms| (0..TIME_MAX).contains(ms)).ok_or(TextError("its time is none"))
}

/// The path of what names a series.
///
/// # Errors
/// It names none.
pub(super) fn path_of(form: Form, series: &str) -> Result<String, TextError> {
    match form {
        Form::Csv => match series.strip_prefix('"') {
            Some(quoted) => {
                let inner = quoted.strip_suffix('"').ok_or(TextError("a quote is not closed"))?;
                Ok(inner.replace("\"\"", "\""))
            }
            None => Ok(series.to_owned()),
        },
        Form::Prometheus => {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let mut path = String::new();
            encode_key(name, &mut path);
            let mut rest = labels.trim_end_matches('}');
            while !rest.trim_matches([',', ' ']).is_empty() {
                let malformed = TextError("its labels must be NAME=\"VALUE\", with commas between");
                let (_, value) = rest.split_once("=\"").ok_or(malformed)?;
                let mut key = String::new();
                let mut chars = value.char_indices();
                let end = loop {
                    match chars.next().ok_or(malformed)? {
                        (at, '"') => break at,
                        (_, '\\') => match chars.next().ok_or(malformed)?.1 {
                            'n' => key.push('\n'),
                            c => key.push(c),
                        },
                        (_, c) => key.push(c),
                    }
                };
                // An empty label is the same as none.
                if !key.is_empty() {
                    path.push(',');
                    encode_key(&key, &mut path);
                }
                rest = &value[end + 1..];
            }
            Ok(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, parse_line, parse_text, path_of};
    use proptest::prelude::*;

    fn read(line: &str) -> (String, i64, f64) {
        let form = Form::guess(line);
        let sample = parse_line(form, line).expect("a sample").expect("says something");
        (path_of(form, sample.series).expect("a path"), sample.time_ms, sample.value)
    }

    #[test]
    fn both_forms_are_read() {
        let expected = ("cpu,h1,user".to_owned(), 1_767_571_200_000, 12.5);
        assert_eq!(read("\"cpu,h1,user\",1767571200,12.5"), expected);
        assert_eq!(read("\"cpu,h1,user\",2026-01-05T00:00:00Z,12.5"), expected);
        assert_eq!(read("cpu{host=\"h1\",mode=\"user\"} 12.5 1767571200000"), expected);
        assert_eq!(read("7,1767571200.25,3").1, 1_767_571_200_250);
        assert_eq!(read("up 1 1767571200000").0, "up");
        assert_eq!(read("url{path=\"/a b,\\\"c\\\"}\"} 1 1767571200000").0, "url,/a b%2C\"c\"}");
        for silent in ["", "# HELP x", "  "] {
            assert_eq!(parse_line(Form::Prometheus, silent), Ok(None));
        }
        assert_eq!(parse_line(Form::Csv, "path,time,value"), Ok(None));
    }

    #[test]
    fn what_is_no_sample_is_said() {
        for (form, line) in [
            (Form::Csv, "a,b"),
            (Form::Csv, "a,b,1767571200,3"),
            (Form::Csv, "a,yesterday,3"),
            (Form::Csv, "a,1767571200,many"),
            (Form::Csv, "a,1767571200,nan"),
            (Form::Csv, "a,-5,3"),
            (Form::Csv, "a,nan,3"),
            (Form::Csv, "a,-inf,3"),
            (Form::Prometheus, "up 1 nan"),
            (Form::Prometheus, "up 1"),
            (Form::Prometheus, "up"),
            (Form::Prometheus, "up 1 2 3"),
        ] {
            assert!(parse_line(form, line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_text_is_read_with_its_quotes_and_commas() {
        let read = |line| parse_text(Form::Csv, line).and_then(Result::ok);
        assert_eq!(
            read("\"os,a\"\"b\",1767571200,\"x,\"\"y\"\"\""),
            Some(("\"os,a\"\"b\"", 1_767_571_200_000, "x,\"y\"".to_owned()))
        );
        assert_eq!(read("os,1767571200.5,\"\""), Some(("os", 1_767_571_200_500, String::new())));
        assert_eq!(parse_text(Form::Csv, "\"os,a\",1767571200,3"), None);
        assert_eq!(parse_text(Form::Csv, "\"os\""), None);
        assert!(parse_text(Form::Csv, "os,yesterday,\"a\"").is_some_and(|read| read.is_err()));
        assert_eq!(parse_text(Form::Prometheus, "os,1767571200,\"a\""), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(line in "[\",a]{0,12}.{0,60}") {
            for form in [Form::Csv, Form::Prometheus] {
                let _ = parse_text(form, &line);
                if let Ok(Some(sample)) = parse_line(form, &line) {
                    let _ = path_of(form, sample.series);
                }
            }
        }
    }
}
