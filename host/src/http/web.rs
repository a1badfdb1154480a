//! What all handlers share, and what each request brings.

use super::guard::Guard;
use super::live::Groups;
use super::ownlog::OwnLog;
use crate::core::Shared;
use crate::limits::{
    GRAPH_WAIT_MAX, GRAPHS_AT_ONCE, HTTP_BODIES_BYTES_MAX, HTTP_BODY_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX,
    HTTP_IDLE_MAX, HTTP_UNPACKED_AT_ONCE, HTTP_WRITE_MAX, LOOKS_AT_ONCE, PUSH_LINGER_MAX, PUSH_MERGE_BYTES_MAX,
    PUSH_TURNED_AWAY_MAX, TURN_WAIT_MAX, VIEWS_AT_ONCE, VIEWS_WAITING_MAX,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use warp::http::{HeaderMap, Method, Version};
use warp::path::FullPath;

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a head to be whole.
    pub(super) head: Duration,
    /// For the next request.
    pub(super) idle: Duration,
    /// For a body to be whole.
    pub(super) body: Duration,
    /// For an answer to be taken.
    pub(super) write: Duration,
    /// For others that are done before it.
    pub(super) turn: Duration,
    /// For who is turned away to read why.
    pub(super) refused: Duration,
    /// By a client, for the turn of its picture.
    pub(super) picture: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            head: HTTP_HEAD_MAX,
            idle: HTTP_IDLE_MAX,
            body: HTTP_BODY_MAX,
            write: HTTP_WRITE_MAX,
            turn: TURN_WAIT_MAX,
            refused: PUSH_LINGER_MAX,
            picture: GRAPH_WAIT_MAX,
        }
    }
}

/// What all handlers share.
#[derive(Debug)]
pub(super) struct Web {
    pub(super) shared: Arc<Shared>,
    /// Where this server listens.
    pub(super) address: SocketAddr,
    pub(super) guard: Guard,
    pub(super) patience: Patience,
    /// Who waits for changes.
    pub(super) groups: Arc<Groups>,
    /// The log of what was asked.
    pub(super) log: Arc<OwnLog>,
    /// A permit for each connection.
    pub(super) connections: Arc<Semaphore>,
    /// A permit for each question that goes through the tree.
    pub(super) looking: Arc<Semaphore>,
    /// A permit for each that reads or changes the views: a full file takes many times its bytes while it is looked at.
    pub(super) keeping: Arc<Semaphore>,
    /// A permit for each body of views that waits for that.
    pub(super) bringing: Arc<Semaphore>,
    /// A permit for each picture: each keeps a core busy, and the two that serve are to serve.
    pub(super) drawing: Arc<Semaphore>,
    /// A permit for each body that is unpacked.
    pub(super) unpacking: Semaphore,
    /// A permit for each byte of long documents that are read and merged.
    pub(super) merging: Semaphore,
    /// A permit for each that is told why it is not let in.
    pub(super) turned_away: Arc<Semaphore>,
    /// A permit for each byte of the bodies that are under way.
    pub(super) bodies: Arc<Semaphore>,
    /// Turns true when the daemon stops: nobody is to wait any longer.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Web {
    pub(super) fn new(shared: Arc<Shared>, address: SocketAddr, stopping: watch::Receiver<bool>) -> Web {
        Web {
            guard: Guard::new(address, shared.tokens.clone()),
            groups: Groups::new(Arc::clone(&shared)),
            log: OwnLog::new(Arc::clone(&shared)),
            patience: Patience::default(),
            connections: Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX)),
            looking: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            keeping: Arc::new(Semaphore::new(VIEWS_AT_ONCE)),
            bringing: Arc::new(Semaphore::new(VIEWS_WAITING_MAX)),
            drawing: Arc::new(Semaphore::new(GRAPHS_AT_ONCE)),
            unpacking: Semaphore::new(HTTP_UNPACKED_AT_ONCE),
            merging: Semaphore::new(PUSH_MERGE_BYTES_MAX),
            turned_away: Arc::new(Semaphore::new(PUSH_TURNED_AWAY_MAX)),
            bodies: Arc::new(Semaphore::new(HTTP_BODIES_BYTES_MAX)),
            shared,
            address,
            stopping,
        }
    }
}

/// What a connection knows of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) peer: SocketAddr,
    pub(super) version: Version,
    /// It came by TLS.
    pub(super) secure: bool,
    /// When its head was whole.
    pub(super) at: Instant,
}

/// A request without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) arrival: Arrival,
    pub(super) method: Method,
    pub(super) path: FullPath,
    /// Empty when there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
}
