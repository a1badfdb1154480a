//! What bounds a request, each with its unit and its reason.

use std::time::Duration;

/// Bytes of a URL: what browsers and servers take.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Bytes of an answer's header. Servers send 1 to 4 KiB; one that goes on for ever is not waited for.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are read or written at once.
pub(crate) const BLOCK_BYTES: usize = 16 * 1024;

/// Bytes of `/etc/hosts` and `/etc/resolv.conf` that are read.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Addresses of a name that are tried: one that has more has enough of them.
pub(crate) const ADDRESSES_MAX: usize = 8;

/// Bytes of an answer of DNS by UDP. What is longer comes by TCP.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 4 * 1024;

/// How long a server of names is waited for before the next one is asked, or the same again. Longer at each round.
pub(crate) const NAMES_PATIENCE: Duration = Duration::from_secs(1);

/// Names that are made of one by the `search` of `/etc/resolv.conf`.
pub(crate) const SEARCH_MAX: usize = 8;
