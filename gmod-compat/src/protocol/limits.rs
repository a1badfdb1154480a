//! What bounds the messages between the daemon and its workers.

/// The longest text of a record's field, in bytes: longer than any line of a log.
pub const FIELD_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a message to a worker: a batch is cut at [`BATCH_BYTES`], and one record more has at most thirteen fields of
/// [`FIELD_BYTES_MAX`].
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes at which a batch for a worker is sent; the rest of its records go in another.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Bytes that a worker's module may have to say at once: a delta of 65,536 paths with sketches has some tens of millions.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of an error's text from a worker: a traceback fits.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of what a plugin says of itself to the daemon: its parameters, with a line of help each.
pub const DECLARED_BYTES_MAX: usize = 256 * 1024;

/// Bytes that a worker may ask to be kept for its next start: what it made of its module's source. Ten modules of the
/// largest kind fit.
pub const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Modules that may share a worker (`worker = "NAME"`), each log's pipe counted.
pub const SHARED_MODULES_MAX: usize = 64;

/// Bytes of the stack of each of them: what a process of its own has.
pub const SHARED_STACK_BYTES: u64 = 8 * 1024 * 1024;
