//! The same day of the same series in other stores, and the same questions over HTTP.

use super::{DAY, HOSTS, METRICS, POINTS};
use crate::figures::{Median, children_cpu, cpu_of, grouped};
use crate::peer::{Peer, await_that, bytes_below, folder, free_port, program};
use crate::wire::Http;
use graftd_tests::Daemon;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lines in a body, and samples in an update of a file.
const LINES: usize = 10_000;
const UPDATE: usize = 60;

/// Questions of a kind: the light and the heavy ones.
const LIGHT: usize = 100;
const HEAVY: usize = 30;

/// Samples in all.
const SAMPLES: f64 = (HOSTS * METRICS * POINTS) as f64;

/// How a store has done.
struct Stored {
    name: &'static str,
    bytes: f64,
    cpu: f64,
    note: &'static str,
}

/// A store that is asked over HTTP.
pub(super) struct Store {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    /// The paths of the two questions.
    pub(super) raw_day: String,
    pub(super) mean_of_100: String,
}

/// What ours took: bytes in the folder, CPU seconds.
pub(super) fn beside(text: &Path, day: u64, ours: (f64, f64), daemon: &Daemon) -> Result<(), String> {
    let mut stored =
        vec![Stored { name: "graftd", bytes: ours.0, cpu: ours.1, note: "text parsed, all in the folder" }];
    let victoria = victoria(text, &mut stored)?;
    let influx = influx(text, &mut stored)?;
    if program("rrdtool", "rrdtool").is_some() {
        stored.push(rrd(text, day)?);
    }
    stored.extend(whisper(text, day)?);
    println!("{:<18} {:>14} {:>20}", "store", "bytes a sample", "samples a CPU-s");
    for Stored { name, bytes, cpu, note } in &stored {
        println!("{name:<18} {:>14.3} {:>20}   {note}", bytes / SAMPLES, grouped(SAMPLES / cpu));
    }
    let till = day + DAY;
    let mut stores = vec![Store {
        name: "graftd",
        address: daemon.http(),
        process: daemon.process(),
        raw_day: format!("/trend/?key-cpu_user,h0003&from={day}&to={till}&step=raw"),
        mean_of_100: format!("/trend/?key-cpu_user,&as=mean&fold=mean&from={day}&to={till}&step=1m"),
    }];
    if let Some(peer) = &victoria {
        let range = |query: &str, step: u64| {
            format!("/api/v1/query_range?query={query}&start={day}&end={}&step={step}&nocache=1", till - step)
        };
        stores.push(Store {
            name: "VictoriaMetrics",
            address: peer.address(),
            process: peer.process(),
            raw_day: range("cpu_user_value%7Bhost%3D%22h0003%22%7D", 10),
            mean_of_100: range("avg(avg_over_time(cpu_user_value%5B1m%5D))", 60),
        });
    }
    if let Some(peer) = &influx {
        let query = |what: &str, more: &str| {
            let (from, to) = (day * 1_000_000_000, till * 1_000_000_000);
            format!(
                "/query?db=bench&epoch=s&q=select+{what}+from+cpu_user+where+time%3E%3D{from}+and+time%3C{to}{more}"
            )
        };
        stores.push(Store {
            name: "InfluxDB",
            address: peer.address(),
            process: peer.process(),
            raw_day: query("value", "+and+host%3D%27h0003%27"),
            mean_of_100: query("mean(value)", "+group+by+time(1m)"),
        });
    }
    ask(&stores)
}

/// Asks all in turns, on a connection each.
fn ask(stores: &[Store]) -> Result<(), String> {
    println!("{:<18} {:<36} {:>9} {:>9} {:>9} {:>11}", "over HTTP", "", "p50 ms", "CPU ms", "bytes", "least ms");
    for (what, of, asked) in [
        ("a day of one series, raw", (|store: &Store| store.raw_day.clone()) as fn(&Store) -> String, LIGHT),
        ("the mean of 100 series, by minutes", |store| store.mean_of_100.clone(), HEAVY),
    ] {
        let mut clients = Vec::new();
        for store in stores {
            let mut client = Http::connect(store.address).map_err(|error| format!("{}: {error}", store.name))?;
            // Once, so that none reads from a cold disk.
            let bytes = client.good("GET", &of(store), b"").map_err(|error| format!("{}: {error}", store.name))?.len();
            clients.push((store, client, bytes, Vec::with_capacity(asked), Duration::ZERO));
        }
        for _ in 0..asked {
            for (store, client, _, took, cpu) in &mut clients {
                let before = cpu_of(store.process);
                let began = Instant::now();
                client.good("GET", &of(store), b"")?;
                took.push(began.elapsed().as_secs_f64() * 1e3);
                *cpu += cpu_of(store.process) - before;
            }
        }
        for (store, _, bytes, took, cpu) in clients {
            let Median { min, mid, .. } = Median::of(took);
            let cpu = cpu.as_secs_f64() * 1e3 / asked as f64;
            println!("{:<18} {what:<36} {mid:>9.2} {cpu:>9.2} {bytes:>9} {min:>11.2}", store.name);
        }
    }
    Ok(())
}

/// Bodies of `LINES` lines in InfluxDB's line protocol.
fn bodies(text: &Path, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut body = Vec::new();
    let mut lines = 0;
    each_line(text, |line| {
        let (name, host, value, at) = fields(line)?;
        let _ = writeln!(body, "{name},host={host} value={value} {at}000000");
        lines += 1;
        if lines == LINES {
            each(&body)?;
            body.clear();
            lines = 0;
        }
        Ok(())
    })?;
    if body.is_empty() { Ok(()) } else { each(&body) }
}

fn each_line(text: &Path, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    let file = File::open(text).map_err(|error| format!("{}: {error}", text.display()))?;
    let mut file = BufReader::new(file);
    let mut line = String::new();
    while file.read_line(&mut line).map_err(|error| error.to_string())? > 0 {
        each(line.trim_end())?;
        line.clear();
    }
    Ok(())
}

/// Name, host, value, milliseconds of a line in Prometheus' text.
fn fields(line: &str) -> Result<(&str, &str, &str, &str), String> {
    let no = || format!("no sample: {line}");
    let (name, rest) = line.split_once("{host=\"").ok_or_else(no)?;
    let (host, rest) = rest.split_once("\"} ").ok_or_else(no)?;
    let (value, at) = rest.split_once(' ').ok_or_else(no)?;
    Ok((name, host, value, at))
}

/// Sends all to `/write`.
fn write_lines(peer: &Peer, path: &str, text: &Path) -> Result<(), String> {
    let mut client = peer.client()?;
    bodies(text, |body| client.good("POST", path, body).map(drop))
}

fn victoria(text: &Path, stored: &mut Vec<Stored>) -> Result<Option<Peer>, String> {
    let Some(binary) = program("victoria-metrics", "victoria-metrics") else { return Ok(None) };
    let (folder, port) = (folder()?, free_port()?);
    let mut command = Command::new(binary);
    command.arg(format!("-httpListenAddr=127.0.0.1:{port}")).arg("-storageDataPath=data").arg("-loggerLevel=ERROR");
    let peer = Peer::start("victoria-metrics", &mut command, port, folder)?;
    let before = peer.cpu();
    write_lines(&peer, "/write", text)?;
    peer.get("/internal/force_flush")?;
    peer.get("/internal/force_merge")?;
    // It merges on its own, after the answer.
    await_that("VictoriaMetrics merges", || {
        let metrics = peer.get("/metrics")?;
        Ok(metrics
            .lines()
            .filter(|line| line.contains("active_merges") || line.contains("active_force_merges"))
            .all(|line| line.ends_with(" 0")))
    })?;
    peer.get("/internal/force_flush")?;
    let cpu = (peer.cpu() - before).as_secs_f64();
    let bytes = bytes_below(&peer.folder().join("data"), "") as f64;
    stored.push(Stored {
        name: "VictoriaMetrics",
        bytes,
        cpu,
        note: "line protocol by HTTP, flushed and merged, with its index",
    });
    Ok(Some(peer))
}

fn influx(text: &Path, stored: &mut Vec<Stored>) -> Result<Option<Peer>, String> {
    let Some(binary) = program("influxd", "influxdb") else { return Ok(None) };
    let (folder, port, rpc) = (folder()?, free_port()?, free_port()?);
    let mut command = Command::new(binary);
    let local = |name: &str| folder.path().join(name);
    command
        .arg("run")
        .args(["-config", "/dev/null"])
        .env("INFLUXDB_REPORTING_DISABLED", "true")
        .env("INFLUXDB_META_DIR", local("meta"))
        .env("INFLUXDB_DATA_DIR", local("data"))
        .env("INFLUXDB_DATA_WAL_DIR", local("wal"))
        .env("INFLUXDB_DATA_INDEX_VERSION", "tsi1")
        // So that what it has in the end is on the disk in its last form soon.
        .env("INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION", "3s")
        .env("INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION", "3s")
        .env("INFLUXDB_BIND_ADDRESS", format!("127.0.0.1:{rpc}"))
        .env("INFLUXDB_HTTP_BIND_ADDRESS", format!("127.0.0.1:{port}"))
        .env("INFLUXDB_HTTP_LOG_ENABLED", "false")
        .env("INFLUXDB_MONITOR_STORE_ENABLED", "false");
    let peer = Peer::start("influxd", &mut command, port, folder)?;
    peer.client()?.good("POST", "/query?q=create+database+bench", b"")?;
    let before = peer.cpu();
    write_lines(&peer, "/write?db=bench", text)?;
    let data = peer.folder().join("data");
    // At rest: its log is empty, and nothing has changed for a while.
    let (mut was, mut since) = (0, Instant::now());
    await_that("InfluxDB compacts", || {
        let now = bytes_below(&data, ".tsm") + bytes_below(&peer.folder().join("wal"), ".wal");
        if now != was {
            (was, since) = (now, Instant::now());
        }
        Ok(bytes_below(&peer.folder().join("wal"), ".wal") == 0 && since.elapsed() > Duration::from_secs(8))
    })?;
    let cpu = (peer.cpu() - before).as_secs_f64();
    let bytes = bytes_below(&data, ".tsm") as f64;
    stored.push(Stored { name: "InfluxDB 1.6", bytes, cpu, note: "line protocol by HTTP, its .tsm files alone" });
    Ok(Some(peer))
}

/// The samples of each series, in the order of time.
fn by_series(text: &Path) -> Result<Vec<Vec<String>>, String> {
    let series = (HOSTS * METRICS) as usize;
    let mut values = vec![Vec::with_capacity(POINTS as usize); series];
    let mut n = 0;
    each_line(text, |line| {
        values[n % series].push(fields(line)?.2.to_owned());
        n += 1;
        Ok(())
    })?;
    Ok(values)
}

/// One archive of a day of ten seconds, doubles, a file a series.
fn rrd(text: &Path, day: u64) -> Result<Stored, String> {
    let values = by_series(text)?;
    let folder = folder()?;
    let mut rrdtool = Command::new("rrdtool");
    rrdtool.arg("-").current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = rrdtool.spawn().map_err(|error| format!("rrdtool: {error}"))?;
    let mut orders = Vec::new();
    for n in 0..values.len() {
        let start = day - 10;
        let _ =
            writeln!(orders, "create {n}.rrd --start {start} --step 10 DS:v:GAUGE:20:U:U RRA:AVERAGE:0.5:1:{POINTS}");
    }
    for from in (0..POINTS as usize).step_by(UPDATE) {
        for (n, values) in values.iter().enumerate() {
            let _ = write!(orders, "update {n}.rrd");
            for (at, value) in values.iter().enumerate().skip(from).take(UPDATE) {
                let _ = write!(orders, " {}:{value}", day + at as u64 * 10);
            }
            orders.push(b'\n');
        }
    }
    let stdin = child.stdin.take().ok_or("rrdtool has no input")?;
    let before = children_cpu();
    { stdin }.write_all(&orders).map_err(|error| format!("rrdtool: {error}"))?;
    let ended = child.wait().map_err(|error| error.to_string())?;
    let cpu = (children_cpu() - before).as_secs_f64();
    let bytes = bytes_below(folder.path(), ".rrd") as f64;
    if !ended.success() || bytes == 0.0 {
        return Err(format!("rrdtool ended with {ended}"));
    }
    Ok(Stored { name: "RRD", bytes, cpu, note: "one archive, 60 samples an update" })
}

/// What Python's whisper does with the same, with the text read before. Prints CPU seconds.
const WHISPER: &str = "
import sys, time
try:
    import whisper
except ImportError:
    sys.exit(77)
folder, day, points, update = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
series = [[float(v) for v in line.split()] for line in sys.stdin]
# What is older than the archive is not kept: the day ends now.
now = int(time.time()) // 10 * 10
day = now - points * 10 + 10
began = time.process_time()
for n in range(len(series)):
    whisper.create('%s/%d.wsp' % (folder, n), [(10, points)])
for at in range(0, points, update):
    for n, values in enumerate(series):
        some = [(day + (at + i) * 10, v) for i, v in enumerate(values[at:at + update])]
        whisper.update_many('%s/%d.wsp' % (folder, n), some, now=now)
print(time.process_time() - began)
";

fn whisper(text: &Path, day: u64) -> Result<Option<Stored>, String> {
    // Debian's own, which alone finds Debian's packages.
    let python = Path::new("/usr/bin/python3");
    if !python.is_file() {
        println!("skipped: Python's whisper, for there is no {}", python.display());
        return Ok(None);
    }
    let folder = folder()?;
    let input = folder.path().join("values");
    let lines: Vec<String> = by_series(text)?.iter().map(|values| values.join(" ")).collect();
    fs::write(&input, lines.join("\n")).map_err(|error| error.to_string())?;
    let mut command = Command::new(python);
    command.args(["-c", WHISPER]).arg(folder.path()).args([day.to_string(), POINTS.to_string(), UPDATE.to_string()]);
    command.stdin(File::open(&input).map_err(|error| error.to_string())?).stderr(Stdio::inherit());
    let ran = command.output().map_err(|error| format!("python3: {error}"))?;
    if ran.status.code() == Some(77) {
        println!("skipped: Python's whisper is not installed (Debian's package python3-whisper)");
        return Ok(None);
    }
    let cpu = String::from_utf8_lossy(&ran.stdout)
        .trim()
        .parse()
        .map_err(|_| format!("whisper ended with {}", ran.status))?;
    let bytes = bytes_below(folder.path(), ".wsp") as f64;
    Ok(Some(Stored { name: "Whisper", bytes, cpu, note: "one archive, 60 samples an update" }))
}
