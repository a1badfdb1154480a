//! The ports: bound when the module starts, handed on when its file changes, so that nothing that waits in one is lost. What
//! the file says anew is bound beside what was bound before, on the same port too (`127.0.0.1:8649` and `0.0.0.0:8649`): so
//! what ran before goes on where that fails.

use crate::conf::GmondConf;
use crate::limits::GMOND_SOCKET_BYTES;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

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
    /// What of the kernel's figure of dropped packets has been counted.
    pub(super) dropped: Arc<AtomicU32>,
}

/// All of a module's.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) udp: Vec<Bound<UdpSocket>>,
    pub(super) tcp: Vec<Bound<TcpListener>>,
}

impl Sockets {
    /// Binds what a configuration asks for; what was bound for the one `before` is taken over. The rest of that stays bound
    /// until it is dropped, and is not in the way.
    ///
    /// # Errors
    /// An address that cannot be bound, with a way out.
    pub(super) fn bind(conf: &GmondConf, before: Option<&Sockets>) -> Result<Sockets, String> {
        let mut sockets = Sockets::default();
        let _beside = before.map(Beside::begin);
        let beside = before.is_some();
        for address in &conf.tcp {
            let known = before.and_then(|before| before.tcp.iter().find(|bound| bound.asked == *address));
            sockets.tcp.push(match known {
                Some(known) => known.again(TcpListener::try_clone(&known.socket)).map_err(cannot("tcp", *address))?,
                None => tcp(*address, beside).map_err(cannot("tcp", *address))?,
            });
        }
        for address in &conf.udp {
            // Only groups are joined on an interface.
            let interface =
                |bound: &Bound<UdpSocket>| !address.ip().is_multicast() || bound.interface == conf.interface;
            let same = |bound: &&Bound<UdpSocket>| bound.asked == *address && interface(bound);
            let known = before.and_then(|before| before.udp.iter().find(same));
            let bound = match known {
                Some(known) => known.again(UdpSocket::try_clone(&known.socket)),
                None => sockets.free_udp(*address, conf, beside),
            };
            sockets.udp.push(bound.map_err(cannot("udp", *address))?);
        }
        Ok(sockets)
    }

    /// As gmond has it, both have the same number: where any is free, one that is free for both is taken.
    fn free_udp(&mut self, asked: SocketAddr, conf: &GmondConf, beside: bool) -> io::Result<Bound<UdpSocket>> {
        let interface = conf.interface.as_deref();
        let mut tried = 0;
        loop {
            let twin = self.tcp.iter_mut().find(|tcp| asked.port() == 0 && tcp.asked == asked);
            let Some(twin) = twin else { return udp(asked, asked, interface, beside) };
            match udp(asked, twin.address, interface, beside) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tried < TRIES => *twin = tcp(asked, beside)?,
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

/// While it lives, others of this daemon can be bound beside what is bound.
///
/// The system allows that to sockets of one user which all ask for it. They ask for no longer than it takes, so a second daemon
/// is still told that the port is taken.
struct Beside<'s>(&'s Sockets);

impl<'s> Beside<'s> {
    fn begin(sockets: &'s Sockets) -> Beside<'s> {
        let beside = Beside(sockets);
        beside.set(true);
        beside
    }

    /// Where it fails, binding tells.
    fn set(&self, shared: bool) {
        for bound in &self.0.udp {
            let _ = SockRef::from(&bound.socket).set_reuse_port(shared);
        }
        for bound in &self.0.tcp {
            let _ = SockRef::from(&bound.socket).set_reuse_port(shared);
        }
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl<S> Bound<S> {
    fn again(&self, socket: io::Result<S>) -> io::Result<Bound<S>> {
        let (asked, interface, address) = (self.asked, self.interface.clone(), self.address);
        Ok(Bound { asked, interface, address, socket: socket?, dropped: Arc::clone(&self.dropped) })
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

fn tcp(asked: SocketAddr, beside: bool) -> io::Result<Bound<TcpListener>> {
    let socket = socket(asked, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(beside)?;
    socket.bind(&asked.into())?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(false)?;
    let socket = TcpListener::from(socket);
    Ok(Bound { asked, interface: None, address: socket.local_addr()?, socket, dropped: Arc::default() })
}

fn udp(asked: SocketAddr, address: SocketAddr, interface: Option<&str>, beside: bool) -> io::Result<Bound<UdpSocket>> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // It is only a wish: the system has a limit of its own.
    let _ = socket.set_recv_buffer_size(GMOND_SOCKET_BYTES);
    let group = address.ip();
    if group.is_multicast() {
        // Several programs of a host may listen to a group.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(beside)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(false)?;
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
    Ok(Bound {
        asked,
        interface: interface.map(str::to_owned),
        address: socket.local_addr()?,
        socket,
        dropped: Arc::default(),
    })
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

    fn conf(text: &str) -> GmondConf {
        GmondConf::parse(Path::new("gmond.on"), text).unwrap()
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
    fn another_address_of_the_same_port_is_bound_beside_the_one_before() {
        let before = Sockets::bind(&conf("udp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\""), None).unwrap();
        let port = before.tcp[0].address.port();
        let at = |host: &str| conf(&format!("udp = \"{host}:{port}\"\ntcp = \"{host}:{port}\"\nopen = true"));
        let wide = Sockets::bind(&at("0.0.0.0"), Some(&before)).unwrap();
        drop(before);
        // And back.
        let narrow = Sockets::bind(&at("127.0.0.1"), Some(&wide)).unwrap();
        drop(wide);
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        from.send_to(b"x", narrow.udp[0].address).unwrap();
        assert_eq!(narrow.udp[0].socket.recv_from(&mut [0; 9]).unwrap().0, 1);
        // Others are still told that it is taken, and what is bound stays where something else is taken.
        assert!(Sockets::bind(&at("0.0.0.0"), None).is_err());
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let both = format!("udp = [\"0.0.0.0:{port}\", \"{}\"]\nopen = true", taken.local_addr().unwrap());
        assert!(Sockets::bind(&conf(&both), Some(&narrow)).is_err());
        from.send_to(b"x", narrow.udp[0].address).unwrap();
        assert_eq!(narrow.udp[0].socket.recv_from(&mut [0; 9]).unwrap().0, 1);
    }

    #[test]
    fn an_interface_is_for_groups_alone() {
        let before = Sockets::bind(&conf("udp = \"127.0.0.1:0\""), None).unwrap();
        let after = conf("udp = \"127.0.0.1:0\"\ninterface = \"127.0.0.1\"");
        let after = Sockets::bind(&after, Some(&before)).unwrap();
        assert_eq!(after.udp[0].address, before.udp[0].address);
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
