//! `graftd.conf`: the daemon itself.

use super::engine::{self, EngineConf, StoreConf};
use super::error::ConfError;
use super::file::beside;
use super::intake::IntakeLimits;
use super::table::{Source, Table};
use super::tls::TlsFiles;
use crate::tree::Limits;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Where tokens are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFiles {
    /// One that allows everything.
    pub all: Option<PathBuf>,
    /// One that allows to read.
    pub read: Option<PathBuf>,
    /// One that allows to push and to switch.
    pub write: Option<PathBuf>,
}

/// What the daemon is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// All there is.
    #[default]
    Server,
    /// It measures and sends: it has no pages and keeps no history.
    Agent,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        match text {
            "server" => Ok(Role::Server),
            "agent" => Ok(Role::Agent),
            _ => Err(format!("\"role\" must be \"server\" or \"agent\", not {text:?}")),
        }
    }
}

/// How the daemon itself is to run.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonConf {
    /// What it is for.
    pub role: Role,
    /// The folder from which the pages are served, in place of the program's own. The command line names it, no file does.
    pub web: Option<PathBuf>,
    /// The host's name in paths; by default the system's.
    pub host: Option<String>,
    /// How often pipes flush and subscribers are told.
    pub tick: Duration,
    /// How often the history is written.
    pub commit: Duration,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where pushes by TCP and UDP are taken.
    pub push: SocketAddr,
    /// Where relays connect; none unless given.
    pub relay: Option<SocketAddr>,
    /// The files with the tokens that reading, pushing and switching ask for.
    pub tokens: TokenFiles,
    /// The certificate that HTTP and pushes by TCP show; none, and they are without TLS.
    pub tls: Option<TlsFiles>,
    /// What bounds the tree.
    pub limits: TreeLimits,
    /// What bounds those who push and ask.
    pub intake: IntakeLimits,
    /// How long history is kept.
    pub trend: TrendConf,
    /// Where.
    pub engine: EngineConf,
}

/// How long history is kept, by its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrendConf {
    /// Each value that was committed.
    pub raw: Duration,
    /// What the samples of a minute came to.
    pub minute: Duration,
    /// Those of ten minutes.
    pub ten_minutes: Duration,
    /// Those of a day.
    pub day: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

/// No step is kept for longer.
const KEPT_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

impl Default for TrendConf {
    fn default() -> TrendConf {
        TrendConf { raw: DAY * 2, minute: DAY * 30, ten_minutes: DAY * 366, day: DAY * 3_653 }
    }
}

/// What bounds the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Nodes in the whole tree.
    pub nodes: usize,
    /// Nodes below one key of the root.
    pub branch_nodes: usize,
}

impl From<TreeLimits> for Limits {
    fn from(limits: TreeLimits) -> Limits {
        Limits { nodes_max: limits.nodes, branch_nodes_max: limits.branch_nodes, ..Limits::default() }
    }
}

impl Default for DaemonConf {
    fn default() -> DaemonConf {
        let Limits { nodes_max, branch_nodes_max, .. } = Limits::default();
        DaemonConf {
            role: Role::default(),
            web: None,
            host: None,
            tick: Duration::from_secs(1),
            commit: Duration::from_secs(10),
            http: SocketAddr::from(([127, 0, 0, 1], 8650)),
            push: SocketAddr::from(([127, 0, 0, 1], 8651)),
            relay: None,
            tokens: TokenFiles::default(),
            tls: None,
            limits: TreeLimits { nodes: nodes_max, branch_nodes: branch_nodes_max },
            intake: IntakeLimits::default(),
            trend: TrendConf::default(),
            engine: EngineConf::default(),
        }
    }
}

impl DaemonConf {
    /// The host's name in paths: as configured, else the system's.
    #[must_use]
    pub fn host_name(&self) -> String {
        let system = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = self.host.clone().or_else(system).map(|name| name.trim().to_owned());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
    }

    const KEYS: [&'static str; 13] = [
        "role",
        "host",
        "tick",
        "commit",
        "http",
        "push",
        "relay",
        "token_file",
        "read_token_file",
        "write_token_file",
        "limits",
        "tls",
        "trend",
    ];

    /// Reads the text of `graftd.conf`; what it does not say has its default.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<DaemonConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let mut conf = DaemonConf::default();
        if let Some(given) = table.take("role") {
            conf.role = given.text()?.parse().map_err(|why: String| given.error(why))?;
        }
        if let Some(given) = table.take("host") {
            let host = given.text()?;
            if host.is_empty() {
                return Err(given.error("\"host\" must not be empty"));
            }
            conf.host = Some(host);
        }
        // A sketch's last minute is cut into twelve slices of whole ticks.
        for (key, place, most, written) in [
            ("tick", &mut conf.tick, Duration::from_secs(5), "5s"),
            ("commit", &mut conf.commit, Duration::from_secs(3_600), "1h"),
        ] {
            if let Some(given) = table.take(key) {
                *place = given.duration()?;
                if !(Duration::from_millis(10)..=most).contains(place) {
                    return Err(given.error(format_args!("{key:?} must be between 10ms and {written}")));
                }
            }
        }
        for (key, place) in [("http", &mut conf.http), ("push", &mut conf.push)] {
            if let Some(given) = table.take(key) {
                *place = address(key, &given.text()?).map_err(|why| given.error(why))?;
            }
        }
        if let Some(given) = table.take("relay") {
            conf.relay = Some(address("relay", &given.text()?).map_err(|why| given.error(why))?);
        }
        for (key, place) in [
            ("token_file", &mut conf.tokens.all),
            ("read_token_file", &mut conf.tokens.read),
            ("write_token_file", &mut conf.tokens.write),
        ] {
            if let Some(given) = table.take(key) {
                *place = Some(beside(file, &given.text()?));
            }
        }
        conf.tls = TlsFiles::read(&mut table, file)?;
        let mut limits = table.table("limits")?;
        for (key, place) in [("nodes", &mut conf.limits.nodes), ("branch_nodes", &mut conf.limits.branch_nodes)] {
            if let Some(given) = limits.take(key) {
                // A node's place is a u32.
                *place =
                    usize::try_from(given.count()?).ok().filter(|n| (1_000..=1_000_000_000).contains(n)).ok_or_else(
                        || given.error(format_args!("{key:?} must be between 1,000 and 1,000,000,000 nodes")),
                    )?;
            }
        }
        conf.intake = IntakeLimits::read(&mut limits)?;
        limits.finish(&[&["nodes", "branch_nodes"][..], &IntakeLimits::KEYS].concat())?;
        let mut trend = table.table("trend")?;
        conf.engine = EngineConf::read(&mut trend, file)?;
        conf.trend.read(trend)?;
        table.finish(&DaemonConf::KEYS)?;
        Ok(conf)
    }
}

impl DaemonConf {
    /// The files that it names, with their keys.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        let TokenFiles { all, read, write } = &self.tokens;
        let tokens = [("token_file", all), ("read_token_file", read), ("write_token_file", write)];
        let store = self.engine.store.as_ref().map(|store| {
            let StoreConf { token_file, password_file, ca, .. } = store;
            [("[trend] token_file", token_file), ("[trend] password_file", password_file), ("[trend] ca", ca)]
        });
        let named = tokens.into_iter().chain(store.into_iter().flatten());
        let named = named.filter_map(|(key, file)| Some((key, file.as_deref()?)));
        let tls = self.tls.iter().flat_map(TlsFiles::each);
        named.chain(tls).collect()
    }
}

impl TrendConf {
    fn read(&mut self, mut trend: Table<'_>) -> Result<(), ConfError> {
        let mut finer = ("a day", DAY);
        for (key, place) in [
            ("raw", &mut self.raw),
            ("minute", &mut self.minute),
            ("ten_minutes", &mut self.ten_minutes),
            ("day", &mut self.day),
        ] {
            if let Some(given) = trend.take(key) {
                *place = given.duration()?;
                if *place < finer.1 || *place > KEPT_MAX {
                    return Err(given.error(format_args!(
                        "{key:?} must be at least as long as {} is kept, {} days, and at most 100 years",
                        finer.0,
                        finer.1.as_secs() / DAY.as_secs(),
                    )));
                }
            }
            // What is longer is made of it: it would be gone before its time.
            *place = (*place).max(finer.1);
            finer = (key, *place);
        }
        trend.finish(&[["raw", "minute", "ten_minutes", "day"].as_slice(), &engine::KEYS].concat())
    }
}

fn address(key: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{key:?} must be an address and a port such as \"127.0.0.1:8650\" or \"[::1]:8650\", not {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DaemonConf, String> {
        DaemonConf::parse(Path::new("graftd.conf"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        assert_eq!(parse("").unwrap(), DaemonConf::default());
        let conf = parse("tick = \"200ms\"\nhttp = \"[::1]:0\"\n[limits]\nnodes = 5_000\n").unwrap();
        assert_eq!((conf.tick.as_millis(), conf.http.port(), conf.limits.nodes), (200, 0, 5_000));
    }

    #[test]
    fn files_that_are_not_absolute_lie_beside_it() {
        let text = "token_file = \"all\"\nread_token_file = \"/r\"\nwrite_token_file = \"../w\"\n[tls]\ncert = \"c\"\nkey = \"tls/k\"";
        let conf = DaemonConf::parse(Path::new("/etc/graftd/graftd.conf"), text).unwrap();
        let at = |path: &str| Some(PathBuf::from(path));
        let TokenFiles { all, read, write } = conf.tokens;
        assert_eq!((all, read, write), (at("/etc/graftd/all"), at("/r"), at("/etc/graftd/../w")));
        let tls = conf.tls.unwrap();
        assert_eq!((Some(tls.cert), Some(tls.key)), (at("/etc/graftd/c"), at("/etc/graftd/tls/k")));
        let here = std::env::current_dir().unwrap().join("conf/all");
        assert_eq!(DaemonConf::parse(Path::new("conf/graftd.conf"), text).unwrap().tokens.all, Some(here));
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("htp = \"x\"", "graftd.conf:1: unknown key \"htp\"; did you mean \"http\"?"),
            ("\nhttp = \"8650\"", "graftd.conf:2: \"http\" must be an address and a port such as"),
            ("tick = \"0s\"", "graftd.conf:1: \"tick\" must be between 10ms and 5s"),
            ("role = \"agnet\"", "graftd.conf:1: \"role\" must be \"server\" or \"agent\""),
            ("[limits]\nnodes = 7", "graftd.conf:2: \"nodes\" must be between 1,000 and"),
            ("[limits]\nnods = 7", "graftd.conf:2: unknown key \"nods\"; did you mean \"nodes\"?"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
