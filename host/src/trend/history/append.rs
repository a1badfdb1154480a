//! What a commit adds.

use super::ALIVE;
use super::events::append_event;
use crate::tree::{Kept, Row};
use crate::trend::codec::commit::{BLOCK_SERIES, put_sample};
use rusqlite::{Transaction, params};

/// Adds the values of rows as they were at a time in milliseconds, and of whatever else there is; both in the order of their
/// numbers. `number` is the commit's, and how many milliseconds lie between two is told beside.
///
/// # Errors
/// The database's.
pub(in super::super) fn append(
    transaction: &Transaction<'_>,
    number: u64,
    (stamp, every_ms): (i64, i64),
    rows: &[&Row],
    whole: &[(u64, f64)],
) -> Result<(), rusqlite::Error> {
    let mut recent = transaction.prepare_cached("INSERT OR REPLACE INTO recent VALUES(?, ?, ?, ?)")?;
    let (mut block, mut data) = (0, Vec::new());
    let mut put = |series: u64, value: f64| -> Result<(), rusqlite::Error> {
        if series / BLOCK_SERIES != block {
            recent.execute(params![block.cast_signed(), number.cast_signed(), stamp, data])?;
            data.clear();
            block = series / BLOCK_SERIES;
        }
        put_sample((series % BLOCK_SERIES) as u8, value, &mut data);
        Ok(())
    };
    put(ALIVE, every_ms.max(1) as f64)?;
    let mut whole = whole.iter().peekable();
    for row in rows {
        // What changed is newer than what all had.
        while let Some((series, value)) = whole.next_if(|(series, _)| *series < row.id) {
            put(*series, *value)?;
        }
        whole.next_if(|(series, _)| *series == row.id);
        match &row.value {
            Kept::Number(value) => put(row.id, *value)?,
            value => append_event(transaction, row.id, stamp, value)?,
        }
    }
    for (series, value) in whole {
        put(*series, *value)?;
    }
    recent.execute(params![block.cast_signed(), number.cast_signed(), stamp, data])?;
    Ok(())
}
