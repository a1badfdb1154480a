//! What the core shares with those who read: the tree, who lives in it, and what changed.

use super::event::{Event, Events, Position};
use crate::clock::Timepiece;
use crate::conf::DaemonConf;
use crate::ingest::sources::Sources;
use crate::ingest::{LogFilesShare, LogHandle};
use crate::module::{Changes, ModuleStatus};
use crate::relay::Relays;
use crate::tls::Acceptor;
use crate::tokens::Tokens;
use crate::tree::Tree;
use crate::trend::Trend;
use crate::views::Views;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// What readers and takers of pushes work on.
#[derive(Debug)]
pub struct Shared {
    /// The live tree. Only the core writes.
    pub tree: RwLock<Tree>,
    /// How the daemon runs.
    pub conf: DaemonConf,
    /// The host's name in paths.
    pub host: String,
    /// The tokens that reading, pushing and switching ask for; on loopback there may be none.
    pub tokens: Tokens,
    /// Who pushes.
    pub(crate) sources: Sources,
    /// What makes connections secure, where there is a certificate.
    pub(crate) tls: Option<Arc<Acceptor>>,
    /// The one clock.
    pub clock: Timepiece,
    /// To the core.
    pub events: Events,
    /// All modules, by name.
    pub modules: RwLock<Arc<Vec<ModuleStatus>>>,
    /// How their states changed.
    pub module_changes: Changes,
    /// The views that are kept.
    pub(crate) views: Views,
    /// The logs that lines can be handed to: `self` and `push`.
    pub logs: Logs,
    /// Everything that was found at the start runs, or cannot: lines go through all pipes.
    pub ready: AtomicBool,
    /// What is counted outside the core.
    pub counters: Counters,
    /// Tells that a tick is over.
    pub live: Live,
    /// How far each source has been read, by its name: what is in the tree.
    pub positions: Mutex<BTreeMap<String, Arc<str>>>,
    /// Where sources begin that were never read before; the core takes it, and has it written down at once.
    pub begun: Mutex<Vec<Position>>,
    /// Why what the tree holds cannot be written down at the moment.
    pub commit_error: Mutex<Option<String>>,
    /// Why history does not age by the wall clock at the moment.
    pub clock_doubt: Mutex<Option<String>>,
    /// What is sent to other daemons and received from them.
    pub(crate) relays: Relays,
    /// Where history is read, if any is kept.
    pub(crate) trend: OnceLock<Box<dyn Trend>>,
}

/// The logs that pipes run in.
#[derive(Debug)]
pub struct Logs {
    /// The daemon's own HTTP log.
    pub own: LogHandle,
    /// Lines that are pushed.
    pub push: LogHandle,
    /// Those that files are read for.
    pub tailed: Mutex<Vec<LogHandle>>,
    /// Those of them that are about to end.
    pub ending: Mutex<Vec<LogHandle>>,
    /// How many have not looked at their files yet.
    pub(crate) beginning: AtomicUsize,
    /// The descriptors that their files may take.
    pub(crate) share: Arc<LogFilesShare>,
}

impl Logs {
    /// None but the daemon's own.
    pub(crate) fn new(own: LogHandle, push: LogHandle) -> Logs {
        let (tailed, ending) = (Mutex::default(), Mutex::default());
        Logs { own, push, tailed, ending, beginning: AtomicUsize::new(0), share: Arc::default() }
    }

    /// A log is about to end: no pipes are put into it any more.
    pub(crate) fn leave(&self, log: &LogHandle) {
        self.tailed.lock().retain(|other| other.serial() != log.serial());
        let mut ending = self.ending.lock();
        ending.retain(|other| other.serial() != log.serial() && !other.wait_for_end(Duration::ZERO));
        ending.push(log.clone());
    }

    /// The newest log of that name that has not ended yet.
    pub(crate) fn ending_of(&self, name: &str) -> Option<LogHandle> {
        let ending = self.ending.lock();
        ending.iter().rev().find(|log| log.name == name && !log.wait_for_end(Duration::ZERO)).cloned()
    }

    /// Those that are folded here.
    #[must_use]
    pub fn piped(&self) -> Vec<LogHandle> {
        self.all().into_iter().filter(|log| !log.forwards()).collect()
    }

    /// Lines go through the pipes of all of them, and none is in a call of a pipe.
    pub(crate) fn are_at_rest(&self) -> bool {
        let tailed = self.tailed.lock();
        [&self.own, &self.push].into_iter().chain(&*tailed).all(|log| log.is_open() && log.is_idle())
    }

    /// Those that wait to be opened.
    pub(crate) fn unopened(&self) -> Vec<LogHandle> {
        let tailed = self.tailed.lock();
        [&self.own, &self.push].into_iter().chain(&*tailed).filter(|log| !log.is_open()).cloned().collect()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<LogHandle> {
        [&self.own, &self.push].into_iter().chain(&*self.tailed.lock()).cloned().collect()
    }
}

/// Tells subscribers that a tick is over.
#[derive(Debug)]
pub struct Live {
    tick: watch::Sender<u64>,
}

impl Live {
    /// Begins at the tick that is over.
    #[must_use]
    pub fn new(tick: u64) -> Live {
        Live { tick: watch::Sender::new(tick) }
    }

    /// A tick is over.
    pub(crate) fn tick(&self, tick: u64) {
        self.tick.send_replace(tick);
    }

    /// Somebody follows the ticks.
    pub(crate) fn is_followed(&self) -> bool {
        self.tick.receiver_count() > 0
    }
}

impl Shared {
    /// Follows the ticks, each of which is told from now on.
    pub(crate) async fn follow_ticks(&self) -> watch::Receiver<u64> {
        let ticks = self.live.tick.subscribe();
        // Who closes them may sleep through some as long as nobody does.
        self.events.send_async(Event::Followed).await;
        ticks
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What is counted outside the core, since the start; it hangs at `graftd,HOST,<first word>,<rest>`.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
        }

        impl Counters {
            /// Every counter with its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
                [$((stringify!($name), &self.$name)),+].into_iter()
            }

            /// What all of them come to: another number whenever something has been counted.
            pub(crate) fn sum(&self) -> u64 {
                0u64$(.wrapping_add(self.$name.count.load(Ordering::Relaxed)))+
            }
        }
    };
}

counters! {
    /// Requests answered over HTTP.
    http_requests,
    /// Requests refused for their host, origin or token.
    http_refused,
    /// Connections refused because there are too many.
    http_connections_refused,
    /// Handshakes that failed, and connections from other hosts that tried it without TLS.
    tls_refused,
    /// Pushes that had to wait or to come again, for their source's rate or because the daemon is behind.
    push_throttled,
    /// Pushes by TCP and UDP refused for their token.
    push_refused,
    /// Documents merged from pushes, those that say nothing among them.
    push_documents,
    /// Leaves merged from pushes.
    push_leaves,
    /// Documents and lines that were refused.
    push_faults,
    /// Datagrams that could not be read, or that the kernel dropped, mostly for want of room in the socket.
    push_dropped,
    /// Connections refused because there are too many.
    push_connections_refused,
    /// Datagrams taken for ganglia's.
    gmond_packets,
    /// Metadata among them.
    gmond_metadata,
    /// Values among them.
    gmond_values,
    /// Requests for metadata among them; they are for others.
    gmond_requests,
    /// Datagrams that are no packets of ganglia, or name nobody.
    gmond_faults,
    /// Packets of kinds that are not known here: ganglia 3.0 has others.
    gmond_unknown,
    /// Datagrams and connections from where none is allowed.
    gmond_refused,
    /// Datagrams that could not be read, or that the kernel dropped, mostly for want of room in the socket.
    gmond_dropped,
    /// Packets and polled metrics that were not taken because there are too many clusters, hosts or metrics.
    gmond_overflowed,
    /// Requests for metadata that were sent.
    gmond_asked,
    /// Hosts that were forgotten.
    gmond_forgotten,
    /// XML documents given out.
    gmond_served,
    /// Connections for XML refused because there are too many.
    gmond_connections_refused,
    /// XML documents fetched.
    gmond_polls,
    /// XML documents that could not be fetched, or not be read whole.
    gmond_poll_faults,
    /// Metrics met in them.
    gmond_polled,
    /// Connections of relays that were refused, or broken off for what came.
    relay_refused,
    /// Connections of relays refused because there are too many.
    relay_connections_refused,
    /// Entries that a stream of NATS dropped before they were read here: so many at most.
    nats_missed,
    /// Messages of such a stream that were passed over for what they are.
    nats_refused,
    /// Lines of the daemon's own log that were lost for want of room.
    self_dropped,
}

/// A number that many count up, and one reads the growth of.
#[derive(Debug, Default)]
pub struct Counter {
    count: AtomicU64,
    read: Mutex<u64>,
}

impl Counter {
    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.count.fetch_add(n, Ordering::Relaxed);
    }

    /// What was counted since this was asked last.
    pub(crate) fn growth(&self) -> u64 {
        let mut read = self.read.lock();
        let now = self.count.load(Ordering::Relaxed);
        now - std::mem::replace(&mut *read, now)
    }
}
