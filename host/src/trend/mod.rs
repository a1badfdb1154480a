//! What is written down: the tree as it stands, and how far each source has been read, always together.
//!
//! A thread of its own writes ([`Keeper`]). What cannot be written, because the disk is full or the file is locked, stays in
//! memory, each node once, and is written with the next commit that can be.

mod keeper;
mod sqlite;

pub(crate) use keeper::{Commit, Keeper, Restored};
pub(crate) use sqlite::OpenError;
