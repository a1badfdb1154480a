//! Who is known to send, who does at the moment, and what has been committed of each.

use super::sink::is_sender;
use super::wire::place;
use crate::limits::RELAY_VIA_MAX;
use crate::trend::Place;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
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
}

impl Default for Senders {
    fn default() -> Senders {
        Senders {
            committed: Mutex::default(),
            changed: watch::Sender::new(()),
            live: Mutex::default(),
            received: Mutex::default(),
        }
    }
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
    /// Where the other comes from.
    pub(super) async fn claim(
        &self,
        source: &str,
        by: Claimant,
        patience: std::time::Duration,
    ) -> Result<(), SocketAddr> {
        let other = {
            let live = self.live.lock();
            live.get(source).map(|live| (live.life == by.life, live.from, live.claims.clone()))
        };
        if let Some((same_life, from, claims)) = other {
            if !same_life {
                let (reply, alive) = oneshot::channel();
                // A connection that is over takes no claims.
                if claims.send(Claim::Alive(reply)).await.is_ok()
                    && tokio::time::timeout(patience, alive).await.is_ok_and(|alive| alive.is_ok())
                {
                    return Err(from);
                }
            }
            let _ = claims.try_send(Claim::Over);
        }
        let Claimant { connection, life, from, claims, via } = by;
        self.live.lock().insert(source.to_owned(), Live { connection, life, from, claims, via });
        Ok(())
    }

    /// The daemons that send here, or to those that do: a receiver among them would get what it has sent. Daemons that take nothing
    /// from others are not among them.
    pub(super) fn via(&self) -> String {
        let live = self.live.lock();
        let ids: BTreeSet<&str> = live.values().flat_map(|live| &live.via).map(String::as_str).collect();
        ids.into_iter().take(RELAY_VIA_MAX).collect::<Vec<_>>().join(" ")
    }

    /// A connection is over.
    pub(super) fn leave(&self, source: &str, connection: u64) {
        let mut live = self.live.lock();
        if live.get(source).is_some_and(|live| live.connection == connection) {
            live.remove(source);
        }
    }

    /// Notes something of a host.
    pub(super) fn note(&self, host: &str, note: impl FnOnce(&mut Received)) {
        let mut received = self.received.lock();
        match received.get_mut(host) {
            Some(received) => note(received),
            None => note(received.entry(host.to_owned()).or_default()),
        }
    }

    /// What was received, by the hosts' names.
    pub(crate) fn received(&self) -> Vec<(String, Received)> {
        self.received.lock().iter().map(|(host, received)| (host.clone(), *received)).collect()
    }
}
