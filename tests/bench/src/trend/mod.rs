//! History: what a sample takes on the disk and costs to keep, and how long a chart takes.

use crate::figures::{Median, children_cpu, cpu_of, grouped};
use crate::log::{made, sample, scratch};
use graftd_tests::{Daemon, Folders, graftd};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

mod peers;

const DAY: u64 = 86_400;
/// Samples of a series, ten seconds apart: a day.
const POINTS: u64 = 8_640;
const HOSTS: u64 = 100;
const METRICS: u64 = 10;

/// Questions of a kind.
const ASKED: usize = 100;

/// What is wanted.
const BYTES_A_SAMPLE: f64 = 1.35;
const BYTES_A_BUCKET: f64 = 5.0;
const SAMPLES_A_CPU_SECOND: f64 = 2e6;
const RAW_DAY_MS: f64 = 1.0;
const YEAR_MS: f64 = 1.0;
const MEAN_OF_100_MS: f64 = 8.0;
const LIVE_CORE: f64 = 0.10;

pub(crate) fn run() -> Result<(), String> {
    let midnight = now() / DAY * DAY;
    let yesterday = midnight - DAY;
    let (text, source) = samples(yesterday)?;
    println!("trend: {} samples of {} series, {source}", grouped((HOSTS * METRICS * POINTS) as f64), HOSTS * METRICS);
    let folders = Arc::new(Folders::new());
    let data = folders.root().join("data");
    fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    let stored = store(&text, &data)?;
    verify(&text, &data)?;
    year(&data, midnight)?;
    let daemon = Daemon::builder().folders(&folders).start();
    questions(&daemon, yesterday)?;
    peers::beside(&text, yesterday, stored, &daemon)?;
    drop(daemon);
    rolled_up(midnight)?;
    live()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn data_arg(data: &Path) -> String {
    data.display().to_string()
}

/// A day of 1,000 series in Prometheus' text: 700 gauges of two decimals that wander, 300 counters. In the order of time.
fn samples(from: u64) -> Result<(PathBuf, &'static str), String> {
    if let Some(script) = sample("series_gen.py") {
        let file = scratch()?.join(format!("series-{from}.prom"));
        if !file.is_file() {
            let out = File::create(&file).map_err(|error| error.to_string())?;
            let mut python = Command::new("python3");
            python.arg(script).args(["--format", "prom", "--start", &from.to_string()]);
            let made = python.stdout(out).status().map_err(|error| format!("python3: {error}"))?;
            if !made.success() {
                return Err(format!("the generator of series ended with {made}"));
            }
        }
        return Ok((file, "the sample generator"));
    }
    Ok((made(&format!("own-series-{from}"), |out| generate(out, from))?, "our own generator"))
}

fn generate(mut out: impl Write, from: u64) -> std::io::Result<()> {
    // Mean and step in hundredths, and how often of a hundred times it moves; a counter's growth.
    const KINDS: [(&str, i64, i64, u64); METRICS as usize] = [
        ("cpu_user", 2_500, 400, 100),
        ("cpu_system", 800, 150, 100),
        ("load_one", 120, 15, 100),
        ("mem_used_pct", 6_200, 20, 60),
        ("disk_used_pct", 4_400, 1, 5),
        ("temp_c", 4_800, 50, 30),
        ("http_time_ms", 8_500, 2_500, 100),
        ("net_bytes_in", 400_000, 0, 100),
        ("net_bytes_out", 1_500_000, 0, 100),
        ("http_requests", 900, 0, 100),
    ];
    let mut random = 1_u64;
    let mut below = |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n.max(1)
    };
    let mut values: Vec<i64> = (0..HOSTS).flat_map(|_| KINDS.map(|kind| kind.1)).collect();
    for point in 0..POINTS {
        let at = (from + point * 10) * 1_000;
        for (n, value) in values.iter_mut().enumerate() {
            let (name, mean, step, moves) = KINDS[n % KINDS.len()];
            if step == 0 {
                *value += mean / 5 + (below(mean as u64 * 2)).cast_signed();
            } else if below(100) < moves {
                let wander = (below(step as u64 * 2 + 1) + below(step as u64 * 2 + 1)).cast_signed() - 2 * step;
                *value = (*value + wander + (mean - *value) / 50).max(0);
            }
            let host = n / KINDS.len();
            if step == 0 {
                writeln!(out, "{name}{{host=\"h{host:04}\"}} {value} {at}")?;
            } else {
                writeln!(out, "{name}{{host=\"h{host:04}\"}} {}.{:02} {at}", *value / 100, *value % 100)?;
            }
        }
    }
    Ok(())
}

fn tool(args: &[&str]) -> Result<f64, String> {
    let before = children_cpu();
    let ran = graftd(["trend"].iter().chain(args));
    if ran.code != 0 {
        return Err(format!("{args:?}: {}", ran.stderr));
    }
    Ok((children_cpu() - before).as_secs_f64())
}

fn bytes_in(folder: &Path) -> Result<u64, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    Ok(entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|meta| meta.len()).sum())
}

/// Bytes in the folder, and CPU seconds.
fn store(text: &Path, data: &Path) -> Result<(f64, f64), String> {
    let samples = (HOSTS * METRICS * POINTS) as f64;
    let import = tool(&["import", "--data", &data_arg(data), &text.display().to_string()])?;
    let compact = tool(&["compact", "--data", &data_arg(data)])?;
    let bytes = bytes_in(data)? as f64;
    println!(
        "trend, on the disk: {:.3} bytes a sample, all in the folder (wanted: at most {BYTES_A_SAMPLE})",
        bytes / samples
    );
    println!(
        "trend, import and compaction: {} samples per CPU-second ({import:.2} and {compact:.2} CPU-s; wanted: {})",
        grouped(samples / (import + compact)),
        grouped(SAMPLES_A_CPU_SECOND)
    );
    Ok((bytes, import + compact))
}

/// Each sample comes out as it went in.
fn verify(text: &Path, data: &Path) -> Result<(), String> {
    let exported = graftd(["trend", "export", "--format", "prometheus", "--data", &data_arg(data)]);
    if exported.code != 0 {
        return Err(exported.stderr);
    }
    let mut given: HashMap<(String, String), Vec<(u64, u64)>> = HashMap::new();
    let file = BufReader::new(File::open(text).map_err(|error| error.to_string())?);
    for line in file.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let (key, sample) = parsed(&line).ok_or_else(|| format!("no sample: {line}"))?;
        match given.get_mut(&key) {
            Some(samples) => samples.push(sample),
            None => drop(given.insert(key, vec![sample])),
        }
    }
    let mut found = 0_u64;
    let mut next: HashMap<(String, String), usize> = HashMap::new();
    for line in exported.stdout.lines() {
        let (key, sample) = parsed(line).ok_or_else(|| format!("no sample: {line}"))?;
        let at = next.entry(key.clone()).or_default();
        if given.get(&key).and_then(|samples| samples.get(*at)) != Some(&sample) {
            return Err(format!("{line} was not given"));
        }
        *at += 1;
        found += 1;
    }
    let all: usize = given.values().map(Vec::len).sum();
    if found != all as u64 {
        return Err(format!("{found} samples came out of {all}"));
    }
    println!("trend, exported: all {} samples as they were given, bit for bit", grouped(found as f64));
    Ok(())
}

/// Name and host, and the time and the value's bits.
fn parsed(line: &str) -> Option<((String, String), (u64, u64))> {
    let (name, rest) = line.split_once('{')?;
    let host = rest.split('"').nth(1)?;
    let mut fields = rest.rsplit(' ');
    let (time, value) = (fields.next()?.parse().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some(((name.to_owned(), host.to_owned()), (time, value.to_bits())))
}

/// A year of ten minutes for some series, which is rolled up as it is old.
fn year(data: &Path, midnight: u64) -> Result<(), String> {
    let from = midnight - 365 * DAY;
    let text = made(&format!("own-year-{from}"), |mut out| {
        for n in 0..365 * 144 {
            for series in 0..10 {
                writeln!(
                    out,
                    "year{{host=\"y{series}\"}} {} {}",
                    (n * 7 + series * 13) % 1_000,
                    (from + n * 600) * 1_000
                )?;
            }
        }
        Ok(())
    })?;
    tool(&["import", "--data", &data_arg(data), &text.display().to_string()])?;
    tool(&["compact", "--data", &data_arg(data)])?;
    Ok(())
}

fn questions(daemon: &Daemon, yesterday: u64) -> Result<(), String> {
    let (day, today) = (yesterday, yesterday + DAY);
    let year = today - 364 * DAY;
    for (what, query, wanted, values) in [
        (
            "a day of one series, raw",
            format!("key-cpu_user,h0003&from={day}&to={today}&step=raw"),
            RAW_DAY_MS,
            POINTS as usize,
        ),
        (
            "the mean of 100 series, a day by minutes",
            format!("key-cpu_user,&as=mean&fold=mean&from={day}&to={today}&step=1m"),
            MEAN_OF_100_MS,
            1_440,
        ),
        ("a year of one series by days", format!("key-year,y3&from={year}&to={today}&step=1d"), YEAR_MS, 364),
    ] {
        let path = format!("/trend/?{query}");
        let answer = daemon.get(&path).good();
        let line = answer.json()[0].as_object().and_then(|lines| lines.values().next().cloned());
        let known = line.and_then(|line| Some(line["values"].as_array()?.iter().filter(|x| !x.is_null()).count()));
        if known != Some(values) {
            return Err(format!(
                "{path}: {known:?} values, not {values}: {}",
                &answer.body[..answer.body.len().min(200)]
            ));
        }
        let before = cpu_of(daemon.process());
        let mut took: Vec<f64> = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            let began = Instant::now();
            daemon.get(&path).good();
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let cpu = (cpu_of(daemon.process()) - before).as_secs_f64() * 1e3 / ASKED as f64;
        let Median { min, mid, max } = Median::of(took);
        println!(
            "trend, {what}: p50 {mid:.2} ms ({min:.2} to {max:.2}; {cpu:.2} ms of the daemon's CPU; wanted: below {wanted} ms)"
        );
    }
    Ok(())
}

/// What a bucket of a minute takes when the samples are too old to be kept as they are.
fn rolled_up(midnight: u64) -> Result<(), String> {
    let (text, _) = samples(midnight - 10 * DAY)?;
    let folder = Folders::new();
    let data = folder.root().join("data");
    fs::create_dir_all(&data).map_err(|error| error.to_string())?;
    tool(&["import", "--data", &data_arg(&data), &text.display().to_string()])?;
    tool(&["compact", "--data", &data_arg(&data)])?;
    let buckets = (HOSTS * METRICS * POINTS / 6) as f64;
    println!(
        "trend, rolled up: {:.2} bytes a bucket of a minute, all in the folder (wanted: at most {BYTES_A_BUCKET})",
        bytes_in(&data)? as f64 / buckets
    );
    Ok(())
}

/// Live series, all of which change before each commit.
const LIVE: usize = 100_000;
const COMMITS: u32 = 3;

fn live() -> Result<(), String> {
    let folders = Arc::new(Folders::new());
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_secs(1)).start();
    let document = |round: u32| {
        let host = |host: usize| {
            let metric = |metric: usize| {
                format!(
                    "\"m{metric}\":{}.{:02}",
                    metric * 7 % 90,
                    (host * 31 + metric * 17 + round as usize * 37) % 100
                )
            };
            format!("\"h{host}\":{{{}}}", (0..100).map(metric).collect::<Vec<_>>().join(","))
        };
        let hosts: Vec<String> = (0..LIVE / 100).map(host).collect();
        format!("{{\"live\":{{{}}},\"defaultaction\":\"average\"}}", hosts.join(","))
    };
    // The first commit has to name them all.
    daemon.post("/push?wait=commit", "application/json", document(0).as_bytes()).good();
    let (mut spent, mut merged) = (Duration::ZERO, Duration::ZERO);
    for round in 1..=COMMITS {
        let body = document(round);
        let before = cpu_of(daemon.process());
        daemon.post("/push", "application/json", body.as_bytes()).good();
        merged += cpu_of(daemon.process()) - before;
        let before = cpu_of(daemon.process());
        daemon.post("/push?wait=commit", "application/json", b"{\"round\":1}").good();
        spent += cpu_of(daemon.process()) - before;
    }
    let each = spent.as_secs_f64() / f64::from(COMMITS);
    println!(
        "trend, {} live series: {:.0} ms of CPU a commit, {:.1} % of a core at 10 s (wanted: below {:.0} %; beside it {:.0} ms to take the values in)",
        grouped(LIVE as f64),
        each * 1e3,
        each * 10.0,
        LIVE_CORE * 100.0,
        merged.as_secs_f64() * 1e3 / f64::from(COMMITS)
    );
    Ok(())
}
