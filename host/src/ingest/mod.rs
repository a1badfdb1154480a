//! Access logs: lines in, deltas out.

mod engine;
pub mod format;
mod forward;
mod groups;
mod lines;
mod log;
pub mod push;
mod runner;
mod solo;
pub(crate) mod sources;
mod tail;

use crate::limits::{KEEP_ALIVE_AFTER, KEEP_ALIVE_EVERY, KEEP_ALIVE_TRIES};
pub(crate) use engine::{Frames, PipeReport, PipeRun};
pub(crate) use forward::{Forward, RawAsked};
pub(crate) use groups::Grouping;
pub use lines::{LineFault, LogStats, Remember};
pub(crate) use log::{LOG_OWN, LOG_PUSH, LogParts, LogSerial};
pub use log::{LinesDone, LogHandle, LogMessage, LogName};
use socket2::{SockRef, TcpKeepalive};
pub(crate) use solo::Solo;
pub(crate) use tail::{AUTO, Share as LogFilesShare, Tail, TailAround};
use tokio::net::TcpStream;

/// Has the kernel find out whether the other side of a connection that says nothing is still there: a host that was switched
/// off ends none.
pub(crate) fn keep_alive(stream: &TcpStream) {
    let often =
        TcpKeepalive::new().with_time(KEEP_ALIVE_AFTER).with_interval(KEEP_ALIVE_EVERY).with_retries(KEEP_ALIVE_TRIES);
    // Without it a connection only lasts longer than it has to.
    let _ = SockRef::from(stream).set_tcp_keepalive(&often);
}
