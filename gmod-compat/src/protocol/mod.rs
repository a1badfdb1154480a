//! What the daemon and a worker say to each other.
//!
//! A worker is a process of its own in which one module's code runs: a plugin's (`graftd worker`), or one of gmond's or a
//! pipe in Python (`graftd-gmod`). [`wire`] is the messages, [`reply`] what a worker says in them, [`records`] a batch of records, [`params`] a module's parameters,
//! [`declared`] what a module says of itself, [`gmod`] what `graftd-gmod` is told at its start, [`obey`] how a worker does as it
//! is told.
//!
//! Neither side believes the other: every length is bounded ([`limits`]) before anything is kept.

pub mod declared;
pub mod gmod;
pub mod limits;
pub mod obey;
pub mod params;
pub mod records;
pub mod reply;
pub mod wire;
