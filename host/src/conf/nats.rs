//! Where a stream of NATS is, for relays that send to it and for those that read from it.

use super::error::ConfError;
use super::file::read_text;
use super::net;
use super::relay::RelayTls;
use super::table::{Given, Source, Table};
use crate::limits::{
    NATS_REPLICAS_MAX, NATS_STREAM_AGE, NATS_STREAM_AGE_MIN, NATS_STREAM_BYTES, NATS_STREAM_BYTES_MIN,
    RELAY_TARGETS_MAX,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port of NATS.
pub const NATS_PORT: u16 = 4222;

/// What is called so unless the `.on` says otherwise: the stream, and what its subjects begin with.
const NAME: &str = "graftd";

/// The longest name of a stream or subject, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// How the addresses of servers begin, and whether they are spoken to by TLS.
const SCHEMES: [(&str, bool); 2] = [("nats://", false), ("tls://", true)];

/// A stream, and how it is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct NatsConf {
    /// Servers of one cluster, host and port: any of them will do.
    pub servers: Vec<(String, u16)>,
    /// The stream's name.
    pub stream: String,
    /// What the subjects of entries begin with.
    pub subject: String,
    /// Who this is to the server, by a name; `token_file` has the password then.
    pub user: Option<String>,
    /// A file with a token, or a password.
    pub token_file: Option<PathBuf>,
    /// A file as `nsc` makes it (`.creds`): a JWT and the seed of a key.
    pub credentials_file: Option<PathBuf>,
    /// What is believed of a server that is spoken to by TLS; `None` without.
    pub tls: Option<RelayTls>,
    /// What a stream may hold that is made here.
    pub limits: StreamLimits,
}

/// What a stream may hold that is made here; one that is there is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes.
    pub bytes: u64,
    /// How old an entry gets.
    pub age: Duration,
    /// On how many servers each entry is.
    pub replicas: usize,
}

impl NatsConf {
    /// The keys of a `.on` that are for NATS alone.
    pub(super) const KEYS: [&'static str; 7] =
        ["stream", "subject", "user", "credentials_file", "stream_bytes", "stream_age", "replicas"];

    /// The keys that the `.on` of the built-in module `nats` knows.
    const FROM_KEYS: [&'static str; 13] = [
        "plugin",
        "from",
        "stream",
        "subject",
        "user",
        "token_file",
        "credentials_file",
        "tls",
        "ca",
        "cert",
        "key",
        "stream_bytes",
        "stream_age",
    ];

    /// Whether an address is one of NATS.
    pub(super) fn is_address(text: &str) -> bool {
        SCHEMES.iter().any(|(scheme, _)| text.starts_with(scheme))
    }

    /// Reads the text of the `.on` of the built-in module `nats`, which reads from a stream.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<NatsConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let _ = table.take("plugin");
        let Some(given) = table.take("from") else {
            let why =
                "\"from\" is missing: the server of NATS to read from, as in from = \"nats://nats.example.net:4222\"";
            return Err(ConfError::new(file, 0, why));
        };
        let texts = given.texts()?;
        let base = file.parent().unwrap_or(Path::new("."));
        let token_file = table.take("token_file").map(|given| given.text()).transpose()?.map(|text| base.join(text));
        let conf = NatsConf::read(&mut table, base, &given, &texts, token_file)?;
        // Known here, and of no use.
        table.finish(&[&NatsConf::FROM_KEYS[..], &["replicas"]].concat())?;
        Ok(conf)
    }

    /// Reads the keys; `given` is the one that has the servers' addresses, `base` where files are that are not absolute.
    pub(super) fn read(
        table: &mut Table<'_>,
        base: &Path,
        given: &Given<'_>,
        texts: &[String],
        token_file: Option<PathBuf>,
    ) -> Result<NatsConf, ConfError> {
        let (servers, by_tls) = servers(texts).map_err(|why| given.error(format_args!("{:?}: {why}", given.key())))?;
        let mut name = |key| match table.take(key) {
            None => Ok(NAME.to_owned()),
            Some(given) => match given.text()? {
                name if is_name(&name, key == "subject") => Ok(name),
                _ => Err(given.error(format_args!(
                    "{key:?} must have 1 to {NAME_BYTES_MAX} letters, digits, - and _, such as \"{NAME}\""
                ))),
            },
        };
        let (stream, subject) = (name("stream")?, name("subject")?);
        let user = table.take("user");
        if let (Some(given), None) = (&user, &token_file) {
            return Err(given.error("\"user\" needs \"token_file\" too: the file with the password"));
        }
        let credentials = table.take("credentials_file");
        if let (Some(given), Some(_)) = (&credentials, &token_file) {
            return Err(
                given.error("\"credentials_file\" and \"token_file\" are two ways to say who this is: name one")
            );
        }
        let tls = RelayTls::read(table, base, by_tls)?;
        if tls.as_ref().is_some_and(|tls| tls.server_name.is_some()) {
            return Err(given.error("\"server_name\" is not for NATS: name the servers as their certificates do"));
        }
        let limits = StreamLimits::read(table)?;
        let user = user.map(|given| given.text()).transpose()?;
        let credentials_file = credentials.map(|given| given.text()).transpose()?.map(|text| base.join(text));
        Ok(NatsConf { servers, stream, subject, user, token_file, credentials_file, tls, limits })
    }

    /// Says that keys for NATS stand where none is spoken of.
    pub(super) fn refuse(table: &mut Table<'_>) -> Result<(), ConfError> {
        match NatsConf::KEYS.into_iter().find_map(|key| table.take(key)) {
            Some(given) => Err(given.error(format_args!("{:?} is for to = \"nats://…\"", given.key()))),
            None => Ok(()),
        }
    }

    /// The files that it names, with their keys.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        let named = [("token_file", &self.token_file), ("credentials_file", &self.credentials_file)];
        let named = named.into_iter().filter_map(|(key, file)| Some((key, file.as_deref()?)));
        named.chain(self.tls.iter().flat_map(RelayTls::files)).collect()
    }

    /// The token or password, if there is to be one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn read_token(&self) -> Result<Option<String>, String> {
        self.token_file.as_deref().map(|file| read_secret(file, "token_file")).transpose()
    }

    /// The text of the credentials, if there are to be any.
    ///
    /// # Errors
    /// Their file cannot be read.
    pub(crate) fn read_credentials(&self) -> Result<Option<String>, String> {
        self.credentials_file.as_deref().map(|file| read_secret(file, "credentials_file")).transpose()
    }
}

impl StreamLimits {
    fn read(table: &mut Table<'_>) -> Result<StreamLimits, ConfError> {
        let mut limits = StreamLimits { bytes: NATS_STREAM_BYTES, age: NATS_STREAM_AGE, replicas: 1 };
        if let Some(given) = table.take("stream_bytes") {
            limits.bytes = given.size()?;
            if limits.bytes < NATS_STREAM_BYTES_MIN || i64::try_from(limits.bytes).is_err() {
                return Err(given.error("\"stream_bytes\" must be 64MiB or more"));
            }
        }
        if let Some(given) = table.take("stream_age") {
            limits.age = given.duration()?;
            if limits.age < NATS_STREAM_AGE_MIN {
                return Err(given.error("\"stream_age\" must be 2m or more"));
            }
        }
        if let Some(given) = table.take("replicas") {
            let replicas = given.count()?;
            if !(1..=NATS_REPLICAS_MAX).contains(&replicas) {
                return Err(given.error(format_args!("\"replicas\" must be between 1 and {NATS_REPLICAS_MAX}")));
            }
            limits.replicas = replicas as usize;
        }
        Ok(limits)
    }
}

/// What a file of one secret holds.
fn read_secret(file: &Path, key: &str) -> Result<String, String> {
    let told = |why: &dyn std::fmt::Display| format!("{key} {}: {why}", file.display());
    let open = std::fs::File::open(file).map_err(|error| told(&error))?;
    let text = read_text(&open, file).map_err(|why| told(&why))?.trim().to_owned();
    if text.is_empty() { Err(told(&"there is nothing in it")) } else { Ok(text) }
}

/// Servers, and whether they are spoken to by TLS.
fn servers(texts: &[String]) -> Result<(Vec<(String, u16)>, bool), String> {
    let one = |text: &String| {
        let found = SCHEMES.iter().find_map(|(scheme, tls)| Some((text.strip_prefix(scheme)?, *tls)));
        let (rest, tls) =
            found.ok_or_else(|| format!("must be servers such as \"nats://nats1:{NATS_PORT}\", not {text:?}"))?;
        // The way in which they are written elsewhere.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("a name and a password do not stand in an address: write user and token_file".to_owned());
        }
        let bare = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(rest);
        net::host_and_port(bare, NATS_PORT).map(|server| (server, tls))
    };
    let found = texts.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    let by_tls = found.first().is_some_and(|(_, tls)| *tls);
    if found.is_empty() || found.len() > RELAY_TARGETS_MAX || found.iter().any(|(_, tls)| *tls != by_tls) {
        return Err(format!("must be 1 to {RELAY_TARGETS_MAX} servers, all with nats:// or all with tls://"));
    }
    Ok((found.into_iter().map(|(server, _)| server).collect(), by_tls))
}

/// Whether it may name a stream, or (with dots) a subject.
fn is_name(name: &str, dots: bool) -> bool {
    let token =
        |token: &str| !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    name.len() <= NAME_BYTES_MAX && if dots { name.split('.').all(token) } else { token(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::RelayConf;

    fn parse(text: &str) -> Result<NatsConf, String> {
        NatsConf::parse(Path::new("/conf/nats.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let conf = parse("from = \"nats://bus\"").unwrap();
        assert_eq!(conf.servers, [("bus".to_owned(), 4222)]);
        assert_eq!((conf.stream.as_str(), conf.subject.as_str(), &conf.tls), ("graftd", "graftd", &None));
        let same = RelayConf::parse(Path::new("/conf/relay.on"), "to = \"nats://bus\"").unwrap();
        assert_eq!(same.nats.as_deref(), Some(&conf));
        assert!(same.to.is_empty());
    }

    #[test]
    fn a_whole_file() {
        let conf = parse(
            "plugin = \"nats\"\nfrom = [\"tls://a:1\", \"tls://[::1]:2/\"]\nstream = \"S_1\"\nsubject = \"site.a\"\nuser = \
             \"me\"\ntoken_file = \"pass\"\nca = \"ca.pem\"\nstream_bytes = \"1GiB\"\nstream_age = \"24h\"\nreplicas = 3",
        )
        .unwrap();
        assert_eq!(conf.servers, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert_eq!((conf.stream.as_str(), conf.subject.as_str(), conf.user.as_deref()), ("S_1", "site.a", Some("me")));
        assert_eq!(conf.token_file.as_deref(), Some(Path::new("/conf/pass")));
        assert_eq!(conf.files(), [("token_file", Path::new("/conf/pass")), ("ca", Path::new("/conf/ca.pem"))]);
        assert_eq!(conf.limits, StreamLimits { bytes: 1 << 30, age: Duration::from_secs(86_400), replicas: 3 });
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("", "/conf/nats.on: \"from\" is missing"),
            ("from = []", "/conf/nats.on:1: \"from\": must be 1 to"),
            ("from = \"bus:4222\"", "/conf/nats.on:1: \"from\": must be servers such as"),
            ("from = [\"nats://a\", \"tls://b\"]", "/conf/nats.on:1: \"from\": must be 1 to"),
            ("from = \"nats://me:word@a\"", "/conf/nats.on:1: \"from\": a name and a password do not"),
            ("from = \"nats://a\"\nstream = \"a b\"", "/conf/nats.on:2: \"stream\" must have"),
            ("from = \"nats://a\"\nstream = \"a.b\"", "/conf/nats.on:2: \"stream\" must have"),
            ("from = \"nats://a\"\nsubject = \"a.>\"", "/conf/nats.on:2: \"subject\" must have"),
            ("from = \"nats://a\"\nca = \"x\"", "/conf/nats.on:2: \"ca\" is for tls = true"),
            ("from = \"nats://a\"\nuser = \"x\"", "/conf/nats.on:2: \"user\" needs"),
            (
                "from = \"nats://a\"\ntoken_file = \"x\"\ncredentials_file = \"y\"",
                "/conf/nats.on:3: \"credentials_file\" and",
            ),
            ("from = \"nats://a\"\nstream_bytes = 1", "/conf/nats.on:2: \"stream_bytes\" must be"),
            ("from = \"nats://a\"\nstream_age = \"1s\"", "/conf/nats.on:2: \"stream_age\" must be"),
            ("from = \"nats://a\"\nreplicas = 0", "/conf/nats.on:2: \"replicas\" must be"),
            (
                "from = \"nats://a\"\nstraem = \"x\"",
                "/conf/nats.on:2: unknown key \"straem\"; did you mean \"stream\"?",
            ),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
        for (text, want) in [
            ("to = \"a\"\nstream = \"x\"", "/conf/relay.on:2: \"stream\" is for to = "),
            ("to = [\"a\", \"nats://b\"]", "/conf/relay.on:1: \"to\": must be servers such as"),
        ] {
            let said = RelayConf::parse(Path::new("/conf/relay.on"), text).unwrap_err().to_string();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
