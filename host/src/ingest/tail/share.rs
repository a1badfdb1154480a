//! The descriptors that all logs together may hold: HTTP, pushes and modules need some too, and a system may let have few.

use crate::limits::LOG_DESCRIPTORS_PART;
use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many are taken.
#[derive(Debug, Default)]
pub(crate) struct Share {
    taken: AtomicU64,
}

/// One of them; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Descriptor {
    share: Arc<Share>,
}

impl Share {
    /// How many there are in all.
    pub(super) fn most() -> u64 {
        // Without a limit there is one for each whom LOG_FILES_MAX lets in.
        getrlimit(Resource::Nofile).current.map_or(u64::MAX, |most| most / LOG_DESCRIPTORS_PART)
    }

    /// Whether one is left.
    pub(super) fn has_room(&self) -> bool {
        self.taken.load(Ordering::Relaxed) < Share::most()
    }

    /// Takes one, if one is left.
    pub(super) fn take(self: &Arc<Share>) -> Option<Descriptor> {
        let most = Share::most();
        let more = |taken: u64| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Descriptor { share: Arc::clone(self) })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.share.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
