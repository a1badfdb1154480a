//! What waits, and what a failure leaves.

use super::*;
use crate::tree::{Fed, Kept, More, Row};
use crate::trend::history::{Range, Reader};
use plugin_api::sketch::Quantiles;

struct Held {
    writer: Writer,
    _folder: tempfile::TempDir,
}

fn held() -> Held {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    let mut database = Database::open(&file).expect("a database");
    let retention = Retention { raw_ms: 1, minute_ms: 1, ten_minutes_ms: 1, day_ms: 1 };
    let history = History::open(database.connection(), retention).expect("a history");
    let relays = Relays::new(database.connection()).expect("an id");
    let writer = Writer {
        file,
        database: Some(database),
        pending: Pending::default(),
        history,
        relays,
        store: None,
        elsewhere: false,
        passed: Passed::default(),
        own: 7,
        written: None,
        known: 0,
        attempt: 0,
        failed: false,
        tidied_ms: 0,
        counted: None,
        shown: Shown::default(),
        heard: Heard::default(),
    };
    Held { writer, _folder: folder }
}

fn new(id: u64, path: &str, value: f64) -> Row {
    let more = More { path: Some(path.into()), ..More::default() };
    Row { id, value: Kept::Number(value), more: Some(Box::new(more)) }
}

fn changed(id: u64, value: f64) -> Row {
    Row { id, value: Kept::Number(value), more: None }
}

fn rows(changed: Vec<Row>, gone: Vec<u64>) -> Rows {
    Rows { changed, gone, ..Rows::default() }
}

impl Held {
    fn take(&mut self, rows: Rows) {
        self.writer.look(1_000, 1_000);
        self.writer.pending.history = true;
        self.writer.pending.add(rows, Vec::new());
    }

    /// Tries to write; what the thread does then.
    fn commit(&mut self) -> Result<(), String> {
        let written = self.writer.write();
        self.writer.wrote(written.is_ok(), 1_000, 1_000);
        written
    }

    /// Tries to write to a file that can be opened, but not written to.
    fn commit_with(&mut self, can: bool) -> Result<(), String> {
        let mut open = Database::reopen(&self.writer.file).expect("opened");
        open.connection().pragma_update(None, "query_only", !can).expect("set");
        self.writer.database = Some(open);
        self.commit()
    }

    fn nodes(&mut self) -> Vec<(String, f64)> {
        let mut nodes = Vec::new();
        let each = |path: &str, row: &Row| {
            if let Kept::Number(x) = row.value {
                nodes.push((path.to_owned(), x));
            }
        };
        self.writer.database.as_ref().expect("open").each(each).expect("read");
        nodes
    }
}

#[test]
fn a_node_that_goes_after_a_commit_that_failed_only_by_its_word_is_gone() {
    let mut held = held();
    held.take(rows(vec![new(1, "stays", 1.0)], Vec::new()));
    held.commit().expect("written");
    let before = held.writer.written;
    held.take(rows(vec![new(2, "goes", 2.0), new(3, "comes", 3.0), changed(1, 4.0)], Vec::new()));
    held.writer.write().expect("written");
    // The disk says that it was not.
    held.writer.written = before;
    held.writer.database = None;
    held.writer.wrote(false, 1_000, 1_000);
    held.take(rows(vec![changed(3, 5.0)], vec![2]));
    held.commit().expect("written");
    assert_eq!(held.nodes(), [("stays".to_owned(), 4.0), ("comes".to_owned(), 5.0)]);
}

/// How many numbers the history has that a sketch was fed.
fn fed(held: &Held, series: u64) -> u64 {
    let reader = Reader::open(&held.writer.file).expect("a reader");
    let snapshot = reader.snapshot().expect("a snapshot");
    let mut count = 0;
    let whole = Range { from: 0, to: 10_000 };
    snapshot
        .pieces(
            series,
            whole,
            |_| false,
            |piece| {
                if let Fed::Quantiles(sketch) = piece.fed {
                    count += sketch.count();
                }
            },
        )
        .expect("read");
    count
}

#[test]
fn a_sketch_is_fed_once_whether_a_commit_failed_or_only_was_said_to() {
    let mut held = held();
    let feed = |held: &mut Held, numbers: u64| {
        let mut sketch = Quantiles::new();
        sketch.observe_n(2.0, numbers);
        let fed = vec![(1, Fed::Quantiles(Box::new(sketch)))];
        held.take(Rows { fed, changed: vec![new(1, "ms", 0.0)], ..Rows::default() });
    };
    feed(&mut held, 1);
    held.commit().expect("written");
    assert_eq!(fed(&held, 1), 1);
    let before = held.writer.written;
    feed(&mut held, 10);
    held.writer.write().expect("written");
    // The disk says that it was not; and before that is known, another one cannot even be tried.
    held.writer.pending.may_be_written();
    held.writer.written = before;
    held.writer.database = None;
    held.writer.wrote(false, 1_000, 1_000);
    let (file, away) = (held.writer.file.clone(), held.writer.file.with_file_name("away"));
    std::fs::rename(&file, &away).expect("moved");
    feed(&mut held, 100);
    held.commit().expect_err("there is no file");
    std::fs::rename(&away, &file).expect("moved back");
    // One that fails, and is not in the file.
    held.commit_with(false).expect_err("it cannot be written");
    assert_eq!(fed(&held, 1), 11);
    feed(&mut held, 1_000);
    held.commit().expect("written");
    assert_eq!(fed(&held, 1), 1_111);
}

#[test]
fn what_waits_has_each_node_once_and_is_told_of() {
    let mut held = held();
    held.take(rows((1..=100).map(|id| new(id, &format!("n,{id}"), 0.0)).collect(), Vec::new()));
    held.commit().expect("written");
    let file = held.writer.file.clone();
    let away = file.with_file_name("away");
    std::fs::rename(&file, &away).expect("moved");
    std::fs::create_dir(&file).expect("something that is no file");
    let mut most = 0;
    for turn in 1..=50_u32 {
        let next = 100 + u64::from(turn);
        held.take(rows((51..=100).map(|id| changed(id, turn.into())).collect(), Vec::new()));
        // Nodes come and go all the time.
        held.take(rows(
            vec![new(next, "comes,and,goes", 0.0)],
            vec![next - 1].into_iter().filter(|id| *id > 100).collect(),
        ));
        held.writer.pending.add_whole(if turn == 1 { (1..=101).map(|id| (id, 0.0)).collect() } else { Vec::new() });
        held.commit().expect_err("it cannot be written");
        held.writer.show();
        most = most.max(held.writer.pending.rows.len() + held.writer.pending.gone.len());
        let shown = held.writer.shown.lock().clone();
        assert_eq!(shown.waiting_nodes as usize, held.writer.pending.rows.len() + held.writer.pending.gone.len());
        assert!(shown.waiting_bytes > 0 && shown.waiting_bytes < 50_000, "{shown:?}");
    }
    assert_eq!(most, 51);
    std::fs::remove_dir(&file).expect("removed");
    std::fs::rename(&away, &file).expect("moved back");
    held.commit().expect("written");
    held.writer.show();
    assert_eq!(held.writer.shown.lock().waiting_nodes, 0);
    let nodes = held.nodes();
    assert_eq!(nodes.len(), 101);
    assert!(nodes.contains(&("n,51".to_owned(), 50.0)) && nodes.contains(&("n,50".to_owned(), 0.0)), "{nodes:?}");
}

#[test]
fn nothing_of_a_relay_is_written_to_a_file_that_another_lies_in_the_place_of() {
    let mut held = held();
    let addresses = vec!["a:1".to_owned()];
    held.writer.relay("up", RelayJob::Open { limit: 1 << 20, addresses, tell: false, board: Arc::default() });
    held.commit().expect("written");
    let meet = |held: &mut Held, connection| {
        let (reply, mut answer) = oneshot::channel();
        let (peer, address) = ("a".to_owned(), "a:1".to_owned());
        held.writer.relay("up", RelayJob::Meet { peer, address, connection, has: None, merged: None, reply });
        answer.try_recv().expect("answered")
    };
    assert!(meet(&mut held, 1).is_ok());
    let (file, away) = (held.writer.file.clone(), held.writer.file.with_file_name("away"));
    std::fs::rename(&file, &away).expect("moved");
    std::fs::copy(&away, &file).expect("copied");
    assert!(meet(&mut held, 2).expect_err("another lies there").contains("cannot be written"));
    std::fs::remove_file(&file).expect("removed");
    std::fs::rename(&away, &file).expect("moved back");
    assert!(meet(&mut held, 3).is_ok());
}

#[test]
fn what_receivers_have_said_is_written_with_the_next_commit() {
    let mut held = held();
    let addresses = vec!["a:1".to_owned()];
    held.writer.relay("up", RelayJob::Open { limit: 1 << 20, addresses, tell: false, board: Arc::default() });
    for n in 0..3 {
        let mut fold = Fold::default();
        fold.feed(&["n", &n.to_string()], plugin_api::delta::wire::Op::Add(1.0));
        held.writer.relays.add(vec![("up".to_owned(), fold)]);
    }
    held.commit().expect("written");
    held.writer.relays.committed(held.writer.database.as_mut().expect("open").connection());
    let (reply, _answer) = oneshot::channel();
    let (peer, address) = ("a".to_owned(), "a:1".to_owned());
    held.writer.relay("up", RelayJob::Meet { peer, address, connection: 1, has: None, merged: None, reply });
    let (jobs, inbox) = channel();
    let file = held.writer.file.clone();
    let spooler = Spooler { file, id: String::new(), life: 0, jobs, heard: Arc::clone(&held.writer.heard) };
    for (connection, number) in [(1, 1), (1, 2), (2, 3)] {
        spooler.acknowledged("up", connection, number, false);
    }
    assert!(inbox.try_recv().is_err(), "it wakes nobody");
    let waits = |held: &Held| -> u64 {
        let reader = rusqlite::Connection::open(&held.writer.file).expect("opened");
        reader.query_row("SELECT count(*) FROM spool", [], |row| row.get(0)).map(i64::cast_unsigned).expect("counted")
    };
    held.writer.hear();
    assert_eq!(waits(&held), 3);
    held.commit().expect("written");
    // The second connection is not the one that is spoken on.
    assert_eq!(waits(&held), 1);
    spooler.acknowledged("up", 1, 3, true);
    assert!(inbox.try_recv().is_ok());
}

#[test]
fn what_a_store_is_to_be_told_anew_waits_where_a_commit_fails() {
    let mut held = held();
    let mut commit = |fill: Vec<(u64, f64)>, gone: Vec<u64>, can| {
        held.take(rows(vec![], gone));
        held.writer.pending.add_fill(fill);
        let waits = held.writer.pending.fill.clone();
        assert_eq!(held.commit_with(can).is_ok(), can);
        waits
    };
    commit(vec![(1, 1.0), (2, 2.0)], vec![], false);
    assert_eq!(commit(vec![], vec![2], false), [(1, 1.0)]);
    assert_eq!(commit(vec![], vec![], true), [(1, 1.0)]);
    assert_eq!(commit(vec![], vec![], true), []);
}
