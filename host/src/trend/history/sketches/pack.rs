//! Packs sketches, rolls them up, and removes those that are old.

use super::super::age::Retention;
use super::super::packs::{Error, number};
use super::{Level, Sketches, add, load, store};
use crate::tree::Fed;
use crate::trend::codec::sketch::take_row;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// How long after its end an hour is packed.
const PACK_AFTER_MS: i64 = 60_000;

/// Which commits are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Due {
    /// Those of hours that are over at a time.
    At(i64),
    All,
}

/// Packs what was committed of one series in one hour, if there is any that is due: whether there was.
///
/// # Errors
/// The database's.
pub(in super::super) fn pack_one(connection: &mut Connection, due: Due) -> Result<bool, Error> {
    let before = match due {
        Due::At(now) => Level::Commits.unit_of(now.saturating_sub(PACK_AFTER_MS)),
        Due::All => i64::MAX,
    };
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached("SELECT series, time FROM sketch WHERE step = 0 AND time < ? ORDER BY time LIMIT 1")?
        .query_row([before], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((series, time)) = found else { return Ok(false) };
    let from = Level::Commits.unit_of(time);
    let to = from.saturating_add(Level::Commits.unit_ms());
    let mut new = Sketches::new();
    let mut select = transaction
        .prepare_cached("SELECT time, data FROM sketch WHERE series = ? AND step = 0 AND time >= ? AND time < ?")?;
    let mut rows = select.query(params![series.cast_signed(), from, to])?;
    while let Some(row) = rows.next()? {
        let time = row.get(0)?;
        let data = row.get_ref(1)?.as_blob().unwrap_or_default();
        if let Err(what) = take_row(time, data, |_| true, |time, fed| add(&mut new, time, &fed)) {
            tracing::error!("what series {series} was fed at {time}: {what}; it is left out");
        }
    }
    drop(rows);
    join(&transaction, series, Level::Day, &new)?;
    let is_distinct = matches!(new.values().next(), Some(Fed::Distinct(_)));
    join(&transaction, series, if is_distinct { Level::Minute } else { Level::Commits }, &new)?;
    transaction
        .prepare_cached("DELETE FROM sketch WHERE series = ? AND step = 0 AND time >= ? AND time < ?")?
        .execute(params![series.cast_signed(), from, to])?;
    drop(select);
    transaction.commit()?;
    Ok(true)
}

/// Merges sketches into those of a level.
fn join(transaction: &Transaction<'_>, series: u64, level: Level, new: &Sketches) -> Result<(), Error> {
    let mut units: BTreeMap<i64, Sketches> = BTreeMap::new();
    for (time, fed) in new {
        add(units.entry(level.unit_of(*time)).or_default(), level.time_of(*time), fed);
    }
    for (unit, new) in units {
        let mut all = Sketches::new();
        load(transaction, series, level, unit, &mut all)?;
        for (time, fed) in &new {
            add(&mut all, *time, fed);
        }
        store(transaction, series, level, unit, all)?;
    }
    Ok(())
}

/// Rolls up or removes one row that is older than its retention, if there is one: whether there was.
///
/// # Errors
/// The database's.
pub(in super::super) fn age(connection: &mut Connection, retention: &Retention, now: i64) -> Result<bool, Error> {
    for (level, kept, to) in [
        (Level::Commits, retention.raw_ms, Some(Level::Minute)),
        (Level::Minute, retention.minute_ms, Some(Level::TenMinutes)),
        // The days have their rows.
        (Level::TenMinutes, retention.ten_minutes_ms, None),
        (Level::Day, retention.day_ms, None),
    ] {
        // A row goes when all of it is old enough.
        let before = level.unit_of(now.saturating_sub(kept));
        let found = connection
            .prepare_cached("SELECT series, time FROM sketch WHERE step = ? AND time < ? ORDER BY time LIMIT 1")?
            .query_row(params![level.step(), before], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((series, unit)) = found else { continue };
        let transaction = connection.transaction()?;
        let mut old = Sketches::new();
        if to.is_some() || level == Level::Day {
            load(&transaction, series, level, unit, &mut old)?;
        }
        if let Some(to) = to {
            join(&transaction, series, to, &old)?;
        }
        if level == Level::Day {
            let count = old.values().map(|fed| if let Fed::Quantiles(sketch) = fed { sketch.count() } else { 0 });
            raise_base(&transaction, series, count.sum())?;
        }
        store(&transaction, series, level, unit, Sketches::new())?;
        transaction.commit()?;
        return Ok(true);
    }
    Ok(false)
}

/// So many numbers that a series was fed are in no row any more.
///
/// # Errors
/// The database's.
pub(in super::super::super) fn raise_base(
    connection: &Connection,
    series: u64,
    count: u64,
) -> Result<(), rusqlite::Error> {
    if count > 0 {
        let raise = "INSERT INTO sketch_base VALUES(?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count";
        connection.prepare_cached(raise)?.execute(params![series.cast_signed(), count.cast_signed()])?;
    }
    Ok(())
}

/// Removes all of some series, which a condition on their numbers tells.
///
/// # Errors
/// The database's.
pub(in super::super) fn forget(transaction: &Transaction<'_>, condition: &str, ended: i64) -> Result<(), Error> {
    for table in ["sketch", "sketch_base"] {
        transaction.prepare_cached(&format!("DELETE FROM {table} WHERE series IN ({condition})"))?.execute([ended])?;
    }
    Ok(())
}
