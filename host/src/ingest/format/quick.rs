//! The quick ways of a step: values that look as nearly all do.

use super::item::End;
use super::request::{self, Request};
use super::scan::{self, Line, Literal, Marked};
use super::step::{Act, Step};
use super::time::Clock;
use super::value::{span, status};
use plugin_api::{Access, Field};
use std::ops::Range;

/// How a value is read that looks as nearly all do. What does not is found and taken by [`Act`] and [`End`], which know
/// every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    QuotedSkip,
    QuotedText,
    QuotedRequest,
    /// An address before a space.
    Addr,
    /// The same, what it leaps over, and a time that is skipped: ` - - [17/May/2015:10:05:03 +0000] "`.
    AddrToTime,
    /// A request in quotes, the status and the bytes: `GET / HTTP/1.1" 200 12 "`.
    RequestToBytes,
    /// A value in quotes that is skipped, and one that is taken: `-" "curl/8.0"`.
    SkipAndText,
    Status,
    Bytes,
    Time,
    SkipTime,
    RequestTime,
    UpstreamTime,
    /// There is no quick way.
    None,
}

impl Quick {
    pub(super) fn of(step: &Step) -> Quick {
        match (step.act, step.end) {
            (Act::Skip, End::Quote) => Quick::QuotedSkip,
            (Act::Text, End::Quote) => Quick::QuotedText,
            (Act::Request, End::Quote) => Quick::QuotedRequest,
            (Act::Addr, End::Literal) if step.literal.begins_with(b' ') => Quick::Addr,
            (Act::Status, _) => Quick::Status,
            (Act::Bytes, _) => Quick::Bytes,
            (Act::Time, _) => Quick::Time,
            (Act::SkipTime, _) => Quick::SkipTime,
            (Act::RequestTime, _) => Quick::RequestTime,
            (Act::UpstreamTime, _) => Quick::UpstreamTime,
            (Act::Skip | Act::Text | Act::Addr | Act::Request, _) => Quick::None,
        }
    }

    /// As above, or the way for the step and those after it in one, for what stands together in most formats: from one step to
    /// the next costs as much as what a step does.
    pub(super) fn with_those_after(steps: &[Step]) -> Quick {
        let quick = |i: usize| steps.get(i).map_or(Quick::None, |step| step.quick);
        match quick(0) {
            Quick::Addr if steps[0].leap_steps > 0 && quick(steps[0].leap_steps) == Quick::SkipTime => {
                Quick::AddrToTime
            }
            Quick::QuotedRequest if quick(1) == Quick::Status && quick(2) == Quick::Bytes => Quick::RequestToBytes,
            Quick::QuotedSkip if quick(1) == Quick::QuotedText => Quick::SkipAndText,
            alone => alone,
        }
    }
}

/// Which parts of a request line are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestParts {
    pub(super) method: bool,
    pub(super) url: bool,
    pub(super) protocol: bool,
}

impl RequestParts {
    /// Sets the wanted parts, if the text is a request; gives where the target stands, if that was wanted.
    #[inline(always)]
    pub(super) fn set(self, text: &[u8], start: usize, record: &mut Access<'_>) -> Option<Range<usize>> {
        let Request { method, url, protocol } = request::split(text)?;
        if self.method {
            record.set_span(Field::Method, span(start, start + method));
        }
        if self.protocol && url < text.len() {
            record.set_span(Field::Protocol, span(start + protocol, start + text.len()));
        }
        if !self.url {
            return None;
        }
        record.set_span(Field::Url, span(start + method + 1, start + url));
        Some(start + method + 1..start + url)
    }
}

impl Step {
    // The end of a value that can be told without looking for it.

    #[inline(always)]
    pub(super) fn quick_text(&self, within: Marked<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let end = self.literal.find_next_quote(within, start)?;
        // Absent where there is nothing or a single `-`.
        if end > start + 1 || (end > start && within.line.text[start] != b'-') {
            record.set_span(self.field, span(start, end));
        }
        Some(end)
    }

    #[inline(always)]
    pub(super) fn quick_request(&self, within: Marked<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let Marked { line, marks, offset } = within;
        let end = self.literal.find_next_quote(within, start)?;
        if let Some(url) = self.parts.set(line.text.get(start..end)?, start, record) {
            let question = marks.questions.next(offset + url.start, offset + url.end);
            record.set_path_end(question.map_or(url.end, |at| at - offset) as u32);
        }
        Some(end)
    }

    #[inline(always)]
    pub(super) fn quick_addr(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let end = addr_end(line, start, &self.literal)?;
        record.set_span(Field::Addr, span(start, end));
        Some(end)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    pub(super) fn addr_to_time(
        &self,
        time: Option<&Step>,
        line: Line<'_>,
        start: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = addr_end(line, start, &self.leap)?;
        let end_of_time = time?.skip_time(line, end + self.leap.len())?;
        record.set_span(Field::Addr, span(start, end));
        Some(end_of_time)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    pub(super) fn request_to_bytes(
        &self,
        after: Option<(&Step, &Step)>,
        within: Marked<'_>,
        start: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let (status, bytes) = after?;
        let line = within.line;
        let end = self.quick_request(within, start, record)?;
        let end = status.quick_status(line, end + self.literal.len(), record)?;
        bytes.quick_bytes(line, end + status.literal.len(), record)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    pub(super) fn skip_and_text(
        &self,
        text: Option<&Step>,
        within: Marked<'_>,
        start: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = self.literal.find_next_quote(within, start)?;
        text?.quick_text(within, end + self.literal.len(), record)
    }

    #[inline(always)]
    pub(super) fn skip_time(&self, line: Line<'_>, start: usize) -> Option<usize> {
        self.literal.is_at(line, start + self.len).then_some(start + self.len)
    }

    #[inline]
    pub(super) fn quick_request_time(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        if self.is_none(line, start) {
            return Some(start + 1);
        }
        let (seconds, end) = self.quick_seconds(line, start)?;
        record.set_request_time(seconds / self.per_second);
        record.set_span(Field::RequestTime, span(start, end));
        Some(end)
    }

    #[inline]
    pub(super) fn quick_upstream_time(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        if self.is_none(line, start) {
            return Some(start + 1);
        }
        let (seconds, end) = self.quick_seconds(line, start)?;
        record.set_upstream_time(seconds);
        record.set_span(Field::UpstreamTime, span(start, end));
        Some(end)
    }

    #[inline(always)]
    pub(super) fn quick_status(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let status = match self.literal.len() {
            0 => status(line.bytes().get(start..)?).filter(|_| self.ends_at(line, start + 3)),
            _ => scan::three_digits_before(&self.literal, line, start),
        }?;
        record.set_status(status);
        record.set_span(Field::Status, span(start, start + 3));
        Some(start + 3)
    }

    #[inline(always)]
    pub(super) fn quick_bytes(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let (bytes, len) = match self.literal.len() {
            0 => scan::few_digits(line.bytes(), start).filter(|(_, len)| self.ends_at(line, start + len)),
            _ => scan::few_digits_before(&self.literal, line, start),
        }?;
        record.set_bytes(bytes);
        record.set_span(Field::Bytes, span(start, start + len));
        Some(start + len)
    }

    #[inline]
    pub(super) fn quick_time(
        &self,
        line: Line<'_>,
        start: usize,
        clock: &mut Clock,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let (form, wanted) = &self.time;
        let (end, ms) = clock.read(form, line, start, &self.literal)?;
        if *wanted {
            record.set_time_ms(ms);
            record.set_span(Field::Time, span(start, end));
        }
        Some(end)
    }

    /// Seconds with three decimals, and where they end; not those that begin a list.
    #[inline]
    pub(super) fn quick_seconds(&self, line: Line<'_>, start: usize) -> Option<(f64, usize)> {
        let (thousandths, len) = scan::few_thousandths(line.text, start)?;
        let end = start + len;
        (self.ends_at(line, end) && !self.goes_on(line, end)).then_some((thousandths as f64 / 1e3, end))
    }

    /// Whether there is a single `-`, not one that begins a list.
    #[inline]
    pub(super) fn is_none(&self, line: Line<'_>, start: usize) -> bool {
        line.bytes().get(start) == Some(&b'-') && self.ends_at(line, start + 1) && !self.goes_on(line, start + 1)
    }

    /// Whether the space at `end` is one within a list: ` : `.
    #[inline]
    pub(super) fn goes_on(&self, line: Line<'_>, end: usize) -> bool {
        self.end == End::List && line.bytes().get(end + 1) == Some(&b':')
    }
}

/// Where an address ends that begins at `start`, with this after it; not one in brackets, and none where there is nothing.
#[inline(always)]
fn addr_end(line: Line<'_>, start: usize, after: &Literal) -> Option<usize> {
    let end = line.find_byte(start, b' ').filter(|&end| after.is_at(line, end))?;
    (end > start && line.text[start] != b'[').then_some(end)
}
