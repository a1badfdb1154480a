//! The `.on` of the built-in module `gmond`: ganglia's ports.

use super::error::ConfError;
use super::net::{self, Net};
use super::table::{Given, Source, Table};
use crate::limits::{GMOND_ALLOW_MAX, GMOND_POLL_EVERY, GMOND_POLLED_MAX, GMOND_SOCKETS_MAX};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The port that gmond has for both.
pub const GANGLIA_PORT: u16 = 8649;

/// The longest time after which a host is forgotten.
const HOST_DMAX_MAX: Duration = Duration::from_secs(366 * 86_400);

/// How ganglia is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GmondConf {
    /// Where packets are taken; a multicast group is joined.
    pub udp: Vec<SocketAddr>,
    /// Where XML is given out.
    pub tcp: Vec<SocketAddr>,
    /// The interface on which multicast groups are joined: its name or its address. The system's choice unless given.
    pub interface: Option<String>,
    /// From where packets are taken, and who may read; anybody who can reach the addresses unless given.
    pub allow: Vec<Net>,
    /// Whose XML is fetched: host and port.
    pub poll: Vec<(String, u16)>,
    /// How often.
    pub poll_every: Duration,
    /// The cluster that is spoken to by UDP, and that this host's own modules are shown in.
    pub cluster: Cluster,
    /// A host that has not been heard of for so long is forgotten; zero is never.
    pub host_dmax: Duration,
    /// Where senders listen for a request when the metadata of a metric is missing; 0 does not ask.
    pub ask_port: u16,
}

/// What is told of the cluster beside its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Who runs it.
    pub owner: String,
    /// Where it stands.
    pub latlong: String,
    /// A page about it.
    pub url: String,
    /// Where this host stands in it.
    pub location: String,
}

impl GmondConf {
    /// The keys that it knows.
    pub const KEYS: [&'static str; 15] = [
        "plugin",
        "udp",
        "tcp",
        "interface",
        "open",
        "allow",
        "poll",
        "poll_every",
        "cluster",
        "owner",
        "latlong",
        "url",
        "location",
        "host_dmax",
        "ask_port",
    ];

    /// Reads the text of the `.on`.
    ///
    /// # Errors
    /// What is wrong in it, with its line. An address that others can reach is wrong unless it is said who may.
    pub fn parse(file: &Path, text: &str) -> Result<GmondConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let _ = table.take("plugin");
        let [udp, tcp, poll] = [table.take("udp"), table.take("tcp"), table.take("poll")];
        let any = udp.is_some() || tcp.is_some() || poll.is_some();
        let allow = list(table.take("allow").as_ref(), GMOND_ALLOW_MAX, str::parse)?;
        let open = table.take("open").map_or(Ok(false), |given| given.flag())? || !allow.is_empty();
        let sockets = |given: Option<Given<'_>>, multicast: bool| -> Result<Vec<SocketAddr>, ConfError> {
            let read = |text: &str| -> Result<SocketAddr, String> {
                let address = net::address(text, GANGLIA_PORT)?;
                check_reach(address, open, multicast).map(|()| address)
            };
            // An empty file means what gmond's users mean by "gmond": its ports, but for this host alone.
            let own = SocketAddr::from((Ipv4Addr::LOCALHOST, GANGLIA_PORT));
            match given {
                Some(given) => list(Some(&given), GMOND_SOCKETS_MAX, read),
                None => Ok(if any { Vec::new() } else { vec![own] }),
            }
        };
        let (udp, tcp) = (sockets(udp, true)?, sockets(tcp, false)?);
        let poll = list(poll.as_ref(), GMOND_POLLED_MAX, |text| net::host_and_port(text, GANGLIA_PORT))?;
        let poll_every = time(&mut table, "poll_every", GMOND_POLL_EVERY)?;
        if poll_every < Duration::from_secs(1) || poll_every > Duration::from_secs(86_400) {
            return Err(ConfError::new(file, 0, "\"poll_every\" must be between 1s and 1d"));
        }
        let host_dmax = time(&mut table, "host_dmax", Duration::ZERO)?;
        if host_dmax > HOST_DMAX_MAX {
            return Err(ConfError::new(file, 0, "\"host_dmax\" must be at most 366d; \"0s\" is never"));
        }
        let mut word = |key: &'static str, default: &str| match table.take(key) {
            Some(given) => given.text(),
            None => Ok(default.to_owned()),
        };
        let name = word("cluster", "unspecified")?;
        let cluster = Cluster {
            name,
            owner: word("owner", "")?,
            latlong: word("latlong", "")?,
            url: word("url", "")?,
            location: word("location", "")?,
        };
        let interface = table.take("interface").map(|given| given.text()).transpose()?;
        let ask_port = match table.take("ask_port") {
            Some(given) => {
                let port = given.count()?;
                u16::try_from(port).map_err(|_| given.error("\"ask_port\" must be a port, at most 65535"))?
            }
            None => GANGLIA_PORT,
        };
        table.finish(&GmondConf::KEYS)?;
        if cluster.name.is_empty() {
            return Err(ConfError::new(file, 0, "\"cluster\" must not be empty"));
        }
        Ok(GmondConf { udp, tcp, interface, allow, poll, poll_every, cluster, host_dmax, ask_port })
    }

    /// Whether somebody may send and read.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|net| net.contains(address))
    }
}

/// ganglia knows no token, so whoever reaches a port may send and read: off loopback that has to be meant.
fn check_reach(address: SocketAddr, open: bool, multicast: bool) -> Result<(), String> {
    if address.ip().is_multicast() && !multicast {
        return Err(format!("{address} is a multicast group; XML is given out at an address of this host"));
    }
    if open || address.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "{address} can be reached from other hosts, and ganglia knows no token: say who may send and read, allow = \
         [\"10.0.0.0/8\"], or that anybody may, open = true"
    ))
}

/// A list of texts, or one text, each read.
fn list<T>(
    given: Option<&Given<'_>>,
    most: usize,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfError> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let texts = given.texts()?;
    if texts.len() > most {
        return Err(given.error(format_args!("{:?} has {} entries, more than {most}", given.key(), texts.len())));
    }
    texts.iter().map(|text| read(text).map_err(|why| given.error(format_args!("{:?}: {why}", given.key())))).collect()
}

fn time(table: &mut Table<'_>, key: &'static str, default: Duration) -> Result<Duration, ConfError> {
    table.take(key).map_or(Ok(default), |given| given.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<GmondConf, String> {
        GmondConf::parse(Path::new("conf/gmond.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_gmonds_ports_for_this_host() {
        let conf = parse("").unwrap();
        let own: SocketAddr = "127.0.0.1:8649".parse().unwrap();
        assert_eq!((conf.udp.as_slice(), conf.tcp.as_slice(), conf.poll.len()), (&[own][..], &[own][..], 0));
        assert_eq!(
            (conf.cluster.name.as_str(), conf.poll_every, conf.ask_port),
            ("unspecified", Duration::from_secs(15), 8649)
        );
        let conf = parse("poll = [\"web1\", \"web2:8650\"]\npoll_every = \"20s\"").unwrap();
        assert_eq!((conf.udp.len(), conf.tcp.len()), (0, 0), "what is said is all");
        assert_eq!(conf.poll, [("web1".to_owned(), 8649), ("web2".to_owned(), 8650)]);
    }

    #[test]
    fn a_whole_file() {
        let conf = parse(
            "plugin = \"gmond\"\nudp = [\"239.2.11.71\", \"0.0.0.0:8649\"]\ntcp = \"0.0.0.0:8649\"\nallow = [\"10.0.0.0/8\", \
             \"127.0.0.1\"]\ninterface = \"eth0\"\ncluster = \"web\"\nowner = \"ops\"\nlatlong = \"N1 W1\"\nurl = \"http://x/\"\n\
             location = \"1,2,3\"\nhost_dmax = \"1h\"\nask_port = 0\n",
        )
        .unwrap();
        assert_eq!((conf.udp.len(), conf.tcp.len(), conf.allow.len(), conf.ask_port), (2, 1, 2, 0));
        let may = |address: &str| conf.allows(address.parse().unwrap());
        assert!(may("10.9.9.9") && may("127.0.0.1") && !may("192.0.2.1"));
        assert_eq!((conf.cluster.location.as_str(), conf.host_dmax), ("1,2,3", Duration::from_secs(3_600)));
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("\nupd = 1", "conf/gmond.on:2: unknown key \"upd\"; did you mean \"udp\"?"),
            (
                "udp = \"0.0.0.0\"",
                "conf/gmond.on:1: \"udp\": 0.0.0.0:8649 can be reached from other hosts, and ganglia knows no token",
            ),
            ("tcp = \"239.2.11.71\"", "conf/gmond.on:1: \"tcp\": 239.2.11.71:8649 is a multicast group"),
            ("udp = \"239.2.11.71\"", "conf/gmond.on:1: \"udp\": 239.2.11.71:8649 can be reached"),
            ("udp = 8649", "conf/gmond.on:1: \"udp\" must be text or a list of texts, not a whole number"),
            (
                "udp = [\"127.0.0.1\", 7]",
                "conf/gmond.on:1: \"udp\" must be text or a list of texts, not a whole number",
            ),
            ("udp = \"web1\"", "conf/gmond.on:1: \"udp\": must be an address such as"),
            ("allow = [\"10\"]", "conf/gmond.on:1: \"allow\": must be an address or a network"),
            ("open = 1", "conf/gmond.on:1: \"open\" must be true or false, not a whole number"),
            ("poll = \"http://x\"", "conf/gmond.on:1: \"poll\": must be a host such as"),
            ("poll_every = \"1ms\"", "conf/gmond.on: \"poll_every\" must be between 1s and 1d"),
            ("ask_port = 70000", "conf/gmond.on:1: \"ask_port\" must be a port"),
            ("cluster = \"\"", "conf/gmond.on: \"cluster\" must not be empty"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
        assert!(parse("udp = \"0.0.0.0\"\nopen = true").is_ok());
    }
}
