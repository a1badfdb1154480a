//! Configuration: `graftd.conf`, and one `.on` a module.

mod access_log;
mod daemon;
mod error;
mod file;
mod ganglia;
mod gmond;
mod module;
mod net;
mod places;
mod table;

pub use access_log::AccessLogConf;
pub use daemon::{DaemonConf, TokenFile};
pub use error::ConfError;
pub(crate) use file::read_text;
pub use ganglia::{Cluster, GANGLIA_PORT, GangliaConf};
pub use gmond::GmondConf;
pub(crate) use gmond::plugin_spoken_for;
pub use module::{Isolation, ModuleConf, PathTemplate};
pub use net::Net;
pub use table::nearest;
