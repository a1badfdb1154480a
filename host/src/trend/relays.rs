//! The spools of relays, as the thread has them that writes: what waits for the next commit, and to whom is being sent.

use super::spool::{self, Load, Place, Stream};
use super::sqlite::Database;
use crate::limits::RELAY_UNWRITTEN_BYTES_MAX;
use crate::relay::{Fold, Packed, pack};
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
                // What a receiver said before it was edited still holds.
                let (peer, acknowledged, began) =
                    before.map_or((None, None, 0), |before| (before.peer, before.acknowledged, before.began));
                let running = Running { limit, addresses, board, peer, acknowledged, began, off: false };
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
            RelayJob::GiveUp { connection: serial, number } => {
                let running = self.running.get(name);
                let Some((_, peer)) =
                    running.and_then(|running| running.peer.clone()).filter(|(now, _)| *now == serial)
                else {
                    return;
                };
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
                if let Some(running) = self.running.get(name) {
                    tell(stream, running, self.dropped, connection);
                }
            }
            // What is not done now is done when the relay connects anew.
            Some(Err(error)) => tracing::error!("the spool of the relay {name} cannot be written: {error}"),
            None => {}
        }
    }
}

/// Drops the oldest where nothing could be written for so long that there are too many: how many.
fn trim(entries: &mut Vec<Packed>) -> u64 {
    let mut bytes: usize = entries.iter().map(|packed| packed.data.len()).sum();
    let mut old = 0;
    while bytes > RELAY_UNWRITTEN_BYTES_MAX && old < entries.len() {
        bytes -= entries[old].data.len();
        old += 1;
    }
    entries.drain(..old);
    old as u64
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

fn tell(stream: Stream<'_>, running: &Running, dropped: u64, connection: &Connection) {
    match stream.load(connection) {
        Ok(load) => running.board.tell(Load { dropped: load.dropped + dropped, ..load }),
        Err(error) => tracing::error!("how much a relay has to send cannot be read: {error}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trend::spool::TABLES;
    use plugin_api::delta::wire::Op;

    struct Spool {
        db: Connection,
        relays: Relays,
    }

    impl Spool {
        fn new(to: &[&str]) -> Spool {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(TABLES).unwrap();
            db.execute_batch("CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT").unwrap();
            let relays = Relays::new(&db).unwrap();
            let mut spool = Spool { db, relays };
            spool.open(to);
            spool
        }

        fn work(&mut self, job: RelayJob) {
            self.relays.work("up", job, Some(&mut self.db));
        }

        fn open(&mut self, to: &[&str]) {
            let addresses = to.iter().map(|to| (*to).to_owned()).collect();
            self.work(RelayJob::Open { limit: 1 << 30, addresses, tell: false, board: Arc::default() });
        }

        fn commit(&mut self, entries: u64) {
            for n in 0..entries {
                self.relays.add(vec![("up".to_owned(), fold(n))]);
            }
            let transaction = self.db.transaction().unwrap();
            self.relays.write(&transaction).unwrap();
            transaction.commit().unwrap();
            self.relays.committed(&self.db);
        }

        fn meet(&mut self, who: &str, connection: u64, merged: Option<u64>) -> Result<Option<u64>, String> {
            let (reply, mut answer) = oneshot::channel();
            let tag = self.relays.tag;
            let merged = merged.map(|number| Place { number, tag });
            let (peer, address) = (who.to_owned(), who.to_owned());
            self.work(RelayJob::Meet { peer, address, connection, has: None, merged, reply });
            answer.try_recv().unwrap().unwrap()
        }

        /// Which entries are promised to a receiver.
        fn of(&self, who: &str) -> Vec<i64> {
            let mut select = self.db.prepare("SELECT number FROM spool WHERE peer = ? ORDER BY number").unwrap();
            select.query_map([who], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
    }

    fn fold(n: u64) -> Fold {
        let mut fold = Fold::default();
        fold.feed(&["n", &n.to_string()], Op::Add(1.0));
        fold
    }

    #[test]
    fn what_was_acknowledged_is_not_told_to_another_when_the_relay_is_edited() {
        let mut spool = Spool::new(&["a"]);
        spool.commit(4);
        spool.meet("a", 1, None).unwrap();
        spool.work(RelayJob::Acknowledged { connection: 1, number: 3, more: false });
        spool.open(&["b"]);
        spool.work(RelayJob::Leave { connection: 1, sent: 4 });
        assert_eq!(spool.of("a"), [4]);
        spool.meet("b", 2, None).unwrap();
        // The fourth alone, as a new one: `a` is not waited for.
        assert_eq!(spool.of("b"), [5]);
        assert!(spool.meet("a", 3, None).is_err(), "it is not to be sent there any more");
    }

    #[test]
    fn what_a_receiver_has_merged_before_goes_to_no_other_though_nothing_is_sent_anew() {
        let mut spool = Spool::new(&["a", "b"]);
        spool.commit(10);
        spool.meet("a", 1, None).unwrap();
        spool.work(RelayJob::Leave { connection: 1, sent: 10 });
        // Off and on again: who sends now has sent nothing.
        spool.open(&["a", "b"]);
        spool.meet("a", 2, Some(10)).unwrap();
        spool.commit(2);
        spool.work(RelayJob::Leave { connection: 2, sent: 0 });
        spool.meet("b", 3, None).unwrap();
        assert_eq!(spool.of("a"), (1..=10).collect::<Vec<_>>());
        assert_eq!(spool.of("b"), [11, 12]);
    }

    #[test]
    fn nobody_gets_what_another_may_have_though_a_connection_was_never_heard_to_end() {
        let mut spool = Spool::new(&["a", "b"]);
        spool.commit(10);
        spool.meet("a", 1, None).unwrap();
        // It has sent four, and the end of the connection comes too late: another has begun.
        spool.meet("b", 2, None).unwrap();
        spool.work(RelayJob::Leave { connection: 1, sent: 4 });
        spool.commit(3);
        assert_eq!((spool.of("a").len(), spool.of("b")), (10, vec![11, 12, 13]));
        spool.work(RelayJob::Acknowledged { connection: 2, number: 13, more: false });
        spool.work(RelayJob::Leave { connection: 2, sent: 13 });
        spool.meet("a", 3, Some(4)).unwrap();
        spool.work(RelayJob::Leave { connection: 3, sent: 6 });
        spool.meet("b", 4, Some(13)).unwrap();
        // `b` would never be sent what lies before what it has.
        assert_eq!((spool.of("a"), spool.of("b")), ((1..=10).collect(), vec![]));
    }

    #[test]
    fn what_a_life_before_has_promised_is_not_taken_back_though_the_database_was_away() {
        let mut spool = Spool::new(&["a", "b"]);
        spool.commit(10);
        spool.meet("a", 1, None).unwrap();
        // Killed; the next life begins without a database.
        let mut next = Relays::new(&spool.db).unwrap();
        let addresses = ["a", "b"].map(str::to_owned).to_vec();
        next.work("up", RelayJob::Open { limit: 1 << 30, addresses, tell: false, board: Arc::default() }, None);
        let tag = std::mem::replace(&mut spool.relays, next).tag;
        let (reply, mut answer) = oneshot::channel();
        let (peer, address) = ("a".to_owned(), "a".to_owned());
        let merged = Some(Place { number: 10, tag });
        spool.work(RelayJob::Meet { peer, address, connection: 2, has: None, merged, reply });
        assert!(answer.try_recv().unwrap().unwrap().is_ok());
        spool.work(RelayJob::Leave { connection: 2, sent: 0 });
        spool.meet("b", 3, None).unwrap();
        assert_eq!((spool.of("a").len(), spool.of("b")), (10, vec![]));
    }

    /// Tells what is wanted to be told, as the core would, and commits.
    fn tell(spool: &mut Spool, which: u64) {
        let mut fold = fold(0);
        fold.tells_all(which);
        spool.relays.add(vec![("up".to_owned(), fold)]);
        spool.commit(0);
    }

    #[test]
    fn what_is_set_is_told_to_a_new_receiver_though_its_sender_dies_before_it_has_told_it() {
        let mut spool = Spool::new(&["a"]);
        spool.commit(1);
        let which = spool.meet("a", 1, None).unwrap();
        assert!(which.is_some());
        // Killed; the receiver has what was sent.
        spool.relays = Relays::new(&spool.db).unwrap();
        spool.open(&["a"]);
        let again = spool.meet("a", 2, None).unwrap();
        assert!(again >= which);
        tell(&mut spool, again.unwrap());
        let tag = spool.relays.tag;
        let known = |spool: &mut Spool, who: &str| {
            let (reply, mut answer) = oneshot::channel();
            let (peer, address) = (who.to_owned(), who.to_owned());
            let has = Some(Place { number: 2, tag });
            spool.work(RelayJob::Meet { peer, address, connection: 3, has, merged: has, reply });
            answer.try_recv().unwrap().unwrap().unwrap()
        };
        assert_eq!(known(&mut spool, "a"), None, "it is told once");
        // Another has answered meanwhile, and the first does not know what that was told.
        spool.open(&["a", "b"]);
        let which = known(&mut spool, "b").unwrap();
        tell(&mut spool, which);
        assert!(known(&mut spool, "a").is_some_and(|again| again > which));
    }

    #[test]
    fn what_is_set_while_a_relay_is_off_or_lost_with_an_entry_is_told_later() {
        let mut spool = Spool::new(&["a"]);
        spool.commit(1);
        let which = spool.meet("a", 1, None).unwrap().unwrap();
        tell(&mut spool, which);
        let wanted = |spool: &Spool| Stream { relay: "up", tag: 0 }.wanted(&spool.db).unwrap();
        assert_eq!(wanted(&spool), None);
        spool.work(RelayJob::Close);
        let off = wanted(&spool).unwrap();
        assert!(off > which);
        // In the next life it is off from the beginning.
        tell(&mut spool, off);
        spool.relays = Relays::new(&spool.db).unwrap();
        spool.commit(0);
        assert!(wanted(&spool).unwrap() > off);
        spool.commit(0);
        spool.open(&["a"]);
        let told = wanted(&spool).unwrap();
        tell(&mut spool, told);
        assert_eq!(wanted(&spool), None);
        spool.commit(1);
        spool.meet("a", 2, None).unwrap();
        tell(&mut spool, u64::MAX >> 2);
        // An entry that is refused again and again.
        spool.db.execute("DELETE FROM info WHERE key = 'told up'", []).unwrap();
        let before = wanted(&spool);
        let first = spool.of("a")[0] as u64;
        spool.work(RelayJob::GiveUp { connection: 2, number: first });
        assert!(wanted(&spool) > before && !spool.of("a").contains(&first.cast_signed()));
        assert_eq!(Stream { relay: "up", tag: 0 }.load(&spool.db).unwrap().dropped, 1);
    }

    #[test]
    fn what_cannot_be_written_stays_within_its_limit_however_often_it_fails() {
        let mut relays = Spool::new(&["a"]).relays;
        let entry = |at: u64| Packed { folded: 1, data: vec![at as u8; RELAY_UNWRITTEN_BYTES_MAX / 8] };
        for n in 0..40 {
            relays.waiting.entry("up".to_owned()).or_default().push(entry(n));
            relays.may_be_written();
            relays.tried(false);
        }
        let waiting = &relays.waiting["up"];
        assert!(waiting.len() <= 8, "{}", waiting.len());
        assert_eq!(waiting.last().map(|packed| packed.data[0]), Some(39), "the newest are left");
        assert_eq!(relays.dropped + waiting.len() as u64, 40);
    }
}
