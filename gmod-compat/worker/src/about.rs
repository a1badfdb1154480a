//! `--about`: which Python this binary has, and where that lies.

use crate::python;
use gmod_compat::protocol::reply::Hello;
use serde_json::json;

/// Prints a line of JSON: version, protocol, Python's version, and the paths that a worker must be able to read.
///
/// # Errors
/// There is no Python.
pub(crate) fn print() -> Result<(), String> {
    let python::About { version, paths } = python::about()?;
    let hello = Hello::ours();
    println!("{}", json!({"version": hello.version, "protocol": hello.protocol, "python": version, "paths": paths}));
    Ok(())
}
