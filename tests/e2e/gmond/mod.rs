//! Ganglia on the wire, with the real programs: gmetric, gmond, gmetad, gstat, rrdtool. They talk to the daemon on loopback, on
//! ports that were free, and end with their test.

mod gmetad;
mod gmetric;
pub(crate) mod peers;
mod ports;
mod switching;

use graftd_tests::{Daemon, PATIENCE};
use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};

/// Ganglia's ports of a daemon on loopback, on a free port.
const FREE: &str = "udp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\"\ncluster = \"fleet\"\nowner = \"ops\"\n";

/// A daemon with ganglia's ports, and where they are.
fn daemon(conf: &str) -> (Daemon, SocketAddr) {
    let daemon = Daemon::builder().conf("gmond.on", conf).start();
    let address = daemon.listens("gmond").expect("the ready line names the port");
    (daemon, address)
}

/// The XML that is given out.
fn xml(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("UTF-8");
    text
}

/// Sends datagrams.
fn send(address: SocketAddr, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for datagram in datagrams {
        socket.send_to(datagram, address).expect("sent");
    }
}

/// A port that was free for UDP and TCP a moment ago: for a program that cannot take any free one.
pub(crate) fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
