//! A parser of whichever kind its format is.

use super::error::LineError;
use super::escape::Decoded;
use super::window::Window;
use super::{json, parser, w3c};
use plugin_api::Access;
use std::ops::Range;

/// Reads the lines of one log. It remembers what the lines before said (the last time, a header), so each log has its own.
#[derive(Clone, Debug)]
pub struct Parser(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(parser::Parser),
    Json(json::Parser),
    W3c(w3c::Parser),
}

impl Parser {
    /// Reads one line, without its line feed (a carriage return at its end is dropped), and appends its
    /// record. A record that is not in the line as it stands is also put into `decoded`, whose
    /// [`settle`](Decoded::settle) must be called before the batch is used.
    ///
    /// A line that is part of a header ([`w3c`]) is no record and no error: nothing is appended.
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
        match &mut self.0 {
            Kind::Text(parser) => parser.parse(line, records, decoded),
            Kind::Json(parser) => parser.parse(line, records, decoded),
            Kind::W3c(parser) => parser.parse(line, records, decoded),
        }
    }

    /// As [`Parser::parse`], for a line of a text through which a window goes: what has been found there need not be looked
    /// for again.
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
        match &mut self.0 {
            Kind::Text(parser) => parser.parse_within(text, line, window, records, decoded),
            Kind::Json(parser) => parser.parse(&text[line], records, decoded),
            Kind::W3c(parser) => parser.parse(&text[line], records, decoded),
        }
    }

    /// Reads lines of a header that stand further up in the file: who begins in the middle of a file of the format
    /// `w3c` finds them by [`header_before`](super::header_before) and hands them in before the first line. For other
    /// formats it does nothing.
    pub fn prime(&mut self, header: &str) {
        if let Kind::W3c(parser) = &mut self.0 {
            parser.prime(header);
        }
    }

    /// Forgets what another file's header said.
    pub fn begin_file(&mut self) {
        if let Kind::W3c(parser) = &mut self.0 {
            parser.begin_file();
        }
    }

    /// Remembers that a batch begins here, for [`rewind`](Self::rewind).
    #[inline]
    pub(crate) fn mark(&mut self) {
        if let Kind::W3c(parser) = &mut self.0 {
            parser.mark();
        }
    }

    /// The same batch is to be read again: what its lines said is forgotten.
    pub(crate) fn rewind(&mut self) {
        if let Kind::W3c(parser) = &mut self.0 {
            parser.rewind();
        }
    }

    /// Goes on where another parser of the same format is, which was made for other fields.
    pub(crate) fn follow(&mut self, other: &Parser) {
        if let (Kind::W3c(parser), Kind::W3c(other)) = (&mut self.0, &other.0) {
            parser.follow(other);
        }
    }
}
