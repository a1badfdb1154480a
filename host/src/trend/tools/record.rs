//! Takes in what a tree becomes as a log is read long after it was written.

use super::{HELD_MAX, Store};
use crate::tree::{Fed, Kept, Mark, Tree};
use crate::trend::history::{DAY_MS, Error, IMPORTED, Samples, append_event, append_sketches};
use plugin_api::Action;
use rusqlite::params;
use std::collections::BTreeMap;

/// Samples that a name and its end count as: they are held together.
const NAME_SAMPLES: usize = 8;

/// Samples that what a sketch was fed counts as: some kilobytes.
const FED_SAMPLES: usize = 256;

/// Keeps what a tree is, time after time, as series of their own: the daemon's tree does not change by it.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    /// Series that are new, and those that have ended since, until they are written with their samples.
    names: Vec<(u64, Box<str>)>,
    ends: Vec<(u64, i64)>,
    /// What nodes do with what is told of them.
    actions: BTreeMap<u64, Action>,
    /// Texts and the like, and when they came to be so.
    events: Vec<(u64, i64, Kept)>,
    /// What sketches were fed by each time.
    fed: Vec<(i64, Vec<(u64, Fed)>)>,
    held: BTreeMap<u64, Samples>,
    samples: u64,
    in_hand: usize,
    mark: Mark,
    first: u64,
    last_ms: i64,
}

impl Recorder {
    /// For a tree that is empty as yet.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn new(mut store: Store, tree: &mut Tree) -> Result<Recorder, Error> {
        let connection = store.database.connection();
        let last: Option<i64> =
            connection
                .query_row("SELECT max(id) FROM series WHERE id >= ?", [IMPORTED.cast_signed()], |row| row.get(0))?;
        let last = last.map_or(IMPORTED - 1, i64::cast_unsigned);
        tree.keep(last);
        Ok(Recorder {
            store,
            names: Vec::new(),
            ends: Vec::new(),
            actions: BTreeMap::new(),
            events: Vec::new(),
            fed: Vec::new(),
            held: BTreeMap::new(),
            samples: 0,
            in_hand: 0,
            mark: Mark::default(),
            first: last + 1,
            last_ms: i64::MIN,
        })
    }

    /// Keeps what the tree is at a time, which is not before the last one.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn record(&mut self, tree: &mut Tree, stamp: i64) -> Result<(), Error> {
        tree.end_tick(stamp);
        // Each day begins with all there is, as in what the daemon keeps.
        let whole = stamp.div_euclid(DAY_MS) != self.last_ms.div_euclid(DAY_MS);
        let rows = tree.changed_rows(self.mark, |_| false);
        self.mark = rows.next;
        self.last_ms = stamp;
        for row in rows.changed {
            if let Some(more) = row.more {
                if let Some(path) = more.path {
                    self.names.push((row.id, path));
                    self.in_hand += NAME_SAMPLES;
                }
                self.actions.extend(more.action.map(|action| (row.id, action)));
            }
            match row.value {
                Kept::Number(value) => {
                    let (times, values) = self.held.entry(row.id).or_default();
                    if times.last() == Some(&stamp) {
                        values.pop();
                    } else {
                        times.push(stamp);
                        self.samples += 1;
                        self.in_hand += 1;
                    }
                    values.push(value);
                }
                value @ (Kept::Text(_) | Kept::Bool(_)) => {
                    self.events.push((row.id, stamp, value));
                    self.in_hand += NAME_SAMPLES;
                }
                // What sketches were fed is told beside.
                Kept::None | Kept::Quantiles(_) | Kept::Distinct(_) => {}
            }
        }
        if whole {
            for (id, value) in tree.numbers(|_| false) {
                let (times, values) = self.held.entry(id).or_default();
                if times.last() != Some(&stamp) {
                    times.push(stamp);
                    values.push(value);
                    self.samples += 1;
                    self.in_hand += 1;
                }
            }
        }
        self.ends.extend(rows.gone.into_iter().map(|id| (id, stamp)));
        self.in_hand += rows.fed.len() * FED_SAMPLES;
        if !rows.fed.is_empty() {
            self.fed.push((stamp, rows.fed));
        }
        if self.in_hand >= HELD_MAX {
            self.put()?;
        }
        if whole {
            // What was fed in the days before.
            self.write()?;
            self.store.history.pack_sketches(self.store.database.connection())?;
        }
        Ok(())
    }

    /// Writes what is in hand: the names first, so that no sample is of nobody.
    fn put(&mut self) -> Result<(), Error> {
        self.write()?;
        self.in_hand = 0;
        self.store.history.put(self.store.database.connection(), std::mem::take(&mut self.held))
    }

    /// Writes names, and all that is no sample.
    fn write(&mut self) -> Result<(), Error> {
        self.in_hand = self.held.values().map(|(times, _)| times.len()).sum();
        let transaction = self.store.database.connection().transaction()?;
        let mut name = transaction.prepare_cached("INSERT INTO series(id, path) VALUES(?, ?)")?;
        for (id, path) in self.names.drain(..) {
            name.execute(params![id.cast_signed(), path])?;
        }
        let mut act = transaction.prepare_cached("UPDATE series SET action = ? WHERE id = ?")?;
        for (id, action) in std::mem::take(&mut self.actions) {
            act.execute(params![action.to_string(), id.cast_signed()])?;
        }
        let mut end = transaction.prepare_cached("UPDATE series SET gone_ms = ? WHERE id = ?")?;
        for (id, stamp) in self.ends.drain(..) {
            end.execute(params![stamp, id.cast_signed()])?;
        }
        drop((name, act, end));
        for (id, stamp, value) in self.events.drain(..) {
            append_event(&transaction, id, stamp, &value)?;
        }
        for (stamp, fed) in self.fed.drain(..) {
            append_sketches(&transaction, stamp, fed.iter().map(|(id, fed)| (*id, fed)))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Ends all series, and packs them: how many samples there were.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.put()?;
        self.store.history.pack_sketches(self.store.database.connection())?;
        self.store.database.connection().execute(
            "UPDATE series SET gone_ms = ? WHERE id >= ? AND gone_ms IS NULL",
            params![self.last_ms.saturating_add(1), self.first.cast_signed()],
        )?;
        Ok(self.samples)
    }
}
