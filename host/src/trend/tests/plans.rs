//! Plans of statements.

use crate::trend::sqlite::Database;
use rusqlite::StatementStatus;

#[test]
fn a_statement_is_not_planned_anew_for_what_is_bound_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = Database::open(&folder.path().join("graftd.db")).unwrap();
    let mut select = database.connection().prepare("SELECT key FROM info ORDER BY key LIMIT ?").unwrap();
    for most in [1, 7, 2] {
        let _ = select.query([most]).unwrap().next().unwrap();
    }
    assert_eq!(select.get_status(StatementStatus::RePrepare), 0);
}
