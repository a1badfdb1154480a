//! Every bound of the configuration reader, in one place.
//!
//! A configuration is written by an operator, but it may be reached through an `include` of anything, and graftd
//! reads it while it serves: nothing in it may grow memory, time or the stack without bound.

/// Sections inside sections, counted from the top of a file. gmond's own grammar uses three (`modules`, `module`,
/// `param`); 64 leaves room for others and keeps the parser's recursion small.
pub const MAX_NESTING: usize = 64;

/// Files open inside each other through `include`, the first one counted. libconfuse stops at 10 and spends two on a
/// wildcard, so what gmond reads is within 16.
pub const MAX_INCLUDE_DEPTH: usize = 16;

/// Bytes of the first file and of all that it includes, together (16 MiB). A large site's whole `conf.d` is some
/// hundred KiB.
pub const MAX_TOTAL_BYTES: usize = 16 * 1024 * 1024;

/// Files read for one configuration. A file included twice counts twice, so files that include each other's
/// neighbours cannot multiply without end.
pub const MAX_FILES: usize = 1024;

/// Tokens of one configuration, includes and all. A token costs up to some hundred bytes of tree, so this holds the
/// tree of a hostile 16 MiB below about 100 MB.
pub const MAX_TOKENS: usize = 1 << 20;

/// Warnings kept for one configuration; the rest are counted ([`Warnings::left_out`](super::Warnings::left_out)).
/// Nobody reads the hundred and first.
pub const MAX_WARNINGS: usize = 100;

/// Characters of a name or value quoted in a message; longer ones are cut.
pub const MAX_QUOTED: usize = 60;
