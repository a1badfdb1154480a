//! Who pushes: what came of it, how much of the daemon each may have, and how fast.
//!
//! A source is an address, or a network of 64 bits of IPv6: whoever has one address of such a network has them all. What is
//! kept of sources is bounded, however many there are.

mod accounts;
mod callers;
mod rates;
mod strangers;

use accounts::Accounts;
pub(crate) use accounts::{Figures, Told};
pub(crate) use callers::{Call, Callers, Share};
use rates::Rates;
pub(crate) use strangers::{Stranger, Strangers};

use crate::conf::IntakeLimits;
use crate::limits::{
    HTTP_BODIES_BYTES_MAX, HTTP_CONNECTIONS_PER_SOURCE, PUSH_BYTES_MAX, PUSH_CONNECTIONS_PER_SOURCE, RELAY_BYTES_MAX,
    RELAY_CONNECTIONS_PER_SOURCE,
};
use parking_lot::Mutex;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The way that something is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Tcp,
    Udp,
}

impl Way {
    pub(crate) const ALL: [Way; 3] = [Way::Http, Way::Tcp, Way::Udp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Http => "http",
            Way::Tcp => "tcp",
            Way::Udp => "udp",
        }
    }
}

/// Where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Source {
        match ip.to_canonical() {
            IpAddr::V6(ip) if !ip.is_loopback() => Source(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
            ip => Source(ip),
        }
    }
}

impl Source {
    fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(ip) if !ip.is_loopback() => write!(f, "{ip}/64"),
            ip => ip.fmt(f),
        }
    }
}

/// All who push.
#[derive(Debug)]
pub(crate) struct Sources {
    accounts: Mutex<Accounts>,
    rates: Option<Mutex<Rates>>,
    /// Who is connected by HTTP, and how many bytes of bodies they have under way.
    pub(crate) http: Arc<Callers>,
    /// Who is connected to push by TCP, and how many bytes of lines they have under way.
    pub(crate) tcp: Arc<Callers>,
    /// Who is connected as a relay.
    pub(crate) relay: Arc<Callers>,
}

impl Sources {
    pub(crate) fn new(limits: &IntakeLimits) -> Sources {
        let callers = |connections, bytes| Arc::new(Callers::new(limits.connections_per_source, connections, bytes));
        Sources {
            accounts: Mutex::default(),
            rates: limits.push_per_source.map(|rate| Mutex::new(Rates::new(rate))),
            // Half of all room, so that nobody takes it alone.
            http: callers(HTTP_CONNECTIONS_PER_SOURCE, HTTP_BODIES_BYTES_MAX / 2),
            tcp: callers(PUSH_CONNECTIONS_PER_SOURCE, PUSH_BYTES_MAX / 2),
            relay: callers(RELAY_CONNECTIONS_PER_SOURCE, RELAY_BYTES_MAX),
        }
    }

    /// Counts what came of something that was pushed. Its bytes count towards the source's rate.
    pub(crate) fn count(&self, way: Way, from: IpAddr, figures: Figures) {
        let now = Instant::now();
        if let Some(rates) = &self.rates {
            rates.lock().charge(from.into(), figures.bytes, now);
        }
        self.accounts.lock().count(way, from.into(), figures, now);
    }

    /// How long a source has to wait before it pushes more; `None` when it may at once.
    pub(crate) fn wait(&self, from: IpAddr) -> Option<Duration> {
        self.rates.as_ref()?.lock().wait(from.into(), Instant::now())
    }

    /// What has changed since this was asked last.
    pub(crate) fn told(&self) -> Told {
        self.accounts.lock().told()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_takes_all_places_of_relays() {
        let sources = Sources::new(&IntakeLimits::default());
        let most = crate::limits::RELAY_CONNECTIONS_MAX / 2;
        let call = |n| sources.relay.call([192, 0, 2, n].into());
        let taken: Vec<_> = (0..most).map_while(|_| call(1)).collect();
        assert!(taken.len() == most && call(1).is_none() && call(2).is_some());
    }

    #[test]
    fn a_network_is_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap()).to_string();
        for (address, want) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::1"),
        ] {
            assert_eq!(source(address), want);
        }
    }
}
