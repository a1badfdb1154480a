//! What was committed is what is read, whatever has become of it on the way.

use super::read::{Range, Shared};
use super::{DAY_MS, History, IMPORTED, Reader, Retention};
use crate::tree::{Kept, Row};
use crate::trend::codec::bucket::{Bucket, joined};
use crate::trend::pending::Pending;
use crate::trend::relays::Relays;
use crate::trend::sqlite::Database;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const START: i64 = 1_767_571_200_000;
const EVERY: i64 = 10_000;

struct Store {
    database: Database,
    history: History,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn retention() -> Retention {
    Retention { raw_ms: 2 * DAY_MS, minute_ms: 30 * DAY_MS, ten_minutes_ms: 366 * DAY_MS, day_ms: 3_653 * DAY_MS }
}

impl Store {
    fn new() -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("graftd.db");
        let mut database = Database::open(&file).expect("a database");
        // Nothing is lost by a power failure here.
        database.connection().pragma_update(None, "synchronous", "OFF").expect("set");
        let history = History::open(database.connection(), retention()).expect("a history");
        Store { database, history, file, _folder: folder }
    }

    fn commit(&mut self, stamp: i64, values: &[(u64, f64)]) {
        let row = |(id, value): &(u64, f64)| (*id, Row { id: *id, value: Kept::Number(*value), more: None });
        let pending = Pending {
            rows: values.iter().map(row).collect(),
            unix_ms: stamp,
            stamp,
            history: true,
            ..Pending::default()
        };
        let relays = Relays::new(self.database.connection()).expect("an id");
        self.database.write(&pending, &relays, None, self.history.next(), None).expect("written");
        self.history.committed(stamp, values.iter().map(|(id, _)| *id));
    }

    fn tidy(&mut self, now: i64) {
        while self
            .history
            .tidy(self.database.connection(), now, Duration::from_secs(60), Duration::ZERO)
            .expect("tidied")
            > 0
        {}
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.file).expect("a reader")
    }
}

/// Figures that wander, the same for the same number.
fn figure(n: u64) -> f64 {
    let mixed = (n ^ n >> 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 44) as f64 / 100.0
}

/// Three days of commits, of three series in two blocks: one always, one now and then, one that comes later.
fn filled(tidy: bool) -> (Store, BTreeMap<u64, Vec<(i64, f64)>>) {
    let mut store = Store::new();
    let mut model: BTreeMap<u64, Vec<(i64, f64)>> = BTreeMap::new();
    for n in 0..3 * DAY_MS / EVERY {
        let stamp = START + n * EVERY;
        let mut values = vec![(7, figure(n as u64))];
        if n % 13 == 4 {
            values.push((9, (n / 13) as f64));
        }
        if n > 10_000 {
            values.push((300, -figure(n as u64 * 3)));
        }
        store.commit(stamp, &values);
        for (id, value) in values {
            model.entry(id).or_default().push((stamp, value));
        }
        if tidy {
            store.history.tidy(store.database.connection(), stamp, Duration::ZERO, Duration::ZERO).expect("tidied");
        }
    }
    (store, model)
}

fn within(model: &BTreeMap<u64, Vec<(i64, f64)>>, range: Range) -> BTreeMap<u64, Shared> {
    let cut = |samples: &Vec<(i64, f64)>| {
        let within = samples.iter().copied().filter(|(t, _)| (range.from..range.to).contains(t));
        let (times, values): (Vec<i64>, Vec<f64>) = within.unzip();
        (times.into(), values)
    };
    model.iter().map(|(id, samples)| (*id, cut(samples))).collect()
}

#[test]
fn what_was_committed_is_read_packed_or_not() {
    for tidy in [false, true] {
        let (mut store, model) = filled(tidy);
        let last_two_days = Range { from: START + DAY_MS, to: START + 3 * DAY_MS };
        let some = Range { from: START + DAY_MS + 4_321_000, to: START + 2 * DAY_MS + 55_555 };
        for round in 0..2 {
            let reader = store.reader();
            let snapshot = reader.snapshot().expect("a snapshot");
            for range in [last_two_days, some] {
                assert!(
                    snapshot.samples(&[7, 9, 300], range).expect("read") == within(&model, range),
                    "tidy {tidy}, round {round}"
                );
            }
            store.tidy(START + 3 * DAY_MS);
        }
    }
}

#[test]
fn buckets_are_those_of_the_samples_before_and_after_these_are_rolled_up() {
    let (mut store, model) = filled(true);
    let whole = Range { from: START, to: START + 3 * DAY_MS };
    let expected = |step: i64| -> BTreeMap<u64, (Vec<i64>, Vec<Bucket>)> {
        let buckets = |samples: &Vec<(i64, f64)>| {
            let (times, buckets): (Vec<i64>, Vec<Bucket>) = samples.iter().map(|(t, x)| (*t, Bucket::of(*x))).unzip();
            joined(&times, &buckets, step)
        };
        model.iter().map(|(id, samples)| (*id, buckets(samples))).collect()
    };
    let check = |store: &Store, steps: &[i64], when: &str| {
        let reader = store.reader();
        let snapshot = reader.snapshot().expect("a snapshot");
        for step in steps {
            let found = snapshot.pasts(&[7, 9, 300], whole, *step).expect("read");
            for (id, buckets) in expected(*step) {
                let past = &found[&id];
                let all = past.samples.1.iter().copied().map(Bucket::of);
                let all: Vec<Bucket> = past.buckets.1.iter().copied().chain(all).collect();
                let times = [&past.buckets.0[..], &past.samples.0[..]].concat();
                assert!(joined(&times, &all, *step) == buckets, "series {id}, steps of {step} ms, {when}");
            }
        }
    };
    check(&store, &[30_000, 60_000, 600_000, 3_600_000, DAY_MS], "as they are");
    // The first day is two days old, then all are; then all are a month old.
    for (days, steps) in [
        (4, &[60_000, 180_000, 3_600_000, DAY_MS][..]),
        (6, &[60_000, 600_000, DAY_MS]),
        (45, &[600_000, 3_600_000, DAY_MS]),
        (500, &[DAY_MS]),
    ] {
        store.tidy(START + days * DAY_MS);
        check(&store, steps, &format!("after {days} days"));
    }
    let left = |store: &mut Store| -> Option<String> {
        let steps = "SELECT group_concat(step || ' of ' || start) FROM pack";
        store.database.connection().query_row(steps, [], |row| row.get(0)).expect("counted")
    };
    assert!(left(&mut store).is_some());
    store.tidy(START + 5_000 * DAY_MS);
    assert_eq!(left(&mut store), None, "after ten years nothing is left");
}

#[test]
fn of_two_commits_at_one_time_the_last_counts() {
    let mut store = Store::new();
    store.commit(START, &[(1, 1.0), (2, 1.0)]);
    store.commit(START, &[(1, 2.0)]);
    let range = Range { from: START, to: START + DAY_MS };
    for _ in 0..2 {
        let reader = store.reader();
        let found = reader.snapshot().and_then(|snapshot| snapshot.samples(&[1, 2], range)).expect("read");
        assert_eq!(found[&1], (vec![START].into(), vec![2.0]));
        assert_eq!(found[&2], (vec![START].into(), vec![1.0]));
        store.tidy(START + DAY_MS);
    }
}

#[test]
fn a_day_that_is_over_is_whole_at_any_time_of_the_next() {
    let mut store = Store::new();
    let day = Range { from: START, to: START + DAY_MS };
    // What was not due at midnight waits for up to an hour.
    let begin = DAY_MS - 80 * 60_000;
    let mut last = 0.0;
    for n in begin / EVERY..(DAY_MS + 5_400_000) / EVERY {
        let stamp = START + n * EVERY;
        let value = n as f64;
        store.commit(stamp, &[(7, value)]);
        if stamp < START + DAY_MS {
            last = value;
        }
        store
            .history
            .tidy(store.database.connection(), stamp, Duration::from_millis(200), Duration::ZERO)
            .expect("tidied");
        if stamp >= START + DAY_MS && n % 30 == 0 {
            let reader = store.reader();
            let past = reader.snapshot().and_then(|snapshot| snapshot.pasts(&[7], day, DAY_MS)).expect("read");
            let found = past[&7].samples.1.last().or(past[&7].buckets.1.last().map(|bucket| &bucket.last));
            assert_eq!(found, Some(&last), "{} minutes after midnight", (stamp - START - DAY_MS) / 60_000);
        }
    }
    assert!(last > 0.0);
}

#[test]
fn a_day_of_even_samples_takes_little_room() {
    let (mut store, _) = filled(true);
    store.tidy(START + 3 * DAY_MS + 3_600_000);
    let (samples, bytes): (i64, i64) = store
        .database
        .connection()
        .query_row("SELECT sum(samples), sum(length(data)) FROM pack WHERE step = 0", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("summed");
    // Half of them are figures of 20 bits without any order.
    assert!((bytes as f64) < 2.6 * samples as f64, "{bytes} bytes for {samples} samples");
}

#[test]
fn what_the_log_of_the_database_grew_to_while_somebody_read_is_given_back() {
    let mut store = Store::new();
    store.commit(START, &[(1, 1.0)]);
    let reader = store.reader();
    let snapshot = reader.snapshot().expect("a snapshot");
    assert_eq!(snapshot.packs().expect("counted"), 0);
    for n in 0..70 {
        let event = "INSERT INTO event VALUES(?, 0, zeroblob(1 << 20))";
        store.database.connection().execute(event, [n]).expect("written");
    }
    drop(snapshot);
    for n in 1..4 {
        store.commit(START + n * EVERY, &[(1, 2.0)]);
    }
    let log = store.file.with_extension("db-wal").metadata().expect("a log").len();
    assert!(log <= 65 << 20, "{log} bytes");
}

/// Imported samples of one series, from a time on, a minute apart.
fn put(store: &mut Store, from: i64, values: &[f64]) {
    let times = (0..values.len() as i64).map(|n| from + n * 60_000).collect();
    let samples = BTreeMap::from([(IMPORTED, (times, values.to_vec()))]);
    store.history.put(store.database.connection(), samples).expect("put");
}

fn day_of(store: &Store) -> Bucket {
    let reader = store.reader();
    let day = Range { from: START, to: START + DAY_MS };
    let past = reader.snapshot().and_then(|snapshot| snapshot.pasts(&[IMPORTED], day, DAY_MS)).expect("read");
    let past = &past[&IMPORTED];
    let samples = past.samples.1.iter().copied().map(Bucket::of).collect::<Vec<_>>();
    let all = [&past.buckets.1[..], &samples].concat();
    let times = [&past.buckets.0[..], &past.samples.0[..]].concat();
    let (starts, buckets) = joined(&times, &all, DAY_MS);
    assert_eq!(starts, [START]);
    buckets[0]
}

#[test]
fn what_is_imported_of_a_day_comes_to_the_same_whenever_it_comes() {
    let values: Vec<f64> = (0..120).map(|n| f64::from(n % 7)).collect();
    let expected = Bucket { count: 120, sum: values.iter().sum(), min: 0.0, max: 6.0, last: values[119] };
    for days in [1, 4, 45, 500] {
        let now = START + days * DAY_MS + 2 * 3_600_000;
        let mut store = Store::new();
        put(&mut store, START, &values[..60]);
        store.tidy(now);
        put(&mut store, START + 3_600_000, &values[60..]);
        store.tidy(now + 1_200_000);
        assert_eq!(day_of(&store), expected, "{days} days old");
        if days < 500 {
            // The same once more.
            put(&mut store, START, &values[..60]);
            store.tidy(now + 2_400_000);
            assert_eq!(day_of(&store), expected, "{days} days old, twice");
        }
    }
}

#[test]
fn a_damaged_pack_keeps_nothing_else_from_being_done_and_goes_when_it_is_old() {
    let mut store = Store::new();
    for n in 0..100 {
        store.commit(START + n * EVERY, &[(7, figure(n as u64)), (300, 1.0)]);
    }
    store.history.compact(store.database.connection(), START, || ()).expect("packed");
    let damage = "UPDATE pack SET data = zeroblob(40) WHERE block = 1";
    assert_eq!(store.database.connection().execute(damage, []).expect("damaged"), 1);
    store.commit(START + 200 * EVERY, &[(7, 1.0), (300, 2.0)]);
    store.history.compact(store.database.connection(), START + DAY_MS + 7_200_000, || ()).expect("compacted");
    let left = |store: &mut Store, of: &str| -> i64 {
        let count = format!("SELECT count(*) FROM pack WHERE {of}");
        store.database.connection().query_row(&count, [], |row| row.get(0)).expect("counted")
    };
    assert_eq!((left(&mut store, "sealed = 2"), left(&mut store, "step = 0 AND sealed = 1")), (1, 2));
    store.tidy(START + 10 * DAY_MS);
    assert_eq!(left(&mut store, "sealed = 2"), 0);
}

#[test]
fn of_more_blocks_than_there_is_time_for_none_waits_for_ever() {
    let mut store = Store::new();
    let nodes: Vec<(u64, f64)> = (0..8).map(|block| (block * 256 + 1, 1.0)).collect();
    // Each call has time for one block, and all become due again before the last of them was done.
    for n in 0..20 {
        let stamp = START + n * 1_800_000;
        store.commit(stamp, &nodes);
        store.history.tidy(store.database.connection(), stamp, Duration::ZERO, Duration::ZERO).expect("tidied");
    }
    let packed = "SELECT count(DISTINCT block) FROM pack WHERE step = 0";
    let packed: i64 = store.database.connection().query_row(packed, [], |row| row.get(0)).expect("counted");
    assert_eq!(packed, 8);
}

#[test]
fn a_file_that_does_not_give_room_back_is_made_anew() {
    let Store { database, file, _folder, .. } = Store::new();
    drop(database);
    let number = |file: &std::path::Path| -> i64 {
        let connection = rusqlite::Connection::open(file).expect("opened");
        connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).expect("a number")
    };
    let connection = rusqlite::Connection::open(&file).expect("opened");
    connection.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM").expect("made");
    drop(connection);
    assert_eq!(number(&file), 0);
    drop(Database::open(&file).expect("a database"));
    assert_eq!(number(&file), 2);
}

#[test]
fn of_a_commit_that_is_damaged_what_stands_before_is_read_and_packed() {
    let mut store = Store::new();
    store.commit(START, &[(1, 1.5), (2, 2.5)]);
    store.commit(START + EVERY, &[(1, 3.5), (2, 4.5)]);
    let cut = "UPDATE recent SET data = CAST(substr(data, 1, length(data) - 1) AS BLOB) WHERE number = 2";
    assert_eq!(store.database.connection().execute(cut, []).expect("damaged"), 1);
    let range = Range { from: START, to: START + DAY_MS };
    for _ in 0..2 {
        let reader = store.reader();
        let found = reader.snapshot().and_then(|snapshot| snapshot.samples(&[1, 2], range)).expect("read");
        assert_eq!(found[&1], (vec![START, START + EVERY].into(), vec![1.5, 3.5]));
        assert_eq!(found[&2].1.first(), Some(&2.5));
        store.history.compact(store.database.connection(), START, || ()).expect("packed");
    }
}

#[test]
fn of_a_series_that_is_damaged_nothing_is_told() {
    let mut store = Store::new();
    let nodes: Vec<(u64, f64)> = (1..30).map(|id| (id, figure(id))).collect();
    for n in 0..100 {
        store.commit(START + n * EVERY, &nodes);
    }
    store.history.compact(store.database.connection(), START, || ()).expect("packed");
    let data = "SELECT data FROM pack WHERE step = 0";
    let mut data: Vec<u8> = store.database.connection().query_row(data, [], |row| row.get(0)).expect("a pack");
    let range = Range { from: START, to: START + DAY_MS };
    let ids: Vec<u64> = (1..30).collect();
    let lost_of = |store: &Store, ids: &[u64]| {
        let reader = store.reader();
        let found = reader.snapshot().and_then(|snapshot| snapshot.samples(ids, range));
        matches!(found, Err(super::Error::Damaged { .. }))
    };
    for (at, lost) in [(data.len() - 2, 1), (data.len() - 40, 1), (12, ids.len())] {
        data[at] ^= 1;
        store.database.connection().execute("UPDATE pack SET data = ? WHERE step = 0", [&data]).expect("damaged");
        assert!(lost_of(&store, &ids), "byte {at}");
        // One by one, the others are told.
        assert_eq!(ids.iter().filter(|id| lost_of(&store, &[**id])).count(), lost, "byte {at}");
        data[at] ^= 1;
    }
}
