//! What bounds the checks, each with its unit and its reason.

use std::time::Duration;

/// Checks in one module. More are for several `.on` files, each with a thread and a turn of its own.
pub(crate) const CHECKS_MAX: usize = 256;

/// Checks at the same time: a descriptor each, and up to 1 MiB of a body that is looked into.
pub(crate) const PARALLEL_MAX: u64 = 64;

/// How long a turn lasts at most. A plugin that is tried has 10 s for its first.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(8);

/// The shortest time for a check: a connection within a house is there in less.
pub(crate) const TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// Bytes of a body that are read. A page has less; of a file that is larger nobody wants to know whether its end comes too.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Redirects that are followed; browsers follow 20, and nobody needs more than two or three.
pub(crate) const REDIRECTS_MAX: usize = 5;

/// Headers that a check may send besides what every request has.
pub(crate) const HEADERS_MAX: usize = 32;

/// Bytes of a check's name, which is a key of the tree.
pub(crate) const NAME_BYTES_MAX: usize = 512;

/// Bytes of an error that are shown.
pub(crate) const ERROR_BYTES_MAX: usize = 512;

/// Bytes of a file with certificates: Debian's, with all authorities, has 220 KB.
pub(crate) const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long what a check found is kept when nothing renews it: one that is no longer in the list leaves the tree after an hour.
pub(crate) const LIFE: Duration = Duration::from_secs(3_600);

/// Bytes that are read at once by TLS: a record of it.
pub(crate) const BLOCK_BYTES: usize = 16 * 1024;
