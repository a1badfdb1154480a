//! Values of JSON as fields.

use super::super::error::Why;
use super::super::scan::{decimal, whole};
use super::super::stamp::{Stamps, scaled};
use super::super::value::{is_absent, span, status, sum};
use super::map::Source;
use plugin_api::{Access, Field};

/// The longest time, with its slashes escaped.
const TIME_BYTES_MAX: usize = 64;

/// A value's text: where it stands in the line, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) text: &'a [u8],
    pub(super) start: usize,
    /// It stood in quotes.
    pub(super) quoted: bool,
    /// It has a backslash.
    pub(super) slash: bool,
}

impl Text<'_> {
    /// Whether there is nothing, a single `-`, `null` or `false`.
    pub(super) fn is_absent(&self) -> bool {
        is_absent(self.text) || !self.quoted && matches!(self.text, b"null" | b"false")
    }
}

/// Sets a field that is not absent; whether the record now has it.
pub(super) fn set(
    field: Field,
    source: Source,
    value: Text<'_>,
    stamps: &mut Stamps,
    record: &mut Access<'_>,
) -> Result<bool, Why> {
    let Text { text, start, .. } = value;
    let (mut from, mut to) = (0, text.len());
    match field {
        Field::Status => {
            if whole(text) == Some(0) {
                // Nothing was answered.
                return Ok(false);
            }
            record.set_status(status(text).filter(|_| text.len() == 3).ok_or(Why::NotStatus)?);
        }
        Field::Bytes => record.set_bytes(bytes(text).ok_or(Why::NotBytes)?),
        Field::Time => {
            let mut buffer = [0; TIME_BYTES_MAX];
            let time = if value.slash { without_slashes(text, &mut buffer).ok_or(Why::NotTime)? } else { text };
            let ms = match source.per_second {
                None => stamps.read(time),
                Some(per_second) => scaled(time, per_second),
            };
            record.set_time_ms(ms.ok_or(Why::NotTime)?);
        }
        Field::RequestTime => record.set_request_time(seconds(text, source.per_second).ok_or(Why::NotSeconds)?),
        Field::UpstreamTime => match seconds(text, source.per_second) {
            Some(seconds) => record.set_upstream_time(seconds),
            None => match sum(text).ok_or(Why::NotSeconds)? {
                Some(sum) => record.set_upstream_time(sum / source.per_second.unwrap_or(1.0)),
                None => return Ok(false),
            },
        },
        Field::Addr => (from, to) = address(text),
        _ => {}
    }
    if field == Field::Addr && to <= from {
        (from, to) = (0, text.len());
    }
    record.set_span(field, span(start + from, start + to));
    Ok(true)
}

/// Where the address of `10.0.0.1:4711`, `[2001:db8::1]:4711` and `[2001:db8::1]` stands.
fn address(text: &[u8]) -> (usize, usize) {
    if let [b'[', ..] = text
        && let Some(end) = memchr::memchr(b']', text)
    {
        return (1, end);
    }
    let mut colons = memchr::memchr_iter(b':', text);
    match (colons.next(), colons.next()) {
        // More than one is IPv6.
        (Some(colon), None) if text[colon + 1..].iter().all(u8::is_ascii_digit) => (0, colon),
        _ => (0, text.len()),
    }
}

/// A number of bytes; some write whole numbers with a point or an exponent.
fn bytes(text: &[u8]) -> Option<u64> {
    if let Some(bytes) = whole(text) {
        // A record has no place for the greatest number of all.
        return Some(bytes).filter(|&bytes| bytes < u64::MAX);
    }
    // Up to here every whole number is one of these too.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = float(text)?;
    (number <= EXACT_MAX && number.fract() == 0.0).then_some(number as u64)
}

/// Seconds, of which so many of the number's unit are one; a unit that is written has the last word.
fn seconds(text: &[u8], per_second: Option<f64>) -> Option<f64> {
    let per_second = per_second.unwrap_or(1.0);
    if let Some(number) = decimal(text) {
        return Some(number / per_second);
    }
    let unit = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let per_second = match unit.trim_ascii_start() {
        b"" => per_second,
        b"s" => 1.0,
        b"ms" => 1e3,
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1e6,
        b"ns" => 1e9,
        _ => return None,
    };
    Some(float(number)? / per_second)
}

/// A number from 0 on, with all that JSON may write it with.
fn float(text: &[u8]) -> Option<f64> {
    let text = str::from_utf8(text).ok().filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `17\/May\/2015`, as some write slashes. No other escape is in a time.
fn without_slashes<'b>(text: &[u8], buffer: &'b mut [u8; TIME_BYTES_MAX]) -> Option<&'b [u8]> {
    let mut len = 0;
    for &byte in text.iter().filter(|&&byte| byte != b'\\') {
        *buffer.get_mut(len)? = byte;
        len += 1;
    }
    Some(&buffer[..len])
}
