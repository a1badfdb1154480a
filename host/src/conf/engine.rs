//! `[trend]` of `graftd.conf`: where history is kept, and how a store of Prometheus' kind is reached.

use super::error::ConfError;
use super::file::beside;
use super::table::Table;
use crate::limits::{STORE_BUFFER_BYTES, STORE_BUFFER_BYTES_RANGE, STORE_HEADERS_MAX};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ureq::http::{HeaderName, HeaderValue, Uri};

/// Where the history of numbers is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConf {
    /// In the daemon's own file.
    pub own: bool,
    /// In a store beside it, or instead.
    pub store: Option<StoreConf>,
}

impl Default for EngineConf {
    fn default() -> EngineConf {
        EngineConf { own: true, store: None }
    }
}

/// A store that takes Prometheus' remote write and answers its queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConf {
    /// Where samples are written, such as `http://127.0.0.1:9090/api/v1/write`.
    pub write: String,
    /// Where they are asked for: what stands before `/api/v1/query`. None where nobody asks.
    pub read: Option<String>,
    /// What is sent along with each request.
    pub headers: BTreeMap<String, String>,
    /// The file with the token that is sent as `Authorization: Bearer TOKEN`.
    pub token_file: Option<PathBuf>,
    /// The file with `NAME:PASSWORD`, sent as `Authorization: Basic`.
    pub password_file: Option<PathBuf>,
    /// The certificates that the store's must be signed by one of, as PEM; the system's unless given.
    pub ca: Option<PathBuf>,
    /// Bytes of what waits to be written there.
    pub buffer_bytes: u64,
}

/// The keys of `[trend]` that it reads.
pub(super) const KEYS: [&str; 8] =
    ["engine", "write", "read", "headers", "token_file", "password_file", "ca", "buffer"];

/// The headers that are the daemon's own.
const OWN_HEADERS: [&str; 6] =
    ["authorization", "host", "content-type", "content-encoding", "content-length", "transfer-encoding"];

impl EngineConf {
    /// Takes its keys off the table. A file that is not absolute is looked for in the folder of the table's.
    pub(super) fn read(trend: &mut Table<'_>, file: &Path) -> Result<EngineConf, ConfError> {
        let (mut own, mut store) = (true, false);
        let engine = trend.take("engine");
        if let Some(given) = &engine {
            (own, store) = (false, false);
            for name in given.texts()? {
                match &*name {
                    "sqlite" => own = true,
                    "prometheus" => store = true,
                    _ => {
                        return Err(given.error(format_args!(
                            "\"engine\" must be \"sqlite\", \"prometheus\" or a list of both, not {name:?}"
                        )));
                    }
                }
            }
            if !own && !store {
                return Err(given.error("\"engine\" must name \"sqlite\", \"prometheus\" or both"));
            }
        }
        if !store {
            for key in &KEYS[1..] {
                if let Some(given) = trend.take(key) {
                    return Err(given.error(format_args!("{key:?} is for engine = \"prometheus\" alone")));
                }
            }
            return Ok(EngineConf { own, store: None });
        }
        let missing = |key: &str, example: &str| match &engine {
            Some(given) => given.error(format_args!("{key:?} is missing, as in {key} = \"{example}\"")),
            None => ConfError::new(file, 0, format_args!("{key:?} is missing")),
        };
        let mut url = |key: &'static str| -> Result<Option<String>, ConfError> {
            let Some(given) = trend.take(key) else { return Ok(None) };
            let text = given.text()?;
            let is_url = text.parse::<Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some_and(|host| !host.is_empty())
                    && uri.authority().is_none_or(|authority| !authority.as_str().contains('@'))
            });
            if !is_url {
                return Err(given.error(format_args!(
                    "{key:?} must be an address such as \"http://127.0.0.1:9090\" without a password in it, not {text:?}"
                )));
            }
            Ok(Some(text))
        };
        let write = url("write")?.ok_or_else(|| missing("write", "http://127.0.0.1:9090/api/v1/write"))?;
        let read = url("read")?.map(|text| text.trim_end_matches('/').to_owned());
        if read.is_none() && !own {
            return Err(missing("read", "http://127.0.0.1:9090"));
        }
        let mut path = |key: &'static str| -> Result<Option<PathBuf>, ConfError> {
            trend.take(key).map(|given| Ok(beside(file, &given.text()?))).transpose()
        };
        let (token_file, password_file, ca) = (path("token_file")?, path("password_file")?, path("ca")?);
        if token_file.is_some() && password_file.is_some() {
            let why = "one of \"token_file\" and \"password_file\" is sent, not both";
            return Err(engine.as_ref().map_or_else(|| ConfError::new(file, 0, why), |given| given.error(why)));
        }
        let mut headers = BTreeMap::new();
        if let Some(given) = trend.take("headers") {
            for (name, value) in given.pairs()? {
                let is_header = name.parse::<HeaderName>().is_ok_and(|name| !OWN_HEADERS.contains(&name.as_str()));
                if !is_header || value.parse::<HeaderValue>().is_err() || headers.len() == STORE_HEADERS_MAX {
                    return Err(given.error(format_args!(
                        "\"headers\": {name:?} cannot be sent along: it is no header, one that the daemon sends itself, or one \
                         too many (at most {STORE_HEADERS_MAX})"
                    )));
                }
                headers.insert(name, value);
            }
        }
        let mut buffer_bytes = STORE_BUFFER_BYTES;
        if let Some(given) = trend.take("buffer") {
            buffer_bytes = given.size()?;
            if !STORE_BUFFER_BYTES_RANGE.contains(&buffer_bytes) {
                return Err(given.error("\"buffer\" must be between 64KiB and 1TiB"));
            }
        }
        Ok(EngineConf {
            own,
            store: Some(StoreConf { write, read, headers, token_file, password_file, ca, buffer_bytes }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::DaemonConf;
    use std::path::Path;

    fn parse(text: &str) -> Result<DaemonConf, String> {
        DaemonConf::parse(Path::new("/conf/graftd.conf"), text).map_err(|error| error.to_string())
    }

    const WRITE: &str = "write = \"http://m:9090/api/v1/write\"\n";

    #[test]
    fn a_store_beside_the_file_or_instead() {
        let engine = parse("[trend]\nraw = \"3d\"").unwrap().engine;
        assert_eq!((engine.own, engine.store), (true, None));
        let both = parse(&format!("[trend]\nengine = [\"prometheus\", \"sqlite\"]\n{WRITE}")).unwrap().engine;
        assert!(both.own);
        assert_eq!(both.store.unwrap().read, None);
        let text = format!(
            "[trend]\nengine = \"prometheus\"\n{WRITE}read = \"https://m/base/\"\nca = \"ca.pem\"\npassword_file = \
             \"/p\"\nbuffer = \"1MiB\"\nheaders = {{ X-Scope-OrgID = \"team\" }}"
        );
        let engine = parse(&text).unwrap().engine;
        let store = engine.store.unwrap();
        assert!(!engine.own);
        assert_eq!(store.read.as_deref(), Some("https://m/base"));
        assert_eq!(store.ca.as_deref(), Some(Path::new("/conf/ca.pem")));
        assert_eq!(store.password_file.as_deref(), Some(Path::new("/p")));
        assert_eq!(store.buffer_bytes, 1 << 20);
        assert_eq!(store.headers["X-Scope-OrgID"], "team");
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        let remote = "engine = \"prometheus\"";
        for (text, want) in [
            ("engine = \"influx\"".to_owned(), ":2: \"engine\" must be \"sqlite\", \"prometheus\""),
            ("engine = []".to_owned(), ":2: \"engine\" must name"),
            (WRITE.to_owned(), ":2: \"write\" is for engine = \"prometheus\" alone"),
            (remote.to_owned(), ":2: \"write\" is missing, as in write = \"http://"),
            (format!("{remote}\n{WRITE}"), ":2: \"read\" is missing, as in read = \"http://"),
            (format!("{remote}\nwrite = \"m:9090\""), ":3: \"write\" must be an address"),
            (format!("{remote}\nwrite = \"http://u:p@m/w\""), ":3: \"write\" must be an address"),
            (format!("{remote}\n{WRITE}read = \"http://m\"\nbuffer = \"1B\""), ":5: \"buffer\" must be between"),
            (
                format!("{remote}\n{WRITE}read = \"http://m\"\nheaders = {{ Host = \"x\" }}"),
                ":5: \"headers\": \"Host\"",
            ),
            (
                format!("{remote}\n{WRITE}read = \"http://m\"\nheaders = {{ a = 1 }}"),
                ":5: \"headers\" must be a table of texts",
            ),
            (
                format!("{remote}\n{WRITE}read = \"http://m\"\ntoken_file = \"t\"\npassword_file = \"p\""),
                ":2: one of \"token_file\" and \"password_file\"",
            ),
            (format!("{remote}\n{WRITE}reed = \"http://m\""), ":2: \"read\" is missing"),
            (
                format!("{remote}\n{WRITE}read = \"http://m\"\ncaa = \"x\""),
                ":5: unknown key \"caa\"; did you mean \"ca\"?",
            ),
        ] {
            let said = parse(&format!("[trend]\n{text}")).unwrap_err();
            assert!(said.contains(want), "{text:?}: {said}");
        }
    }
}
