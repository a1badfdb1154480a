//! The country of an address, out of a file in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>).
//!
//! A file is held in memory once, however many ask for it, and as long as one of them does. Held, not mapped: a mapped file that
//! somebody cuts short would kill the process.

use maxminddb::{Reader, path};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A database that has countries.
pub struct Countries {
    database: Reader<Vec<u8>>,
}

/// Which file it is, and as which it was read: one that is replaced or written over is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    place: (u64, u64),
    bytes: u64,
    written: [i64; 4],
}

impl Identity {
    fn of(meta: &Metadata) -> Identity {
        Identity {
            place: (meta.dev(), meta.ino()),
            bytes: meta.len(),
            written: [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()],
        }
    }
}

/// The databases that somebody holds. A plugin has its own.
type Held = Vec<(Identity, Weak<Countries>)>;

static HELD: Mutex<Held> = Mutex::new(Vec::new());

/// Nobody panics while it is held. Nothing that is held may be dropped meanwhile.
fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn among(held: &Held, identity: Identity) -> Option<Arc<Countries>> {
    held.iter().find(|(other, _)| *other == identity).and_then(|(_, countries)| countries.upgrade())
}

impl Countries {
    /// The database in a file: that which somebody has already, or as it is read now.
    ///
    /// # Errors
    /// It cannot be read, or is no such database; says why.
    pub fn open(file: &Path) -> Result<Arc<Countries>, String> {
        let bad = |error: &dyn fmt::Display| format!("cannot read {file:?}: {error}");
        // Whoever opens a pipe waits for its other end.
        let meta = fs::metadata(file).map_err(|error| bad(&error))?;
        if !meta.is_file() {
            return Err(bad(&"it is no file"));
        }
        let mut open = File::open(file).map_err(|error| bad(&error))?;
        let identity = Identity::of(&open.metadata().map_err(|error| bad(&error))?);
        if let Some(countries) = among(&held(), identity) {
            return Ok(countries);
        }
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).map_err(|error| bad(&error))?;
        let database = Reader::from_source(bytes).map_err(|error| bad(&error))?;
        let countries = Arc::new(Countries { database });
        let mut held = held();
        // Somebody may have read it meanwhile.
        let other = among(&held, identity);
        if other.is_none() {
            held.push((identity, Arc::downgrade(&countries)));
        }
        drop(held);
        Ok(other.unwrap_or(countries))
    }

    /// The ISO 3166-1 code of an address's country, such as `DE`; `None` for an address that the database does not know, or a
    /// damaged entry.
    #[must_use]
    pub fn of(&self, addr: IpAddr) -> Option<&str> {
        self.database.lookup(addr).ok()?.decode_path(&path!["country", "iso_code"]).ok()?
    }
}

/// The address that a log writes; `None` for a host name. A server that listens on IPv6 logs clients of IPv4 as
/// `::ffff:192.0.2.1`.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

impl Drop for Countries {
    fn drop(&mut self) {
        let mut held = held();
        held.retain(|(_, countries)| countries.strong_count() > 0);
        if held.is_empty() {
            // A plugin's code that is unloaded leaves no memory behind.
            *held = Vec::new();
        }
    }
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Countries").field("type", &self.database.metadata().database_type).finish_non_exhaustive()
    }
}
