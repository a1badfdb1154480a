//! Values pushed: 10,000 series, 200 times each, by one client.

use super::peers::{netdata, victoria};
use super::{Server, daemon};
use crate::figures::{Median, cpu_of, grouped, resident_of};
use crate::peer::await_that;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(super) const HOSTS: usize = 1_000;
pub(super) const METRICS: usize = 10;
pub(super) const ROUNDS: usize = 200;
pub(super) const UPDATES: f64 = (HOSTS * METRICS * ROUNDS) as f64;
pub(super) const RUNS: usize = 3;

/// What is wanted of ours, a CPU-second.
const WANTED: f64 = 2_750_000.0;

/// A value that differs from round to round, with two decimals.
pub(super) fn value(host: usize, metric: usize, round: usize) -> String {
    format!("{}.{:02}", (host * 7 + metric * 13 + round * 3) % 90, (host * 31 + metric * 17 + round * 37) % 100)
}

/// All rounds, each made of the lines of its hosts.
fn rounds(line: impl Fn(usize, usize, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let round = |round| {
        let mut bytes = Vec::new();
        (0..HOSTS).for_each(|host| line(host, round, &mut bytes));
        bytes
    };
    (0..ROUNDS).map(round).collect()
}

/// What came of pushing all rounds.
pub(super) struct Pushed {
    pub(super) name: &'static str,
    pub(super) figures: Vec<f64>,
    pub(super) seconds: f64,
    pub(super) resident: u64,
}

pub(crate) fn run() -> Result<(), String> {
    let mut all = vec![ours()?];
    all.extend(peers()?);
    show(all);
    println!("wanted of ours: {} a CPU-s", grouped(WANTED));
    Ok(())
}

/// Others that take values.
pub(super) fn peers() -> Result<Vec<Pushed>, String> {
    Ok(prometheus()?.into_iter().chain(statsd()?).collect())
}

pub(super) fn show(all: Vec<Pushed>) {
    println!("{:<40} {:>18} {:>12} {:>8}", "10,000 series, 200 times", "updates a CPU-s", "s to send", "RSS MB");
    for Pushed { name, figures, seconds, resident } in all {
        let Median { min, mid, max } = Median::of(figures);
        let megabytes = resident as f64 / 1e6;
        println!(
            "{name:<40} {:>18} {seconds:>12.1} {megabytes:>8.0}   ({} to {})",
            grouped(mid),
            grouped(min),
            grouped(max)
        );
    }
}

pub(super) fn ours() -> Result<Pushed, String> {
    let rounds = rounds(|host, round, out| {
        let _ = write!(out, "{{\"fleet\":{{\"host{host:04}\":{{");
        for metric in 0..METRICS {
            let comma = if metric == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"metric{metric}\":{}", value(host, metric, round));
        }
        let _ = writeln!(out, "}}}}}}");
    });
    let mut pushed =
        Pushed { name: "graftd, JSON by TCP, ten leaves a line", figures: Vec::new(), seconds: 0.0, resident: 0 };
    for _ in 0..RUNS {
        let daemon = daemon().start();
        let server = Server::from(&daemon);
        // Gauges, as those of the peers.
        daemon.post("/push", "application/json", b"{\"fleet\":{\"defaultaction\":\"average\",\"begun\":1}}").good();
        let last = "{\"last\":1}\n";
        let (before, began) = (cpu_of(server.process), Instant::now());
        let mut stream = send(daemon.push_address(), &rounds)?;
        stream.write_all(last.as_bytes()).map_err(|error| error.to_string())?;
        // A connection's documents are merged in their order.
        await_that("the last document is merged", || Ok(daemon.get("/get/?key-last").body == "[{\"last\":1}]"))?;
        pushed.seconds = began.elapsed().as_secs_f64();
        pushed.figures.push(UPDATES / (cpu_of(server.process) - before).as_secs_f64());
        pushed.resident = resident_of(server.process);
        let known = daemon.get(&format!("/get/?key-fleet,host{:04},metric9", HOSTS - 1)).body;
        let wanted = value(HOSTS - 1, 9, ROUNDS - 1);
        let leaf = format!("[{{\"fleet,host{:04},metric9\":{}}}]", HOSTS - 1, wanted.parse::<f64>().unwrap_or(-1.0));
        if known != leaf {
            return Err(format!("the last value is {known}, not {leaf}"));
        }
    }
    Ok(pushed)
}

/// Sends all; the connection stays.
fn send(to: SocketAddr, rounds: &[Vec<u8>]) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(to).map_err(|error| error.to_string())?;
    for round in rounds {
        stream.write_all(round).map_err(|error| error.to_string())?;
    }
    Ok(stream)
}

fn prometheus() -> Result<Option<Pushed>, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let rounds = rounds(|host, round, out| {
        let at = now - (ROUNDS - round) as u128 * 10_000;
        for metric in 0..METRICS {
            let _ = writeln!(out, "metric{metric}{{host=\"host{host:04}\"}} {} {at}", value(host, metric, round));
        }
    });
    let name = "VictoriaMetrics, Prometheus' text by HTTP";
    let mut pushed = Pushed { name, figures: Vec::new(), seconds: 0.0, resident: 0 };
    for _ in 0..RUNS {
        let Some(peer) = victoria()? else { return Ok(None) };
        let (before, began) = (peer.cpu(), Instant::now());
        let mut client = peer.client()?;
        for round in &rounds {
            client.good("POST", "/api/v1/import/prometheus", round)?;
        }
        pushed.seconds = began.elapsed().as_secs_f64();
        pushed.figures.push(UPDATES / (peer.cpu() - before).as_secs_f64());
        pushed.resident = resident_of(peer.process());
        let metrics = peer.get("/metrics")?;
        let inserted = metrics.lines().filter(|line| line.starts_with("vm_rows_inserted_total{"));
        let inserted: f64 = inserted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        if inserted != UPDATES {
            return Err(format!("VictoriaMetrics took {inserted} of {UPDATES}"));
        }
    }
    Ok(Some(pushed))
}

fn statsd() -> Result<Option<Pushed>, String> {
    let rounds = rounds(|host, round, out| {
        for metric in 0..METRICS {
            let _ = writeln!(out, "hosts.host{host:04}.metric{metric}:{}|g", value(host, metric, round));
        }
    });
    let mut pushed = Pushed { name: "netdata, statsd by TCP", figures: Vec::new(), seconds: 0.0, resident: 0 };
    for _ in 0..RUNS {
        let Some((peer, port)) = netdata()? else { return Ok(None) };
        // What it does beside this is under way.
        std::thread::sleep(Duration::from_secs(3));
        let (before, began) = (peer.cpu(), Instant::now());
        let stream = send(SocketAddr::from(([127, 0, 0, 1], port)), &rounds)?;
        pushed.seconds = began.elapsed().as_secs_f64();
        await_that("netdata reads", || Ok(queued(port) == 0))?;
        pushed.figures.push(UPDATES / (peer.cpu() - before).as_secs_f64());
        let path =
            format!("/api/v1/data?chart=statsd_hosts.host{:04}.metric9_gauge&after=-2&points=1&format=csv", HOSTS - 1);
        let wanted = value(HOSTS - 1, 9, ROUNDS - 1).parse::<f64>().unwrap_or(-1.0);
        await_that("netdata shows the last value", || {
            let Ok(shown) = peer.get(&path) else { return Ok(false) };
            let figure = shown.lines().last().and_then(|line| line.rsplit(',').next()?.trim().parse::<f64>().ok());
            Ok(figure.is_some_and(|figure| (figure - wanted).abs() < 0.01))
        })?;
        pushed.resident = resident_of(peer.process());
        drop(stream);
    }
    Ok(Some(pushed))
}

/// Bytes that wait in the kernel for whoever listens on this port (proc(5), `/proc/net/tcp`).
fn queued(port: u16) -> u64 {
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let hex = |digits: &str| u64::from_str_radix(digits, 16).unwrap_or(0);
    let of = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (fields.next()?, fields.next()?);
        let (sent, received) = fields.nth(1)?.split_once(':')?;
        let is = |address: &str| address.rsplit(':').next().is_some_and(|digits| hex(digits) == u64::from(port));
        Some(if is(local) {
            hex(received)
        } else if is(remote) {
            hex(sent)
        } else {
            0
        })
    };
    text.lines().skip(1).filter_map(of).sum()
}
