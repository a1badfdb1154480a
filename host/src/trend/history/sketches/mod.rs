//! What sketches were fed: a row for each commit in which one was fed anything, packed and rolled up when it ages.
//!
//! | row (`step`) | a sketch for | in a row for | kept as |
//! |---|---|---|---|
//! | 0 | each commit | a commit | until its hour is over |
//! | 1 | each commit | an hour | what was committed |
//! | 60,000 | a minute | two hours | minutes |
//! | 600,000 | ten minutes | a day | those of ten minutes |
//! | 86,400,000 | a day | a day | days |
//!
//! Merging is all that becomes of sketches, so every figure of any time is that of what was fed. What is packed goes into the
//! row of its day at once, so that a chart of years reads days alone: a day's row is all of the day but what lies in rows of
//! commits. Distinct counts become minutes when they are packed: a visitor who stays is in each commit's anew.

mod pack;
mod read;

pub(in super::super) use pack::raise_base;
pub(super) use pack::{Due, age, forget, pack_one};
pub(crate) use read::Piece;
pub(in super::super) use read::check;

use super::{DAY_MS, Error};
use crate::tree::Fed;
use crate::trend::codec::sketch::{put_one, put_row, take_row};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// The tables. What `base` has of a series is how many numbers it was fed that no row has: before there were rows, or in days that
/// are kept no more.
pub(in super::super) const TABLES: &str = "
CREATE TABLE sketch(series INTEGER, step INTEGER, time INTEGER, data BLOB NOT NULL, PRIMARY KEY(series, step, time))
  STRICT, WITHOUT ROWID;
CREATE INDEX sketch_age ON sketch(step, time);
CREATE TABLE sketch_base(series INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
";

/// How finely sketches are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// A row of one commit.
    Commit,
    Commits,
    Minute,
    TenMinutes,
    Day,
}

impl Level {
    /// Those whose rows have many, the finest first.
    const PACKED: [Level; 3] = [Level::Commits, Level::Minute, Level::TenMinutes];

    /// What stands in a row's `step`.
    fn step(self) -> i64 {
        match self {
            Level::Commit => 0,
            Level::Commits => 1,
            Level::Minute => 60_000,
            Level::TenMinutes => 600_000,
            Level::Day => DAY_MS,
        }
    }

    /// The time that one sketch is for, in milliseconds; 0 for what was fed up to a commit.
    fn long_ms(self) -> i64 {
        match self {
            Level::Commit | Level::Commits => 0,
            level => level.step(),
        }
    }

    /// The time that is in one row, in milliseconds.
    fn unit_ms(self) -> i64 {
        match self {
            Level::Commit => 1,
            Level::Commits => 3_600_000,
            Level::Minute => 7_200_000,
            Level::TenMinutes | Level::Day => DAY_MS,
        }
    }

    fn unit_of(self, time: i64) -> i64 {
        time.div_euclid(self.unit_ms()) * self.unit_ms()
    }

    /// The time of the sketch that a time belongs to.
    fn time_of(self, time: i64) -> i64 {
        let long = self.long_ms().max(1);
        time.div_euclid(long) * long
    }
}

/// Sketches by their times.
type Sketches = BTreeMap<i64, Fed>;

/// Adds what sketches were fed by a commit. Of several with the same time, all count.
///
/// # Errors
/// The database's.
pub(in super::super) fn append<'f>(
    transaction: &Transaction<'_>,
    stamp: i64,
    fed: impl Iterator<Item = (u64, &'f Fed)>,
) -> Result<(), rusqlite::Error> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO sketch VALUES(?, 0, ?, ?)")?;
    let mut data = Vec::new();
    for (series, fed) in fed {
        data.clear();
        put_one(fed, &mut data);
        if insert.execute(params![series.cast_signed(), stamp, data])? == 0 {
            let mut old = Sketches::new();
            load(transaction, series, Level::Commit, stamp, &mut old)?;
            add(&mut old, stamp, fed);
            if let Some(fed) = old.get(&stamp) {
                data.clear();
                put_one(fed, &mut data);
                let mut replace = transaction.prepare_cached("INSERT OR REPLACE INTO sketch VALUES(?, 0, ?, ?)")?;
                replace.execute(params![series.cast_signed(), stamp, data])?;
            }
        }
    }
    Ok(())
}

fn add(to: &mut Sketches, time: i64, fed: &Fed) {
    match to.get_mut(&time) {
        Some(old) => old.merge(fed),
        None => drop(to.insert(time, fed.clone())),
    }
}

/// Reads a row, if it is there. One that is damaged is told, and is as if it were not there.
fn load(
    connection: &Connection,
    series: u64,
    level: Level,
    unit: i64,
    into: &mut Sketches,
) -> Result<(), rusqlite::Error> {
    let mut select = connection.prepare_cached("SELECT data FROM sketch WHERE series = ? AND step = ? AND time = ?")?;
    let data: Option<Vec<u8>> =
        select.query_row(params![series.cast_signed(), level.step(), unit], |row| row.get(0)).optional()?;
    if let Some(data) = data
        && let Err(what) = take_row(unit, &data, |_| true, |time, fed| add(into, time, &fed))
    {
        tracing::error!("sketches of series {series}, step {} at {unit}: {what}; they are left out", level.step());
    }
    Ok(())
}

/// Writes a row; one that has nothing is removed.
fn store(transaction: &Connection, series: u64, level: Level, unit: i64, sketches: Sketches) -> Result<(), Error> {
    let key = params![series.cast_signed(), level.step(), unit];
    if sketches.is_empty() {
        transaction.prepare_cached("DELETE FROM sketch WHERE series = ? AND step = ? AND time = ?")?.execute(key)?;
        return Ok(());
    }
    let mut data = Vec::new();
    put_row(unit, &sketches.into_iter().collect::<Vec<_>>(), &mut data);
    transaction.prepare_cached("INSERT OR REPLACE INTO sketch VALUES(?, ?, ?, ?)")?.execute(params![
        series.cast_signed(),
        level.step(),
        unit,
        data
    ])?;
    Ok(())
}
