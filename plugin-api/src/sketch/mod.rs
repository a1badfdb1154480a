//! Sketches: what a branch of the tree keeps of more values than it could hold.
//!
//! | sketch | answers | error | memory at most |
//! |---|---|---|---|
//! | [`Quantiles`] | count, sum, min, max, quantiles of numbers | 1 % of the value | 33 KiB |
//! | [`Distinct`] | how many different items | 0.81 % standard error, less while small | 27 KiB |
//! | [`Top`] | the heaviest keys and the total | stated with each key | by `k`, see there |
//!
//! All three fold and merge in bounded memory, and in any order with the same result. A pipe fills them record by
//! record; once a tick they cross to the host as bytes, where they are merged and queried. **Invariant:** bytes
//! are never trusted. `decode` checks every field, does not panic, and allocates no more than the limits named
//! here, whatever it is given; what it returns keeps to all that a sketch promises of itself.
//!
//! Why these are our own: sketches-ddsketch takes a logarithm for each value, holds everything below 1e-9 as zero
//! and believes the base and the extremes that it reads; hyperloglogplus has no wire form but serde's and hashes
//! with whatever it is given; cardinality-estimator is fast, but its wire form is serde's image of its memory, whose
//! running sums are believed. None of them can be cleared and used again. None was found for heavy keys with a stated
//! error and a merge.

mod bins;
mod coding;
mod distinct;
mod hash;
mod quantiles;
mod top;

pub use bins::BINS_MAX;
pub use distinct::{Distinct, SPARSE_MAX};
pub use quantiles::Quantiles;
pub use top::{KEY_BYTES_MEAN_MAX, Top};

use core::fmt;

/// Why bytes are no sketch, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset into the bytes given.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed sketch at byte {}: {}", self.at, self.why)
    }
}

impl std::error::Error for DecodeError {}
