//! One leaf by HTTP, on connections that are kept.

use super::peers::{netdata, nginx, victoria};
use super::{Server, daemon};
use crate::figures::{Median, cpu_of, grouped};
use crate::peer::await_that;
use crate::wire::Http;
use std::time::{Duration, Instant};

/// Connections, each with a request under way.
const CONNECTIONS: usize = 32;
/// How long each is asked, and how often.
const SPAN: Duration = Duration::from_secs(1);
const RUNS: usize = 5;

/// What is wanted of ours.
const WANTED: f64 = 40_000.0;

struct Asked {
    name: &'static str,
    server: Server,
    path: String,
    figures: Vec<f64>,
    cores: f64,
    bytes: usize,
}

pub(crate) fn run() -> Result<(), String> {
    let ours = daemon().start();
    ours.post("/push", "application/json", fleet().as_bytes()).good();
    let leaf = "/get/?key-fleet,h0003,m3".to_owned();
    let (nginx, victoria, netdata) =
        (nginx("default_type application/json;", "", &[("1k.json", &[b'1'; 1_024])])?, victoria()?, netdata()?);
    let mut asked = Vec::new();
    let mut add =
        |name, server, path| asked.push(Asked { name, server, path, figures: Vec::new(), cores: 0.0, bytes: 0 });
    add("graftd, a leaf", Server::from(&ours), leaf);
    add("graftd, a branch of ten leaves", Server::from(&ours), "/get/?key-fleet,h0003".to_owned());
    if let Some(peer) = &nginx {
        add("nginx, a file of 1 KB", peer.into(), "/1k.json".to_owned());
    }
    if let Some((peer, _)) = &netdata {
        // It has data after its first second.
        let path = "/api/v1/data?chart=system.load&points=1&after=-5";
        await_that("netdata has data", || Ok(peer.get(path).is_ok()))?;
        add("netdata, a chart's last point", peer.into(), path.to_owned());
    }
    if let Some(peer) = &victoria {
        peer.client()?.good("POST", "/write", b"m,host=h0003 value=3\n")?;
        peer.get("/internal/force_flush")?;
        add("VictoriaMetrics, a series", peer.into(), "/api/v1/query?query=m_value%7Bhost%3D%22h0003%22%7D".to_owned());
    }
    for _ in 0..RUNS {
        for one in &mut asked {
            one.ask()?;
        }
    }
    println!(
        "{:<34} {:>18} {:>12} {:>14}",
        "by HTTP, kept connections", "requests a CPU-s", "of a core", "bytes a body"
    );
    for Asked { name, figures, cores, bytes, .. } in asked {
        let Median { min, mid, max } = Median::of(figures);
        let cores = cores / RUNS as f64;
        println!("{name:<34} {:>18} {cores:>12.2} {bytes:>14}   ({} to {})", grouped(mid), grouped(min), grouped(max));
    }
    println!("wanted of ours: {} a CPU-s for a leaf", grouped(WANTED));
    Ok(())
}

/// 1,000 hosts of ten values.
fn fleet() -> String {
    let host = |host: usize| {
        let values: Vec<String> = (0..10).map(|m| format!("\"m{m}\":{host}.{m}5")).collect();
        format!("\"h{host:04}\":{{{}}}", values.join(","))
    };
    format!("{{\"fleet\":{{{}}}}}", (0..1_000).map(host).collect::<Vec<_>>().join(","))
}

impl Asked {
    /// Asks on all connections at once, again and again.
    fn ask(&mut self) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", self.name);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Http::connect(self.server.address).map_err(said)?);
        }
        // netdata closes a connection that does not ask for this.
        let request = clients[0].request("GET", &self.path, "Connection: keep-alive\r\n", b"");
        let (mut answers, began, before) = (0_u64, Instant::now(), cpu_of(self.server.process));
        while began.elapsed() < SPAN {
            for client in &mut clients {
                client.send(&request).map_err(said)?;
            }
            for client in &mut clients {
                let (status, body) = client.answer().map_err(said)?;
                if status != 200 {
                    return Err(format!("{}: {status} {}", self.name, String::from_utf8_lossy(&body)));
                }
                self.bytes = body.len();
                answers += 1;
            }
        }
        let cpu = (cpu_of(self.server.process) - before).as_secs_f64();
        self.cores += cpu / began.elapsed().as_secs_f64();
        self.figures.push(answers as f64 / cpu);
        Ok(())
    }
}
