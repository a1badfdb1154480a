//! Reading lines: a format's values as steps, walked once a line.

use super::MAX_LINE;
use super::error::{LineError, Why};
use super::escape::{Decoded, Escape};
use super::item::{End, Item, Layout, What};
use super::request::{self, Request};
use super::scan::{self, Line, Literal};
use super::time::{Clock, TimeForm};
use super::window::{Marks, Window};
use memchr::{memchr, memrchr};
use plugin_api::{Access, Field, Fields, Span};
use std::ops::Range;

/// Reads the lines of one log. It remembers the last time it saw, so each thread has its own.
#[derive(Clone, Debug)]
pub struct Parser {
    lead: Literal,
    steps: Box<[Step]>,
    clock: Clock,
    /// Of a line that is read alone.
    marks: Marks,
    escape: Escape,
}

/// One value: what to do with it, and where it ends.
#[derive(Clone, Debug)]
struct Step {
    quick: Quick,
    act: Act,
    end: End,
    /// The field of [`Act::Text`].
    field: Field,
    /// The parts that [`Act::Request`] is for.
    parts: RequestParts,
    /// How long the value is, for [`Act::SkipTime`].
    len: usize,
    /// For [`Act::RequestTime`].
    per_second: f64,
    /// For [`Act::Time`], and whether anybody wants it.
    time: (TimeForm, bool),
    literal: Literal,
    /// The literal and the steps after it as they look when they have nothing to say: ` - - [`. Then one
    /// comparison leaps over them.
    leap: Literal,
    /// How many steps further on it ends; 0 where there is no such leap.
    leap_steps: usize,
    /// What errors call it.
    name: &'static str,
}

/// What to do with a value. It carries nothing, so that a step is one jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Skip,
    Text,
    Addr,
    Request,
    Status,
    Bytes,
    /// A time is read even if nobody wants it where its text may hold what ends it.
    Time,
    /// A time that nobody wants and that is nearly always of the same length.
    SkipTime,
    RequestTime,
    UpstreamTime,
}

/// How a value is read that looks as nearly all do. What does not is found and taken by [`Act`] and [`End`], which know
/// every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quick {
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
    fn of(step: &Step) -> Quick {
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
    fn with_those_after(steps: &[Step]) -> Quick {
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

impl Step {
    fn new(item: &Item, wants: Fields) -> Step {
        let wanted = |field| item.gives.has(field) && wants.has(field);
        let either = |act, field| if wanted(field) { act } else { Act::Skip };
        let mut step = Step {
            quick: Quick::None,
            act: Act::Skip,
            end: item.end,
            field: Field::Addr,
            parts: RequestParts {
                method: wanted(Field::Method),
                url: wanted(Field::Url),
                protocol: wanted(Field::Protocol),
            },
            len: 0,
            per_second: 1.0,
            time: (TimeForm::Local, wanted(Field::Time)),
            literal: Literal::new(&item.literal),
            leap: Literal::new(""),
            leap_steps: 0,
            name: item.what.name(),
        };
        step.act = match &item.what {
            What::Other => Act::Skip,
            What::Text(Field::Addr) => either(Act::Addr, Field::Addr),
            What::Text(field) => {
                step.field = *field;
                either(Act::Text, *field)
            }
            What::Request if step.parts.method || step.parts.url || step.parts.protocol => Act::Request,
            What::Request => Act::Skip,
            What::Status => either(Act::Status, Field::Status),
            What::Bytes => either(Act::Bytes, Field::Bytes),
            What::Time(form) => {
                let border = item.literal.bytes().next();
                let read = wanted(Field::Time) || border.is_none_or(|byte| form.may_hold(byte));
                step.time.0 = form.clone();
                step.len = form.len().unwrap_or_default();
                if read {
                    Act::Time
                } else if step.len > 0 {
                    Act::SkipTime
                } else {
                    Act::Skip
                }
            }
            What::RequestTime { per_second } => {
                step.per_second = *per_second;
                either(Act::RequestTime, Field::RequestTime)
            }
            What::UpstreamTime => either(Act::UpstreamTime, Field::UpstreamTime),
        };
        step.quick = Quick::of(&step);
        step
    }
}

/// What stands after the first item if those that follow are all `-`, as far as it fits a word, and how
/// many of them that is.
fn leap(items: &[Item], after: &[Step]) -> (String, usize) {
    let mut text = items[0].literal.clone();
    let mut passed = 0;
    for (item, step) in items[1..].iter().zip(after) {
        let dash = format!("{text}-{}", item.literal);
        let ends = matches!(item.end, End::Literal | End::Quote) && !item.literal.starts_with('-');
        if !ends || !matches!(step.act, Act::Skip | Act::Text) || dash.len() > size_of::<u64>() {
            break;
        }
        text = dash;
        passed += 1;
    }
    (text, passed)
}

impl Parser {
    pub(super) fn new(layout: &Layout, escape: Escape, wants: Fields) -> Parser {
        let mut steps: Box<[Step]> = layout.items.iter().map(|item| Step::new(item, wants)).collect();
        for i in (0..steps.len()).rev() {
            let (leap, passed) = leap(&layout.items[i..], &steps[i + 1..]);
            steps[i].leap = Literal::new(&leap);
            steps[i].leap_steps = if passed > 0 { passed + 1 } else { 0 };
            steps[i].quick = Quick::with_those_after(&steps[i..]);
        }
        Parser { lead: Literal::new(&layout.lead), steps, clock: Clock::new(), marks: Marks::default(), escape }
    }

    /// Reads one line, without its line feed (a carriage return at its end is dropped), and appends its
    /// record. A record with escapes in a wanted field is also put into `decoded`, whose
    /// [`settle`](Decoded::settle) must be called before the batch is used.
    ///
    /// What follows the end of the format is not looked at: logs get new fields at their end.
    ///
    /// # Errors
    /// The line is cut off, is of another format, or has a wanted field that is not what it should be.
    /// Nothing is appended then.
    #[inline]
    pub fn parse<'a>(
        &mut self,
        line: &'a str,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mut marks = std::mem::take(&mut self.marks);
        marks.read(line.as_bytes());
        let read = self.read(line, Line::alone(line.as_bytes()), &marks, 0, records, decoded);
        self.marks = marks;
        read
    }

    /// As [`Parser::parse`], for a line of a text through which a window goes: what stands behind it, and the bytes that
    /// have been found, need not be looked at again.
    ///
    /// # Errors
    /// As [`Parser::parse`].
    #[inline]
    pub(in crate::ingest) fn parse_within<'a>(
        &mut self,
        text: &'a str,
        line: Range<usize>,
        window: &Window,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let (marks, offset) = window.marks(line.start);
        let within = Line { text: &text.as_bytes()[line.start..], len: line.len() };
        self.read(&text[line], within, marks, offset, records, decoded)
    }

    /// Reads a line; it begins at `offset` in what the marks are of.
    #[inline]
    fn read<'a>(
        &mut self,
        line: &'a str,
        within: Line<'a>,
        marks: &Marks,
        offset: usize,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let index = records.len();
        // Filled where it stays: a record is larger than a cache line, and copying it shows.
        records.push(Access::new(line));
        let Some(record) = records.last_mut() else { return Ok(()) };
        if let Err(error) = self.fill(within, marks, offset, record) {
            records.pop();
            return Err(error);
        }
        if marks.slash && self.escape != Escape::None && has_escape(record) {
            decoded.add(index, record, self.escape);
        }
        Ok(())
    }

    /// Fills the record's wanted fields.
    fn fill(&mut self, line: Line<'_>, marks: &Marks, offset: usize, record: &mut Access<'_>) -> Result<(), LineError> {
        let Parser { lead, steps, clock, .. } = self;
        if line.len > MAX_LINE {
            return Err(fail(steps, 0, MAX_LINE, Why::TooLong));
        }
        if !lead.is_at(line, 0) {
            return Err(fail(steps, 0, 0, Why::Lead));
        }
        let mut i = 0;
        let mut at = lead.len();
        while let Some(step) = steps.get(i) {
            let start = at;
            let quick = match step.quick {
                Quick::AddrToTime => {
                    step.addr_to_time(steps.get(i + step.leap_steps), line, start, record).inspect(|_| {
                        i += step.leap_steps;
                    })
                }
                Quick::RequestToBytes => {
                    let after = steps.get(i + 1).zip(steps.get(i + 2));
                    step.request_to_bytes(after, line, start, marks, offset, record).inspect(|_| {
                        i += 2;
                    })
                }
                Quick::SkipAndText => {
                    let end = step.skip_and_text(steps.get(i + 1), line, start, marks, offset, record);
                    i += usize::from(end.is_some());
                    end
                }
                Quick::QuotedSkip => step.literal.find_next_quote(line, start, marks, offset),
                Quick::QuotedText => step.quick_text(line, start, marks, offset, record),
                Quick::QuotedRequest => step.quick_request(line, start, marks, offset, record),
                Quick::Addr => step.quick_addr(line, start, record),
                Quick::Status => step.quick_status(line, start, record),
                Quick::Bytes => step.quick_bytes(line, start, record),
                Quick::Time => step.quick_time(line, start, clock, record),
                Quick::SkipTime => step.skip_time(line, start),
                Quick::RequestTime => step.quick_request_time(line, start, record),
                Quick::UpstreamTime => step.quick_upstream_time(line, start, record),
                Quick::None => None,
            };
            let Some(step) = steps.get(i) else { break };
            let end = match quick {
                Some(end) => end,
                None => by_search(steps, i, line, start, marks, offset, record)?,
            };
            if step.leap_steps > 0 && step.leap.is_at(line, end) {
                at = end + step.leap.len();
                i += step.leap_steps;
            } else {
                at = end + step.literal.len();
                i += 1;
            }
        }
        Ok(())
    }
}

/// Finds the end of a value and takes it, whatever it looks like.
#[inline(never)]
fn by_search(
    steps: &[Step],
    i: usize,
    line: Line<'_>,
    start: usize,
    marks: &Marks,
    offset: usize,
    record: &mut Access<'_>,
) -> Result<usize, LineError> {
    let step = &steps[i];
    let Some(end) = step.find(line, start, marks, offset, steps.get(i + 1)) else {
        return Err(fail_at_end(steps, i, start, line.bytes()));
    };
    match step.take(&line.text[start..end], start, record) {
        Ok(()) => Ok(end),
        Err(why) => Err(fail(steps, i, start, why)),
    }
}

/// Whether a field that was taken has a backslash.
#[cold]
#[inline(never)]
fn has_escape(record: &Access<'_>) -> bool {
    Field::ALL.iter().any(|&field| record.text(field).is_some_and(|text| memchr(b'\\', text.as_bytes()).is_some()))
}

impl Step {
    // The end of a value that can be told without looking for it.

    #[inline(always)]
    fn quick_text(
        &self,
        line: Line<'_>,
        start: usize,
        marks: &Marks,
        offset: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = self.literal.find_next_quote(line, start, marks, offset)?;
        // Absent where there is nothing or a single `-`.
        if end > start + 1 || (end > start && line.text[start] != b'-') {
            record.set_span(self.field, span(start, end));
        }
        Some(end)
    }

    #[inline(always)]
    fn quick_request(
        &self,
        line: Line<'_>,
        start: usize,
        marks: &Marks,
        offset: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = self.literal.find_next_quote(line, start, marks, offset)?;
        if let Some(url) = self.parts.set(line.text.get(start..end)?, start, record) {
            let question = marks.questions.next(offset + url.start, offset + url.end);
            record.set_path_end(question.map_or(url.end, |at| at - offset) as u32);
        }
        Some(end)
    }

    #[inline(always)]
    fn quick_addr(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let end = line.find_byte(start, b' ').filter(|&end| self.literal.is_at(line, end))?;
        if end == start || line.text[start] == b'[' {
            return None;
        }
        record.set_span(Field::Addr, span(start, end));
        Some(end)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    fn addr_to_time(
        &self,
        time: Option<&Step>,
        line: Line<'_>,
        start: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = line.find_byte(start, b' ').filter(|&end| self.leap.is_at(line, end))?;
        if end == start || line.text[start] == b'[' {
            return None;
        }
        let end_of_time = time?.skip_time(line, end + self.leap.len())?;
        record.set_span(Field::Addr, span(start, end));
        Some(end_of_time)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    fn request_to_bytes(
        &self,
        after: Option<(&Step, &Step)>,
        line: Line<'_>,
        start: usize,
        marks: &Marks,
        offset: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let (status, bytes) = after?;
        let end = self.quick_request(line, start, marks, offset, record)?;
        let end = status.quick_status(line, end + self.literal.len(), record)?;
        bytes.quick_bytes(line, end + status.literal.len(), record)
    }

    /// Where the last of its values ends.
    #[inline(always)]
    fn skip_and_text(
        &self,
        text: Option<&Step>,
        line: Line<'_>,
        start: usize,
        marks: &Marks,
        offset: usize,
        record: &mut Access<'_>,
    ) -> Option<usize> {
        let end = self.literal.find_next_quote(line, start, marks, offset)?;
        text?.quick_text(line, end + self.literal.len(), marks, offset, record)
    }

    #[inline(always)]
    fn skip_time(&self, line: Line<'_>, start: usize) -> Option<usize> {
        self.literal.is_at(line, start + self.len).then_some(start + self.len)
    }

    #[inline]
    fn quick_request_time(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let (seconds, end) = self.quick_seconds(line, start)?;
        record.set_request_time(seconds / self.per_second);
        record.set_span(Field::RequestTime, span(start, end));
        Some(end)
    }

    #[inline]
    fn quick_upstream_time(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let (seconds, end) = self.quick_seconds(line, start)?;
        record.set_upstream_time(seconds);
        record.set_span(Field::UpstreamTime, span(start, end));
        Some(end)
    }

    #[inline(always)]
    fn quick_status(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let status = status(line.text.get(start..)?).filter(|_| self.ends_at(line, start + 3))?;
        record.set_status(status);
        record.set_span(Field::Status, span(start, start + 3));
        Some(start + 3)
    }

    #[inline(always)]
    fn quick_bytes(&self, line: Line<'_>, start: usize, record: &mut Access<'_>) -> Option<usize> {
        let (bytes, len) = scan::few_digits(line.text, start).filter(|(_, len)| self.ends_at(line, start + len))?;
        record.set_bytes(bytes);
        record.set_span(Field::Bytes, span(start, start + len));
        Some(start + len)
    }

    #[inline]
    fn quick_time(&self, line: Line<'_>, start: usize, clock: &mut Clock, record: &mut Access<'_>) -> Option<usize> {
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
    fn quick_seconds(&self, line: Line<'_>, start: usize) -> Option<(f64, usize)> {
        let (thousandths, len) = scan::few_thousandths(line.text, start)?;
        let end = start + len;
        let list = self.end == End::List && line.bytes().get(end + 1) == Some(&b':');
        (self.ends_at(line, end) && !list).then_some((thousandths as f64 / 1e3, end))
    }

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
    fn find(&self, line: Line<'_>, start: usize, marks: &Marks, offset: usize, next: Option<&Step>) -> Option<usize> {
        match self.end {
            End::Quote => self.literal.find_quote(line, start, marks, offset),
            End::Literal => self.literal.find(line, start),
            End::Word => Some(word_end(line, start)),
            End::Line => Some(line.len),
            End::List => self.list_end(line, start),
            End::LastColon => last_colon(line, start, next),
        }
    }

    /// Whether a number may end at `at`.
    #[inline]
    fn ends_at(&self, line: Line<'_>, at: usize) -> bool {
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

/// Which parts of a request line are wanted.
#[derive(Clone, Copy, Debug)]
struct RequestParts {
    method: bool,
    url: bool,
    protocol: bool,
}

impl RequestParts {
    /// Sets the wanted parts, if the text is a request; gives where the target stands, if that was wanted.
    #[inline(always)]
    fn set(self, text: &[u8], start: usize, record: &mut Access<'_>) -> Option<Range<usize>> {
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

#[cold]
#[inline(never)]
fn fail(steps: &[Step], item: usize, at: usize, why: Why) -> LineError {
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

/// Lines are no longer than [`MAX_LINE`].
#[inline]
pub(super) fn span(start: usize, end: usize) -> Span {
    Span::new(start as u32, end as u32)
}

/// Whether there is nothing or a single `-`.
#[inline]
pub(super) fn is_absent(text: &[u8]) -> bool {
    matches!(text, [] | [b'-'])
}

/// The next space, or the end of the line.
#[inline]
fn word_end(line: Line<'_>, start: usize) -> usize {
    line.find_byte(start, b' ').unwrap_or(line.len)
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
