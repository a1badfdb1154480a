//! What a process holds, from `/proc` (proc(5)).

use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Threads, without those of the runtime: they come and go with what is asked of it.
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
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    // One that ends meanwhile has no name any more.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let threads = names.filter(|name| name.trim_end() != "tokio-rt-worker").count();
    Held { rss: figure("VmRSS:") * 1024, threads, descriptors }
}
