//! Looks history over.

use crate::trend::codec::commit::each_sample;
use crate::trend::codec::pack::Head;
use crate::trend::history::{DAY_MS, Error, IMPORTED, Range, Reader, Snapshot, check_sketches, newest};
use rusqlite::{Connection, OptionalExtension, params};

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) packs: u64,
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
    pub(crate) totals: u64,
    /// Rows of sketches, their bytes, and how many sketches have been fed what their history has.
    pub(crate) sketch_rows: u64,
    pub(crate) sketch_bytes: u64,
    pub(crate) counts: u64,
    /// Why not all could be looked at.
    pub(crate) remark: Option<String>,
    /// What is not as it was written, a line each.
    pub(crate) damages: Vec<String>,
}

/// Damages that are told one by one.
const DAMAGES_MAX: usize = 100;

/// Series whose totals are compared at a time, and packs that are read: what is looked at for long keeps what the daemon writes
/// meanwhile from being taken over into the file.
const AT_ONCE: i64 = 32;
const PACKS_AT_ONCE: i64 = 256;

/// Reads every pack and every commit that waits to be packed, and compares what each node is now with the last of its
/// history. `each` is told of each pack.
///
/// # Errors
/// The database itself cannot be read.
pub(crate) fn check(reader: &Reader, mut each: impl FnMut()) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    file(&reader.snapshot()?, &mut checked)?;
    let mut after = Some(-1);
    while let Some(last) = after {
        after = packs(&reader.snapshot()?, last, &mut checked, &mut each)?;
    }
    let mut after = Some(-1);
    while let Some(last) = after {
        after = recent(&reader.snapshot()?, last, &mut checked)?;
    }
    let mut after = Some(-1);
    while let Some(last) = after {
        after = totals(&reader.snapshot()?, last, &mut checked)?;
    }
    let looked = check_sketches(&reader.snapshot()?, |what| checked.damaged(what))?;
    (checked.sketch_rows, checked.sketch_bytes, checked.counts) = (looked.rows, looked.bytes, looked.counts);
    Ok(checked)
}

/// Looks at what the database itself is made of, its indexes too: what is missing in one is not found.
fn file(snapshot: &Snapshot<'_>, checked: &mut Checked) -> Result<(), Error> {
    let mut select = snapshot.connection().prepare("PRAGMA integrity_check")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            checked.damaged(format!("the file: {said}"));
        }
    }
    Ok(())
}

/// Reads some packs, those that follow one: the last of them, if there are any.
fn packs(
    snapshot: &Snapshot<'_>,
    after: i64,
    checked: &mut Checked,
    each: &mut impl FnMut(),
) -> Result<Option<i64>, Error> {
    let mut select = snapshot.connection().prepare_cached(
        "SELECT id, step, first, last, start, end, samples, data FROM pack WHERE id > ? ORDER BY id LIMIT ?",
    )?;
    let mut rows = select.query([after, PACKS_AT_ONCE])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let pack: i64 = row.get(0)?;
        let data = row.get_ref(7)?.as_blob().unwrap_or_default();
        let told = [2, 3, 4, 5, 6].map(|column| row.get::<_, i64>(column).unwrap_or(-1));
        match read_pack(data, row.get::<_, i64>(1)? == 0) {
            Ok(found) if found == told => {}
            Ok(found) => checked.damaged(format!(
                "pack {pack}: first and last series, first and last time, samples are {found:?}, not {told:?}"
            )),
            Err(what) => checked.damaged(format!("pack {pack}: {what}")),
        }
        checked.packs += 1;
        checked.samples += told[4].max(0).cast_unsigned();
        checked.bytes += data.len() as u64;
        last = Some(pack);
        each();
    }
    Ok(last)
}

/// Reads what waits to be packed of the block that follows one: that, if there is one.
fn recent(snapshot: &Snapshot<'_>, after: i64, checked: &mut Checked) -> Result<Option<i64>, Error> {
    let next = "SELECT min(block) FROM recent WHERE block > ?";
    let next: Option<i64> = snapshot.connection().prepare_cached(next)?.query_row([after], |row| row.get(0))?;
    let Some(block) = next else { return Ok(None) };
    let mut select = snapshot.connection().prepare_cached("SELECT number, data FROM recent WHERE block = ?")?;
    let mut rows = select.query([block])?;
    while let Some(row) = rows.next()? {
        let mut samples = 0;
        if let Err(what) = each_sample(row.get_ref(1)?.as_blob().unwrap_or_default(), |_, _| samples += 1) {
            checked.damaged(format!("commit {} of block {block}: {what}", row.get::<_, i64>(0)?));
        }
        checked.samples += samples;
    }
    Ok(Some(block))
}

/// What some nodes are now, those that follow one, is the last that history has of each, where that reaches so far back: the last
/// of them, if there are any.
fn totals(snapshot: &Snapshot<'_>, after: i64, checked: &mut Checked) -> Result<Option<i64>, Error> {
    let connection = snapshot.connection();
    let elsewhere = "SELECT EXISTS(SELECT 1 FROM info WHERE key = 'elsewhere' AND value = 1)";
    if connection.query_row(elsewhere, [], |row| row.get(0))? {
        checked.remark =
            Some("the history of numbers is in a store elsewhere: totals are not compared with it".to_owned());
        return Ok(None);
    }
    let Some(ends) = last_commit(connection)? else {
        checked.remark =
            Some("the clock was set back: totals are compared when it has come to where it was".to_owned());
        return Ok(None);
    };
    let mut select = connection.prepare_cached(
        "SELECT id, value FROM state WHERE id > ? AND id < ? AND typeof(value) = 'real' ORDER BY id LIMIT ?",
    )?;
    let rows =
        select.query_map(params![after, IMPORTED.cast_signed(), AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let now: Vec<(i64, f64)> = rows.collect::<Result<_, _>>()?;
    let Some(next) = now.last().map(|(last, _)| *last) else { return Ok(None) };
    let ids: Vec<u64> = now.iter().map(|(id, _)| id.cast_unsigned()).collect();
    // Each day begins with all there is: the day of the last commit has the last of everything.
    let range = Range { from: ends, to: ends.saturating_add(1) };
    let pasts = match snapshot.pasts(&ids, range, 60_000) {
        Ok(pasts) => pasts,
        Err(Error::Damaged { pack, what }) => {
            checked.damaged(format!("pack {pack}: {what}: totals cannot be compared"));
            return Ok(Some(next));
        }
        Err(error) => return Err(error),
    };
    for (id, value) in now {
        let Some(past) = pasts.get(&id.cast_unsigned()) else { continue };
        let last = past.samples.1.last().copied().or(past.buckets.1.last().map(|bucket| bucket.last));
        checked.totals += u64::from(last.is_some());
        if last.is_some_and(|last| last.to_bits() != value.to_bits()) {
            checked.damaged(format!("series {id} is {value}, but its history ends with {}", last.unwrap_or(f64::NAN)));
        }
    }
    Ok(Some(next))
}

/// The time that history has of the last commit; none where that is not what it ends with, as long as a clock that was set back
/// has not come to where it was.
fn last_commit(connection: &Connection) -> Result<Option<i64>, Error> {
    let last = connection.query_row("SELECT value FROM info WHERE key = 'stamp'", [], |row| row.get(0)).optional()?;
    // A file of an earlier version does not tell.
    let ends: i64 = last.map_or_else(|| newest(connection), Ok)?;
    // What a clock that was wrong has left in times to come is not compared; but where it was set back by hours, what is
    // written now lies among what had been.
    let among: bool = connection.query_row(
        "SELECT EXISTS(SELECT 1 FROM recent WHERE block = 0 AND stamp > ?1 AND stamp <= ?2) OR \
         EXISTS(SELECT 1 FROM pack WHERE block = 0 AND step = 0 AND end > ?1 AND start <= ?2)",
        [ends, ends.saturating_add(DAY_MS)],
        |row| row.get(0),
    )?;
    Ok((!among).then_some(ends))
}

impl Checked {
    fn damaged(&mut self, what: String) {
        if self.damages.len() < DAMAGES_MAX && self.damages.last() != Some(&what) {
            self.damages.push(what);
        }
    }
}

/// The first and the last series, the first and the last time, and how many samples there are.
fn read_pack(data: &[u8], raw: bool) -> Result<[i64; 5], String> {
    let head = Head::of(data).map_err(|what| what.to_string())?;
    let mut samples = 0;
    for series in head.series() {
        let section =
            head.section(series).and_then(|section| data.get(section.at.clone())).ok_or("a series beyond its end")?;
        let n = if raw {
            head.values(section).map(|(places, _)| places.len())
        } else {
            head.buckets(section).map(|(places, _)| places.len())
        };
        samples += n.map_err(|what| format!("series {series}: {what}"))?;
    }
    let series: Vec<u64> = head.series().collect();
    let end = |x: Option<&i64>| x.copied().unwrap_or(0);
    let of = |x: Option<&u64>| x.copied().unwrap_or(0).cast_signed();
    Ok([of(series.first()), of(series.last()), end(head.times.first()), end(head.times.last()), samples as i64])
}
