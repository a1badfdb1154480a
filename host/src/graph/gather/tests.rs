//! What a picture is made of, with a history that tests tell.

use super::*;
use crate::graph::{Body, Form};
use crate::limits::{GRAPH_CHANGES_MAX, GRAPH_CHILDREN_MAX, GRAPH_LINES_MAX, GRAPH_MARKERS_MAX};
use crate::tree::Limits;
use crate::trend::{Ask, Axis, Engine, Line, Told};
use parking_lot::Mutex;
use plugin_api::Delta;
use std::time::Duration;

const NOW: i64 = 1_767_571_200_000;

/// A history that says what a test wants, and remembers what it was asked.
struct History<F> {
    asked: Mutex<Vec<Ask>>,
    says: F,
}

impl<F> std::fmt::Debug for History<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History")
    }
}

impl<F: Fn(&Ask) -> Vec<Line> + Send + Sync> Trend for History<F> {
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
        self.asked.lock().push(ask.clone());
        Ok((Axis::Even { from: NOW - 3_600_000, step: 60_000, n: 60 }, (self.says)(ask)))
    }

    fn of(&self, _: Engine) -> Option<&dyn Trend> {
        None
    }
}

fn history<F: Fn(&Ask) -> Vec<Line> + Send + Sync>(says: F) -> History<F> {
    History { asked: Mutex::default(), says }
}

fn tree(feed: impl FnOnce(&mut Delta)) -> RwLock<Tree> {
    let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
    let mut delta = Delta::new();
    feed(&mut delta);
    tree.merge(&[], delta.flush(), 0).expect("merged");
    RwLock::new(tree)
}

fn pattern(path: &str) -> Pattern {
    Pattern::parse(path).expect("a path")
}

fn question(path: &str) -> Question {
    Question {
        pattern: pattern(path),
        from: None,
        to: None,
        step_ms: None,
        figures: Vec::new(),
        fold: None,
        markers: Vec::new(),
        unit: None,
        now_ms: NOW,
        commit_ms: 10_000,
        retention: Retention::from(crate::conf::TrendConf::default()),
    }
}

fn look(kind: Kind) -> Look {
    Look { kind: Some(kind), ..Look::new(Form::Svg) }
}

fn list(tree: &RwLock<Tree>, question: &Question, look: &Look) -> List {
    match gather(tree, None, question, look, &|| true).expect("a picture").body {
        Body::List(list) => list,
        Body::Time(time) => panic!("{time:?}"),
    }
}

fn figures(path: String, value: f64) -> Line {
    Line { path, told: Told::Figures(vec![vec![value; 60]]) }
}

#[test]
fn a_top_is_that_of_all_however_many_there_are() {
    let many = 120_000_u32;
    let tree = tree(|_| {});
    // More than a delta has room for.
    for part in (0..many).collect::<Vec<_>>().chunks(20_000) {
        let mut delta = Delta::new();
        for n in part {
            let worth = if n + 2 >= many { 100.0 + f64::from(*n) } else { 1.0 };
            delta.set(&["url", ["b", "a"][*n as usize % 2], &n.to_string()], worth);
        }
        tree.write().merge(&[], delta.flush(), 0).expect("merged");
    }
    for path in ["url,*", "url,a,*", "url,a", "url,*,"] {
        let list = list(&tree, &question(path), &look(Kind::Top));
        let all = match path {
            "url,*" | "url,*," => 2,
            _ => many as usize / 2,
        };
        assert_eq!(list.rows.len() + list.more, all, "{path}");
    }
    let last = |path: &str| list(&tree, &question(path), &look(Kind::Top)).rows[0].clone();
    assert_eq!(last("url,a"), ("119999".to_owned(), 120_099.0));
    assert_eq!(last("url,*,*"), ("a 119999".to_owned(), 120_099.0));
    let every = list(&tree, &question("url,*,*"), &look(Kind::Top));
    assert_eq!(every.rows.len() + every.more, many as usize);
    assert_eq!(every.rows[1], ("b 119998".to_owned(), 120_098.0));
}

#[test]
fn what_a_style_knows_is_found_among_any_number() {
    let tree = tree(|delta| {
        for n in 0..2_000 {
            delta.set(&["cpu", "h1", &format!("x{n}")], 1_000.0);
        }
        delta.set(&["cpu", "h1", "idle"], 7.0);
        delta.set(&["cpu", "h1", "user"], 9.0);
    });
    let look = Look { style: &crate::graph::styles::STYLES[1], ..look(Kind::Top) };
    let list = list(&tree, &question("cpu,h1"), &look);
    assert_eq!(list.rows, [("user".to_owned(), 9.0), ("idle".to_owned(), 7.0)]);
    assert_eq!(list.more, 0);
}

#[test]
fn of_many_children_the_heaviest_are_asked_for_and_of_few_all() {
    let tree = tree(|delta| {
        for n in 0..=GRAPH_CHILDREN_MAX {
            delta.set(&["many", &format!("k{n:04}"), "x"], n as f64);
            delta.set_text(&["texts", &format!("k{n:04}")], "x");
        }
        delta.set(&["few", "a"], 1.0);
        delta.set_text(&["few", "b"], "x");
    });
    let asked = |path: &str| {
        let history = history(|ask| vec![figures(ask.pattern.to_string(), 1.0)]);
        let picture = gather(&tree, Some(&history), &question(path), &look(Kind::Line), &|| true).expect("a picture");
        let Body::Time(time) = picture.body else { panic!("{picture:?}") };
        let asked: Vec<String> = history.asked.lock().iter().map(|ask| ask.pattern.to_string()).collect();
        (asked, time.lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>())
    };
    for (kind, note) in [(Kind::Line, "+ 977 more"), (Kind::Stacked, "+ 977 more, not added up")] {
        let history = history(|ask| vec![figures(ask.pattern.to_string(), 1.0)]);
        let picture = gather(&tree, Some(&history), &question("many"), &look(kind), &|| true).expect("a picture");
        assert_eq!(picture.note, note);
    }
    let (patterns, names) = asked("many");
    assert_eq!(patterns.len(), GRAPH_LINES_MAX);
    assert_eq!((&*patterns[0], &*names[0]), ("many,k1000", "k1000"));
    assert!(patterns.contains(&"many,k0977".to_owned()), "{patterns:?}");
    assert_eq!(asked("few").0, ["few,*"]);
    assert_eq!(asked("few,a").0, ["few,a"]);
    // Texts have no weight.
    assert_eq!(asked("texts").0, ["texts"]);
}

#[test]
fn the_newest_markers_are_kept_and_too_many_are_refused() {
    let tree = tree(|delta| delta.set(&["a"], 1.0));
    let changes = |lines: usize, each: usize| {
        move |ask: &Ask| {
            if ask.pattern.to_string() == "a" {
                return vec![figures("a".to_owned(), 1.0)];
            }
            assert!(ask.figures.is_empty(), "no numbers are read for a marker");
            let told = |line: usize| {
                let at = |n: usize| (NOW - 3_000_000 + (n * lines + line) as i64, Some(format!("{line} {n}")));
                // What held as the range began is none.
                let before = (NOW - 4_000_000, Some("old".to_owned()));
                Told::Events([before].into_iter().chain((0..each).map(at)).collect())
            };
            (0..lines).map(|line| Line { path: format!("os,h{line}"), told: told(line) }).collect()
        }
    };
    let marked = Question { markers: vec![pattern("os,*")], ..question("a") };
    let history = history(changes(300, 7));
    let picture = gather(&tree, Some(&history), &marked, &look(Kind::Line), &|| true).expect("a picture");
    let Body::Time(time) = picture.body else { panic!("{picture:?}") };
    assert_eq!(time.markers.len(), GRAPH_MARKERS_MAX);
    let last = time.markers.last().expect("a marker");
    assert_eq!((last.at_ms, &*last.text), (NOW - 3_000_000 + 7 * 300 - 1, "h299 299 6"));
    assert!(time.markers.iter().all(|marker| marker.at_ms >= NOW - 3_000_000 + 2_000));
    let twice = Question { markers: vec![pattern("os,*"), pattern("app,*")], ..question("a") };
    let history = self::history(changes(11, GRAPH_CHANGES_MAX / 20));
    let refused = gather(&tree, Some(&history), &twice, &look(Kind::Line), &|| true);
    assert!(matches!(&refused, Err(Wrong::Asked(why)) if why.contains("changes are to be marked")), "{refused:?}");
}

#[test]
fn the_ends_of_all_numbers_are_times_too() {
    let tree = tree(|delta| delta.set(&["a"], 1.0));
    let history = history(|_| vec![figures("a".to_owned(), 1.0)]);
    for (from, to) in
        [(Some(i64::MIN), None), (None, Some(i64::MIN)), (Some(i64::MIN), Some(i64::MAX)), (None, Some(i64::MAX))]
    {
        for step_ms in [None, Some(1_000)] {
            for kind in [Kind::Line, Kind::Top, Kind::Bar] {
                let asked = Question { from, to, step_ms, ..question("a") };
                let gathered = gather(&tree, Some(&history), &asked, &look(kind), &|| true);
                // A range that has no length, or too many steps, is refused.
                let refused = from.or(to) == Some(i64::MIN) && (to == Some(i64::MIN) || kind != Kind::Top);
                assert_eq!(matches!(gathered, Err(Wrong::Asked(_))), refused, "{from:?} {to:?} {step_ms:?} {kind:?}");
            }
        }
    }
}

#[test]
fn nothing_more_is_looked_at_for_who_has_left() {
    let children = GRAPH_CHILDREN_MAX + 1;
    let tree = tree(|delta| (0..children).for_each(|n| delta.set(&["many", &format!("k{n}")], n as f64)));
    let history = history(|ask| vec![figures(ask.pattern.to_string(), 1.0)]);
    let still = || history.asked.lock().len() < 2;
    let left = gather(&tree, Some(&history), &question("many"), &look(Kind::Line), &still);
    assert!(matches!(left, Err(Wrong::Left)), "{left:?}");
    assert_eq!(history.asked.lock().len(), 2, "of the heaviest children each would be asked for");
    let left = gather(&tree, None, &question("many"), &look(Kind::Top), &|| false);
    assert!(matches!(left, Err(Wrong::Left)), "{left:?}");
}
