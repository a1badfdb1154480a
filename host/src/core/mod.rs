//! The core: the one thread that changes the tree, and all that can wake it.

mod commit;
mod event;
mod inbox;
mod report;
mod run;
mod shared;

pub use event::{Delta, Event, Events, LogReport, Position, Report, Switch, SwitchError};
pub use run::{Core, CoreParts};
pub use shared::{Counter, Counters, Live, Logs, Shared};
