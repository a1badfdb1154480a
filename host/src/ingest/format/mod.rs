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
//! [`item`]s of it, [`parser`] makes steps of those.

mod apache;
mod error;
mod escape;
mod item;
mod nginx;
mod parser;
mod request;
mod scan;
mod simd;
mod spec;
mod strftime;
mod time;
mod window;

#[cfg(test)]
mod tests;

pub use error::{FormatError, LineError};
pub use escape::Decoded;
pub use parser::Parser;
pub(super) use window::Window;

use escape::Escape;
use item::{Item, Layout};
use plugin_api::Fields;
use spec::{Dialect, Source};

/// The longest line that is read, in bytes. Servers refuse requests far below it (nginx takes 32 KiB of
/// headers, Apache 8 KiB a header); it keeps offsets within a record's 32 bits.
pub const MAX_LINE: usize = 1 << 20;

/// A log format, ready to make parsers of. It is immutable and may be shared.
#[derive(Clone, Debug)]
pub struct Format {
    spec: String,
    kind: Kind,
}

/// The families of formats.
#[derive(Clone, Debug)]
enum Kind {
    /// Values with fixed texts between them.
    Text(Layout, Escape),
}

impl Format {
    /// Compiles a format: a name (`combined`, `common`, `timed`, `vhost_combined`), the text of an nginx
    /// `log_format` or an Apache `LogFormat`, or the whole directive as it stands in the server's
    /// configuration.
    ///
    /// # Errors
    /// An unknown name, a directive that Apache does not have, two values with nothing between them, a
    /// format without any value. The column counts in `spec`.
    pub fn compile(spec: &str) -> Result<Format, FormatError> {
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
        Ok(Format { spec: spec.trim().to_owned(), kind: Kind::Text(layout, source.escape) })
    }

    /// What the format was compiled of.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The text before the first value.
    pub fn lead(&self) -> &str {
        let Kind::Text(layout, _) = &self.kind;
        &layout.lead
    }

    /// The values in their order, each with the text after it.
    pub fn items(&self) -> &[Item] {
        let Kind::Text(layout, _) = &self.kind;
        &layout.items
    }

    /// The fields that the format has.
    pub fn fields(&self) -> Fields {
        self.items().iter().fold(Fields::NONE, |all, item| all.union(item.gives))
    }

    /// A parser that decodes `wants` and passes over the rest.
    pub fn parser(&self, wants: Fields) -> Parser {
        let Kind::Text(layout, escape) = &self.kind;
        Parser::new(layout, *escape, wants)
    }
}
