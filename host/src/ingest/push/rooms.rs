//! What all connections that push by TCP share, and what each has of it.

use crate::core::Shared;
use crate::ingest::sources::{Call, Stranger, Strangers};
use crate::limits::{
    PUSH_CONNECTIONS_MAX, PUSH_IDLE_MAX, PUSH_LINE_MAX, PUSH_MERGE_BYTES_MAX, PUSH_OPENING_MAX,
    PUSH_OPENINGS_BYTES_MAX, PUSH_STRANGERS_MAX,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the first line, where it has to say a token, and a handshake before it.
    pub(super) opening: Duration,
    /// For a line to be whole.
    pub(super) line: Duration,
    /// For the next line.
    pub(super) idle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { opening: PUSH_OPENING_MAX, line: PUSH_LINE_MAX, idle: PUSH_IDLE_MAX }
    }
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) patience: Patience,
    /// For bytes that are held.
    pub(super) bytes: Arc<Semaphore>,
    /// For first lines with a token that are longer than a connection may have of its own.
    pub(super) openings: Arc<Semaphore>,
    /// For bytes that are read and merged.
    pub(super) merging: Semaphore,
    /// For connections that may push.
    pub(super) connections: Arc<Semaphore>,
    /// Those that have not said a token yet.
    pub(super) strangers: Arc<Strangers>,
}

/// The place of a connection that may push.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _call: Call,
}

/// A connection that has come.
#[derive(Debug)]
pub(super) enum Guest {
    /// It may push.
    Known(Place),
    /// It has to say a token before.
    Stranger(Stranger),
}

impl Rooms {
    pub(super) fn new(bytes: usize) -> Rooms {
        Rooms {
            patience: Patience::default(),
            bytes: Arc::new(Semaphore::new(bytes)),
            openings: Arc::new(Semaphore::new(PUSH_OPENINGS_BYTES_MAX)),
            merging: Semaphore::new(PUSH_MERGE_BYTES_MAX),
            connections: Arc::new(Semaphore::new(PUSH_CONNECTIONS_MAX)),
            strangers: Strangers::new(PUSH_STRANGERS_MAX),
        }
    }

    /// Meets a connection.
    ///
    /// # Errors
    /// There is no place for it: in words.
    pub(super) fn meet(&self, peer: IpAddr, asks: bool, shared: &Shared) -> Result<Guest, String> {
        if asks { Ok(Guest::Stranger(self.strangers.meet(peer))) } else { self.place(peer, shared).map(Guest::Known) }
    }

    /// A place for a connection that may push.
    ///
    /// # Errors
    /// There is none: in words.
    pub(super) fn place(&self, peer: IpAddr, shared: &Shared) -> Result<Place, String> {
        let permit = Arc::clone(&self.connections).try_acquire_owned();
        let permit =
            permit.map_err(|_| format!("there are {PUSH_CONNECTIONS_MAX} connections already; try again later"))?;
        let Some(call) = shared.sources.tcp.call(peer) else {
            let most = shared.sources.tcp.connections_max();
            return Err(format!(
                "your address has {most} connections here already; send more over one of them, or close some"
            ));
        };
        Ok(Place { _permit: permit, _call: call })
    }
}
