//! A sender with its spool and two receivers, all of whom fail at random: what they have between them is each entry once.
//!
//! The receivers are simulated as the core has them: what they have merged, what of it is on their disk, what is under way to them.
//! A step is one thing that happens to one of them.

use super::tests::Spool;
use super::*;
use crate::relay::unpack;
use graftd_fuzz::{Random, cases, seed};
use plugin_api::delta::wire::{Op, Reader};
use std::collections::VecDeque;

const NAMES: [&str; 2] = ["a", "b"];

/// Steps of a run; then all that waits is sent.
const STEPS: usize = 200;

/// How many steps there are in all: some thousands, a million where there is time.
fn steps() -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { cases() } else { 8_000 }
}

/// Counters, by their paths.
type Counters = BTreeMap<String, f64>;

#[derive(Debug, Default)]
struct Receiver {
    merged: (Option<Place>, Counters),
    committed: (Option<Place>, Counters),
    /// Sent, and not merged yet: it may be even when the connection is over.
    under_way: VecDeque<(Place, Vec<u8>)>,
}

impl Receiver {
    fn merge(&mut self) {
        let Some((place, data)) = self.under_way.pop_front() else { return };
        if self.merged.0.is_some_and(|last| place.number <= last.number) {
            return;
        }
        add(&mut self.merged.1, &data);
        self.merged.0 = Some(place);
    }

    fn die(&mut self) {
        self.merged = self.committed.clone();
        self.under_way.clear();
    }
}

fn add(to: &mut Counters, data: &[u8]) {
    let frame = unpack(data).expect("packed");
    let mut reader = Reader::new(&frame).expect("a frame");
    while let Some(entry) = reader.next_entry().expect("an entry") {
        if let Op::Add(n) = entry.op {
            *to.entry(reader.path().join(",")).or_default() += n;
        }
    }
}

/// A connection to a receiver.
#[derive(Clone, Copy, Debug)]
struct Met {
    serial: u64,
    to: usize,
    sent: u64,
}

struct World {
    spool: Spool,
    receivers: [Receiver; 2],
    met: Option<Met>,
    serial: u64,
    /// The last that was sent to each, as the relay knows since it is on.
    sent: [u64; 2],
    /// Ends of connections that are told late.
    late: Vec<RelayJob>,
    counted: Counters,
    failed: Option<bool>,
}

/// Bytes that the spool may have: more than is promised, so that nothing has to be dropped.
const LIMIT: u64 = 12_000;

impl World {
    fn new() -> World {
        let mut spool = Spool::new(&[]);
        spool.open_within(&NAMES, LIMIT);
        World {
            spool,
            receivers: Default::default(),
            met: None,
            serial: 0,
            sent: [0; 2],
            late: Vec::new(),
            counted: Counters::new(),
            failed: None,
        }
    }

    /// Something is counted, and committed; or that fails, or is only said to.
    fn commit(&mut self, random: &mut Random) {
        let mut fold = Fold::default();
        for _ in 0..random.below(3) {
            let (path, n) = (random.below(3).to_string(), (1 + random.below(1 << 30)) as f64);
            fold.feed(&["n", &path], Op::Add(n));
            *self.counted.entry(format!("n,{path}")).or_default() += n;
        }
        let Spool { db, relays } = &mut self.spool;
        if !fold.is_empty() {
            relays.add(vec![("up".to_owned(), fold)]);
        }
        if let Some(written) = self.failed.take() {
            relays.tried(written);
        }
        let transaction = db.transaction().expect("a transaction");
        relays.write(&transaction).expect("written");
        match random.below(12) {
            0 => {
                drop(transaction);
                relays.may_be_written();
                self.failed = Some(false);
            }
            1 => {
                transaction.commit().expect("written");
                relays.may_be_written();
                self.failed = Some(true);
            }
            _ => {
                transaction.commit().expect("written");
                relays.committed(db);
            }
        }
    }

    fn meet(&mut self, to: usize) {
        self.leave(false);
        self.serial += 1;
        let receiver = &self.receivers[to];
        let (has, merged) = (receiver.committed.0, receiver.merged.0);
        let (reply, mut answer) = oneshot::channel();
        let name = NAMES[to].to_owned();
        let job = RelayJob::Meet { peer: name.clone(), address: name, connection: self.serial, has, merged, reply };
        self.spool.work(job);
        answer.try_recv().expect("answered").expect("written").expect("known");
        let sent = merged.or(has).map_or(0, |place| place.number);
        self.met = Some(Met { serial: self.serial, to, sent });
    }

    fn leave(&mut self, late: bool) {
        let Some(met) = self.met.take() else { return };
        let job = RelayJob::Leave { connection: met.serial, sent: self.sent[met.to] };
        if late {
            self.late.push(job);
        } else {
            self.spool.work(job);
        }
    }

    /// Sends the next that is promised; whether there is one.
    fn send(&mut self) -> bool {
        let Some(met) = &mut self.met else { return false };
        let next = "SELECT number, tag, data FROM spool WHERE peer = ? AND number > ? ORDER BY number LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok((Place { number: number(0)?, tag: number(1)? }, row.get::<_, Vec<u8>>(2)?))
        };
        let found = self.spool.db.query_row(next, rusqlite::params![NAMES[met.to], met.sent.cast_signed()], row);
        let Ok((place, data)) = found else { return false };
        met.sent = place.number;
        self.sent[met.to] = self.sent[met.to].max(place.number);
        self.receivers[met.to].under_way.push_back((place, data));
        true
    }

    fn receiver_commits(&mut self, which: usize, more: bool) {
        let receiver = &mut self.receivers[which];
        receiver.committed = receiver.merged.clone();
        let Some(met) = self.met.filter(|met| met.to == which) else { return };
        if let Some(place) = receiver.committed.0.filter(|place| place.number <= met.sent) {
            self.spool.work(RelayJob::Acknowledged { connection: met.serial, number: place.number, more });
        }
    }

    /// It is killed and begins anew: what was counted and not committed is counted again by whoever reads its logs.
    fn sender_dies(&mut self) {
        let (waiting, tried) =
            (std::mem::take(&mut self.spool.relays.waiting), std::mem::take(&mut self.spool.relays.tried));
        let written = self.failed.take();
        let lost =
            waiting.into_values().chain(if written == Some(true) { Vec::new() } else { tried.into_values().collect() });
        for packed in lost.flatten() {
            let mut gone = Counters::new();
            add(&mut gone, &packed.data);
            gone.into_iter().for_each(|(path, n)| *self.counted.entry(path).or_default() -= n);
        }
        self.met = None;
        self.late.clear();
        self.sent = [0; 2];
        self.spool.relays = Relays::new(&self.spool.db).expect("a life");
        self.spool.open_within(&NAMES, LIMIT);
    }

    fn step(&mut self, random: &mut Random) {
        let which = random.below(2);
        match random.below(24) {
            0..6 => (0..1 + random.below(16)).for_each(|_| self.commit(random)),
            6..12 => {
                for _ in 0..1 + random.below(8) {
                    self.send();
                }
            }
            12..15 => {
                for _ in 0..1 + random.below(8) {
                    self.receivers[which].merge();
                }
            }
            15 | 16 => self.receiver_commits(which, random.below(2) == 0),
            17 => {
                self.receivers[which].die();
                if self.met.is_some_and(|met| met.to == which) {
                    self.leave(random.below(4) == 0);
                }
            }
            18 => self.leave(random.below(4) == 0),
            19 if random.below(4) == 0 => self.sender_dies(),
            20 => {
                // Off and on: who sends then has sent nothing.
                self.spool.work(RelayJob::Close);
                self.leave(random.below(2) == 0);
                self.sent = [0; 2];
                self.spool.open_within(&NAMES, LIMIT);
            }
            21 => {
                let late = std::mem::take(&mut self.late);
                late.into_iter().for_each(|job| self.spool.work(job));
            }
            _ if self.met.is_none() => self.meet(which),
            _ => {}
        }
    }

    /// Sends all that waits, to both.
    fn end(&mut self) -> Counters {
        let mut random = Random::new(1);
        for turn in 0..1_000 {
            while self.failed.is_some() || !self.spool.relays.waiting.is_empty() {
                self.commit(&mut random);
            }
            let which = turn % 2;
            self.meet(which);
            while self.send() {}
            while !self.receivers[which].under_way.is_empty() {
                self.receivers[which].merge();
            }
            self.receiver_commits(which, true);
            let left: i64 =
                self.spool.db.query_row("SELECT count(*) FROM spool", [], |row| row.get(0)).expect("a number");
            if left == 0 && self.spool.relays.waiting.is_empty() && self.failed.is_none() {
                let mut both = self.receivers[0].committed.1.clone();
                self.receivers[1].committed.1.iter().for_each(|(path, n)| *both.entry(path.clone()).or_default() += n);
                return both;
            }
        }
        panic!("something waits for ever");
    }
}

#[test]
fn two_receivers_have_each_entry_once_between_them_whatever_fails() {
    let mut folded = 0;
    for case in 0..steps().div_ceil(STEPS as u64) {
        let mut random = Random::of(seed(), case);
        let mut world = World::new();
        for _ in 0..STEPS {
            world.step(&mut random);
        }
        let mut found = world.end();
        let mut counted = std::mem::take(&mut world.counted);
        found.retain(|_, n| *n != 0.0);
        counted.retain(|_, n| *n != 0.0);
        assert_eq!(found, counted, "case {case} of seed {}", seed());
        let load = Stream { relay: "up", tag: 0 }.load(&world.spool.db).expect("a load");
        assert_eq!(load.dropped, 0, "case {case}");
        folded += load.folded;
    }
    assert!(folded > 0, "spools were never full");
}
