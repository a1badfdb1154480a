//! What it costs to run a pipe in a process of its own: the same records through a worker and in process, taking turns; and
//! what a worker takes that has nothing to do.

use crate::boundary::{BATCH, with_records};
use crate::figures::{Median, cpu_seconds};
use crate::log::workspace;
use graftd::module::Library;
use graftd::worker::{Worker, WorkerConf};
use plugin_api::{Access, Clock, Params};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Passes over the records in a measurement; a flush at the end.
const PASSES: usize = 100;
const RUNS: usize = 9;
const LIMIT: Duration = Duration::from_secs(10);
const MEMORY_BYTES: u64 = 256 << 20;

pub(crate) fn run() -> Result<(), String> {
    with_records(|records| {
        for name in ["status", "bytes", "url", "browser", "visitors"] {
            compare(name, records)?;
        }
        start_and_idle()
    })
}

/// The daemon's binary, which lies beside this one.
fn exe() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(this.with_file_name("graftd"))
}

fn start(exe: &Path, plugin: &Path) -> Result<Worker, String> {
    let conf = WorkerConf {
        exe,
        plugin,
        gmod: None,
        cancel: None,
        printed: None,
        params: &Params::new(),
        start_limit: LIMIT,
        time_limit: LIMIT,
        memory_bytes: MEMORY_BYTES,
    };
    Worker::start(&conf).map_err(|error| format!("{}: {error}", plugin.display()))
}

fn compare(name: &str, records: &[Access<'_>]) -> Result<(), String> {
    let plugin = workspace().join("plugins").join(format!("{name}.so"));
    let library = Library::load(&plugin).map_err(|why| format!("{}: {why}", plugin.display()))?;
    let mut pipe = library.pipe(&Params::new()).map_err(|error| error.to_string())?;
    let mut worker = start(&exe()?, &plugin)?;
    let (clock, mut frame) = (Clock::new(0, 0), Vec::new());
    let (mut inside, mut daemon, mut wall) = (Vec::new(), Vec::new(), Vec::new());
    let mut failed = None;
    let mut its_own = Duration::ZERO;
    for run in 0..=RUNS {
        let in_process = cpu_seconds(|| {
            for _ in 0..PASSES {
                for batch in records.chunks(BATCH) {
                    let _ = pipe.process(clock, batch);
                }
            }
            let _ = pipe.flush(clock, &mut frame);
        });
        let used = worker.usage().map_or(Duration::ZERO, |usage| usage.cpu);
        let began = Instant::now();
        let handing_over = cpu_seconds(|| {
            let fed =
                (0..PASSES).try_for_each(|_| records.chunks(BATCH).try_for_each(|batch| worker.process(clock, batch)));
            failed = fed.and_then(|()| worker.flush(clock, &mut frame)).err();
        });
        let took = began.elapsed().as_secs_f64();
        if let Some(error) = &failed {
            return Err(format!("{name}: {error}"));
        }
        frame.clear();
        // The first fills caches.
        if run > 0 {
            let each = 1e9 / (PASSES * records.len()) as f64;
            inside.push(in_process * each);
            daemon.push(handing_over * each);
            wall.push(took * each);
            its_own += worker.usage().map_or(Duration::ZERO, |usage| usage.cpu) - used;
        }
    }
    // Known to a hundredth of a second only, so of all runs together.
    let its_own = its_own.as_secs_f64() * 1e9 / (RUNS * PASSES * records.len()) as f64;
    let (inside, daemon, wall) = (Median::of(inside), Median::of(daemon), Median::of(wall));
    println!(
        "worker, {name}: {:.1} ns of CPU a record in process; {:.1} in the daemon and {its_own:.1} in the worker, {:.1} ns passing",
        inside.mid, daemon.mid, wall.mid
    );
    Ok(())
}

/// How long starting takes, and what an idle worker and its keeper hold.
fn start_and_idle() -> Result<(), String> {
    let plugin = workspace().join("plugins/status.so");
    let mut times = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        workers.push(start(&exe()?, &plugin)?);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let worker = &workers[0];
    let sizes =
        |pid: Option<u32>| pid.map_or([0; 3], |pid| ["Rss:", "Pss:", "Private_Dirty:"].map(|name| kib(pid, name)));
    let [rss, pss, dirty] = sizes(worker.pid());
    let [keeper_rss, keeper_pss, keeper_dirty] = sizes(worker.keeper_pid());
    println!("worker, start: {:.1} ms until its module is made", Median::of(times).mid);
    println!("worker, idle: RSS {rss} KiB, its share {pss} KiB, its own {dirty} KiB (one of {RUNS} that run)");
    println!("worker, its keeper: RSS {keeper_rss} KiB, its share {keeper_pss} KiB, its own {keeper_dirty} KiB");
    Ok(())
}

/// A line of `/proc/PID/smaps_rollup` (proc(5)), in KiB. Another user's can be read by root only.
fn kib(pid: u32, name: &str) -> u64 {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = smaps.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
