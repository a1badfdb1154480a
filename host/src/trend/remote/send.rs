//! The thread that writes to a store what waits for it.

use super::buffer::{FIGURE_NAMES, decode};
use super::divide::{Offers, Part, Sample};
use super::labels::labels_of;
use super::link::Link;
use super::store::{Store, WriteError};
use super::write::{Request, encode_labels};
use crate::limits::{STORE_BYTES, STORE_PAUSE, STORE_PAUSE_MAX, STORE_SAMPLES};
use crate::tree::parse_plain;
use crate::trend::{FileId, file_id};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Series whose labels are remembered: some tens of megabytes.
const NAMES_MAX: usize = 200_000;

/// Rows that are read at once, but for those of the last time, which go together: those of a small tree have a few values each.
pub(super) const ROWS_MAX: usize = 500;

/// Samples that are read at once, at most, be they of one time.
pub(super) const SAMPLES_MAX: usize = 200_000;

/// A value that has not changed has a time that no commit has, by so many milliseconds.
pub(super) const FILL_MS: i64 = 1;

/// The labels of a series as they are sent; none for one that cannot be.
type Name = Option<Arc<[u8]>>;

/// A series, and of a sketch the figure.
type Series = (u64, Option<u8>);

/// What the thread has.
#[derive(Debug)]
struct Sender {
    file: PathBuf,
    /// With the file that it has open.
    connection: Option<(FileId, Connection)>,
    link: Arc<Link>,
    store: Arc<Store>,
    host: String,
    /// All up to this row has been sent.
    sent_to: i64,
    /// What has been read and not been sent, and what is being offered of it.
    current: Option<Current>,
    offers: Offers,
    names: HashMap<Series, Name>,
}

/// Some rows, by their series.
#[derive(Debug, Default)]
struct Batch {
    up_to: i64,
    samples: usize,
    series: BTreeMap<Series, Vec<Sample>>,
}

/// What is being sent.
#[derive(Debug)]
struct Current {
    up_to: i64,
    /// The last comes first.
    parts: Vec<Part>,
    done: Sent,
    /// Why some was refused last.
    why: String,
}

/// Why it is to be tried again, and after which time, if that is known.
#[derive(Debug)]
struct Failed {
    why: String,
    after: Option<Duration>,
}

/// What became of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    sent: u64,
    refused: u64,
}

/// Starts the thread, which ends when nobody commits any more.
///
/// # Errors
/// The system's.
pub(in crate::trend) fn start(file: &Path, link: Arc<Link>, store: Arc<Store>, host: String) -> io::Result<()> {
    let file = file.to_owned();
    let sender = Sender {
        file,
        connection: None,
        link,
        store,
        host,
        sent_to: 0,
        current: None,
        offers: Offers::default(),
        names: HashMap::new(),
    };
    thread::Builder::new().name("graftd-store".to_owned()).spawn(move || sender.run()).map(drop)
}

impl Sender {
    fn run(mut self) {
        let random = RandomState::new();
        let (mut tries, mut not_before) = (0_u32, None);
        while let Some(due) = self.link.due(self.sent_to, not_before.take()) {
            match self.turn(due) {
                Ok(()) => {
                    tries = 0;
                    self.link.told.went(Instant::now());
                }
                Err(Failed { why, after }) => {
                    self.link.told.failed(&why);
                    self.connection = None;
                    not_before = Some(Instant::now() + after.unwrap_or_else(|| pause(tries, random.hash_one(tries))));
                    tries = tries.saturating_add(1);
                }
            }
        }
    }

    /// Sends some of what is due, up to a row at most.
    fn turn(&mut self, due: i64) -> Result<(), Failed> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.read(due).map_err(|error| Failed {
                why: format!("what waits for the store cannot be read: {error}"),
                after: None,
            })?,
        };
        if let Err(failed) = self.send(&mut current) {
            self.current = Some(current);
            return Err(failed);
        }
        self.sent_to = current.up_to;
        self.link.sent(current.up_to, current.done.sent, current.done.refused);
        Ok(())
    }

    /// What is to be sent next.
    fn read(&mut self, due: i64) -> Result<Current, rusqlite::Error> {
        // The file may have been put back since.
        let place = file_id(&self.file);
        let connection = match self.connection.take() {
            Some((of, connection)) if of == place => connection,
            _ => open(&self.file)?,
        };
        // There may be none, for there was no room for them.
        let batch = read(&connection, self.sent_to, due)?.unwrap_or(Batch { up_to: due, ..Batch::default() });
        let mut current = Current { up_to: batch.up_to, parts: Vec::new(), done: Sent::default(), why: String::new() };
        for (series, samples) in batch.series {
            match self.name(&connection, series)? {
                Some(name) => current.parts.push((name, samples)),
                None => current.done.refused += samples.len() as u64,
            }
        }
        self.connection = Some((place, connection));
        Ok(current)
    }

    /// Sends what has been read. What has been taken or given up of it is not offered again, whatever fails after that.
    fn send(&mut self, current: &mut Current) -> Result<(), Failed> {
        loop {
            let Some(parts) = self.offers.next() else {
                if current.parts.is_empty() {
                    return Ok(());
                }
                let rest = current.parts.len() - fitting(&current.parts);
                self.offers.begin(current.parts.split_off(rest));
                continue;
            };
            let mut request = Request::default();
            for (name, samples) in parts {
                let told = samples.iter().map(|(time, fill, bits)| (time + i64::from(*fill) * FILL_MS, *bits));
                request.add(name, told);
            }
            let packed = request.pack().map_err(|error| Failed { why: error.to_string(), after: None })?;
            let given_up = match self.store.write(&packed) {
                Ok(()) => {
                    let (taken, given_up) = self.offers.taken();
                    current.done.sent += taken;
                    given_up
                }
                Err(WriteError::Later(why, after)) => return Err(Failed { why, after }),
                Err(WriteError::Never(why)) => {
                    current.why = why;
                    self.offers.refused()
                }
            };
            current.done.refused += given_up;
            match given_up {
                0 => {}
                1 => self.link.told.refused(&current.why, Instant::now()),
                many => {
                    let why = format!("{} ({many} values of one time are left out, for it refuses many)", current.why);
                    self.link.told.refused(&why, Instant::now());
                }
            }
        }
    }

    /// The labels of a series.
    fn name(&mut self, connection: &Connection, series: Series) -> Result<Name, rusqlite::Error> {
        if let Some(name) = self.names.get(&series) {
            return Ok(name.clone());
        }
        let mut select = connection.prepare_cached("SELECT path FROM series WHERE id = ?")?;
        let path: Option<String> = select.query_row([series.0.cast_signed()], |row| row.get(0)).optional()?;
        let figure = series.1.and_then(|figure| FIGURE_NAMES.get(usize::from(figure)).copied());
        let labels = path.and_then(|path| labels_of(&parse_plain(&path).ok()?, &self.host, figure));
        let name: Name = labels.map(|labels| encode_labels(&labels).into());
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(series, name.clone());
        Ok(name)
    }
}

fn open(file: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

/// Some rows that follow one, up to another, in their order; none where there are none. Of one time the later value counts.
fn read(connection: &Connection, after: i64, up_to: i64) -> Result<Option<Batch>, rusqlite::Error> {
    let mut batch = Batch::default();
    let mut select =
        connection.prepare_cached("SELECT n, stamp, data FROM outgoing WHERE n > ? AND n <= ? ORDER BY n")?;
    let mut rows = select.query(params![after, up_to])?;
    let (mut last, mut read) = (None, 0);
    while let Some(row) = rows.next()? {
        let stamp: i64 = row.get(1)?;
        // Those of one time go together: each commit of it may have another value of a series.
        if (read >= ROWS_MAX || batch.samples >= STORE_SAMPLES) && last != Some(stamp) {
            break;
        }
        (last, read) = (Some(stamp), read + 1);
        let is_full = batch.samples >= SAMPLES_MAX;
        if !is_full {
            batch.up_to = row.get(0)?;
        }
        let told = match decode(row.get_ref(2)?.as_blob().unwrap_or_default()) {
            Ok(told) => told,
            Err(what) => {
                tracing::warn!("what waits for the store of history is {what}");
                continue;
            }
        };
        if is_full {
            // What there is no room for is read next. What it says anew is told then, and not now.
            for told in told {
                let series = (told.id, told.figure);
                if let Some(samples) = batch.series.get_mut(&series) {
                    samples.retain(|(time, ..)| *time != stamp);
                    if samples.is_empty() {
                        batch.series.remove(&series);
                    }
                }
            }
            continue;
        }
        batch.samples += told.len();
        for told in told {
            let samples = batch.series.entry((told.id, told.figure)).or_default();
            let sample = (stamp, told.fill, told.bits);
            match samples.iter().position(|(time, ..)| *time >= stamp) {
                None => samples.push(sample),
                Some(at) if samples[at].0 == stamp => samples[at] = sample,
                // The clock was put back.
                Some(at) => samples.insert(at, sample),
            }
        }
    }
    Ok(last.map(|_| batch))
}

/// How many of some series go with one request, of the last of them.
fn fitting(parts: &[Part]) -> usize {
    let (mut bytes, mut samples) = (0, 0);
    let fits = |(name, told): &&Part| {
        bytes += name.len() + told.len() * 20;
        samples += told.len();
        bytes <= STORE_BYTES && samples <= STORE_SAMPLES
    };
    parts.iter().rev().take_while(fits).count().max(1)
}

/// How long a store is left alone after so many tries in a row that came to nothing: between half of it and all of it, by chance.
fn pause(tries: u32, random: u64) -> Duration {
    let longest = STORE_PAUSE.saturating_mul(1 << tries.min(16)).min(STORE_PAUSE_MAX);
    longest.mul_f64(0.5 + (random >> 12) as f64 / (1_u64 << 53) as f64)
}
