//! Addresses that a file of configuration names: where to listen, and from where to be spoken to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A network, or a single address: `10.0.0.0/8`, `192.0.2.7`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    /// Leading bits that count.
    bits: u8,
}

impl Net {
    /// Whether an address lies in it. An IPv4 address that came as IPv6 is what it was.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (u32::from(net) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (u128::from(net) ^ u128::from(address)) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Net, String> {
        let wrong = || format!("must be an address or a network such as \"10.0.0.0/8\" or \"192.0.2.7\", not {text:?}");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(format!("{text:?}: the address has only {most} bits"));
        }
        Ok(Net { address, bits })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Reads an address, with a port or without: `127.0.0.1:8649`, `239.2.11.71`, `[::1]:8649`, `::`, `localhost`.
///
/// # Errors
/// It is none; a host's name is none either, for which of its addresses would be meant?
pub(super) fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let wrong = || format!("must be an address such as \"127.0.0.1:{port}\" or \"[::1]:{port}\", not {text:?}");
    match text.split_once(':') {
        None if text == "localhost" => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Some(("localhost", port)) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| wrong())?))),
        _ => Err(wrong()),
    }
}

/// Splits `host:8649`, `host`, `[::1]:8649`, `::1` into the host and the port.
///
/// # Errors
/// There is no host, or the port is none.
pub(super) fn host_and_port(text: &str, port: u16) -> Result<(String, u16), String> {
    let wrong = || format!("must be a host such as \"web1:{port}\" or \"web1\", not {text:?}");
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (text, port),
    };
    let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(named) || port == 0 {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |net: &str, address: &str| net.parse::<Net>().unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.3.4") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1") && holds("::/0", "::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        for bad in ["", "10", "10.0.0.0/33", "::/129", "web/8", "10.0.0.0/x", "10.0.0.0/"] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<Net>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn addresses_have_a_port_or_get_one() {
        for (text, expected) in [
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("239.2.11.71", "239.2.11.71:8649"),
            ("[::1]:7", "[::1]:7"),
            ("::", "[::]:8649"),
            ("[::1]", "[::1]:8649"),
            ("localhost", "127.0.0.1:8649"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(text, 8649).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        for bad in ["", "web1", "web1:8649", "127.0.0.1:x", "127.0.0.1:70000", "localhost:x"] {
            assert!(address(bad, 8649).is_err(), "{bad}");
        }
        for (text, host, port) in
            [("web1", "web1", 8649), ("web1:7", "web1", 7), ("[::1]:7", "::1", 7), ("::1", "::1", 8649)]
        {
            assert_eq!(host_and_port(text, 8649), Ok((host.to_owned(), port)), "{text}");
        }
        for bad in ["", ":7", "web1:x", "web1:0", "a b", "web1:7:8", "http://web1/"] {
            assert!(host_and_port(bad, 8649).is_err(), "{bad}");
        }
    }
}
