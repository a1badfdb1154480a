//! What of a ganglia installation graftd takes over, and into which files: [`plan`] is pure, and whoever calls it has
//! read the files and writes those that come out.
//!
//! ```text
//! gmond.conf and all that it includes ─┐
//! .pyconf that nothing includes       ─┼─► plan ─► files for conf/ and plugins/, and what could not be brought over
//! the folder of the Python modules    ─┘
//! ```
//!
//! * A file that speaks of one module becomes that module's `NAME.on`, byte by byte, under a line that says where it
//!   came from. One that speaks of several, as `gmond.conf` does, is parted: each module gets its block and the
//!   collection groups that may be its own. Who owns a metric cannot be read from a configuration; for gmond's own modules
//!   it is [known](owners), any other gets the groups that none of these owns.
//! * NAME is the plugin's name: the Python module's, and for a C module that of its file.
//! * What gmond would not run comes over switched off: `.pyconf.disabled`, `enabled = no`, files that nothing includes,
//!   Python modules without a configuration.
//! * What cluster and host are called and where gmond listened becomes `gmond.on`, for the built-in module.

mod channels;
mod owners;
mod parting;
mod planning;
#[cfg(test)]
mod tests;

use crate::conf::{Globals, Loaded, Module};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use planning::{is_stopgap, plan};

/// The names of what is built in: no module of gmond's can have them here.
const BUILT_IN: [&str; 4] = ["access-log", "relay", "nats", "gmond"];

/// An installation, as it was read.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// `gmond.conf` and all that it includes.
    pub main: Option<Conf>,
    /// What lies beside it and is not included, in the order in which it counts.
    pub others: Vec<Conf>,
    /// What lies beside it and cannot be read.
    pub broken: Vec<PathBuf>,
    /// The files of the folder of Python modules.
    pub python: Vec<PythonFile>,
    /// Names of plugins that a `.so` provides already.
    pub taken: Vec<String>,
}

/// A configuration, includes followed.
#[derive(Clone, Debug)]
pub struct Conf {
    /// Its path, as places in it name it.
    pub path: String,
    /// What was read.
    pub loaded: Loaded,
    /// The bytes of each of its files, by the path that places in it name.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// It is switched off by its name: `.disabled`, `-sample`.
    pub disabled: bool,
}

/// A file of the folder of Python modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The same from the folder: `redis.py`, `helpers/__init__.py`.
    pub relative: PathBuf,
    /// It is a module and no helper: graftd would run it.
    pub is_module: bool,
}

/// Finds the file of a C module.
///
/// # Errors
/// Says why there is none, or why it cannot be run.
pub type FindLibrary<'a> = dyn Fn(&Module, &Globals) -> Result<PathBuf, String> + 'a;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files, in the order in which they should be written: a module finds its helpers and its configuration.
    pub puts: Vec<Put>,
    /// What is told.
    pub notes: Vec<Note>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Where to.
    pub to: To,
    /// What.
    pub content: Content,
    /// What it was made of: a path, or a place in a file.
    pub from: String,
}

/// Where a file goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// `conf/NAME.on`, or `conf/NAME.off`.
    Conf {
        /// The module's name.
        name: String,
        /// It runs.
        on: bool,
    },
    /// A file of `plugins/`, by its path there.
    Plugin(PathBuf),
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is in that file.
    CopyOf(PathBuf),
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where: `FILE:LINE:COLUMN`, or a file.
    pub at: String,
    /// What.
    pub what: String,
    /// gmond had it, and graftd has not; otherwise there is nothing to do.
    pub missing: bool,
}
