//! A module's whole life: found, loaded, run, swapped, stopped.

mod branch;
mod collector;
mod library;
mod load;
mod registry;
mod scan;
mod status;
mod watch;

pub use branch::Branch;
pub use library::{Library, Pipe};
pub(crate) use load::Loaded;

pub use load::{Loader, check_params, open};
pub use registry::{Folders, Registry};
pub use scan::{BUILT_IN, Plan, Planned, Seen, look, plan};
pub use status::{Kind, ModuleStatus, State};
pub use watch::Watch;
