//! Texts and booleans: each change is an event, that holds until there is another.

use super::packs::Error;
use super::read::{Range, Snapshot};
use crate::tree::Kept;
use rusqlite::{Connection, Transaction, params};

/// Bytes of a text that are kept as an event.
const TEXT_BYTES_MAX: usize = 1_024;

/// Rows that are looked at before others get their turn.
const ROWS_AT_ONCE: i64 = 10_000;

/// Keeps what a node is from a time on, where that is an event: what is told again and again is none.
///
/// # Errors
/// The database's.
pub(in super::super) fn append_event(
    transaction: &Transaction<'_>,
    series: u64,
    stamp: i64,
    value: &Kept,
) -> Result<(), rusqlite::Error> {
    let text = match value {
        Kept::Text(text) => &text[..text.floor_char_boundary(TEXT_BYTES_MAX)],
        Kept::Bool(true) => "true",
        Kept::Bool(false) => "false",
        Kept::None | Kept::Number(_) | Kept::Quantiles(_) | Kept::Distinct(_) => return Ok(()),
    };
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO event SELECT ?1, ?2, ?3 WHERE ?3 IS NOT \
             (SELECT value FROM event WHERE series = ?1 AND stamp <= ?2 ORDER BY stamp DESC LIMIT 1)",
        )?
        .execute(params![series.cast_signed(), stamp, text])?;
    Ok(())
}

impl Snapshot<'_> {
    /// Calls with the event of a series that held as a range begins, and with those in it, in their order; until `each` says
    /// that it is enough.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn events(
        &self,
        series: u64,
        range: Range,
        mut each: impl FnMut(i64, &str) -> bool,
    ) -> Result<(), Error> {
        let mut select = self.connection().prepare_cached(
            "SELECT stamp, value FROM event WHERE series = ?1 AND stamp < ?3 AND stamp >= \
             coalesce((SELECT max(stamp) FROM event WHERE series = ?1 AND stamp <= ?2), ?2) ORDER BY stamp",
        )?;
        let mut rows = select.query(params![series.cast_signed(), range.from, range.to])?;
        let mut before: Option<String> = None;
        while let Some(row) = rows.next()? {
            let text = row.get_ref(1)?.as_str().unwrap_or_default();
            if before.as_deref() == Some(text) {
                continue;
            }
            if !each(row.get(0)?, text) {
                break;
            }
            before = Some(text.to_owned());
        }
        Ok(())
    }
}

/// How far events have been looked through for what is old.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ageing {
    /// The last that was old, and its series.
    last: (i64, i64),
    /// Series that were gone by then have none any more.
    gone_ms: i64,
}

impl Ageing {
    /// Removes events that were over before a time: what held then stays, unless its node was gone. Whether there may be more.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn age(&mut self, connection: &mut Connection, old: i64) -> Result<bool, Error> {
        let transaction = connection.transaction()?;
        let of_gone = "DELETE FROM event WHERE series IN (SELECT id FROM series WHERE gone_ms >= ? AND gone_ms < ?)";
        transaction.prepare_cached(of_gone)?.execute([self.gone_ms, old])?;
        let mut select = transaction.prepare_cached(
            "SELECT stamp, series FROM event WHERE (stamp, series) > (?, ?) AND stamp < ? ORDER BY stamp, series LIMIT ?",
        )?;
        let rows = select.query_map(params![self.last.0, self.last.1, old, ROWS_AT_ONCE], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let aged = rows.collect::<Result<Vec<_>, _>>()?;
        let mut delete = transaction.prepare_cached("DELETE FROM event WHERE series = ? AND stamp < ?")?;
        for (stamp, series) in &aged {
            delete.execute([series, stamp])?;
        }
        drop((select, delete));
        transaction.commit()?;
        self.gone_ms = self.gone_ms.max(old);
        self.last = aged.last().copied().unwrap_or(self.last);
        Ok(!aged.is_empty())
    }
}

/// Removes the events of some series, which a condition on their numbers tells.
///
/// # Errors
/// The database's.
pub(super) fn forget(transaction: &Transaction<'_>, condition: &str, ended: i64) -> Result<(), Error> {
    transaction.prepare_cached(&format!("DELETE FROM event WHERE series IN ({condition})"))?.execute([ended])?;
    Ok(())
}
