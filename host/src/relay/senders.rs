//! Who is known to send, who does at the moment, and what has been committed of each.

use super::sink::is_sender;
use super::wire::place;
use crate::limits::{NATS_VIA_AGE, NATS_VIA_MAX, RELAY_RECEIVED_MAX, RELAY_VIA_MAX};
use crate::trend::Place;
use parking_lot::Mutex;
use plugin_api::limits::OTHER;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

/// What a connection is asked by another that claims its name.
#[derive(Debug)]
pub(super) enum Claim {
    /// Whether its peer is alive: answered when that gives a sign.
    Alive(oneshot::Sender<()>),
    /// It is over: the other one is this sender now.
    Over,
}

/// A sender that is connected.
#[derive(Debug)]
struct Live {
    connection: u64,
    /// Which life of the sending daemon it is.
    life: String,
    from: SocketAddr,
    claims: mpsc::Sender<Claim>,
    /// Daemons whose deltas come on it, if they take what others send.
    via: Vec<String>,
}

/// What was received of a host, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Connections at the moment.
    pub(crate) connected: u64,
    /// Entries that were merged, and their bytes as they came.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// All senders.
#[derive(Debug)]
pub(crate) struct Senders {
    /// What is on the disk of each, by the names of their sources.
    committed: Mutex<HashMap<String, Place>>,
    changed: watch::Sender<()>,
    live: Mutex<HashMap<String, Live>>,
    received: Mutex<BTreeMap<String, Received>>,
    /// Daemons whose deltas came by streams: no more than can be named.
    by_streams: Mutex<BTreeMap<String, Heard>>,
    called: Mutex<Called>,
}

/// By which sender deltas of a daemon came by a stream first, and when they last did.
#[derive(Debug)]
struct Heard {
    by: String,
    last: Instant,
}

impl Heard {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= NATS_VIA_AGE
    }
}

/// Who is connected by which name, by their connections, and the names that more than one has: said once.
#[derive(Debug, Default)]
struct Called {
    now: HashMap<u64, (String, String, SocketAddr)>,
    told: BTreeSet<String>,
}

impl Default for Senders {
    fn default() -> Senders {
        Senders {
            committed: Mutex::default(),
            changed: watch::Sender::new(()),
            live: Mutex::default(),
            received: Mutex::default(),
            by_streams: Mutex::default(),
            called: Mutex::default(),
        }
    }
}

/// Why a connection may not be a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// Another one is, from there.
    Another(SocketAddr),
    /// More daemons send on here than a hello can name.
    TooMany,
}

/// Who claims to be a sender.
#[derive(Debug)]
pub(super) struct Claimant {
    pub(super) connection: u64,
    pub(super) life: String,
    pub(super) from: SocketAddr,
    pub(super) claims: mpsc::Sender<Claim>,
    pub(super) via: Vec<String>,
}

impl Senders {
    /// Sources as they are on the disk; those that are no senders are passed over.
    pub(super) fn committed<'p>(&self, positions: impl Iterator<Item = (&'p str, &'p str)>) {
        let mut any = false;
        let mut committed = self.committed.lock();
        for (source, text) in positions.filter(|(source, _)| is_sender(source)) {
            if let Some(place) = place(text) {
                committed.insert(source.to_owned(), place);
                any = true;
            }
        }
        drop(committed);
        if any {
            self.changed.send_replace(());
        }
    }

    /// What is on the disk of a sender.
    pub(super) fn has(&self, source: &str) -> Option<Place> {
        self.committed.lock().get(source).copied()
    }

    /// How many are known.
    pub(super) fn known(&self) -> usize {
        self.committed.lock().len()
    }

    /// Hears when more is on the disk.
    pub(super) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Lets a connection be a sender, unless another connection is and is alive: two with one name are copies of each other. The
    /// same daemon that connects anew has given its other connection up.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn claim(&self, source: &str, by: Claimant, patience: std::time::Duration) -> Result<(), NotNow> {
        // Whom it was asked of already.
        let mut asked: Option<u64> = None;
        loop {
            let other = {
                let mut live = self.live.lock();
                match live.get(source).filter(|other| asked != Some(other.connection)) {
                    Some(other) if other.life != by.life => (other.connection, other.from, other.claims.clone()),
                    // Nobody, or one that has given itself up, or that gave no sign of life.
                    _ => {
                        let others = live.iter().filter(|(name, _)| *name != source).flat_map(|(_, live)| &live.via);
                        let by_streams = self.by_streams.lock();
                        let now = Instant::now();
                        let heard = by_streams.iter().filter(|(_, heard)| !heard.is_old(now)).map(|(id, _)| id);
                        let via: BTreeSet<&String> = others.chain(&by.via).chain(heard).collect();
                        if via.len() > RELAY_VIA_MAX && !by.via.is_empty() {
                            return Err(NotNow::TooMany);
                        }
                        let Claimant { connection, life, from, claims, via } = by;
                        let new = Live { connection, life, from, claims, via };
                        if let Some(over) = live.insert(source.to_owned(), new) {
                            // It has a place for this one: others that ask it wait.
                            let _ = over.claims.try_send(Claim::Over);
                        }
                        return Ok(());
                    }
                }
            };
            let (connection, from, claims) = other;
            let (reply, alive) = oneshot::channel();
            let ask = async {
                // A connection that is over takes no claims.
                claims.send(Claim::Alive(reply)).await.is_ok() && alive.await.is_ok()
            };
            if tokio::time::timeout(patience, ask).await.is_ok_and(|alive| alive) {
                return Err(NotNow::Another(from));
            }
            asked = Some(connection);
        }
    }

    /// The daemons that send here, or to those that do: a receiver among them would get what it has sent. Daemons that take nothing
    /// from others are not among them.
    pub(super) fn via(&self) -> String {
        self.via_at(Instant::now())
    }

    fn via_at(&self, now: Instant) -> String {
        let (live, mut by_streams) = (self.live.lock(), self.by_streams.lock());
        by_streams.retain(|_, heard| !heard.is_old(now));
        let ids = live.values().flat_map(|live| &live.via).chain(by_streams.keys());
        let ids: BTreeSet<&str> = ids.map(String::as_str).collect();
        ids.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// Deltas of these daemons come from a sender by a stream.
    ///
    /// # Errors
    /// They cannot all be named where they are sent on, or are more than one sender may name: why, in words. Nothing is noted then.
    pub(super) fn by_stream<'i>(
        &self,
        sender: &str,
        ids: impl Iterator<Item = &'i str>,
        now: Instant,
    ) -> Result<(), String> {
        let ids: BTreeSet<&str> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let (live, mut known) = (self.live.lock(), self.by_streams.lock());
        if ids.iter().any(|id| known.get(*id).is_none_or(|heard| heard.is_old(now))) {
            known.retain(|_, heard| !heard.is_old(now));
            let others = known.iter().filter(|(id, heard)| heard.by == sender && !ids.contains(id.as_str())).count();
            let new = ids.iter().filter(|id| known.get(**id).is_none_or(|heard| heard.by == sender)).count();
            if others + new > NATS_VIA_MAX {
                return Err(format!("it sends on what more than {NATS_VIA_MAX} others send within {NATS_VIA_AGE:?}"));
            }
            let lives = live.values().flat_map(|live| &live.via);
            let all: BTreeSet<&str> =
                lives.chain(known.keys()).map(String::as_str).chain(ids.iter().copied()).collect();
            if all.len() > RELAY_VIA_MAX {
                return Err(format!(
                    "it sends on what others send, and no more than {RELAY_VIA_MAX} such daemons can be named"
                ));
            }
        }
        for id in ids {
            match known.get_mut(id) {
                Some(heard) => heard.last = now,
                None => {
                    known.insert(id.to_owned(), Heard { by: sender.to_owned(), last: now });
                }
            }
        }
        Ok(())
    }

    /// A connection is over.
    pub(super) fn leave(&self, source: &str, connection: u64) {
        let mut live = self.live.lock();
        if live.get(source).is_some_and(|live| live.connection == connection) {
            live.remove(source);
        }
    }

    /// A connection is that of a daemon, known by its id, that calls itself `host`: from where another comes that does so too, if that
    /// has not been said before.
    pub(super) fn called(&self, connection: u64, host: &str, id: &str, from: SocketAddr) -> Option<SocketAddr> {
        let mut called = self.called.lock();
        let other = called.now.values().find(|(name, other, _)| name == host && other != id).map(|(.., from)| *from);
        called.now.insert(connection, (host.to_owned(), id.to_owned(), from));
        other.filter(|_| called.told(host))
    }

    /// Whether it is news that a sender calls itself as this daemon does.
    pub(super) fn called_as_here(&self, host: &str) -> bool {
        self.called.lock().told(host)
    }

    /// A sender has connected: by what name is told what comes of it.
    pub(super) fn join(&self, host: &str) -> String {
        let mut received = self.received.lock();
        let host = if received.contains_key(host) || received.len() < RELAY_RECEIVED_MAX { host } else { OTHER };
        received.entry(host.to_owned()).or_default().connected += 1;
        host.to_owned()
    }

    /// It has gone. Of one that has sent nothing there is nothing to tell.
    pub(super) fn part(&self, host: &str, connection: u64) {
        self.called.lock().now.remove(&connection);
        self.gone(host);
    }

    /// A host that was joined is not heard any more.
    pub(super) fn gone(&self, host: &str) {
        let mut received = self.received.lock();
        if let Some(found) = received.get_mut(host) {
            found.connected = found.connected.saturating_sub(1);
            if found.connected == 0 && found.entries == 0 {
                received.remove(host);
            }
        }
    }

    /// An entry of so many bytes has been merged.
    pub(super) fn note(&self, host: &str, bytes: u64) {
        if let Some(received) = self.received.lock().get_mut(host) {
            received.entries += 1;
            received.bytes += bytes;
        }
    }

    /// What was received, by the names of the hosts that have sent anything: the others come and go as they like.
    pub(crate) fn received(&self) -> Vec<(String, Received)> {
        let received = self.received.lock();
        let some = received.iter().filter(|(_, received)| received.entries > 0);
        some.map(|(host, received)| (host.clone(), *received)).collect()
    }
}

impl Called {
    /// Whether it is news that a name is somebody else's too.
    fn told(&mut self, host: &str) -> bool {
        self.told.len() < RELAY_RECEIVED_MAX && self.told.insert(host.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn claimant(connection: u64, life: &str, via: &[String]) -> (Claimant, mpsc::Receiver<Claim>) {
        let (claims, claimed) = mpsc::channel(1);
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        (Claimant { connection, life: life.to_owned(), from, claims, via: via.to_vec() }, claimed)
    }

    fn within<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(work)
    }

    const PATIENCE: Duration = Duration::from_millis(200);

    #[test]
    fn of_two_that_claim_a_name_at_the_same_time_one_is_let_in() {
        within(async {
            let senders = Senders::default();
            // One that is stuck: it answers nobody, and takes one claim only.
            let (stuck, _never_answers) = claimant(0, "gone", &[]);
            senders.claim("x", stuck, PATIENCE).await.unwrap();
            let (one, mut ones) = claimant(1, "one", &[]);
            let (two, mut twos) = claimant(2, "two", &[]);
            let alive = |claimed: &mut mpsc::Receiver<Claim>| match claimed.try_recv() {
                Ok(Claim::Alive(reply)) => reply.send(()).is_ok(),
                _ => false,
            };
            let answers = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    let _ = (alive(&mut ones), alive(&mut twos));
                }
            };
            let both = async { tokio::join!(senders.claim("x", one, PATIENCE), senders.claim("x", two, PATIENCE)) };
            let (one, two) = tokio::select! { both = both => both, () = answers => unreachable!() };
            assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        });
    }

    #[test]
    fn what_hosts_are_called_takes_no_more_room_than_its_limit() {
        let senders = Senders::default();
        for n in 0..RELAY_RECEIVED_MAX * 2 {
            let name = senders.join(&format!("host{n}"));
            senders.part(&name, 0);
        }
        assert!(senders.received().is_empty() && senders.received.lock().is_empty());
        let names: Vec<String> = (0..RELAY_RECEIVED_MAX + 9).map(|n| senders.join(&format!("host{n}"))).collect();
        names.iter().for_each(|name| senders.note(name, 5));
        names.iter().for_each(|name| senders.part(name, 0));
        let received = senders.received();
        assert_eq!(received.len(), RELAY_RECEIVED_MAX + 1);
        let other = received.iter().find(|(name, _)| name == OTHER).map(|(_, received)| *received);
        assert_eq!(other, Some(Received { connected: 0, entries: 9, bytes: 45 }));
    }

    #[test]
    fn two_that_call_themselves_by_one_name_are_told_of_once() {
        let senders = Senders::default();
        let from = |n| SocketAddr::from(([127, 0, 0, 1], n));
        // The same daemon by two relays, and anew.
        assert_eq!(senders.called(1, "web", "id1", from(1)), None);
        assert_eq!(senders.called(2, "web", "id1", from(2)), None);
        assert_eq!(senders.called(3, "db", "id2", from(3)), None);
        // Another that was there once, and is gone.
        senders.part("db", 3);
        assert_eq!(senders.called(4, "db", "id3", from(4)), None);
        senders.part("web", 1);
        assert_eq!(senders.called(5, "web", "id4", from(5)), Some(from(2)));
        assert_eq!(senders.called(6, "web", "id5", from(6)), None);
        assert!(senders.called_as_here("top") && !senders.called_as_here("top"));
    }

    #[test]
    fn daemons_whose_deltas_come_by_streams_are_named_with_the_others() {
        within(async {
            let senders = Senders::default();
            let ids: Vec<String> = (1..RELAY_VIA_MAX).map(|n| format!("{n:012x}")).collect();
            let (many, _claims) = claimant(1, "one", &ids);
            senders.claim("many", many, PATIENCE).await.unwrap();
            let now = Instant::now();
            let by_stream = |ids: &[&str]| senders.by_stream("ab.relay", ids.iter().copied(), now).is_ok();
            assert!(by_stream(&["f", "000000000001"]));
            assert!(!by_stream(&["e"]));
            assert!(by_stream(&["f"]));
            assert_eq!(senders.via().split(' ').count(), RELAY_VIA_MAX);
            let (more, _claims) = claimant(2, "two", &["e".to_owned()]);
            assert_eq!(senders.claim("more", more, PATIENCE).await, Err(NotNow::TooMany));
            senders.leave("many", 1);
            assert_eq!(senders.via(), "000000000001 f");
        });
    }

    #[test]
    fn what_one_names_by_streams_has_a_limit_and_ends_with_its_age() {
        let senders = Senders::default();
        let start = Instant::now();
        let ids = |from: usize, to: usize| (from..to).map(|n| format!("{n:012x}")).collect::<Vec<String>>();
        let by_stream = |sender: &str, ids: &[String], after: Duration| {
            senders.by_stream(sender, ids.iter().map(String::as_str), start + after).is_ok()
        };
        let named = |after: Duration| senders.via_at(start + after).split_whitespace().count();
        let zero = Duration::ZERO;
        // Nothing is noted of who names too many at once, or little by little.
        assert!(!by_stream("a", &ids(0, NATS_VIA_MAX + 1), zero));
        assert_eq!(named(zero), 0);
        assert!(by_stream("a", &ids(0, NATS_VIA_MAX), zero));
        assert!(!by_stream("a", &ids(NATS_VIA_MAX, NATS_VIA_MAX + 1), zero));
        assert!(by_stream("a", &ids(1, 9), zero) && by_stream("b", &ids(0, NATS_VIA_MAX), zero));
        // Others have room all the same, up to the limit of all.
        assert!(by_stream("b", &ids(NATS_VIA_MAX, RELAY_VIA_MAX), NATS_VIA_AGE / 2));
        assert!(!by_stream("c", &ids(RELAY_VIA_MAX, RELAY_VIA_MAX + 1), NATS_VIA_AGE / 2));
        assert_eq!(named(NATS_VIA_AGE / 2), RELAY_VIA_MAX);
        // What is not heard any more makes room, what still is does not.
        assert!(by_stream("c", &ids(0, 3), NATS_VIA_AGE / 2));
        assert!(by_stream("c", &ids(RELAY_VIA_MAX, RELAY_VIA_MAX + 1), NATS_VIA_AGE));
        assert_eq!(named(NATS_VIA_AGE), 3 + RELAY_VIA_MAX - NATS_VIA_MAX + 1);
        assert_eq!(named(NATS_VIA_AGE * 3), 0);
    }

    #[test]
    fn who_sends_on_what_more_daemons_send_than_can_be_named_is_refused() {
        within(async {
            let senders = Senders::default();
            let ids: Vec<String> = (0..RELAY_VIA_MAX).map(|n| format!("{n:012x}")).collect();
            let (many, _claims) = claimant(1, "one", &ids);
            senders.claim("many", many, PATIENCE).await.unwrap();
            // The same again, and one that sends what is its own.
            let (again, _claims) = claimant(2, "one", &ids);
            senders.claim("many", again, PATIENCE).await.unwrap();
            let (leaf, _claims) = claimant(3, "two", &[]);
            senders.claim("leaf", leaf, PATIENCE).await.unwrap();
            let (more, _claims) = claimant(4, "three", &["f".repeat(12)]);
            assert_eq!(senders.claim("more", more, PATIENCE).await, Err(NotNow::TooMany));
            let via = senders.via();
            assert_eq!(via.split(' ').count(), RELAY_VIA_MAX);
            assert!(via.len() < crate::limits::RELAY_HELLO_BYTES_MAX / 8 * 7, "{}", via.len());
        });
    }
}
