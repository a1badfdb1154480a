//! Clients that wait for what changes: streams of events, and questions that are answered when something has changed.

use super::bare;
use super::peers::nginx;
use super::{CLIENTS, Server, daemon, descriptors};
use crate::figures::{Median, cpu_of, grouped, resident_of};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Messages to all, and about how long each is.
const MESSAGES: usize = 20;
const BYTES: usize = 500;

/// What is wanted of ours.
const BYTES_A_CLIENT: f64 = 10.0 * 1_024.0;
const DELIVERIES_A_CPU_SECOND: f64 = 200_000.0;

const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

pub(crate) fn run() -> Result<(), String> {
    descriptors(CLIENTS)?;
    println!(
        "{:<38} {:>10} {:>16} {:>20} {:>12}",
        "10,000 clients", "B a client", "CPU-s to accept", "deliveries a CPU-s", "p50 ms"
    );
    // A tick that is short, so that the last client has a message long before the next.
    let daemon = daemon().settings("commit = \"60s\"").start();
    streams("graftd, events of /pull/", Server::from(&daemon), "/pull/?key-news", |n| {
        daemon.post("/push", "application/json", document(n).as_bytes()).good();
        Ok(())
    })?;
    drop(daemon);
    let daemon = self::daemon().settings("commit = \"60s\"").start();
    waiting(Server::from(&daemon), |n| {
        daemon.post("/push", "application/json", document(n).as_bytes()).good();
    })?;
    drop(daemon);
    if !Path::new(NCHAN).is_file() {
        println!("skipped: nchan is not installed (Debian's package libnginx-mod-nchan)");
    } else if let Some(peer) = nginx(
        "location /sub { nchan_subscriber eventsource; nchan_channel_id n; nchan_message_buffer_length 2; }\n\
         location /pub { nchan_publisher; nchan_channel_id n; nchan_message_buffer_length 2; }",
        &format!("load_module {NCHAN};"),
        &[],
    )? {
        let mut publisher = peer.client()?;
        streams("nginx with nchan, EventSource", (&peer).into(), "/sub", |n| {
            publisher.good("POST", "/pub", format!("{n:0BYTES$}").as_bytes()).map(drop)
        })?;
    }
    let (peer, mut publisher) = bare::start()?;
    streams("nothing but a send to each", (&peer).into(), "/", |n| {
        writeln!(publisher, "{n:0BYTES$}").map_err(|error| format!("bare sender: {error}"))
    })?;
    println!(
        "wanted of ours: at most {BYTES_A_CLIENT} bytes a client, {} deliveries a CPU-s",
        grouped(DELIVERIES_A_CPU_SECOND)
    );
    Ok(())
}

/// A leaf that makes an event of about `BYTES`.
fn document(n: usize) -> String {
    format!("{{\"news\":\"{n:0width$}\"}}", width = BYTES - 40)
}

/// A connection that reads what comes, piece by piece.
struct Client {
    stream: TcpStream,
    /// What came since it began to wait.
    came: Vec<u8>,
}

impl Client {
    fn connect(server: Server) -> Result<Client, String> {
        let stream = TcpStream::connect(server.address).map_err(|error| format!("a client: {error}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        Ok(Client { stream, came: Vec::new() })
    }

    fn send(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream.write_all(request).map_err(|error| format!("a client: {error}"))
    }

    /// Reads an answer: the tick that it is of, and whether this stands in it.
    fn answer(&mut self, what: &[u8]) -> Result<(u64, bool), String> {
        // Its body is a list, and nothing follows.
        self.until(b"]")?;
        let tick = memchr::memmem::find(&self.came, b"x-tick: ").map(|at| &self.came[at + 8..]).unwrap_or_default();
        let digits: String =
            tick.iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        let tick = digits.parse().map_err(|_| format!("no tick: {}", String::from_utf8_lossy(&self.came)))?;
        Ok((tick, memchr::memmem::find(&self.came, what).is_some()))
    }

    /// Reads until this stands in what came.
    fn until(&mut self, what: &[u8]) -> Result<(), String> {
        let mut piece = [0; 4_096];
        self.came.clear();
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("a client was let go".to_owned()),
                Ok(read) => self.came.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("a client waits in vain: {error}")),
            }
            if memchr::memmem::find(&self.came, what).is_some() {
                return Ok(());
            }
        }
    }
}

/// What is told of a server that has been asked by all, and has told them something often.
struct Told {
    bytes: f64,
    accepting: f64,
    delivering: f64,
    took_ms: Vec<f64>,
}

impl Told {
    fn print(self, name: &str) {
        let Median { mid, .. } = Median::of(self.took_ms);
        println!(
            "{name:<38} {:>10.0} {:>16.2} {:>20} {mid:>12.0}",
            self.bytes,
            self.accepting,
            grouped((CLIENTS * MESSAGES) as f64 / self.delivering)
        );
    }
}

/// Connects all, and has each ask.
fn connect(server: Server, request: &[u8], opened: Option<&[u8]>) -> Result<(Vec<Client>, f64, f64), String> {
    // The first connections have a server make what it makes once.
    let (before, cpu) = (resident_of(server.process) as f64, cpu_of(server.process));
    let mut clients = Vec::with_capacity(CLIENTS);
    for n in 0..CLIENTS {
        let mut client = Client::connect(server)?;
        client.send(request)?;
        if let (Some(opened), true) = (opened, n % 64 == 63) {
            // Not more at once than a backlog takes.
            client.until(opened)?;
        }
        clients.push(client);
    }
    if let Some(opened) = opened {
        for (n, client) in clients.iter_mut().enumerate() {
            if n % 64 != 63 {
                client.until(opened)?;
            }
        }
    }
    settle(server);
    let grown = (resident_of(server.process) as f64 - before) / CLIENTS as f64;
    Ok((clients, grown, (cpu_of(server.process) - cpu).as_secs_f64()))
}

/// Waits until a server has nothing more to do.
fn settle(server: Server) {
    let mut was = cpu_of(server.process);
    for _ in 0..50 {
        sleep(Duration::from_millis(200));
        let now = cpu_of(server.process);
        if now - was < Duration::from_millis(10) {
            return;
        }
        was = now;
    }
}

fn streams(
    name: &str,
    server: Server,
    path: &str,
    mut publish: impl FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", server.address);
    let (mut clients, bytes, accepting) = connect(server, request.as_bytes(), Some(b"\r\n\r\n"))?;
    let mut told = Told { bytes, accepting, delivering: 0.0, took_ms: Vec::new() };
    let before = cpu_of(server.process);
    for n in 1..=MESSAGES {
        publish(n)?;
        let mark = format!("{n:0BYTES$}");
        let began = Instant::now();
        for client in &mut clients {
            client.until(&mark.as_bytes()[BYTES - 400..])?;
        }
        told.took_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    told.delivering = (cpu_of(server.process) - before).as_secs_f64();
    told.print(name);
    Ok(())
}

/// The same by questions that wait: each client comes back with the tick that it was told.
fn waiting(server: Server, mut publish: impl FnMut(usize)) -> Result<(), String> {
    let asking = |since: &str| {
        format!("GET /pull/?key-news&wait=30s{since} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).into_bytes()
    };
    let (mut clients, bytes, accepting) = connect(server, &asking(""), None)?;
    let mut told = Told { bytes, accepting, delivering: 0.0, took_ms: Vec::new() };
    let before = cpu_of(server.process);
    for n in 1..=MESSAGES {
        publish(n);
        let mark = format!("{n:0BYTES$}");
        let began = Instant::now();
        for client in &mut clients {
            loop {
                let (tick, news) = client.answer(&mark.as_bytes()[BYTES - 400..])?;
                client.send(&asking(&format!("&since={tick}")))?;
                if news {
                    break;
                }
                // Nothing had happened for as long as an answer may wait.
            }
        }
        told.took_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    settle(server);
    told.delivering = (cpu_of(server.process) - before).as_secs_f64();
    told.print("graftd, waiting /pull/, asked anew");
    Ok(())
}
