//! What bounds a delta, each with its unit and its reason.

/// Keys in a path. A document nested deeper is refused.
pub const DEPTH_MAX: usize = 64;

/// Bytes in a key: long enough for any URL a browser sends. A longer key in a pipe is cut, in a document refused.
pub const KEY_BYTES_MAX: usize = 16 * 1024;

/// Bytes in a text value: a traceback or a message fits, a file does not.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Paths that a [`Delta`](crate::Delta) keeps between two flushes. Past it a new path is counted at its
/// parent's `(other)`: a pipe that meets hostile input stays within some megabytes.
pub const DELTA_PATHS_MAX: usize = 65_536;

/// Bytes of keys that a [`Delta`](crate::Delta) keeps between two flushes; past it as above.
pub const DELTA_KEYS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Pairs in the metadata of a node: gmond's modules have a dozen. A module's further ones are left out, a frame with more
/// is refused.
pub const META_PAIRS_MAX: usize = 64;

/// Bytes of a node's metadata, as it is encoded: a description and a few texts fit, a manual does not. What a module says
/// beyond is cut, a frame with more is refused.
pub const META_BYTES_MAX: usize = 8 * 1024;

/// Bytes of metadata that a [`Delta`](crate::Delta) keeps between two flushes: that of some ten thousand values. What does
/// not fit is not said; values go on.
pub const DELTA_META_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The key at which everything is counted that has no room of its own.
pub const OTHER: &str = "(other)";

/// The key that stands for an empty one, which a path cannot have.
pub const EMPTY: &str = "(empty)";

/// The key under which a marker hangs.
pub const MARKER: &str = "marker";

/// The longest beginning of `text` within `most` bytes that ends between two characters.
#[inline]
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
