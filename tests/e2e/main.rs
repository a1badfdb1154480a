//! End to end, a file a feature. The figures that are expected are counted here by other means than the daemon's own.

mod beside;
mod c_modules;
mod cli;
mod collectors;
mod fences;
mod ganglia;
mod gmond;
mod http;
mod import;
mod ingest;
mod modules;
mod namespace;
mod new;
mod probe;
mod pull;
mod push_get;
mod python;
mod python_fences;
mod sample_on;
mod self_log;
mod shared_worker;
mod soak;
mod swap;
mod trouble;
mod trust;
mod watching;
