//! A format as a list of values and the texts between them, whoever's way of writing it came from.

use super::error::FormatError;
use super::escape::Escape;
use super::time::TimeForm;
use plugin_api::{Field, Fields};
use std::sync::Arc;

/// What a value of a format is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Something that no field of a record is for.
    Other,
    /// The text of one field.
    Text(Field),
    /// Method, target and protocol in one.
    Request,
    /// The status code.
    Status,
    /// A number of bytes.
    Bytes,
    /// The time, in this form.
    Time(TimeForm),
    /// A number, so many of which are a second.
    RequestTime {
        /// 1, 1,000 or 1,000,000.
        per_second: f64,
    },
    /// Seconds of each upstream that was asked.
    UpstreamTime,
}

impl What {
    /// The fields that it fills.
    fn fields(&self) -> &'static [Field] {
        match self {
            What::Other => &[],
            What::Text(field) => std::slice::from_ref(&Field::ALL[*field as usize]),
            What::Request => &[Field::Method, Field::Url, Field::Protocol],
            What::Status => &[Field::Status],
            What::Bytes => &[Field::Bytes],
            What::Time(TimeForm::Pattern(pattern)) if !pattern.has_date() => &[],
            What::Time(_) => &[Field::Time],
            What::RequestTime { .. } => &[Field::RequestTime],
            What::UpstreamTime => &[Field::UpstreamTime],
        }
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            What::Request => "request",
            other => other.fields().first().map_or("skipped field", |field| field.name()),
        }
    }
}

/// One value of a format, and the text after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// How the format spells it: `$status`, `%>s`.
    pub(crate) name: String,
    /// What it is.
    pub(crate) what: What,
    /// The fields that are taken from it. Where a format has one field twice, the better source has it.
    pub(crate) gives: Fields,
    /// The text between it and the next one; empty after the last one.
    pub(crate) literal: String,
    /// How its end is found.
    pub(crate) end: End,
    /// The lowest is the best source of its fields.
    rank: u8,
    /// Whether it may be a list, with a space after each comma.
    list: bool,
    column: usize,
}

/// How the end of a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the first occurrence of the text after it.
    Literal,
    /// At the first quote that is not escaped.
    Quote,
    /// At the first space that does not belong to `, ` or ` : `.
    List,
    /// At the last colon before the next value's end, for an IPv6 address has colons of its own.
    LastColon,
    /// At a space or the end of the line.
    Word,
    /// At the end of the line.
    Line,
}

impl Item {
    pub(super) fn new(column: usize, name: impl Into<String>, what: What, rank: u8) -> Item {
        Item {
            column,
            name: name.into(),
            gives: Fields::NONE,
            literal: String::new(),
            end: End::Literal,
            rank,
            list: what == What::UpstreamTime,
            what,
        }
    }

    pub(super) fn list(mut self, list: bool) -> Item {
        self.list |= list;
        self
    }
}

/// A format's values, and the text before the first one.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) lead: String,
    pub(super) items: Vec<Item>,
}

impl Layout {
    pub(super) fn text(&mut self, c: char) {
        self.items.last_mut().map_or(&mut self.lead, |item| &mut item.literal).push(c);
    }

    /// Adds a value. Two that touch cannot be told apart, unless they are parts of one.
    pub(super) fn value(&mut self, item: Item) -> Result<(), FormatError> {
        if let Some(last) = self.items.last_mut() {
            if let (What::Time(TimeForm::Pattern(before)), What::Time(TimeForm::Pattern(after))) =
                (&last.what, &item.what)
            {
                last.what = What::Time(TimeForm::Pattern(Arc::new(before.then(&last.literal, after))));
                last.name = format!("{}{}{}", last.name, last.literal, item.name);
                last.literal.clear();
                return Ok(());
            }
            if continues_url(last, &item) {
                last.name = format!("{}{}{}", last.name, last.literal, item.name);
                last.literal.clear();
                return Ok(());
            }
            if last.literal.is_empty() {
                let why = format!(
                    "{} follows {} with nothing between them, so no one can tell where one ends: put a space or quotes between them",
                    item.name, last.name
                );
                return Err(FormatError::new(item.column, why));
            }
        }
        self.items.push(item);
        Ok(())
    }

    /// Decides which value gives which field, and how each one ends.
    pub(super) fn finish(&mut self, escape: Escape) -> Result<(), FormatError> {
        if u16::try_from(self.items.len()).is_err() {
            return Err(FormatError::new(1, "more values than any log has"));
        }
        for field in Field::ALL {
            let sources = self.items.iter_mut().filter(|item| item.what.fields().contains(&field));
            if let Some(best) = sources.min_by_key(|item| item.rank) {
                best.gives = best.gives.union(Fields::of(&[field]));
            }
        }
        let mut before = self.lead.as_str();
        let mut ends = Vec::with_capacity(self.items.len());
        for (i, item) in self.items.iter().enumerate() {
            ends.push(item.find_end(before, self.items.get(i + 1), escape)?);
            before = &item.literal;
        }
        for (item, end) in self.items.iter_mut().zip(ends) {
            item.end = end;
        }
        Ok(())
    }
}

/// `%U%q` and `$uri$is_args$args` are one target.
fn continues_url(last: &Item, item: &Item) -> bool {
    let path = matches!(last.what, What::Text(Field::Url));
    path && match item.name.as_str() {
        "%q" | "$is_args" => last.literal.is_empty(),
        "$args" | "$query_string" => last.literal == "?" || last.name.ends_with("$is_args"),
        _ => false,
    }
}

impl Item {
    fn find_end(&self, before: &str, next: Option<&Item>, escape: Escape) -> Result<End, FormatError> {
        let literal = self.literal.as_str();
        if before.ends_with('"') && literal.starts_with('"') && escape != Escape::None {
            return Ok(End::Quote);
        }
        let wordy = matches!(self.what, What::Request | What::Text(Field::Agent));
        if wordy && literal.starts_with(' ') && !before.ends_with('"') {
            let why = format!("{} holds spaces and ends at one: put it in double quotes", self.name);
            return Err(FormatError::new(self.column, why));
        }
        if self.list && (literal.is_empty() || literal.starts_with(' ')) {
            return Ok(End::List);
        }
        if literal.is_empty() {
            let text = matches!(
                self.what,
                What::Other | What::Request | What::Text(Field::Url | Field::Referer | Field::Agent)
            );
            return Ok(if text { End::Line } else { End::Word });
        }
        let address = matches!(self.what, What::Text(Field::Addr | Field::Host)) || self.name.ends_with("_addr");
        if literal == ":" && address && next.is_some_and(|next| next.what == What::Other) {
            return Ok(End::LastColon);
        }
        Ok(End::Literal)
    }
}
