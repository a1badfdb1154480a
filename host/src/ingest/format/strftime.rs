//! The subset of `strftime` that Apache's `%{format}t` is used with.
//!
//! Source: Apache HTTP Server 2.4, `mod_log_config`, "`%{format}t`", and POSIX `strftime`.

use super::scan::digits;
use super::time::{Date, month, two, zone};

/// One part of a written time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Byte(u8),
    Day,
    /// `%e`: the day with a space before a single digit.
    DayPadded,
    MonthName,
    Month,
    Year,
    YearOfCentury,
    Hour,
    Hour12,
    Half,
    Minute,
    Second,
    Zone,
    /// A name that says nothing the rest does not: of a weekday, of a zone.
    Name,
    Epoch,
    EpochMs,
    EpochUs,
    Millis,
    Micros,
}

/// A compiled time format.
///
/// A time without a zone is taken as UTC, for the log does not say what else it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern(Vec<Token>);

impl Pattern {
    /// Compiles what stands in the braces of `%{…}t`. An error is the text that is not understood.
    pub(super) fn compile(format: &str) -> Result<Pattern, String> {
        let format = format.strip_prefix("begin:").or_else(|| format.strip_prefix("end:")).unwrap_or(format);
        let special = match format {
            "sec" => Some(Token::Epoch),
            "msec" => Some(Token::EpochMs),
            "usec" => Some(Token::EpochUs),
            "msec_frac" => Some(Token::Millis),
            "usec_frac" => Some(Token::Micros),
            _ => None,
        };
        if let Some(token) = special {
            return Ok(Pattern(vec![token]));
        }
        let mut pattern = Pattern(Vec::new());
        pattern.add(format)?;
        if pattern.0.iter().all(|token| matches!(token, Token::Byte(_))) {
            return Err(format.to_owned());
        }
        Ok(pattern)
    }

    fn add(&mut self, format: &str) -> Result<(), String> {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                self.add_text(c.encode_utf8(&mut [0; 4]));
                continue;
            }
            let letter = chars.next();
            self.0.push(match letter {
                Some('d') => Token::Day,
                Some('e') => Token::DayPadded,
                Some('b' | 'h' | 'B') => Token::MonthName,
                Some('m') => Token::Month,
                Some('Y') => Token::Year,
                Some('y') => Token::YearOfCentury,
                Some('H') => Token::Hour,
                Some('I') => Token::Hour12,
                Some('p' | 'P') => Token::Half,
                Some('M') => Token::Minute,
                Some('S') => Token::Second,
                Some('z') => Token::Zone,
                Some('a' | 'A' | 'Z') => Token::Name,
                Some('s') => Token::Epoch,
                Some('%') => Token::Byte(b'%'),
                Some('n') => Token::Byte(b'\n'),
                Some('t') => Token::Byte(b'\t'),
                Some('T') => {
                    self.add("%H:%M:%S")?;
                    continue;
                }
                Some('R') => {
                    self.add("%H:%M")?;
                    continue;
                }
                Some('F') => {
                    self.add("%Y-%m-%d")?;
                    continue;
                }
                Some('D') => {
                    self.add("%m/%d/%y")?;
                    continue;
                }
                Some(other) => return Err(format!("%{other}")),
                None => return Err("%".to_owned()),
            });
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) {
        self.0.extend(text.bytes().map(Token::Byte));
    }

    /// This pattern, then `text`, then `next`: Apache splits a time with fractions into several `%{…}t`.
    pub(super) fn then(&self, text: &str, next: &Pattern) -> Pattern {
        let mut joined = self.clone();
        joined.add_text(text);
        joined.0.extend_from_slice(&next.0);
        joined
    }

    /// Whether all requests of a second have the same text, so that it is worth remembering.
    pub(super) fn is_whole_seconds(&self) -> bool {
        !self
            .0
            .iter()
            .any(|t| matches!(t, Token::Epoch | Token::EpochMs | Token::EpochUs | Token::Millis | Token::Micros))
    }

    /// Whether it says when, and not only the time of some day.
    pub(super) fn has_date(&self) -> bool {
        self.0
            .iter()
            .any(|t| matches!(t, Token::Day | Token::DayPadded | Token::Epoch | Token::EpochMs | Token::EpochUs))
    }

    /// Whether a text of this form may hold `byte`.
    pub(super) fn may_hold(&self, byte: u8) -> bool {
        self.0.iter().any(|token| match token {
            Token::Byte(b) => *b == byte,
            Token::MonthName | Token::Name | Token::Half => byte.is_ascii_alphabetic(),
            Token::DayPadded => byte == b' ' || byte.is_ascii_digit(),
            Token::Zone => byte == b'+' || byte == b'-' || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        })
    }

    /// The time that begins at `at`: its end, and milliseconds since the Unix epoch.
    pub(super) fn read(&self, line: &[u8], mut at: usize) -> Option<(usize, i64)> {
        let mut date = Date { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, zone_minutes: 0 };
        let mut afternoon = None;
        let mut epoch_ms = None;
        let mut fraction_ms = 0;
        for token in &self.0 {
            let rest = line.get(at..)?;
            at += match token {
                Token::Byte(b) => (rest.first()? == b).then_some(1)?,
                Token::Day => fixed(rest, 2, &mut date.day)?,
                Token::DayPadded if rest.first()? == &b' ' => 1 + fixed(&rest[1..], 1, &mut date.day)?,
                Token::DayPadded => fixed(rest, 2, &mut date.day)?,
                Token::MonthName => {
                    date.month = month(rest.first_chunk()?)?;
                    letters(rest)
                }
                Token::Month => fixed(rest, 2, &mut date.month)?,
                Token::Year => fixed(rest, 4, &mut date.year)?,
                Token::YearOfCentury => {
                    let len = fixed(rest, 2, &mut date.year)?;
                    // POSIX strptime: 69 to 99 are of the twentieth century.
                    date.year += if date.year < 69 { 2000 } else { 1900 };
                    len
                }
                Token::Hour | Token::Hour12 => fixed(rest, 2, &mut date.hour)?,
                Token::Half => {
                    let [half, _] = rest.first_chunk()?;
                    afternoon = Some(match half {
                        b'A' | b'a' => false,
                        b'P' | b'p' => true,
                        _ => return None,
                    });
                    2
                }
                Token::Minute => fixed(rest, 2, &mut date.minute)?,
                Token::Second => fixed(rest, 2, &mut date.second)?,
                Token::Zone => {
                    let [sign, hhmm @ ..] = rest.first_chunk::<5>()?;
                    date.zone_minutes = zone(*sign, *hhmm)?;
                    5
                }
                Token::Name => Some(letters(rest)).filter(|&len| len > 0)?,
                Token::Epoch => scaled(rest, 12, &mut epoch_ms, |n| n * 1000)?,
                Token::EpochMs => scaled(rest, 15, &mut epoch_ms, |n| n)?,
                Token::EpochUs => scaled(rest, 18, &mut epoch_ms, |n| n / 1000)?,
                Token::Millis => fixed(rest, 3, &mut fraction_ms)?,
                Token::Micros => {
                    let len = fixed(rest, 6, &mut fraction_ms)?;
                    fraction_ms /= 1000;
                    len
                }
            };
        }
        if let Some(afternoon) = afternoon {
            date.hour = date.hour % 12 + if afternoon { 12 } else { 0 };
        }
        let ms = match epoch_ms {
            Some(ms) => ms,
            None => date.to_ms()?,
        };
        Some((at, ms + fraction_ms))
    }
}

fn fixed(text: &[u8], len: usize, into: &mut i64) -> Option<usize> {
    *into = match (len, text) {
        (2, [tens, ones, ..]) => two(*tens, *ones)?,
        _ => {
            let (value, count) = digits(text, 0, len)?;
            (count == len).then_some(value as i64)?
        }
    };
    Some(len)
}

fn scaled(text: &[u8], most: usize, into: &mut Option<i64>, scale: impl Fn(i64) -> i64) -> Option<usize> {
    let (value, count) = digits(text, 0, most)?;
    *into = Some(scale(value as i64));
    (count > 0).then_some(count)
}

fn letters(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_alphabetic()).count()
}
