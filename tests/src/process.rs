//! What a process holds, from `/proc` (proc(5)).

use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What a process holds now.
///
/// # Panics
/// There is no such process.
#[must_use]
#[track_caller]
pub fn held(process: u32) -> Held {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let figure = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("a process").count();
    Held { rss: figure("VmRSS:") * 1024, threads: figure("Threads:") as usize, descriptors }
}
