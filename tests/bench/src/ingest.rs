//! Lines per CPU-second of `graftd ingest`, all built-in pipes loaded as plugins, beside what else reads logs here.

use crate::figures::{Median, children_cpu, grouped};
use crate::log::{Hostile, access_log, hostile_log, scratch, workspace};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LINES: usize = 5_000_000;
const RUNS: usize = 5;

/// Lines of the logs between which the cost of a line may not grow.
const SHORT: usize = 1_000_000;
const LONG: usize = 20_000_000;
/// With `GRAFTD_SOAK`.
const VERY_LONG: usize = 50_000_000;

const HOSTILE: usize = 1_000_000;

/// What is counted beside us: a program, and what it is given. `{}` stands for the log, `{json}` for what it writes.
const PEERS: [(&str, &[&str]); 4] = [
    (
        "mawk",
        &[
            "BEGIN{FS=\"\\\"\"} {split($3,a,\" \"); split($2,b,\" \"); s[a[1]]++; u[b[2]]++; ua[$6]++} END{for(k in s)print k,s[k]}",
            "{}",
        ],
    ),
    // What it writes to /dev/null it does not count.
    ("sh", &["-c", "grep -c -F ' 404 ' \"$0\" | cat", "{}"]),
    ("rhit", &["--silent-load", "--no-name-check", "--color", "no", "{}"]),
    ("goaccess", &["{}", "--log-format=COMBINED", "-o", "{json}", "--no-global-config", "--no-progress"]),
];

/// What a run took.
#[derive(Clone, Copy, Debug)]
struct Took {
    cpu: f64,
    wall: f64,
    /// The greatest RSS, in MiB.
    rss: f64,
}

/// Runs a program and waits for its end.
fn run_once(command: &mut Command) -> Result<Took, String> {
    let name = format!("{command:?}");
    let said = |error: std::io::Error| format!("{name}: {error}");
    let (before, began) = (children_cpu(), Instant::now());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(said)?;
    let status = format!("/proc/{}/status", child.id());
    let mut rss = 0.0;
    let ended = loop {
        // The kernel keeps the mark, so looking at it now and then misses next to nothing.
        if let Some(mark) = high_water(&status) {
            rss = mark;
        }
        match child.try_wait() {
            Ok(None) => sleep(Duration::from_millis(2)),
            Ok(Some(ended)) => break ended,
            Err(error) => return Err(said(error)),
        }
    };
    if !ended.success() {
        return Err(format!("{name} ended with {ended}"));
    }
    Ok(Took { cpu: (children_cpu() - before).as_secs_f64(), wall: began.elapsed().as_secs_f64(), rss })
}

fn high_water(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    kib.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn graftd(format: &str, threads: usize, file: &Path) -> Result<Command, String> {
    let graftd = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("graftd");
    let mut command = Command::new(graftd);
    command.args(["ingest", "--json", "--format", format, "--threads", &threads.to_string(), "--plugins"]);
    command.arg(workspace().join("plugins")).arg(file);
    Ok(command)
}

/// The median of some runs, after one that warms the page cache and is not counted.
fn several(name: &str, lines: usize, runs: &[Took]) {
    let cpu = Median::of(runs.iter().map(|took| took.cpu).collect());
    let wall = Median::of(runs.iter().map(|took| took.wall).collect());
    println!(
        "ingest, {name}: {} lines per CPU-second ({:.2} CPU-s, {:.2} to {:.2}, of {} runs; {:.2} s by the clock; at most {:.0} MiB)",
        grouped(lines as f64 / cpu.mid),
        cpu.mid,
        cpu.min,
        cpu.max,
        runs.len(),
        wall.mid,
        runs.iter().map(|took| took.rss).fold(0.0, f64::max),
    );
}

fn times(format: &str, threads: usize, file: &Path, runs: usize) -> Result<Vec<Took>, String> {
    run_once(&mut graftd(format, threads, file)?)?;
    (0..runs).map(|_| run_once(&mut graftd(format, threads, file)?)).collect()
}

pub(crate) fn run() -> Result<(), String> {
    beside_peers()?;
    let (file, _) = access_log(LINES, "timed")?;
    several("timed", LINES, &times("timed", 1, &file, RUNS)?);
    by_threads()?;
    growth()?;
    for kind in [Hostile::Noise, Hostile::Browser] {
        let file = hostile_log(HOSTILE, kind)?;
        let name = format!("all new on each line, agents {kind:?}");
        several(&name, HOSTILE, &times("combined", 1, &file, 3)?);
    }
    Ok(())
}

/// All read the same log, in turns.
fn beside_peers() -> Result<(), String> {
    let (file, source) = access_log(LINES, "combined")?;
    let bytes = fs::metadata(&file).map_or(0, |meta| meta.len());
    println!("ingest: {} lines of {} bytes from {source}", grouped(LINES as f64), bytes / LINES as u64);
    let there = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let json = scratch()?.join("peer.json");
    let peers: Vec<_> = PEERS.iter().filter(|(name, _)| there(name)).collect();
    let mut ours = Vec::new();
    let mut theirs: Vec<Vec<Took>> = vec![Vec::new(); peers.len()];
    for run in 0..=RUNS {
        let took = run_once(&mut graftd("combined", 1, &file)?)?;
        ours.extend((run > 0).then_some(took));
        for ((program, args), runs) in peers.iter().zip(&mut theirs) {
            // Some take minutes: for them one run is enough.
            if runs.first().is_none_or(|took| took.cpu < 30.0) {
                let args = args.iter().map(|arg| match *arg {
                    "{}" => file.as_os_str(),
                    "{json}" => json.as_os_str(),
                    arg => arg.as_ref(),
                });
                let took = run_once(Command::new(program).args(args))?;
                if run > 0 || took.cpu > 30.0 {
                    runs.push(took);
                }
            }
        }
    }
    several("combined", LINES, &ours);
    for ((program, args), runs) in peers.iter().zip(&theirs) {
        let name = if *program == "sh" { args[1] } else { program };
        several(name, LINES, runs);
    }
    Ok(())
}

/// How much sooner two threads are done.
fn by_threads() -> Result<(), String> {
    let (file, _) = access_log(LINES, "combined")?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        one.push(run_once(&mut graftd("combined", 1, &file)?)?.wall);
        two.push(run_once(&mut graftd("combined", 2, &file)?)?.wall);
    }
    let (one, two) = (Median::of(one), Median::of(two));
    println!(
        "ingest, two threads: {:.2} times as fast by the clock ({:.2} s and {:.2} s)",
        one.mid / two.mid,
        one.mid,
        two.mid
    );
    Ok(())
}

/// Whether a line of a long log costs more than one of a short.
fn growth() -> Result<(), String> {
    let mut lengths = vec![SHORT, LINES, LONG];
    if std::env::var_os("GRAFTD_SOAK").is_some() {
        lengths.push(VERY_LONG);
    }
    let mut first = None;
    for lines in lengths {
        let (file, _) = access_log(lines, "combined")?;
        let runs = times("combined", 1, &file, if lines > LINES { 3 } else { RUNS })?;
        let each = Median::of(runs.iter().map(|took| took.cpu).collect()).mid / lines as f64;
        let rss = runs.iter().map(|took| took.rss).fold(0.0, f64::max);
        println!(
            "ingest, {} lines: {:.1} ns a line, {:+.1} % of that of the shortest; at most {rss:.0} MiB",
            grouped(lines as f64),
            each * 1e9,
            (each / first.unwrap_or(each) - 1.0) * 100.0
        );
        first = first.or(Some(each));
        if lines > LINES {
            // Gigabytes that nobody asks for again soon.
            let _ = fs::remove_file(&file);
        }
    }
    Ok(())
}
