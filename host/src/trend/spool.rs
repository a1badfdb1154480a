//! What relays have still to send, in the file that all else is committed to.
//!
//! `spool` has the entries of each relay in the order in which they are to be sent. Before an entry may be sent to a receiver it is
//! *promised* to it (`peer`), and that is on the disk: an entry that a receiver may have counted goes to that receiver only,
//! whatever dies, until it says that it has it. Entries promised to nobody are newer than all that are, so they may
//! be folded into each other.
//!
//! `lineage` has a random tag for each life of the daemon, from its first entry on. A receiver remembers the tag of the last entry it
//! has; one that this file does not know came from a copy of it.

#[cfg(test)]
mod tests;

use super::sqlite::keep_plans;
use crate::limits::{RELAY_FOLD_BYTES, RELAY_LINEAGE_MAX, RELAY_SPOOL_ENTRIES_MAX, RELAY_WINDOW_ENTRIES};
use crate::relay::{Fold, Packed, is_raw, pack, unpack};
use plugin_api::delta::wire::{Op, Reader};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Result<T> = std::result::Result<T, rusqlite::Error>;

/// Of which kind entries are, and how large: told without a look at the entries, which are large and many.
macro_rules! kinds {
    () => {
        "CREATE INDEX IF NOT EXISTS spool_kind ON spool(relay, substr(data, 1, 4) = x'72617701', number, length(data));"
    };
}

/// What a file lacks that an older graftd has made; older ones write it as well once it is there.
pub(super) const INDEXES: &str = kinds!();

pub(super) const TABLES: &str = concat!(
    "
CREATE TABLE relay(name TEXT PRIMARY KEY, last INTEGER NOT NULL, folded INTEGER NOT NULL, dropped INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE spool(id INTEGER PRIMARY KEY, relay TEXT NOT NULL, number INTEGER NOT NULL, peer TEXT, tag INTEGER NOT NULL,
  folded INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX spool_place ON spool(relay, number);
CREATE INDEX spool_peer ON spool(relay, peer, number);
CREATE TABLE peer(relay TEXT, id TEXT, address TEXT NOT NULL, PRIMARY KEY(relay, id)) STRICT, WITHOUT ROWID;
CREATE TABLE lineage(relay TEXT, number INTEGER, tag INTEGER NOT NULL, PRIMARY KEY(relay, number)) STRICT, WITHOUT ROWID;
",
    kinds!()
);

/// The sizes of entries of a relay that are of a kind: 1 for lines.
const SIZE: &str = "SELECT count(*), coalesce(sum(length(data)), 0) FROM spool INDEXED BY spool_kind \
                    WHERE relay = ? AND (substr(data, 1, 4) = x'72617701') = ?";

/// The oldest behind a number that are promised to nobody, but for lines.
const OLDEST: &str = "SELECT number, folded, data FROM spool INDEXED BY spool_kind \
                      WHERE relay = ? AND (substr(data, 1, 4) = x'72617701') = 0 AND number > ? AND peer IS NULL ORDER BY number";

/// Bytes of an entry, packed, that is small.
const SMALL_BYTES: u64 = 64 * 1024;

/// Pages that a reader keeps.
const READER_PAGES: u32 = 8;

/// How receivers are known that are streams of NATS: what these have, others read there.
pub(crate) const STREAM_PEER: &str = "nats:";

/// Which entry a receiver has last, and its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) tag: u64,
}

/// An entry as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) place: Place,
    pub(crate) data: Vec<u8>,
}

/// How a relay's spool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// Entries promised to a receiver.
    pub(crate) promised: u64,
    /// Entries that were folded into another, and dropped, since the spool was made.
    pub(crate) folded: u64,
    pub(crate) dropped: u64,
    /// Values that were in those dropped.
    pub(crate) dropped_leaves: u64,
}

/// A relay's name and the tag of this life of the daemon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream<'r> {
    pub(super) relay: &'r str,
    pub(super) tag: u64,
}

impl Stream<'_> {
    /// Puts entries behind all others.
    pub(super) fn append(self, to: &Transaction<'_>, entries: &[Packed]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let new = "INSERT INTO relay VALUES(?, 0, 0, 0) ON CONFLICT DO NOTHING";
        to.prepare_cached(new)?.execute([self.relay])?;
        let mut last = self.last(to)?;
        let known = "SELECT tag FROM lineage WHERE relay = ? ORDER BY number DESC LIMIT 1";
        let newest: Option<i64> = to.prepare_cached(known)?.query_row([self.relay], |row| row.get(0)).optional()?;
        if newest != Some(self.tag.cast_signed()) {
            to.execute("INSERT INTO lineage VALUES(?, ?, ?)", params![self.relay, last + 1, self.tag.cast_signed()])?;
            let old = "DELETE FROM lineage WHERE relay = ?1 AND number < (SELECT min(number) FROM (SELECT number FROM lineage \
                       WHERE relay = ?1 ORDER BY number DESC LIMIT ?2))";
            to.execute(old, params![self.relay, RELAY_LINEAGE_MAX])?;
        }
        let put = "INSERT INTO spool(relay, number, tag, folded, data) VALUES(?, ?, ?, ?, ?)";
        let mut put = to.prepare_cached(put)?;
        for Packed { folded, data } in entries {
            last += 1;
            put.execute(params![self.relay, last, self.tag.cast_signed(), folded.cast_signed(), data])?;
        }
        to.prepare_cached("UPDATE relay SET last = ? WHERE name = ?")?.execute(params![last, self.relay])?;
        Ok(())
    }

    fn last(self, from: &Connection) -> Result<i64> {
        let mut last = from.prepare_cached("SELECT last FROM relay WHERE name = ?")?;
        Ok(last.query_row([self.relay], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The last that is promised to anybody.
    pub(super) fn promised(self, from: &Connection) -> Result<u64> {
        let most = "SELECT coalesce(max(number), 0) FROM spool WHERE relay = ? AND peer IS NOT NULL";
        from.prepare_cached(most)?.query_row([self.relay], |row| row.get(0)).map(i64::cast_unsigned)
    }

    /// Promises a receiver the oldest that are promised to nobody, as long as it has fewer than a window of them.
    pub(super) fn promise(self, to: &Transaction<'_>, peer: &str) -> Result<()> {
        let has = "SELECT count(*) FROM spool WHERE relay = ? AND peer = ?";
        let has: i64 = to.prepare_cached(has)?.query_row([self.relay, peer], |row| row.get(0))?;
        let room = RELAY_WINDOW_ENTRIES - has;
        if room > 0 {
            let promise = "UPDATE spool SET peer = ?1 WHERE id IN (SELECT id FROM spool WHERE relay = ?2 AND peer IS NULL \
                           ORDER BY number LIMIT ?3)";
            to.prepare_cached(promise)?.execute(params![peer, self.relay, room])?;
        }
        Ok(())
    }

    /// A receiver has all up to a number.
    pub(super) fn acknowledged(self, to: &Transaction<'_>, peer: &str, number: u64) -> Result<()> {
        let has = "DELETE FROM spool WHERE relay = ? AND peer = ? AND number <= ?";
        to.prepare_cached(has)?.execute(params![self.relay, peer, number.cast_signed()])?;
        if peer.starts_with(STREAM_PEER) {
            let published = "INSERT INTO info VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = max(value, ?2)";
            let key = format!("published {}", self.relay);
            to.prepare_cached(published)?.execute(params![key, number.cast_signed()])?;
        }
        Ok(())
    }

    /// What was promised to a receiver and is behind all that was sent to it may go to another.
    pub(super) fn take_back(self, to: &Transaction<'_>, peer: &str, sent: u64) -> Result<()> {
        let back = "UPDATE spool SET peer = NULL WHERE relay = ? AND peer = ? AND number > ?";
        to.execute(back, params![self.relay, peer, sent.cast_signed()])?;
        Ok(())
    }

    /// A receiver has said who it is, at an address, and what it has: whether another was given up for it. Says why nothing may be
    /// sent to it, if so.
    pub(super) fn meet(
        self,
        to: &Transaction<'_>,
        (peer, address): (&str, &str),
        has: [Option<Place>; 2],
    ) -> Result<std::result::Result<bool, String>> {
        for place in has.into_iter().flatten() {
            if let Some(why) = self.doubt(to, place)? {
                return Ok(Err(why));
            }
        }
        // Another that answers there is in its place: what the one before may have counted went with it.
        let released = self.release(to, "address = ?3 AND id <> ?2", (peer, address))?;
        let met = "INSERT INTO peer VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET address = excluded.address";
        to.execute(met, [self.relay, peer, address])?;
        Ok(Ok(released))
    }

    /// Receivers at other addresses than these are not waited for any more; whether there were any.
    pub(super) fn keep_to(self, to: &Transaction<'_>, addresses: &[String]) -> Result<bool> {
        let list = serde_json::to_string(addresses).unwrap_or_default();
        self.release(to, "?2 = '' AND address NOT IN (SELECT value FROM json_each(?3))", ("", &list))
    }

    /// Forgets receivers; what they may have counted or not is told anew, as the newest. Of what was set since then, newer is known.
    fn release(self, to: &Transaction<'_>, which: &str, with: (&str, &str)) -> Result<bool> {
        let peers = format!("SELECT id FROM peer WHERE relay = ?1 AND {which}");
        let mut select = to.prepare(&peers)?;
        let peers = select.query_map([self.relay, with.0, with.1], |row| row.get::<_, String>(0))?;
        let peers = peers.collect::<Result<Vec<_>>>()?;
        drop(select);
        let any = !peers.is_empty();
        for peer in peers {
            let mut select =
                to.prepare("SELECT folded, data FROM spool WHERE relay = ? AND peer = ? ORDER BY number")?;
            let entries = select.query_map([self.relay, &peer], |row| {
                Ok(Packed { folded: row.get::<_, i64>(0)?.cast_unsigned(), data: row.get(1)? })
            })?;
            let entries = entries.collect::<Result<Vec<_>>>()?;
            drop(select);
            let (lines, entries): (Vec<Packed>, Vec<Packed>) =
                entries.into_iter().partition(|packed| is_raw(&packed.data));
            let (mut fold, folded) = fold(&entries);
            fold.forget_what_was_set();
            to.execute("DELETE FROM spool WHERE relay = ? AND peer = ?", [self.relay, &peer])?;
            self.append(to, &pack(fold, folded).0)?;
            self.append(to, &lines)?;
            to.execute("DELETE FROM peer WHERE relay = ? AND id = ?", [self.relay, &peer])?;
        }
        Ok(any)
    }

    /// All that is set is to be told anew.
    pub(super) fn tell(self, to: &Connection) -> Result<()> {
        let once_more = "INSERT INTO info VALUES(?, 1) ON CONFLICT DO UPDATE SET value = value + 1";
        to.prepare_cached(once_more)?.execute([format!("tell {}", self.relay)])?;
        Ok(())
    }

    /// Which time that was asked for, if it is not done yet.
    pub(super) fn wanted(self, from: &Connection) -> Result<Option<u64>> {
        let number = |key: &str| {
            let mut select = from.prepare_cached("SELECT value FROM info WHERE key = ?")?;
            select.query_row([format!("{key} {}", self.relay)], |row| row.get::<_, i64>(0)).optional()
        };
        let wanted = number("tell")?.filter(|wanted| *wanted > 0);
        let told = number("told")?.unwrap_or(0);
        Ok(wanted.filter(|wanted| *wanted > told).map(i64::cast_unsigned))
    }

    /// It is told with what is written now, as it was asked for then.
    pub(super) fn told(self, to: &Connection, which: u64) -> Result<()> {
        let told = "INSERT INTO info VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = max(value, ?2)";
        to.prepare_cached(told)?.execute(params![format!("told {}", self.relay), which.cast_signed()])?;
        Ok(())
    }

    /// The receiver that was met last.
    pub(super) fn met(self, from: &Connection) -> Result<Option<String>> {
        let mut select = from.prepare_cached("SELECT value FROM info WHERE key = ?")?;
        select.query_row([format!("met {}", self.relay)], |row| row.get(0)).optional()
    }

    /// It is this one from now on.
    pub(super) fn has_met(self, to: &Connection, peer: &str) -> Result<()> {
        let met = "INSERT OR REPLACE INTO info VALUES(?, ?)";
        to.prepare_cached(met)?.execute([&format!("met {}", self.relay), peer])?;
        Ok(())
    }

    /// Drops an entry that its receiver refuses, and counts it.
    pub(super) fn give_up(self, to: &Connection, peer: &str, number: u64) -> Result<()> {
        let gone = "DELETE FROM spool WHERE relay = ? AND peer = ? AND number = ? RETURNING folded, data";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let gone = to.query_row(gone, params![self.relay, peer, number.cast_signed()], row).optional()?;
        if let Some((folded, data)) = gone {
            self.dropped(to, folded, leaves(&data))?;
        }
        Ok(())
    }

    /// Counts what was dropped.
    fn dropped(self, to: &Connection, folded: i64, leaves: u64) -> Result<()> {
        self.count(to, "dropped", folded.max(1).cast_unsigned())?;
        let more = "INSERT INTO info VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = value + ?2";
        to.prepare_cached(more)?.execute(params![self.dropped_leaves(), leaves.cast_signed()])?;
        Ok(())
    }

    /// Under what the values are counted that were dropped.
    fn dropped_leaves(self) -> String {
        format!("dropped_leaves {}", self.relay)
    }

    /// Why a receiver's last entry cannot be one of this spool's.
    fn doubt(self, from: &Connection, has: Place) -> Result<Option<String>> {
        let copied = |what: &str| {
            Some(format!(
                "{what}: the data folder was copied from another host, or is older than what was sent from it already; \
                 `graftd relay renew --data DIR`, while the daemon is stopped, makes it a sender of its own"
            ))
        };
        if has.number > self.last(from)?.cast_unsigned() {
            return Ok(copied("the receiver has more from this sender than it ever sent"));
        }
        let tag = "SELECT tag FROM lineage WHERE relay = ? AND number <= ? ORDER BY number DESC LIMIT 1";
        let mut found = from.prepare_cached(tag)?;
        let found = found.query_row(params![self.relay, has.number.cast_signed()], |row| row.get::<_, i64>(0));
        match found.optional()? {
            Some(tag) if tag.cast_unsigned() != has.tag => {
                Ok(copied("the receiver has this sender's entries from another"))
            }
            _ => Ok(None),
        }
    }

    /// Folds the oldest entries that are promised to nobody into each other where there are too many bytes, and drops them where that
    /// is not enough.
    pub(super) fn shrink(self, to: &Transaction<'_>, limit: u64) -> Result<()> {
        let (mut count, mut bytes) = self.size(to)?;
        let limit = limit.saturating_sub(self.raw_bytes(to)?).max(limit / 4);
        let is_large = bytes > limit;
        // Where entries are large there are not many, or many are wanted.
        let are_many = count > RELAY_SPOOL_ENTRIES_MAX && bytes / count < SMALL_BYTES;
        if !is_large && !are_many {
            return Ok(());
        }
        // Not just below: the next entries are to find room.
        let goal = if is_large { limit - limit / 4 } else { limit };
        let count_goal = RELAY_SPOOL_ENTRIES_MAX / 4 * 3;
        let mut done = 0;
        while bytes > goal || count > count_goal {
            let oldest = self.oldest(to, done)?;
            if oldest.len() < 2 {
                break;
            }
            let before: usize = oldest.iter().map(|(_, packed)| packed.data.len()).sum();
            let entries: Vec<Packed> = oldest.iter().map(|(_, packed)| packed.clone()).collect();
            let (folded, commits) = fold(&entries);
            let (packed, lost) = pack(folded, commits);
            let after: usize = packed.iter().map(|packed| packed.data.len()).sum();
            // They have nothing in common.
            if packed.len() >= oldest.len() {
                done = oldest.last().map_or(done, |(number, _)| *number);
                continue;
            }
            for (number, _) in &oldest {
                to.execute("DELETE FROM spool WHERE relay = ? AND number = ?", params![self.relay, number])?;
            }
            // In the places of the last: what comes later stays later.
            let places = oldest[oldest.len() - packed.len()..].iter().map(|(number, _)| *number);
            for (number, Packed { folded, data }) in places.zip(&packed) {
                let tag = "coalesce((SELECT tag FROM lineage WHERE relay = ?1 AND number <= ?2 ORDER BY number DESC LIMIT 1), ?5)";
                let put = format!("INSERT INTO spool(relay, number, tag, folded, data) VALUES(?1, ?2, {tag}, ?3, ?4)");
                let own = self.tag.cast_signed();
                to.execute(&put, params![self.relay, number, folded.cast_signed(), data, own])?;
                done = number;
            }
            let gone = (oldest.len() - packed.len()) as u64 + lost;
            self.count(to, "folded", gone)?;
            bytes = (bytes + after as u64).saturating_sub(before as u64);
            count = count.saturating_sub(gone);
        }
        // So much room is there until this is tried again, for it takes its time.
        let most = limit - limit / 8;
        let mut dropped = false;
        while is_large && bytes > most {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let oldest: Option<(i64, i64, Vec<u8>)> =
                to.prepare_cached(OLDEST)?.query_row(params![self.relay, 0], row).optional()?;
            let Some((number, folded, data)) = oldest else { break };
            to.execute("DELETE FROM spool WHERE relay = ? AND number = ?", params![self.relay, number])?;
            self.dropped(to, folded, leaves(&data))?;
            bytes = bytes.saturating_sub(data.len() as u64);
            dropped = true;
        }
        if dropped {
            // Of what was set in these nobody else tells, once there is room.
            self.tell(to)?;
        }
        Ok(())
    }

    /// Bytes of entries of lines. These are never folded and never dropped: where there are too many, their logs are read later.
    fn raw_bytes(self, from: &Connection) -> Result<u64> {
        self.size_of(from, 1).map(|(_, bytes)| bytes)
    }

    /// Entries, and their bytes; but for those of lines.
    fn size(self, from: &Connection) -> Result<(u64, u64)> {
        self.size_of(from, 0)
    }

    fn size_of(self, from: &Connection, kind: i64) -> Result<(u64, u64)> {
        let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        from.prepare_cached(SIZE)?.query_row(params![self.relay, kind], |row| Ok((number(row, 0)?, number(row, 1)?)))
    }

    /// The oldest entries behind a number that are promised to nobody: as many as are folded at once.
    fn oldest(self, from: &Connection, behind: i64) -> Result<Vec<(i64, Packed)>> {
        let mut select = from.prepare_cached(OLDEST)?;
        let mut rows = select.query(params![self.relay, behind])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let packed = Packed { folded: row.get::<_, i64>(1)?.cast_unsigned(), data: row.get(2)? };
            bytes += packed.data.len();
            if bytes > RELAY_FOLD_BYTES && found.len() > 1 {
                break;
            }
            found.push((row.get(0)?, packed));
        }
        Ok(found)
    }

    fn count(self, to: &Connection, what: &str, n: u64) -> Result<()> {
        to.execute(
            &format!("UPDATE relay SET {what} = {what} + ? WHERE name = ?"),
            params![n.cast_signed(), self.relay],
        )?;
        Ok(())
    }

    /// How it stands.
    pub(super) fn load(self, from: &Connection) -> Result<Load> {
        let sums = "SELECT count(*), coalesce(sum(length(data)), 0), count(peer), \
                    coalesce((SELECT folded FROM relay WHERE name = ?1), 0), \
                    coalesce((SELECT dropped FROM relay WHERE name = ?1), 0), \
                    coalesce((SELECT value FROM info WHERE key = ?2), 0) FROM spool WHERE relay = ?1";
        from.prepare_cached(sums)?.query_row([self.relay, &*self.dropped_leaves()], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Load {
                entries: number(0)?,
                bytes: number(1)?,
                promised: number(2)?,
                folded: number(3)?,
                dropped: number(4)?,
                dropped_leaves: number(5)?,
            })
        })
    }
}

/// Folds entries in their order; how many they were made of.
fn fold(entries: &[Packed]) -> (Fold, u64) {
    let mut fold = Fold::default();
    let mut folded = 0;
    for entry in entries {
        folded += entry.folded;
        // They were made here. One that the disk has damaged would not be merged by anybody.
        let fed = unpack(&entry.data).and_then(|frame| fold.merge(&frame).map_err(|error| error.to_string()));
        if let Err(why) = fed {
            tracing::error!("an entry of the spool is damaged: {why}");
        }
    }
    (fold, folded)
}

/// How many values an entry has; none that can be counted if it is damaged.
fn leaves(data: &[u8]) -> u64 {
    let Ok(frame) = unpack(data) else { return 0 };
    let Ok(mut reader) = Reader::new(&frame) else { return 0 };
    let mut leaves = 0;
    while let Ok(Some(entry)) = reader.next_entry() {
        leaves += u64::from(!matches!(entry.op, Op::Action(_) | Op::Lifetime(_) | Op::Meta(_)));
    }
    leaves
}

/// The id by which receivers know what this file has sent.
pub(super) fn id(connection: &Connection) -> Result<String> {
    let known = connection.query_row("SELECT value FROM info WHERE key = 'id'", [], |row| row.get(0)).optional()?;
    match known {
        Some(id) => Ok(id),
        None => renew(connection),
    }
}

/// Makes the file a sender that nobody knows. What was sent or not before is forgotten.
pub(super) fn renew(connection: &Connection) -> Result<String> {
    let id: String = connection.query_row("SELECT lower(hex(randomblob(12)))", [], |row| row.get(0))?;
    connection.execute_batch(
        "DELETE FROM spool; DELETE FROM peer; DELETE FROM lineage; DELETE FROM info WHERE key LIKE 'published %';",
    )?;
    connection.execute("INSERT OR REPLACE INTO info VALUES('id', ?)", [&id])?;
    Ok(id)
}

/// The relays that ever had anything to send.
pub(super) fn known(from: &Connection) -> Result<Vec<String>> {
    let mut select = from.prepare_cached("SELECT name FROM relay")?;
    let names = select.query_map([], |row| row.get(0))?;
    names.collect()
}

/// A number that no other life of a daemon has.
pub(super) fn random(connection: &Connection) -> Result<u64> {
    connection.query_row("SELECT random()", [], |row| row.get(0)).map(i64::cast_unsigned)
}

/// Reads what is to be sent, beside the thread that writes.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    connection: Connection,
    file: PathBuf,
    /// Device and inode.
    id: Option<(u64, u64)>,
}

impl SpoolReader {
    /// Opens the file.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn open(file: &Path) -> Result<SpoolReader> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        keep_plans(&connection)?;
        // It reads on from where it was: pages of before need not be kept. SQLite takes the room for twenty at once.
        connection.pragma_update(None, "cache_size", READER_PAGES)?;
        let id = place_of(file);
        Ok(SpoolReader { connection, file: file.to_owned(), id })
    }

    /// Whether it still reads the file that is there: one that was removed while it was open is put back as another.
    pub(crate) fn is_current(&self) -> bool {
        self.id.is_some() && place_of(&self.file) == self.id
    }

    /// What is promised to a receiver behind a number, in order: up to so many bytes, and one entry at least. Whether there is more.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn next(&self, relay: &str, peer: &str, behind: u64, bytes_max: usize) -> Result<(Vec<Sent>, bool)> {
        let next = "SELECT number, tag, data FROM spool WHERE relay = ? AND peer = ? AND number > ? ORDER BY number";
        let mut select = self.connection.prepare_cached(next)?;
        let mut rows = select.query(params![relay, peer, behind.cast_signed()])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let data: Vec<u8> = row.get(2)?;
            bytes += data.len();
            if bytes > bytes_max && !found.is_empty() {
                return Ok((found, true));
            }
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            found.push(Sent { place: Place { number: number(0)?, tag: number(1)? }, data });
        }
        Ok((found, false))
    }

    /// The last that any stream had, since the spool was made.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn published(&self, relay: &str) -> Result<Option<Place>> {
        let number = "SELECT value FROM info WHERE key = ?";
        let key = format!("published {relay}");
        let number: Option<i64> = self.connection.query_row(number, [key], |row| row.get(0)).optional()?;
        let Some(number) = number else { return Ok(None) };
        let tag = "SELECT tag FROM lineage WHERE relay = ? AND number <= ? ORDER BY number DESC LIMIT 1";
        let tag: Option<i64> = self.connection.query_row(tag, params![relay, number], |row| row.get(0)).optional()?;
        Ok(Some(Place { number: number.cast_unsigned(), tag: tag.unwrap_or(0).cast_unsigned() }))
    }
}

fn place_of(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|meta| (meta.dev(), meta.ino()))
}
