//! The daemon that modes ask over HTTP, and those that read.

use super::Failure;
use super::error::print;
use super::show::printable;
use crate::limits::PUSH_AGAIN_MAX;
use crate::tls::{self, Connector};
use clap::Args;
use serde_json::{Map, Value};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// Where the token may stand that no file is named for.
const TOKEN_VARIABLE: &str = "GRAFTD_TOKEN";

/// Where the file with the authority may stand that none is named for.
const CA_VARIABLE: &str = "GRAFTD_CA";

/// The daemon to ask.
#[derive(Args, Debug)]
pub(super) struct Server {
    /// The daemon's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8650", global = true)]
    url: String,
    /// File with the daemon's token, where it has one [default: the token in $GRAFTD_TOKEN]
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// It keeps connections from one request to the next.
    #[arg(skip)]
    agent: OnceLock<Agent>,
}

/// Whom to believe that it is the daemon.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Trust {
    /// File with the authority's certificate, for https:// [default: what the system believes, or $GRAFTD_CA]
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    /// File with a certificate of yours, where the daemon asks for one
    #[arg(long, value_name = "FILE", global = true, requires = "key")]
    cert: Option<PathBuf>,
    /// File with its key
    #[arg(long, value_name = "FILE", global = true, requires = "cert")]
    key: Option<PathBuf>,
}

impl Trust {
    /// Whether all that it says is put to use: an address without TLS shows no certificate, and asks for none.
    ///
    /// # Errors
    /// Nobody is to think that it is.
    pub(super) fn check_for_plain(&self, address: &str) -> Result<(), Failure> {
        let said = [("--ca", &self.ca), ("--cert", &self.cert), ("--key", &self.key)];
        match said.into_iter().find(|(_, file)| file.is_some()) {
            Some((flag, _)) => Err(Failure::usage(format_args!(
                "{flag} is for https:// and tls://, and {} speaks neither",
                printable(address)
            ))),
            None => Ok(()),
        }
    }

    fn ca(&self) -> Option<PathBuf> {
        self.ca.clone().or_else(|| std::env::var_os(CA_VARIABLE).filter(|ca| !ca.is_empty()).map(PathBuf::from))
    }

    /// What to do where it is TLS that does not come about.
    pub(super) fn hint(&self, said: &str) -> Option<String> {
        let unknown = match (&self.ca, self.ca()) {
            (Some(ca), _) => format!("its certificate is by an authority that {} does not have", ca.display()),
            (None, Some(ca)) => {
                format!("its certificate is by an authority that {} (${CA_VARIABLE}) does not have", ca.display())
            }
            (None, None) => "name the file with its authority: --ca ca.pem".to_owned(),
        };
        let hints = [
            ("UnknownIssuer", &*unknown),
            // Two authorities may have one name.
            ("BadSignature", &*unknown),
            ("not valid for name", "call it by a name that its certificate has"),
            ("Expired", "its certificate is to be renewed"),
            ("CertificateRequired", "it asks for a certificate of yours: --cert FILE --key FILE"),
            ("InvalidContentType", "it speaks without TLS"),
        ];
        hints.iter().find(|(word, _)| said.contains(word)).map(|(_, hint)| (*hint).to_owned())
    }

    /// What makes streams of sockets by it.
    pub(super) fn connector(&self) -> Result<Connector, Failure> {
        let identity = self.cert.as_deref().zip(self.key.as_deref());
        Connector::open(self.ca().as_deref(), identity).map_err(Failure::usage)
    }

    /// The same for a client of HTTP.
    fn config(&self) -> Result<TlsConfig, Failure> {
        let roots = tls::authorities(self.ca().as_deref()).map_err(Failure::usage)?;
        let roots: Vec<_> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let read =
            |file: &Path| fs::read(file).map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())));
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let bad =
                    |file: &Path, error: &ureq::Error| Failure::usage(format_args!("{}: {error}", file.display()));
                let mut chain = Vec::new();
                for item in parse_pem(&read(cert)?) {
                    if let PemItem::Certificate(certificate) = item.map_err(|error| bad(cert, &error))? {
                        chain.push(certificate);
                    }
                }
                let own = PrivateKey::from_pem(&read(key)?).map_err(|error| bad(key, &error))?;
                Some(ClientCert::new_with_certs(&chain, own))
            }
            _ => None,
        };
        let config = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::new_with_certs(&roots));
        Ok(config.client_cert(identity).unversioned_rustls_crypto_provider(tls::provider()).build())
    }
}

/// Ask a running daemon for paths of its tree.
#[derive(Args, Debug)]
#[command(after_help = "Paths are keys joined by commas. An empty key folds all keys there, * lists each:\n  \
graftd get br,ie\n  graftd get cpu,,idle --as value\n  graftd get 'cpu,*,idle'")]
pub(super) struct Get {
    /// Paths
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// One figure rather than the subtree: value, rate, p50, p99, …
    #[arg(long = "as", value_name = "FIGURE")]
    figure: Option<String>,
    /// Levels below the path
    #[arg(long)]
    depth: Option<usize>,
    /// Show units and titles beside the values
    #[arg(long)]
    meta: bool,
    /// Print the answer as the daemon sent it; what is not there is null
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Follow paths of a running daemon's tree as they change.
#[derive(Args, Debug)]
pub(super) struct Watch {
    /// Paths
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Print each answer as the daemon sent it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Server {
    /// The daemon at an address.
    ///
    /// # Errors
    /// It is no address.
    pub(super) fn at_url(url: String, token_file: Option<PathBuf>, trust: Trust) -> Result<Server, Failure> {
        let server = Server { url, token_file, trust, agent: OnceLock::new() };
        server.at("/")?;
        server.agent()?;
        Ok(server)
    }

    fn agent(&self) -> Result<&Agent, Failure> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            // Longer than any wait of /pull/.
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .proxy(None);
        if self.is_secure() {
            config = config.tls_config(self.trust.config()?);
        } else {
            self.at("/")?;
            self.trust.check_for_plain(&self.url)?;
        }
        Ok(self.agent.get_or_init(|| config.build().into()))
    }

    fn is_secure(&self) -> bool {
        self.url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    }

    /// Whom to believe that it is the daemon.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The token, where there is one.
    pub(super) fn token(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.token_file else {
            let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty());
            return Ok(token.map(|token| token.trim().to_owned()));
        };
        let read = fs::read_to_string(file);
        let token = read.map_err(|error| Failure::usage(format_args!("--token-file {}: {error}", file.display())))?;
        Ok(Some(token.trim().to_owned()))
    }

    /// Why a daemon does not know who asks: it was told no token, or a wrong one.
    pub(super) fn unknown(&self) -> Failure {
        let source = match &self.token_file {
            Some(file) => format!("--token-file {}", file.display()),
            None => format!("${TOKEN_VARIABLE}"),
        };
        match self.token() {
            Ok(None) => Failure::work(format_args!(
                "this daemon asks for its token; name it: --token-file FILE, or {TOKEN_VARIABLE}"
            )),
            Ok(Some(_)) => Failure::work(format_args!("that is no token of this daemon: {source}")),
            Err(failure) => failure,
        }
    }

    /// An answer that is none of success is an error in the daemon's own words.
    pub(super) fn good(&self, mut response: Response<ureq::Body>) -> Result<Response<ureq::Body>, Failure> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        if status.as_u16() == 401 {
            return Err(self.unknown());
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let said = serde_json::from_str::<Value>(&text).ok();
        let said = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
        Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)))
    }

    fn at(&self, path: &str) -> Result<Uri, Failure> {
        let address = self.url.trim_end_matches('/');
        let bad = |why: &str| {
            let url = printable(&self.url);
            // Only the scheme may be missing.
            let port = url
                .rsplit_once(':')
                .filter(|(host, port)| !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok());
            let example = if port.is_some() { &url } else { "127.0.0.1:8650" };
            Failure::usage(format_args!("{url:?} is no address of a daemon: {why}; write it as http://{example}"))
        };
        let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        if !begins("http://") && !begins("https://") {
            return Err(bad("that begins with http:// or https://"));
        }
        let at = format!("{address}{path}").parse::<Uri>().map_err(|error| bad(&error.to_string()))?;
        if at.host().is_none_or(str::is_empty) {
            return Err(bad("it names no host"));
        }
        Ok(at)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let said = error.to_string();
        let hint = self.trust.hint(&said).unwrap_or_else(|| "does `graftd run` run there?".to_owned());
        Failure::work(format_args!("{} does not answer: {said}; {hint}", self.url))
    }

    pub(super) fn get(&self, path: &str, accept: &str) -> Result<Response<ureq::Body>, Failure> {
        self.good(self.ask(path, accept)?)
    }

    /// The same; none where this token may not read, and is good all the same.
    pub(super) fn get_if_allowed(&self, path: &str, accept: &str) -> Result<Option<Response<ureq::Body>>, Failure> {
        let answer = self.ask(path, accept)?;
        if answer.status().as_u16() == 403 { Ok(None) } else { self.good(answer).map(Some) }
    }

    fn ask(&self, path: &str, accept: &str) -> Result<Response<ureq::Body>, Failure> {
        let mut request = self.agent()?.get(self.at(path)?).header("Accept", accept);
        if let Some(token) = self.token()? {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| self.unreachable(&error))
    }

    pub(super) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Response<ureq::Body>, Failure> {
        let began = Instant::now();
        loop {
            let mut request = self.agent()?.post(self.at(path)?).header("Accept", "application/json");
            if !content_type.is_empty() {
                request = request.header("Content-Type", content_type);
            }
            if let Some(token) = self.token()? {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let answer = request.send(body).map_err(|error| self.unreachable(&error))?;
            // It says when to come again, where it has taken nothing.
            let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
            let after = after.map(Duration::from_secs).filter(|_| matches!(answer.status().as_u16(), 429 | 503));
            match after {
                Some(after) if began.elapsed() + after < PUSH_AGAIN_MAX => thread::sleep(after),
                _ => return Ok(answer),
            }
        }
    }
}

pub(super) fn text(response: &mut Response<ureq::Body>) -> Result<String, Failure> {
    let read = response.body_mut().with_config().limit(u64::MAX).read_to_string();
    read.map_err(|error| Failure::work(format_args!("the answer is cut off: {error}")))
}

pub(super) fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::work(format_args!("the answer is no JSON: {error}")))
}

/// `key-br%2Cie&key-os`
fn query(paths: &[String]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for path in paths {
        query.append_pair("key", path);
    }
    query.finish()
}

impl Get {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut query = query(&self.paths);
        if let Some(figure) = &self.figure {
            query = format!("{query}&as={}", form_urlencoded::byte_serialize(figure.as_bytes()).collect::<String>());
        }
        if let Some(depth) = self.depth {
            query = format!("{query}&depth={depth}");
        }
        if self.meta {
            query.push_str("&meta=1");
        }
        let answer = text(&mut self.server.get(&format!("/get/?{query}"), "application/json")?)?;
        if self.json {
            print(answer.trim_end())?;
        }
        let mut missing = Vec::new();
        for (asked, mut found) in self.paths.iter().zip(members(json(&answer)?)) {
            let metas = if self.meta { found.remove("meta") } else { None };
            let metas = metas.as_ref().and_then(Value::as_object);
            // What a * lists is there; whether it has the figure is another question.
            let lists = asked.split(',').any(|key| key == "*");
            if found.is_empty() || (!lists && found.values().any(Value::is_null)) {
                missing.push(printable(asked));
            } else if !self.json {
                found.iter().try_for_each(|(path, value)| print_leaves(path, value, metas))?;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let what = self.figure.as_deref().filter(|figure| *figure != "value");
        let what = what.map_or_else(String::new, |figure| format!(" that has a {}", printable(figure)));
        Err(Failure::work(format_args!("there is no {}{what} in the tree", missing.join(" and no "))))
    }
}

/// The objects of an answer, one a path that was asked for.
fn members(answer: Value) -> impl Iterator<Item = Map<String, Value>> {
    let objects = if let Value::Array(objects) = answer { objects } else { Vec::new() };
    objects.into_iter().map(|object| if let Value::Object(members) = object { members } else { Map::new() })
}

/// A leaf a line: its path and its value, and what is told of it where there are `metas`.
fn print_leaves(path: &str, value: &Value, metas: Option<&Map<String, Value>>) -> Result<(), Failure> {
    let line = |value: &str| {
        let told = |key: &str| metas?.get(path)?.get(key)?.as_str().filter(|text| !text.is_empty());
        let units = told("units").map_or_else(String::new, |units| format!(" {}", printable(units)));
        let title = told("title").map_or_else(String::new, |title| format!("  ({})", printable(title)));
        print(&format!("{:<48} {value}{units}{title}", printable(path)))
    };
    let Some(below) = value.as_object() else {
        return match value {
            Value::String(text) => line(&printable(text)),
            Value::Null => line("-"),
            value => line(&value.to_string()),
        };
    };
    for (key, value) in below {
        match (key.as_str(), value) {
            ("", Value::Object(sketch)) => {
                let figures = sketch.iter().filter(|(_, figure)| !figure.is_object());
                let figures: Vec<String> = figures.map(|(name, figure)| format!("{name} {figure}")).collect();
                line(&figures.join("  "))?;
            }
            ("", value) => print_leaves(path, value, metas)?,
            (key, value) => {
                let mut path = path.to_owned();
                if !path.is_empty() {
                    path.push(',');
                }
                crate::tree::encode_key(key, &mut path);
                print_leaves(&path, value, metas)?;
            }
        }
    }
    Ok(())
}

impl Watch {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = format!("/pull/?{}", query(&self.paths));
        let response = self.server.get(&path, "text/event-stream")?;
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        for line in lines {
            let line = line.map_err(|error| Failure::work(format_args!("the connection broke: {error}")))?;
            let Some(data) = line.strip_prefix("data:") else { continue };
            let data = data.trim_start();
            if self.json {
                print(data)?;
                continue;
            }
            for changed in json(data)?.as_array().into_iter().flatten() {
                for (path, value) in changed.as_object().into_iter().flatten() {
                    print_leaves(path, value, None)?;
                }
            }
        }
        Err(Failure::work("the daemon ended the connection"))
    }
}
