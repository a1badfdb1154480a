//! An object of JSON a line, as nginx (`escape=json`), Caddy, Traefik and applications write it.
//!
//! Which key is which field says a [`Map`]: names that are known, and those that the format gives. A [`Parser`] walks
//! once over a line, from quote to quote; what no field is taken from is passed over unread.
//!
//! It is made for logs, not for telling good JSON from bad: a line must be an object with keys in quotes, and what stands
//! in values that nobody wants is not judged. That also reads what templates make of absent values (`"bytes":,`).

mod given;
mod known;
mod map;
mod value;
mod walk;

pub(super) use map::Map;

use super::error::LineError;
use super::escape::{Decoded, Escape};
use super::stamp::Stamps;
use super::window::Marks;
use map::Level;
use plugin_api::{Access, Fields};
use walk::{Trouble, Walk};

/// Reads the lines of one log.
#[derive(Clone, Debug)]
pub(super) struct Parser {
    levels: Box<[Level]>,
    marks: Marks,
    stamps: Stamps,
    /// Values of the line that are not what they should be. Another key may give their field.
    troubles: Vec<Trouble>,
}

impl Parser {
    pub(super) fn new(map: &Map, wants: Fields) -> Parser {
        Parser { levels: map.levels_for(wants), marks: Marks::default(), stamps: Stamps::new(), troubles: Vec::new() }
    }

    /// See [`super::Parser::parse`].
    pub(super) fn parse<'a>(
        &mut self,
        line: &'a str,
        records: &mut Vec<Access<'a>>,
        decoded: &mut Decoded,
    ) -> Result<(), LineError> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let index = records.len();
        records.push(Access::new(line));
        let Some(record) = records.last_mut() else { return Ok(()) };
        let Parser { levels, marks, stamps, troubles } = self;
        match Walk::new(line.as_bytes(), levels, marks, stamps, troubles, record).line() {
            Ok(false) => Ok(()),
            Ok(true) => {
                decoded.add(index, record, Escape::Json);
                Ok(())
            }
            Err(error) => {
                records.pop();
                Err(error)
            }
        }
    }
}
