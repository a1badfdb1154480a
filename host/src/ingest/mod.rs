//! Access logs: lines in, deltas out.

mod engine;
pub mod format;
mod groups;
mod lines;
mod log;
pub mod push;
mod runner;
mod solo;
mod tail;

pub(crate) use engine::{Frames, PipeReport, PipeRun};
pub(crate) use groups::Grouping;
pub use lines::{LineFault, LogStats, Remember};
pub(crate) use log::{LOG_OWN, LOG_PUSH, LogParts, LogSerial};
pub use log::{LinesDone, LogHandle, LogMessage, LogName};
pub(crate) use solo::Solo;
pub(crate) use tail::{AUTO, Share as LogFilesShare, Tail, TailAround};
