//! The thread that writes.

use super::sqlite::{Database, OpenError, Pending};
use crate::core::{Event, Events};
use crate::tree::{Row, Rows, Tree};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::sync::oneshot;

/// The name of the file in the data folder.
const FILE: &str = "graftd.db";

/// What is to be kept from now on.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// What changed in the tree.
    pub(crate) rows: Rows,
    /// How far sources have been read, those that read on; `None` for one that is no more.
    pub(crate) sources: Vec<(String, Option<Arc<str>>)>,
    /// When it was so, in milliseconds since the Unix epoch.
    pub(crate) unix_ms: i64,
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
        events: Events,
    ) -> Result<(Keeper, Restored), OpenError> {
        let file = data.join(FILE);
        let told = |error: OpenError| match error {
            OpenError::Foreign(why) => OpenError::Foreign(format!("{}: {why}", file.display())),
            OpenError::Failed(why) => OpenError::Failed(format!("{}: {why}", file.display())),
        };
        let database = Database::open(&file).map_err(told)?;
        let mut restored = Restored { sources: database.sources().map_err(told)?, ..Restored::default() };
        tree.keep(database.last().map_err(told)?);
        let made = database.each(|path, row| match tree.restore(path, row, now_ms) {
            Ok(true) => restored.nodes += 1,
            Ok(false) | Err(_) => restored.lost += 1,
        });
        made.map_err(told)?;
        tree.end_restore();
        let keeper = start(file, database, events).map_err(|error| OpenError::Failed(format!("a thread: {error}")))?;
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

fn start(file: PathBuf, database: Database, events: Events) -> io::Result<Keeper> {
    let (commits, inbox) = channel();
    let (end, ended) = channel();
    thread::Builder::new().name("graftd-commit".to_owned()).spawn(move || {
        run(&file, database, &inbox, &events);
        let _ = end.send(());
    })?;
    Ok(Keeper { commits: Some(commits), ended })
}

fn run(file: &Path, database: Database, inbox: &Receiver<Commit>, events: &Events) {
    let mut database = Some(database);
    let mut pending = Pending::default();
    while let Ok(Commit { rows, sources, unix_ms, replies }) = inbox.recv() {
        pending.unix_ms = unix_ms;
        pending.add(rows, sources);
        let written = write(file, &mut database, &pending);
        if written.is_ok() {
            pending = Pending::default();
        }
        // The core waits for it before it begins another, and before it ends this thread.
        events.send(Event::Committed(written.clone()));
        for reply in replies {
            let _ = reply.send(written.clone());
        }
    }
}

/// Writes what waits. The file is opened anew after a failure: its folder may be back. One that is
/// not there is not made anew, for it would have only what changed lately.
fn write(file: &Path, database: &mut Option<Database>, pending: &Pending) -> Result<(), String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let mut open = match database.take() {
        Some(open) => open,
        None => Database::reopen(file).map_err(|error| told(&error))?,
    };
    if !open.is_there(file) {
        return Err(told(
            &"it was removed, replaced or overwritten while the daemon had it open; start the daemon anew",
        ));
    }
    open.write(pending).map_err(|error| told(&error))?;
    *database = Some(open);
    Ok(())
}

impl Pending {
    /// Takes on what changed since.
    fn add(&mut self, rows: Rows, sources: Vec<(String, Option<Arc<str>>)>) {
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
