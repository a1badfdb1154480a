//! Connecting: to one of the addresses of a name, or to a Unix socket.

use crate::names::Names;
use crate::stream::{Socket, Stream, left, why};
use crate::target::Target;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection that stands, and how long it took.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub stream: Stream,
    /// How long the name was looked up.
    pub resolve: Duration,
    /// How long it took to connect, with the addresses that were tried in vain.
    pub connect: Duration,
}

/// Connects within a time.
///
/// # Errors
/// The name is not known, nobody listens, or the time is over.
pub fn dial(target: &Target, until: Instant) -> Result<Dialled, String> {
    let began = Instant::now();
    if let Some(path) = target.socket() {
        let socket = unix(path, until).map_err(|error| format!("{}: {}", path.display(), why(&error, "connecting")))?;
        let stream = Stream { socket: Socket::Unix(socket), until };
        return Ok(Dialled { stream, resolve: Duration::ZERO, connect: began.elapsed() });
    }
    let addresses = ordered(Names::default().look_up(target.host(), until)?, target.port());
    let resolve = began.elapsed();
    let socket = tcp(&addresses, until)?;
    let connect = began.elapsed().saturating_sub(resolve);
    Ok(Dialled { stream: Stream { socket: Socket::Tcp(socket), until }, resolve, connect })
}

/// Tries one after the other. Each has its share of what is left, so that one that swallows everything leaves time for the next.
fn tcp(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, String> {
    let mut failed = String::new();
    for (i, address) in addresses.iter().enumerate() {
        let share = left(until).map(|left| left / u32::try_from(addresses.len() - i).unwrap_or(1));
        let tried = share.and_then(|share| TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))));
        match tried {
            Ok(socket) => {
                // A request is one write: there is nothing to gather.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => failed = format!("{address}: {}", why(&error, "connecting")),
        }
    }
    Err(failed)
}

/// std's `connect` would wait for as long as the queue of a socket that nobody serves is full.
fn unix(path: &Path, until: Instant) -> io::Result<UnixStream> {
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(left(until)?))?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Those that a packet could be sent to come first: a name may have IPv6 addresses where this host has none.
fn ordered(addresses: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    if addresses.len() > 1 {
        addresses.sort_by_cached_key(|address| !has_route(address));
    }
    addresses
}

/// Whether there is a way to an address. Nothing is sent.
fn has_route(to: &SocketAddr) -> bool {
    let from: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
}
