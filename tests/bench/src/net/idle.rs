//! Connections that push now and then, and are silent meanwhile.

use super::{CLIENTS, Server, daemon, descriptors};
use crate::figures::{cpu_of, resident_of};
use crate::peer::await_that;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What is wanted: the whole daemon's memory, in bytes.
const WANTED: f64 = 100e6;

pub(crate) fn run() -> Result<(), String> {
    descriptors(CLIENTS)?;
    let daemon = daemon().start();
    let server = Server::from(&daemon);
    let before = resident_of(server.process);
    let mut streams = Vec::with_capacity(CLIENTS);
    for n in 0..CLIENTS {
        let mut stream = TcpStream::connect(daemon.push_address()).map_err(|error| error.to_string())?;
        let document = format!("{{\"idle\":{{\"h{n}\":{{\"up\":1}}}}}}\n");
        stream.write_all(document.as_bytes()).map_err(|error| error.to_string())?;
        streams.push(stream);
        if n % 64 == 63 {
            until_known(&daemon, n)?;
        }
    }
    until_known(&daemon, CLIENTS - 1)?;
    let resident = resident_of(server.process);
    let (cpu, began) = (cpu_of(server.process), Instant::now());
    std::thread::sleep(Duration::from_secs(5));
    let idle = (cpu_of(server.process) - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    println!(
        "10,000 idle connections of TCP push: {:.1} MB in all, {:.0} bytes each, {:.2} % of a core (wanted: below {:.0} MB)",
        resident as f64 / 1e6,
        (resident as f64 - before as f64) / CLIENTS as f64,
        idle * 100.0,
        WANTED / 1e6
    );
    Ok(())
}

fn until_known(daemon: &graftd_tests::Daemon, n: usize) -> Result<(), String> {
    await_that("what a connection pushed is there", || {
        Ok(daemon.get(&format!("/get/?key-idle,h{n},up")).body.ends_with(":1}]"))
    })
}
