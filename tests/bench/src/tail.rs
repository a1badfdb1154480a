//! A log that is written at a million lines a second while a real daemon follows it with all its pipes: what that costs, how far
//! it is behind, and how long a reader waits meanwhile.

use crate::figures::{cpu_of, grouped, load_average, pin_self};
use crate::log::access_log;
use graftd_tests::{Daemon, Folders, HOST, PATIENCE};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The log's name.
const LOG: &str = "bench";

/// Lines that are written again and again.
const LINES: usize = 1_000_000;

/// Lines at a time, and how often: a million a second.
const BLOCK: usize = 10_000;
const EVERY: Duration = Duration::from_millis(10);
const SECONDS: u64 = 15;

/// How long the client rests between an answer and its next question.
const REST: Duration = Duration::from_millis(2);

/// The daemon's default, which the lag is measured by.
const TICK: Duration = Duration::from_secs(1);

/// How the daemon's threads are called that answer.
const ANSWER_THREADS: &str = "tokio-rt-worker";

/// What is wanted.
const LAG_SECONDS: f64 = 2.0;
const P99_MS: f64 = 10.0;

const PIPES: [&str; 9] =
    ["status", "bytes", "url", "error", "browser", "os", "visitors", "request-time", "upstream-time"];

/// Second by second.
#[derive(Debug, Default)]
struct Seen {
    cpu: Vec<f64>,
    lag_bytes: Vec<f64>,
    lag_seconds: Vec<f64>,
    took_ms: Vec<f64>,
    /// Of that, what remains without the time in which this thread or the daemon's waited for a core.
    own_ms: Vec<f64>,
    merge_ms: Vec<f64>,
}

pub(crate) fn run() -> Result<(), String> {
    let (file, source) = access_log(LINES, "combined")?;
    let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let folders = Arc::new(Folders::new());
    let log = folders.root().join("access.log");
    let mut out = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    folders.write_conf(
        &format!("{LOG}.on"),
        &format!("plugin = \"access-log\"\nfile = \"../access.log\"\nformat = \"combined\"\nprefix = \"{LOG}\""),
    );
    let apart = pin_self();
    let mut builder = Daemon::builder().folders(&folders).tick(TICK).plugins(&PIPES);
    if apart {
        builder = builder.through(&["taskset", "-c", "1"]);
    }
    let daemon = builder.start();
    for pipe in PIPES {
        daemon.await_state(pipe, "running");
    }
    let where_ = if apart { "the daemon on one core, writer and client on another" } else { "all on one core" };
    println!("tail: {source}; {where_}; load average before: {}", load_average());
    let done = AtomicBool::new(false);
    let mut seen = Seen::default();
    let (written, behind) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let wrote = write(&text, &mut out);
            done.store(true, Ordering::Release);
            wrote
        });
        watch(&daemon, &done, &mut seen);
        writer.join().map_err(|_| "the writer panicked".to_owned())?.map_err(|error| error.to_string())
    })?;
    let caught_up = catch_up(&daemon, written)?;
    report(&mut seen, written, behind, caught_up);
    Ok(())
}

/// Writes at the wanted pace; the lines, and how far behind its own pace it was at the end.
fn write(text: &[u8], out: &mut File) -> std::io::Result<(u64, Duration)> {
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', text).skip(BLOCK - 1).step_by(BLOCK).map(|end| end + 1).collect();
    let began = Instant::now();
    let blocks = (SECONDS * 1_000) / u64::try_from(EVERY.as_millis()).unwrap_or(1);
    for block in 0..blocks {
        let due = EVERY * u32::try_from(block).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(began.elapsed()));
        let at = usize::try_from(block).unwrap_or_default() % ends.len();
        let from = if at == 0 { 0 } else { ends[at - 1] };
        out.write_all(&text[from..ends[at]])?;
    }
    Ok((blocks * BLOCK as u64, began.elapsed().saturating_sub(Duration::from_secs(SECONDS))))
}

/// Asks as a client does, on one connection, until the writer is done.
fn watch(daemon: &Daemon, done: &AtomicBool, seen: &mut Seen) {
    let path = format!("graftd,{HOST},log,{LOG}");
    let (mut at, mut cpu) = (Instant::now(), cpu_of(daemon.process()));
    let (mut lag_bytes, mut lag_seconds) = (0.0, 0.0);
    while !done.load(Ordering::Acquire) {
        let (waited, asked) = (waited_for_cores(daemon.process()), Instant::now());
        let answer =
            daemon.get(&format!("/get/?key-{path}&key-{LOG},status&key-{LOG},br&key-graftd,{HOST},tree&depth=1"));
        let took = asked.elapsed();
        seen.took_ms.push(took.as_secs_f64() * 1e3);
        // A thread of the daemon may have ended meanwhile, and what it waited is gone with it.
        let waited = waited_for_cores(daemon.process()).saturating_sub(waited);
        seen.own_ms.push(took.saturating_sub(waited).as_secs_f64() * 1e3);
        let told = answer.json();
        seen.merge_ms.push(told[3][format!("graftd,{HOST},tree")]["merge_ms"].as_f64().unwrap_or(0.0));
        let number = |name: &str| told[0][&path][name].as_f64().unwrap_or(0.0);
        lag_bytes = number("lag_bytes").max(lag_bytes);
        lag_seconds = number("lag_seconds").max(lag_seconds);
        if at.elapsed() >= Duration::from_secs(1) {
            let now = cpu_of(daemon.process());
            seen.cpu.push((now - cpu).as_secs_f64() / at.elapsed().as_secs_f64());
            seen.lag_bytes.push(std::mem::take(&mut lag_bytes));
            seen.lag_seconds.push(std::mem::take(&mut lag_seconds));
            (at, cpu) = (Instant::now(), now);
        }
        thread::sleep(REST);
    }
}

/// How long it takes until each line is counted.
fn catch_up(daemon: &Daemon, written: u64) -> Result<Duration, String> {
    let began = Instant::now();
    let path = format!("graftd,{HOST},log,{LOG},lines");
    loop {
        let lines = daemon.value(&path).as_f64().unwrap_or(0.0);
        if lines >= written as f64 {
            let exact = lines == written as f64;
            return if exact { Ok(began.elapsed()) } else { Err(format!("{lines} lines of {written} were counted")) };
        }
        if began.elapsed() > PATIENCE * 6 {
            return Err(format!("{lines} lines of {written} were counted in {PATIENCE:?} times six"));
        }
        thread::sleep(TICK / 20);
    }
}

fn report(seen: &mut Seen, written: u64, behind: Duration, caught_up: Duration) {
    let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let list = |of: &[f64], unit: f64| of.iter().map(|x| format!("{:.1}", x / unit)).collect::<Vec<_>>().join(" ");
    let cpu = seen.cpu.iter().sum::<f64>() / seen.cpu.len().max(1) as f64;
    println!(
        "tail: {} lines in {SECONDS} s (the writer was {:.2} s late at the end); all counted {:.1} s after the last, once each",
        grouped(written as f64),
        behind.as_secs_f64(),
        caught_up.as_secs_f64()
    );
    println!("tail, CPU-s a second: {cpu:.2} on average, at most {:.2} (wanted: below 1)", most(&seen.cpu));
    println!("tail, CPU-s a second, one after the other: {}", list(&seen.cpu, 1.0));
    println!("tail, lag: at most {:.1} s (wanted: below {LAG_SECONDS} s)", most(&seen.lag_seconds));
    println!("tail, lag in seconds: {}", list(&seen.lag_seconds, 1.0));
    println!("tail, lag in MB: {}", list(&seen.lag_bytes, 1e6));
    for (what, of) in [("", &mut seen.took_ms), (" without waiting for a core", &mut seen.own_ms)] {
        of.sort_by(f64::total_cmp);
        let part = |part: usize| of.get((of.len() * part).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
        println!(
            "tail, /get/ meanwhile{what}: median {:.2} ms, p99 {:.2} ms (wanted: below {P99_MS} ms), at most {:.1} ms, of {} answers",
            part(50),
            part(99),
            most(of),
            of.len()
        );
    }
    println!("tail, merging into the tree: at most {:.1} ms a tick", most(&seen.merge_ms));
}

/// How long this thread, and those of the daemon that answer, were ready to run and had no core (`schedstat`, the second figure).
fn waited_for_cores(process: u32) -> Duration {
    let of = |folder: &Path| {
        let text = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
        text.split(' ').nth(1).and_then(|ns| ns.parse().ok()).map_or(Duration::ZERO, Duration::from_nanos)
    };
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten().map(|task| task.path());
    let answers =
        |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with(ANSWER_THREADS));
    of(Path::new("/proc/thread-self")) + tasks.filter(|task| answers(task)).map(|task| of(&task)).sum::<Duration>()
}
