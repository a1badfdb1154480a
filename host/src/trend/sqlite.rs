//! The one file, in SQLite's format.
//!
//! `series` has a number for each node's path (and of those that are gone what their nodes did with them), `state` what the
//! node holds, `meta` what is told beside it, `source` how far each source has been read; what [history](super::history) there
//! is stands in tables of its own. Numbers, texts and booleans stand in `state` as they are, so that `sqlite3` shows them; a
//! sketch is a blob that begins with a byte for its kind.

mod place;

use super::history::{self, KeptTime};
use super::pending::Pending;
use super::relays::Relays;
use super::remote::{Buffer, State};
use super::spool;
use crate::tree::{Fed, Kept, More, Row};
pub(super) use place::Place;
use plugin_api::sketch::Quantiles;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Which tables the file has, and of which form.
const SCHEMA: i64 = 4;

/// `grft`, in the place that SQLite has for what a file is of.
const APPLICATION: i64 = 0x6772_6674;

/// How long another program may lock the file before a commit is put off.
const BUSY: Duration = Duration::from_secs(2);

/// Bytes that the log of the database keeps when it begins anew: a reader that takes long lets it grow.
const WAL_BYTES: i64 = 64 << 20;

/// A file that is not larger is written anew at the start where that is needed: it takes a second.
const ANEW_BYTES: i64 = 64 << 20;

const TABLES: &str = "
CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY, path TEXT NOT NULL, gone_ms INTEGER, action TEXT, total INTEGER) STRICT;
CREATE TABLE state(id INTEGER PRIMARY KEY, value ANY, action TEXT, life_ms INTEGER, total INTEGER, error REAL) STRICT;
CREATE TABLE meta(id INTEGER PRIMARY KEY, pairs BLOB NOT NULL) STRICT;
CREATE TABLE source(name TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const QUANTILES: u8 = 2;
const DISTINCT: u8 = 3;

/// Why the file cannot be used.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It is of a version that this one does not know, or of another program.
    Foreign(String),
    /// SQLite cannot.
    Failed(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (OpenError::Foreign(why) | OpenError::Failed(why)) = self;
        f.write_str(why)
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> OpenError {
        OpenError::Failed(said(&error))
    }
}

/// What SQLite says, and what to do about it.
pub(super) fn said(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode as Code;
    let way_out = match error.sqlite_error_code() {
        Some(Code::DiskFull) => "make room on its disk",
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => "another program has it locked: let that end",
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            "the daemon has to be able to read and write it and its folder"
        }
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            "stop the daemon, see what `graftd trend check` finds, and put back a copy or move the file away"
        }
        Some(Code::SystemIoFailure) => "its disk fails or is full: see the system's log",
        _ => return error.to_string(),
    };
    format!("{error}; {way_out}")
}

/// Statements that are kept for the next commit: it has some thirty, and where they are fewer than it has, each is made anew each time.
const STATEMENTS_KEPT: usize = 64;

/// Which daemon has written a commit, and which of its tries that was: a file is told from older copies of it by that.
pub(super) type Written = (i64, i64);

/// The file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    /// Device and inode.
    id: (u64, u64),
}

impl Database {
    /// Opens the file, or makes it.
    pub(crate) fn open(file: &Path) -> Result<Database, OpenError> {
        Database::open_with(file, OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the file that was there.
    pub(super) fn reopen(file: &Path) -> Result<Database, OpenError> {
        Database::open_with(file, OpenFlags::empty())
    }

    fn open_with(file: &Path, flags: OpenFlags) -> Result<Database, OpenError> {
        let makes = flags.contains(OpenFlags::SQLITE_OPEN_CREATE);
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        keep_plans(&connection)?;
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (application, schema) = (number("application_id")?, number("user_version")?);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 && application != APPLICATION {
            return Err(OpenError::Foreign("it is the database of another program".to_owned()));
        }
        if schema > SCHEMA {
            return Err(OpenError::Foreign(format!(
                "a newer graftd has written it (form {schema}, this one knows {SCHEMA}): run that version again, or name \
                 another folder with --data DIR"
            )));
        }
        if tables == 0 && makes {
            // What goes gives its room back; it is asked for before there is a table.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        // Each commit is on the disk before it is called one.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let meta = fs::metadata(file).map_err(|error| OpenError::Failed(error.to_string()))?;
        let mut database = Database { connection, id: (meta.dev(), meta.ino()) };
        if tables == 0 && !makes {
            return Err(OpenError::Foreign("what was kept in it is gone; start the daemon anew".to_owned()));
        }
        if tables == 0 {
            let transaction = database.connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(history::TABLES)?;
            transaction.execute_batch(history::SKETCH_TABLES)?;
            transaction.execute_batch(spool::TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        } else {
            if schema == 1 {
                database.migrate_from_1()?;
            }
            if schema < 3 {
                database.migrate_from_2()?;
            }
            if schema < SCHEMA {
                // The third form knew no packs with a check sum for each series, and took them for damaged: all there is to do
                // is to keep those away who know that form alone.
                database.connection.pragma_update(None, "user_version", SCHEMA)?;
            }
            database.connection.execute_batch(spool::INDEXES)?;
            database.give_room_back()?;
        }
        Ok(database)
    }

    /// The first form had no history.
    fn migrate_from_1(&mut self) -> Result<(), OpenError> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("ALTER TABLE series ADD COLUMN gone_ms INTEGER")?;
        transaction.execute_batch(history::TABLES)?;
        transaction.pragma_update(None, "user_version", 2)?;
        transaction.commit()?;
        Ok(())
    }

    /// Has the file give its room back, if it does not: it must be written anew for that. A large one is left as it is, until
    /// somebody compacts it.
    fn give_room_back(&self) -> Result<(), OpenError> {
        let number = |pragma: &str| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        if number("auto_vacuum")? != 0 || number("page_count")?.saturating_mul(number("page_size")?) > ANEW_BYTES {
            return Ok(());
        }
        let anew = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.execute_batch(anew) {
            tracing::warn!("the database gives back no room that it does not need any more: {error}");
        }
        Ok(())
    }

    /// The second form had no relays, did not keep what the node of a series that is gone did with it, and had no history of
    /// sketches: what they were fed so far is in none.
    fn migrate_from_2(&mut self) -> Result<(), OpenError> {
        let transaction = self.connection.transaction()?;
        transaction
            .execute_batch("ALTER TABLE series ADD COLUMN action TEXT; ALTER TABLE series ADD COLUMN total INTEGER")?;
        transaction.execute_batch(spool::TABLES)?;
        transaction.execute_batch(history::SKETCH_TABLES)?;
        let mut select = transaction.prepare("SELECT id, value FROM state WHERE typeof(value) = 'blob'")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(Kept::Quantiles(bytes)) = read(row.get_ref(1)?)
                && let Ok(sketch) = Quantiles::decode(&bytes)
            {
                let id = row.get::<_, i64>(0)?.cast_unsigned();
                history::raise_base(&transaction, id, sketch.count())
                    .map_err(|error| OpenError::Failed(error.to_string()))?;
            }
        }
        drop(rows);
        drop(select);
        transaction.pragma_update(None, "user_version", 3)?;
        transaction.commit()?;
        Ok(())
    }

    /// For what keeps history.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The greatest number that a node ever had.
    pub(super) fn last(&self) -> Result<u64, OpenError> {
        let last: i64 = self.connection.query_row(
            "SELECT max(coalesce((SELECT value FROM info WHERE key = 'last'), 0), \
             coalesce((SELECT max(id) FROM series WHERE id < ?), 0))",
            [history::IMPORTED.cast_signed()],
            |row| row.get(0),
        )?;
        Ok(last.cast_unsigned())
    }

    /// The time that had passed at the last commit.
    pub(super) fn passed(&self) -> Result<KeptTime, OpenError> {
        // Files of earlier versions know only when they were written.
        let at_ms = self.info("passed_ms")?.or(self.info("committed_ms")?);
        Ok(KeptTime { at_ms, doubted_ms: self.info("doubted_ms")?.unwrap_or(0) })
    }

    /// Bytes in it that are free, how many packs there are where that is wanted, and the oldest time of which each commit is
    /// kept in one, in milliseconds since the Unix epoch.
    pub(super) fn figures(&self, packs: bool) -> Result<(u64, Option<u64>, Option<i64>), rusqlite::Error> {
        // It is asked after each commit.
        let one =
            |select: &str| self.connection.prepare_cached(select)?.query_row([], |row| row.get::<_, Option<i64>>(0));
        let number = |pragma: &str| Ok::<_, rusqlite::Error>(one(pragma)?.unwrap_or(0));
        let free = number("PRAGMA freelist_count")?.saturating_mul(number("PRAGMA page_size")?);
        let packs = if packs { one("SELECT count(*) FROM pack")?.map(i64::cast_unsigned) } else { None };
        Ok((free.cast_unsigned(), packs, one("SELECT min(start) FROM pack WHERE step = 0")?))
    }

    /// How far each source has been read.
    pub(super) fn sources(&self) -> Result<BTreeMap<String, Arc<str>>, OpenError> {
        let mut select = self.connection.prepare("SELECT name, position FROM source")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, Arc::from(row.get::<_, String>(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Calls `each` with every node that is kept: those with an action first, for it decides what becomes of what is below.
    pub(super) fn each(&self, mut each: impl FnMut(&str, &Row)) -> Result<(), OpenError> {
        for with in ["IS NOT NULL", "IS NULL"] {
            let mut select = self.connection.prepare(&format!(
                "SELECT id, path, value, state.action, life_ms, state.total, error, pairs FROM state JOIN series USING(id) \
                 LEFT JOIN meta USING(id) WHERE state.action {with} ORDER BY id"
            ))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let path = row.get_ref(1)?.as_str().unwrap_or_default();
                let more = More {
                    path: None,
                    action: row.get::<_, Option<String>>(3)?.and_then(|text| text.parse().ok()),
                    lifetime: row.get::<_, Option<i64>>(4)?.map(|ms| Duration::from_millis(ms.max(0).cast_unsigned())),
                    total: row.get::<_, Option<i64>>(5)?.is_some(),
                    error: row.get::<_, Option<f64>>(6)?.unwrap_or(0.0),
                    meta: row.get::<_, Option<Vec<u8>>>(7)?.map(Into::into),
                };
                let Some(value) = read(row.get_ref(2)?) else { continue };
                let more = (more != More::default()).then(|| Box::new(more));
                each(path, &Row { id: row.get::<_, i64>(0)?.cast_unsigned(), value, more });
            }
        }
        Ok(())
    }

    /// Which daemon has written the last commit, and its number; none where none was written since that is noted.
    pub(super) fn written(&self) -> Result<Option<Written>, OpenError> {
        Ok(self.info("writer")?.zip(self.info("attempt")?))
    }

    fn info(&self, key: &str) -> Result<Option<i64>, OpenError> {
        let mut select = self.connection.prepare_cached("SELECT value FROM info WHERE key = ?")?;
        Ok(select.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Writes all of it, or nothing.
    ///
    /// `number` is the commit's. Where one before may have been written although it failed, `known` is the greatest number of a
    /// node that surely was: of nodes beyond, only those are left that are in this one.
    pub(super) fn write(
        &mut self,
        pending: &Pending,
        relays: &Relays,
        store: Option<&mut (&mut Buffer, &mut State)>,
        number: u64,
        known: Option<u64>,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        if let Some(known) = known {
            let mut select = transaction.prepare("SELECT id FROM state WHERE id > ? AND id < ?")?;
            let ids = select.query_map([known, history::IMPORTED].map(u64::cast_signed), |row| row.get::<_, i64>(0))?;
            let ids: Vec<u64> = ids.map(|id| Ok(id?.cast_unsigned())).collect::<Result<_, rusqlite::Error>>()?;
            let ghosts: Vec<u64> = ids.into_iter().filter(|id| !pending.rows.contains_key(id)).collect();
            forget(&transaction, &ghosts, pending)?;
        }
        if let Some((store, state)) = store.filter(|_| pending.history) {
            store.write(&transaction, pending, state)?;
        }
        // In their order, which is that of the pages they are written to.
        let mut rows: Vec<&Row> = pending.rows.values().collect();
        rows.sort_unstable_by_key(|row| row.id);
        write_rows(&transaction, &rows)?;
        forget(&transaction, &pending.gone, pending)?;
        if pending.history {
            let at = (pending.stamp, pending.every_ms);
            if pending.elsewhere {
                rows.retain(|row| !matches!(row.value, Kept::Number(_)));
            }
            let whole: &[(u64, f64)] = if pending.elsewhere { &[] } else { &pending.whole };
            history::append(&transaction, number, at, &rows, whole)?;
            history::append_sketches(&transaction, pending.stamp, pending.fed.iter().map(|(id, fed)| (*id, fed)))?;
        } else {
            // What no history has is known not to be in it, if there is to be one later.
            for (id, fed) in &pending.fed {
                if let Fed::Quantiles(sketch) = fed {
                    history::raise_base(&transaction, *id, sketch.count())?;
                }
            }
        }
        let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO source VALUES(?, ?)")?;
        let mut delete = transaction.prepare_cached("DELETE FROM source WHERE name = ?")?;
        for (name, position) in &pending.sources {
            match position {
                Some(position) => put.execute(params![name, &**position])?,
                None => delete.execute([name])?,
            };
        }
        drop((put, delete));
        relays.write(&transaction)?;
        let mut info = transaction.prepare_cached("INSERT OR REPLACE INTO info VALUES(?, ?)")?;
        for (key, value) in [
            ("committed_ms", Some(pending.unix_ms)),
            ("stamp", Some(pending.stamp)),
            ("elsewhere", Some(i64::from(pending.elsewhere))),
            ("passed_ms", pending.passed.at_ms),
            ("doubted_ms", Some(pending.passed.doubted_ms)),
            ("writer", Some(pending.writer)),
            ("attempt", Some(pending.attempt)),
        ] {
            info.execute(params![key, value])?;
        }
        if let Some(last) = pending.rows.keys().max() {
            let highest = "INSERT INTO info VALUES('last', ?1) ON CONFLICT DO UPDATE SET value = max(value, ?1)";
            transaction.prepare_cached(highest)?.execute([last.cast_signed()])?;
        }
        drop(info);
        transaction.commit()
    }
}

fn write_rows(transaction: &Transaction<'_>, rows: &[&Row]) -> Result<(), rusqlite::Error> {
    let mut series = transaction.prepare_cached("INSERT OR REPLACE INTO series(id, path) VALUES(?, ?)")?;
    // Most rows are there with their action: those are written over where they lie, and no index has to change.
    let mut again = transaction.prepare_cached(
        "UPDATE state SET value = ?2, life_ms = ?4, total = ?5, error = ?6 WHERE id = ?1 AND action IS ?3",
    )?;
    let mut state = transaction.prepare_cached("INSERT OR REPLACE INTO state VALUES(?, ?, ?, ?, ?, ?)")?;
    let mut meta = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES(?, ?)")?;
    let mut no_meta = transaction.prepare_cached("DELETE FROM meta WHERE id = ?")?;
    let nothing = More::default();
    for row in rows {
        let id = row.id.cast_signed();
        let more = row.more.as_deref().unwrap_or(&nothing);
        if let Some(path) = &more.path {
            series.execute(params![id, &**path])?;
        }
        let columns = params![
            id,
            Stored(&row.value),
            more.action.map(|action| action.to_string()),
            more.lifetime.map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX)),
            more.total.then_some(1),
            (more.error > 0.0).then_some(more.error),
        ];
        // What has a path to be written down is new.
        if more.path.is_some() || again.execute(columns)? == 0 {
            state.execute(columns)?;
        }
        match more.meta.as_deref() {
            Some([]) => no_meta.execute([id])?,
            Some(pairs) => meta.execute(params![id, pairs])?,
            None => 0,
        };
    }
    Ok(())
}

/// What is gone is no more in the tree, but it has a history, where there is any.
fn forget(transaction: &Transaction<'_>, gone: &[u64], pending: &Pending) -> Result<(), rusqlite::Error> {
    let mut end = transaction.prepare_cached(
        "UPDATE series SET gone_ms = ?1, action = (SELECT action FROM state WHERE id = ?2), \
         total = (SELECT total IS NOT NULL FROM state WHERE id = ?2) WHERE id = ?2 AND gone_ms IS NULL",
    )?;
    for id in gone {
        end.execute([pending.gone_ms, id.cast_signed()])?;
    }
    let tables: &[&str] = if pending.history { &["state", "meta"] } else { &["state", "meta", "series"] };
    for table in tables {
        let mut delete = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?"))?;
        for id in gone {
            delete.execute([id.cast_signed()])?;
        }
    }
    Ok(())
}

/// Has a statement keep its plan whatever is bound to it. Else SQLite plans anew, and reads the statement anew for it, whenever something
/// is bound where a plan may depend on it, as in a `LIMIT ?`: at each commit.
pub(super) fn keep_plans(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

struct Stored<'r>(&'r Kept);

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let blob = |kind: u8, bytes: &[u8]| ToSqlOutput::Owned(Value::Blob([&[kind], bytes].concat()));
        Ok(match self.0 {
            Kept::None => ToSqlOutput::Owned(Value::Null),
            Kept::Number(x) => ToSqlOutput::Owned(Value::Real(*x)),
            Kept::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Kept::Bool(false) => blob(FALSE, &[]),
            Kept::Bool(true) => blob(TRUE, &[]),
            Kept::Quantiles(bytes) => blob(QUANTILES, bytes),
            Kept::Distinct(bytes) => blob(DISTINCT, bytes),
        })
    }
}

fn read(value: ValueRef<'_>) -> Option<Kept> {
    Some(match value {
        ValueRef::Null => Kept::None,
        ValueRef::Real(x) => Kept::Number(x),
        ValueRef::Integer(n) => Kept::Number(n as f64),
        ValueRef::Text(text) => Kept::Text(String::from_utf8_lossy(text).into()),
        ValueRef::Blob([FALSE]) => Kept::Bool(false),
        ValueRef::Blob([TRUE]) => Kept::Bool(true),
        ValueRef::Blob([QUANTILES, bytes @ ..]) => Kept::Quantiles(bytes.into()),
        ValueRef::Blob([DISTINCT, bytes @ ..]) => Kept::Distinct(bytes.into()),
        ValueRef::Blob(_) => return None,
    })
}
