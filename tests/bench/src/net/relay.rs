//! Values relayed: an agent has 10,000 series, 200 times each, in its spool, and the server that was away is back.

use super::push::{HOSTS, METRICS, Pushed, ROUNDS, RUNS, UPDATES, ours, peers, show, value};
use super::{Server, daemon};
use crate::figures::{cpu_of, grouped, resident_of};
use crate::peer::{await_that, free_port};
use graftd_tests::{Daemon, Folders};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is wanted of ours, a CPU-second.
const WANTED: f64 = 6_000_000.0;

pub(crate) fn run() -> Result<(), String> {
    let mut all = vec![relayed()?];
    if std::env::var_os("GRAFTD_BENCH_ALONE").is_none() {
        all.push(ours()?);
        all.extend(peers()?);
    }
    show(all);
    println!("wanted of ours: {} a CPU-s", grouped(WANTED));
    Ok(())
}

/// A round, as a document.
fn document(round: usize) -> String {
    let mut out = "{\"fleet\":{".to_owned();
    for host in 0..HOSTS {
        let comma = if host == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"host{host:04}\":{{");
        for metric in 0..METRICS {
            let comma = if metric == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"metric{metric}\":{}", value(host, metric, round));
        }
        out.push('}');
    }
    out.push_str("},\"defaultaction\":\"average\"}");
    out
}

/// What the server took.
fn relayed() -> Result<Pushed, String> {
    let mut pushed = Pushed { name: "graftd, relayed by an agent", figures: Vec::new(), seconds: 0.0, resident: 0 };
    for _ in 0..RUNS {
        let port = free_port()?;
        let folders = Arc::new(Folders::new());
        folders.write_conf("relay.on", &format!("to = \"127.0.0.1:{port}\"\nspool = \"1GiB\""));
        let agent = Daemon::builder().folders(&folders).host("agent").tick(Duration::from_secs(1));
        let agent = agent.arg("--role").arg("agent").start();
        for round in 0..ROUNDS {
            // A commit each, and so an entry, as a second each would make.
            agent.post("/push?wait=commit", "application/json", document(round).as_bytes()).good();
        }
        agent.post("/push?wait=commit", "application/json", b"{\"last\":1}").good();
        let server = daemon().host("server").settings(&format!("relay = \"127.0.0.1:{port}\"")).start();
        let process = Server::from(&server).process;
        let (before, began) = (cpu_of(process), Instant::now());
        // The server is not asked, for what that costs it is no part of this.
        let acknowledged = || agent.value("graftd,agent,relay,relay,acknowledged").as_f64().unwrap_or(0.0);
        await_that("all is merged, and on the disk", || Ok(acknowledged() > ROUNDS as f64))?;
        pushed.seconds = began.elapsed().as_secs_f64();
        pushed.figures.push(UPDATES / (cpu_of(process) - before).as_secs_f64());
        pushed.resident = resident_of(process);
        for (host, metric) in [(0, 0), (HOSTS - 1, METRICS - 1)] {
            let known = server.get(&format!("/get/?key-fleet,host{host:04},metric{metric}")).body;
            let wanted = value(host, metric, ROUNDS - 1);
            let leaf =
                format!("[{{\"fleet,host{host:04},metric{metric}\":{}}}]", wanted.parse::<f64>().unwrap_or(-1.0));
            if known != leaf {
                return Err(format!("the last value is {known}, not {leaf}"));
            }
        }
        server.close_tick();
        let entries = server.value("graftd,server,relayed,agent,entries").as_f64().unwrap_or(0.0);
        if entries < ROUNDS as f64 {
            return Err(format!("{entries} entries came, not {ROUNDS}"));
        }
    }
    Ok(pushed)
}
