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
    /// nginx's `escape=json`: `\"`, `\\`, `\n`, `\u0016`.
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
            self.decode(&line[start..end], escape);
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

    fn decode(&mut self, text: &str, escape: Escape) {
        if escape == Escape::None || !text.contains('\\') {
            return self.text.push_str(text);
        }
        self.bytes.clear();
        unescape(text.as_bytes(), escape, &mut self.bytes);
        self.text.push_str(&String::from_utf8_lossy(&self.bytes));
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

/// Appends `text` without its escapes. A backslash that begins none of them stands for itself.
///
/// Sources: nginx `ngx_http_log_escape`, `ngx_escape_json`; Apache `ap_escape_logitem`.
fn unescape(text: &[u8], escape: Escape, out: &mut Vec<u8>) {
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
            [b'x', high, low, ..] if escape == Escape::Backslash => match hex(*high, *low) {
                Some(byte) => (byte, 3),
                None => (b'\\', 0),
            },
            // nginx writes control characters alone this way.
            [b'u', b'0', b'0', high, low, ..] if escape == Escape::Json => match hex(*high, *low) {
                Some(byte) if byte < 0x80 => (byte, 5),
                _ => (b'\\', 0),
            },
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}
