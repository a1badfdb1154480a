//! The two folders: when to look into them, what lies in them, what of it may be believed, and what is to run.

mod ears;
mod folders;
mod glance;
mod saves;
mod scan;
mod shell;
mod trust;
mod unread;
mod watch;
mod ways;

pub use folders::Folders;
pub use scan::{BUILT_IN, Plan, Planned, Seen, look, plan, plan_after};
pub(super) use scan::{PluginFile, PluginKind, Stamp};
pub(super) use trust::open_trusted;
pub(crate) use trust::{check_folder, open_anywhere, open_conf};
pub use unread::Unread;
pub use watch::Watch;
