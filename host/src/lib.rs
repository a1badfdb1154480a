//! The daemon: one live tree of everything a fleet knows, into which modules are grafted while it runs.

pub mod cli;
pub mod clock;
pub mod conf;
mod core;
mod gmond;
mod graph;
mod http;
mod import;
pub mod ingest;
pub mod json;
mod limits;
mod memory;
pub mod module;
mod put;
mod relay;
mod text;
mod tls;
pub mod tokens;
pub mod tree;
mod trend;
mod views;
mod when;
pub mod worker;
