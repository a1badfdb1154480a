//! A module's whole life: found, loaded, run, swapped, stopped.

mod branch;
mod collector;
mod elf;
mod library;
mod load;
mod probe;
mod registry;
mod scan;
mod status;
mod trust;
mod watch;

pub use branch::Branch;
pub use library::{Library, Pipe};
pub(crate) use load::Loaded;

pub use load::{Loader, check_conf};
pub use probe::{Probed, ProbedParam, Refusal, inside, probe};
pub use registry::Registry;
pub use scan::{BUILT_IN, Folders, Plan, Planned, Seen, look, plan};
pub use status::{Kind, ModuleStatus, State};
pub use watch::Watch;
