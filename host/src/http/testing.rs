//! What tests share: a tree without a daemon, and a server on a port of its own.

use super::serve::serve_web;
use super::web::{Patience, Web};
use crate::clock::Timepiece;
use crate::conf::DaemonConf;
use crate::core::{Core, CoreParts, Counters, Event, Events, Live, Logs, Shared};
use crate::ingest::format::Format;
use crate::ingest::{LogHandle, LogParts, Remember};
use crate::json::read_documents;
use crate::limits::{EVENTS_MAX, HTTP_CONNECTIONS_MAX};
use crate::module::{Blamed, BuiltIns, Disposer, Folders, Loader, Registry};
use crate::tree::{Limits, Tree};
use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

/// The tick before the first.
pub(super) const TICK_BASE: u64 = 1_000;

fn parts(token: Option<&str>, tick: Duration) -> (Arc<Shared>, mpsc::Receiver<Event>) {
    let clock = Timepiece::start();
    let (events, inbox) = Events::new(EVENTS_MAX);
    let log = |name: &str| {
        let format = Format::compile("timed").unwrap();
        let parts = LogParts {
            name: name.to_owned(),
            prefix: crate::conf::Prefix::default(),
            formats: vec![format],
            tick,
            clock,
            remember: Remember::First,
            events: events.clone(),
            disposer: Disposer::start().unwrap(),
            position: None,
            forwards: None,
        };
        LogHandle::start(parts).unwrap()
    };
    let shared = Shared {
        tree: RwLock::new(Tree::new(Limits::default(), tick, TICK_BASE)),
        // Whether the pages are built or not, tests see them as if they were not.
        conf: DaemonConf { tick, web: Some("/nowhere".into()), ..DaemonConf::default() },
        host: "here".to_owned(),
        tls: None,
        sources: crate::ingest::sources::Sources::new(&crate::conf::IntakeLimits::default()),
        tokens: crate::tokens::Tokens::one(token),
        clock,
        modules: RwLock::default(),
        module_changes: crate::module::Changes::of(crate::conf::Role::default()),
        // In a folder that cannot be: a test that keeps views has a folder of its own.
        views: crate::views::Views::of(std::path::Path::new("/proc/nowhere")),
        logs: Logs::new(log("self"), log("push")),
        ready: std::sync::atomic::AtomicBool::new(true),
        counters: Counters::default(),
        live: Live::new(TICK_BASE),
        positions: parking_lot::Mutex::default(),
        begun: parking_lot::Mutex::default(),
        commit_error: parking_lot::Mutex::default(),
        clock_doubt: parking_lot::Mutex::default(),
        relays: crate::relay::Relays::default(),
        trend: std::sync::OnceLock::new(),
        events,
    };
    (Arc::new(shared), inbox)
}

/// What readers work on, with nobody behind it: the test itself merges and closes ticks.
pub(crate) fn shared(token: Option<&str>) -> Arc<Shared> {
    parts(token, Duration::from_secs(1)).0
}

/// Merges documents.
pub(super) fn merge(shared: &Shared, json: &str) {
    let documents = read_documents(json.as_bytes());
    assert_eq!(documents.faults, []);
    for frame in documents.frames {
        shared.tree.write().merge(&[], &frame, 0).unwrap();
    }
}

/// Merges what a module says.
pub(super) fn say(shared: &Shared, feed: impl FnOnce(&mut plugin_api::Delta)) {
    let mut delta = plugin_api::Delta::new();
    feed(&mut delta);
    shared.tree.write().merge(&[], delta.flush(), 0).unwrap();
}

/// Closes a tick and tells all that wait.
pub(super) fn tick(shared: &Shared) -> u64 {
    let over = shared.tree.write().end_tick(0).tick;
    shared.live.tick(over);
    over
}

/// A server on a port of its own; it stops when this is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) web: Arc<Web>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves a tree that only the test changes.
    pub(super) async fn still(token: Option<&str>) -> Server {
        Server::of(shared(token), Patience::default()).await
    }

    /// Serves with as little patience as this.
    pub(super) async fn with(patience: Patience) -> Server {
        Server::of(shared(None), patience).await
    }

    /// Serves a still tree, with something of what is shared as this makes it.
    pub(super) async fn changed(token: Option<&str>, change: impl FnOnce(&mut Shared)) -> Server {
        let mut shared = shared(token);
        change(Arc::get_mut(&mut shared).unwrap());
        Server::of(shared, Patience::default()).await
    }

    /// Serves its pages from a folder.
    pub(super) async fn with_pages(folder: &std::path::Path) -> Server {
        let mut shared = shared(None);
        Arc::get_mut(&mut shared).unwrap().conf.web = Some(folder.to_owned());
        Server::of(shared, Patience::default()).await
    }

    /// Serves by TLS.
    pub(super) async fn secure(acceptor: Arc<crate::tls::Acceptor>, patience: Patience) -> Server {
        let mut shared = shared(None);
        Arc::get_mut(&mut shared).unwrap().tls = Some(acceptor);
        Server::of(shared, patience).await
    }

    /// Serves a tree with a core behind it: pushes are merged.
    pub(super) async fn with_core() -> Server {
        // A tick never comes: what a test is to see, it closes itself or does not need.
        let (shared, inbox) = parts(None, Duration::from_secs(3_600));
        let aside = std::env::temp_dir().join(format!("graftd-http-{}-{:p}", std::process::id(), Arc::as_ptr(&shared)));
        let blamed = Arc::new(Blamed::read(&std::env::temp_dir().join("nowhere"), "now"));
        let loader =
            Loader::start(&aside, &aside, &shared.host, &shared.events, &Folders::default(), blamed, false).unwrap();
        let registry = Registry::new(
            Folders::default(),
            loader,
            Disposer::start().unwrap(),
            BuiltIns::new(&shared, &Disposer::start().unwrap()),
        );
        let listening = oneshot::channel().0;
        let core =
            CoreParts { shared: Arc::clone(&shared), registry, settling: None, kept: None, events: inbox, listening };
        std::thread::spawn(move || drop(Core::run(core)));
        Server::of(shared, Patience::default()).await
    }

    pub(super) async fn of(shared: Arc<Shared>, patience: Patience) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, stopping) = watch::channel(false);
        let web = Arc::new(Web { patience, ..Web::new(Arc::clone(&shared), address, stopping) });
        let served = tokio::spawn(serve_web(listener, Arc::clone(&web), tell, async {
            let _ = stopped.await;
        }));
        Server { address, shared, web, stop: Some(stop), served }
    }

    /// Stops, and waits until all is answered.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.served).await.unwrap();
    }

    /// Lets the server run until so many clients wait for changes.
    pub(super) async fn until_waiting(&self, clients: usize) {
        while self.web.groups.members() != clients {
            tokio::task::yield_now().await;
        }
    }

    /// Lets the server run until so many streams are told by the thread that looks.
    pub(super) async fn until_seated(&self, streams: usize) {
        while self.web.groups.seated() != streams {
            tokio::task::yield_now().await;
        }
    }

    /// Lets the server run until it has so many connections.
    pub(super) async fn until_connections(&self, connections: usize) {
        while self.web.connections.available_permits() != HTTP_CONNECTIONS_MAX - connections {
            tokio::task::yield_now().await;
        }
    }

    /// Sends bytes as they are on a connection of their own.
    pub(super) async fn open(&self, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream
    }

    /// A request with headers (each with its line's end) and a body; its length is added.
    pub(super) async fn ask(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let head = format!("{method} {target} HTTP/1.1\r\n{host}Connection: close\r\n{length}{headers}\r\n");
        let stream = self.open(&[head.as_bytes(), body].concat()).await;
        Reply::read(stream).await
    }

    pub(super) async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, "", b"").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    /// Reads until the server closes.
    pub(super) async fn read(mut stream: TcpStream) -> Reply {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::trim)
    }

    pub(super) fn tick(&self) -> u64 {
        self.header("x-tick").unwrap().parse().unwrap()
    }
}
