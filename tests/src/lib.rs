//! The one harness of the end-to-end tests: it starts the real `graftd` with real plugins in folders of its own, on
//! free ports, and talks to it as a client would.
//!
//! ```no_run
//! use graftd_tests::Daemon;
//! use serde_json::json;
//!
//! let daemon = Daemon::builder().plugins(&["status"]).start();
//! daemon.push(&json!({"hits": 1}));
//! daemon.await_value("hits", json!(1));
//! ```
//!
//! Nothing here sleeps: what takes time is waited for by what tells of it, `/pull/` above all, and every wait has an
//! end. When a test fails, what its daemon said on stderr is shown.

mod command;
mod daemon;
pub mod fixtures;
mod folders;
mod http;
mod neighbours;
mod places;
mod process;
mod skip;
mod stream;
pub mod table;
mod wait;

pub use command::{Ran, graftd, graftd_with_input, python};
pub use daemon::{Builder, Daemon, HOST};
pub use folders::{Folders, copy};
pub use http::{Answer, Asked, encode};
pub use neighbours::{Neighbours, line};
pub use places::{binary, fixture, plugin, real_log, workspace};
pub use process::{Held, held};
pub use skip::skipped;
pub use stream::Lines;
pub use wait::Watched;

use std::time::Duration;

/// How long anything may take that has no bound of its own. Far more than it needs: a machine that also builds is slow,
/// and a test that waits for what never comes fails all the same.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the daemon promises for a change of a file in `plugins/` or `conf/`.
pub const PROMISED: Duration = Duration::from_secs(1);

/// What is granted on top of a promise, for a machine whose processors all build and test something else meanwhile.
pub const GRACE: Duration = Duration::from_secs(1);
