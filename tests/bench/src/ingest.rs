//! Lines per CPU-second of `graftd ingest`, all built-in pipes loaded as plugins.

use crate::figures::{Median, children_cpu, grouped};
use crate::log::{access_log, workspace};
use std::process::{Command, Stdio};

const LINES: usize = 1_000_000;
const RUNS: usize = 5;

pub(crate) fn run() -> Result<(), String> {
    let graftd = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("graftd");
    let plugins = workspace().join("plugins");
    for format in ["combined", "timed"] {
        let (file, source) = access_log(LINES, format)?;
        let mut seconds = Vec::new();
        // The first run warms the page cache and is not counted.
        for run in 0..=RUNS {
            let before = children_cpu();
            let ended = Command::new(&graftd)
                .args(["ingest", "--json", "--format", format, "--plugins"])
                .arg(&plugins)
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .map_err(|error| format!("{}: {error}", graftd.display()))?;
            if !ended.success() {
                return Err(format!("graftd ingest ended with {ended}"));
            }
            if run > 0 {
                seconds.push((children_cpu() - before).as_secs_f64());
            }
        }
        let seconds = Median::of(seconds);
        let bytes = std::fs::metadata(&file).map_or(0, |meta| meta.len());
        println!(
            "ingest {format}: {} lines per CPU-second ({:.2} CPU-s, {:.2} to {:.2}, of {RUNS} runs; {} lines of {} bytes from {source})",
            grouped(LINES as f64 / seconds.mid),
            seconds.mid,
            seconds.min,
            seconds.max,
            grouped(LINES as f64),
            bytes / LINES as u64,
        );
    }
    Ok(())
}
