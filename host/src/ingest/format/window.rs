//! Where the lines of a text end and where its quotes are, found together in one pass.
//!
//! A search for each line's end, and then one for each quote in it, are loops whose last rounds the processor cannot
//! foretell. Here every byte is compared once, 64 at a time, and what is found is a bit for each byte (G. Langdale,
//! D. Lemire, "Parsing Gigabytes of JSON per Second", stage 1). A text is gone through window by window, each small enough
//! that its bytes are still in the first-level cache when its lines are parsed.

use super::simd;
use std::ops::Range;

/// Bytes that are looked at together, unless a line is longer.
const WINDOW_BYTES: usize = 32 * 1024;

/// Bytes of zeros past the bits of a text, so that 128 bits can be looked at from each of its bytes.
pub(super) const SPARE_BYTES: usize = 16;

/// Where a stretch of text has certain bytes: a bit for each of its bytes, the first in the lowest bit of the first byte, and
/// [`SPARE_BYTES`].
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(pub(super) Vec<u8>);

impl Bits {
    /// The first of them from `at` on, `until` excluded.
    #[inline(always)]
    pub(super) fn next(&self, at: usize, until: usize) -> Option<usize> {
        // 121 places at once and without a branch between them: values are of all lengths, few of them longer.
        let bits = u128::from_le_bytes(*self.0.get(at / 8..)?.first_chunk()?) >> (at % 8);
        let found = if bits != 0 { at + bits.trailing_zeros() as usize } else { self.next_far(at / 8 + 16, until)? };
        (found < until).then_some(found)
    }

    #[inline(never)]
    fn next_far(&self, from: usize, until: usize) -> Option<usize> {
        let (words, _) = self.0.get(from..until.div_ceil(8) + size_of::<u64>())?.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word)).enumerate();
        let (ahead, word) = words.find(|&(_, word)| word != 0)?;
        Some((from + ahead * size_of::<u64>()) * 8 + word.trailing_zeros() as usize)
    }
}

/// What a stretch of text has that parsers look for.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Quotes and backslashes.
    pub(super) quotes: Bits,
    /// Question marks.
    pub(super) questions: Bits,
    /// Whether there is any backslash.
    pub(super) slash: bool,
}

impl Marks {
    /// Looks at a stretch of text.
    pub(super) fn read(&mut self, text: &[u8]) {
        simd::look(text, None, self);
    }
}

/// Goes through a text line by line.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct Window {
    /// Where the window begins and ends in the text.
    base: usize,
    end: usize,
    /// Where the next line begins.
    at: usize,
    /// Where the window's lines end, counted from its base; of these those from `next` on are to come.
    line_ends: Vec<u32>,
    next: usize,
    lines: usize,
    marks: Marks,
}

impl Window {
    /// Begins with a text, at a line's beginning.
    pub(in crate::ingest) fn begin(&mut self, at: usize) {
        (self.base, self.end, self.at, self.next, self.lines) = (at, at, at, 0, 0);
    }

    /// Where the next line begins.
    pub(in crate::ingest) fn at(&self) -> usize {
        self.at
    }

    /// The next line, without its line feed; `None` at the end of the text.
    #[inline]
    pub(in crate::ingest) fn next_line(&mut self, text: &[u8]) -> Option<Range<usize>> {
        if self.next == self.lines && !self.look(text) {
            return None;
        }
        let end = self.base + *self.line_ends.get(self.next)? as usize;
        self.next += 1;
        let line = self.at..end;
        self.at = text.len().min(end + 1);
        Some(line)
    }

    /// The marks, and where in them those of the text's byte `at` begin.
    #[inline]
    pub(super) fn marks(&self, at: usize) -> (&Marks, usize) {
        (&self.marks, at - self.base)
    }

    /// Looks at the next stretch of the text, with one whole line at least; `false` where there is none.
    #[inline(never)]
    fn look(&mut self, text: &[u8]) -> bool {
        let mut bytes = WINDOW_BYTES;
        self.base = self.at;
        while self.base < text.len() {
            self.end = text.len().min(self.base + bytes);
            let stretch = &text[self.base..self.end];
            self.lines = simd::look(stretch, Some(&mut self.line_ends), &mut self.marks);
            if self.end == text.len() && !stretch.ends_with(b"\n") {
                // The very last line lacks its end.
                self.line_ends.resize(self.line_ends.len().max(self.lines + 1), 0);
                self.line_ends[self.lines] = stretch.len() as u32;
                self.lines += 1;
            }
            if self.lines > 0 {
                self.next = 0;
                return true;
            }
            bytes *= 2;
        }
        false
    }
}
