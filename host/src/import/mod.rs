//! Taking over a ganglia installation: `look.rs` reads it, [`gmod_compat::import`] says what comes of it, `apply.rs` writes
//! that into `conf/` and `plugins/`.
//!
//! **Invariant:** nothing of the installation is changed, and nothing that somebody else has written is replaced unless that is
//! asked for. Doing it again changes nothing.

mod apply;
mod look;
mod moved;

pub(crate) use apply::{Done, Into, State, apply};
pub(crate) use look::{library, look};
