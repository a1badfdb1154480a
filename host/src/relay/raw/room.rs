//! Whether there is room for more lines of logs on their way.

use crate::limits::RAW_WAITING_BYTES_MAX;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lines that are in no spool yet, over all relays, and who waits for them to be.
#[derive(Debug, Default)]
pub(crate) struct RawRoom {
    /// Bytes that were handed to the core and are not on the disk.
    waiting: AtomicU64,
    changed: (Mutex<()>, Condvar),
}

impl RawRoom {
    /// So many bytes are on their way to the core.
    pub(crate) fn came(&self, bytes: u64) {
        self.waiting.fetch_add(bytes, Ordering::AcqRel);
    }

    /// So many are on the disk, or nowhere.
    pub(crate) fn written(&self, bytes: u64) {
        if bytes > 0 {
            self.waiting.fetch_sub(bytes, Ordering::AcqRel);
            self.changed.1.notify_all();
        }
    }

    /// Whether more may come, where no more than so many bytes are to wait.
    pub(crate) fn has_any(&self, most: u64) -> bool {
        self.waiting.load(Ordering::Acquire) < most.min(RAW_WAITING_BYTES_MAX)
    }

    /// Waits until something was written, or for a while.
    pub(crate) fn wait(&self, most: Duration) {
        self.changed.1.wait_for(&mut self.changed.0.lock(), most);
    }
}
