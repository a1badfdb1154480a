//! What lies in packs, and what comes beside it.

use super::packs::{Buckets, Error, Pack, Samples, Writer, delete, join, load, series_of, union};
use super::{DAY_MS, IMPORTED, Level};
use crate::trend::codec::bucket::{Bucket, joined};
use rusqlite::Transaction;
use std::collections::BTreeMap;

/// A day in packs is joined with what follows while it has no more than so many times the samples.
const GROWTH: u64 = 2;

/// Samples of the series of a block, by their place in it.
pub(super) type Block = Vec<Samples>;

/// Whether a day is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// More may come: what is much more stays as it is.
    No,
    /// All of it becomes one, and its daily figures are written. `alone` where finer ones are not kept any more from that time.
    Yes { alone: bool },
}

/// Packs samples of a day, together with what has been packed of it and is not much more; all of it where the day is sealed.
pub(super) fn join_day(
    transaction: &Transaction<'_>,
    block: u64,
    day: i64,
    (made, seal): (u64, Seal),
    new: &[Samples],
) -> Result<(), Error> {
    let sealed = seal != Seal::No;
    let mut old = load(transaction, block, Level::Raw, day, day + DAY_MS)?;
    if !sealed {
        let mut samples = new.iter().map(|(times, _)| times.len() as u64).sum();
        old = old.split_off(to_keep(&old, &mut samples));
    }
    let times = old.iter().map(|pack| &**pack.head.times).chain(new.iter().map(|(times, _)| &**times));
    let times = union(times);
    let mut writer = Writer::new(transaction, block, Level::Raw, (made, sealed), &times);
    let was_sealed = old.iter().any(|pack| pack.sealed);
    let mut daily = Vec::new();
    let mut rolled_up = Vec::new();
    if sealed {
        for level in [Level::TenMinutes, Level::Minute] {
            let unit = level.unit_of(day);
            let packs = load(transaction, block, level, unit, unit + level.unit_ms())?;
            rolled_up.extend(packs.into_iter().filter(|pack| pack.has(day, day + DAY_MS)).map(|pack| (level, pack)));
        }
    }
    for (at, series) in series_of(block).enumerate() {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for pack in &old {
            join(&mut times, &mut values, pack.samples_of(series)?);
        }
        if let Some(new) = new.get(at) {
            join(&mut times, &mut values, new.clone());
        }
        writer.samples(series, &times, &values)?;
        if sealed {
            // Of a day that had been rolled up, some may have come late.
            let (mut starts, mut buckets) = (Vec::new(), Vec::new());
            let mut rolled_up_to = None;
            for (level, pack) in &rolled_up {
                let (found, figures) = pack.buckets_of(series)?;
                let within = found.partition_point(|at| *at < day)..found.partition_point(|at| *at < day + DAY_MS);
                if !within.is_empty() {
                    rolled_up_to = Some(*level);
                }
                add(&mut starts, &mut buckets, (found[within.clone()].to_vec(), figures[within].to_vec()), false);
            }
            let late: Buckets = (times, values.into_iter().map(Bucket::of).collect());
            // What is imported again is the same bucket.
            match rolled_up_to.filter(|_| series >= IMPORTED) {
                Some(level) => add(&mut starts, &mut buckets, joined(&late.0, &late.1, level.step_ms()), true),
                None => add(&mut starts, &mut buckets, late, false),
            }
            daily.push((series, joined(&starts, &buckets, DAY_MS)));
        }
    }
    writer.finish()?;
    delete(transaction, &old)?;
    // Of a day whose finer figures have gone only what came since is there.
    let same = if seal == (Seal::Yes { alone: true }) && rolled_up.is_empty() && !was_sealed {
        Same::Added
    } else {
        Same::Replaced
    };
    join_buckets(transaction, block, Level::Day, made, &daily, same)
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

/// Takes on buckets that come beside others; `once` where one that is the same to the last figure is
/// the same one that came again.
fn add(starts: &mut Vec<i64>, buckets: &mut Vec<Bucket>, later: Buckets, once: bool) {
    let overlap = matches!((starts.last(), later.0.first()), (Some(last), Some(first)) if last >= first);
    if !overlap {
        return join(starts, buckets, later);
    }
    let mut all: BTreeMap<i64, Bucket> = std::mem::take(starts).into_iter().zip(std::mem::take(buckets)).collect();
    for (start, bucket) in later.0.into_iter().zip(later.1) {
        let add = |old: &mut Bucket| {
            if !once || *old != bucket {
                old.add(&bucket);
            }
        };
        all.entry(start).and_modify(add).or_insert(bucket);
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
        let times = union(old.iter().map(|pack| &**pack.head.times).chain(times));
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
                    Same::Added => add(&mut starts, &mut buckets, later, series >= IMPORTED),
                }
            }
            writer.buckets(series, &starts, &buckets)?;
        }
        writer.finish()?;
        delete(transaction, &old)?;
    }
    Ok(())
}
