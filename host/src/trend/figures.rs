//! What is told of the file in the tree: `graftd,HOST,trend,…`.

use super::keeper::FILE;
use super::remote::RemoteFigures;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

/// What there is on the disk and what waits, as it was after a commit. The writing thread notes it, the core tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Bytes of the file, of its write-ahead log, and of what in it is free.
    pub(crate) file_bytes: u64,
    pub(crate) wal_bytes: u64,
    pub(crate) free_bytes: u64,
    /// Rows of commits that are not packed yet.
    pub(crate) recent_rows: u64,
    pub(crate) packs: u64,
    /// The oldest time of which each commit is kept, in milliseconds since the Unix epoch.
    pub(crate) oldest_ms: Option<i64>,
    /// When the last commit was written, in milliseconds since the Unix epoch.
    pub(crate) committed_ms: Option<i64>,
    /// Nodes that wait because commits cannot be written, and about how many bytes all that waits takes.
    pub(crate) waiting_nodes: u64,
    pub(crate) waiting_bytes: u64,
    /// How often history could not be packed or rolled up, and why it last could not; empty when it could again.
    pub(crate) pack_failed: u64,
    pub(crate) pack_error: String,
    /// Of a store elsewhere, if there is one.
    pub(crate) remote: Option<RemoteFigures>,
    /// Why the clock is doubted; empty where it is not.
    pub(crate) clock: String,
}

/// Shared by who notes and who tells.
pub(crate) type Shown = Arc<Mutex<Figures>>;

/// Bytes of the file and of its write-ahead log; none where they are not there.
pub(super) fn sizes(file: &Path) -> (u64, u64) {
    let size = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    (size(file), size(&file.with_file_name(format!("{FILE}-wal"))))
}
