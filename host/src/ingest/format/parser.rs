//! Reading lines: the steps of a format, walked once a line.

use super::MAX_LINE;
use super::error::{LineError, Why};
use super::escape::{Decoded, Escape};
use super::item::Layout;
use super::quick::Quick;
use super::scan::{Line, Literal, Marked};
use super::search::{by_search, fail};
use super::step::Step;
use super::time::Clock;
use super::window::{Marks, Window};
use memchr::memchr;
use plugin_api::{Access, Field, Fields};
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

impl Parser {
    pub(super) fn new(layout: &Layout, escape: Escape, wants: Fields) -> Parser {
        let steps = Step::all(layout, wants);
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
        let read =
            self.read(line, Marked { line: Line::alone(line.as_bytes()), marks: &marks, offset: 0 }, records, decoded);
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
        self.read(&text[line], Marked { line: within, marks, offset }, records, decoded)
    }

    /// Reads a line.
    #[inline]
    fn read<'a>(
        &mut self,
        line: &'a str,
        within: Marked<'_>,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let index = records.len();
        // Filled where it stays: a record is larger than a cache line, and copying it shows.
        records.push(Access::new(line));
        let Some(record) = records.last_mut() else { return Ok(()) };
        if let Err(error) = self.fill(within, record) {
            records.pop();
            return Err(error);
        }
        if within.marks.slash && self.escape != Escape::None && has_escape(record) {
            decoded.add(index, record, self.escape);
        }
        Ok(())
    }

    /// Fills the record's wanted fields.
    fn fill(&mut self, within: Marked<'_>, record: &mut Access<'_>) -> Result<(), LineError> {
        let line = within.line;
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
                Quick::AddrToTime => step
                    .addr_to_time(steps.get(i + step.leap_steps), line, start, record)
                    .inspect(|_| i += step.leap_steps),
                Quick::RequestToBytes => {
                    let after = steps.get(i + 1).zip(steps.get(i + 2));
                    step.request_to_bytes(after, within, start, record).inspect(|_| i += 2)
                }
                Quick::SkipAndText => {
                    let end = step.skip_and_text(steps.get(i + 1), within, start, record);
                    i += usize::from(end.is_some());
                    end
                }
                Quick::QuotedSkip => step.literal.find_next_quote(within, start),
                Quick::QuotedText => step.quick_text(within, start, record),
                Quick::QuotedRequest => step.quick_request(within, start, record),
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
                None => by_search(steps, i, within, start, record)?,
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

/// Whether a field that was taken has a backslash.
#[cold]
#[inline(never)]
fn has_escape(record: &Access<'_>) -> bool {
    Field::ALL.iter().any(|&field| record.text(field).is_some_and(|text| memchr(b'\\', text.as_bytes()).is_some()))
}
