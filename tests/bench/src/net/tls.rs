//! HTTP over TLS: what it costs a request and a handshake, and what an open connection holds.

use super::peers::nginx;
use super::{Server, daemon, descriptors};
use crate::figures::{Median, cpu_of, grouped, resident_of};
use crate::wire::Http;
use graftd_tests::{Folders, graftd};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections, each with a request under way; how long they ask, and how often.
const ASKING: usize = 32;
const SPAN: Duration = Duration::from_secs(1);
const RUNS: usize = 5;

/// Connections that are made one after another, none taking up what another has agreed on, a run.
const HANDSHAKES: usize = 300;
/// Connections that are kept open.
const OPEN: usize = 2_000;

type Secure = StreamOwned<ClientConnection, TcpStream>;

struct Measured {
    name: &'static str,
    server: Server,
    /// Whom to believe; none without TLS.
    tls: Option<Arc<ClientConfig>>,
    path: &'static str,
    requests: Vec<f64>,
    handshakes: Vec<f64>,
    bytes: f64,
}

pub(crate) fn run() -> Result<(), String> {
    descriptors(OPEN)?;
    let folders = Arc::new(Folders::new());
    let tls = folders.root().join("tls");
    graftd(["tls", "self-signed", "--name", "localhost", "--out", &tls.display().to_string()]).good();
    let (cert, key) = (tls.join("cert.pem"), tls.join("key.pem"));
    let believing = believing(&tls.join("ca.pem"))?;
    let ours = daemon().folders(&folders).settings(&format!("[tls]\ncert = {cert:?}\nkey = {key:?}")).start();
    let plain = daemon().start();
    let mut all = Vec::new();
    let mut add = |name, server, tls, path| {
        all.push(Measured { name, server, tls, path, requests: Vec::new(), handshakes: Vec::new(), bytes: 0.0 });
    };
    for daemon in [&ours, &plain] {
        daemon.post("/push", "application/json", b"{\"leaf\":3.25}").good();
    }
    add("graftd, a leaf, without TLS", Server::from(&plain), None, "/get/?key-leaf");
    add("graftd, a leaf", Server::from(&ours), Some(Arc::clone(&believing)), "/get/?key-leaf");
    let read = |file: &Path| fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
    let (cert, key) = (read(&cert)?, read(&key)?);
    let port = crate::peer::free_port()?;
    let secure =
        format!("listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate cert.pem; ssl_certificate_key key.pem;");
    let nginx = nginx(&secure, "", &[("leaf", b"[{\"leaf\":3.25}]"), ("cert.pem", &cert), ("key.pem", &key)])?;
    if let Some(peer) = &nginx {
        let mut server = Server::from(peer);
        server.address.set_port(port);
        add("nginx, a file of as much", server, Some(believing), "/leaf");
    }
    for _ in 0..RUNS {
        for one in &mut all {
            one.ask()?;
            one.shake_hands()?;
        }
    }
    println!(
        "{:<34} {:>18} {:>22} {:>22}",
        "HTTP over TLS", "requests a CPU-s", "µs a connection made", "B a connection open"
    );
    for mut one in all {
        one.hold()?;
        let (requests, made) = (Median::of(one.requests), Median::of(one.handshakes));
        println!("{:<34} {:>18} {:>22.0} {:>22.0}", one.name, grouped(requests.mid), made.mid * 1e6, one.bytes);
    }
    println!("a connection that is made is asked once, and closed");
    Ok(())
}

/// Believes the authority in a file, and agrees anew with each connection.
fn believing(ca: &Path) -> Result<Arc<ClientConfig>, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", ca.display());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca).map_err(|error| said(&error))? {
        roots.add(cert.map_err(|error| said(&error))?).map_err(|error| said(&error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What is read from and written to, with TLS or without.
enum Way {
    Plain(TcpStream),
    Secure(Box<Secure>),
}

impl Read for Way {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Way::Plain(stream) => stream.read(into),
            Way::Secure(stream) => stream.read(into),
        }
    }
}

impl Write for Way {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Way::Plain(stream) => stream.write(bytes),
            Way::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Way::Plain(stream) => stream.flush(),
            Way::Secure(stream) => stream.flush(),
        }
    }
}

impl Measured {
    fn said(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.name)
    }

    fn connect(&self) -> Result<Http<Way>, String> {
        let address = self.server.address;
        let stream = TcpStream::connect(address).map_err(|error| self.said(&error))?;
        let wait = Some(Duration::from_secs(60));
        stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(wait)).map_err(|error| self.said(&error))?;
        let way = match &self.tls {
            None => Way::Plain(stream),
            Some(tls) => {
                let name = ServerName::IpAddress(IpAddr::from([127, 0, 0, 1]).into());
                let client = ClientConnection::new(Arc::clone(tls), name).map_err(|error| self.said(&error))?;
                Way::Secure(Box::new(StreamOwned::new(client, stream)))
            }
        };
        Ok(Http::over(way, address))
    }

    fn answered(&self, client: &mut Http<Way>) -> Result<(), String> {
        match client.answer().map_err(|error| self.said(&error))? {
            (200, _) => Ok(()),
            (status, body) => Err(self.said(&format_args!("{status} {}", String::from_utf8_lossy(&body)))),
        }
    }

    /// Asks on all connections at once, again and again.
    fn ask(&mut self) -> Result<(), String> {
        let mut clients = Vec::new();
        for _ in 0..ASKING {
            let mut client = self.connect()?;
            client.good("GET", self.path, b"")?;
            clients.push(client);
        }
        let request = clients[0].request("GET", self.path, "", b"");
        let (mut answers, began, before) = (0_u64, Instant::now(), cpu_of(self.server.process));
        while began.elapsed() < SPAN {
            for client in &mut clients {
                client.send(&request).map_err(|error| self.said(&error))?;
            }
            for client in &mut clients {
                self.answered(client)?;
                answers += 1;
            }
        }
        self.requests.push(answers as f64 / (cpu_of(self.server.process) - before).as_secs_f64());
        Ok(())
    }

    /// Makes connections, asks each once, and closes it.
    fn shake_hands(&mut self) -> Result<(), String> {
        let before = cpu_of(self.server.process);
        for _ in 0..HANDSHAKES {
            self.connect()?.good("GET", self.path, b"")?;
        }
        self.handshakes.push((cpu_of(self.server.process) - before).as_secs_f64() / HANDSHAKES as f64);
        Ok(())
    }

    /// Keeps connections open that have been asked once.
    fn hold(&mut self) -> Result<(), String> {
        let before = resident_of(self.server.process) as f64;
        let mut clients = Vec::with_capacity(OPEN);
        for _ in 0..OPEN {
            let mut client = self.connect()?;
            client.good("GET", self.path, b"")?;
            clients.push(client);
        }
        self.bytes = (resident_of(self.server.process) as f64 - before) / OPEN as f64;
        Ok(())
    }
}
