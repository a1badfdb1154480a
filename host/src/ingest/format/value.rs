//! Values that every kind of parser reads alike.

use super::scan;
use plugin_api::Span;

/// Lines are no longer than [`MAX_LINE`](super::MAX_LINE).
#[inline]
pub(super) fn span(start: usize, end: usize) -> Span {
    Span::new(start as u32, end as u32)
}

/// Whether there is nothing or a single `-`.
#[inline]
pub(super) fn is_absent(text: &[u8]) -> bool {
    matches!(text, [] | [b'-'])
}

/// Three digits, 100 to 999, at the beginning of the text.
#[inline]
pub(super) fn status(text: &[u8]) -> Option<u16> {
    let [hundreds, tens, ones] = text.first_chunk()?.map(|digit: u8| digit.wrapping_sub(b'0'));
    let good = (1..=9).contains(&hundreds) && tens <= 9 && ones <= 9;
    good.then(|| u16::from(hundreds) * 100 + u16::from(tens) * 10 + u16::from(ones))
}

/// The sum of `0.001, 0.120 : 0.002`, of which any part may be `-`; the inner `None` if all are.
/// nginx puts a comma between servers that were tried and a colon where it was redirected to another
/// group.
pub(super) fn sum(text: &[u8]) -> Option<Option<f64>> {
    let mut sum = None;
    for part in text.split(|&b| b == b',' || b == b':') {
        match part.trim_ascii() {
            b"" | b"-" => {}
            part => *sum.get_or_insert(0.0) += scan::decimal(part)?,
        }
    }
    Some(sum)
}
