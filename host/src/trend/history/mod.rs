//! How values went on: what each commit found, packed by and by, and rolled up when it ages.
//!
//! A commit puts the values that changed into `recent`, one row for each block of 256 series. When a block has enough
//! of them they are packed: times once, then a column for each series ([`codec::pack`](super::codec::pack)). Packs lie in
//! units of time; a day that is over is sealed: what was packed in the course of it becomes one, and its daily figures are
//! written. What is older than its retention becomes buckets of the next longer step, and goes.
//!
//! | step | kept for | in units of |
//! |---|---|---|
//! | as committed | 2 days | a day |
//! | 1 min | 30 days | a day |
//! | 10 min | a year | 10 days |
//! | 1 day | 10 years | 400 days |
//!
//! Texts are [`events`], sketches lie beside in [rows of their own](sketches).
//!
//! While finer figures are there, longer steps are derived from them; only those of a day are written at once, because a chart
//! of years would have to read too much.

mod age;
mod append;
mod compact;
mod events;
mod join;
mod packs;
mod passed;
mod read;
mod sketches;
#[cfg(test)]
mod tests;

pub(crate) use age::Retention;
pub(super) use append::append;
pub(crate) use compact::History;
pub(super) use events::append_event;
pub(crate) use packs::{Error, Samples};
pub(crate) use passed::{Kept as KeptTime, Passed};
pub(crate) use read::{Found, Past, Range, Reader, Snapshot, There, newest, of_days};
pub(crate) use sketches::Piece;
pub(super) use sketches::{TABLES as SKETCH_TABLES, append as append_sketches, check as check_sketches, raise_base};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// A series that tells when the daemon was there: with each commit it has the milliseconds to the next; 1 where that was not told.
pub(super) const ALIVE: u64 = 0;

/// Numbers from here on are those of series that have been imported: they are history alone, and no node of the tree.
pub(crate) const IMPORTED: u64 = 1 << 46;

/// The tables. What a pack's `sealed` is: 0, more of its time may come; 1, all of it is in it; 2, it is damaged, and left alone.
pub(super) const TABLES: &str = "
CREATE TABLE recent(block INTEGER, number INTEGER, stamp INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(block, number))
  STRICT, WITHOUT ROWID;
CREATE TABLE pack(id INTEGER PRIMARY KEY, block INTEGER NOT NULL, step INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, samples INTEGER NOT NULL,
  made INTEGER NOT NULL, sealed INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX pack_place ON pack(block, step, start);
CREATE TABLE event(series INTEGER, stamp INTEGER, value ANY, PRIMARY KEY(series, stamp)) STRICT, WITHOUT ROWID;
CREATE INDEX pack_unsealed ON pack(start) WHERE step = 0 AND sealed = 0;
CREATE INDEX pack_age ON pack(step, start);
CREATE INDEX pack_made ON pack(made);
CREATE INDEX event_age ON event(stamp);
CREATE INDEX series_path ON series(path);
CREATE INDEX series_gone ON series(gone_ms) WHERE gone_ms IS NOT NULL;
CREATE INDEX state_action ON state(id) WHERE action IS NOT NULL;
";

/// How finely values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Level {
    /// As they were committed.
    Raw,
    Minute,
    TenMinutes,
    Day,
}

impl Level {
    pub(super) const ALL: [Level; 4] = [Level::Raw, Level::Minute, Level::TenMinutes, Level::Day];

    /// The length of a bucket, in milliseconds; 0 for what is no bucket.
    pub(super) fn step_ms(self) -> i64 {
        match self {
            Level::Raw => 0,
            Level::Minute => 60_000,
            Level::TenMinutes => 600_000,
            Level::Day => DAY_MS,
        }
    }

    /// The time that lies together, in milliseconds.
    pub(super) fn unit_ms(self) -> i64 {
        match self {
            Level::Raw | Level::Minute => DAY_MS,
            Level::TenMinutes => 10 * DAY_MS,
            Level::Day => 400 * DAY_MS,
        }
    }

    /// When the unit of a time begins.
    pub(super) fn unit_of(self, time: i64) -> i64 {
        time.div_euclid(self.unit_ms()) * self.unit_ms()
    }
}
