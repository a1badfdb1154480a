//! A module's whole life: found, loaded, run, swapped, fenced, stopped.

mod body;
mod branch;
mod collector;
mod crash;
mod death;
mod dispose;
mod elf;
mod fault;
mod fence;
mod library;
mod load;
mod misfit;
mod probe;
mod registry;
mod report;
mod scan;
mod stats;
mod status;
mod trust;
mod watch;
mod watch_calls;

pub use body::PipeBody;
pub use branch::Branch;
pub(crate) use crash::{Blamed, Tag, install as install_crash_handler};
pub(crate) use dispose::Disposer;
pub(crate) use fault::{Fault, FaultKind};
pub(crate) use fence::{Age, Callee, Desk, Doing, UnderWay, spawn};
pub use library::{Collector, Declared, DeclaredParam, Library, Pipe};
pub(crate) use load::Loaded;
pub use load::{Loader, check_conf};
pub use probe::{Probed, Refusal, inside, probe};
pub use registry::Registry;
pub use scan::{BUILT_IN, Folders, Plan, Planned, Seen, look, plan};
pub(crate) use stats::Counts;
pub use status::{Kind, ModuleStatus, State};
pub use watch::Watch;
