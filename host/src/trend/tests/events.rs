//! Texts as they changed.

use super::{Daemon, START, retention};
use crate::tree::{Kept, More, Pattern, Row, Rows};
use crate::trend::Range;
use crate::trend::history::{DAY_MS, History, Reader};
use crate::trend::query::{Ask, AskError, Figure, Line, Told, ask};

fn commit(daemon: &mut Daemon, day: i64, rows: &[(u64, &str)], gone: &[u64]) {
    let row = |(id, text): &(u64, &str)| {
        let more = More { path: Some(format!("os,h{id}").into()), ..More::default() };
        Row { id: *id, value: Kept::Text((*text).into()), more: Some(Box::new(more)) }
    };
    let rows = Rows { changed: rows.iter().map(row).collect(), gone: gone.to_vec(), ..Rows::default() };
    daemon.pending.add(rows, Vec::new());
    daemon.commit(START + day * DAY_MS, true);
}

fn told(daemon: &Daemon, path: &str, from: i64, to: i64) -> Vec<(i64, Option<String>)> {
    told_in(daemon, path, Range { from: START + from * DAY_MS, to: START + to * DAY_MS })
}

fn told_in(daemon: &Daemon, path: &str, range: Range) -> Vec<(i64, Option<String>)> {
    let question = Ask {
        pattern: Pattern::parse(path).expect("a path"),
        range,
        step_ms: 7 * DAY_MS,
        one: false,
        figures: vec![Figure::Value],
        fold: None,
        commit_ms: 10_000,
    };
    let reader = Reader::open(&daemon.file).expect("a reader");
    let (_, lines) = ask(&reader.snapshot().expect("a snapshot"), &question).expect("an answer");
    match lines.into_iter().next().map(|line| line.told) {
        Some(Told::Events(events)) => events.into_iter().map(|(time, text)| ((time - START) / DAY_MS, text)).collect(),
        None => Vec::new(),
        Some(told) => panic!("{told:?}"),
    }
}

fn some(events: &[(i64, &str)]) -> Vec<(i64, Option<String>)> {
    events.iter().map(|(day, text)| (*day, Some((*text).to_owned()))).collect()
}

#[test]
fn a_text_holds_until_there_is_another_or_its_node_is_gone() {
    let mut daemon = Daemon::new();
    commit(&mut daemon, 0, &[(1, "a"), (2, "x")], &[]);
    // What is told again is no event.
    commit(&mut daemon, 2, &[(1, "a")], &[]);
    commit(&mut daemon, 3, &[(1, "b")], &[]);
    commit(&mut daemon, 5, &[(1, "c")], &[]);
    commit(&mut daemon, 6, &[], &[2]);
    let rows = "SELECT count(*) FROM event";
    assert_eq!(daemon.database.connection().query_row(rows, [], |row| row.get(0)), Ok(4));
    assert_eq!(told(&daemon, "os,h1", 0, 9), some(&[(0, "a"), (3, "b"), (5, "c")]));
    assert_eq!(told(&daemon, "os,h1", 4, 9), some(&[(3, "b"), (5, "c")]));
    assert_eq!(told(&daemon, "os,h1", 5, 9), some(&[(5, "c")]));
    assert_eq!(told(&daemon, "os,h1", 1, 3), some(&[(0, "a")]));
    // Steps begin with a day, what happened does not.
    let range = Range { from: START + 3 * DAY_MS - 1, to: START + 4 * DAY_MS };
    assert_eq!(told_in(&daemon, "os,h1", range), some(&[(0, "a"), (3, "b")]));
    let range = Range { from: START + 3 * DAY_MS + 1, to: START + 4 * DAY_MS };
    assert_eq!(told_in(&daemon, "os,h1", range), some(&[(3, "b")]));
    assert_eq!(told(&daemon, "os,h2", 1, 9), [(0, Some("x".to_owned())), (6, None)]);
    assert_eq!(told(&daemon, "os,h2", 7, 9), []);
    assert_eq!(told(&daemon, "os,", 1, 9), some(&[(0, "a"), (0, "x"), (3, "b"), (5, "c")]));
    // What held a month ago is still known, what was over by then is not, nor what was of a node that went.
    for restarted in [false, true] {
        daemon.tidy(START + 34 * DAY_MS);
        assert_eq!(told(&daemon, "os,h1", 0, 9), some(&[(3, "b"), (5, "c")]), "{restarted}");
        assert_eq!(told(&daemon, "os,h2", 0, 9), [(0, Some("x".to_owned())), (6, None)], "{restarted}");
        daemon.history = History::open(daemon.database.connection(), retention()).expect("a history");
    }
    for days in [36, 400] {
        daemon.tidy(START + days * DAY_MS);
        assert_eq!(told(&daemon, "os,h1", 0, 9), some(&[(5, "c")]));
        let left = if days == 36 { [(0, Some("x".to_owned())), (6, None)].to_vec() } else { Vec::new() };
        assert_eq!(told(&daemon, "os,h2", 0, 9), left);
    }
}

/// All lines of a question, or why there are none.
fn asked(daemon: &Daemon, path: &str, figures: &[Figure]) -> Result<Vec<Line>, AskError> {
    let question = Ask {
        pattern: Pattern::parse(path).expect("a path"),
        range: Range { from: START, to: START + 9 * DAY_MS },
        step_ms: 9 * DAY_MS,
        one: true,
        figures: figures.to_vec(),
        fold: None,
        commit_ms: 10_000,
    };
    let reader = Reader::open(&daemon.file).expect("a reader");
    ask(&reader.snapshot().expect("a snapshot"), &question).map(|(_, lines)| lines)
}

#[test]
fn all_lines_of_a_question_have_room_for_so_many_events() {
    let mut daemon = Daemon::new();
    let text = "x".repeat(1 << 10);
    let rows: Vec<(u64, &str)> = (1..=32_000).map(|id| (id, &*text)).collect();
    commit(&mut daemon, 0, &rows[..31_000], &[]);
    assert_eq!(asked(&daemon, "os,*", &[Figure::Value]).map(|lines| lines.len()).ok(), Some(31_000));
    commit(&mut daemon, 1, &rows[31_000..], &[]);
    let refused = asked(&daemon, "os,*", &[Figure::Value]);
    assert!(
        matches!(&refused, Err(AskError::TooMuch(why)) if why.contains("more events in all")),
        "{:?}",
        refused.map(|lines| lines.len())
    );
    assert_eq!(asked(&daemon, "os,h1", &[Figure::Value]).map(|lines| lines.len()).ok(), Some(1));
}

#[test]
fn where_no_figure_is_wanted_there_are_texts_alone() {
    let mut daemon = Daemon::new();
    commit(&mut daemon, 0, &[(1, "a")], &[]);
    let more = More { path: Some("os,n".into()), ..More::default() };
    let row = Row { id: 2, value: Kept::Number(7.0), more: Some(Box::new(more)) };
    daemon.pending.add(Rows { changed: vec![row], ..Rows::default() }, Vec::new());
    daemon.commit(START + 1_000, true);
    let paths = |figures: &[Figure]| -> Vec<String> {
        asked(&daemon, "os,*", figures).expect("an answer").into_iter().map(|line| line.path).collect()
    };
    assert_eq!(paths(&[Figure::Value]), ["os,h1", "os,n"]);
    assert_eq!(paths(&[]), ["os,h1"]);
}

#[test]
fn where_no_figure_is_wanted_what_lies_below_a_node_is_not_told() {
    let mut daemon = Daemon::new();
    let row = |id, path: &str, value| {
        let more = More { path: Some(path.into()), ..More::default() };
        Row { id, value, more: Some(Box::new(more)) }
    };
    let changed = vec![
        row(1, "app", Kept::Number(7.0)),
        row(2, "app,a", Kept::Text("of a".into())),
        row(3, "app,a,version", Kept::Text("below a".into())),
        row(4, "app,b", Kept::Number(7.0)),
        row(5, "app,b,version", Kept::Text("below b".into())),
        row(6, "app,c,version", Kept::Text("below c".into())),
    ];
    daemon.pending.add(Rows { changed, ..Rows::default() }, Vec::new());
    daemon.commit(START, true);
    let texts = |path: &str| -> Vec<String> {
        let told = asked(&daemon, path, &[]).expect("an answer").into_iter().map(|line| match line.told {
            Told::Events(events) => events.into_iter().filter_map(|(_, text)| text).collect::<Vec<String>>(),
            told => panic!("{told:?}"),
        });
        told.flatten().collect()
    };
    for (path, at_it) in [
        ("app", &[][..]),
        ("app,b", &[]),
        ("app,c", &[]),
        ("app,a", &["of a"]),
        ("app,*", &["of a"]),
        ("app,", &["of a"]),
        ("app,*,version", &["below a", "below b", "below c"]),
        ("app,,version", &["below a", "below b", "below c"]),
        ("app,b,version", &["below b"]),
    ] {
        assert_eq!(texts(path), at_it, "{path}");
    }
}
