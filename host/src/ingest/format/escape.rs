//! Taking a log's own quoting off.
//!
//! Hardly any line needs it, and one that does cannot be borrowed from the block, so those few are
//! written anew beside it. They cannot be borrowed at once, because the text they go to is still growing:
//! [`Decoded`] keeps their records by number and [`Decoded::settle`] puts them in place when a batch is
//! full. That needs no arena, no unsafe code and no allocation once its buffers have grown, and records
//! keep their order.

use plugin_api::{Access, Field, Span};
use std::ops::Range;

/// How a log writes quotes, control characters and bytes that are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// nginx's default, `\x22`, and Apache's, `\"`, `\\`, `\n`, `\x16`.
    Backslash,
    /// JSON's, which nginx's `escape=json` writes too: `\"`, `\\`, `\n`, `\u0016`.
    Json,
    /// nginx's `escape=none`: values stand as they are.
    None,
}

/// The lines of a batch that had to be written anew, and their records.
///
/// It belongs to one vector of records: clear both together.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The lines, one after another. Decoding never lengthens, so it is no longer than the batch.
    text: String,
    records: Vec<Record>,
    /// One field's bytes before they are known to be UTF-8.
    bytes: Vec<u8>,
}

/// An [`Access`] before its line can be borrowed.
#[derive(Debug)]
struct Record {
    /// Its place in the batch.
    index: usize,
    line: Range<usize>,
    spans: [Option<Span>; Field::COUNT],
    time_ms: Option<i64>,
    status: Option<u16>,
    bytes: Option<u64>,
    request_time: Option<f64>,
    upstream_time: Option<f64>,
}

impl Decoded {
    /// Forgets all lines and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.records.clear();
    }

    /// How many lines were written anew.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.records.len()
    }

    /// Puts the decoded records in the places of those that still have the log's quoting.
    pub fn settle<'a>(&'a self, batch: &mut [Access<'a>]) {
        for record in &self.records {
            if let Some(place) = batch.get_mut(record.index) {
                *place = record.borrow(&self.text);
            }
        }
    }

    /// Writes the line of `raw`, the batch's record number `index`, with its fields decoded.
    #[cold]
    pub(super) fn add(&mut self, index: usize, raw: &Access<'_>, escape: Escape) {
        self.add_by(index, raw, |_, text, bytes| {
            let escaped = escape != Escape::None && text.contains('\\');
            if escaped {
                unescape(text.as_bytes(), escape, bytes);
            }
            escaped
        });
    }

    /// Writes the line of `raw`, the batch's record number `index`, with its fields as `decode` has them: it writes a
    /// field's bytes, none of which need be UTF-8, or says that the text stays as it is.
    pub(super) fn add_by(
        &mut self,
        index: usize,
        raw: &Access<'_>,
        mut decode: impl FnMut(Field, &str, &mut Vec<u8>) -> bool,
    ) {
        let line = raw.line();
        let mut fields = [(0, 0, Field::Addr); Field::COUNT];
        let mut count = 0;
        for field in Field::ALL {
            if let Some(text) = raw.text(field) {
                let start = text.as_ptr().addr() - line.as_ptr().addr();
                fields[count] = (start, start + text.len(), field);
                count += 1;
            }
        }
        let fields = &mut fields[..count];
        fields.sort_unstable_by_key(|&(start, ..)| start);

        let base = self.text.len();
        let mut spans = [None; Field::COUNT];
        let mut copied = 0;
        for &mut (start, end, field) in fields {
            self.text.push_str(&line[copied..start]);
            let from = self.text.len() - base;
            self.bytes.clear();
            if decode(field, &line[start..end], &mut self.bytes) {
                self.text.push_str(&String::from_utf8_lossy(&self.bytes));
            } else {
                self.text.push_str(&line[start..end]);
            }
            spans[field as usize] = Some(Span::new(from as u32, (self.text.len() - base) as u32));
            copied = end;
        }
        self.text.push_str(&line[copied..]);
        self.records.push(Record {
            index,
            line: base..self.text.len(),
            spans,
            time_ms: raw.time_ms(),
            status: raw.status(),
            bytes: raw.bytes(),
            request_time: raw.request_time(),
            upstream_time: raw.upstream_time(),
        });
    }
}

impl Record {
    fn borrow<'a>(&self, text: &'a str) -> Access<'a> {
        let mut access = Access::new(&text[self.line.clone()]);
        for (field, span) in Field::ALL.into_iter().zip(self.spans) {
            if let Some(span) = span {
                access.set_span(field, span);
            }
        }
        self.time_ms.into_iter().for_each(|ms| access.set_time_ms(ms));
        self.status.into_iter().for_each(|status| access.set_status(status));
        self.bytes.into_iter().for_each(|bytes| access.set_bytes(bytes));
        self.request_time.into_iter().for_each(|seconds| access.set_request_time(seconds));
        self.upstream_time.into_iter().for_each(|seconds| access.set_upstream_time(seconds));
        access
    }
}

/// Appends `text` without its escapes. A backslash that begins none of them stands for itself. What is appended is never
/// longer than `text`, also once bytes that are no UTF-8 have been replaced.
///
/// Sources: nginx `ngx_http_log_escape`, `ngx_escape_json`; Apache `ap_escape_logitem`; RFC 8259, section 7.
pub(super) fn unescape(text: &[u8], escape: Escape, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let (byte, used) = match rest {
            [b @ (b'"' | b'\\'), ..] => (*b, 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'b', ..] => (0x08, 1),
            [b'f', ..] if escape == Escape::Json => (0x0c, 1),
            [b'/', ..] if escape == Escape::Json => (b'/', 1),
            [b'v', ..] if escape == Escape::Backslash => (0x0b, 1),
            // JSON has none of these, so whoever has them in such a log means nginx's.
            [b'x', high, low, ..] => match hex(*high, *low) {
                Some(byte) => (byte, 3),
                None => (b'\\', 0),
            },
            [b'u', ..] if escape == Escape::Json => match code_point(rest) {
                Some((c, used)) => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &rest[used..];
                    continue;
                }
                None => (b'\\', 0),
            },
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
}

/// The character of `u00e9` or of a pair `ud83d\\ude00`, and how long its text is. Half a pair is U+FFFD.
fn code_point(text: &[u8]) -> Option<(char, usize)> {
    let first = code_unit(text)?;
    let low = || code_unit(text.get(5..)?.strip_prefix(b"\\")?).filter(|low| (0xdc00..0xe000).contains(low));
    if (0xd800..0xdc00).contains(&first)
        && let Some(low) = low()
    {
        let c = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        return Some((char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), 11));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5))
}

/// The number of `u00e9`.
fn code_unit(text: &[u8]) -> Option<u32> {
    let [b'u', a, b, c, d, ..] = text else { return None };
    Some(u32::from(hex(*a, *b)?) << 8 | u32::from(hex(*c, *d)?))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}
