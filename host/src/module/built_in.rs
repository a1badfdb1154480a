//! Modules that are no plugin's: they are part of the daemon, and are switched and configured as all others are.

use crate::conf::{AccessLogConf, ConfError, GmondConf, NatsConf, RelayConf};
use crate::core::Shared;
use crate::gmond::{Around, Gmond, Known};
use crate::ingest::{Tail, TailAround};
use crate::module::Disposer;
use crate::relay::{Nats, Relay};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What the `.on` of a built-in module says.
#[derive(Clone, Debug, PartialEq)]
pub enum BuiltInConf {
    /// Ganglia's ports.
    Gmond(Box<GmondConf>),
    /// Files of a log.
    AccessLog(Box<AccessLogConf>),
    /// To whom deltas are sent.
    Relay(Box<RelayConf>),
    /// From which stream deltas are read.
    Nats(Box<NatsConf>),
}

impl BuiltInConf {
    /// Reads the text of a `.on` that speaks for the built-in module `plugin`; `None` where there is none of that name.
    #[must_use]
    pub fn parse(plugin: &str, file: &Path, text: &str) -> Option<Result<BuiltInConf, ConfError>> {
        match plugin {
            Gmond::NAME => Some(GmondConf::parse(file, text).map(|conf| BuiltInConf::Gmond(Box::new(conf)))),
            Tail::NAME => Some(AccessLogConf::parse(file, text).map(|conf| BuiltInConf::AccessLog(Box::new(conf)))),
            Relay::NAME => Some(RelayConf::parse(file, text).map(|conf| BuiltInConf::Relay(Box::new(conf)))),
            Nats::NAME => Some(NatsConf::parse(file, text).map(|conf| BuiltInConf::Nats(Box::new(conf)))),
            _ => None,
        }
    }

    /// Which built-in module it is for.
    #[must_use]
    pub const fn plugin(&self) -> &'static str {
        match self {
            BuiltInConf::Gmond(_) => Gmond::NAME,
            BuiltInConf::AccessLog(_) => Tail::NAME,
            BuiltInConf::Relay(_) => Relay::NAME,
            BuiltInConf::Nats(_) => Nats::NAME,
        }
    }
}

/// A built-in module that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) enum BuiltIn {
    /// Ganglia's ports.
    Gmond(Gmond),
    /// Files of a log.
    AccessLog(Tail),
    /// A sender of deltas.
    Relay(Relay),
    /// A reader of a stream.
    Nats(Nats),
}

impl BuiltIn {
    /// Where it listens, under the name that the line has which says that the daemon is ready.
    pub(crate) fn address(&self) -> Option<(&'static str, SocketAddr)> {
        match self {
            BuiltIn::Gmond(gmond) => gmond.address().map(|address| (Gmond::NAME, address)),
            BuiltIn::AccessLog(_) | BuiltIn::Relay(_) | BuiltIn::Nats(_) => None,
        }
    }

    /// What is said of it while it runs.
    pub(crate) fn remark(&self) -> String {
        match self {
            BuiltIn::Gmond(gmond) => gmond.remark(),
            BuiltIn::AccessLog(tail) => tail.remark(),
            BuiltIn::Relay(relay) => relay.remark(),
            BuiltIn::Nats(nats) => nats.remark(),
        }
    }
}

/// What built-in modules run with.
#[derive(Clone, Debug)]
pub(crate) struct BuiltIns {
    shared: Arc<Shared>,
    runtime: Handle,
    disposer: Disposer,
    /// What modules know that outlives them, by their names.
    known: Arc<Mutex<HashMap<String, Known>>>,
}

impl BuiltIns {
    /// They run on the runtime of the caller.
    pub(crate) fn new(shared: &Arc<Shared>, disposer: &Disposer) -> BuiltIns {
        BuiltIns {
            shared: Arc::clone(shared),
            runtime: Handle::current(),
            disposer: disposer.clone(),
            known: Arc::default(),
        }
    }

    /// Starts one, in place of the one `before`, which is to be dropped when this one runs. Takes no longer than binding
    /// a port does.
    ///
    /// # Errors
    /// It cannot be started as things are: a port is taken.
    pub(crate) fn start(
        &self,
        conf: &BuiltInConf,
        before: Option<&BuiltIn>,
        life: (String, u64),
    ) -> Result<BuiltIn, String> {
        match conf {
            BuiltInConf::Gmond(conf) => {
                let known = self.known.lock().entry(life.0.clone()).or_default().clone();
                let around = Around { shared: &self.shared, runtime: &self.runtime, life };
                let before =
                    before.and_then(|before| if let BuiltIn::Gmond(before) = before { Some(before) } else { None });
                Gmond::start(conf, before, &known, around).map(BuiltIn::Gmond)
            }
            BuiltInConf::AccessLog(conf) => {
                let around = TailAround { shared: &self.shared, disposer: &self.disposer, name: &life.0 };
                let before =
                    before.and_then(|before| if let BuiltIn::AccessLog(before) = before { Some(before) } else { None });
                Tail::start(conf, before, &around).map(BuiltIn::AccessLog)
            }
            BuiltInConf::Relay(conf) => {
                let before =
                    before.and_then(|before| if let BuiltIn::Relay(before) = before { Some(before) } else { None });
                Relay::start(conf, before, &life.0, &self.shared, &self.runtime).map(BuiltIn::Relay)
            }
            BuiltInConf::Nats(conf) => Nats::start(conf, &life.0, &self.shared, &self.runtime).map(BuiltIn::Nats),
        }
    }
}
