//! The form in which history lies on the disk. Pure: bytes in, samples out.
//!
//! A [`pack`] holds the samples of some series over some time: the times once for all of them, then for each series which of
//! the times it has and its [`column`] of values. A column of measured figures is mostly integers after a decimal point is
//! moved, and their differences are what pco codes best.

pub(super) mod bucket;
pub(super) mod column;
pub(super) mod commit;
pub(super) mod pack;
pub(super) mod sketch;
pub(super) mod times;
pub(super) mod varint;

use std::fmt;

/// The bytes are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(super) &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged: {}", self.0)
    }
}

impl std::error::Error for Damaged {}
