//! What the collectors of a Linux machine share: the files in which the kernel counts, and the rates of its counters.
//!
//! A collector [reads](Folder::parse) a file, hands its counters to [`Rates`], and says what comes out with
//! [`set_parts`].

mod folder;
mod parts;
mod rates;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

pub use folder::{FILE_BYTES_MAX, Folder, PROCFS, SYSFS};
pub use parts::{Fold, PART_LIFE, set_parts};
pub use rates::Rates;
