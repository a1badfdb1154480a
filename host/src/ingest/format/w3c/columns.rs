//! What a header says of its columns.

use super::FIELDS;
use plugin_api::{Field, Fields};
use std::sync::Arc;

/// Columns of a log. IIS knows about thirty, CloudFront as many.
const COLUMNS_MAX: usize = 1_000;

/// What a column is to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Skip,
    /// Date and time are one time together.
    Date,
    Time,
    /// A target without its query, and the query.
    Stem,
    Query,
    /// One field.
    Field(Field),
}

impl Column {
    /// What messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Skip => "skipped field",
            Column::Date | Column::Time => Field::Time.name(),
            Column::Stem | Column::Query => Field::Url.name(),
            Column::Field(field) => field.name(),
        }
    }
}

/// The columns of a log, as far as somebody wants them. A clone costs nothing.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    header: Arc<str>,
    all: Arc<[Column]>,
}

/// The names of columns, each field's best first.
const KNOWN: [(Column, &[&str]); 15] = [
    (Column::Date, &["date"]),
    (Column::Time, &["time"]),
    (Column::Field(Field::Addr), &["c-ip", "c-dns", "cs-ip"]),
    (Column::Field(Field::User), &["cs-username", "c-username", "cs-user"]),
    (Column::Field(Field::Method), &["cs-method"]),
    (Column::Stem, &["cs-uri-stem"]),
    (Column::Query, &["cs-uri-query"]),
    (Column::Field(Field::Url), &["cs-uri"]),
    (Column::Field(Field::Protocol), &["cs-version", "cs-protocol-version"]),
    (Column::Field(Field::Status), &["sc-status"]),
    (Column::Field(Field::Bytes), &["sc-bytes", "bytes"]),
    (Column::Field(Field::Referer), &["cs(Referer)", "cs(Referrer)"]),
    (Column::Field(Field::Agent), &["cs(User-Agent)"]),
    (Column::Field(Field::RequestTime), &["time-taken"]),
    (Column::Field(Field::Host), &["cs-host", "x-host-header", "cs(Host)", "s-sitename", "s-computername"]),
];

impl Columns {
    /// Reads a line that begins with [`FIELDS`]; `None` for one without columns, or with more than a log may have.
    pub(super) fn read(header: &str, wants: Fields) -> Option<Columns> {
        let header = header.trim_end();
        let names: Vec<&str> = header.strip_prefix(FIELDS)?.split_whitespace().take(COLUMNS_MAX + 1).collect();
        if names.is_empty() || names.len() > COLUMNS_MAX {
            return None;
        }
        let place = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let mut all = vec![Column::Skip; names.len()];
        let mut put = |what: Column, known: &[&str]| {
            let place = known.iter().find_map(|name| place(name));
            if let Some(column) = place.and_then(|place| all.get_mut(place)) {
                *column = what;
            }
        };
        // A whole target is better than its parts.
        let whole = place("cs-uri").is_some();
        for (what, known) in KNOWN {
            let field = match what {
                Column::Date | Column::Time => Field::Time,
                Column::Stem | Column::Query if whole => continue,
                Column::Stem | Column::Query => Field::Url,
                Column::Field(field) => field,
                Column::Skip => continue,
            };
            if wants.has(field) {
                put(what, known);
            }
        }
        Some(Columns { header: header.into(), all: all.into() })
    }

    /// The line that they were read from.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn all(&self) -> &[Column] {
        &self.all
    }

    /// Whether a field can be taken of any.
    pub(super) fn has_any(&self) -> bool {
        self.all.iter().any(|column| *column != Column::Skip)
    }
}
