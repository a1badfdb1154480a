//! A time in whichever form a log has it, for logs whose format does not say: JSON's, and the columns of W3C.

use super::scan::digits;
use super::time::{Clock, Date, LOCAL, second, two, year, zone};

/// The length of `2015-05-17T10:05`.
const MINUTE: usize = 16;
/// The digits of a count of seconds, at most: with more, it is one of milliseconds, microseconds or nanoseconds. A count
/// of seconds has ten digits until the year 2286, one of milliseconds thirteen.
const SECONDS_DIGITS: usize = 11;
const MILLIS_DIGITS: usize = 14;
const MICROS_DIGITS: usize = 17;
const NANOS_DIGITS: usize = 19;

/// Reads times, and remembers the minute of the last one.
#[derive(Clone, Debug)]
pub(super) struct Stamps {
    clock: Clock,
    /// The last `2015-05-17T10:05`, at first what no text is, and that minute in milliseconds, were it in UTC.
    minute: [u8; MINUTE],
    minute_ms: i64,
}

impl Stamps {
    pub(super) fn new() -> Stamps {
        Stamps { clock: Clock::new(), minute: [0; MINUTE], minute_ms: 0 }
    }

    /// Milliseconds since the Unix epoch of `17/May/2015:10:05:03 +0000`, of `2015-05-17T10:05:03.042Z` and its like, and
    /// of a number since the epoch.
    pub(super) fn read(&mut self, text: &[u8]) -> Option<i64> {
        match text {
            [_, _, b'/', ..] => self.local(text),
            [_, _, _, _, b'-' | b'/', ..] => self.iso(text),
            _ => number(text),
        }
    }

    fn local(&mut self, text: &[u8]) -> Option<i64> {
        let local: &[u8; LOCAL] = text.try_into().ok()?;
        self.clock.local(local)
    }

    /// ISO 8601 as logs have it (RFC 3339, a blank for the `T`, a zone without its colon or none, which is UTC).
    pub(super) fn iso(&mut self, text: &[u8]) -> Option<i64> {
        let (minute, rest) = text.split_first_chunk::<MINUTE>()?;
        let [b':', s1, s2, rest @ ..] = rest else { return None };
        if *minute != self.minute {
            self.minute_ms = minute_ms(minute)?;
            self.minute = *minute;
        }
        let mut ms = self.minute_ms + second(*s1, *s2)?;
        let mut rest = rest;
        if let [b'.' | b',', fraction @ ..] = rest {
            let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            ms += thousandths(&fraction[..count])?;
            rest = &fraction[count..];
        }
        Some(ms - 60_000 * zone_minutes(rest.strip_prefix(b" ").unwrap_or(rest))?)
    }
}

/// `2015-05-17T10:05`, were it in UTC.
fn minute_ms(text: &[u8; MINUTE]) -> Option<i64> {
    let [y1, y2, y3, y4, dash, m1, m2, dash2, d1, d2, b'T' | b't' | b' ' | b'_', h1, h2, b':', i1, i2] = text else {
        return None;
    };
    if !matches!((dash, dash2), (b'-', b'-') | (b'/', b'/')) {
        return None;
    }
    let date = Date {
        year: year(&[*y1, *y2, *y3, *y4])?,
        month: two(*m1, *m2)?,
        day: two(*d1, *d2)?,
        hour: two(*h1, *h2)?,
        minute: two(*i1, *i2)?,
        second: 0,
        zone_minutes: 0,
    };
    date.to_ms()
}

/// Minutes ahead of UTC of `Z`, `+02:00`, `+0200`, `+02`, and of nothing.
fn zone_minutes(text: &[u8]) -> Option<i64> {
    match *text {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] => Some(0),
        [sign, a, b] => zone(sign, [a, b, b'0', b'0']),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => zone(sign, [a, b, c, d]),
        _ => None,
    }
}

/// The first three decimals.
fn thousandths(decimals: &[u8]) -> Option<i64> {
    let (value, count) = digits(decimals, 0, 3)?;
    let value = value as i64;
    match count {
        1 => Some(value * 100),
        2 => Some(value * 10),
        3 => Some(value),
        _ => None,
    }
}

/// A time since the epoch: seconds, perhaps with decimals, or so many digits that they are of something shorter.
fn number(text: &[u8]) -> Option<i64> {
    let (whole, count) = digits(text, 0, NANOS_DIGITS)?;
    let whole = i64::try_from(whole).ok().filter(|_| count > 0)?;
    match &text[count..] {
        [] if count <= SECONDS_DIGITS => Some(whole * 1000),
        [] if count <= MILLIS_DIGITS => Some(whole),
        [] if count <= MICROS_DIGITS => Some(whole / 1000),
        [] => Some(whole / 1_000_000),
        [b'.', decimals @ ..] if decimals.iter().all(u8::is_ascii_digit) => {
            if count <= SECONDS_DIGITS {
                Some(whole * 1000 + if decimals.is_empty() { 0 } else { thousandths(decimals)? })
            } else {
                (count <= MILLIS_DIGITS).then_some(whole)
            }
        }
        // Some write large numbers with an exponent.
        _ => {
            let seconds: f64 = str::from_utf8(text).ok()?.parse().ok()?;
            // Up to here a date is one that the other forms can say as well.
            (0.0..1e11).contains(&seconds).then_some((seconds * 1e3) as i64)
        }
    }
}

/// A time since the epoch in a unit that was told: so many of it are a second.
pub(super) fn scaled(text: &[u8], per_second: f64) -> Option<i64> {
    let value: f64 =
        str::from_utf8(text).ok().filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()?;
    let seconds = value / per_second;
    (0.0..1e11).contains(&seconds).then_some((seconds * 1e3).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_431_857_103_000;

    #[test]
    fn times_of_any_form() {
        let mut stamps = Stamps::new();
        for (text, ms) in [
            ("17/May/2015:10:05:03 +0000", Some(MS)),
            ("17/May/2015:12:05:03 +0200", Some(MS)),
            ("2015-05-17T10:05:03Z", Some(MS)),
            ("2015-05-17T10:05:04+00:00", Some(MS + 1000)),
            ("2015-05-17T12:05:03.042+02:00", Some(MS + 42)),
            ("2015-05-17T04:35:03.0429-0530", Some(MS + 42)),
            ("2015-05-17T12:05:03,5+02", Some(MS + 500)),
            ("2015-05-17 10:05:03", Some(MS)),
            ("2015-05-17 10:05:03.123456789 +0000", Some(MS + 123)),
            ("2015-05-17 10:05:03 UTC", Some(MS)),
            ("2015/05/17 10:05:03", Some(MS)),
            ("1431857103", Some(MS)),
            ("1431857103.042", Some(MS + 42)),
            ("1431857103.5241024", Some(MS + 524)),
            ("1431857103042", Some(MS + 42)),
            ("1431857103042.7", Some(MS + 42)),
            ("1431857103042999", Some(MS + 42)),
            ("1431857103042999999", Some(MS + 42)),
            ("1.431857103042e9", Some(MS + 42)),
            ("0", Some(0)),
            ("", None),
            ("-", None),
            ("now", None),
            ("2015-02-30T10:05:03Z", None),
            ("2015-05-17T10:05:61Z", None),
            ("2015-05-17T10:05:03.Z", None),
            ("2015-05-17T10:05:03X", None),
            ("2015-05/17T10:05:03", None),
            ("17/Mai/2015:10:05:03 +0000", None),
            ("17/May/2015:10:05:03 +0000x", None),
            ("1431857103x", None),
            ("99999999999999999999", None),
            ("1e300", None),
            ("-5", None),
        ] {
            assert_eq!(stamps.read(text.as_bytes()), ms, "{text}");
        }
        assert_eq!(scaled(b"1431857103042", 1e3), Some(MS + 42));
        assert_eq!((scaled(b"nan", 1e3), scaled(b"1e99", 1.0), scaled(b"-1", 1.0)), (None, None, None));
    }
}
