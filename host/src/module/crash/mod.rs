//! Who killed the daemon: what ran on a thread when a signal or an `exit` ended the process is written down, and the next
//! start knows.
//!
//! `handler.rs` writes in the moment of death, with async-signal-safe calls only (signal-safety(7)); `blamed.rs` reads it
//! at the next start and remembers.

mod blamed;
mod extents;
mod handler;
mod tag;

pub(crate) use blamed::{Blamed, fingerprint};
pub(crate) use extents::{Noted, note};
pub(crate) use handler::{enter, guard_signals, install, mend_signals, stopping};
pub(crate) use tag::Tag;
