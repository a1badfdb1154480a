//! The thread that writes.

#[cfg(test)]
mod tests;

use super::figures::{Figures, Shown, sizes};
use super::history::{History, Passed, Retention, newest};
use super::pending::Pending;
use super::relays::{RelayJob, Relays};
use super::remote::{self, Buffer, Link, Store};
use super::sqlite::{Database, OpenError, Place, Written, said};
use crate::core::{Event, Events};
use crate::relay::{Fold, Outgoing};
use crate::tree::{Mark, Rows, Tree};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "graftd.db";

/// How long history is packed between two commits, about.
const TIDY: Duration = Duration::from_millis(200);

/// How often packs are counted, at most: all of an index is read for that.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// The longest it may be where more comes to be packed than is done in that; at most half of the time between two commits.
const TIDY_MAX_MS: i64 = 5_000;

/// What is to be kept from now on.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// What changed in the tree.
    pub(crate) rows: Rows,
    /// The numbers of all nodes, where history is to have them whether they changed or not.
    pub(crate) whole: Vec<(u64, f64)>,
    /// The same, where a store is to be told what has not changed.
    pub(crate) fill: Vec<(u64, f64)>,
    /// How far sources have been read, those that read on; `None` for one that is no more.
    pub(crate) sources: Vec<(String, Option<Arc<str>>)>,
    /// When it was so, in milliseconds since the Unix epoch.
    pub(crate) unix_ms: i64,
    /// The same on a clock that is never set, in milliseconds since some moment.
    pub(crate) monotonic_ms: i64,
    /// The time that history has of it: of several with the same, the last counts.
    pub(crate) stamp: i64,
    /// Whether history is to have it.
    pub(crate) history: bool,
    /// What relays are to send, by their names.
    pub(crate) relays: Vec<(String, Fold)>,
    /// Lines that they are to send as they are.
    pub(crate) raw: Vec<(String, Outgoing)>,
    /// How often there is one, in milliseconds.
    pub(crate) every_ms: i64,
    /// Told when it is on the disk, or why it is not.
    pub(crate) replies: Vec<oneshot::Sender<Result<(), String>>>,
}

/// What the thread is to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Write all of it.
    Commit(Commit),
    /// Something about a relay's spool.
    Relay(String, RelayJob),
    /// End.
    End,
}

/// Where a relay's spool lies, and who writes it.
#[derive(Clone, Debug)]
pub(crate) struct Spooler {
    /// The file.
    pub(crate) file: PathBuf,
    /// By what receivers know it.
    pub(crate) id: String,
    /// A number that no other life of a daemon has.
    pub(crate) life: u64,
    jobs: Sender<Job>,
    heard: Heard,
}

/// What receivers have said that is written with the next commit, and need not wake who writes: the number up to which each has all, by
/// relay and connection.
type Heard = Arc<Mutex<BTreeMap<(String, u64), u64>>>;

impl Spooler {
    /// Has something done; `false` when the daemon ends.
    pub(crate) fn send(&self, relay: &str, job: RelayJob) -> bool {
        self.jobs.send(Job::Relay(relay.to_owned(), job)).is_ok()
    }

    /// The receiver on a connection has all up to a number. Where `more` waits than was promised it is promised at once.
    pub(crate) fn acknowledged(&self, relay: &str, connection: u64, number: u64, more: bool) {
        if more {
            self.send(relay, RelayJob::Acknowledged { connection, number, more });
        } else {
            let mut heard = self.heard.lock();
            let last = heard.entry((relay.to_owned(), connection)).or_default();
            *last = number.max(*last);
        }
    }
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

/// A store that has the history of numbers too.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) store: Arc<Store>,
    /// The daemon's host, by which the store knows it.
    pub(crate) host: String,
    /// Bytes of what may wait for it.
    pub(crate) buffer_bytes: u64,
    /// The file has that history no more.
    pub(crate) alone: bool,
}

/// Hands commits to the thread that writes them.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Sender<Job>,
    ended: Receiver<()>,
    shown: Shown,
    spooler: Spooler,
    link: Option<Arc<Link>>,
}

impl Keeper {
    /// Opens the file in the data folder, makes the tree of what it has, and starts the threads.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn open(
        data: &Path,
        tree: &mut Tree,
        now_ms: i64,
        retention: Retention,
        elsewhere: Option<Elsewhere>,
        events: Events,
    ) -> Result<(Keeper, Restored), OpenError> {
        let file = data.join(FILE);
        let told = |error: OpenError| match error {
            OpenError::Foreign(why) => OpenError::Foreign(format!("{}: {why}", file.display())),
            OpenError::Failed(why) => OpenError::Failed(format!("{}: {why}", file.display())),
        };
        let mut database = Database::open(&file).map_err(told)?;
        let mut restored = Restored { sources: database.sources().map_err(told)?, ..Restored::default() };
        let known = database.last().map_err(told)?;
        tree.keep(known);
        let made = database.each(|path, row| match tree.restore(path, row, now_ms) {
            Ok(true) => restored.nodes += 1,
            Ok(false) | Err(_) => restored.lost += 1,
        });
        made.map_err(told)?;
        tree.end_restore();
        let history = History::open(database.connection(), retention);
        let history = history.map_err(|error| told(OpenError::Failed(error.to_string())))?;
        restored.newest = newest(database.connection()).map_err(|error| told(error.into()))?;
        let passed = Passed::since(database.passed().map_err(told)?);
        let written = database.written().map_err(told)?;
        let relays = Relays::new(database.connection()).map_err(|error| told(OpenError::from(error)))?;
        let store = elsewhere
            .as_ref()
            .map(|elsewhere| Buffer::open(database.connection(), Arc::default(), elsewhere.buffer_bytes));
        let store = store.transpose().map_err(|error| told(OpenError::from(error)))?;
        let link = store.as_ref().map(Buffer::link);
        let alone = elsewhere.as_ref().is_some_and(|elsewhere| elsewhere.alone);
        let thread = |error: io::Error| OpenError::Failed(format!("a thread: {error}"));
        if let Some((Elsewhere { store, host, .. }, link)) = elsewhere.zip(link.clone()) {
            remote::start(&file, link, store, host).map_err(thread)?;
        }
        let writer = Writer {
            file,
            own: RandomState::new().build_hasher().finish().cast_signed(),
            written,
            database: Some(database),
            pending: Pending::default(),
            history,
            relays,
            store,
            elsewhere: alone,
            passed,
            known,
            attempt: 0,
            failed: false,
            tidied_ms: 0,
            counted: None,
            shown: Shown::default(),
            heard: Heard::default(),
        };
        let keeper = start(writer, events).map_err(thread)?;
        Ok((Keeper { link, ..keeper }, restored))
    }

    /// Has a commit written; [`Event::Committed`] tells what came of it. One at a time: the core waits for that.
    pub(crate) fn commit(&self, commit: Commit) {
        // A thread that is gone has told so.
        let _ = self.jobs.send(Job::Commit(commit));
    }

    /// Where relays have their spools.
    pub(crate) fn spooler(&self) -> Spooler {
        self.spooler.clone()
    }

    /// What there is and what waits, as it was after the last commit.
    pub(crate) fn figures(&self) -> Figures {
        let remote = self.link.as_ref().map(|link| link.figures());
        Figures { remote, ..self.shown.lock().clone() }
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) {
        let _ = self.jobs.send(Job::End);
        let _ = self.ended.recv();
    }
}

fn start(writer: Writer, events: Events) -> io::Result<Keeper> {
    let (jobs, inbox) = channel();
    let (end, ended) = channel();
    let shown = Shown::clone(&writer.shown);
    let relays = &writer.relays;
    let spooler = Spooler {
        file: writer.file.clone(),
        id: relays.id.clone(),
        life: relays.tag,
        jobs: jobs.clone(),
        heard: Heard::clone(&writer.heard),
    };
    thread::Builder::new().name("graftd-commit".to_owned()).spawn(move || {
        writer.run(&inbox, &events);
        let _ = end.send(());
    })?;
    Ok(Keeper { jobs, ended, shown, spooler, link: None })
}

/// What the thread has.
#[derive(Debug)]
struct Writer {
    file: PathBuf,
    /// None after a failure.
    database: Option<Database>,
    pending: Pending,
    history: History,
    relays: Relays,
    /// What waits for a store, if there is one.
    store: Option<Buffer>,
    /// The history of numbers is in the store alone.
    elsewhere: bool,
    passed: Passed,
    /// This daemon's number, and the last commit that is in the file.
    own: i64,
    written: Option<Written>,
    /// The greatest number of a node that surely is in the file.
    known: u64,
    /// How often it has been tried to write a commit.
    attempt: i64,
    /// A commit failed since: it may be in the file all the same, where it was only the disk that did not say so.
    failed: bool,
    /// When history was packed last, by the clock that is never set.
    tidied_ms: i64,
    /// When packs were counted last.
    counted: Option<Instant>,
    shown: Shown,
    heard: Heard,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>, events: &Events) {
        while let Ok(job) = inbox.recv() {
            self.hear();
            match job {
                Job::Commit(commit) => self.commit(commit, events),
                Job::Relay(name, job) => self.relay(&name, job),
                Job::End => {
                    let open = self.database.as_mut().filter(|_| !self.failed);
                    if let Some((store, open)) = self.store.as_ref().zip(open) {
                        store.forget_sent(open.connection());
                    }
                    return;
                }
            }
        }
    }

    /// Takes in what receivers have said before what is to be done now.
    fn hear(&mut self) {
        let heard = std::mem::take(&mut *self.heard.lock());
        for ((name, connection), number) in heard {
            self.relays.work(&name, RelayJob::Acknowledged { connection, number, more: false }, None);
        }
    }

    /// Does something about a relay's spool, if the file can be written.
    fn relay(&mut self, name: &str, job: RelayJob) {
        // After a failure the next commit looks whether it is still the file that is there. Into one that is not, nothing is
        // written: whoever opens what lies in its place would have pages of both.
        let file = &*self.file;
        let open = self.database.as_mut().filter(|open| !self.failed && open.place(file) == Place::There);
        let connection = open.map(Database::connection);
        self.relays.work(name, job, connection);
    }

    fn commit(&mut self, commit: Commit, events: &Events) {
        let Commit {
            rows,
            whole,
            fill,
            sources,
            unix_ms,
            monotonic_ms,
            stamp,
            every_ms,
            history,
            relays,
            raw,
            replies,
        } = commit;
        self.look(unix_ms, monotonic_ms);
        self.pending.unix_ms = unix_ms;
        self.pending.stamp = stamp;
        self.pending.every_ms = every_ms;
        self.pending.history = history;
        self.pending.add(rows, sources);
        self.pending.add_whole(whole);
        self.pending.add_fill(fill);
        self.pending.elsewhere = self.elsewhere;
        self.relays.add(relays);
        self.relays.add_raw(raw);
        let written = self.write();
        self.wrote(written.is_ok(), unix_ms, stamp);
        self.show();
        // The core waits for it before it begins another, and before it ends this thread.
        events.send(Event::Committed(written.clone()));
        for reply in replies {
            let _ = reply.send(written.clone());
        }
        if let (Ok(()), Some(database)) = (written, self.database.as_mut()) {
            self.relays.committed(database.connection());
        }
        self.tidy(monotonic_ms);
    }

    /// Writes what waits.
    fn write(&mut self) -> Result<(), String> {
        self.write_down().map_err(|why| format!("{}: {why}", self.file.display()))
    }

    /// The file is opened anew after a failure: its folder may be back. One that is not there is not made anew from what
    /// changed lately: what has been removed is put back as long as it is open, and what was put in its place is left alone.
    fn write_down(&mut self) -> Result<(), String> {
        let file = &*self.file;
        let mut open = match self.database.take() {
            Some(open) => open,
            None => self.reopened()?,
        };
        match open.place(file) {
            Place::There => {}
            Place::Gone => {
                let back = open.put_back(file);
                if let Err(why) = back {
                    // As long as it is open it is not lost.
                    self.database = Some(open);
                    return Err(format!("it was removed while the daemon ran, and cannot be put back: {why}"));
                }
                tracing::warn!("{}: it was removed while the daemon ran, and has been put back", file.display());
                drop(open);
                open = self.reopened()?;
            }
            Place::Hidden(why) => {
                open.settle();
                self.database = Some(open);
                return Err(why);
            }
            Place::Overwritten => {
                return Err(
                    "it was overwritten while the daemon ran; put back a copy, and start the daemon anew".into()
                );
            }
        }
        let last = open.written().map_err(|error| error.to_string())?;
        let landed = last == Some((self.own, self.attempt));
        self.written = last;
        self.pending.tried(landed);
        self.relays.tried(landed);
        if let Some(store) = &mut self.store {
            store.tried(landed);
        }
        self.attempt += 1;
        self.pending.attempt = self.attempt;
        let known = self.failed.then_some(self.known);
        let number = self.history.next();
        let link = self.store.as_ref().map(Buffer::link);
        let written = {
            // Who sends takes nothing of a time to which something is just being added.
            let mut state = link.as_ref().map(|link| link.state.lock());
            let mut store = self.store.as_mut().zip(state.as_deref_mut());
            let written = open.write(&self.pending, &self.relays, store.as_mut(), number, known);
            if let (Ok(()), Some((store, state))) = (&written, store) {
                store.written(state);
            }
            written
        };
        if let Err(error) = written {
            self.pending.may_be_written();
            self.relays.may_be_written();
            if let Some(store) = &mut self.store {
                store.failed(open.connection());
            }
            return Err(said(&error));
        }
        if let Some(link) = link {
            link.wake();
        }
        self.written = Some((self.own, self.attempt));
        self.database = Some(open);
        Ok(())
    }

    /// Opens the file that was there, if it has what was written last.
    fn reopened(&self) -> Result<Database, String> {
        let open = Database::reopen(&self.file).map_err(|error| error.to_string())?;
        let found = open.written().map_err(|error| error.to_string())?;
        // One that failed may have been written all the same.
        if found != self.written && !(self.failed && found == Some((self.own, self.attempt))) {
            return Err(
                "it is not what was written last, but another or an older one: put back the one that was there, or \
                        start the daemon anew to go on with this one"
                    .to_owned(),
            );
        }
        Ok(open)
    }

    /// What a commit was for is done, or it waits for the next.
    fn wrote(&mut self, written: bool, unix_ms: i64, stamp: i64) {
        self.failed = !written;
        if written {
            let pending = std::mem::take(&mut self.pending);
            self.known = pending.rows.keys().copied().fold(self.known, u64::max);
            let whole = pending.whole.iter().map(|(id, _)| *id);
            let mut series: Vec<u64> = pending.rows.keys().copied().chain(whole).collect();
            series.sort_unstable();
            if self.elsewhere {
                series.clear();
            }
            if pending.history {
                self.history.committed(stamp, series.into_iter());
            }
            self.shown.lock().committed_ms = Some(unix_ms);
        }
    }

    /// Looks at the clocks.
    fn look(&mut self, unix_ms: i64, monotonic_ms: i64) {
        self.passed.look(unix_ms, monotonic_ms);
        self.pending.passed = self.passed.kept();
        self.pending.gone_ms = self.passed.latest();
        self.pending.writer = self.own;
        let doubt = self.passed.doubt();
        let mut shown = self.shown.lock();
        if doubt.is_empty() != shown.clock.is_empty() {
            if doubt.is_empty() {
                tracing::info!("the clock is believed again: history ages by it");
            } else {
                tracing::warn!("{doubt}");
            }
        }
        shown.clock = doubt;
    }

    /// Packs history for a while; what is left waits for the next commit.
    fn tidy(&mut self, monotonic_ms: i64) {
        let passed = monotonic_ms.saturating_sub(std::mem::replace(&mut self.tidied_ms, monotonic_ms));
        let most = Duration::from_millis((passed / 2).clamp(0, TIDY_MAX_MS).cast_unsigned());
        // What failed may have been because the file is another one.
        let Some(database) = self.database.as_mut().filter(|_| !self.failed) else { return };
        let why = match self.history.tidy(database.connection(), self.passed.now(), TIDY, most) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let mut shown = self.shown.lock();
        if !why.is_empty() {
            shown.pack_failed += 1;
            if why != shown.pack_error {
                tracing::error!("{}: history cannot be packed: {why}; it is kept as it is", self.file.display());
            }
        }
        shown.pack_error = why;
    }

    /// Notes what there is to tell. What cannot be found out stays as it was.
    fn show(&mut self) {
        let count = self.counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY);
        let found = self.database.as_ref().and_then(|database| database.figures(count).ok());
        let (file_bytes, wal_bytes) = sizes(&self.file);
        let (recent_rows, recent_ms) = self.history.waiting();
        let mut shown = self.shown.lock();
        if let Some((free, packs, oldest)) = found {
            shown.free_bytes = free;
            shown.oldest_ms = oldest.into_iter().chain(recent_ms).min();
            if let Some(packs) = packs {
                shown.packs = packs;
                self.counted = Some(Instant::now());
            }
        }
        shown.waiting_nodes = (self.pending.rows.len() + self.pending.gone.len()) as u64;
        shown.waiting_bytes = self.pending.bytes() as u64;
        *shown = Figures { file_bytes, wal_bytes, recent_rows, ..shown.clone() };
    }
}
