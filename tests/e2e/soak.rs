//! Long runs, short here and whole in `make soak`: modules are swapped, edited and broken while the daemon works, and
//! nobody else notices.
//!
//! `GRAFTD_SOAK=1` makes them as long as they are meant to be.

mod chaos;
mod load;
mod reloads;
mod swaps;

use std::collections::BTreeSet;
use std::fs;

/// How much of something: a little here, all of it in `make soak`.
fn much(little: u64, all: u64) -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { all } else { little }
}

/// The files that a process has mapped and whose name has this in it.
fn mapped(process: u32, name: &str) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("a process");
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned()));
    files.filter(|file| file.contains(name)).collect()
}
