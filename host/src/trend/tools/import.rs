//! Takes history in.

use super::text::{Form, Sample, TextError, path_of};
use super::{HELD_MAX, Store};
use crate::tree::{Kept, PathError, parse_plain};
use crate::trend::history::{Error, IMPORTED, Samples, append_event};
use hashbrown::{HashMap, HashSet};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use std::fmt;

/// Samples that the name of a new series counts as.
const NAME_SAMPLES: usize = 8;

/// Names of series that are kept in mind: those of more are looked up again.
const NAMES_MAX: usize = 1_000_000;

/// Texts that are held.
const TEXTS_HELD_MAX: usize = 10_000;

/// Why a line is not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It names no path.
    Text(TextError),
    Path(PathError),
    /// The database's.
    Failed(Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Text(error) => error.fmt(f),
            Refused::Path(error) => error.fmt(f),
            Refused::Failed(error) => error.fmt(f),
        }
    }
}

/// Takes samples in, in any order.
///
/// They become series of their own, beside those that the daemon has under the same path: the tree as it is now does not
/// change by it.
#[derive(Debug)]
pub(crate) struct Importer<'s> {
    store: &'s mut Store,
    /// By what names them in the text.
    series: HashMap<String, usize>,
    /// Those that are new, by their paths, until they are written with their samples.
    new: HashMap<String, u64>,
    /// The numbers of all that there were.
    all: HashSet<u64>,
    held: Vec<(u64, Samples)>,
    /// Where a series is held, by its number: two texts may name one.
    places: HashMap<u64, usize>,
    samples: usize,
    /// Series, times and texts that are still to be written.
    texts: Vec<(u64, i64, Kept)>,
    next: u64,
}

impl<'s> Importer<'s> {
    /// Into a store.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn new(store: &'s mut Store) -> Result<Importer<'s>, Error> {
        let last: Option<i64> = store.database.connection().query_row(
            "SELECT max(id) FROM series WHERE id >= ?",
            [IMPORTED.cast_signed()],
            |row| row.get(0),
        )?;
        let next = last.map_or(IMPORTED, |last| last.cast_unsigned() + 1);
        Ok(Importer {
            store,
            series: HashMap::new(),
            new: HashMap::new(),
            all: HashSet::new(),
            held: Vec::new(),
            places: HashMap::new(),
            samples: 0,
            texts: Vec::new(),
            next,
        })
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// It names no path, or the database's.
    pub(crate) fn add(&mut self, form: Form, sample: Sample<'_>) -> Result<(), Refused> {
        let place = match self.series.get(sample.series) {
            Some(place) => *place,
            None => self.name(form, sample.series)?,
        };
        let (_, (times, values)) = &mut self.held[place];
        times.push(sample.time_ms);
        values.push(sample.value);
        self.samples += 1;
        if self.samples + self.new.len() * NAME_SAMPLES >= HELD_MAX {
            self.flush().map_err(Refused::Failed)?;
        }
        Ok(())
    }

    /// Takes a text, which holds from a time on.
    ///
    /// # Errors
    /// It names no path, or the database's.
    pub(crate) fn add_text(&mut self, form: Form, (series, time, text): (&str, i64, String)) -> Result<(), Refused> {
        let place = match self.series.get(series) {
            Some(place) => *place,
            None => self.name(form, series)?,
        };
        self.texts.push((self.held[place].0, time, Kept::Text(text.into())));
        if self.texts.len() >= TEXTS_HELD_MAX {
            self.flush().map_err(Refused::Failed)?;
        }
        Ok(())
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.all.len()
    }

    fn name(&mut self, form: Form, text: &str) -> Result<usize, Refused> {
        let path = path_of(form, text).map_err(Refused::Text)?;
        let keys = parse_plain(&path).map_err(Refused::Path)?;
        let path = crate::tree::encode_path(keys.iter().map(AsRef::as_ref));
        let id = self.id(&path).map_err(|error| Refused::Failed(error.into()))?;
        let next = self.held.len();
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.held.push((id, Default::default()));
            self.all.insert(id);
        }
        self.series.insert(text.to_owned(), place);
        Ok(place)
    }

    /// The number of the series that was imported under a path.
    fn id(&mut self, path: &str) -> Result<u64, rusqlite::Error> {
        if let Some(id) = self.new.get(path) {
            return Ok(*id);
        }
        let connection = self.store.database.connection();
        let known: Option<i64> = connection
            .prepare_cached("SELECT id FROM series WHERE path = ? AND id >= ?")?
            .query_row(params![path, IMPORTED.cast_signed()], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id.cast_unsigned());
        }
        let id = self.next;
        self.next += 1;
        self.new.insert(path.to_owned(), id);
        Ok(id)
    }

    /// Packs what is held, after the names of the new series, which do what the daemon's of the same path do.
    fn flush(&mut self) -> Result<(), Error> {
        let transaction = self.store.database.connection().transaction()?;
        let mut name = transaction.prepare_cached(
            "INSERT INTO series(id, path, action) VALUES(?1, ?2, (SELECT coalesce(state.action, series.action) FROM series \
             LEFT JOIN state USING(id) WHERE path = ?2 AND coalesce(state.action, series.action) IS NOT NULL \
             ORDER BY state.action IS NULL, id DESC LIMIT 1))",
        )?;
        for (path, id) in self.new.drain() {
            name.execute(params![id.cast_signed(), path])?;
        }
        drop(name);
        for (id, time, text) in self.texts.drain(..) {
            append_event(&transaction, id, time, &text)?;
        }
        transaction.commit()?;
        let mut taken: BTreeMap<u64, Samples> = BTreeMap::new();
        for (id, samples) in &mut self.held {
            if !samples.0.is_empty() {
                let (mut times, mut values) = std::mem::take(samples);
                in_order(&mut times, &mut values);
                taken.insert(*id, (times, values));
            }
        }
        self.samples = 0;
        if self.series.len() > NAMES_MAX {
            self.series.clear();
            self.places.clear();
            self.held.clear();
        }
        self.store.history.put(self.store.database.connection(), taken)
    }

    /// Packs all.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.flush()
    }
}

/// Puts samples in the order of their times; of several at one time the last stays.
fn in_order(times: &mut Vec<i64>, values: &mut Vec<f64>) {
    if times.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    let sorted: BTreeMap<i64, f64> = times.drain(..).zip(values.drain(..)).collect();
    (*times, *values) = sorted.into_iter().unzip();
}

#[cfg(test)]
mod tests {
    use super::{IMPORTED, Importer, Store};
    use crate::trend::history::{DAY_MS, Retention};
    use crate::trend::tools::{Form, parse_line};

    #[test]
    fn what_is_imported_does_what_the_daemons_node_of_its_path_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let retention = Retention { raw_ms: DAY_MS, minute_ms: DAY_MS, ten_minutes_ms: DAY_MS, day_ms: DAY_MS };
        let mut store = Store::open(&folder.path().join("graftd.db"), true, retention).expect("a store");
        let series = "INSERT INTO series(id, path, action) VALUES(1, 'cpu', 'min'), (2, 'ram', NULL); \
                      INSERT INTO state(id, action) VALUES(1, 'average')";
        store.database.connection().execute_batch(series).expect("written");
        let mut importer = Importer::new(&mut store).expect("an importer");
        for line in ["cpu,1767571200,1", "ram,1767571200,2", "\"cpu\",1767571210,3", "other,1767571200,4"] {
            let sample = parse_line(Form::Csv, line).expect("a line").expect("a sample");
            importer.add(Form::Csv, sample).expect("taken");
        }
        importer.add_text(Form::Csv, ("os", 1_767_571_200_000, "12.1".to_owned())).expect("taken");
        assert_eq!(importer.series(), 4);
        importer.finish().expect("written");
        let connection = store.database.connection();
        let select = "SELECT path || ' ' || coalesce(action, '') FROM series WHERE id >= ? ORDER BY path";
        let mut select = connection.prepare(select).expect("prepared");
        let found = select.query_map([IMPORTED.cast_signed()], |row| row.get::<_, String>(0)).expect("asked");
        let found: Vec<String> = found.collect::<Result<_, _>>().expect("read");
        assert_eq!(found, ["cpu average", "os ", "other ", "ram "]);
        let nobodys = "SELECT count(*) FROM event WHERE series NOT IN (SELECT id FROM series)";
        assert_eq!(connection.query_row(nobodys, [], |row| row.get::<_, i64>(0)), Ok(0));
    }
}
