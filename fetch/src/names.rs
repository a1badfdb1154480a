//! The addresses of a name: as `/etc/hosts` has it, or else as the servers that `/etc/resolv.conf` names.
//!
//! The system's own `getaddrinfo` cannot be told when to end, and a thread that waits for it could not be ended either. What
//! else `/etc/nsswitch.conf` may name (mDNS, LDAP) is not asked, as in musl.

use crate::dns::{Miss, ask};
use crate::limits::{ADDRESSES_MAX, FILE_BYTES_MAX, SEARCH_MAX};
use crate::room::Room;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where names are looked up.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) hosts: PathBuf,
    pub(crate) resolv_conf: PathBuf,
    /// The port of its servers.
    pub(crate) port: u16,
}

impl Default for Names {
    fn default() -> Names {
        Names { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

impl Names {
    /// The addresses of a name, or the one that it already is; at least one.
    ///
    /// # Errors
    /// It has none, or the time is over.
    pub(crate) async fn look_up(&self, room: &Room, host: &str, until: Instant) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let mut found = in_hosts(&read(&self.hosts).unwrap_or_default(), &name);
        if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        if found.is_empty() {
            found = self.by_dns(room, host, &name, until).await?;
        }
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }

    async fn by_dns(&self, room: &Room, host: &str, name: &str, until: Instant) -> Result<Vec<IpAddr>, String> {
        // Without the file there is a server on this host, as resolv.conf(5) has it.
        let conf = read(&self.resolv_conf).unwrap_or_default();
        let (conf, _) = resolv_conf::Config::parse_with_errors(conf.as_bytes());
        let mut servers: Vec<SocketAddr> =
            conf.nameservers.iter().map(|server| SocketAddr::new(server.into(), self.port)).collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, self.port).into());
        }
        let mut missed = format!("{name}: no such name");
        for name in candidates(&conf, name, host.ends_with('.')) {
            match ask(room, &servers, &name, until).await {
                Ok(found) => return Ok(found),
                Err(Miss::NoName) => {}
                Err(Miss::NoAddress) => missed = format!("{name}: has no address"),
                Err(Miss::Failed(why)) => return Err(format!("{name}: {why}")),
            }
        }
        Err(missed)
    }
}

/// The names that a name may be short for, in the order in which they are asked for.
fn candidates(conf: &resolv_conf::Config, name: &str, whole: bool) -> Vec<String> {
    let mut names = Vec::new();
    if !whole {
        let domains = conf.get_last_search_or_domain().filter(|domain| *domain != ".").take(SEARCH_MAX);
        names.extend(domains.map(|domain| format!("{name}.{}", domain.trim_matches('.'))));
    }
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let first = dots >= conf.ndots as usize;
    names.insert(if first { 0 } else { names.len() }, name.to_owned());
    names
}

fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = words.next().and_then(|address| address.parse().ok()) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_hosts_5_has_it() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 a\n10.0.0.2\ta.example  A # b\n::2 b a\nnonsense a\n10.0.0.2 a\n";
        assert_eq!(in_hosts(hosts, "a"), ["10.0.0.2", "::2"].map(|address| address.parse::<IpAddr>().unwrap()));
        assert_eq!(in_hosts(hosts, "b").len(), 1);
        assert!(in_hosts(hosts, "c").is_empty());
    }

    #[test]
    fn a_short_name_is_searched_before_and_a_long_one_after() {
        let (conf, _) = resolv_conf::Config::parse_with_errors(b"search x.example y.example.\noptions ndots:2\n");
        assert_eq!(candidates(&conf, "a.b", false), ["a.b.x.example", "a.b.y.example", "a.b"]);
        assert_eq!(candidates(&conf, "a.b.c", false), ["a.b.c", "a.b.c.x.example", "a.b.c.y.example"]);
        assert_eq!(candidates(&conf, "a", true), ["a"]);
    }
}
