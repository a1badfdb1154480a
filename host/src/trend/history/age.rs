//! What becomes of history as it ages.

use super::Level;
use super::compact::marking;
use super::join::{Same, join_buckets};
use super::packs::{Error, delete, load, number, series_of};
use super::{events, sketches};
use crate::conf::TrendConf;
use crate::trend::codec::bucket::{Bucket, joined};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::time::Duration;

/// How long history is kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Each value that was committed.
    pub(crate) raw_ms: i64,
    /// Minutes, and texts.
    pub(crate) minute_ms: i64,
    pub(crate) ten_minutes_ms: i64,
    pub(crate) day_ms: i64,
}

impl From<TrendConf> for Retention {
    fn from(conf: TrendConf) -> Retention {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Retention {
            raw_ms: ms(conf.raw),
            minute_ms: ms(conf.minute),
            ten_minutes_ms: ms(conf.ten_minutes),
            day_ms: ms(conf.day),
        }
    }
}

impl Retention {
    fn of(&self, level: Level) -> i64 {
        match level {
            Level::Raw => self.raw_ms,
            Level::Minute => self.minute_ms,
            Level::TenMinutes => self.ten_minutes_ms,
            Level::Day => self.day_ms,
        }
    }
}

impl Retention {
    /// How finely history is there from a time on, as it is rolled up by now: in milliseconds, 0 where each commit is.
    pub(crate) fn finest_ms(&self, from: i64, now: i64) -> i64 {
        let is_there = |level: &Level| from >= level.unit_of(now.saturating_sub(self.of(*level)));
        Level::ALL.into_iter().find(is_there).unwrap_or(Level::Day).step_ms()
    }
}

/// Series that have been gone for longer than anything is kept, that are removed at once.
const ROWS_AT_ONCE: i64 = 10_000;

/// Rolls up and removes one unit of a block that is older than its retention, if there is one: whether there was. So goes a pack
/// that is damaged, and what has been gone for longer than anything is kept.
pub(super) fn age(connection: &mut Connection, retention: &Retention, now: i64, made: u64) -> Result<bool, Error> {
    for level in Level::ALL {
        // A unit goes when all of it is old enough.
        let before = level.unit_of(now.saturating_sub(retention.of(level)));
        let is_one = marking(connection, |transaction| {
            let found = transaction
                .prepare_cached(
                    "SELECT block, start FROM pack WHERE step = ? AND start < ? AND sealed < 2 ORDER BY start, block LIMIT 1",
                )?
                .query_row(params![level.step_ms(), before], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)))
                .optional()?;
            let Some((block, start)) = found else { return Ok(false) };
            roll_up(transaction, block, level, level.unit_of(start), made)?;
            Ok(true)
        })?;
        if is_one {
            return Ok(true);
        }
        connection
            .prepare_cached("DELETE FROM pack WHERE step = ? AND start < ? AND sealed = 2")?
            .execute(params![level.step_ms(), before])?;
    }
    let transaction = connection.transaction()?;
    let ended = now.saturating_sub(retention.of(Level::Day));
    let condition = format!("SELECT id FROM series WHERE gone_ms < ? LIMIT {ROWS_AT_ONCE}");
    sketches::forget(&transaction, &condition, ended)?;
    events::forget(&transaction, &condition, ended)?;
    let forgotten =
        transaction.prepare_cached(&format!("DELETE FROM series WHERE id IN ({condition})"))?.execute([ended])?;
    transaction.commit()?;
    if forgotten == 0 {
        // A few pages at a time, so that nobody waits for long. Each step of it frees one.
        let mut vacuum = connection.prepare("PRAGMA incremental_vacuum(2000)")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(forgotten > 0)
}

fn roll_up(transaction: &Transaction<'_>, block: u64, level: Level, unit: i64, made: u64) -> Result<(), Error> {
    let packs = load(transaction, block, level, unit, unit + level.unit_ms())?;
    let to = match level {
        Level::Raw => Some(Level::Minute),
        Level::Minute => Some(Level::TenMinutes),
        // Those of the days have been written when each was sealed.
        Level::TenMinutes | Level::Day => None,
    };
    if let Some(to) = to {
        let mut longer = Vec::new();
        for series in series_of(block) {
            let (mut times, mut buckets): (Vec<i64>, Vec<Bucket>) = (Vec::new(), Vec::new());
            for pack in &packs {
                let later = if level == Level::Raw {
                    let (times, values) = pack.samples_of(series)?;
                    (times, values.into_iter().map(Bucket::of).collect())
                } else {
                    pack.buckets_of(series)?
                };
                super::packs::join(&mut times, &mut buckets, later);
            }
            if !times.is_empty() {
                longer.push((series, joined(&times, &buckets, to.step_ms())));
            }
        }
        join_buckets(transaction, block, to, made, &longer, Same::Added)?;
    }
    delete(transaction, &packs)
}
