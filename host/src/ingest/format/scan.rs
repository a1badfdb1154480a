//! Finding bytes and reading numbers, eight bytes at a time.
//!
//! Most fields of an access log are a few bytes long. For those a call into a vectorised search costs
//! more than the search, so the short ones are scanned here in one machine word ("SWAR", after
//! H. S. Warren, *Hacker's Delight*, ch. 6), and only the long ones go to `memchr`.

use super::window::Marks;
use memchr::memchr;
use wide::u8x16;

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;
/// Added to a digit's value it keeps the top bit clear, to anything from 10 to 127 it sets it.
const PAST_NINE: u64 = 0x7676_7676_7676_7676;

/// A line within a text. What stands behind it can be read as well, which spares a look at where it ends: a word that begins
/// in the line is read whole, and what of it is not the line's is a line feed first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// From the line's beginning on.
    pub(super) text: &'a [u8],
    /// Bytes of it that are the line.
    pub(super) len: usize,
}

/// A line, and what was found in the stretch of text that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marked<'a> {
    pub(super) line: Line<'a>,
    pub(super) marks: &'a Marks,
    /// Where the line begins in that.
    pub(super) offset: usize,
}

impl<'a> Line<'a> {
    /// A line with nothing behind it.
    #[inline]
    pub(super) fn alone(line: &'a [u8]) -> Line<'a> {
        Line { text: line, len: line.len() }
    }

    /// The line's own bytes.
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.text[..self.len]
    }

    /// The first `needle` at or after `from`.
    ///
    /// The first 16 bytes, which hold any IPv4 address, are looked at together: fields differ in length from
    /// line to line, and a branch for each word would be foretold wrong too often.
    #[inline]
    pub(super) fn find_byte(self, from: usize, needle: u8) -> Option<usize> {
        let Some(chunk) = self.text.get(from..).and_then(|rest| rest.first_chunk::<16>()) else {
            return self.find_far(from, needle);
        };
        let hits = u8x16::from(*chunk).simd_eq(u8x16::splat(needle)).to_bitmask();
        if hits != 0 {
            return Some(from + hits.trailing_zeros() as usize).filter(|&at| at < self.len);
        }
        self.find_far(from + 16, needle)
    }

    #[inline(never)]
    fn find_far(self, from: usize, needle: u8) -> Option<usize> {
        memchr(needle, self.bytes().get(from..)?).map(|i| from + i)
    }
}

/// The eight bytes from `at` on, the first of them in the low bits; zeros where the line has no more.
#[inline(always)]
fn word(line: &[u8], at: usize) -> u64 {
    // One comparison, where a slice's beginning and end would be two.
    if at < line.len().saturating_sub(7)
        && let Some(bytes) = line[at..].first_chunk()
    {
        return u64::from_le_bytes(*bytes);
    }
    last_word(line, at)
}

#[cold]
#[inline(never)]
fn last_word(line: &[u8], at: usize) -> u64 {
    match (line.get(at..), line.last_chunk()) {
        (None | Some([]), _) => 0,
        (Some(rest), Some(bytes)) => u64::from_le_bytes(*bytes) >> (64 - 8 * rest.len()),
        (Some(rest), None) => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// The text between two variables of a format, ready to be compared in one word.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    text: Box<[u8]>,
    word: u64,
    mask: u64,
    /// A word tells all: it is no longer than one, not empty, and has nothing that may stand behind a line.
    plain: bool,
}

impl Literal {
    pub(super) fn new(text: &str) -> Literal {
        let (mut word, mut mask) = ([0; 8], [0; 8]);
        for (i, byte) in text.bytes().take(8).enumerate() {
            word[i] = byte;
            mask[i] = 0xff;
        }
        let plain = (1..=8).contains(&text.len()) && !text.bytes().any(|byte| byte.is_ascii_control());
        Literal { text: text.as_bytes().into(), word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask), plain }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn begins_with(&self, byte: u8) -> bool {
        self.text.first() == Some(&byte)
    }

    /// Whether the line has this text at `at`. The empty literal is everywhere.
    #[inline(always)]
    pub(super) fn is_at(&self, line: Line<'_>, at: usize) -> bool {
        word(line.text, at) & self.mask == self.word && (self.plain || self.is_whole_at(line, at))
    }

    #[inline(never)]
    fn is_whole_at(&self, line: Line<'_>, at: usize) -> bool {
        // Nothing is not compared: where it lies nowhere, `memcmp` by AVX-512 takes a fault that costs 70 ns.
        let whole = |rest: &[u8]| self.text.is_empty() || rest.starts_with(&self.text);
        line.bytes().get(at..).is_some_and(whole)
    }

    /// Whether it follows the first `bytes` of a word that was read at `at`.
    #[inline(always)]
    fn follows(&self, word: u64, bytes: usize, line: Line<'_>, at: usize) -> bool {
        if self.plain && bytes + self.text.len() <= 8 {
            word >> (8 * bytes) & self.mask == self.word
        } else {
            self.is_at(line, at + bytes)
        }
    }

    /// What stands before its beginning, where the text ends within it.
    pub(super) fn begun_at_end_of<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        (1..self.text.len()).rev().find_map(|len| text.strip_suffix(&self.text[..len]))
    }

    /// As [`Literal::find_quote`], for a value without quotes and backslashes of its own.
    #[inline(always)]
    pub(super) fn find_next_quote(&self, within: Marked<'_>, start: usize) -> Option<usize> {
        let Marked { line, marks, offset } = within;
        let at = marks.quotes.next(offset + start, offset + line.len)? - offset;
        self.is_at(line, at).then_some(at)
    }

    /// The first place at or after `from` where the line has it.
    #[inline]
    pub(super) fn find(&self, line: Line<'_>, from: usize) -> Option<usize> {
        // The mask is that of at least one byte, but for the empty literal.
        if self.mask == 0 {
            return Some(line.len);
        }
        let mut at = from;
        loop {
            at = line.find_byte(at, self.word as u8)?;
            if self.mask == 0xff || self.is_at(line, at) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Where the closing quote of the value at `start` is, for a literal that begins with one.
    ///
    /// A quote after an odd number of backslashes belongs to the value. So does one that is not followed
    /// by the rest of the literal: some servers do not escape quotes at all.
    #[inline]
    pub(super) fn find_quote(&self, within: Marked<'_>, start: usize) -> Option<usize> {
        let Marked { line, marks, offset } = within;
        let mut at = start;
        loop {
            at = marks.quotes.next(offset + at, offset + line.len)? - offset;
            if line.text[at] == b'\\' {
                at += 2;
            } else if self.mask == 0xff || self.is_at(line, at) {
                return Some(at);
            } else {
                at += 1;
            }
        }
    }
}

/// Up to seven digits at `at`: their value and how many there are. `None` where there is no digit or
/// there are more: the caller then takes its longer way.
#[inline(always)]
pub(super) fn few_digits(line: &[u8], at: usize) -> Option<(u64, usize)> {
    few_digits_of(word(line, at))
}

/// The same of a word.
#[inline(always)]
fn few_digits_of(word: u64) -> Option<(u64, usize)> {
    let values = word ^ (ONES * u64::from(b'0'));
    let others = (values.wrapping_add(PAST_NINE) | values) & TOPS;
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 || count == 8 {
        return None;
    }
    // Move the digits to the high end, with zeros before them, and add them up pairwise
    // (D. Lemire, "Quickly parsing eight digits").
    let v = values << (64 - 8 * count);
    let v = v.wrapping_mul(10).wrapping_add(v >> 8) & 0x00ff_00ff_00ff_00ff;
    let v = v.wrapping_mul(100).wrapping_add(v >> 16) & 0x0000_ffff_0000_ffff;
    let v = v.wrapping_mul(10_000).wrapping_add(v >> 32) & 0xffff_ffff;
    Some((v, count))
}

/// As [`few_digits`], with `after` behind them.
#[inline(always)]
pub(super) fn few_digits_before(after: &Literal, line: Line<'_>, at: usize) -> Option<(u64, usize)> {
    let word = word(line.text, at);
    few_digits_of(word).filter(|&(_, count)| after.follows(word, count, line, at))
}

/// Three digits, 100 to 999, at `at`, with `after` behind them.
#[inline(always)]
pub(super) fn three_digits_before(after: &Literal, line: Line<'_>, at: usize) -> Option<u16> {
    const DIGITS: u64 = 0xff_ffff;
    let word = word(line.text, at);
    let values = (word ^ (ONES * u64::from(b'0'))) & DIGITS;
    let others = ((values + (PAST_NINE & DIGITS)) | values) & TOPS;
    let [hundreds, tens, ones, ..] = values.to_le_bytes().map(u16::from);
    (others == 0 && hundreds > 0 && after.follows(word, 3, line, at)).then_some(hundreds * 100 + tens * 10 + ones)
}

/// A number with three decimals at `at`, in thousandths, and how long it is: `0.042`, as nginx writes
/// seconds. `None` for any other: the caller then takes its longer way.
#[inline]
pub(super) fn few_thousandths(line: &[u8], at: usize) -> Option<(u64, usize)> {
    let (whole, point) = few_digits(line, at)?;
    let (decimals, len) = few_digits(line, at + point + 1)?;
    (len == 3 && line[at + point] == b'.').then_some((whole * 1000 + decimals, point + 4))
}

/// The digits at `at`, at most `most` of them: their value and how many there are, perhaps none.
/// `None` past 64 bits.
pub(super) fn digits(line: &[u8], at: usize, most: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    let mut count = 0;
    for byte in line.get(at..)?.iter().take(most) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        count += 1;
    }
    Some((value, count))
}

/// A whole number and nothing else.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let (value, count) = digits(text, 0, text.len())?;
    (count > 0 && count == text.len()).then_some(value)
}

/// A number such as `12` or `0.042`, without sign or exponent, and nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    // Up to here a whole number and a power of ten are exact, so one division rounds as it should.
    const EXACT_DIGITS: usize = 15;
    const TENS: [f64; EXACT_DIGITS + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let mut value = 0u64;
    let mut count = 0;
    let mut point = None;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            count += 1;
            if count <= EXACT_DIGITS {
                value = value * 10 + u64::from(digit);
            }
        } else if byte == b'.' && point.is_none() {
            point = Some(count);
        } else {
            return None;
        }
    }
    if count == 0 {
        return None;
    }
    if count > EXACT_DIGITS {
        return str::from_utf8(text).ok()?.parse().ok();
    }
    Some(value as f64 / TENS[count - point.unwrap_or(count)])
}
