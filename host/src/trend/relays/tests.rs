//! What is promised to whom, and what is told.

use super::*;
use crate::trend::spool::TABLES;
use plugin_api::delta::wire::Op;

pub(super) struct Spool {
    pub(super) db: Connection,
    pub(super) relays: Relays,
}

impl Spool {
    pub(super) fn new(to: &[&str]) -> Spool {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(TABLES).unwrap();
        db.execute_batch("CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT").unwrap();
        let relays = Relays::new(&db).unwrap();
        let mut spool = Spool { db, relays };
        spool.open(to);
        spool
    }

    pub(super) fn work(&mut self, job: RelayJob) {
        self.relays.work("up", job, Some(&mut self.db));
    }

    fn open(&mut self, to: &[&str]) {
        self.open_within(to, 1 << 30);
    }

    pub(super) fn open_within(&mut self, to: &[&str], limit: u64) {
        let addresses = to.iter().map(|to| (*to).to_owned()).collect();
        self.work(RelayJob::Open { limit, addresses, tell: false, board: Arc::default() });
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
fn an_older_word_that_comes_later_takes_nothing_back() {
    let mut spool = Spool::new(&["a"]);
    spool.commit(4);
    spool.meet("a", 1, None).unwrap();
    spool.work(RelayJob::Acknowledged { connection: 1, number: 3, more: false });
    spool.work(RelayJob::Acknowledged { connection: 1, number: 2, more: true });
    spool.work(RelayJob::Leave { connection: 1, sent: 4 });
    assert_eq!(spool.of("a"), [4]);
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

#[test]
fn a_spool_that_is_full_says_so_once_until_it_is_empty_again() {
    let mut strain = Strain::default();
    let load = |entries, promised, folded, dropped| Load { entries, promised, folded, dropped, ..Load::default() };
    // What was folded and dropped in an earlier life is no news.
    for (now, want) in [
        (load(5, 0, 7, 9), None),
        (load(6, 0, 7, 9), None),
        (load(6, 0, 8, 9), Some(Strained::Folds)),
        (load(2, 0, 9, 9), None),
        (load(3, 0, 9, 10), Some(Strained::Drops)),
        (load(3, 0, 10, 10), None),
        (load(3, 0, 10, 11), None),
        (load(3, 2, 10, 11), None),
        (load(3, 3, 10, 11), Some(Strained::Over)),
        (load(0, 0, 10, 11), None),
        (load(9, 0, 10, 12), Some(Strained::Drops)),
        (load(9, 0, 11, 12), None),
        (load(1, 1, 11, 12), Some(Strained::Over)),
        (load(9, 0, 12, 12), Some(Strained::Folds)),
    ] {
        assert_eq!(strain.look(now), want, "{now:?}");
    }
}
