//! Access-log formats: compiled once, then read at the speed of the machine.
//!
//! A [`Format`] says what a line is made of; a [`Parser`] of it, made for the fields that somebody wants,
//! turns lines into records that borrow from them:
//!
//! ```text
//! let format = Format::compile("combined")?;
//! let mut parser = format.parser(wanted_fields);
//! let mut decoded = Decoded::default();
//! for block in blocks {
//!     let mut records = Vec::with_capacity(BATCH);
//!     for line in block.lines() {
//!         if let Err(error) = parser.parse(line, &mut records, &mut decoded) { … }
//!     }
//!     decoded.settle(&mut records);      // puts the few lines with escapes in place
//!     …                                  // the pipes walk over the records
//!     drop(records);
//!     decoded.clear();
//! }
//! ```
//!
//! Journey of a format: [`spec`] takes the quoting of a pasted directive off, [`nginx`] and [`apache`] make
//! [`item`]s of it, [`step`] makes steps of those, [`parser`] walks them: the [`quick`] way, and where that does not lead on by
//! [`search`]. Lines that say themselves what is what have parsers of their own:
//! [`json`], where each value has a key, and [`w3c`], where a header names the columns.

mod apache;
mod error;
mod escape;
mod guess;
mod item;
mod json;
mod nginx;
mod parser;
mod quick;
mod reading;
mod request;
mod scan;
mod search;
mod simd;
mod spec;
mod stamp;
mod step;
mod strftime;
mod time;
mod value;
mod w3c;
mod window;

#[cfg(test)]
mod tests;

pub use error::{FormatError, LineError};
pub use escape::Decoded;
pub use guess::{Guess, Guesser, first_lines, guess};
pub use reading::Parser;
pub use w3c::header_before;
pub(super) use window::Window;

use escape::Escape;
use item::{Item, Layout};
use plugin_api::Fields;
use spec::{Dialect, Source};
use std::sync::Arc;

/// The longest line that is read, in bytes. Servers refuse requests far below it (nginx takes 32 KiB of
/// headers, Apache 8 KiB a header); it keeps offsets within a record's 32 bits.
pub const MAX_LINE: usize = 1 << 20;

/// A log format, ready to make parsers of. It is immutable, and a clone is the same one.
#[derive(Clone, Debug)]
pub struct Format {
    spec: Arc<str>,
    kind: Arc<Kind>,
}

/// The families of formats.
#[derive(Debug)]
enum Kind {
    /// Values with fixed texts between them.
    Text(Layout, Escape),
    /// An object of JSON a line.
    Json(json::Map),
    /// Columns, named by the log itself; by this header until it does.
    W3c(Option<String>),
}

impl Format {
    /// Compiles a format: a name (`combined`, `common`, `timed`, `vhost_combined`, `json`, `w3c`), the text of an nginx
    /// `log_format` or an Apache `LogFormat`, the whole directive as it stands in the server's configuration,
    /// `json:` with a map of fields ([`json`]), or the `#Fields:` line of a log that lacks it.
    ///
    /// # Errors
    /// An unknown name, a directive that Apache does not have, two values with nothing between them, a
    /// format without any value, a map with an unknown field. The column counts in `spec`.
    pub fn compile(spec: &str) -> Result<Format, FormatError> {
        let name = spec.trim();
        if name == "auto" {
            return Err(FormatError::new(
                1,
                "\"auto\" is told from a log's lines, and there are none here: name the format",
            ));
        }
        let of = |kind| Ok(Format { spec: name.into(), kind: Arc::new(kind) });
        if name == "json" || name.starts_with("json:") {
            return of(Kind::Json(json::Map::compile(spec)?));
        }
        if name == "w3c" {
            return of(Kind::W3c(None));
        }
        if name.starts_with(w3c::FIELDS) {
            w3c::check(spec)?;
            return of(Kind::W3c(Some(name.to_owned())));
        }
        let source = Source::read(spec)?;
        let mut layout = match source.dialect {
            Dialect::Nginx => nginx::read(&source)?,
            Dialect::Apache => apache::read(&source)?,
        };
        if layout.items.is_empty() {
            let why = "the format has no value: nginx writes $status, Apache %>s";
            return Err(FormatError::new(source.column(0), why));
        }
        layout.finish(source.escape)?;
        of(Kind::Text(layout, source.escape))
    }

    /// The format of a log without any line.
    fn nothing() -> Format {
        Format { spec: "".into(), kind: Arc::new(Kind::Text(Layout::default(), Escape::None)) }
    }

    /// What the format was compiled of.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The text before the first value.
    pub fn lead(&self) -> &str {
        match &*self.kind {
            Kind::Text(layout, _) => &layout.lead,
            Kind::Json(_) | Kind::W3c(_) => "",
        }
    }

    /// The values in their order, each with the text after it; none where the lines say themselves what is what.
    pub fn items(&self) -> &[Item] {
        match &*self.kind {
            Kind::Text(layout, _) => &layout.items,
            Kind::Json(_) | Kind::W3c(_) => &[],
        }
    }

    /// The fields that the format has; where the lines say themselves what is what, those that they may have.
    pub fn fields(&self) -> Fields {
        match &*self.kind {
            Kind::Text(layout, _) => layout.items.iter().fold(Fields::NONE, |all, item| all.union(item.gives)),
            Kind::Json(map) => map.fields(),
            Kind::W3c(_) => w3c::fields(),
        }
    }

    /// Whether a line means nothing without a header further up in its file; see [`header_before`].
    pub fn has_header(&self) -> bool {
        matches!(*self.kind, Kind::W3c(_))
    }

    /// A parser that decodes `wants` and passes over the rest.
    pub fn parser(&self, wants: Fields) -> Parser {
        Parser(match &*self.kind {
            Kind::Text(layout, escape) => reading::Kind::Text(parser::Parser::new(layout, *escape, wants)),
            Kind::Json(map) => reading::Kind::Json(json::Parser::new(map, wants)),
            Kind::W3c(header) => reading::Kind::W3c(w3c::Parser::new(header.as_deref(), wants)),
        })
    }
}
