//! Packs what was committed, a block at a time, and seals the days that are over.

use super::age::{Retention, age};
use super::packs::{Buckets, Error, Pack, Samples, Writer, delete, join, load, number, series_of, union};
use super::{DAY_MS, Level};
use crate::trend::codec::bucket::{Bucket, joined};
use crate::trend::codec::commit::{BLOCK_SERIES, each_sample};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Commits of a block that are packed together: an hour of them at the default.
const RECENT_MAX: u64 = 360;

/// How old the first of them may become.
const RECENT_AGE_MS: i64 = 3_600_000;

/// How long after its end a day is sealed: all that was committed in it has been packed by then, and what comes a little late.
const SEAL_AFTER_MS: i64 = RECENT_AGE_MS + 600_000;

/// How often it is looked for what is to be sealed or has aged.
const LOOK_EVERY_MS: i64 = 600_000;

/// A day in packs is joined with what follows while it has no more than so many times the samples.
const GROWTH: u64 = 2;

/// What waits to be packed.
#[derive(Clone, Copy, Debug)]
struct Recent {
    commits: u64,
    first: i64,
}

/// Keeps history compact.
#[derive(Debug)]
pub(crate) struct History {
    retention: Retention,
    recent: BTreeMap<u64, Recent>,
    /// The number of the last commit.
    last: u64,
    /// When it was looked last.
    looked: Option<i64>,
}

impl History {
    /// Looks what waits to be packed.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn open(connection: &Connection, retention: Retention) -> Result<History, Error> {
        let mut select =
            connection.prepare("SELECT block, count(*), min(stamp), max(number) FROM recent GROUP BY block")?;
        let mut rows = select.query([])?;
        let mut recent = BTreeMap::new();
        let mut last: i64 = connection.query_row("SELECT coalesce(max(made), 0) FROM pack", [], |row| row.get(0))?;
        while let Some(row) = rows.next()? {
            recent.insert(number(row, 0)?, Recent { commits: number(row, 1)?, first: row.get(2)? });
            last = last.max(row.get(3)?);
        }
        Ok(History { retention, recent, last: last.cast_unsigned(), looked: None })
    }

    /// The number of a commit that is about to be written.
    pub(crate) fn next(&self) -> u64 {
        self.last + 1
    }

    /// A commit of rows has been written.
    pub(crate) fn committed(&mut self, stamp: i64, series: impl Iterator<Item = u64>) {
        self.last += 1;
        let mut before = None;
        for block in std::iter::once(0).chain(series.map(|series| series / BLOCK_SERIES)) {
            if before.replace(block) != Some(block) {
                let recent = self.recent.entry(block).or_insert(Recent { commits: 0, first: stamp });
                recent.commits += 1;
            }
        }
    }

    /// Packs what is due, for about as long as is given: how many blocks were done.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn tidy(&mut self, connection: &mut Connection, now: i64, time: Duration) -> Result<usize, Error> {
        let done = self.tidy_some(connection, now, time);
        if let Err(Error::Damaged { pack, .. }) = &done {
            // It is left as it is, and out of everything from now on: the rest goes on.
            connection.execute("UPDATE pack SET sealed = 2 WHERE id = ?", [pack])?;
        }
        done
    }

    fn tidy_some(&mut self, connection: &mut Connection, now: i64, time: Duration) -> Result<usize, Error> {
        let began = Instant::now();
        let due = |recent: &Recent| recent.commits >= RECENT_MAX || now - recent.first >= RECENT_AGE_MS;
        let due: Vec<u64> = self.recent.iter().filter(|(_, recent)| due(recent)).map(|(block, _)| *block).collect();
        let mut done = 0;
        for block in due {
            if done > 0 && began.elapsed() >= time {
                return Ok(done);
            }
            self.pack(connection, block)?;
            done += 1;
        }
        if self.looked.is_some_and(|looked| (0..LOOK_EVERY_MS).contains(&(now - looked))) {
            return Ok(done);
        }
        while began.elapsed() < time || done == 0 {
            let sealed = seal_one(connection, now - SEAL_AFTER_MS, self.last)?
                || age(connection, &self.retention, now, self.last)?;
            if !sealed {
                self.looked = Some(now);
                break;
            }
            done += 1;
        }
        Ok(done)
    }

    /// Packs all, whether it is due or not, and seals every day that is over; `each` is told of each block.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn compact(
        &mut self,
        connection: &mut Connection,
        now: i64,
        mut each: impl FnMut(),
    ) -> Result<(), Error> {
        for block in self.recent.keys().copied().collect::<Vec<u64>>() {
            self.pack(connection, block)?;
            each();
        }
        while seal_one(connection, now, self.last)? || age(connection, &self.retention, now, self.last)? {
            each();
        }
        Ok(())
    }

    /// Puts samples of series into the packs of their days.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn put(&mut self, connection: &mut Connection, series: BTreeMap<u64, Samples>) -> Result<(), Error> {
        self.last += 1;
        let mut blocks: BTreeMap<(u64, i64), Block> = BTreeMap::new();
        for (id, (times, values)) in series {
            let days = times.chunk_by(|a, b| Level::Raw.unit_of(*a) == Level::Raw.unit_of(*b));
            let mut at = 0;
            for times in days {
                let day = (id / BLOCK_SERIES, Level::Raw.unit_of(times[0]));
                let samples = blocks.entry(day).or_insert_with(|| vec![Default::default(); BLOCK_SERIES as usize]);
                samples[(id % BLOCK_SERIES) as usize] = (times.to_vec(), values[at..at + times.len()].to_vec());
                at += times.len();
            }
        }
        for ((block, day), samples) in blocks {
            let transaction = connection.transaction()?;
            join_day(&transaction, block, day, (self.last, false), samples)?;
            transaction.commit()?;
        }
        Ok(())
    }

    fn pack(&mut self, connection: &mut Connection, block: u64) -> Result<(), Error> {
        let transaction = connection.transaction()?;
        pack_block(&transaction, block, self.last)?;
        transaction.commit()?;
        self.recent.remove(&block);
        Ok(())
    }
}

/// Samples of the series of a block, by their place in it.
type Block = Vec<Samples>;

/// Packs what was committed of a block.
fn pack_block(transaction: &Transaction<'_>, block: u64, made: u64) -> Result<(), Error> {
    let mut days: BTreeMap<i64, Block> = BTreeMap::new();
    let mut select =
        transaction.prepare_cached("SELECT stamp, data FROM recent WHERE block = ? ORDER BY stamp, number")?;
    let mut rows = select.query([block.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let stamp: i64 = row.get(0)?;
        let data = row.get_ref(1)?.as_blob().unwrap_or_default();
        let day =
            days.entry(Level::Raw.unit_of(stamp)).or_insert_with(|| vec![Default::default(); BLOCK_SERIES as usize]);
        let read = each_sample(data, |place, value| {
            let (times, values) = &mut day[usize::from(place)];
            if times.last() == Some(&stamp) {
                values.pop();
            } else {
                times.push(stamp);
            }
            values.push(value);
        });
        if let Err(what) = read {
            // What stands before the damage is good.
            tracing::error!("a commit of block {block} is {what}; it is packed as far as it can be read");
        }
    }
    drop(rows);
    for (day, new) in days {
        join_day(transaction, block, day, (made, false), new)?;
    }
    transaction.prepare_cached("DELETE FROM recent WHERE block = ?")?.execute([block.cast_signed()])?;
    Ok(())
}

/// Packs samples of a day, together with what has been packed of it and is not much more; all of it where the day is sealed.
fn join_day(
    transaction: &Transaction<'_>,
    block: u64,
    day: i64,
    (made, sealed): (u64, bool),
    new: Block,
) -> Result<(), Error> {
    let mut old = load(transaction, block, Level::Raw, day, day + DAY_MS)?;
    if !sealed {
        let mut samples = new.iter().map(|(times, _)| times.len() as u64).sum();
        old = old.split_off(to_keep(&old, &mut samples));
    }
    let times = old.iter().map(|pack| &*pack.head.times).chain(new.iter().map(|(times, _)| &**times));
    let times = union(times);
    let mut writer = Writer::new(transaction, block, Level::Raw, (made, sealed), &times);
    let mut daily = Vec::new();
    let mut rolled_up = Vec::new();
    if sealed {
        for level in [Level::TenMinutes, Level::Minute] {
            let unit = level.unit_of(day);
            rolled_up.extend(load(transaction, block, level, unit, unit + level.unit_ms())?);
        }
    }
    for (series, new) in series_of(block).zip(new.into_iter().chain(std::iter::repeat_with(Default::default))) {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for pack in &old {
            join(&mut times, &mut values, pack.samples_of(series)?);
        }
        join(&mut times, &mut values, new);
        writer.samples(series, &times, &values)?;
        if sealed {
            // Of a day that had been rolled up, some may have come late.
            let (mut starts, mut buckets) = (Vec::new(), Vec::new());
            for pack in &rolled_up {
                let (found, figures) = pack.buckets_of(series)?;
                let within = found.partition_point(|at| *at < day)..found.partition_point(|at| *at < day + DAY_MS);
                add(&mut starts, &mut buckets, (found[within.clone()].to_vec(), figures[within].to_vec()));
            }
            add(&mut starts, &mut buckets, (times, values.into_iter().map(Bucket::of).collect()));
            daily.push((series, joined(&starts, &buckets, DAY_MS)));
        }
    }
    writer.finish()?;
    delete(transaction, &old)?;
    join_buckets(transaction, block, Level::Day, made, &daily, Same::Replaced)
}

/// How many packs stay as they are when so many samples come: those of earlier times that are much larger.
fn to_keep(old: &[Pack], samples: &mut u64) -> usize {
    let mut kept = old.len();
    while kept > 0 {
        // All that were made at once.
        let made = old[kept - 1].made;
        let first = old[..kept].iter().rposition(|pack| pack.made != made).map_or(0, |at| at + 1);
        let of: u64 = old[first..kept].iter().map(|pack| pack.samples).sum();
        if of > *samples * GROWTH {
            break;
        }
        *samples += of;
        kept = first;
    }
    kept
}

/// What becomes of a bucket when another begins at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    Replaced,
    Added,
}

/// Takes on buckets that come beside others.
fn add(starts: &mut Vec<i64>, buckets: &mut Vec<Bucket>, later: Buckets) {
    let overlap = matches!((starts.last(), later.0.first()), (Some(last), Some(first)) if last >= first);
    if !overlap {
        return join(starts, buckets, later);
    }
    let mut all: BTreeMap<i64, Bucket> = std::mem::take(starts).into_iter().zip(std::mem::take(buckets)).collect();
    for (start, bucket) in later.0.into_iter().zip(later.1) {
        all.entry(start).and_modify(|old| old.add(&bucket)).or_insert(bucket);
    }
    (*starts, *buckets) = all.into_iter().unzip();
}

/// Takes buckets of a block's series on into the packs of their level.
pub(super) fn join_buckets(
    transaction: &Transaction<'_>,
    block: u64,
    level: Level,
    made: u64,
    new: &[(u64, Buckets)],
    same: Same,
) -> Result<(), Error> {
    let starts = new.iter().flat_map(|(_, (starts, _))| starts);
    let units: std::collections::BTreeSet<i64> = starts.map(|start| level.unit_of(*start)).collect();
    for unit in units {
        let end = unit + level.unit_ms();
        let old = load(transaction, block, level, unit, end)?;
        let within = |starts: &[i64]| {
            starts.partition_point(|start| *start < unit)..starts.partition_point(|start| *start < end)
        };
        let times = new.iter().map(|(_, (starts, _))| &starts[within(starts)]);
        let times = union(old.iter().map(|pack| &*pack.head.times).chain(times));
        let mut writer = Writer::new(transaction, block, level, (made, true), &times);
        let mut new = new.iter().peekable();
        for series in series_of(block) {
            let (mut starts, mut buckets) = (Vec::new(), Vec::new());
            for pack in &old {
                join(&mut starts, &mut buckets, pack.buckets_of(series)?);
            }
            if let Some((_, later)) = new.next_if(|(id, _)| *id == series) {
                let within = within(&later.0);
                let later = (later.0[within.clone()].to_vec(), later.1[within].to_vec());
                match same {
                    Same::Replaced => join(&mut starts, &mut buckets, later),
                    Same::Added => add(&mut starts, &mut buckets, later),
                }
            }
            writer.buckets(series, &starts, &buckets)?;
        }
        writer.finish()?;
        delete(transaction, &old)?;
    }
    Ok(())
}

/// Seals a block's day that ended before a time, if there is one that is not: whether there was.
fn seal_one(connection: &mut Connection, before: i64, made: u64) -> Result<bool, Error> {
    let transaction = connection.transaction()?;
    let before = Level::Raw.unit_of(before.min(i64::MAX - DAY_MS));
    let found = transaction
        .prepare_cached("SELECT block, start FROM pack WHERE step = 0 AND sealed = 0 AND start < ? LIMIT 1")?
        .query_row([before], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((block, start)) = found else { return Ok(false) };
    join_day(&transaction, block, Level::Raw.unit_of(start), (made, true), Vec::new())?;
    transaction.commit()?;
    Ok(true)
}
