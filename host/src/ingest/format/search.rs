//! A step's value by looking for its end: the way that knows every case.

use super::error::{LineError, Why};
use super::item::End;
use super::scan::{self, Line, Marked};
use super::step::{Act, Step};
use super::value::{is_absent, span, status, sum};
use memchr::memrchr;
use plugin_api::{Access, Field};

/// Finds the end of a value and takes it, whatever it looks like.
#[inline(never)]
pub(super) fn by_search(
    steps: &[Step],
    i: usize,
    within: Marked<'_>,
    start: usize,
    record: &mut Access<'_>,
) -> Result<usize, LineError> {
    let (step, line) = (&steps[i], within.line);
    let Some(end) = step.find(within, start, steps.get(i + 1)) else {
        return Err(fail_at_end(steps, i, start, line.bytes()));
    };
    match step.take(&line.text[start..end], start, record) {
        Ok(()) => Ok(end),
        Err(why) => Err(fail(steps, i, start, why)),
    }
}

impl Step {
    /// Takes a value whose end had to be looked for.
    #[inline]
    fn take(&self, text: &[u8], start: usize, record: &mut Access<'_>) -> Result<(), Why> {
        match self.act {
            Act::Skip | Act::SkipTime => Ok(()),
            Act::Text => {
                if !is_absent(text) {
                    record.set_span(self.field, span(start, start + text.len()));
                }
                Ok(())
            }
            Act::Request => {
                self.parts.set(text, start, record);
                Ok(())
            }
            Act::Addr => {
                let (from, to) = match text {
                    [] => return Err(Why::NoAddr),
                    [b'[', _, .., b']'] => (1, text.len() - 1),
                    _ => (0, text.len()),
                };
                record.set_span(Field::Addr, span(start + from, start + to));
                Ok(())
            }
            _ => self.number(text, start, record),
        }
    }

    /// Takes a number or a time whose end had to be looked for.
    #[inline(never)]
    fn number(&self, text: &[u8], start: usize, record: &mut Access<'_>) -> Result<(), Why> {
        let span = span(start, start + text.len());
        match self.act {
            _ if is_absent(text) => {}
            // nginx's, where nothing was answered, and for HTTP/0.9.
            Act::Status if matches!(text, b"000" | b"009") => {}
            Act::Status => {
                let status = status(text).filter(|_| text.len() == 3).ok_or(Why::NotStatus)?;
                record.set_status(status);
                record.set_span(Field::Status, span);
            }
            Act::Bytes => {
                // A record has no place for the greatest number of all.
                let bytes = scan::whole(text).filter(|&bytes| bytes < u64::MAX).ok_or(Why::NotBytes)?;
                record.set_bytes(bytes);
                record.set_span(Field::Bytes, span);
            }
            Act::RequestTime => {
                record.set_request_time(scan::decimal(text).ok_or(Why::NotSeconds)? / self.per_second);
                record.set_span(Field::RequestTime, span);
            }
            Act::UpstreamTime => {
                if let Some(seconds) = sum(text).ok_or(Why::NotSeconds)? {
                    record.set_upstream_time(seconds);
                    record.set_span(Field::UpstreamTime, span);
                }
            }
            Act::Time => return Err(Why::NotTime),
            Act::Skip | Act::SkipTime | Act::Text | Act::Addr | Act::Request => {}
        }
        Ok(())
    }

    /// Where the value ends that begins at `start`.
    #[inline]
    fn find(&self, within: Marked<'_>, start: usize, next: Option<&Step>) -> Option<usize> {
        let line = within.line;
        match self.end {
            End::Quote => self.literal.find_quote(within, start),
            End::Literal => self.literal.find(line, start),
            End::Word => Some(word_end(line, start)),
            End::Line => Some(line.len),
            End::List => self.list_end(line, start),
            End::LastColon => last_colon(line, start, next),
        }
    }

    /// Whether a number may end at `at`.
    #[inline]
    pub(super) fn ends_at(&self, line: Line<'_>, at: usize) -> bool {
        if self.literal.len() == 0 {
            at == line.len || line.bytes().get(at) == Some(&b' ')
        } else {
            self.literal.is_at(line, at)
        }
    }

    #[inline(never)]
    fn list_end(&self, line: Line<'_>, start: usize) -> Option<usize> {
        let last = self.literal.len() == 0;
        let mut from = start;
        loop {
            let end = if last { word_end(line, from) } else { self.literal.find(line, from)? };
            let within = match (&line.text[start..end], &line.bytes()[end..]) {
                (_, []) => false,
                ([.., b','] | [.., b' ', b':'], _) | (_, [b' ', b':', b' ', ..]) => true,
                _ => false,
            };
            if !within {
                return Some(end);
            }
            from = end + 1;
        }
    }
}

#[inline(never)]
fn last_colon(line: Line<'_>, start: usize, next: Option<&Step>) -> Option<usize> {
    let end = match next {
        Some(next) if next.literal.len() > 0 => next.literal.find(line, start)?,
        _ => word_end(line, start),
    };
    memrchr(b':', &line.text[start..end]).map(|i| start + i)
}

#[cold]
#[inline(never)]
pub(super) fn fail(steps: &[Step], item: usize, at: usize, why: Why) -> LineError {
    let field = steps.get(item).map_or("", |step| step.name);
    // Both fit: a format is checked to have fewer values, a line to be shorter.
    LineError { field, item: item as u16, column: at as u32 + 1, why }
}

/// The error for a value that has no end.
#[cold]
#[inline(never)]
fn fail_at_end(steps: &[Step], item: usize, start: usize, line: &[u8]) -> LineError {
    // After a closing quote the value is whole, and what the line lacks is the next one.
    let closed = steps[item].end == End::Quote
        && steps[item]
            .literal
            .begun_at_end_of(&line[start..])
            .is_some_and(|value| value.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 0);
    if closed && item + 1 < steps.len() {
        fail(steps, item + 1, line.len(), Why::Ends)
    } else {
        fail(steps, item, start, Why::Ends)
    }
}

/// The next space, or the end of the line.
#[inline]
fn word_end(line: Line<'_>, start: usize) -> usize {
    line.find_byte(start, b' ').unwrap_or(line.len)
}
