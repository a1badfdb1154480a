//! A module's whole life: found, probed, loaded, run, swapped, fenced, stopped.
//!
//! `files` says what is to run, `registry` makes it so. In between a plugin is tried in a process of its own (`probe`) and
//! loaded (`load`, `library`). What it does wrong is a `fault`; what never comes back is left behind (`fence`, `dispose`);
//! who kills the daemon is known to the next (`crash`).

mod body;
mod branch;
mod built_in;
mod collector;
mod copy;
mod crash;
mod dispose;
mod fault;
mod fence;
mod files;
mod gmod;
mod instances;
mod library;
mod load;
mod make;
mod misfit;
mod probe;
mod registry;
mod stats;

pub use body::PipeBody;
pub use branch::Branch;
pub use built_in::BuiltInConf;
pub(crate) use built_in::BuiltIns;
pub(crate) use crash::{Blamed, Tag, guard_signals, install as install_crash_handler, stopping};
pub(crate) use dispose::Disposer;
pub(crate) use fault::Fault;
pub(crate) use fence::{Callee, Desk, Doing, Look, Started, UnderWay, Watched, spawn};
pub use files::{BUILT_IN, Folders, Plan, Planned, Seen, Unread, Watch, look, plan, plan_after};
pub(crate) use files::{check_folder, open_anywhere, open_conf};
pub(crate) use gmod::{Once, is_gmond_c, once, pipe as python_pipe};
pub use instances::Instances;
pub use library::{Collector, Declared, DeclaredParam, Library, Pipe};
pub(crate) use load::{Loaded, grouping};
pub use load::{Loader, check_conf};
pub(crate) use probe::refusal;
pub use probe::{Probed, Refusal, inside, probe};
pub use registry::{Change, Changes, Kind, ModuleStatus, Registry, State};
pub(crate) use stats::{Counts, ModuleStats};
