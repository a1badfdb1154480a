//! The thread that writes.

use super::history::{History, Retention, newest};
use super::sqlite::{Database, OpenError, Pending};
use crate::core::{Event, Events};
use crate::tree::{Mark, Row, Rows, Tree};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "graftd.db";

/// How long history is packed between two commits, about.
const TIDY: Duration = Duration::from_millis(200);

/// The longest it may be where more comes to be packed than is done in that; at most half of the time between two commits.
const TIDY_MAX_MS: i64 = 5_000;

/// What is to be kept from now on.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// What changed in the tree.
    pub(crate) rows: Rows,
    /// The numbers of all nodes, where history is to have them whether they changed or not.
    pub(crate) whole: Vec<(u64, f64)>,
    /// How far sources have been read, those that read on; `None` for one that is no more.
    pub(crate) sources: Vec<(String, Option<Arc<str>>)>,
    /// When it was so, in milliseconds since the Unix epoch.
    pub(crate) unix_ms: i64,
    /// The time that history has of it: of several with the same, the last counts.
    pub(crate) stamp: i64,
    /// How often there is one, in milliseconds.
    pub(crate) every_ms: i64,
    /// Told when it is on the disk, or why it is not.
    pub(crate) replies: Vec<oneshot::Sender<Result<(), String>>>,
}

/// What was kept when the daemon ended.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// How far each source had been read.
    pub(crate) sources: BTreeMap<String, Arc<str>>,
    /// Nodes that were there.
    pub(crate) nodes: u64,
    /// Nodes that there is no room for any more, or that could not be read.
    pub(crate) lost: u64,
    /// The latest time that history has of a commit, in milliseconds since the Unix epoch; 0 where it has none.
    pub(crate) newest: i64,
}

/// All that the core needs to go on where the daemon before ended.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) keeper: Keeper,
    /// What the tree holds up to it has been written.
    pub(crate) mark: Mark,
    /// The latest time that history has of a commit.
    pub(crate) newest: i64,
}

/// Hands commits to the thread that writes them.
#[derive(Debug)]
pub(crate) struct Keeper {
    commits: Option<Sender<Commit>>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Opens the file in the data folder, makes the tree of what it has, and starts the thread.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn open(
        data: &Path,
        tree: &mut Tree,
        now_ms: i64,
        retention: Retention,
        events: Events,
    ) -> Result<(Keeper, Restored), OpenError> {
        let file = data.join(FILE);
        let told = |error: OpenError| match error {
            OpenError::Foreign(why) => OpenError::Foreign(format!("{}: {why}", file.display())),
            OpenError::Failed(why) => OpenError::Failed(format!("{}: {why}", file.display())),
        };
        let mut database = Database::open(&file).map_err(told)?;
        let mut restored = Restored { sources: database.sources().map_err(told)?, ..Restored::default() };
        tree.keep(database.last().map_err(told)?);
        let made = database.each(|path, row| match tree.restore(path, row, now_ms) {
            Ok(true) => restored.nodes += 1,
            Ok(false) | Err(_) => restored.lost += 1,
        });
        made.map_err(told)?;
        tree.end_restore();
        let history = History::open(database.connection(), retention);
        let history = history.map_err(|error| told(OpenError::Failed(error.to_string())))?;
        restored.newest = newest(database.connection()).map_err(|error| told(error.into()))?;
        let keeper = start(file, database, history, events);
        let keeper = keeper.map_err(|error| OpenError::Failed(format!("a thread: {error}")))?;
        Ok((keeper, restored))
    }

    /// Has a commit written; [`Event::Committed`] tells what came of it. One at a time: the core waits for that.
    pub(crate) fn commit(&self, commit: Commit) {
        if let Some(commits) = &self.commits {
            // A thread that is gone has told so.
            let _ = commits.send(commit);
        }
    }

    /// Waits until all is written.
    pub(crate) fn finish(mut self) {
        drop(self.commits.take());
        let _ = self.ended.recv();
    }
}

fn start(file: PathBuf, database: Database, history: History, events: Events) -> io::Result<Keeper> {
    let (commits, inbox) = channel();
    let (end, ended) = channel();
    thread::Builder::new().name("graftd-commit".to_owned()).spawn(move || {
        Writer {
            file,
            database: Some(database),
            pending: Pending::default(),
            history,
            tidied_ms: 0,
            told: String::new(),
        }
        .run(&inbox, &events);
        let _ = end.send(());
    })?;
    Ok(Keeper { commits: Some(commits), ended })
}

/// What the thread has.
#[derive(Debug)]
struct Writer {
    file: PathBuf,
    /// None after a failure.
    database: Option<Database>,
    pending: Pending,
    history: History,
    /// When it was packed last, by the wall clock.
    tidied_ms: i64,
    /// Why history could not be packed, as it was told last.
    told: String,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Commit>, events: &Events) {
        while let Ok(Commit { rows, whole, sources, unix_ms, stamp, every_ms, replies }) = inbox.recv() {
            self.pending.unix_ms = unix_ms;
            self.pending.stamp = stamp;
            self.pending.every_ms = every_ms;
            self.pending.add(rows, sources);
            if !whole.is_empty() {
                self.pending.whole = whole;
            }
            let written = self.write();
            if written.is_ok() {
                let whole = self.pending.whole.iter().map(|(id, _)| *id);
                let mut series: Vec<u64> = self.pending.rows.keys().copied().chain(whole).collect();
                series.sort_unstable();
                self.history.committed(stamp, series.into_iter());
                self.pending = Pending::default();
            }
            // The core waits for it before it begins another, and before it ends this thread.
            events.send(Event::Committed(written.clone()));
            for reply in replies {
                let _ = reply.send(written.clone());
            }
            self.tidy(unix_ms);
        }
    }

    /// Writes what waits. The file is opened anew after a failure: its folder may be back. One that is
    /// not there is not made anew, for it would have only what changed lately.
    fn write(&mut self) -> Result<(), String> {
        let file = &*self.file;
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
        let mut open = match self.database.take() {
            Some(open) => open,
            None => Database::reopen(file).map_err(|error| told(&error))?,
        };
        if !open.is_there(file) {
            return Err(told(
                &"it was removed, replaced or overwritten while the daemon had it open; start the daemon anew",
            ));
        }
        open.write(&self.pending, self.history.next()).map_err(|error| told(&error))?;
        self.database = Some(open);
        Ok(())
    }

    /// Packs history for a while; what is left waits for the next commit.
    fn tidy(&mut self, unix_ms: i64) {
        let passed = unix_ms.saturating_sub(std::mem::replace(&mut self.tidied_ms, unix_ms));
        let most = Duration::from_millis((passed / 2).clamp(0, TIDY_MAX_MS).cast_unsigned());
        let Some(database) = &mut self.database else { return };
        let why = match self.history.tidy(database.connection(), unix_ms, TIDY, most) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        if !why.is_empty() && why != self.told {
            tracing::error!("{}: history cannot be packed: {why}; it is kept as it is", self.file.display());
        }
        self.told = why;
    }
}

impl Pending {
    /// Takes on what changed since.
    fn add(&mut self, rows: Rows, sources: Vec<(String, Option<Arc<str>>)>) {
        // Of a commit that could not be written.
        if !self.whole.is_empty() && !rows.gone.is_empty() {
            let gone: HashSet<u64> = rows.gone.iter().copied().collect();
            self.whole.retain(|(id, _)| !gone.contains(id));
        }
        for id in rows.gone {
            let waiting = self.rows.remove(&id).and_then(|row| row.more);
            // What was never written need not be removed.
            if waiting.is_none_or(|more| more.path.is_none()) {
                self.gone.push(id);
            }
        }
        for row in rows.changed {
            match self.rows.get_mut(&row.id) {
                Some(waiting) => replace(waiting, row),
                None => drop(self.rows.insert(row.id, row)),
            }
        }
        self.sources.extend(sources);
    }
}

/// A node that waits to be written has changed again: its path and its metadata are told once only.
fn replace(waiting: &mut Row, new: Row) {
    let old = std::mem::replace(waiting, new);
    let Some(old) = old.more.filter(|more| more.path.is_some() || more.meta.is_some()) else { return };
    let more = waiting.more.get_or_insert_default();
    more.path = old.path;
    more.meta = more.meta.take().or(old.meta);
}
