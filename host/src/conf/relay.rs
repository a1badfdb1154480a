//! The `.on` of the built-in module `relay`: to whom this daemon sends its deltas.

use super::error::ConfError;
use super::file::read_text;
use super::nats::NatsConf;
use super::net;
use super::table::{Given, Source, Table};
use crate::limits::{RELAY_BRANCHES_MAX, RELAY_EVERY, RELAY_SPOOL_BYTES, RELAY_SPOOL_BYTES_RANGE, RELAY_TARGETS_MAX};
use crate::tree::parse_plain;
use rustls::pki_types::ServerName;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port on which relays are taken.
pub const RELAY_PORT: u16 = 8652;

/// To whom is sent, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayConf {
    /// Receivers, host and port: one of them at a time, the first that answers.
    pub to: Vec<(String, u16)>,
    /// A stream of NATS that is sent to; `to` is empty then.
    pub nats: Option<Box<NatsConf>>,
    /// By what name this daemon goes there; the host's unless given.
    pub host: Option<String>,
    /// What all hangs below there.
    pub prefix: Vec<String>,
    /// The file with the token that the receiver asks for.
    pub token_file: Option<PathBuf>,
    /// What is believed of the receiver, where it is spoken to by TLS.
    pub tls: Option<RelayTls>,
    /// Which branches are sent; all if there are none.
    pub branches: Vec<Vec<String>>,
    /// How often what changed is committed and sent.
    pub every: Duration,
    /// Bytes of what waits to be sent.
    pub spool_bytes: u64,
    /// Lines of logs that are not folded by their hosts are not folded here either.
    pub raw: bool,
}

/// Whom a relay believes that speaks TLS, and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayTls {
    /// Certificates of the authorities that are believed; what the system believes unless given.
    pub ca: Option<PathBuf>,
    /// What the receiver's certificate is to be for; the host in `to` unless given.
    pub server_name: Option<String>,
    /// A certificate of its own and the key of that, for receivers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl RelayTls {
    /// The files that it names, with their keys.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let identity = self.identity.as_ref();
        let named = [
            ("ca", self.ca.as_deref()),
            ("cert", identity.map(|(cert, _)| &**cert)),
            ("key", identity.map(|(_, key)| &**key)),
        ];
        named.into_iter().filter_map(|(key, file)| Some((key, file?)))
    }

    /// Reads the keys; `base` is where files are that are not absolute. TLS is spoken where `always`, or where they say so.
    pub(super) fn read(table: &mut Table<'_>, base: &Path, always: bool) -> Result<Option<RelayTls>, ConfError> {
        let wanted = table.take("tls").map(|given| given.flag()).transpose()?.unwrap_or(false) || always;
        let (ca, name) = (table.take("ca"), table.take("server_name"));
        let (cert, key) = (table.take("cert"), table.take("key"));
        if !wanted {
            // Nobody is to think that it is encrypted.
            return match ca.or(name).or(cert).or(key) {
                Some(given) => Err(given.error(format_args!("{:?} is for tls = true", given.key()))),
                None => Ok(None),
            };
        }
        let file = |given: &Given<'_>| given.text().map(|text| base.join(text));
        let server_name = match &name {
            Some(given) => Some(given.text()?).map(|text| match ServerName::try_from(text.as_str()) {
                Ok(_) => Ok(text),
                Err(_) => {
                    Err(given.error("\"server_name\" must be a name or an address, such as \"stats.example.net\""))
                }
            }),
            None => None,
        };
        let identity = match (&cert, &key) {
            (Some(cert), Some(key)) => Some((file(cert)?, file(key)?)),
            (None, None) => None,
            (Some(given), None) => return Err(given.error("\"cert\" needs \"key\" too")),
            (None, Some(given)) => return Err(given.error("\"key\" needs \"cert\" too")),
        };
        let (ca, server_name) = (ca.as_ref().map(file).transpose()?, server_name.transpose()?);
        Ok(Some(RelayTls { ca, server_name, identity }))
    }
}

impl RelayConf {
    /// The keys that it knows.
    pub const KEYS: [&'static str; 14] = [
        "plugin",
        "to",
        "host",
        "prefix",
        "token_file",
        "tls",
        "ca",
        "server_name",
        "cert",
        "key",
        "branches",
        "every",
        "spool",
        "raw",
    ];

    /// Reads the text of the `.on`. A file in it that is not absolute is looked for in the folder of that.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<RelayConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let _ = table.take("plugin");
        let Some(given) = table.take("to") else {
            let why = "\"to\" is missing: which graftd is to receive, as in to = \"stats.example.net:8652\"";
            return Err(ConfError::new(file, 0, why));
        };
        let texts = given.texts()?;
        let by_nats = texts.iter().any(|text| NatsConf::is_address(text));
        let to = texts.iter().filter(|_| !by_nats).map(|text| net::host_and_port(text, RELAY_PORT));
        let to = to.collect::<Result<Vec<_>, _>>().map_err(|why| given.error(format_args!("\"to\": {why}")))?;
        if texts.is_empty() || to.len() > RELAY_TARGETS_MAX {
            return Err(given.error(format_args!("\"to\" must name 1 to {RELAY_TARGETS_MAX} receivers")));
        }
        let host = table.take("host").map(|given| match given.text()? {
            name if name.is_empty() || name.len() > 255 => Err(given.error("\"host\" must have 1 to 255 bytes")),
            name => Ok(name),
        });
        let host = host.transpose()?;
        let keys = |text: &str| -> Result<Vec<String>, String> {
            let keys = parse_plain(text).map_err(|error| error.to_string())?;
            if keys.is_empty() {
                return Err(format!("{text:?} is no path such as \"site-a\" or \"cpu,web1\""));
            }
            Ok(keys.iter().map(|key| key.to_string()).collect())
        };
        let prefix = match table.take("prefix") {
            Some(given) => keys(&given.text()?).map_err(|why| given.error(format_args!("\"prefix\": {why}")))?,
            None => Vec::new(),
        };
        let base = file.parent().unwrap_or(Path::new("."));
        let token_file = table.take("token_file").map(|given| given.text()).transpose()?.map(|text| base.join(text));
        let (tls, nats) = if by_nats {
            (None, Some(Box::new(NatsConf::read(&mut table, base, &given, &texts, token_file.clone())?)))
        } else {
            NatsConf::refuse(&mut table)?;
            (RelayTls::read(&mut table, base, false)?, None)
        };
        let mut branches = Vec::new();
        if let Some(given) = table.take("branches") {
            for text in given.texts()? {
                branches.push(keys(&text).map_err(|why| given.error(format_args!("\"branches\": {why}")))?);
            }
            if branches.len() > RELAY_BRANCHES_MAX {
                return Err(given.error(format_args!("\"branches\" must be at most {RELAY_BRANCHES_MAX}")));
            }
        }
        let mut every = RELAY_EVERY;
        if let Some(given) = table.take("every") {
            every = given.duration()?;
            if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&every) {
                return Err(given.error("\"every\" must be between 100ms and 60s"));
            }
        }
        let mut spool_bytes = RELAY_SPOOL_BYTES;
        if let Some(given) = table.take("spool") {
            spool_bytes = given.size()?;
            if !RELAY_SPOOL_BYTES_RANGE.contains(&spool_bytes) {
                return Err(given.error("\"spool\" must be between 64KiB and 1TiB"));
            }
        }
        let raw = match table.take("raw") {
            Some(given) => match given.text()?.as_str() {
                "pass" if !branches.is_empty() => {
                    return Err(
                        given.error("\"raw\" is for a relay without \"branches\": what lines make is not known here")
                    );
                }
                "pass" if nats.is_some() => {
                    return Err(given.error(
                        "\"raw\" must be \"fold\" where \"to\" is a stream of NATS: lines as they are do not go there",
                    ));
                }
                "pass" => true,
                "fold" => false,
                other => return Err(given.error(format_args!("\"raw\" must be \"pass\" or \"fold\", not {other:?}"))),
            },
            None => branches.is_empty() && nats.is_none(),
        };
        table.finish(&[&RelayConf::KEYS[..], &NatsConf::KEYS].concat())?;
        Ok(RelayConf { to, nats, host, prefix, token_file, tls, branches, every, spool_bytes, raw })
    }

    /// The files that it names, with their keys.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        if let Some(nats) = &self.nats {
            return nats.files();
        }
        let named = self.token_file.as_deref().map(|file| ("token_file", file)).into_iter();
        named.chain(self.tls.iter().flat_map(RelayTls::files)).collect()
    }

    /// The token, if there is to be one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn read_token(&self) -> Result<Option<String>, String> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let told = |why: &dyn std::fmt::Display| format!("token_file {}: {why}", file.display());
        let open = std::fs::File::open(file).map_err(|error| told(&error))?;
        let token = read_text(&open, file).map_err(|why| told(&why))?.trim().to_owned();
        if token.is_empty() {
            return Err(told(&"there is no token in it"));
        }
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RelayConf, String> {
        RelayConf::parse(Path::new("/conf/relay.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let conf = parse("to = \"stats\"").unwrap();
        assert_eq!(conf.to, [("stats".to_owned(), 8652)]);
        assert_eq!((conf.host, conf.prefix.len(), conf.branches.len(), conf.token_file), (None, 0, 0, None));
        assert_eq!((conf.every, conf.spool_bytes, conf.raw), (Duration::from_secs(1), 256 << 20, true));
    }

    #[test]
    fn lines_pass_unless_they_are_folded_or_branches_are_named() {
        for (more, want) in [("raw = \"pass\"", true), ("raw = \"fold\"", false), ("branches = \"status\"", false)] {
            assert_eq!(parse(&format!("to = \"a\"\n{more}")).unwrap().raw, want, "{more}");
        }
        assert!(!parse("to = \"nats://a\"").unwrap().raw);
        assert!(parse("to = \"nats://a\"\nraw = \"pass\"").unwrap_err().contains("a stream of NATS"));
        assert!(parse("to = \"a\"\nraw = \"on\"").unwrap_err().starts_with("/conf/relay.on:2: \"raw\" must be"));
        assert!(parse("to = \"a\"\nbranches = \"x\"\nraw = \"pass\"").unwrap_err().contains("without \"branches\""));
    }

    #[test]
    fn a_whole_file() {
        let conf = parse(
            "plugin = \"relay\"\nto = [\"a:1\", \"::1\"]\nhost = \"web1\"\nprefix = \"site,a%2Cb\"\ntoken_file = \
             \"token\"\nbranches = [\"status\", \"cpu,web1\"]\nevery = \"5s\"\nspool = \"1GiB\"",
        )
        .unwrap();
        assert_eq!(conf.to, [("a".to_owned(), 1), ("::1".to_owned(), 8652)]);
        assert_eq!(conf.prefix, ["site", "a,b"]);
        assert_eq!(conf.branches, [vec!["status".to_owned()], vec!["cpu".to_owned(), "web1".to_owned()]]);
        assert_eq!(conf.token_file.as_deref(), Some(Path::new("/conf/token")));
    }

    #[test]
    fn tls_is_all_or_nothing() {
        assert_eq!(parse("to = \"a\"\ntls = false").unwrap().tls, None);
        assert_eq!(parse("to = \"a\"\ntls = true").unwrap().tls, Some(RelayTls::default()));
        let text = "to = \"a\"\ntls = true\nca = \"ca.pem\"\nserver_name = \"x.example\"\ncert = \"/c\"\nkey = \"k\"";
        let tls = RelayTls {
            ca: Some("/conf/ca.pem".into()),
            server_name: Some("x.example".to_owned()),
            identity: Some(("/c".into(), "/conf/k".into())),
        };
        assert_eq!(parse(text).unwrap().tls, Some(tls));
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("", "/conf/relay.on: \"to\" is missing"),
            ("to = []", "/conf/relay.on:1: \"to\" must name 1 to"),
            ("to = \"http://x\"", "/conf/relay.on:1: \"to\": must be a host such as"),
            ("to = \"a\"\nspol = \"1GiB\"", "/conf/relay.on:2: unknown key \"spol\"; did you mean \"spool\"?"),
            ("to = \"a\"\nspool = \"1B\"", "/conf/relay.on:2: \"spool\" must be between"),
            ("to = \"a\"\nevery = \"1ms\"", "/conf/relay.on:2: \"every\" must be between"),
            ("to = \"a\"\nprefix = \"a,,b\"", "/conf/relay.on:2: \"prefix\": "),
            ("to = \"a\"\nbranches = [\"*\"]", "/conf/relay.on:2: \"branches\": "),
            ("to = \"a\"\nca = \"x\"", "/conf/relay.on:2: \"ca\" is for tls = true"),
            ("to = \"a\"\ntls = \"yes\"", "/conf/relay.on:2: "),
            ("to = \"a\"\ntls = true\nkey = \"x\"", "/conf/relay.on:3: \"key\" needs \"cert\" too"),
            ("to = \"a\"\ntls = true\nserver_name = \"a b\"", "/conf/relay.on:3: \"server_name\" must be a name"),
            ("to = \"a\"\nhost = \"\"", "/conf/relay.on:2: \"host\" must have"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
