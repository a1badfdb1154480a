//! `graftd check-format`: lines of a log taken apart by a format.

use super::Failure;
use super::error::print;
use super::read::{AUTO, Beginning, beginning};
use crate::ingest::format::{Decoded, Format, FormatError, LineError, Parser, first_lines, guess};
use crate::limits::GUESS_LINES;
use crate::text::one_line;
use clap::Args;
use plugin_api::{Access, Field, Fields};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Show how a format takes the lines of a log apart.
///
/// Each of the first lines is shown field by field, a line that is not of the format with the column at which reading it
/// stopped. Then the first 1000 lines are counted. Ends with 0 when all of them fit, with 1 when one does not, with 2
/// when the format itself cannot be used.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
graftd check-format auto /var/log/nginx/access.log\n  \
graftd check-format '$remote_addr [$time_local] \"$request\" $status' access.log -n 1\n  \
zcat access.log.gz | graftd check-format 'json:addr=client.ip,request_time=dur/1000' -\n\n\
What it shows, of a line that fits and of one that does not:\n  \
line 1\n    \
addr    192.0.2.7\n    \
time    17/May/2015:10:05:03 +0000 = 2015-05-17T10:05:03.000Z\n    \
method  GET\n    \
url     /cart?id=7\n    \
status  200\n  \
line 2: status, column 57: not a status code, which is three digits from 100 to 999\n    \
192.0.2.7 [17/May/2015:10:05:04 +0000] \"GET / HTTP/1.1\" OK\n    \
\u{20}                                                       ^")]
pub(super) struct CheckFormat {
    /// auto, combined, common, timed, vhost_combined, json, w3c, json:FIELD=KEY,…, an nginx log_format, an Apache LogFormat
    #[arg(value_name = "STRING")]
    format: String,
    /// The log; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How many lines are shown
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 5)]
    lines: usize,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Lines that do not fit that are shown beyond the first ones.
const MISFITS_SHOWN: usize = 3;
/// Reasons that are counted apart.
const REASONS_SHOWN: usize = 10;
/// Bytes of a value that are shown.
const VALUE_BYTES: usize = 200;
/// Characters of a line that are shown around the column at which reading stopped: a terminal is at least as wide.
const EXCERPT_CHARS: usize = 76;

/// A line, and what became of it.
struct Checked<'a> {
    number: usize,
    line: &'a str,
    read: Read,
}

enum Read {
    /// The fields that it has: what they are called, their text, and what that means where it says less.
    Fits(Vec<Shown>),
    /// It is part of a header.
    Header,
    Misfits(LineError),
}

struct Shown {
    field: Field,
    text: Option<String>,
    meaning: String,
    value: Value,
}

impl CheckFormat {
    pub(super) fn run(self) -> Result<(), Failure> {
        let named = match self.format.trim() {
            AUTO => None,
            spec => Some(Format::compile(&self.format).map_err(|error| bad_format(spec, &self.format, &error))?),
        };
        let Beginning { bytes, whole, .. } =
            self.read().map_err(|error| Failure::work(format_args!("{}: {error}", self.file.display())))?;
        let text = String::from_utf8_lossy(&bytes);
        let (format, said) = match named {
            Some(format) => (format, None),
            None => {
                let guess = guess(&first_lines(&text, whole));
                (guess.format, Some(guess.said))
            }
        };
        if let Some(said) = &said {
            eprintln!("graftd: {}: {said}", self.file.display());
        }
        let checked = check(&format, &text, whole);
        let lines = checked.iter().filter(|checked| !matches!(checked.read, Read::Header)).count();
        let misfits = checked.iter().filter(|checked| matches!(checked.read, Read::Misfits(_))).count();
        if self.json {
            print(&self.document(&format, said.is_some(), &checked, lines, misfits).to_string())?;
        } else {
            print(self.page(&format, &checked, lines, misfits).trim_end())?;
        }
        match (lines, misfits) {
            (0, _) => Err(Failure::work(format_args!("{}: no line to check", self.file.display()))),
            (_, 0) => Ok(()),
            (_, 1) => Err(Failure::work(format_args!("one of {lines} lines does not fit"))),
            _ => Err(Failure::work(format_args!("{misfits} of {lines} lines do not fit"))),
        }
    }

    fn read(&self) -> io::Result<Beginning> {
        if self.file == Path::new("-") {
            return beginning(&mut io::stdin().lock())?.unbroken();
        }
        let mut file = File::open(&self.file)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("is a folder, not a log"));
        }
        beginning(&mut file)?.unbroken()
    }

    /// The findings for people.
    fn page(&self, format: &Format, checked: &[Checked<'_>], lines: usize, misfits: usize) -> String {
        let mut page = String::new();
        let width =
            Field::ALL.iter().filter(|field| format.fields().has(**field)).map(|field| field.name().len()).max();
        let (mut shown, mut more) = (0, 0);
        for Checked { number, line, read } in checked {
            let first = shown < self.lines;
            // Writing to a text does not fail.
            let _ = match read {
                Read::Header => continue,
                Read::Fits(_) if !first => continue,
                Read::Fits(fields) => writeln!(page, "line {number}").and_then(|()| {
                    fields.iter().try_for_each(|Shown { field, text, meaning, .. }| {
                        let text =
                            text.as_deref().map_or("-".to_owned(), |text| one_line(text.to_owned(), VALUE_BYTES));
                        writeln!(page, "  {:<width$}  {text}{meaning}", field.name(), width = width.unwrap_or_default())
                    })
                }),
                Read::Misfits(_) if !first && more == MISFITS_SHOWN => continue,
                Read::Misfits(error) => {
                    more += usize::from(!first);
                    let (excerpt, column) = excerpt(line, error.column as usize);
                    writeln!(page, "line {number}: {error}\n  {excerpt}\n  {:column$}^", "")
                }
            };
            shown += 1;
        }
        let _ = writeln!(
            page,
            "\n{} of {lines} lines fit the format {:?}",
            lines - misfits,
            one_line(format.spec().to_owned(), VALUE_BYTES)
        );
        for (why, count, first) in reasons(checked) {
            let _ = writeln!(page, "{count:>7}  {why}, first in line {first}");
        }
        page
    }

    /// The findings for programs.
    fn document(&self, format: &Format, guessed: bool, checked: &[Checked<'_>], lines: usize, misfits: usize) -> Value {
        let first = checked.iter().filter(|checked| !matches!(checked.read, Read::Header)).take(self.lines);
        let first: Vec<Value> = first
            .map(|Checked { number, line, read }| match read {
                Read::Misfits(error) => json!({
                    "line": number, "fits": false, "field": error.field, "column": error.column, "why": error.why.text(),
                    "text": plugin_api::limits::cut(line, VALUE_BYTES),
                }),
                Read::Fits(fields) => {
                    let mut map = Map::new();
                    for Shown { field, text, value, .. } in fields {
                        map.insert(field.name().to_owned(), json!(text));
                        if !value.is_null() {
                            let name = if *field == Field::Time { "time_ms" } else { field.name() };
                            map.insert(name.to_owned(), value.clone());
                        }
                    }
                    json!({"line": number, "fits": true, "fields": map})
                }
                Read::Header => Value::Null,
            })
            .collect();
        let reasons: Vec<Value> = reasons(checked)
            .into_iter()
            .map(|(why, count, first)| json!({"why": why, "lines": count, "first": first}))
            .collect();
        json!({
            "format": format.spec(), "guessed": guessed, "first": first, "lines": lines, "fit": lines - misfits, "misfits": reasons,
        })
    }
}

/// Reads the lines as the pipes would get them.
fn check<'a>(format: &Format, text: &'a str, whole: bool) -> Vec<Checked<'a>> {
    let mut parser = format.parser(Fields::ALL);
    let mut decoded = Decoded::default();
    let end = if whole { text.len() } else { memchr::memrchr(b'\n', text.as_bytes()).unwrap_or(0) };
    let numbered =
        text[..end].split('\n').enumerate().map(|(i, line)| (i + 1, line.strip_suffix('\r').unwrap_or(line)));
    let lines = numbered.filter(|(_, line)| !line.is_empty()).take(GUESS_LINES);
    lines.map(|(number, line)| Checked { number, line, read: read(format, &mut parser, &mut decoded, line) }).collect()
}

fn read(format: &Format, parser: &mut Parser, decoded: &mut Decoded, line: &str) -> Read {
    let mut records: Vec<Access<'_>> = Vec::with_capacity(1);
    let parsed = parser.parse(line, &mut records, decoded);
    decoded.settle(&mut records);
    let read = match (parsed, records.first()) {
        (Err(error), _) => Read::Misfits(error),
        (Ok(()), None) => Read::Header,
        (Ok(()), Some(record)) => {
            let has = |field: &Field| format.fields().has(*field);
            Read::Fits(Field::ALL.into_iter().filter(has).map(|field| shown(field, record)).collect())
        }
    };
    drop(records);
    decoded.clear();
    read
}

/// A field's text, and what it means where that is another.
fn shown(field: Field, record: &Access<'_>) -> Shown {
    let text = record.text(field).map(str::to_owned);
    let seconds = |seconds: Option<f64>| {
        let written = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let same = text.as_ref().and_then(|text| text.parse().ok()) == seconds;
        (json!(seconds), if same { String::new() } else { format!(" = {written} s") })
    };
    let (value, meaning) = match field {
        Field::Time => {
            (json!(record.time_ms()), record.time_ms().map(|ms| format!(" = {}", utc(ms))).unwrap_or_default())
        }
        Field::Status => (json!(record.status()), String::new()),
        Field::Bytes => (json!(record.bytes()), String::new()),
        Field::RequestTime => seconds(record.request_time()),
        Field::UpstreamTime => seconds(record.upstream_time()),
        _ => (Value::Null, String::new()),
    };
    Shown { field, text, meaning, value }
}

/// Why lines do not fit, each with how many and the first one.
fn reasons(checked: &[Checked<'_>]) -> Vec<(String, usize, usize)> {
    let mut reasons: Vec<(String, usize, usize)> = Vec::new();
    for Checked { number, read, .. } in checked {
        let Read::Misfits(error) = read else { continue };
        let why = format!("{}: {}", error.field, error.why.text());
        match reasons.iter_mut().find(|(known, ..)| *known == why) {
            Some((_, count, _)) => *count += 1,
            None => reasons.push((why, 1, *number)),
        }
    }
    reasons.sort_by_key(|(_, count, first)| (std::cmp::Reverse(*count), *first));
    reasons.truncate(REASONS_SHOWN);
    reasons
}

/// The part of a line around a column (in bytes, from 1), and how many characters of it stand before that column.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let before: Vec<char> = line.char_indices().take_while(|(at, _)| at + 1 < column).map(|(_, c)| c).collect();
    let long = line.chars().nth(EXCERPT_CHARS).is_some();
    let skipped = if long && before.len() > EXCERPT_CHARS * 3 / 4 { before.len() - EXCERPT_CHARS / 2 } else { 0 };
    let rest = line.chars().skip(skipped);
    let mut shown: String = if skipped > 0 { "…".to_owned() } else { String::new() };
    shown.extend(rest.clone().take(EXCERPT_CHARS).map(|c| if c.is_control() { ' ' } else { c }));
    if rest.count() > EXCERPT_CHARS {
        shown.push('…');
    }
    (shown, before.len() - skipped + usize::from(skipped > 0))
}

/// What is wrong with a format, with a mark below the place.
fn bad_format(spec: &str, given: &str, error: &FormatError) -> Failure {
    // Columns count on through lines.
    let at = error.column.saturating_sub(1);
    let before: String = given.chars().take(at).collect();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = given[line_start..].split('\n').next().unwrap_or(spec);
    let (excerpt, column) = excerpt(line, before.len() - line_start + 1);
    Failure::usage(format_args!("{error}\n  {excerpt}\n  {:column$}^", ""))
}

/// `2015-05-17T10:05:03.000Z` (H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn utc(ms: i64) -> String {
    let (days, ms_of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, ms) = (ms_of_day / 1_000, ms_of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_below_the_column() {
        let marked = |line: &str, column| {
            let (shown, at) = excerpt(line, column);
            shown.chars().nth(at)
        };
        assert_eq!(excerpt("abc", 2), ("abc".to_owned(), 1));
        assert_eq!((marked("äöü", 3), marked("abc", 4), marked("abc", 99)), (Some('ö'), None, None));
        let long: String = ('a'..='z').cycle().take(1_000).collect();
        for column in [1, 50, 57, 58, 59, 500, 1_000] {
            assert_eq!(marked(&long, column), long.chars().nth(column - 1), "{column}");
            assert!(excerpt(&long, column).0.chars().count() <= EXCERPT_CHARS + 2);
        }
        assert_eq!(excerpt("a\x1b\tb", 3).0, "a  b");
        assert_eq!(
            excerpt(&long[..EXCERPT_CHARS], EXCERPT_CHARS),
            (long[..EXCERPT_CHARS].to_owned(), EXCERPT_CHARS - 1)
        );
    }

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_431_857_103_042, "2015-05-17T10:05:03.042Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }

    #[test]
    fn a_bad_format_is_marked_in_its_line() {
        let spec = "log_format x '$remote_addr '\n  '$host$status';";
        let error = Format::compile(spec).unwrap_err();
        let said = bad_format(spec, spec, &error).to_string();
        assert!(said.ends_with("\n    '$host$status';\n          ^"), "{said}");
    }
}
