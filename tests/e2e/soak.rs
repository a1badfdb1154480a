//! Long runs, short here and whole in `make soak`: modules are swapped, edited and broken while the daemon works, and
//! nobody else notices.
//!
//! `GRAFTD_SOAK=1` makes them as long as they are meant to be.

mod chaos;
mod load;
mod reloads;
mod swaps;

/// How much of something: a little here, all of it in `make soak`.
fn much(little: u64, all: u64) -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { all } else { little }
}
