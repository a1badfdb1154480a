//! History in a store of Prometheus' kind, beside the daemon's own file or instead.
//!
//! ```text
//! commit ── buffer: rows in the daemon's file ── send ── remote write ──► the store ── query ──► read ── query/ ──► answer
//!              in the commit's transaction        │ what was sent goes with the next commit
//! ```
//!
//! A store knows neither what nodes do nor when the daemon was there, nor texts nor sketches that can be merged. That stays in the
//! file, so what is asked is answered as from the file alone, with the numbers of the store.

mod answer;
mod buffer;
mod divide;
mod fetch;
mod labels;
mod link;
mod past;
mod read;
mod send;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub(super) use buffer::Buffer;
pub(super) use link::State;
pub(crate) use link::{Link, RemoteFigures};
pub(crate) use read::Remote;
pub(super) use send::start;
pub(crate) use store::Store;
