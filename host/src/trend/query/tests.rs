//! Questions to a file, however old what they ask for is.

use super::{Ask, AskError, Axis, Figure, Line, ask};
use crate::tree::{Kept, More, Pattern, Row};
use crate::trend::history::{DAY_MS, History, IMPORTED, Range, Reader, Retention};
use crate::trend::pending::Pending;
use crate::trend::relays::Relays;
use crate::trend::sqlite::Database;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// The beginning of a day.
const START: i64 = 1_767_571_200_000;
const EVERY: i64 = 10_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// Those of a line of one figure.
fn values(line: Line) -> Vec<f64> {
    match line.told {
        super::Told::Figures(mut figures) => figures.remove(0),
        super::Told::Events(events) => panic!("{events:?}"),
    }
}

struct Store {
    database: Database,
    history: History,
    file: PathBuf,
    named: HashSet<u64>,
    every_ms: i64,
    _folder: tempfile::TempDir,
}

/// A node's number, path and value, and whether its total is told.
type Told = (u64, &'static str, f64, bool);

impl Store {
    fn new() -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("graftd.db");
        let mut database = Database::open(&file).expect("a database");
        // Nothing is lost by a power failure here.
        database.connection().pragma_update(None, "synchronous", "OFF").expect("set");
        let retention = Retention {
            raw_ms: 2 * DAY_MS,
            minute_ms: 30 * DAY_MS,
            ten_minutes_ms: 366 * DAY_MS,
            day_ms: 3_653 * DAY_MS,
        };
        let history = History::open(database.connection(), retention).expect("a history");
        Store { database, history, file, named: HashSet::new(), every_ms: EVERY, _folder: folder }
    }

    fn write(&mut self, stamp: i64, told: &[Told], gone: Vec<u64>) {
        let mut row = |(id, path, value, total): &Told| {
            let path = self.named.insert(*id).then(|| (*path).into());
            let more = More { path, total: *total, ..More::default() };
            (*id, Row { id: *id, value: Kept::Number(*value), more: Some(Box::new(more)) })
        };
        let rows = told.iter().map(&mut row).collect();
        let pending = Pending { rows, gone, every_ms: self.every_ms, ..Pending::default() };
        self.write_down(stamp, pending);
        self.history.committed(stamp, told.iter().map(|(id, ..)| *id));
    }

    fn write_down(&mut self, stamp: i64, pending: Pending) {
        let pending = Pending { unix_ms: stamp, stamp, gone_ms: stamp, history: true, ..pending };
        let relays = Relays::new(self.database.connection()).expect("an id");
        self.database.write(&pending, &relays, None, self.history.next(), None).expect("written");
    }

    /// Commits a counter of one a second at each interval from a time to another, without the latter.
    fn count(&mut self, from: i64, to: i64) {
        for stamp in (from..to).step_by(EVERY as usize) {
            self.write(stamp, &[(1, "hits", ((stamp - START) / 1_000) as f64, false)], Vec::new());
        }
    }

    fn tidy(&mut self, now: i64) {
        while self
            .history
            .tidy(self.database.connection(), now, Duration::from_secs(60), Duration::ZERO)
            .expect("tidied")
            > 0
        {}
    }

    fn asked(&self, path: &str, range: Range, step_ms: i64, figure: Figure) -> Result<Vec<(Axis, Vec<f64>)>, AskError> {
        let reader = Reader::open(&self.file).expect("a reader");
        let pattern = Pattern::parse(path).expect("a pattern");
        let question = Ask { pattern, range, step_ms, one: false, figures: vec![figure], fold: None, commit_ms: EVERY };
        let (axis, lines) = ask(&reader.snapshot().expect("a snapshot"), &question)?;
        Ok(lines.into_iter().map(|line| (axis.clone(), values(line))).collect())
    }

    fn line(&self, path: &str, range: Range, step_ms: i64, figure: Figure) -> Vec<Option<f64>> {
        let mut lines = self.asked(path, range, step_ms, figure).expect("an answer");
        assert_eq!(lines.len(), 1, "lines of {path}");
        lines.remove(0).1.into_iter().map(|x| (!x.is_nan()).then_some(x)).collect()
    }

    fn hits(&self, from: i64, to: i64, step_ms: i64, figure: Figure) -> Vec<Option<f64>> {
        self.line("hits", Range { from: START + from, to: START + to }, step_ms, figure)
    }
}

/// What grows after the last commit is not known yet.
fn known(mut line: Vec<Option<f64>>, step_ms: i64) -> Vec<Option<f64>> {
    let waits = line.iter().rev().take((EVERY / step_ms) as usize).take_while(|x| x.is_none()).count();
    line.truncate(line.len() - waits);
    line
}

fn all(line: &[Option<f64>], expected: f64) -> bool {
    line.iter().all(|x| x.is_some_and(|x| (x - expected).abs() < 1e-9))
}

#[test]
fn a_rate_is_the_same_by_any_step_and_at_any_age() {
    let mut store = Store::new();
    store.count(START, START + DAY_MS + HOUR);
    for (days, steps) in [
        (1, &[1_000, EVERY, 25_000, MINUTE, HOUR][..]),
        (4, &[1_000, EVERY, 25_000, MINUTE, 90_000, 600_000, HOUR]),
        (45, &[EVERY, MINUTE, 90_000, 600_000, HOUR]),
    ] {
        store.tidy(START + days * DAY_MS + HOUR);
        for step in steps {
            // As old data lie there: in seconds, in minutes, in ten of them.
            let rates = known(store.hits(2 * HOUR, 4 * HOUR, *step, Figure::Rate), *step);
            assert!(all(&rates, 1.0), "after {days} days by {step} ms: {:?}", &rates[..rates.len().min(80)]);
            // Over the end of the day.
            let rates = known(store.hits(23 * HOUR, 24 * HOUR + HOUR / 2, *step, Figure::Rate), *step);
            assert!(
                all(&rates, 1.0),
                "after {days} days at midnight by {step} ms: {:?}",
                &rates[..rates.len().min(80)]
            );
        }
    }
}

#[test]
fn a_pause_of_some_minutes_is_one_when_minutes_are_kept() {
    let mut store = Store::new();
    store.count(START, START + HOUR + 20_000);
    // What a log has of it is caught up at once.
    store.count(START + HOUR + 5 * MINUTE, START + 2 * HOUR);
    let check = |store: &Store, when: &str| {
        let values = store.hits(HOUR - MINUTE, HOUR + 7 * MINUTE, MINUTE, Figure::Value);
        let there: Vec<bool> = values.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, true, false, false, false, false, true, true], "{when}");
        let rates = store.hits(HOUR - MINUTE, HOUR + 7 * MINUTE, MINUTE, Figure::Rate);
        let rates: Vec<Option<f64>> = rates.into_iter().filter(Option::is_some).collect();
        // A minute does not say when in it the daemon went.
        assert!(rates.iter().flatten().all(|rate| *rate < 1.25), "{when}: {rates:?}");
    };
    check(&store, "as committed");
    store.tidy(START + 4 * DAY_MS);
    check(&store, "by minutes");
    store.tidy(START + 45 * DAY_MS);
    // The last bucket of ten minutes is as long as the others.
    let last = store.hits(HOUR + 50 * MINUTE, 2 * HOUR, MINUTE, Figure::Value);
    assert!(last.iter().all(Option::is_some), "{last:?}");
}

#[test]
fn a_range_that_begins_in_a_pause_has_no_peak() {
    let mut store = Store::new();
    store.count(START, START + HOUR);
    store.count(START + 2 * HOUR, START + 2 * HOUR + 10 * MINUTE);
    for from in [HOUR / 2, HOUR + MINUTE, 2 * HOUR - MINUTE, 2 * HOUR] {
        for step in [EVERY, MINUTE] {
            let rates = store.hits(from, 2 * HOUR + 5 * MINUTE, step, Figure::Rate);
            let known: Vec<f64> = rates.into_iter().flatten().collect();
            assert!(known.iter().all(|rate| (rate - 1.0).abs() < 0.02), "from {from} by {step}: {known:?}");
            assert!(known.len() as i64 >= 5 * MINUTE / step, "from {from} by {step}");
        }
    }
}

#[test]
fn what_a_pause_left_may_come_with_the_second_commit_after_it() {
    let mut store = Store::new();
    store.count(START, START + HOUR);
    // All there is, before anything of the log has been read.
    store.write(START + 2 * HOUR, &[(1, "hits", 3_590.0, false)], Vec::new());
    store.count(START + 2 * HOUR + EVERY, START + 2 * HOUR + 10 * MINUTE);
    for from in [HOUR / 2, HOUR + MINUTE, 2 * HOUR] {
        let rates = store.hits(from, 2 * HOUR + 5 * MINUTE, EVERY, Figure::Rate);
        let known: Vec<f64> = rates.into_iter().flatten().collect();
        assert!(known.iter().all(|rate| *rate < 1.1), "from {from}: {known:?}");
    }
}

#[test]
fn the_step_under_way_has_the_rate_of_what_there_is_of_it() {
    let mut store = Store::new();
    store.count(START, START + 2 * HOUR + 5 * MINUTE);
    let rates = store.hits(HOUR, 2 * HOUR + 5 * MINUTE, HOUR, Figure::Rate);
    assert!(all(&rates, 1.0) && rates.len() == 2, "{rates:?}");
}

#[test]
fn only_a_counter_that_was_added_to_began_at_nothing() {
    let mut store = Store::new();
    store.count(START, START + HOUR);
    for n in 0..60 {
        let (counted, told) = (f64::from(n + 1) * 20.0, 5e9 + f64::from(n) * 20.0);
        let stamp = START + HOUR + i64::from(n) * EVERY;
        let hits = (stamp - START) as f64 / 1e3;
        store.write(
            stamp,
            &[(1, "hits", hits, false), (2, "new", counted, false), (3, "told", told, true)],
            Vec::new(),
        );
    }
    let range = Range { from: START + HOUR, to: START + HOUR + 10 * MINUTE };
    for gone in [false, true] {
        for (step, of_first) in [(EVERY, 2.0), (MINUTE, 2.0)] {
            let new = store.line("new", range, step, Figure::Rate);
            assert!(all(&new, of_first), "{new:?}");
            let told = store.line("told", range, step, Figure::Rate);
            assert!(told[0].is_none() && all(&told[1..], 2.0), "gone {gone}: {told:?}");
        }
        store.write(START + HOUR + 10 * MINUTE, &[], vec![2, 3]);
    }
}

#[test]
fn a_chart_by_days_begins_with_a_rate() {
    let mut store = Store::new();
    store.count(START, START + 3 * DAY_MS + HOUR);
    store.tidy(START + 3 * DAY_MS + 2 * HOUR);
    let rates = store.hits(DAY_MS, 3 * DAY_MS + HOUR, DAY_MS, Figure::Rate);
    assert!(all(&rates, 1.0) && rates.len() == 3, "{rates:?}");
}

#[test]
fn of_raw_values_no_more_are_read_than_there_is_room_for() {
    let mut store = Store::new();
    let series = |id: u64| (id, &*Box::leak(format!("many,{id}").into_boxed_str()), id as f64, false);
    let many: Vec<Told> = (1..=990).map(series).collect();
    store.write(START, &many, Vec::new());
    for n in 1..6_000 {
        store.write(START + n * EVERY, &[], Vec::new());
    }
    let range = Range { from: START, to: START + DAY_MS };
    assert!(matches!(store.asked("many,*", range, 0, Figure::Value), Err(AskError::TooMuch(_))));
    assert_eq!(store.asked("many,*", range, HOUR, Figure::Value).expect("an answer").len(), 990);
    assert_eq!(store.asked("many,7", range, 0, Figure::Value).expect("an answer").len(), 1);
}

#[test]
fn what_is_imported_late_is_told_once() {
    let mut store = Store::new();
    let named = "INSERT INTO series(id, path) VALUES(?, 'old')";
    store.database.connection().execute(named, [IMPORTED.cast_signed()]).expect("named");
    let put = |store: &mut Store, samples: &[(i64, f64)]| {
        let samples = samples.iter().map(|(time, value)| (START + time, *value)).unzip();
        let samples = BTreeMap::from([(IMPORTED, samples)]);
        store.history.put(store.database.connection(), samples).expect("put");
    };
    put(&mut store, &[(0, 1.0), (20_000, 2.0), (5 * MINUTE, 3.0)]);
    store.tidy(START + 4 * DAY_MS);
    put(&mut store, &[(0, 4.0), (30_000, 5.0), (2 * MINUTE, 6.0), (6 * MINUTE, 7.0)]);
    let range = Range { from: START, to: START + 10 * MINUTE };
    let lines = store.asked("old", range, 0, Figure::Count).expect("an answer");
    let (axis, counts) = &lines[0];
    let times: Vec<i64> = (0..axis.len()).map(|place| axis.at(place) - START).collect();
    assert_eq!(times, [0, 2 * MINUTE, 5 * MINUTE, 6 * MINUTE]);
    assert_eq!(counts, &[4.0, 1.0, 1.0, 1.0]);
}

#[test]
fn the_last_of_some_keys_is_what_was_told_last() {
    let mut store = Store::new();
    store.write(START, &[(1, "v,a", 1.0, false), (2, "v,b", 2.0, false)], Vec::new());
    store.write(START + EVERY, &[(1, "v,a", 3.0, false)], Vec::new());
    store.write(START + 2 * EVERY, &[(2, "v,b", 4.0, false)], Vec::new());
    store.write(START + 3 * EVERY, &[], Vec::new());
    let reader = Reader::open(&store.file).expect("a reader");
    let range = Range { from: START, to: START + 4 * EVERY };
    let pattern = Pattern::parse("v,").expect("a pattern");
    for (step_ms, expected) in [(EVERY, &[2.0, 3.0, 4.0, 4.0][..]), (2 * EVERY, &[3.0, 4.0])] {
        let question = Ask {
            pattern: pattern.clone(),
            range,
            step_ms,
            one: false,
            figures: vec![Figure::Last],
            fold: Some(super::Fold::Last),
            commit_ms: EVERY,
        };
        let (_, lines) = ask(&reader.snapshot().expect("a snapshot"), &question).expect("an answer");
        assert_eq!(lines.into_iter().next().map(values).as_deref(), Some(expected));
    }
}

#[test]
fn where_a_node_had_no_value_of_its_own_what_was_below_counts() {
    let mut store = Store::new();
    store.write(START, &[(1, "n,a", 1.0, false), (2, "n,b", 2.0, false)], Vec::new());
    store.write(START + EVERY, &[], Vec::new());
    store.write(START + 2 * EVERY, &[(3, "n", 9.0, false)], vec![1, 2]);
    store.write(START + 3 * EVERY, &[], Vec::new());
    let range = Range { from: START, to: START + 4 * EVERY };
    let line = store.line("n", range, EVERY, Figure::Value);
    assert_eq!(line, [Some(3.0), Some(3.0), Some(9.0), Some(9.0)]);
}

#[test]
fn of_several_figures_each_is_filled_from_below_by_itself() {
    let mut store = Store::new();
    store.write(START, &[(1, "n,a", 1.0, false), (2, "n,b", 2.0, false)], Vec::new());
    store.write(START + EVERY, &[(3, "n", 9.0, false)], vec![1, 2]);
    store.write(START + 2 * EVERY, &[], Vec::new());
    let reader = Reader::open(&store.file).expect("a reader");
    let question = Ask {
        pattern: Pattern::parse("n").expect("a pattern"),
        range: Range { from: START, to: START + 3 * EVERY },
        step_ms: EVERY,
        one: false,
        figures: vec![Figure::Last, Figure::Sum, Figure::Quantile(0.5), Figure::Count],
        fold: None,
        commit_ms: EVERY,
    };
    let (_, lines) = ask(&reader.snapshot().expect("a snapshot"), &question).expect("an answer");
    let super::Told::Figures(figures) = &lines[0].told else { panic!("{lines:?}") };
    let told = |place: usize| -> Vec<Option<f64>> {
        figures[place].iter().map(|value| (!value.is_nan()).then_some(*value)).collect()
    };
    assert_eq!(told(0), [Some(3.0), Some(9.0), Some(9.0)]);
    // The sum of what was told is of the node itself.
    assert_eq!(told(1), [None, Some(9.0), None]);
    assert_eq!(told(2), [None; 3]);
    assert_eq!(told(3), [Some(2.0), Some(1.0), Some(0.0)]);
}

#[test]
fn what_is_gone_has_the_action_that_it_had() {
    let mut store = Store::new();
    let row = |id: u64, path: &str, value: Option<f64>| {
        let value = value.map_or(Kept::None, Kept::Number);
        let action = value.eq(&Kept::None).then_some(plugin_api::Action::Average);
        let more = More { path: Some(path.into()), action, ..More::default() };
        (id, Row { id, value, more: Some(Box::new(more)) })
    };
    let rows = [row(1, "cpu", None), row(2, "cpu,a", Some(10.0)), row(3, "cpu,b", Some(30.0))];
    store.write_down(START, Pending { rows: rows.into(), ..Pending::default() });
    store.history.committed(START, [1, 2, 3].into_iter());
    let range = Range { from: START, to: START + EVERY };
    assert_eq!(store.line("cpu,", range, EVERY, Figure::Value), [Some(20.0)]);
    let mut restored = Vec::new();
    let each = |path: &str, row: &Row| {
        restored.push((path.to_owned(), row.more.as_ref().and_then(|more| more.action)));
    };
    store.database.each(each).expect("read");
    let average = ("cpu".to_owned(), Some(plugin_api::Action::Average));
    assert_eq!(restored, [average, ("cpu,a".to_owned(), None), ("cpu,b".to_owned(), None)]);
    store.write(START + EVERY, &[], vec![1, 2, 3]);
    assert_eq!(store.line("cpu,", range, EVERY, Figure::Value), [Some(20.0)]);
}

#[test]
fn what_was_committed_more_rarely_than_now_has_no_gaps() {
    let mut store = Store::new();
    store.every_ms = MINUTE;
    for n in 0..20 {
        store.write(START + n * MINUTE, &[(1, "hits", (n * 60) as f64, false)], Vec::new());
    }
    let values = store.hits(0, 19 * MINUTE, EVERY, Figure::Value);
    assert!(values.iter().all(Option::is_some), "{values:?}");
    let rates = store.hits(MINUTE, 19 * MINUTE - 5 * EVERY, EVERY, Figure::Rate);
    assert!(all(&rates[..17 * 6 + 1], 1.0), "{rates:?}");
}

#[test]
fn a_file_of_the_second_form_is_taken_over() {
    let mut store = Store::new();
    store.count(START, START + MINUTE);
    let before = "ALTER TABLE series DROP COLUMN action; ALTER TABLE series DROP COLUMN total; DROP TABLE sketch; \
                  DROP TABLE sketch_base; DROP TABLE relay; DROP TABLE spool; DROP TABLE peer; DROP TABLE lineage; \
                  PRAGMA user_version = 2";
    store.database.connection().execute_batch(before).expect("made old");
    store.database = Database::open(&store.file).expect("taken over");
    store.count(START + MINUTE, START + 2 * MINUTE);
    assert!(all(&store.hits(EVERY, 2 * MINUTE, EVERY, Figure::Rate), 1.0));
}
