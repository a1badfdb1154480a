//! Reads history. Any number of readers at once; none waits for the writer, nor it for them.

use super::packs::{Buckets, Error, Samples, join, number};
use super::{ALIVE, DAY_MS, Level};
use crate::trend::codec::bucket::Bucket;
use crate::trend::codec::commit::{BLOCK_SERIES, each_sample};
use crate::trend::codec::pack::{Head, LEAD_BYTES, Lead};
use plugin_api::Action;
use rusqlite::blob::Blob;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock of another program is waited for: a reader meets one only while the file is being made anew.
const BUSY: Duration = Duration::from_secs(2);

/// A stretch of time, in milliseconds since the Unix epoch: from, and up to but without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Range {
    fn places(self, times: &[i64]) -> std::ops::Range<usize> {
        times.partition_point(|time| *time < self.from)..times.partition_point(|time| *time < self.to)
    }
}

/// A series that is or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: u64,
    pub(crate) path: String,
    /// When it went, in milliseconds since the Unix epoch.
    pub(crate) gone_ms: Option<i64>,
    /// What its node does or did with what is told, if that was said of itself.
    pub(crate) action: Option<Action>,
    /// Whether its total was told by somebody who counts; not known of series that went before that was kept.
    pub(crate) is_total: Option<bool>,
}

/// The daemon was there, all in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct There {
    /// The time of a commit, or the beginning of a bucket of such.
    pub(crate) at: i64,
    /// Until when it tells that the daemon was there.
    pub(crate) until: i64,
    /// Its last commit: each value is known as it was then.
    pub(crate) known: i64,
}

/// Values of a series, and when they were told: the times of series that were always told together are the same in memory too.
pub(crate) type Shared = (Arc<Vec<i64>>, Vec<f64>);

/// What a series was: in buckets first, and each value since.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Past {
    pub(crate) buckets: Buckets,
    pub(crate) samples: Shared,
    /// From when on buckets are those of minutes; before they are longer.
    pub(crate) minutes_from: i64,
}

impl Default for Past {
    fn default() -> Past {
        Past { buckets: Default::default(), samples: Default::default(), minutes_from: i64::MAX }
    }
}

impl Past {
    pub(crate) fn is_empty(&self) -> bool {
        self.buckets.0.is_empty() && self.samples.0.is_empty()
    }

    /// The length of the bucket that begins at a time, where buckets are of days or not.
    pub(crate) fn bucket_ms(&self, start: i64, days: bool) -> i64 {
        match (days, start < self.minutes_from) {
            (true, _) => Level::Day.step_ms(),
            (false, true) => Level::TenMinutes.step_ms(),
            (false, false) => Level::Minute.step_ms(),
        }
    }

    /// What was imported late lies beside buckets of its time: it is told with them, once.
    fn join_late(&mut self) {
        let (Some(last), Some(first)) = (self.buckets.0.last(), self.samples.0.first()) else { return };
        if *first >= last + self.bucket_ms(*last, false) {
            return;
        }
        let (times, values) = std::mem::take(&mut self.samples);
        let mut left = Samples::default();
        let mut place = 0;
        for (time, value) in times.iter().copied().zip(values) {
            let starts = &self.buckets.0;
            place += starts[place..].partition_point(|start| *start <= time);
            let before = place.checked_sub(1).filter(|at| time < starts[*at] + self.bucket_ms(starts[*at], false));
            match before {
                Some(at) => self.buckets.1[at].add(&Bucket::of(value)),
                None => {
                    left.0.push(time);
                    left.1.push(value);
                }
            }
        }
        self.samples = (Arc::new(left.0), left.1);
    }
}

/// Whether the buckets of days will do for steps of so many milliseconds.
pub(crate) fn of_days(step_ms: i64) -> bool {
    step_ms > 0 && step_ms % DAY_MS == 0
}

/// What is read for a range: a value holds until there is another, and each day begins with all there is. Of days, the one
/// before is read.
fn reach(range: Range, step_ms: i64) -> Range {
    let begin = Level::Raw.unit_of(range.from);
    Range { from: if of_days(step_ms) { begin - DAY_MS } else { begin }, to: range.to }
}

/// The days that are over are there as such. Of others, or where days are too long, each time is in one of the levels.
fn levels(step_ms: i64) -> &'static [Level] {
    if of_days(step_ms) { &[Level::Day] } else { &[Level::TenMinutes, Level::Minute] }
}

/// Reads the database.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens it for reading.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn open(file: &Path) -> Result<Reader, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(Reader { connection })
    }

    /// All that follows is read as it is now, until the [end](Snapshot).
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        Ok(Snapshot { transaction: self.connection.unchecked_transaction()? })
    }
}

/// The database at a moment.
#[derive(Debug)]
pub(crate) struct Snapshot<'r> {
    transaction: rusqlite::Transaction<'r>,
}

impl Snapshot<'_> {
    /// The series at a path, and below it if that is wanted, in the order of their paths; of one path, in the order in which
    /// they were; those that had gone by some time are left out. Until `each` says that it is enough.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn find(
        &self,
        path: &str,
        below: bool,
        from_ms: i64,
        mut each: impl FnMut(Found) -> bool,
    ) -> Result<(), Error> {
        // A comma is followed by a hyphen: that is where the paths that begin with `path,` end.
        let (from, to) = match (below, path) {
            (false, _) => (String::new(), String::new()),
            (true, "") => (String::new(), String::from("\u{10ffff}")),
            (true, path) => (format!("{path},"), format!("{path}-")),
        };
        let form: i64 = self.transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        // In a file of an earlier form, which no daemon has opened yet, what is gone has none.
        let (action, total) = if form < 3 { ("NULL", "NULL") } else { ("series.action", "series.total") };
        let all = format!(
            "SELECT id, path, gone_ms, coalesce(state.action, {action}) AS action, \
             iif(state.id IS NULL, {total}, state.total IS NOT NULL) AS total FROM series LEFT JOIN state USING(id)"
        );
        let mut select = self.transaction.prepare_cached(&format!(
            "{all} WHERE path = ?1 AND (gone_ms IS NULL OR gone_ms >= ?4) UNION ALL \
             {all} WHERE path >= ?2 AND path < ?3 AND (gone_ms IS NULL OR gone_ms >= ?4) ORDER BY path, id"
        ))?;
        let mut rows = select.query(params![path, from, to, from_ms])?;
        while let Some(row) = rows.next()? {
            let action = row.get_ref(3)?.as_str_or_null().ok().flatten().and_then(|text| text.parse().ok());
            let is_total = row.get::<_, Option<i64>>(4)?.map(|total| total != 0);
            if !each(Found { id: number(row, 0)?, path: row.get(1)?, gone_ms: row.get(2)?, action, is_total }) {
                break;
            }
        }
        Ok(())
    }

    /// The values of some series, as they were committed, those that are kept so.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn samples(&self, series: &[u64], range: Range) -> Result<BTreeMap<u64, Shared>, Error> {
        let mut all: BTreeMap<u64, Shared> = series.iter().map(|id| (*id, Shared::default())).collect();
        for wanted in blocks(&all) {
            self.each_section(&wanted, Level::Raw, range, |id, head, section| {
                let (places, mut values) = head.values(section)?;
                let times = places.of(&head.times);
                let within = range.places(&times);
                values.truncate(within.end);
                values.drain(..within.start);
                if let Some(samples) = all.get_mut(&id) {
                    match within.len() == head.times.len() {
                        true => take_on(samples, (Arc::clone(&head.times), values)),
                        false => take_on(samples, (Arc::new(times[within].to_vec()), values)),
                    }
                }
                Ok(())
            })?;
            self.recent(&wanted, range, &mut all)?;
        }
        Ok(all)
    }

    /// What some series were, as finely as steps of so many milliseconds need it, or as it is kept yet: from the beginning of
    /// the day on in which the range begins, for a value holds until there is another.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn pasts(&self, series: &[u64], range: Range, step_ms: i64) -> Result<BTreeMap<u64, Past>, Error> {
        let range = reach(range, step_ms);
        let mut all: BTreeMap<u64, Past> = series.iter().map(|id| (*id, Past::default())).collect();
        let days = of_days(step_ms);
        let wanted_blocks = blocks(&all);
        for wanted in &wanted_blocks {
            for level in levels(step_ms) {
                self.each_section(wanted, *level, range, |id, head, section| {
                    let (places, buckets) = head.buckets(section)?;
                    let times = places.of(&head.times);
                    let within = range.places(&times);
                    if let Some(past) = all.get_mut(&id) {
                        let later = (times[within.clone()].to_vec(), buckets[within].to_vec());
                        if let (Level::Minute, Some(first)) = (level, later.0.first()) {
                            past.minutes_from = past.minutes_from.min(*first);
                        }
                        join(&mut past.buckets.0, &mut past.buckets.1, later);
                    }
                    Ok(())
                })?;
            }
        }
        // What has been rolled up is not there any more as it was, but for the days, which have been written beside it.
        let begins = |past: &Past| {
            if days { past.buckets.0.last().map_or(range.from, |last| last + DAY_MS) } else { range.from }
        };
        for wanted in wanted_blocks {
            let from = wanted.iter().filter_map(|id| all.get(id).map(begins)).min().unwrap_or(range.from);
            for (id, (mut times, mut values)) in self.samples(&wanted, Range { from, to: range.to })? {
                let Some(past) = all.get_mut(&id) else { continue };
                let first = times.partition_point(|time| *time < begins(past));
                if first > 0 {
                    Arc::make_mut(&mut times).drain(..first);
                    values.drain(..first);
                }
                past.samples = (times, values);
                if !days {
                    past.join_late();
                }
            }
        }
        Ok(all)
    }

    /// From when to when there is any history.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn range(&self) -> Result<Range, Error> {
        let of = "SELECT min(coalesce((SELECT min(start) FROM pack), ?1), coalesce((SELECT min(stamp) FROM recent), ?1)), \
                  max(coalesce((SELECT max(end) FROM pack), -1), coalesce((SELECT max(stamp) FROM recent), -1))";
        let end = i64::MAX / 4;
        let (from, last): (i64, i64) = self.transaction.query_row(of, [end], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Range { from, to: last + 1 })
    }

    /// How many packs there are.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn packs(&self) -> Result<u64, Error> {
        let count = self.transaction.query_row("SELECT count(*) FROM pack", [], |row| row.get::<_, i64>(0))?;
        Ok(count.cast_unsigned())
    }

    /// What all of it is read with.
    pub(crate) fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// When the daemon was there, ascending: its commits, or what they were rolled up to. It commits now each so many milliseconds.
    ///
    /// # Errors
    /// The database's; a pack is damaged.
    pub(crate) fn alive(&self, range: Range, step_ms: i64, commit_ms: i64) -> Result<Vec<There>, Error> {
        let range = reach(range, step_ms);
        // They may have come otherwise than they do now.
        let every = |value: f64| if value > 1.0 { value as i64 } else { commit_ms };
        // A commit may be late.
        let lasts = |every: i64| every.saturating_mul(5) / 2;
        let mut all = Vec::new();
        for level in levels(step_ms) {
            let long = level.step_ms();
            self.each_section(&[ALIVE], *level, range, |_, head, section| {
                let (places, buckets) = head.buckets(section)?;
                for (at, bucket) in places.of(&head.times).iter().copied().zip(buckets) {
                    if (range.from..range.to).contains(&at) {
                        let every = every(bucket.last);
                        let until = at.saturating_add(long.max(lasts(every)));
                        all.push(There { at, until, known: at + (long - every).max(0) });
                    }
                }
                Ok(())
            })?;
        }
        all.sort_unstable_by_key(|there| there.at);
        let days = of_days(step_ms);
        let from = all.last().filter(|_| days).map_or(range.from, |last| last.at + DAY_MS);
        let commits = self.samples(&[ALIVE], Range { from, to: range.to })?.remove(&ALIVE).unwrap_or_default();
        let there = |(at, value): (i64, f64)| There { at, until: at.saturating_add(lasts(every(value))), known: at };
        all.extend(commits.0.iter().copied().zip(commits.1).map(there));
        Ok(all)
    }

    /// The action that a node has of its own.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn action(&self, path: &str) -> Result<Option<Action>, Error> {
        let mut select = self.transaction.prepare_cached(
            "SELECT coalesce(state.action, series.action) FROM series LEFT JOIN state USING(id) \
             WHERE path = ? AND coalesce(state.action, series.action) IS NOT NULL ORDER BY state.action IS NULL, id DESC LIMIT 1",
        )?;
        let found: Option<String> = select.query_row([path], |row| row.get(0)).optional()?;
        Ok(found.and_then(|text| text.parse().ok()))
    }

    /// Calls with the section of each of some series, all of one block, in the packs that reach into a range.
    fn each_section(
        &self,
        wanted: &[u64],
        level: Level,
        range: Range,
        mut each: impl FnMut(u64, &Head, &[u8]) -> Result<(), crate::trend::codec::Damaged>,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(()) };
        let mut select = self.transaction.prepare_cached(
            "SELECT id, first, last FROM pack WHERE block = ? AND step = ? AND start >= ? AND start < ? AND end >= ? \
             AND first <= ? AND last >= ? AND sealed < 2 ORDER BY start / ?, made, start, first",
        )?;
        let mut rows = select.query(params![
            (first / BLOCK_SERIES).cast_signed(),
            level.step_ms(),
            level.unit_of(range.from),
            range.to,
            range.from,
            last.cast_signed(),
            first.cast_signed(),
            // What was made later counts within its unit of time alone.
            level.unit_ms(),
        ])?;
        let mut before: Option<Head> = None;
        while let Some(row) = rows.next()? {
            let (pack, first, last) = (row.get(0)?, number(row, 1)?, number(row, 2)?);
            let damaged = |what: crate::trend::codec::Damaged| Error::Damaged { pack, what: what.to_string() };
            let within = wanted.partition_point(|id| *id < first)..wanted.partition_point(|id| *id <= last);
            if within.is_empty() {
                continue;
            }
            let blob = self.transaction.blob_open("main", "pack", "data", pack, true)?;
            let lead = Lead::of(&part(&blob, 0, LEAD_BYTES)?).map_err(damaged)?;
            let (head, whole) = if lead.is_whole() {
                let whole = part(&blob, 0, blob.len())?;
                (Head::of(&whole).map_err(damaged)?, Some(whole))
            } else {
                let head = part(&blob, LEAD_BYTES, lead.head)?;
                (Head::read(lead, &head, before.as_ref()).map_err(damaged)?, None)
            };
            let mut bytes = Vec::new();
            for id in &wanted[within] {
                let Some(section) = head.section(*id) else { continue };
                match &whole {
                    Some(whole) => each(*id, &head, whole.get(section.at.clone()).unwrap_or_default()),
                    None => {
                        read_part(&blob, section.at.start, section.at.len(), &mut bytes)?;
                        section.check(&bytes).and_then(|()| each(*id, &head, &bytes))
                    }
                }
                .map_err(damaged)?;
            }
            before = Some(head);
        }
        Ok(())
    }

    /// Adds what has not been packed yet of some series, all of one block.
    fn recent(&self, wanted: &[u64], range: Range, all: &mut BTreeMap<u64, Shared>) -> Result<(), Error> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let block = first / BLOCK_SERIES;
        let mut found: Vec<Option<Samples>> = vec![None; BLOCK_SERIES as usize];
        for id in wanted {
            found[(id % BLOCK_SERIES) as usize] = Some(Samples::default());
        }
        let mut select = self.transaction.prepare_cached(
            "SELECT stamp, data FROM recent WHERE block = ? AND stamp >= ? AND stamp < ? ORDER BY stamp, number",
        )?;
        let mut rows = select.query(params![block.cast_signed(), range.from, range.to])?;
        while let Some(row) = rows.next()? {
            let stamp: i64 = row.get(0)?;
            let read = each_sample(row.get_ref(1)?.as_blob().unwrap_or_default(), |place, value| {
                let Some((times, values)) = &mut found[usize::from(place)] else { return };
                if times.last() == Some(&stamp) {
                    values.pop();
                } else {
                    times.push(stamp);
                }
                values.push(value);
            });
            if let Err(what) = read {
                // What stands before the damage is good, and will be packed.
                tracing::debug!("a commit of block {block} is {what}");
            }
        }
        for (place, found) in found.into_iter().enumerate() {
            if let Some((times, values)) = found
                && let Some(samples) = all.get_mut(&(block * BLOCK_SERIES + place as u64))
            {
                take_on(samples, (Arc::new(times), values));
            }
        }
        Ok(())
    }
}

/// Takes on what comes later.
fn take_on(samples: &mut Shared, later: Shared) {
    if samples.0.is_empty() {
        *samples = later;
    } else if !later.0.is_empty() {
        join(Arc::make_mut(&mut samples.0), &mut samples.1, (Arc::unwrap_or_clone(later.0), later.1));
    }
}

/// The latest time that there is of a commit, in milliseconds since the Unix epoch; 0 where there is none.
///
/// # Errors
/// The database's.
pub(crate) fn newest(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row(
        "SELECT max((SELECT coalesce(max(stamp), 0) FROM recent WHERE block = 0), \
         (SELECT coalesce(max(end), 0) FROM pack WHERE block = 0 AND step = 0))",
        [],
        |row| row.get(0),
    )
}

/// A part of a pack.
fn part(blob: &Blob<'_>, from: usize, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    read_part(blob, from, len, &mut bytes)?;
    Ok(bytes)
}

fn read_part(blob: &Blob<'_>, from: usize, len: usize, into: &mut Vec<u8>) -> Result<(), Error> {
    into.resize(len.min(blob.len()), 0);
    let read = blob.read_at(into, from)?;
    into.truncate(read);
    Ok(())
}

/// Series, those of each block together.
fn blocks<T>(series: &BTreeMap<u64, T>) -> Vec<Vec<u64>> {
    let ids: Vec<u64> = series.keys().copied().collect();
    ids.chunk_by(|a, b| a / BLOCK_SERIES == b / BLOCK_SERIES).map(<[u64]>::to_vec).collect()
}
