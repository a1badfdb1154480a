//! Access logs: lines in, deltas out.

mod engine;
pub mod format;
pub mod push;
mod runner;

pub use engine::{Engine, LineFault, LogStats, PipeFault, PipeRun, Remember};
pub use runner::{LinesDone, LogHandle, LogMessage, LogName};
