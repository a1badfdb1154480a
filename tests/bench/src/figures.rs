//! Taking figures.

use cpu_time::ThreadTime;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The median of several figures, and the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub(crate) min: f64,
    pub(crate) mid: f64,
    pub(crate) max: f64,
}

impl Median {
    pub(crate) fn of(mut figures: Vec<f64>) -> Median {
        figures.sort_by(f64::total_cmp);
        Median { min: figures[0], mid: figures[figures.len() / 2], max: figures[figures.len() - 1] }
    }
}

/// CPU seconds that `work` takes on this thread.
pub(crate) fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let began = ThreadTime::now();
    work();
    began.elapsed().as_secs_f64()
}

/// CPU time (user and system) of all children that were waited for: the fields `cutime` and `cstime` of
/// `/proc/self/stat` (proc(5)), in hundredths of a second.
pub(crate) fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split(' ').skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// CPU time of a process, of its threads and of all its descendants that live: `schedstat` counts nanoseconds.
pub(crate) fn cpu_of(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut nanos = 0;
    for task in tasks {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        nanos += read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        let children = read("children");
        nanos += children
            .split_ascii_whitespace()
            .filter_map(|child| child.parse().ok())
            .map(|child: u32| u64::try_from(cpu_of(child).as_nanos()).unwrap_or(0))
            .sum::<u64>();
    }
    Duration::from_nanos(nanos)
}

/// Resident memory of a process and of all its descendants, in bytes; what they share is counted in each.
pub(crate) fn resident_of(process: u32) -> u64 {
    memory_of(process, "VmRSS:")
}

/// Of that, what is no page of a file, such as a program's code.
pub(crate) fn own_memory_of(process: u32) -> u64 {
    memory_of(process, "RssAnon:")
}

fn memory_of(process: u32, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(figure)?.trim().strip_suffix(" kB")?.parse().ok());
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let below = |text: String| {
        let children = text.split_ascii_whitespace().filter_map(|child| child.parse().ok());
        children.map(|child| memory_of(child, figure)).sum::<u64>()
    };
    kilobytes.unwrap_or(0_u64) * 1_024 + children.map(below).sum::<u64>()
}

/// `1,234,567`
pub(crate) fn grouped(x: f64) -> String {
    let digits = format!("{:.0}", x.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Keeps this process on the first core, so that the daemon has the second for itself. Whether there are two.
pub(crate) fn pin_self() -> bool {
    if thread::available_parallelism().map_or(1, usize::from) < 2 || !Path::new("/usr/bin/taskset").exists() {
        return false;
    }
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-c", "-p", "0", &std::process::id().to_string()]).stdout(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}

pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
