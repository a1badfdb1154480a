//! gmond's XML: what gmetad, gstat and ganglia-web ask a gmond for, written and read.
//!
//! A document is `GANGLIA_XML`, in it `CLUSTER`s (below `GRID`s, where a gmetad wrote it), in these `HOST`s, in these
//! `METRIC`s, in these `EXTRA_DATA` with pairs. Everything that is said stands in attributes. Their names and order, and that
//! the pairs stand in reverse order, are gmond 3.7.2's.

mod read;
mod write;

pub use read::{Item, ReadError, read};
pub use write::{Writer, escape};

use std::borrow::Cow;

/// Bytes of a document that is read: some 250,000 metrics with their descriptions, which is more than one gmond knows.
pub const DOCUMENT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Elements inside elements. gmetads nest their grids; each costs a level.
pub const DEPTH_MAX: usize = 64;

/// Pairs of extra data of a metric that are kept.
pub const PAIRS_MAX: usize = 256;

/// What stands for nothing in the attributes of clusters and hosts.
pub const UNSPECIFIED: &str = "unspecified";

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// When the document was written, in seconds since the Unix epoch.
    pub localtime: i64,
    /// Who runs it; empty is written as `unspecified`, here and below.
    pub owner: Cow<'a, str>,
    /// Where it stands: `N32.87 W117.22`.
    pub latlong: Cow<'a, str>,
    /// A page about it.
    pub url: Cow<'a, str>,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its address.
    pub ip: Cow<'a, str>,
    /// Words about it, with commas between them.
    pub tags: Cow<'a, str>,
    /// When it was heard last, in seconds since the Unix epoch.
    pub reported: i64,
    /// Seconds since then.
    pub tn: i64,
    /// Seconds after which it should have been heard again.
    pub tmax: u32,
    /// Seconds after which it is forgotten; 0 is never.
    pub dmax: u32,
    /// Its place: `rack,rank,plane`.
    pub location: Cow<'a, str>,
    /// When its gmond was started, in seconds since the Unix epoch; 0 is unknown.
    pub gmond_started: i64,
}

/// A metric of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value, as its format prints it.
    pub val: Cow<'a, str>,
    /// Its type.
    pub kind: Cow<'a, str>,
    /// Its units.
    pub units: Cow<'a, str>,
    /// Seconds since it was heard.
    pub tn: i64,
    /// Seconds after which it should have been heard again.
    pub tmax: u32,
    /// Seconds after which it is forgotten; 0 is never.
    pub dmax: u32,
    /// How it moves.
    pub slope: Cow<'a, str>,
    /// Title, description, groups and whatever else there is, in its sender's order: the XML has it reversed.
    pub extra: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Whether XML 1.0 (§2.2) can hold a character, escaped or not.
fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
