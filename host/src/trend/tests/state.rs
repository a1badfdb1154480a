//! What is in the tree, as the file has it.

use super::{Daemon, START};
use plugin_api::{Action, Delta};

/// The row of a path, and how many rows the index of actions has, which are all in order.
fn row(daemon: &mut Daemon, path: &str) -> (Option<f64>, Option<String>, i64) {
    let connection = daemon.database.connection();
    let found = connection.query_row(
        "SELECT value, state.action FROM state JOIN series USING(id) WHERE path = ?",
        [path],
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    let (value, action) = found.expect("a row");
    let indexed = "SELECT count(*) FROM state INDEXED BY state_action WHERE action IS NOT NULL";
    let indexed = connection.query_row(indexed, [], |row| row.get(0)).expect("a number");
    let order: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(order, "ok");
    (value, action, indexed)
}

#[test]
fn a_row_is_written_over_and_keeps_or_changes_its_action() {
    let mut daemon = Daemon::new();
    let commit = |daemon: &mut Daemon, value: f64, action: Option<Action>| {
        let mut delta = Delta::new();
        delta.set(&["n"], value);
        if let Some(action) = action {
            daemon.tree.set_action(&["n"], action);
        }
        daemon.tree.merge(&[], delta.flush(), 0).expect("merged");
        daemon.tree.end_tick(0);
        let stamp = START + daemon.fed.len() as i64 * 10_000;
        daemon.commit(stamp, true);
        row(daemon, "n")
    };
    let max = || Some(Action::Max.to_string());
    let (_, first, indexed) = commit(&mut daemon, 1.0, None);
    assert_eq!(indexed, i64::from(first.is_some()));
    assert_eq!(commit(&mut daemon, 2.0, Some(Action::Max)), (Some(2.0), max(), 1));
    assert_eq!(commit(&mut daemon, 3.0, None), (Some(3.0), max(), 1));
    assert_eq!(commit(&mut daemon, 4.0, Some(Action::Min)), (Some(4.0), Some(Action::Min.to_string()), 1));
    // The row has gone from the file, though its path was written: it is there again.
    daemon.database.connection().execute("DELETE FROM state", []).expect("deleted");
    assert_eq!(commit(&mut daemon, 5.0, None), (Some(5.0), Some(Action::Min.to_string()), 1));
}
