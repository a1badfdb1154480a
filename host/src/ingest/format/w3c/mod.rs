//! The W3C's extended log format, as IIS and CloudFront write it: the log itself names its columns, in lines that begin with
//! `#Fields:`, and may name others further down.
//!
//! Date and time are one time, in UTC. What of a target stands in two columns, and is to be one text, is written anew
//! beside the line, as texts with escapes are elsewhere; so is what is written for a blank (IIS: `+`) in a user agent.
//!
//! Sources: W3C working draft WD-logfile-960323; Microsoft, "W3C Logging"; AWS, "CloudFront standard logging".

mod columns;
mod header;

pub use header::header_before;

use super::MAX_LINE;
use super::error::{FormatError, LineError, Why};
use super::escape::Decoded;
use super::scan::{self, Line};
use super::stamp::Stamps;
use super::value::{is_absent, span, status};
use columns::{Column, Columns};
use plugin_api::{Access, Field, Fields};

/// How the line begins that names the columns.
pub(super) const FIELDS: &str = "#Fields:";

/// Reads the lines of one log.
#[derive(Clone, Debug)]
pub(super) struct Parser {
    wants: Fields,
    /// The columns that a file has without naming them.
    given: Option<Columns>,
    columns: Option<Columns>,
    /// What they were when the batch began, if a line of it has named others.
    at_mark: Option<Option<Columns>>,
    stamps: Stamps,
}

/// Looks whether a header names columns of which a field can be taken.
pub(super) fn check(spec: &str) -> Result<(), FormatError> {
    let start = spec.chars().take_while(|c| c.is_whitespace()).count() + FIELDS.len() + 1;
    let Some(columns) = Columns::read(spec.trim(), Fields::ALL) else {
        return Err(FormatError::new(start, Why::BadHeader.text()));
    };
    if !columns.has_any() {
        let why = "no column of the header is known: sc-status, c-ip, cs-uri-stem and others are; see the formats";
        return Err(FormatError::new(start, why));
    }
    Ok(())
}

/// The fields that a log may have.
pub(super) fn fields() -> Fields {
    Fields::of(&[
        Field::Addr,
        Field::User,
        Field::Time,
        Field::Method,
        Field::Url,
        Field::Protocol,
        Field::Status,
        Field::Bytes,
        Field::Referer,
        Field::Agent,
        Field::RequestTime,
        Field::Host,
    ])
}

/// Where values stand that are more than one column's or need more than their place.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    date: Option<(usize, usize)>,
    time: Option<(usize, usize)>,
    stem: Option<(usize, usize)>,
    query: Option<(usize, usize)>,
    /// The agent has something that stands for something else.
    coded: bool,
}

impl Parser {
    pub(super) fn new(header: Option<&str>, wants: Fields) -> Parser {
        let given = header.and_then(|header| Columns::read(header, wants));
        Parser { wants, columns: given.clone(), given, at_mark: None, stamps: Stamps::new() }
    }

    /// See [`super::Parser::parse`].
    pub(super) fn parse<'a>(
        &mut self,
        line: &'a str,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        if line.starts_with('#') {
            return if self.header_line(line) { Ok(()) } else { Err(fail("header", 0, Why::BadHeader)) };
        }
        let Some(columns) = &self.columns else { return Err(fail("header", 0, Why::NoHeader)) };
        if line.len() > MAX_LINE {
            return Err(fail("line", MAX_LINE, Why::TooLong));
        }
        let index = records.len();
        let mut record = Access::new(line);
        let tabs = memchr::memchr(b'\t', line.as_bytes()).is_some();
        let found = columns.fill(line.as_bytes(), if tabs { b'\t' } else { b' ' }, &mut record)?;
        self.time(line.as_bytes(), &found, &mut record)?;
        let query = target(line, &found, &mut record)?;
        if found.coded || query.is_some() {
            let stem = found.stem.map_or("", |(from, to)| &line[from..to]);
            decoded.add_by(index, &record, |field, text, bytes| match (field, query) {
                (Field::Url, Some(query)) => {
                    bytes.extend_from_slice(stem.as_bytes());
                    bytes.push(b'?');
                    bytes.extend_from_slice(query.as_bytes());
                    true
                }
                (Field::Agent, _) if found.coded => {
                    agent(text.as_bytes(), tabs, bytes);
                    true
                }
                _ => false,
            });
        }
        records.push(record);
        Ok(())
    }

    /// Reads a line that begins with `#`; `false` for a header that cannot be used.
    pub(super) fn header_line(&mut self, line: &str) -> bool {
        let line = line.trim_start_matches('\u{feff}').trim_end();
        // IIS repeats it whenever it starts.
        if !line.starts_with(FIELDS) || self.columns.as_ref().is_some_and(|columns| columns.header() == line) {
            return true;
        }
        let new = Columns::read(line, self.wants);
        let usable = new.is_some();
        let old = std::mem::replace(&mut self.columns, new);
        self.at_mark.get_or_insert(old);
        usable
    }

    pub(super) fn prime(&mut self, header: &str) {
        for line in header.lines() {
            // One that cannot be used leaves the lines without columns, which each of them says.
            self.header_line(line);
        }
    }

    pub(super) fn begin_file(&mut self) {
        self.columns = self.given.clone();
        self.at_mark = None;
    }

    #[inline]
    pub(super) fn mark(&mut self) {
        self.at_mark = None;
    }

    pub(super) fn rewind(&mut self) {
        if let Some(columns) = self.at_mark.take() {
            self.columns = columns;
        }
    }

    pub(super) fn follow(&mut self, other: &Parser) {
        let again = |columns: &Columns| Columns::read(columns.header(), self.wants);
        self.columns = other.columns.as_ref().and_then(again);
    }

    /// Sets the time of a date and a time, as which it counts only together.
    fn time(&mut self, line: &[u8], found: &Found, record: &mut Access<'_>) -> Result<(), LineError> {
        let (Some((d0, d1)), Some((t0, t1))) = (found.date, found.time) else { return Ok(()) };
        let mut buffer = [b' '; 40];
        let (date, time) = (&line[d0..d1], &line[t0..t1]);
        let len = date.len() + 1 + time.len();
        let bad = || fail(Field::Time.name(), t0, Why::NotTime);
        let text = buffer.get_mut(..len).ok_or_else(bad)?;
        text[..date.len()].copy_from_slice(date);
        text[date.len() + 1..].copy_from_slice(time);
        record.set_time_ms(self.stamps.iso(text).ok_or_else(bad)?);
        record.set_span(Field::Time, span(if d1 + 1 == t0 { d0 } else { t0 }, t1));
        Ok(())
    }
}

/// Sets the target where it is one text; else gives the query that is to be put to it.
fn target<'a>(line: &'a str, found: &Found, record: &mut Access<'_>) -> Result<Option<&'a str>, LineError> {
    let Some((stem, stem_end)) = found.stem else { return Ok(None) };
    let Some((query, query_end)) = found.query else {
        record.set_span(Field::Url, span(stem, stem_end));
        return Ok(None);
    };
    let adjacent = stem_end + 1 == query;
    // Written anew where it stands alone it makes the line longer.
    if !adjacent && line.len() + 1 + (query_end - query) > MAX_LINE {
        return Err(fail(Field::Url.name(), stem, Why::TooLong));
    }
    record.set_span(Field::Url, span(stem, if adjacent { query_end } else { stem_end }));
    Ok(Some(&line[query..query_end]))
}

impl Columns {
    /// Fills what one column says alone, and finds the rest.
    fn fill(&self, line: &[u8], separator: u8, record: &mut Access<'_>) -> Result<Found, LineError> {
        let mut found = Found::default();
        let mut quotes = true;
        let mut at = 0;
        for (i, &column) in self.all().iter().enumerate() {
            if i > 0 {
                if at >= line.len() {
                    return Err(fail(column.name(), line.len(), Why::Ends));
                }
                at += 1;
            }
            let (from, to, end) = value(line, at, separator, &mut quotes);
            let text = &line[from..to];
            at = end;
            if column == Column::Skip {
                continue;
            }
            // The last column of a line that is cut off is not told from a short one; but none is empty.
            if text.is_empty() && end == line.len() {
                return Err(fail(column.name(), from, Why::Ends));
            }
            if !is_absent(text) {
                column.take(text, (from, to), separator, record, &mut found)?;
            }
        }
        Ok(found)
    }
}

/// Where the value at `start` stands, and where what is after it begins. Quotes around it are not its own; doubled ones in
/// it are. Where one is not closed, `quotes` says so: no line is looked through for each of its columns.
fn value(line: &[u8], start: usize, separator: u8, quotes: &mut bool) -> (usize, usize, usize) {
    if *quotes && line.get(start) == Some(&b'"') {
        let mut at = start + 1;
        while let Some(quote) = memchr::memchr(b'"', &line[at..]).map(|i| at + i) {
            match line.get(quote + 1) {
                Some(b'"') => at = quote + 2,
                Some(&byte) if byte != separator => at = quote + 1,
                _ => return (start + 1, quote, quote + 1),
            }
        }
        *quotes = false;
    }
    let end = Line::alone(line).find_byte(start, separator).unwrap_or(line.len());
    (start, end, end)
}

impl Column {
    fn take(
        self,
        text: &[u8],
        (from, to): (usize, usize),
        separator: u8,
        record: &mut Access<'_>,
        found: &mut Found,
    ) -> Result<(), LineError> {
        let bad = |why| fail(self.name(), from, why);
        let field = match self {
            Column::Skip => return Ok(()),
            Column::Date => {
                found.date = Some((from, to));
                return Ok(());
            }
            Column::Time => {
                found.time = Some((from, to));
                return Ok(());
            }
            Column::Stem => {
                found.stem = Some((from, to));
                return Ok(());
            }
            Column::Query => {
                found.query = Some((from, to));
                return Ok(());
            }
            Column::Field(field) => field,
        };
        match field {
            Field::Status => {
                record.set_status(status(text).filter(|_| text.len() == 3).ok_or_else(|| bad(Why::NotStatus))?);
            }
            Field::Bytes => {
                let bytes = scan::whole(text).filter(|&bytes| bytes < u64::MAX).ok_or_else(|| bad(Why::NotBytes))?;
                record.set_bytes(bytes);
            }
            Field::RequestTime => {
                let number = scan::decimal(text).ok_or_else(|| bad(Why::NotSeconds))?;
                // The draft has seconds, and logs that keep to it have decimals. IIS has milliseconds.
                record.set_request_time(if text.contains(&b'.') { number } else { number / 1e3 });
            }
            Field::Agent => {
                let mark = if separator == b'\t' { b'%' } else { b'+' };
                found.coded = memchr::memchr(mark, text).is_some();
            }
            _ => {}
        }
        record.set_span(field, span(from, to));
        Ok(())
    }
}

/// A user agent as the client sent it: IIS has a `+` for each blank, what is separated by tabs (CloudFront) has `%20`.
fn agent(text: &[u8], tabs: bool, out: &mut Vec<u8>) {
    if !tabs {
        out.extend(text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }));
        return;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match *rest {
            [high, low, ..] if digit(high).is_some() && digit(low).is_some() => {
                out.push((digit(high).unwrap_or_default() * 16 + digit(low).unwrap_or_default()) as u8);
                rest = &rest[2..];
            }
            _ => out.push(b'%'),
        }
    }
    out.extend_from_slice(rest);
}

#[cold]
fn fail(field: &'static str, at: usize, why: Why) -> LineError {
    // A line is no longer than fits.
    LineError { field, item: 0, column: at as u32 + 1, why }
}
