//! The ports: bound when the module starts, handed on when its file changes, so that nothing that waits in one is lost.

use crate::conf::GangliaConf;
use crate::limits::GMOND_SOCKET_BYTES;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// How often a free port is looked for that is free for both UDP and TCP.
const TRIES: usize = 20;

/// A bound socket, and the address that was asked for.
#[derive(Debug)]
pub(super) struct Bound<S> {
    pub(super) asked: SocketAddr,
    /// On which interface a group was joined.
    interface: Option<String>,
    pub(super) address: SocketAddr,
    pub(super) socket: S,
}

/// All of a module's.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) udp: Vec<Bound<UdpSocket>>,
    pub(super) tcp: Vec<Bound<TcpListener>>,
}

impl Sockets {
    /// Binds what a configuration asks for; what was bound for the one `before` is taken over.
    ///
    /// # Errors
    /// An address that cannot be bound, with a way out.
    pub(super) fn bind(conf: &GangliaConf, before: Option<&Sockets>) -> Result<Sockets, String> {
        let mut sockets = Sockets::default();
        for address in &conf.tcp {
            let known = before.and_then(|before| before.tcp.iter().find(|bound| bound.asked == *address));
            sockets.tcp.push(match known {
                Some(known) => known.again(TcpListener::try_clone(&known.socket)).map_err(cannot("tcp", *address))?,
                None => tcp(*address).map_err(cannot("tcp", *address))?,
            });
        }
        for address in &conf.udp {
            let same = |bound: &&Bound<UdpSocket>| bound.asked == *address && bound.interface == conf.interface;
            let known = before.and_then(|before| before.udp.iter().find(same));
            let bound = match known {
                Some(known) => known.again(UdpSocket::try_clone(&known.socket)),
                None => sockets.free_udp(*address, conf),
            };
            sockets.udp.push(bound.map_err(cannot("udp", *address))?);
        }
        Ok(sockets)
    }

    /// As gmond has it, both have the same number: where any is free, one that is free for both is taken.
    fn free_udp(&mut self, asked: SocketAddr, conf: &GangliaConf) -> io::Result<Bound<UdpSocket>> {
        let interface = conf.interface.as_deref();
        let mut tried = 0;
        loop {
            let twin = self.tcp.iter_mut().find(|tcp| asked.port() == 0 && tcp.asked == asked);
            let Some(twin) = twin else { return udp(asked, asked, interface) };
            match udp(asked, twin.address, interface) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tried < TRIES => *twin = tcp(asked)?,
                bound => return bound,
            }
            tried += 1;
        }
    }

    /// Where XML is given out, or else where packets are taken.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.tcp.first().map(|bound| bound.address).or_else(|| self.udp.first().map(|bound| bound.address))
    }
}

impl<S> Bound<S> {
    fn again(&self, socket: io::Result<S>) -> io::Result<Bound<S>> {
        let (asked, interface, address) = (self.asked, self.interface.clone(), self.address);
        Ok(Bound { asked, interface, address, socket: socket? })
    }
}

fn cannot(what: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> String {
    move |error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; does a gmond run here? stop it, or name another port",
            io::ErrorKind::PermissionDenied => "; ports below 1024 are for root",
            _ => "",
        };
        format!("{what} = {address} cannot be listened on: {error}{hint}")
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `::` is then no more than it says, and `0.0.0.0` can be listened on beside it.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tcp(asked: SocketAddr) -> io::Result<Bound<TcpListener>> {
    let socket = socket(asked, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&asked.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from(socket);
    Ok(Bound { asked, interface: None, address: socket.local_addr()?, socket })
}

fn udp(asked: SocketAddr, address: SocketAddr, interface: Option<&str>) -> io::Result<Bound<UdpSocket>> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // It is only a wish: the system has a limit of its own.
    let _ = socket.set_recv_buffer_size(GMOND_SOCKET_BYTES);
    let group = address.ip();
    if group.is_multicast() {
        // Several programs of a host may listen to a group.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    match group {
        IpAddr::V4(group) if group.is_multicast() => {
            let on = match interface.map(str::parse::<Ipv4Addr>) {
                None => InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
                Some(Ok(address)) => InterfaceIndexOrAddress::Address(address),
                Some(Err(_)) => InterfaceIndexOrAddress::Index(index(interface)?),
            };
            socket.join_multicast_v4_n(&group, &on)?;
        }
        IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, index(interface)?)?,
        _ => {}
    }
    let socket = UdpSocket::from(socket);
    Ok(Bound { asked, interface: interface.map(str::to_owned), address: socket.local_addr()?, socket })
}

/// The number of an interface, from sysfs; 0, the system's choice, for none.
fn index(interface: Option<&str>) -> io::Result<u32> {
    let Some(name) = interface else { return Ok(0) };
    let none = || io::Error::new(io::ErrorKind::NotFound, format!("there is no interface {name:?}"));
    if name.contains('/') || name.starts_with('.') {
        return Err(none());
    }
    let text = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).map_err(|_| none())?;
    text.trim().parse().map_err(|_| none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn conf(text: &str) -> GangliaConf {
        GangliaConf::parse(Path::new("gmond.on"), text).unwrap()
    }

    #[test]
    fn a_free_port_is_free_for_both() {
        let sockets = Sockets::bind(&conf("udp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\""), None).unwrap();
        assert_eq!(sockets.udp[0].address, sockets.tcp[0].address);
        assert_eq!(sockets.address(), Some(sockets.tcp[0].address));
    }

    #[test]
    fn sockets_are_handed_on() {
        let before = Sockets::bind(&conf("udp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\""), None).unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        from.send_to(b"x", before.udp[0].address).unwrap();
        let after =
            Sockets::bind(&conf("udp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\"\ncluster = \"b\""), Some(&before))
                .unwrap();
        assert_eq!((after.udp[0].address, after.tcp[0].address), (before.udp[0].address, before.tcp[0].address));
        drop(before);
        // What came before the change waits in it still.
        assert_eq!(after.udp[0].socket.recv_from(&mut [0; 9]).unwrap().0, 1);
    }

    #[test]
    fn what_is_taken_is_said() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let why = Sockets::bind(&conf(&format!("udp = \"{address}\"")), None).unwrap_err();
        assert!(why.starts_with(&format!("udp = {address} cannot be listened on: ")) && why.contains("gmond"), "{why}");
    }

    #[test]
    fn groups_are_joined() {
        let own = conf("udp = \"239.2.11.71:0\"\ninterface = \"127.0.0.1\"\nopen = true");
        assert!(Sockets::bind(&own, None).unwrap().udp[0].address.ip().is_multicast());
        let named = conf("udp = \"239.2.11.71:0\"\ninterface = \"lo\"\nopen = true");
        Sockets::bind(&named, None).unwrap();
        let none = conf("udp = \"239.2.11.71:0\"\ninterface = \"no/such\"\nopen = true");
        assert!(Sockets::bind(&none, None).unwrap_err().contains("there is no interface"));
    }
}
