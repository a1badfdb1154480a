//! The built-in module `gmond`: ganglia's ports. Packets come in by UDP, as gmond and gmetric send them; XML goes out by TCP, as
//! gmetad, gstat and ganglia-web ask for it; and XML of other gmonds is fetched.
//!
//! `table.rs` and `hosts.rs` know what has been said and make frames of it; they are pure. `receive.rs` takes packets and
//! `ask.rs` asks for what was missed; `poll.rs` fetches XML. `feed.rs` is the way into the tree. `serve.rs` gives XML out, which
//! `render.rs` makes of what stands in the tree, whoever put it there. `sockets.rs` binds the ports.
//!
//! **Invariant:** everything that comes is bounded and counted before it is believed. Nothing is kept here that the tree
//! has: what is given out is the tree's.

mod ask;
mod feed;
mod hosts;
mod places;
mod poll;
mod receive;
mod render;
mod serve;
mod sockets;
mod table;
mod told;

use crate::conf::GmondConf;
use crate::core::{Event, Shared};
use feed::Feed;
use parking_lot::Mutex;
use sockets::Sockets;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use table::Table;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The module, running. It ends when this is dropped; what has been taken by then is in the tree soon after.
#[derive(Debug)]
pub struct Gmond {
    conf: Arc<GmondConf>,
    sockets: Sockets,
    /// Dropping it tells the tasks.
    _stop: watch::Sender<()>,
}

/// What is known of hosts. The tree keeps them while the module is off, so this is kept too: they have still to be forgotten
/// in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<Table>>);

/// Tells a task that it is to stop.
#[derive(Clone, Debug)]
struct Stop(watch::Receiver<()>);

impl Stop {
    /// Waits until it is told.
    async fn told(&mut self) {
        // There is never a new value: it ends when the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}

/// What a module needs of its surroundings.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    /// What it reads and where it sends.
    pub(crate) shared: &'a Arc<Shared>,
    /// Where its tasks run.
    pub(crate) runtime: &'a Handle,
    /// The module's name, and which life of it this is.
    pub(crate) life: (String, u64),
}

impl Gmond {
    /// As a `.on` calls it.
    pub const NAME: &'static str = "gmond";

    /// Starts it: its ports are bound when this is back. What ran `before` hands on its ports; what is `known` outlives both.
    ///
    /// # Errors
    /// A port cannot be bound.
    pub(crate) fn start(
        conf: &GmondConf,
        before: Option<&Gmond>,
        known: &Known,
        around: Around<'_>,
    ) -> Result<Gmond, String> {
        let sockets = Sockets::bind(conf, before.map(|before| &before.sockets))?;
        let table = Arc::clone(&known.0);
        table.lock().speaks_for(&conf.cluster.name);
        let conf = Arc::new(conf.clone());
        let (sender, stop) = watch::channel(());
        let stop = Stop(stop);
        let shared = around.shared;
        let _within = around.runtime.enter();
        let mut tasks = JoinSet::new();
        let broken = |error: io::Error| format!("its ports cannot be served: {error}");
        for bound in &sockets.udp {
            let socket = bound.socket.try_clone().and_then(UdpSocket::from_std).map_err(broken)?;
            let feed = Feed::new(shared, &table);
            let dropped = Arc::clone(&bound.dropped);
            tasks.spawn(receive::serve(socket, dropped, Arc::clone(&conf), feed, stop.clone()));
        }
        for bound in &sockets.tcp {
            let socket = bound.socket.try_clone().and_then(TcpListener::from_std).map_err(broken)?;
            tasks.spawn(serve::serve(socket, Arc::clone(&conf), Arc::clone(shared), stop.clone()));
        }
        let turns = Arc::new(Semaphore::new(crate::limits::GMOND_POLLS_AT_ONCE));
        for target in conf.poll.clone() {
            let feed = Feed::new(shared, &table);
            tasks.spawn(poll::serve(target, Arc::clone(&conf), feed, Arc::clone(&turns), stop.clone()));
        }
        tasks.spawn(receive::sweep(Arc::clone(&conf), Feed::new(shared, &table), stop.clone()));
        tokio::spawn(watch_over(tasks, stop, Arc::clone(shared), around.life));
        Ok(Gmond { conf, sockets, _stop: sender })
    }

    /// Where it can be reached, for the line that says so; none where it only polls.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.sockets.address()
    }

    /// What it does, in words.
    #[must_use]
    pub fn remark(&self) -> String {
        let list = |what: &str, addresses: Vec<String>| {
            (!addresses.is_empty()).then(|| format!("{what} {}", addresses.join(", ")))
        };
        let udp = self.sockets.udp.iter().map(|bound| bound.address.to_string()).collect();
        let tcp = self.sockets.tcp.iter().map(|bound| bound.address.to_string()).collect();
        let poll = self.conf.poll.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let parts = [list("packets at", udp), list("XML at", tcp), list("polls", poll)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Tells the core when a task ends that nobody has told to.
async fn watch_over(mut tasks: JoinSet<io::Result<()>>, mut stop: Stop, shared: Arc<Shared>, life: (String, u64)) {
    while let Some(ended) = tasks.join_next().await {
        let why = match ended {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(error) => format!("a task of it ended: {error}"),
        };
        tokio::select! {
            biased;
            () = stop.told() => {}
            _ = shared.events.send_async(Event::BuiltInEnded { life: life.clone(), why }) => {}
        }
    }
}
