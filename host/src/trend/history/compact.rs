//! Packs what was committed, a block at a time, and seals the days that are over.

use super::age::{Retention, age};
use super::events::Ageing;
use super::join::{Block, Seal, join_day};
use super::packs::{Error, Samples, number, series_of};
use super::sketches::{self, Due};
use super::{DAY_MS, Level};
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
    events: Ageing,
    /// How many blocks were due when there was no time left for them.
    behind: usize,
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
        let last = last.cast_unsigned();
        Ok(History { retention, recent, last, looked: None, events: Ageing::default(), behind: 0 })
    }

    /// The number of a commit that is about to be written.
    pub(crate) fn next(&self) -> u64 {
        self.last + 1
    }

    /// Rows of commits that wait to be packed, and the time of the oldest, in milliseconds since the Unix epoch.
    pub(crate) fn waiting(&self) -> (u64, Option<i64>) {
        let rows = self.recent.values().map(|recent| recent.commits).sum();
        (rows, self.recent.values().map(|recent| recent.first).min())
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

    /// Packs what is due, for about as long as is given: how many blocks were done. It takes up to `most` where what is due does not
    /// become less otherwise.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn tidy(
        &mut self,
        connection: &mut Connection,
        now: i64,
        time: Duration,
        most: Duration,
    ) -> Result<usize, Error> {
        let done = self.tidy_numbers(connection, now, time, most)?;
        // Neither waits for the other, however much there is of it.
        let (began, mut packed) = (Instant::now(), 0);
        while (packed == 0 || began.elapsed() < time) && sketches::pack_one(connection, Due::At(now))? {
            packed += 1;
        }
        Ok(done + packed)
    }

    fn tidy_numbers(
        &mut self,
        connection: &mut Connection,
        now: i64,
        time: Duration,
        most: Duration,
    ) -> Result<usize, Error> {
        let began = Instant::now();
        let is_due = |recent: &Recent| recent.commits >= RECENT_MAX || now - recent.first >= RECENT_AGE_MS;
        let due = self.recent.iter().filter(|(_, recent)| is_due(recent));
        // Those that wait for longest first: of more than there is time for, none is passed over for ever.
        let mut due: Vec<(i64, u64)> = due.map(|(block, recent)| (recent.first, *block)).collect();
        due.sort_unstable();
        let time = if due.len() > self.behind && self.behind > 0 { most.max(time) } else { time };
        let mut done = 0;
        for (_, block) in &due {
            if done > 0 && began.elapsed() >= time {
                self.behind = due.len();
                return Ok(done);
            }
            self.pack(connection, *block)?;
            done += 1;
        }
        self.behind = 0;
        if self.looked.is_some_and(|looked| (0..LOOK_EVERY_MS).contains(&(now - looked))) {
            return Ok(done);
        }
        while began.elapsed() < time || done == 0 {
            if !self.seal_one(connection, now, now - SEAL_AFTER_MS)? && !self.age(connection, now)? {
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
    /// The database's.
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
        self.pack_sketches(connection)?;
        while self.seal_one(connection, now, now)? || self.age(connection, now)? {
            each();
        }
        Ok(())
    }

    /// Packs all that sketches were fed.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn pack_sketches(&mut self, connection: &mut Connection) -> Result<(), Error> {
        while sketches::pack_one(connection, Due::All)? {}
        Ok(())
    }

    /// Rolls up and removes some of what is old: whether there was any.
    fn age(&mut self, connection: &mut Connection, now: i64) -> Result<bool, Error> {
        // What else is old goes before the numbers are looked at, for these give back the room when there is nothing more.
        Ok(sketches::age(connection, &self.retention, now)?
            || self.events.age(connection, now.saturating_sub(self.retention.minute_ms))?
            || age(connection, &self.retention, now, self.last)?)
    }

    /// Seals a block's day that ended before a time, if there is one that is not: whether there was.
    fn seal_one(&self, connection: &mut Connection, now: i64, before: i64) -> Result<bool, Error> {
        let before = Level::Raw.unit_of(before.min(i64::MAX - DAY_MS));
        marking(connection, |transaction| {
            let found = transaction
                .prepare_cached("SELECT block, start FROM pack WHERE step = 0 AND sealed = 0 AND start < ? LIMIT 1")?
                .query_row([before], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)))
                .optional()?;
            let Some((block, start)) = found else { return Ok(false) };
            let day = Level::Raw.unit_of(start);
            let alone = self.retention.finest_ms(day, now) == Level::Day.step_ms();
            join_day(transaction, block, day, (self.last, Seal::Yes { alone }), &[])?;
            Ok(true)
        })
    }

    /// Puts samples of series into the packs of their days.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn put(&mut self, connection: &mut Connection, series: BTreeMap<u64, Samples>) -> Result<(), Error> {
        self.last += 1;
        let mut blocks: BTreeMap<(u64, i64), BTreeMap<u64, Samples>> = BTreeMap::new();
        for (id, (times, values)) in series {
            let days = times.chunk_by(|a, b| Level::Raw.unit_of(*a) == Level::Raw.unit_of(*b));
            let mut at = 0;
            for times in days {
                let day = (id / BLOCK_SERIES, Level::Raw.unit_of(times[0]));
                let samples = (times.to_vec(), values[at..at + times.len()].to_vec());
                blocks.entry(day).or_default().insert(id, samples);
                at += times.len();
            }
        }
        for ((block, day), mut samples) in blocks {
            let new: Block = series_of(block).map(|id| samples.remove(&id).unwrap_or_default()).collect();
            marking(connection, |transaction| join_day(transaction, block, day, (self.last, Seal::No), &new))?;
        }
        Ok(())
    }

    fn pack(&mut self, connection: &mut Connection, block: u64) -> Result<(), Error> {
        marking(connection, |transaction| pack_block(transaction, block, self.last))?;
        self.recent.remove(&block);
        Ok(())
    }
}

/// Does something within a transaction, and again without a pack that is damaged, for as long as it meets another: such a pack is
/// left as it is, and out of everything from now on.
pub(super) fn marking<T>(
    connection: &mut Connection,
    mut work: impl FnMut(&Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let transaction = connection.transaction()?;
        match work(&transaction) {
            Ok(done) => {
                transaction.commit()?;
                return Ok(done);
            }
            Err(Error::Damaged { pack, what }) if pack != 0 => {
                drop(transaction);
                let marked = connection.execute("UPDATE pack SET sealed = 2 WHERE id = ? AND sealed < 2", [pack])?;
                if marked == 0 {
                    return Err(Error::Damaged { pack, what });
                }
                tracing::error!(
                    "history: pack {pack} is {what}; it is left as it is, and what it has is not read any more"
                );
            }
            Err(error) => return Err(error),
        }
    }
}

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
        join_day(transaction, block, day, (made, Seal::No), &new)?;
    }
    transaction.prepare_cached("DELETE FROM recent WHERE block = ?")?.execute([block.cast_signed()])?;
    Ok(())
}
