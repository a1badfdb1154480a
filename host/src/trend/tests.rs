//! From the tree through the file to the answer: what was fed in any time is what history has of it, whatever has become of
//! it on the way.

use super::Range;
use super::history::{DAY_MS, History, Reader, Retention};
use super::pending::Pending;
use super::query::{Ask, Figure, Told, ask};
use super::relays::Relays;
use super::sqlite::Database;
use super::tools::check;
use crate::tree::{Limits, Mark, Pattern, Tree};
use plugin_api::Delta;
use plugin_api::sketch::{Distinct, Quantiles};
use std::path::PathBuf;
use std::time::Duration;

mod events;
mod forms;
mod plans;
mod room;
mod state;

const START: i64 = 1_767_571_200_000;
const END: i64 = START + 30 * 3_600_000;
const P99: Figure = Figure::Quantile(0.99);

fn retention() -> Retention {
    Retention { raw_ms: 2 * DAY_MS, minute_ms: 30 * DAY_MS, ten_minutes_ms: 366 * DAY_MS, day_ms: 3_653 * DAY_MS }
}

/// The same numbers for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What was fed up to a commit.
#[derive(Clone, Debug, Default)]
struct Fed {
    stamp: i64,
    numbers: [Vec<f64>; 2],
    items: Vec<u64>,
}

/// A tree, its file, and all that was ever fed.
struct Daemon {
    tree: Tree,
    mark: Mark,
    database: Database,
    history: History,
    pending: Pending,
    file: PathBuf,
    _folder: tempfile::TempDir,
    fed: Vec<Fed>,
    now: Fed,
}

fn new_tree() -> Tree {
    Tree::new(Limits::default(), Duration::from_secs(1), 0)
}

impl Daemon {
    fn new() -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("graftd.db");
        let mut database = Database::open(&file).expect("a database");
        // Nothing is lost by a power failure here.
        database.connection().pragma_update(None, "synchronous", "OFF").expect("set");
        let history = History::open(database.connection(), retention()).expect("a history");
        let mut tree = new_tree();
        tree.keep(0);
        let (mark, pending, fed, now) = (tree.mark(), Pending::default(), Vec::new(), Fed::default());
        Daemon { tree, mark, database, history, pending, file, _folder: folder, fed, now }
    }

    fn feed(&mut self, random: &mut Random) {
        let mut delta = Delta::new();
        for (name, fed) in ["a", "b"].into_iter().zip(&mut self.now.numbers) {
            for _ in 0..random.below(if name == "a" { 30 } else { 4 }) {
                let ms = (random.below(1 << 20) + 1) as f64 / 64.0 / (random.below(50) + 1) as f64;
                delta.observe(&["lat", name], ms);
                fed.push(ms);
            }
        }
        for _ in 0..random.below(40) {
            let item = random.below(9_000);
            delta.distinct(&["who"], &item.to_string());
            self.now.items.push(item);
        }
        self.tree.merge(&[], delta.flush(), 0).expect("merged");
        self.tree.end_tick(0);
    }

    /// As the core and the thread that writes do; whether it was written.
    fn commit(&mut self, stamp: i64, can: bool) {
        let rows = self.tree.changed_rows(self.mark, |_| false);
        self.mark = rows.next;
        self.pending.add(rows, Vec::new());
        (self.pending.stamp, self.pending.unix_ms, self.pending.gone_ms) = (stamp, stamp, stamp);
        self.pending.history = true;
        let relays = Relays::new(self.database.connection()).expect("an id");
        self.database.connection().pragma_update(None, "query_only", !can).expect("set");
        let written = self.database.write(&self.pending, &relays, None, self.history.next(), None);
        self.database.connection().pragma_update(None, "query_only", false).expect("set");
        assert_eq!(written.is_ok(), can);
        if can {
            self.history.committed(stamp, self.pending.rows.keys().copied().collect::<Vec<_>>().into_iter());
            self.pending = Pending::default();
            self.now.stamp = stamp;
            self.fed.push(std::mem::take(&mut self.now));
        }
    }

    /// Killed, and started anew.
    fn kill(&mut self) {
        self.now = Fed::default();
        self.pending = Pending::default();
        self.tree = new_tree();
        self.tree.keep(self.database.last().expect("a number"));
        let tree = &mut self.tree;
        self.database.each(|path, row| assert_eq!(tree.restore(path, row, 0), Ok(true))).expect("read");
        self.tree.end_restore();
        self.mark = self.tree.mark();
        self.history = History::open(self.database.connection(), retention()).expect("a history");
    }

    fn tidy(&mut self, now: i64) {
        while self
            .history
            .tidy(self.database.connection(), now, Duration::from_secs(60), Duration::ZERO)
            .expect("tidied")
            > 0
        {}
    }

    /// All that was fed in a range.
    fn direct(&self, range: Range) -> ([Quantiles; 2], Distinct) {
        let (mut numbers, mut items) = ([Quantiles::new(), Quantiles::new()], Distinct::new());
        for fed in self.fed.iter().filter(|fed| (range.from..range.to).contains(&fed.stamp)) {
            for (sketch, fed) in numbers.iter_mut().zip(&fed.numbers) {
                fed.iter().for_each(|number| sketch.observe(*number));
            }
            fed.items.iter().for_each(|item| items.insert(item.to_string().as_bytes()));
        }
        (numbers, items)
    }

    fn ask(&self, path: &str, range: Range, step_ms: i64, figures: &[Figure]) -> Vec<Vec<f64>> {
        let one = step_ms == range.to - range.from;
        let pattern = Pattern::parse(path).expect("a path");
        let question = Ask { pattern, range, step_ms, one, figures: figures.to_vec(), fold: None, commit_ms: 10_000 };
        let reader = Reader::open(&self.file).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        let (_, lines) = ask(&snapshot, &question).expect("an answer");
        match lines.into_iter().next().map(|line| line.told) {
            Some(Told::Figures(figures)) => figures,
            None => vec![vec![f64::NAN]; figures.len()],
            Some(told) => panic!("{told:?}"),
        }
    }

    /// Ranges that begin and end with multiples of `every`, and what was fed in each: one figure of the range, and one of each
    /// step.
    fn check(&self, random: &mut Random, every: i64, when: &str) {
        let first = START.div_euclid(every);
        let n = (END - START) / every + 2;
        for round in 0..12 {
            let from = first + random.below(n as u64) as i64;
            let to = from + 1 + random.below((first + n - from) as u64 + 1) as i64;
            let range = Range { from: from * every, to: to * every };
            let (numbers, items) = self.direct(range);
            let mut both = numbers[0].clone();
            both.merge(&numbers[1]);
            let step = range.to - range.from;
            for (path, sketch) in [("lat,a", &numbers[0]), ("lat,b", &numbers[1]), ("lat,", &both), ("lat", &both)] {
                let figures = self.ask(path, range, step, &[P99, Figure::Count, Figure::Min, Figure::Value]);
                let found: Vec<f64> = figures.into_iter().map(|line| line[0]).collect();
                let told = |value: Option<f64>| value.unwrap_or(f64::NAN).to_bits();
                let count = if sketch.is_empty() { found[1].max(0.0) } else { sketch.count() as f64 };
                let expected = [sketch.quantile(0.99), Some(count), sketch.min(), sketch.quantile(0.5)].map(told);
                let found: Vec<u64> =
                    found.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect();
                let is_zero = sketch.is_empty();
                assert!(
                    found == expected || is_zero && found[0] == expected[0],
                    "{path} {when}, round {round}, {range:?}"
                );
            }
            let found = self.ask("who", range, step, &[Figure::Distinct])[0][0];
            assert!(found == items.estimate().round() || items.is_empty(), "{found} {when}, round {round}, {range:?}");
        }
        // The whole time in steps.
        let whole = Range { from: START.div_euclid(DAY_MS) * DAY_MS, to: (END.div_euclid(DAY_MS) + 1) * DAY_MS };
        for step in [60_000, 3_600_000, 7 * 3_600_000, DAY_MS].into_iter().filter(|step| step % every == 0) {
            let lines = self.ask("lat,a", whole, step, &[P99, Figure::Count]);
            let begin = whole.from.div_euclid(step) * step;
            let mut count = 0.0;
            for (place, p99) in lines[0].iter().enumerate() {
                let from = begin + place as i64 * step;
                let (numbers, _) = self.direct(Range { from, to: from + step });
                let same = numbers[0].quantile(0.99).map_or(p99.is_nan(), |direct| direct == *p99);
                assert!(same, "step {place} of {step} ms, {when}");
                count += if lines[1][place].is_nan() { 0.0 } else { lines[1][place] };
            }
            assert_eq!(count, self.direct(whole).0[0].count() as f64, "steps of {step} ms, {when}");
        }
        let reader = Reader::open(&self.file).expect("a reader");
        let checked = check(&reader, || {}).expect("checked");
        assert_eq!((checked.damages, checked.counts), (Vec::new(), 2), "{when}");
    }
}

#[test]
fn figures_of_any_time_are_those_of_what_was_fed_in_it() {
    for seed in 1..=3 {
        let random = &mut Random(seed);
        let mut daemon = Daemon::new();
        let mut stamp = START;
        while stamp < END {
            // At times nothing is fed between two commits, at times twice; and two commits have the same time.
            for _ in 0..random.below(3) {
                daemon.feed(random);
            }
            let can = stamp == START || random.below(10) > 0;
            daemon.commit(stamp, can);
            if random.below(150) == 0 {
                daemon.kill();
            }
            if random.below(4) == 0 {
                let _ = daemon
                    .history
                    .tidy(daemon.database.connection(), stamp, Duration::ZERO, Duration::ZERO)
                    .expect("tidied");
            }
            stamp += random.below(20) as i64 * 10_000;
        }
        daemon.feed(random);
        daemon.commit(END - 10_000, true);
        daemon.check(random, 60_000, "as it is");
        daemon.tidy(END);
        daemon.check(random, 60_000, "packed");
        daemon.history.compact(daemon.database.connection(), END, || {}).expect("compacted");
        daemon.check(random, 60_000, "packed whole");
        for (days, every) in [(4, 60_000), (45, 600_000), (500, DAY_MS)] {
            daemon.tidy(START + days * DAY_MS);
            daemon.check(random, every, &format!("after {days} days"));
        }
        daemon.tidy(START + 5_000 * DAY_MS);
        let rows = "SELECT count(*) FROM sketch";
        let left: i64 = daemon.database.connection().query_row(rows, [], |row| row.get(0)).expect("counted");
        assert_eq!(left, 0, "after ten years nothing is left");
        let reader = Reader::open(&daemon.file).expect("a reader");
        let checked = check(&reader, || {}).expect("checked");
        assert_eq!(checked.damages, Vec::<String>::new());
    }
}
