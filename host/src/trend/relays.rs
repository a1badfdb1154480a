//! The spools of relays, as the thread has them that writes: what waits for the next commit, and to whom is being sent.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use super::spool::{self, Load, Place, Stream};
use super::sqlite::Database;
use crate::limits::{RELAY_SPOOL_ENTRIES_MAX, RELAY_UNWRITTEN_BYTES_MAX};
use crate::relay::{Fold, Outgoing, Packed, is_raw, pack, pack_raw};
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// What is to be done with a relay's spool.
#[derive(Debug)]
pub(crate) enum RelayJob {
    /// It runs from now on.
    Open {
        /// Bytes that its spool may have.
        limit: u64,
        /// Where it may send.
        addresses: Vec<String>,
        /// What is set has to be told anew, to whoever answers.
        tell: bool,
        /// Where is told how it stands.
        board: Arc<Board>,
    },
    /// A receiver has answered: what is to be sent to it is promised to it from now on.
    Meet {
        /// By what it is known.
        peer: String,
        /// Where it has answered.
        address: String,
        /// Which of the relay's connections this is.
        connection: u64,
        /// What it has last, for good.
        has: Option<Place>,
        /// What it has last, as long as it does not die.
        merged: Option<Place>,
        /// Told when it is on the disk: which time it was asked for that all that is set is told, where that is not done yet.
        /// `Ok(Err(why))`: nothing may be sent to it.
        reply: oneshot::Sender<Result<Result<Option<u64>, String>, String>>,
    },
    /// The receiver has all up to a number.
    Acknowledged {
        /// On which connection it has said so.
        connection: u64,
        /// Which.
        number: u64,
        /// More waits than was promised: this is not to wait for the next commit.
        more: bool,
    },
    /// The receiver is gone. What is behind the last that may have been sent to it may go to another.
    Leave {
        /// Which connection is over.
        connection: u64,
        /// The number of the last that this daemon has sent, in all its life.
        sent: u64,
    },
    /// An entry that its receiver refuses is dropped.
    GiveUp {
        /// On which connection it was refused.
        connection: u64,
        /// Which.
        number: u64,
    },
    /// All that is set is to be told anew.
    Tell {
        /// Told when that is on the disk: which time it was asked for; nothing where it cannot be written.
        reply: oneshot::Sender<Option<u64>>,
    },
    /// It is switched off: what is set from now on, nobody is told.
    Close,
}

/// How a relay's spool stands, for who sends and who looks.
#[derive(Debug)]
pub(crate) struct Board {
    load: Mutex<Load>,
    changed: watch::Sender<()>,
}

impl Default for Board {
    fn default() -> Board {
        Board { load: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Board {
    /// As it was told last.
    pub(crate) fn load(&self) -> Load {
        *self.load.lock()
    }

    /// Hears of each change.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn tell(&self, load: Load) {
        *self.load.lock() = load;
        self.changed.send_replace(());
    }
}

/// A relay that runs.
#[derive(Debug)]
struct Running {
    limit: u64,
    /// Where it may send.
    addresses: Vec<String>,
    board: Arc<Board>,
    /// To whom is being sent, and on which connection.
    peer: Option<(u64, String)>,
    /// What that has, where it is not written yet.
    acknowledged: Option<u64>,
    /// The last that was promised to anybody when this connection began: it may have been sent before.
    began: u64,
    /// It is switched off.
    off: bool,
    strain: Strain,
}

/// What has been said of a spool that is full. It is said once, until nothing waits for a receiver any more.
#[derive(Clone, Copy, Debug, Default)]
struct Strain {
    /// How it stood when it was looked at last; not since it was opened, or an entry was given up.
    seen: Option<Load>,
    folds: bool,
    drops: bool,
}

/// What is new about a spool that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strained {
    Folds,
    Drops,
    Over,
}

impl Strain {
    /// Looks at how it stands now.
    fn look(&mut self, now: Load) -> Option<Strained> {
        let seen = self.seen.replace(now)?;
        if now.dropped > seen.dropped {
            let new = !std::mem::replace(&mut self.drops, true);
            self.folds = true;
            return new.then_some(Strained::Drops);
        }
        if now.folded > seen.folded {
            return (!std::mem::replace(&mut self.folds, true)).then_some(Strained::Folds);
        }
        // Somebody takes it again, and has been promised all there is.
        let over = self.folds && now.entries == now.promised;
        if over {
            (self.folds, self.drops) = (false, false);
        }
        over.then_some(Strained::Over)
    }
}

/// All relays.
#[derive(Debug)]
pub(super) struct Relays {
    /// By what receivers know this file.
    pub(super) id: String,
    /// The tag of this life of the daemon.
    pub(super) tag: u64,
    running: HashMap<String, Running>,
    /// Entries that are to be written.
    waiting: BTreeMap<String, Vec<Packed>>,
    /// Entries of a commit that failed, and that may be in the file all the same.
    tried: BTreeMap<String, Vec<Packed>>,
    /// Entries of these that were dropped because nothing could be written.
    dropped: u64,
    /// With what waits all that is set is told, as it was asked for at these times.
    told: BTreeMap<String, u64>,
}

impl Relays {
    pub(super) fn new(connection: &Connection) -> Result<Relays, rusqlite::Error> {
        Ok(Relays {
            id: spool::id(connection)?,
            tag: spool::random(connection)?,
            running: HashMap::new(),
            waiting: BTreeMap::new(),
            tried: BTreeMap::new(),
            dropped: 0,
            told: BTreeMap::new(),
        })
    }

    /// Takes what is to be written with the next commit.
    pub(super) fn add(&mut self, relays: Vec<(String, Fold)>) {
        for (name, fold) in relays {
            if fold.tells() > 0 {
                self.told.insert(name.clone(), fold.tells());
            }
            let (mut packed, lost) = pack(fold, 1);
            let waiting = self.waiting.entry(name.clone()).or_default();
            waiting.append(&mut packed);
            let dropped = trim(waiting);
            if dropped > 0 || lost > 0 {
                // Not all of it is told.
                self.told.remove(&name);
            }
            self.dropped += dropped;
            if lost > 0 {
                tracing::error!("{lost} values of a relay are larger than any that is sent; they are left out");
            }
        }
    }

    /// Takes lines that are to be written with the next commit.
    pub(super) fn add_raw(&mut self, raw: Vec<(String, Outgoing)>) {
        for (name, outgoing) in raw {
            self.waiting.entry(name).or_default().append(&mut pack_raw(&outgoing));
        }
    }

    /// Writes what waits, and what receivers have said.
    pub(super) fn write(&self, to: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        for (name, entries) in &self.waiting {
            self.stream(name).append(to, entries)?;
        }
        for (name, which) in &self.told {
            self.stream(name).told(to, *which)?;
        }
        // What is set while a relay is off, it has told nobody.
        let is_off = |name: &String| self.running.get(name).is_none_or(|running| running.off);
        for name in spool::known(to)?.iter().filter(|name| is_off(name)) {
            let stream = self.stream(name);
            if stream.wanted(to)?.is_none() {
                stream.tell(to)?;
            }
        }
        for (name, running) in &self.running {
            let stream = self.stream(name);
            if let Some((_, peer)) = &running.peer {
                if let Some(number) = running.acknowledged {
                    stream.acknowledged(to, peer, number)?;
                }
                stream.promise(to, peer)?;
            }
            stream.shrink(to, running.limit)?;
        }
        Ok(())
    }

    /// A commit has failed, and it is not known whether its entries are in the file.
    pub(super) fn may_be_written(&mut self) {
        self.tried = std::mem::take(&mut self.waiting);
    }

    /// It is known now: they are in the file, or wait again, before those that came later.
    pub(super) fn tried(&mut self, written: bool) {
        let tried = std::mem::take(&mut self.tried);
        if written {
            return;
        }
        for (name, mut entries) in tried {
            let waiting = self.waiting.entry(name.clone()).or_default();
            entries.append(waiting);
            let dropped = trim(&mut entries);
            if dropped > 0 {
                self.told.remove(&name);
            }
            self.dropped += dropped;
            *waiting = entries;
        }
    }

    /// It is on the disk, or waits on.
    pub(super) fn committed(&mut self, connection: &Connection) {
        self.waiting.clear();
        self.told.clear();
        for (name, running) in &mut self.running {
            running.acknowledged = None;
            tell(Stream { relay: name, tag: self.tag }, running, self.dropped, connection);
        }
    }

    fn stream<'n>(&self, relay: &'n str) -> Stream<'n> {
        Stream { relay, tag: self.tag }
    }

    /// Does what a relay wants done at once.
    pub(super) fn work(&mut self, name: &str, job: RelayJob, connection: Option<&mut Connection>) {
        let gone = || "the database cannot be written at the moment".to_owned();
        let stream = Stream { relay: name, tag: self.tag };
        let done = match job {
            RelayJob::Open { limit, addresses, tell, board } => {
                let before = self.running.remove(name);
                let strain = before.as_ref().map_or_else(Strain::default, |before| before.strain);
                // What a receiver said before it was edited still holds.
                let (peer, acknowledged, began) =
                    before.map_or((None, None, 0), |before| (before.peer, before.acknowledged, before.began));
                let running = Running { limit, addresses, board, peer, acknowledged, began, off: false, strain };
                self.running.insert(name.to_owned(), running);
                connection.map(|connection| match tell {
                    true => within(connection, |to| stream.tell(to)).map(|()| connection),
                    false => Ok(connection),
                })
            }
            RelayJob::Close => {
                if let Some(running) = self.running.get_mut(name) {
                    running.off = true;
                }
                // Where it cannot be written now, the next commit does.
                connection.map(|connection| within(connection, |to| stream.tell(to)).map(|()| connection))
            }
            RelayJob::Tell { reply } => {
                let done = connection.map(|connection| {
                    let wanted = within(connection, |to| {
                        stream.tell(to)?;
                        stream.wanted(to)
                    });
                    wanted.map(|wanted| (connection, wanted))
                });
                let wanted = done.as_ref().and_then(|done| done.as_ref().ok()?.1);
                let _ = reply.send(wanted);
                done.map(|done| done.map(|(connection, _)| connection))
            }
            RelayJob::GiveUp { connection: serial, number } => {
                let running = self.running.get(name);
                let Some((_, peer)) =
                    running.and_then(|running| running.peer.clone()).filter(|(now, _)| *now == serial)
                else {
                    return;
                };
                // Whoever gives it up says why it is dropped.
                if let Some(running) = self.running.get_mut(name) {
                    running.strain.seen = None;
                }
                connection.map(|connection| {
                    within(connection, |to| {
                        stream.give_up(to, &peer, number)?;
                        // Of what was set in it nobody else tells.
                        stream.tell(to)
                    })
                    .map(|()| connection)
                })
            }
            RelayJob::Meet { peer, address, connection: serial, has, merged, reply } => {
                let Some(connection) = connection else {
                    let _ = reply.send(Err(gone()));
                    return;
                };
                let running = self.running.get(name);
                let addresses = running.map(|running| running.addresses.clone());
                if addresses.as_ref().is_none_or(|addresses| !addresses.contains(&address)) {
                    let _ = reply.send(Ok(Err(format!("{address} is not where the relay is to send any more"))));
                    return;
                }
                // On a connection that another takes over from.
                let before = running.and_then(|running| Some((running.peer.clone()?.1, running.acknowledged?)));
                let mut promised = 0;
                let met = within(connection, |to| {
                    let last = stream.met(to)?;
                    if let Some((before, number)) = &before {
                        stream.acknowledged(to, before, *number)?;
                    }
                    let met = stream.meet(to, (&peer, &address), [has, merged])?;
                    if let Ok(released) = met {
                        let mut tell = released || has.is_none() && merged.is_none();
                        // It may have missed what the other was told.
                        tell |= last.is_some_and(|last| last != peer);
                        // Only now: a receiver may have another address than the one that it is known by.
                        if let Some(addresses) = &addresses {
                            tell |= stream.keep_to(to, addresses)?;
                        }
                        if tell {
                            stream.tell(to)?;
                        }
                        if let Some(place) = has {
                            stream.acknowledged(to, &peer, place.number)?;
                        }
                        promised = stream.promised(to)?;
                        stream.promise(to, &peer)?;
                        stream.has_met(to, &peer)?;
                    }
                    Ok(match met {
                        Ok(_) => Ok(stream.wanted(to)?),
                        Err(why) => Err(why),
                    })
                });
                if let (Ok(Ok(_)), Some(running)) = (&met, self.running.get_mut(name)) {
                    running.peer = Some((serial, peer));
                    running.acknowledged = None;
                    running.began = promised;
                }
                let told = met.as_ref().map(|_| ()).map_err(|_| rusqlite::Error::InvalidQuery);
                let _ = reply.send(met.map_err(|error| error.to_string()));
                Some(told.map(|()| connection))
            }
            RelayJob::Acknowledged { connection: serial, number, more } => {
                let Some(running) = self.running.get_mut(name) else { return };
                // Another connection may have begun meanwhile, to another receiver.
                if running.peer.as_ref().is_none_or(|(current, _)| *current != serial) {
                    return;
                }
                // What was said later may have come by another way.
                let number = running.acknowledged.map_or(number, |before| before.max(number));
                running.acknowledged = Some(number);
                let Some((_, peer)) = running.peer.clone().filter(|_| more) else { return };
                connection.map(|connection| {
                    let done = within(connection, |to| {
                        stream.acknowledged(to, &peer, number)?;
                        stream.promise(to, &peer)
                    });
                    done.map(|()| connection)
                })
            }
            RelayJob::Leave { connection: serial, sent } => {
                let Some(running) = self.running.get_mut(name) else { return };
                // Another connection may have begun meanwhile.
                let Some((_, peer)) = running.peer.clone().filter(|(current, _)| *current == serial) else { return };
                let sent = sent.max(running.began);
                let acknowledged = running.acknowledged;
                let done = connection.map(|connection| {
                    let done = within(connection, |to| {
                        if let Some(number) = acknowledged {
                            stream.acknowledged(to, &peer, number)?;
                        }
                        stream.take_back(to, &peer, sent)
                    });
                    done.map(|()| connection)
                });
                if let Some(Ok(_)) = &done {
                    (running.peer, running.acknowledged) = (None, None);
                }
                done
            }
        };
        match done {
            Some(Ok(connection)) => {
                if let Some(running) = self.running.get_mut(name) {
                    tell(stream, running, self.dropped, connection);
                }
            }
            // What is not done now is done when the relay connects anew.
            Some(Err(error)) => tracing::error!("the spool of the relay {name} cannot be written: {error}"),
            None => {}
        }
    }
}

/// Drops the oldest where nothing could be written for so long that there are too many: how many. Lines are never dropped: who reads them
/// waits until they are written.
fn trim(entries: &mut Vec<Packed>) -> u64 {
    let mut bytes: usize = entries.iter().filter(|packed| !is_raw(&packed.data)).map(|packed| packed.data.len()).sum();
    let before = entries.len();
    if bytes > RELAY_UNWRITTEN_BYTES_MAX {
        entries.retain(|packed| {
            let goes = bytes > RELAY_UNWRITTEN_BYTES_MAX && !is_raw(&packed.data);
            bytes -= if goes { packed.data.len() } else { 0 };
            !goes
        });
    }
    (before - entries.len()) as u64
}

fn within<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn tell(stream: Stream<'_>, running: &mut Running, dropped: u64, connection: &Connection) {
    let load = match stream.load(connection) {
        Ok(load) => Load { dropped: load.dropped + dropped, ..load },
        Err(error) => return tracing::error!("how much a relay has to send cannot be read: {error}"),
    };
    running.board.tell(load);
    let Some(strained) = running.strain.look(load) else { return };
    let Load { entries, bytes, .. } = load;
    let (name, limit) = (stream.relay, running.limit);
    let full = format!(
        "the relay {name}: its spool is full ({limit} bytes, or {RELAY_SPOOL_ENTRIES_MAX} entries); {entries} entries of {bytes} \
         bytes wait now"
    );
    match strained {
        Strained::Folds => tracing::warn!(
            "{full}: from now on the oldest are folded into each other; sums stay exact, the times in between are gone"
        ),
        Strained::Drops => tracing::warn!(
            "{full}: folding is not enough, from now on the oldest are dropped, and counted at \
             graftd,HOST,relay,{name},dropped and dropped_leaves; a larger \"spool\" in its .on loses less"
        ),
        Strained::Over => {
            tracing::info!("the relay {name}: its spool is not full any more, all that waited is under way");
        }
    }
}

/// Makes what lies in a data folder a sender of its own: it was copied from another's.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn renew(file: &Path) -> Result<String, String> {
    let mut database = Database::open(file).map_err(|error| error.to_string())?;
    spool::renew(database.connection()).map_err(|error| error.to_string())
}
