//! What is counted of a module's calls, wherever they are made.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Counts of one module, over all its lives and in all its threads. It hangs at `graftd,HOST,module,NAME,…`.
#[derive(Debug, Default)]
pub struct ModuleStats {
    /// Calls: batches and flushes of a pipe, collects of a collector.
    calls: AtomicU64,
    /// Calls that failed.
    errors: AtomicU64,
    /// CPU time of the calls, in nanoseconds.
    cpu_ns: AtomicU64,
    /// Calls that did not come back, or not begin, when they should have.
    late: AtomicU64,
    /// By how much, in nanoseconds: a pipe's past its time limit, a collector's past its interval, or begun after its turn.
    late_ns: AtomicU64,
    /// Times that the module was made anew because it broke.
    restarts: AtomicU64,
    /// Threads in a call that was given up, now.
    abandoned: AtomicI64,
}

/// What a module's counts are at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) late: u64,
    pub(crate) late_ns: u64,
    pub(crate) restarts: u64,
    pub(crate) abandoned: i64,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl ModuleStats {
    pub(crate) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cpu(&self, time: Duration) {
        self.cpu_ns.fetch_add(nanoseconds(time), Ordering::Relaxed);
    }

    pub(crate) fn late(&self, by: Duration) {
        self.late.fetch_add(1, Ordering::Relaxed);
        self.late_ns.fetch_add(nanoseconds(by), Ordering::Relaxed);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread is left behind in a call.
    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread that was left behind has come back.
    pub(crate) fn came_back(&self) {
        self.abandoned.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            cpu_ns: self.cpu_ns.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            late_ns: self.late_ns.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
        }
    }
}
