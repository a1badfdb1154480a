//! Files that earlier versions wrote.

use super::{DAY_MS, Daemon, new_tree, retention};
use crate::tree::{Kept, Pattern};
use crate::trend::codec::commit::put_sample;
use crate::trend::history::{History, Reader};
use crate::trend::pending::Pending;
use crate::trend::query::{Ask, Figure, Told, ask};
use crate::trend::relays::Relays;
use crate::trend::sqlite::Database;
use crate::trend::tools::check;
use crate::trend::{FILE, Range};
use plugin_api::Delta;
use plugin_api::sketch::{Distinct, Quantiles};
use rusqlite::{Connection, params};
use std::path::Path;

/// As the first form was made.
const FIRST: &str = "
CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY, path TEXT NOT NULL) STRICT;
CREATE TABLE state(id INTEGER PRIMARY KEY, value ANY, action TEXT, life_ms INTEGER, total INTEGER, error REAL) STRICT;
CREATE TABLE meta(id INTEGER PRIMARY KEY, pairs BLOB NOT NULL) STRICT;
CREATE TABLE source(name TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = 1735550580;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
";

/// What the second had beside it.
const SECOND: &str = "
ALTER TABLE series ADD COLUMN gone_ms INTEGER;
CREATE TABLE recent(block INTEGER, number INTEGER, stamp INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(block, number))
  STRICT, WITHOUT ROWID;
CREATE TABLE pack(id INTEGER PRIMARY KEY, block INTEGER NOT NULL, step INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, samples INTEGER NOT NULL,
  made INTEGER NOT NULL, sealed INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX pack_place ON pack(block, step, start);
CREATE TABLE event(series INTEGER, stamp INTEGER, value ANY, PRIMARY KEY(series, stamp)) STRICT, WITHOUT ROWID;
CREATE INDEX pack_unsealed ON pack(start) WHERE step = 0 AND sealed = 0;
CREATE INDEX pack_age ON pack(step, start);
CREATE INDEX pack_made ON pack(made);
CREATE INDEX event_age ON event(stamp);
CREATE INDEX series_path ON series(path);
CREATE INDEX series_gone ON series(gone_ms) WHERE gone_ms IS NOT NULL;
CREATE INDEX state_action ON state(id) WHERE action IS NOT NULL;
PRAGMA user_version = 2;
";

const STAMP: i64 = 1_767_571_200_000;

/// A file with five nodes, as a version of a form left it.
fn old(file: &Path, form: i64) {
    let connection = Connection::open(file).expect("a database");
    connection.execute_batch(FIRST).expect("made");
    let mut ms = Quantiles::new();
    (1..=50).for_each(|n| ms.observe(f64::from(n)));
    let mut who = Distinct::new();
    (0..70_u32).for_each(|n| who.insert(&n.to_le_bytes()));
    let (mut quantiles, mut distinct) = (vec![2], vec![3]);
    ms.encode(&mut quantiles);
    who.encode(&mut distinct);
    for (id, path) in [(1, "sold"), (2, "lat"), (3, "lat,a"), (4, "who"), (5, "os"), (6, "up")] {
        connection.execute("INSERT INTO series VALUES(?, ?)", params![id, path]).expect("written");
    }
    let state = |id: i64, value: &dyn rusqlite::ToSql, action: Option<&str>| {
        let insert = "INSERT INTO state VALUES(?, ?, ?, NULL, NULL, NULL)";
        connection.execute(insert, params![id, value, action]).expect("written");
    };
    state(1, &3.5, None);
    state(2, &None::<i64>, Some("quantiles"));
    state(3, &quantiles, None);
    state(4, &distinct, Some("distinct"));
    state(5, &"12.1", None);
    state(6, &vec![1_u8], None);
    connection.execute("INSERT INTO source VALUES('log', 'byte 77')", []).expect("written");
    connection.execute("INSERT INTO info VALUES('last', 9)", []).expect("written");
    if form == 2 {
        connection.execute_batch(SECOND).expect("made");
        let mut data = Vec::new();
        put_sample(0, 1.0, &mut data);
        put_sample(1, 3.5, &mut data);
        connection.execute("INSERT INTO recent VALUES(0, 1, ?, ?)", params![STAMP, data]).expect("written");
        connection.execute("INSERT INTO event VALUES(5, ?, '12.1')", [STAMP]).expect("written");
    }
}

#[test]
fn a_file_of_an_earlier_form_is_taken_over_with_all_that_it_has() {
    for form in [1, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        old(&file, form);
        // Once it is taken over, and then it is as any other.
        for _ in 0..2 {
            let mut database = Database::open(&file).expect("taken over");
            let mut version =
                |name: &str| database.connection().pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            assert_eq!(version("user_version"), Ok(4));
            assert_eq!(database.last().expect("a number"), 9);
            assert_eq!(&*database.sources().expect("sources")["log"], "byte 77");
        }
        let mut database = Database::open(&file).expect("a database");
        let mut tree = new_tree();
        tree.keep(database.last().expect("a number"));
        let mut nodes = Vec::new();
        database
            .each(|path, row| {
                nodes.push((path.to_owned(), row.value.clone()));
                assert_eq!(tree.restore(path, row, 0), Ok(true), "{path}");
            })
            .expect("read");
        tree.end_restore();
        nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        let paths: Vec<&str> = nodes.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["lat", "lat,a", "os", "sold", "up", "who"], "form {form}");
        assert_eq!(nodes[2].1, Kept::Text("12.1".into()));
        assert_eq!(nodes[3].1, Kept::Number(3.5));
        assert_eq!(nodes[4].1, Kept::Bool(true));
        // What comes from now on is history, and what came before is known not to be.
        let mark = tree.mark();
        let mut delta = Delta::new();
        delta.observe(&["lat", "a"], 1_000.0);
        delta.distinct(&["who"], "another");
        tree.merge(&[], delta.flush(), 0).expect("merged");
        let relays = Relays::new(database.connection()).expect("an id");
        let mut pending =
            Pending { history: true, unix_ms: STAMP + 10_000, stamp: STAMP + 10_000, ..Pending::default() };
        pending.add(tree.changed_rows(mark, |_| false), Vec::new());
        let history = History::open(database.connection(), retention()).expect("a history");
        database.write(&pending, &relays, None, history.next(), None).expect("written");
        let reader = Reader::open(&file).expect("a reader");
        let checked = check(&reader, || {}).expect("checked");
        let snapshot = reader.snapshot().expect("a snapshot");
        assert_eq!((checked.damages, checked.counts), (Vec::new(), 1), "form {form}");
        let told = |path: &str, figure: Figure| {
            let question = Ask {
                pattern: Pattern::parse(path).expect("a path"),
                range: Range { from: STAMP, to: STAMP + 20_000 },
                step_ms: 10_000,
                one: false,
                figures: vec![figure],
                fold: None,
                commit_ms: 10_000,
            };
            let (_, lines) = ask(&snapshot, &question).expect("an answer");
            lines.into_iter().next().map(|line| line.told)
        };
        let is = |told: Option<Told>, expected: [f64; 2]| {
            let Some(Told::Figures(figures)) = told else { return false };
            figures[0].iter().zip(expected).all(|(a, b)| *a == b || a.is_nan() && b.is_nan())
        };
        assert!(is(told("lat,a", Figure::Max), [f64::NAN, 1_000.0]), "form {form}");
        assert!(is(told("who", Figure::Distinct), [f64::NAN, 1.0]), "form {form}: {:?}", told("who", Figure::Distinct));
        if form == 2 {
            assert!(is(told("sold", Figure::Value), [3.5, 3.5]));
            assert_eq!(told("os", Figure::Value), Some(Told::Events(vec![(STAMP, Some("12.1".to_owned()))])));
        }
    }
}

#[test]
fn a_number_that_is_lost_or_counted_twice_is_found() {
    let mut daemon = Daemon::new();
    let mut random = super::Random(7);
    for n in 0..20 {
        daemon.feed(&mut random);
        daemon.commit(STAMP + n * 10_000, true);
    }
    let damages = |daemon: &Daemon| {
        let reader = Reader::open(&daemon.file).expect("a reader");
        check(&reader, || {}).expect("checked").damages
    };
    assert_eq!(damages(&daemon), Vec::<String>::new());
    let twice = "INSERT INTO sketch SELECT series, step, time + 1, data FROM sketch WHERE time = ?";
    assert_eq!(daemon.database.connection().execute(twice, [STAMP]), Ok(3));
    assert!(damages(&daemon).iter().any(|what| what.contains("was fed")), "{:?}", damages(&daemon));
    daemon.database.connection().execute("DELETE FROM sketch WHERE time = ?", [STAMP + 1]).expect("deleted");
    assert_eq!(damages(&daemon), Vec::<String>::new());
    daemon
        .database
        .connection()
        .execute("UPDATE sketch SET data = x'0201ff' WHERE time = ?", [STAMP])
        .expect("damaged");
    assert!(damages(&daemon).iter().any(|what| what.contains("a sketch of quantiles")), "{:?}", damages(&daemon));
}

#[test]
fn totals_are_compared_with_what_was_committed_last_wherever_a_clock_had_been() {
    let mut daemon = Daemon::new();
    let mut at = |stamp: i64, value: f64| {
        let mut delta = Delta::new();
        delta.add(&["sold"], value);
        daemon.tree.merge(&[], delta.flush(), 0).expect("merged");
        daemon.commit(stamp, true);
        let reader = Reader::open(&daemon.file).expect("a reader");
        let checked = check(&reader, || {}).expect("checked");
        assert_eq!(checked.damages, Vec::<String>::new());
        (checked.remark.is_some(), checked.totals)
    };
    assert_eq!(at(STAMP, 1.0), (false, 1));
    // Years ahead, and back: what is left there is not looked at.
    assert_eq!(at(STAMP + 700 * DAY_MS, 1.0), (false, 1));
    assert_eq!(at(STAMP + 10_000, 1.0), (false, 1));
    // Hours back: what is written lies among what had been.
    assert_eq!(at(STAMP - 7_200_000, 1.0), (true, 0));
    assert_eq!(at(STAMP + 20_000, 1.0), (false, 1));
    // A file of a version that did not tell when it was committed last.
    let forget = "DELETE FROM info WHERE key = 'stamp'; DELETE FROM recent WHERE stamp > ";
    let forget = format!("{forget} {}", STAMP + DAY_MS);
    daemon.database.connection().execute_batch(&forget).expect("forgotten");
    let reader = Reader::open(&daemon.file).expect("a reader");
    let checked = check(&reader, || {}).expect("checked");
    assert_eq!((checked.damages, checked.totals), (Vec::new(), 1));
    let wrong = "UPDATE state SET value = 7.0";
    daemon.database.connection().execute(wrong, []).expect("changed");
    let checked = check(&reader, || {}).expect("checked");
    assert!(checked.damages.iter().any(|what| what.contains("ends with")), "{:?}", checked.damages);
}

#[test]
fn a_file_of_the_third_form_is_kept_from_those_who_know_no_later_packs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    let version = |set: Option<i64>| {
        let mut database = Database::open(&file).expect("opened");
        let connection = database.connection();
        let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).expect("read");
        if let Some(set) = set {
            connection.pragma_update(None, "user_version", set).expect("set");
        }
        version
    };
    assert_eq!(version(Some(3)), 4);
    assert_eq!(version(Some(5)), 4);
    let refused = Database::open(&file).map(drop).expect_err("a later form").to_string();
    assert!(refused.contains("a newer graftd has written it"), "{refused}");
}
