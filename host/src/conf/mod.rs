//! Configuration: `graftd.conf`, and one `.on` a module.

mod access_log;
mod daemon;
mod engine;
mod error;
mod file;
mod gmond;
mod group;
mod intake;
mod module;
mod nats;
mod net;
mod places;
mod pyconf;
mod relay;
mod table;
mod tls;

pub use access_log::AccessLogConf;
pub use daemon::{DaemonConf, Role, TokenFiles, TrendConf};
pub use engine::{EngineConf, StoreConf};
pub use error::ConfError;
pub(crate) use file::{lie_elsewhere, read_text};
pub use gmond::{Cluster, GANGLIA_PORT, GmondConf};
pub use group::{GroupBy, GroupField, OWN_BRANCH, Prefix, PrefixTemplate};
pub use intake::IntakeLimits;
pub use module::{Isolation, ModuleConf, PathTemplate};
pub use nats::{NATS_PORT, NatsConf, StreamLimits};
pub use net::Net;
pub use pyconf::PyConf;
pub(crate) use pyconf::plugin_spoken_for;
pub use relay::{RELAY_PORT, RelayConf, RelayTls};
pub use table::nearest;
pub use tls::TlsFiles;
