//! The time of a request, as logs write it, to milliseconds since the Unix epoch.

use super::scan::{Line, Literal, digits};
use super::strftime::Pattern;
use std::sync::Arc;

/// How a log writes the time.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeForm {
    /// `17/May/2015:10:05:03 +0000`: nginx `$time_local`, what Apache's `%t` has in its brackets.
    Local,
    /// `2015-05-17T10:05:03+00:00`: nginx `$time_iso8601`.
    Iso,
    /// `1431857103.123`: nginx `$msec`, seconds since the epoch.
    Seconds,
    /// Apache's `%{format}t`.
    Pattern(Arc<Pattern>),
}

impl TimeForm {
    /// How long its text is, where that is always the same.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            TimeForm::Local => Some(LOCAL),
            TimeForm::Iso => Some(ISO),
            TimeForm::Seconds | TimeForm::Pattern(_) => None,
        }
    }

    /// Whether the text may hold this byte, so that the first such byte need not be its end.
    pub(super) fn may_hold(&self, byte: u8) -> bool {
        match self {
            TimeForm::Local => byte == b' ' || byte == b'/' || byte == b':' || byte.is_ascii_alphanumeric(),
            TimeForm::Iso => b"-:T+Z".contains(&byte) || byte.is_ascii_digit(),
            TimeForm::Seconds => byte == b'.' || byte.is_ascii_digit(),
            TimeForm::Pattern(pattern) => pattern.may_hold(byte),
        }
    }
}

/// The length of `17/May/2015:10:05:03 +0000`, and where its seconds stand.
pub(super) const LOCAL: usize = 26;
const LOCAL_SECOND: usize = 18;
/// The same of `2015-05-17T10:05:03+00:00`.
const ISO: usize = 25;
const ISO_SECOND: usize = 17;
/// More digits than this in a count of seconds are no time.
const EPOCH_DIGITS: usize = 12;

/// Reads times, and remembers the minute of the last one: as long as a log stays in it, a time costs a
/// comparison and two digits.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The last text. Before the first one it is filled with a byte that no text has.
    text: [u8; LOCAL],
    /// The time at second 0 of that text's minute.
    minute_ms: i64,
    /// The last text read by a pattern, and its time.
    patterned: Vec<u8>,
    patterned_ms: i64,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { text: [0xff; LOCAL], minute_ms: 0, patterned: Vec::new(), patterned_ms: 0 }
    }

    /// The time that begins at `at` and is followed by `literal`: its end and its milliseconds.
    #[inline]
    pub(super) fn read(
        &mut self,
        form: &TimeForm,
        line: Line<'_>,
        at: usize,
        literal: &Literal,
    ) -> Option<(usize, i64)> {
        let (end, ms) = match form {
            TimeForm::Local => (at + LOCAL, self.local(line.text.get(at..)?.first_chunk()?)?),
            TimeForm::Iso => self.iso(line.bytes(), at)?,
            TimeForm::Seconds => seconds(line.bytes(), at)?,
            TimeForm::Pattern(pattern) => self.patterned(pattern, line, at, literal)?,
        };
        literal.is_at(line, end).then_some((end, ms))
    }

    #[inline]
    pub(super) fn local(&mut self, text: &[u8; LOCAL]) -> Option<i64> {
        if same_minute(text, &self.text) {
            return Some(self.minute_ms + second(text[LOCAL_SECOND], text[LOCAL_SECOND + 1])?);
        }
        self.local_anew(text)
    }

    #[inline(never)]
    fn local_anew(&mut self, text: &[u8; LOCAL]) -> Option<i64> {
        let [
            d1,
            d2,
            b'/',
            m1,
            m2,
            m3,
            b'/',
            y @ ..,
            b':',
            h1,
            h2,
            b':',
            i1,
            i2,
            b':',
            s1,
            s2,
            b' ',
            sign,
            z1,
            z2,
            z3,
            z4,
        ] = text
        else {
            return None;
        };
        let date = Date {
            year: year(y)?,
            month: month(&[*m1, *m2, *m3])?,
            day: two(*d1, *d2)?,
            hour: two(*h1, *h2)?,
            minute: two(*i1, *i2)?,
            second: 0,
            zone_minutes: zone(*sign, [*z1, *z2, *z3, *z4])?,
        };
        let minute_ms = date.to_ms()?;
        let ms = minute_ms + second(*s1, *s2)?;
        (self.text, self.minute_ms) = (*text, minute_ms);
        Some(ms)
    }

    fn iso(&mut self, line: &[u8], at: usize) -> Option<(usize, i64)> {
        let text: &[u8; ISO] = line.get(at..)?.first_chunk()?;
        if text[..ISO_SECOND] == self.text[..ISO_SECOND] && text[ISO_SECOND + 2..] == self.text[ISO_SECOND + 2..ISO] {
            return Some((at + ISO, self.minute_ms + second(text[ISO_SECOND], text[ISO_SECOND + 1])?));
        }
        let [y @ .., b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, sign, z1, z2, b':', z3, z4] =
            text
        else {
            return None;
        };
        let date = Date {
            year: year(y)?,
            month: two(*m1, *m2)?,
            day: two(*d1, *d2)?,
            hour: two(*h1, *h2)?,
            minute: two(*i1, *i2)?,
            second: 0,
            zone_minutes: zone(*sign, [*z1, *z2, *z3, *z4])?,
        };
        let minute_ms = date.to_ms()?;
        let ms = minute_ms + second(*s1, *s2)?;
        self.text[..ISO].copy_from_slice(text);
        self.minute_ms = minute_ms;
        Some((at + ISO, ms))
    }

    fn patterned(&mut self, pattern: &Pattern, within: Line<'_>, at: usize, literal: &Literal) -> Option<(usize, i64)> {
        let line = within.bytes();
        let known = at + self.patterned.len();
        if !self.patterned.is_empty() && line.get(at..known) == Some(&self.patterned) && literal.is_at(within, known) {
            return Some((known, self.patterned_ms));
        }
        let (end, ms) = pattern.read(line, at)?;
        if pattern.is_whole_seconds() {
            self.patterned.clear();
            self.patterned.extend_from_slice(&line[at..end]);
            self.patterned_ms = ms;
        }
        Some((end, ms))
    }
}

/// Whether two texts of the local form differ in their seconds at most: words of it, without a call of `memcmp`.
#[inline]
fn same_minute(a: &[u8; LOCAL], b: &[u8; LOCAL]) -> bool {
    /// The two bytes of the seconds in the last eight.
    const SECONDS: u64 = 0xffff;
    let head = |text: &[u8; LOCAL]| text.first_chunk().map(|head| u128::from_le_bytes(*head));
    let tail = |text: &[u8; LOCAL]| text.last_chunk().map(|tail| u64::from_le_bytes(*tail) & !SECONDS);
    head(a) == head(b) && a[16..LOCAL_SECOND] == b[16..LOCAL_SECOND] && tail(a) == tail(b)
}

/// `1431857103.123`, with any number of decimals; those past the third are cut.
fn seconds(line: &[u8], at: usize) -> Option<(usize, i64)> {
    let (whole, count) = digits(line, at, EPOCH_DIGITS)?;
    if count == 0 {
        return None;
    }
    let mut end = at + count;
    let mut ms = whole as i64 * 1000;
    if line.get(end) == Some(&b'.') {
        let (mut fraction, mut decimals) = digits(line, end + 1, 3)?;
        end += 1 + decimals;
        while decimals < 3 {
            fraction *= 10;
            decimals += 1;
        }
        ms += fraction as i64;
        end += line[end..].iter().take_while(|b| b.is_ascii_digit()).count();
    }
    Some((end, ms))
}

/// A date of the Gregorian calendar in some zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// Minutes ahead of UTC.
    pub(super) zone_minutes: i64,
}

impl Date {
    /// Milliseconds since the Unix epoch, `None` for a date that no calendar has. A leap second is the
    /// first of the next minute.
    pub(super) fn to_ms(self) -> Option<i64> {
        let Date { year, month, day, hour, minute, second, zone_minutes } = self;
        if day < 1 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        Some((((days(year, month, day) * 24 + hour) * 60 + minute - zone_minutes) * 60 + second) * 1000)
    }
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(28 + i64::from(leap)),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

pub(super) fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Two digits of seconds, in milliseconds.
#[inline]
pub(super) fn second(tens: u8, ones: u8) -> Option<i64> {
    two(tens, ones).filter(|&s| s <= 60).map(|s| s * 1000)
}

pub(super) fn year(text: &[u8; 4]) -> Option<i64> {
    Some(two(text[0], text[1])? * 100 + two(text[2], text[3])?)
}

/// `Jan` … `Dec`, as 1 … 12.
pub(super) fn month(name: &[u8; 3]) -> Option<i64> {
    const NAMES: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|&n| n == name).map(|i| i as i64 + 1)
}

/// `+0130` as minutes ahead of UTC.
pub(super) fn zone(sign: u8, hhmm: [u8; 4]) -> Option<i64> {
    let (hours, minutes) = (two(hhmm[0], hhmm[1])?, two(hhmm[2], hhmm[3])?);
    if minutes > 59 {
        return None;
    }
    match sign {
        b'+' => Some(hours * 60 + minutes),
        b'-' => Some(-(hours * 60 + minutes)),
        _ => None,
    }
}
