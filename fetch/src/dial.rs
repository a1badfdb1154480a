//! Connecting: to one of the addresses of a name, or to a Unix socket.

use crate::names::Names;
use crate::room::Room;
use crate::stream::{Stream, left, why};
use crate::target::Target;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A connection that stands, and how long it took.
#[derive(Debug)]
pub struct Dialled<'r> {
    /// The connection.
    pub stream: Stream<'r>,
    /// How long the name was looked up.
    pub resolve: Duration,
    /// How long it took to connect, with the addresses that were tried in vain.
    pub connect: Duration,
}

/// Connects within a time.
///
/// # Errors
/// The name is not known, nobody listens, or the time is over.
pub async fn dial<'r>(room: &'r Room, target: &Target, until: Instant) -> Result<Dialled<'r>, String> {
    let began = Instant::now();
    if let Some(path) = target.socket() {
        let failed = |error: io::Error| format!("{}: {}", path.display(), why(&error, "connecting"));
        let address = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
        let stream = open(room, AddressFamily::UNIX, &address, until, until).await.map_err(failed)?;
        return Ok(Dialled { stream, resolve: Duration::ZERO, connect: began.elapsed() });
    }
    let addresses = ordered(Names::default().look_up(room, target.host(), until).await?, target.port());
    let resolve = began.elapsed();
    let stream = tcp(room, &addresses, until).await?;
    Ok(Dialled { stream, resolve, connect: began.elapsed().saturating_sub(resolve) })
}

/// Tries one after the other. Each has its share of what is left, so that one that swallows everything leaves time for the next.
async fn tcp<'r>(room: &'r Room, addresses: &[SocketAddr], until: Instant) -> Result<Stream<'r>, String> {
    let mut failed = "has no address".to_owned();
    for (i, address) in addresses.iter().enumerate() {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let left = until.saturating_duration_since(Instant::now());
        let share = Instant::now() + left / u32::try_from(addresses.len() - i).unwrap_or(1);
        match open(room, family, address, share, until).await {
            Ok(stream) => {
                // A request is one write: there is nothing to gather.
                let _ = set_tcp_nodelay(&stream.socket, true);
                return Ok(stream);
            }
            Err(error) => failed = format!("{address}: {}", why(&error, "connecting")),
        }
    }
    Err(failed)
}

/// Connects a socket until one moment, for use until another.
pub(crate) async fn open<'r>(
    room: &'r Room,
    family: AddressFamily,
    address: &impl SocketAddrArg,
    connected: Instant,
    until: Instant,
) -> io::Result<Stream<'r>> {
    left(connected)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = Rc::new(socket_with(family, SocketType::STREAM, flags, None)?);
    match connect(&socket, address) {
        Ok(()) => {}
        // It goes on meanwhile, and what came of it is asked when the socket can be written to.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            room.wait(&socket, PollFlags::OUT, connected).await?;
            socket_error(&socket)??;
        }
        // A Unix socket whose server does not take what waits there.
        Err(Errno::AGAIN) => return Err(io::Error::other("nobody takes connections")),
        Err(error) => return Err(error.into()),
    }
    Ok(Stream { room, socket, until })
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
