//! What waits to be written to a store: rows in the daemon's own file, put there by the commit that has the values.
//!
//! A row has the values of one commit's time, or some of them. Where a commit comes at a time that there is already, the later
//! value counts: the [sender](super::send) waits until a time is over. Where it is over and has been sent (a clock was put
//! back, or it is the time at which the daemon before ended), what changes is carried to the next time, for no store takes two
//! values for one.

use super::link::{Latest, Link, State};
use crate::limits::STORE_ROW_SAMPLES;
use crate::tree::{Fed, Kept};
use crate::trend::codec::Damaged;
use crate::trend::codec::varint::{Bytes, put};
use crate::trend::pending::Pending;
use crate::trend::remote::write::STALE;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;
use std::sync::Arc;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS outgoing(n INTEGER PRIMARY KEY AUTOINCREMENT, stamp INTEGER NOT NULL, \
                     samples INTEGER NOT NULL, data BLOB NOT NULL) STRICT";

/// What a row takes beside its data, about, in bytes.
const ROW_BYTES: u64 = 32;

const NUMBERS: u8 = 0;
const FIGURES: u8 = 1;

/// The figures of sketches, in the order of their numbers in rows.
pub(super) const FIGURE_NAMES: [&str; 10] =
    ["count", "sum", "min", "p50", "p90", "p95", "p99", "p999", "max", "distinct"];

const QUANTILES: [(u8, f64); 7] = [(2, 0.0), (3, 0.5), (4, 0.9), (5, 0.95), (6, 0.99), (7, 0.999), (8, 1.0)];

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: u64,
    /// Of a sketch, the place of the figure's name.
    pub(super) figure: Option<u8>,
    /// It has not changed, and is told so that it is not taken for gone.
    pub(super) fill: bool,
    /// A number, or that the series has ended, as the bits of an `f64`.
    pub(super) bits: u64,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) samples: u64,
    pub(super) bytes: u64,
}

/// Puts what changes where it waits.
#[derive(Debug)]
pub(in crate::trend) struct Buffer {
    link: Arc<Link>,
    limit: u64,
    load: Load,
    carried: Carried,
    /// What sketches were fed in the last time of which something was written, and that time.
    fed: BTreeMap<u64, Fed>,
    stamp: i64,
    /// What becomes of it if the commit succeeds, and what if one that failed is in the file all the same.
    next: Option<Next>,
    tried: Option<Next>,
}

/// What has to wait for the next time.
#[derive(Debug, Default)]
struct Carried {
    /// Whether it has not changed, and bits.
    numbers: BTreeMap<u64, (bool, u64)>,
    fed: BTreeMap<u64, Fed>,
}

#[derive(Debug)]
struct Next {
    load: Load,
    dropped: u64,
    carried: Carried,
    /// None where nothing is written of its time.
    fed: Option<BTreeMap<u64, Fed>>,
    last: i64,
    latest: Latest,
}

impl Buffer {
    /// Makes room in a file that has none.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::trend) fn open(
        connection: &Connection,
        link: Arc<Link>,
        limit: u64,
    ) -> Result<Buffer, rusqlite::Error> {
        connection.execute_batch(TABLE)?;
        let load = load(connection, i64::MAX)?;
        link.told.load(load);
        let (last, committed) = (last(connection)?, committed(connection)?);
        let before: Option<i64> =
            connection.query_row("SELECT min(n) - 1 FROM outgoing WHERE stamp = ?", [committed], |row| row.get(0))?;
        link.state.lock().begin(last, committed, before.unwrap_or(last));
        let (carried, fed) = (Carried::default(), BTreeMap::new());
        Ok(Buffer { link, limit, load, carried, fed, stamp: i64::MIN, next: None, tried: None })
    }

    /// Who sends it.
    pub(in crate::trend) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Puts what is committed there, and takes out what has been sent, and what there is no room for.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::trend) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        pending: &Pending,
        state: &State,
    ) -> Result<(), rusqlite::Error> {
        let mut at = self.load;
        let sent = load(transaction, state.sent_to)?;
        transaction.prepare_cached("DELETE FROM outgoing WHERE n <= ?")?.execute([state.sent_to])?;
        at.samples = at.samples.saturating_sub(sent.samples);
        at.bytes = at.bytes.saturating_sub(sent.bytes);
        let latest = Latest::new(pending.stamp, pending.unix_ms, pending.every_ms);
        let goes_on = state.goes_on(&latest);
        let over = state.is_over(pending.stamp) && !goes_on;
        let numbers = self.numbers(transaction, pending, over)?;
        let mut fed = pending.fed.clone();
        add_fed(&mut fed, &self.carried.fed);
        let mut carried = Carried::default();
        if over {
            carried.numbers = numbers.iter().map(|told| (told.id, (told.fill, told.bits))).collect();
            carried.fed = std::mem::take(&mut fed);
        } else {
            if goes_on {
                // What sketches were fed by the daemon before has its figures there already, and cannot be added to.
                carried.fed = std::mem::take(&mut fed);
            }
            if pending.stamp == self.stamp {
                for (id, fed) in &mut fed {
                    if let Some(before) = self.fed.get(id) {
                        fed.merge(before);
                    }
                }
            }
            let figures: Vec<Told> = fed.iter().flat_map(|(id, fed)| figures(*id, fed)).collect();
            let mut insert =
                transaction.prepare_cached("INSERT INTO outgoing(stamp, samples, data) VALUES(?, ?, ?)")?;
            for chunk in numbers.chunks(STORE_ROW_SAMPLES).chain(figures.chunks(STORE_ROW_SAMPLES)) {
                let data = encode(chunk);
                insert.execute(params![pending.stamp, chunk.len() as i64, data])?;
                at.samples += chunk.len() as u64;
                at.bytes += data.len() as u64 + ROW_BYTES;
            }
        }
        let dropped = self.drop_oldest(transaction, &mut at)?;
        self.next = Some(Next {
            load: at,
            dropped,
            carried,
            fed: (!over && !goes_on).then_some(fed),
            last: last(transaction)?,
            latest,
        });
        Ok(())
    }

    /// All numbers that are to be told of a commit, by the numbers of their series. Of a time that is over, what has not changed is
    /// not told as if it had, later.
    fn numbers(
        &self,
        transaction: &Transaction<'_>,
        pending: &Pending,
        over: bool,
    ) -> Result<Vec<Told>, rusqlite::Error> {
        let mut all: BTreeMap<u64, (bool, u64)> = BTreeMap::new();
        let mut is_number =
            transaction.prepare_cached("SELECT 1 FROM state WHERE id = ? AND typeof(value) = 'real'")?;
        // What is newer comes later.
        all.extend(pending.fill.iter().map(|(id, value)| (*id, (true, value.to_bits()))));
        all.extend(&self.carried.numbers);
        for (id, value) in &pending.whole {
            let changed = all.get(id).is_some_and(|(fill, _)| !fill);
            all.insert(*id, (over && !changed, value.to_bits()));
        }
        for row in pending.rows.values() {
            if let Kept::Number(value) = &row.value {
                all.insert(row.id, (false, value.to_bits()));
            }
        }
        for id in &pending.gone {
            let was_number = is_number.query_row([id.cast_signed()], |_| Ok(())).optional()?.is_some();
            if was_number || all.contains_key(id) {
                all.insert(*id, (false, STALE));
            }
        }
        Ok(all.into_iter().map(|(id, (fill, bits))| Told { id, figure: None, fill, bits }).collect())
    }

    /// Takes out the oldest rows until there is room: how many values they had.
    fn drop_oldest(&self, transaction: &Transaction<'_>, at: &mut Load) -> Result<u64, rusqlite::Error> {
        if at.bytes <= self.limit {
            return Ok(0);
        }
        let (mut dropped, mut up_to) = (0, 0);
        let mut select = transaction.prepare_cached("SELECT n, samples, length(data) FROM outgoing ORDER BY n")?;
        let mut rows = select.query([])?;
        while at.bytes > self.limit {
            let Some(row) = rows.next()? else { break };
            let of = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            up_to = row.get(0)?;
            let (samples, bytes) = (of(1)?, of(2)? + ROW_BYTES);
            dropped += samples;
            at.samples = at.samples.saturating_sub(samples);
            at.bytes = at.bytes.saturating_sub(bytes);
        }
        drop(rows);
        transaction.prepare_cached("DELETE FROM outgoing WHERE n <= ?")?.execute([up_to])?;
        Ok(dropped)
    }

    /// What was put there is on the disk.
    pub(in crate::trend) fn written(&mut self, state: &mut State) {
        let Some(next) = self.next.take() else { return };
        state.committed(next.latest, next.last);
        self.is_there(next);
    }

    fn is_there(&mut self, next: Next) {
        self.load = next.load;
        self.carried = next.carried;
        match next.fed {
            Some(fed) if next.latest.stamp == self.stamp => self.fed.extend(fed),
            Some(fed) => (self.fed, self.stamp) = (fed, next.latest.stamp),
            None => {}
        }
        self.link.told.load(self.load);
        self.link.told.dropped(next.dropped);
    }

    /// Takes out what has been sent, at the end: the next daemon would send it again.
    pub(in crate::trend) fn forget_sent(&self, connection: &Connection) {
        let sent_to = self.link.state.lock().sent_to;
        // It does no harm where it cannot be taken out.
        let _ = connection.execute("DELETE FROM outgoing WHERE n <= ?", [sent_to]);
    }

    /// It may be there or not.
    pub(in crate::trend) fn failed(&mut self, connection: &Connection) {
        self.tried = self.next.take();
        if let Ok(load) = load(connection, i64::MAX) {
            self.load = load;
        }
    }

    /// It is known now whether what failed is there all the same.
    pub(in crate::trend) fn tried(&mut self, written: bool) {
        if let Some(next) = self.tried.take().filter(|_| written) {
            self.is_there(next);
        }
    }
}

/// Adds what sketches were fed before.
fn add_fed(fed: &mut BTreeMap<u64, Fed>, before: &BTreeMap<u64, Fed>) {
    for (id, before) in before {
        match fed.get_mut(id) {
            Some(fed) => fed.merge(before),
            None => drop(fed.insert(*id, before.clone())),
        }
    }
}

/// The time of the last commit, be it of a daemon before; none where there was none.
fn committed(connection: &Connection) -> Result<Option<i64>, rusqlite::Error> {
    let of = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).optional();
    let row: Option<i64> = of("SELECT stamp FROM outgoing ORDER BY n DESC LIMIT 1")?;
    Ok(row.max(of("SELECT value FROM info WHERE key = 'stamp'")?))
}

/// The last row that there ever was.
fn last(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let last = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outgoing'), 0)";
    connection.prepare_cached(last)?.query_row([], |row| row.get(0))
}

/// What waits up to a row.
fn load(connection: &Connection, up_to: i64) -> Result<Load, rusqlite::Error> {
    let sums = "SELECT coalesce(sum(samples), 0), coalesce(sum(length(data)), 0), count(*) FROM outgoing WHERE n <= ?";
    connection.prepare_cached(sums)?.query_row([up_to], |row| {
        let of = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Load { samples: of(0)?, bytes: of(1)? + of(2)? * ROW_BYTES })
    })
}

/// The figures of what a sketch was fed.
fn figures(id: u64, fed: &Fed) -> Vec<Told> {
    let told = |figure: u8, value: f64| Told { id, figure: Some(figure), fill: false, bits: value.to_bits() };
    match fed {
        Fed::Quantiles(sketch) => {
            let quantiles = QUANTILES.iter().filter_map(|(figure, q)| Some(told(*figure, sketch.quantile(*q)?)));
            [told(0, sketch.count() as f64), told(1, sketch.sum())].into_iter().chain(quantiles).collect()
        }
        Fed::Distinct(sketch) => vec![told(9, sketch.estimate().round())],
    }
}

/// Values of one kind, ascending by their series, as a row.
pub(super) fn encode(all: &[Told]) -> Vec<u8> {
    let figures = all.first().is_some_and(|told| told.figure.is_some());
    let mut out = vec![if figures { FIGURES } else { NUMBERS }];
    let mut before = 0;
    for told in all {
        put((told.id - before) << 1 | u64::from(told.fill), &mut out);
        before = told.id;
        out.extend(told.figure);
        out.extend_from_slice(&told.bits.to_le_bytes());
    }
    out
}

/// What [`encode`] was given.
///
/// # Errors
/// The bytes are others.
pub(super) fn decode(data: &[u8]) -> Result<Vec<Told>, Damaged> {
    let mut bytes = Bytes(data);
    let kind = bytes.byte()?;
    if kind > FIGURES {
        return Err(Damaged("a row of no kind"));
    }
    let (mut all, mut id) = (Vec::new(), 0_u64);
    while !bytes.0.is_empty() {
        let word = bytes.number()?;
        id = id.checked_add(word >> 1).ok_or(Damaged("a series beyond all"))?;
        let figure = if kind == FIGURES { Some(bytes.byte()?) } else { None };
        if figure.is_some_and(|figure| usize::from(figure) >= FIGURE_NAMES.len()) {
            return Err(Damaged("a figure of no kind"));
        }
        let value = bytes.take(8)?.try_into().map_err(|_| Damaged("it ends early"))?;
        all.push(Told { id, figure, fill: word & 1 == 1, bits: u64::from_le_bytes(value) });
    }
    Ok(all)
}

/// Nobody puts anything there any more: who sends it may end.
impl Drop for Buffer {
    fn drop(&mut self) {
        self.link.end();
    }
}
