//! Reads what sketches were fed.

use super::super::packs::Error;
use super::super::read::{Range, Snapshot};
use super::{DAY_MS, Level};
use crate::tree::Fed;
use crate::trend::codec::sketch::take_row;
use rusqlite::params;
use std::collections::BTreeMap;

/// What a series was fed in some time.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) time: i64,
    /// The time that it is for begins at `time` and is so long; 0 for what was fed up to a commit at that time.
    pub(crate) long_ms: i64,
    pub(crate) fed: Fed,
}

impl Snapshot<'_> {
    /// Whether there may be any: a file of an earlier form, which no daemon has opened yet, has no table for them.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn has_sketches(&self) -> Result<bool, Error> {
        let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'sketch'";
        Ok(self.connection().query_row(table, [], |row| row.get::<_, i64>(0))? > 0)
    }

    /// Of some series, in the order of their numbers, those of which there are rows in a table.
    fn those_in(&self, table: &str, series: &[u64]) -> Result<Vec<u64>, Error> {
        let next = format!("SELECT series FROM {table} WHERE series >= ? ORDER BY series LIMIT 1");
        let mut next = self.connection().prepare_cached(&next)?;
        let mut found = Vec::new();
        let mut rest = series;
        // Each look leaps over all that the other side does not have.
        while let Some(first) = rest.first() {
            let mut rows = next.query([first.cast_signed()])?;
            let Some(row) = rows.next()? else { break };
            let there = row.get::<_, i64>(0)?.cast_unsigned();
            rest = &rest[rest.partition_point(|id| *id < there)..];
            if rest.first() == Some(&there) {
                found.push(there);
                rest = &rest[1..];
            }
        }
        Ok(found)
    }

    /// Of some series, in the order of their numbers, those that are or were sketches.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn sketched(&self, series: &[u64]) -> Result<Vec<u64>, Error> {
        self.those_in("sketch", series)
    }

    /// Of some series, in the order of their numbers, those that have events.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn with_events(&self, series: &[u64]) -> Result<Vec<u64>, Error> {
        self.those_in("event", series)
    }

    /// When a series was fed first, about, and by when it was fed last, as far as it is kept.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn fed_span(&self, series: u64) -> Result<Option<Range>, Error> {
        let mut select = self
            .connection()
            .prepare_cached("SELECT min(time), max(time) FROM sketch WHERE series = ? AND step = ?")?;
        let mut span = |level: Level| -> Result<Option<Range>, Error> {
            let found: (Option<i64>, Option<i64>) =
                select.query_row(params![series.cast_signed(), level.step()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(match found {
                (Some(from), Some(last)) => Some(Range { from, to: last.saturating_add(level.unit_ms()) }),
                _ => None,
            })
        };
        let mut finer: Option<Range> = span(Level::Commit)?;
        for level in Level::PACKED {
            let found = [finer, span(level)?].into_iter().flatten();
            finer = found.reduce(|a, b| Range { from: a.from.min(b.from), to: a.to.max(b.to) });
        }
        // A day's row is beside the finer ones of that day.
        Ok(match (span(Level::Day)?, finer) {
            (Some(days), Some(finer)) => {
                let before = days.from < Level::Day.unit_of(finer.from);
                let from = if before { days.from } else { finer.from };
                let to = if days.to > Level::Day.unit_of(finer.to) + DAY_MS { days.to } else { finer.to };
                Some(Range { from, to })
            }
            (days, finer) => days.or(finer),
        })
    }

    /// Calls with all that a series was fed in a range, in no order. Whole days for which `whole` says so, by their beginnings,
    /// are told as such.
    ///
    /// # Errors
    /// The database's; a row is damaged.
    pub(crate) fn pieces(
        &self,
        series: u64,
        range: Range,
        whole: impl Fn(i64) -> bool,
        mut each: impl FnMut(Piece),
    ) -> Result<(), Error> {
        self.level(series, Level::Commit, range, |time, fed| each(Piece { time, long_ms: 0, fed }))?;
        let mut from = range.from;
        while from < range.to {
            // Days of the same kind together.
            let day = from.div_euclid(DAY_MS) * DAY_MS;
            let is_whole = from == day && day + DAY_MS <= range.to && whole(day);
            let mut to = (day + DAY_MS).min(range.to);
            while to < range.to && (to + DAY_MS <= range.to && whole(to)) == is_whole {
                to = (to + DAY_MS).min(range.to);
            }
            let levels: &[Level] = if is_whole { &[Level::Day] } else { &Level::PACKED };
            for level in levels {
                let long_ms = level.long_ms();
                self.level(series, *level, Range { from, to }, |time, fed| each(Piece { time, long_ms, fed }))?;
            }
            from = to;
        }
        Ok(())
    }

    fn level(&self, series: u64, level: Level, range: Range, mut each: impl FnMut(i64, Fed)) -> Result<(), Error> {
        let mut select = self
            .connection()
            .prepare_cached("SELECT time, data FROM sketch WHERE series = ? AND step = ? AND time >= ? AND time < ?")?;
        let from = level.unit_of(range.from);
        let mut rows = select.query(params![series.cast_signed(), level.step(), from, range.to])?;
        let wanted = |time: i64| (range.from..range.to).contains(&time);
        while let Some(row) = rows.next()? {
            let unit = row.get(0)?;
            take_row(unit, row.get_ref(1)?.as_blob().unwrap_or_default(), wanted, &mut each).map_err(|what| {
                Error::Damaged {
                    pack: -1,
                    what: format!("{what} (of series {series}, step {}, at {unit})", level.step()),
                }
            })?;
        }
        Ok(())
    }
}

/// What rows of sketches were found, and whether they are in step.
#[derive(Clone, Debug, Default)]
pub(in super::super::super) struct Looked {
    pub(in super::super::super) rows: u64,
    pub(in super::super::super) bytes: u64,
    /// Sketches of the tree whose count is that of their history.
    pub(in super::super::super) counts: u64,
}

/// Reads every row of sketches. A day must have as many numbers as the finer rows of it, where these are still there, and a
/// sketch of the tree as many as all its days.
///
/// # Errors
/// The database itself cannot be read.
pub(in super::super::super) fn check(
    snapshot: &Snapshot<'_>,
    mut damaged: impl FnMut(String),
) -> Result<Looked, Error> {
    let mut looked = Looked::default();
    let connection = snapshot.connection();
    if !snapshot.has_sketches()? {
        return Ok(looked);
    }
    let mut select = connection.prepare("SELECT series, step, time, data FROM sketch ORDER BY series, step, time")?;
    let mut rows = select.query([])?;
    let mut of: Option<Counts> = None;
    while let Some(row) = rows.next()? {
        let (series, step, unit) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
        let data = row.get_ref(3)?.as_blob().unwrap_or_default();
        if of.as_ref().is_none_or(|of| of.series != series) {
            if let Some(of) = of.take() {
                of.end(snapshot, &mut looked, &mut damaged)?;
            }
            of = Some(Counts { series, ..Counts::default() });
        }
        looked.rows += 1;
        looked.bytes += data.len() as u64;
        let Some(of) = &mut of else { continue };
        let mut beyond = false;
        let read = take_row(
            unit,
            data,
            |_| true,
            |time, fed| {
                let count = if let Fed::Quantiles(sketch) = fed { sketch.count() } else { 0 };
                beyond |= !of.put(step, unit, time, count);
            },
        );
        let what = match read {
            Err(what) => what.to_string(),
            Ok(()) if beyond => "a time that is not of this row".to_owned(),
            Ok(()) => continue,
        };
        of.is_whole = false;
        damaged(format!("sketches of series {series}, step {step} at {unit}: {what}"));
    }
    if let Some(of) = of {
        of.end(snapshot, &mut looked, &mut damaged)?;
    }
    Ok(looked)
}

/// The numbers that a series was fed.
#[derive(Debug)]
struct Counts {
    series: i64,
    commits: u64,
    /// By day: what its row has, and what finer ones have.
    days: BTreeMap<i64, (Option<u64>, Option<u64>)>,
    is_whole: bool,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { series: 0, commits: 0, days: BTreeMap::new(), is_whole: true }
    }
}

impl Counts {
    /// Whether there is such a row, and the time is one of it.
    fn put(&mut self, step: i64, unit: i64, time: i64, count: u64) -> bool {
        let levels = [Level::Commit, Level::Commits, Level::Minute, Level::TenMinutes, Level::Day];
        let Some(level) = levels.into_iter().find(|level| level.step() == step) else { return false };
        let day = self.days.entry(Level::Day.unit_of(time)).or_default();
        match level {
            Level::Commit => self.commits += count,
            Level::Day => day.0 = Some(count),
            _ => day.1 = Some(day.1.unwrap_or(0) + count),
        }
        level.unit_of(time) == unit && level.time_of(time) == time
    }

    fn end(&self, snapshot: &Snapshot<'_>, looked: &mut Looked, damaged: &mut impl FnMut(String)) -> Result<(), Error> {
        if !self.is_whole {
            return Ok(());
        }
        let series = self.series;
        for (day, counts) in &self.days {
            if let (Some(day_has), Some(finer)) = counts
                && day_has != finer
            {
                damaged(format!(
                    "sketches of series {series}: the day at {day} has {day_has} numbers, its parts {finer}"
                ));
            }
        }
        let connection = snapshot.connection();
        let mut select = connection.prepare_cached(
            "SELECT value, coalesce((SELECT count FROM sketch_base WHERE series = ?1), 0) FROM state WHERE id = ?1",
        )?;
        let mut rows = select.query([series])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        // The kind of a blob in `state` is that of a row here.
        let (mut now, base) = (None, row.get::<_, i64>(1)?.cast_unsigned());
        if let Ok(data) = row.get_ref(0)?.as_blob() {
            // A boolean is none, and what else cannot be read is told of where it is read.
            let _ = take_row(0, data, |_| true, |_, fed| now = Some(fed));
        }
        let Some(Fed::Quantiles(now)) = now else { return Ok(()) };
        let history = self.days.values().filter_map(|(day, _)| *day).sum::<u64>() + self.commits + base;
        if history != now.count() {
            damaged(format!("series {series} was fed {} numbers, but its history has {history}", now.count()));
        }
        looked.counts += 1;
        Ok(())
    }
}
