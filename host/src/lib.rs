//! The daemon: one live tree of everything a fleet knows, into which modules are grafted while it runs.

pub mod cli;
pub mod clock;
pub mod conf;
pub mod core;
pub mod http;
pub mod ingest;
pub mod json;
pub mod limits;
pub mod module;
pub mod tree;
