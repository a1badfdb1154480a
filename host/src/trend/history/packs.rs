//! Packs in their table.

use super::Level;
use crate::trend::codec::bucket::Bucket;
use crate::trend::codec::commit::BLOCK_SERIES;
use crate::trend::codec::pack::{Head, Packer};
use rusqlite::{Connection, Transaction, params};
use std::fmt;

/// Bytes of a pack: what a reader of one series skips is nothing, and what the database loses at the end of each is little.
const PACK_BYTES: usize = 96 * 1024;

/// A series' values and when they were.
pub(crate) type Samples = (Vec<i64>, Vec<f64>);

/// A series' buckets and when they began.
pub(crate) type Buckets = (Vec<i64>, Vec<Bucket>);

/// Why history cannot be read or packed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The database's.
    Sqlite(rusqlite::Error),
    /// A pack is not what was written.
    Damaged { pack: i64, what: String },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sqlite(error) => error.fmt(f),
            Error::Damaged { pack: 0, what } => write!(f, "what was committed last is {what}"),
            Error::Damaged { pack, what } => write!(f, "pack {pack} is {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        Error::Sqlite(error)
    }
}

/// A pack, whole.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) id: i64,
    /// The commit after which it was made: what was made later holds what came later.
    pub(super) made: u64,
    pub(super) samples: u64,
    /// All of its time is in it.
    pub(super) sealed: bool,
    pub(super) head: Head,
    pub(super) data: Vec<u8>,
}

/// The packs of a block that begin in a stretch of time, in the order in which they were made.
pub(super) fn load(
    connection: &Connection,
    block: u64,
    level: Level,
    start: i64,
    end: i64,
) -> Result<Vec<Pack>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id, made, samples, data, sealed FROM pack WHERE block = ? AND step = ? AND start >= ? AND start < ? \
         AND sealed < 2 ORDER BY made, first",
    )?;
    let mut rows = select.query(params![block.cast_signed(), level.step_ms(), start, end])?;
    let mut packs = Vec::new();
    while let Some(row) = rows.next()? {
        let data: Vec<u8> = row.get(3)?;
        let id = row.get(0)?;
        let head = Head::of(&data).map_err(|what| Error::Damaged { pack: id, what: what.to_string() })?;
        packs.push(Pack { id, made: number(row, 1)?, samples: number(row, 2)?, sealed: row.get(4)?, head, data });
    }
    Ok(packs)
}

pub(super) fn number(row: &rusqlite::Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

pub(super) fn delete(transaction: &Transaction<'_>, packs: &[Pack]) -> Result<(), Error> {
    let mut delete = transaction.prepare_cached("DELETE FROM pack WHERE id = ?")?;
    for pack in packs {
        delete.execute([pack.id])?;
    }
    Ok(())
}

impl Pack {
    /// A series' samples in it: their times and values.
    pub(super) fn samples_of(&self, series: u64) -> Result<(Vec<i64>, Vec<f64>), Error> {
        let Some(section) = self.section(series) else { return Ok(Default::default()) };
        let (places, values) = self.head.values(section).map_err(|what| self.damaged(&what))?;
        Ok((places.of(&self.head.times).into_owned(), values))
    }

    /// A series' buckets in it: their beginnings, and what they came to.
    pub(super) fn buckets_of(&self, series: u64) -> Result<(Vec<i64>, Vec<Bucket>), Error> {
        let Some(section) = self.section(series) else { return Ok(Default::default()) };
        let (places, buckets) = self.head.buckets(section).map_err(|what| self.damaged(&what))?;
        Ok((places.of(&self.head.times).into_owned(), buckets))
    }

    /// Whether any of its times lies between two.
    pub(super) fn has(&self, from: i64, to: i64) -> bool {
        let times = &self.head.times;
        times.get(times.partition_point(|time| *time < from)).is_some_and(|time| *time < to)
    }

    fn section(&self, series: u64) -> Option<&[u8]> {
        self.data.get(self.head.section(series)?.at.clone())
    }

    fn damaged(&self, what: &dyn fmt::Display) -> Error {
        Error::Damaged { pack: self.id, what: what.to_string() }
    }
}

/// Writes packs of a block, series after series.
#[derive(Debug)]
pub(super) struct Writer<'t, 'c> {
    transaction: &'t Transaction<'c>,
    block: u64,
    level: Level,
    made: u64,
    sealed: bool,
    times: &'t [i64],
    packer: Packer<'t>,
}

impl<'t, 'c> Writer<'t, 'c> {
    /// For series that have some of these times, all of one unit.
    pub(super) fn new(
        transaction: &'t Transaction<'c>,
        block: u64,
        level: Level,
        (made, sealed): (u64, bool),
        times: &'t [i64],
    ) -> Writer<'t, 'c> {
        Writer { transaction, block, level, made, sealed, times, packer: Packer::new(times) }
    }

    pub(super) fn samples(&mut self, series: u64, times: &[i64], values: &[f64]) -> Result<(), Error> {
        if times.is_empty() {
            return Ok(());
        }
        self.packer.add(series, &places(times, self.times), values);
        self.full()
    }

    pub(super) fn buckets(&mut self, series: u64, starts: &[i64], buckets: &[Bucket]) -> Result<(), Error> {
        if starts.is_empty() {
            return Ok(());
        }
        self.packer.add_buckets(series, &places(starts, self.times), buckets);
        self.full()
    }

    fn full(&mut self) -> Result<(), Error> {
        if self.packer.bytes() >= PACK_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        let packer = std::mem::replace(&mut self.packer, Packer::new(self.times));
        let Some((first, last, samples)) = packer.holds() else { return Ok(()) };
        let (start, end) = (self.times.first().copied().unwrap_or(0), self.times.last().copied().unwrap_or(0));
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO pack(block, step, first, last, start, end, samples, made, sealed, data) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            self.block.cast_signed(),
            self.level.step_ms(),
            first.cast_signed(),
            last.cast_signed(),
            start,
            end,
            samples.cast_signed(),
            self.made.cast_signed(),
            self.sealed,
            packer.finish(),
        ])?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.write()
    }
}

/// The places of some times among all; both ascend.
fn places(some: &[i64], all: &[i64]) -> Vec<u32> {
    if some.len() == all.len() {
        return (0..all.len() as u32).collect();
    }
    let mut at = 0;
    let place = |time: &i64| {
        at += all[at..].partition_point(|other| other < time);
        at as u32
    };
    some.iter().map(place).collect()
}

/// All times that any of some has.
pub(super) fn union<'t>(of: impl Iterator<Item = &'t [i64]>) -> Vec<i64> {
    let mut all: Vec<i64> = Vec::new();
    for times in of {
        let Some(first) = times.first() else { continue };
        if all.last().is_none_or(|last| last < first) {
            all.extend(times);
        } else if all != times {
            all.extend(times);
            all.sort_unstable();
            all.dedup();
        }
    }
    all
}

/// Takes on what comes later; where both have a time, the later counts.
pub(super) fn join<T: Copy>(times: &mut Vec<i64>, values: &mut Vec<T>, later: (Vec<i64>, Vec<T>)) {
    let Some(first) = later.0.first().copied() else { return };
    if times.is_empty() {
        (*times, *values) = later;
        return;
    }
    if times.last().is_none_or(|last| *last < first) {
        times.extend(later.0);
        values.extend(later.1);
        return;
    }
    let old = std::mem::take(times).into_iter().zip(std::mem::take(values));
    let all: std::collections::BTreeMap<i64, T> = old.chain(later.0.into_iter().zip(later.1)).collect();
    (*times, *values) = all.into_iter().unzip();
}

/// The numbers of a block's series.
pub(super) fn series_of(block: u64) -> std::ops::Range<u64> {
    block * BLOCK_SERIES..(block + 1) * BLOCK_SERIES
}
