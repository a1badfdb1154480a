//! The modes that ask a running daemon, over HTTP.

use super::Failure;
use super::error::print;
use super::show::printable;
use crate::limits::BODY_BYTES_MAX;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// The daemon to ask.
#[derive(Args, Debug)]
struct Server {
    /// The daemon's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8650", global = true)]
    url: String,
    /// File with the daemon's token, where it has one
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
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
    /// Print the answer as the daemon sent it
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

/// Push a JSON document, or lines of an access log, to a running daemon.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  graftd push '{\"deploys\":{\"shop\":1}}'\n  graftd push -f values.json\n  \
tail -n 1000 access.log | graftd push --accesslog -f -")]
pub(super) struct Push {
    /// The document
    #[arg(value_name = "JSON", required_unless_present = "file", conflicts_with_all = ["file", "accesslog"])]
    document: Option<String>,
    /// A file to push; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file holds lines of an access log (format combined or timed)
    #[arg(long)]
    accesslog: bool,
    #[command(flatten)]
    server: Server,
}

/// List a running daemon's modules, or switch one.
///
/// A line a module: its name, state, kind and why. A * behind the kind: it runs in a process of its own.
#[derive(Args, Debug)]
pub(super) struct Modules {
    #[command(subcommand)]
    switch: Option<SwitchMode>,
    /// Print the answer as the daemon sent it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum SwitchMode {
    /// Switch a module on: NAME.off becomes NAME.on
    On {
        /// The module's name
        name: String,
    },
    /// Switch a module off: NAME.on becomes NAME.off
    Off {
        /// The module's name
        name: String,
    },
    /// Load a module anew
    Reload {
        /// The module's name
        name: String,
    },
}

impl Server {
    fn agent() -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            // Longer than any wait of /pull/.
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .proxy(None)
            .build();
        config.into()
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let read = fs::read_to_string(file);
        let token = read.map_err(|error| Failure::usage(format_args!("--token-file {}: {error}", file.display())))?;
        Ok(Some(format!("Bearer {}", token.trim())))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::work(format_args!("{} does not answer: {error}; does `graftd run` run there?", self.url))
    }

    fn get(&self, path: &str, accept: &str) -> Result<Response<ureq::Body>, Failure> {
        let mut request = Server::agent().get(self.at(path)).header("Accept", accept);
        if let Some(token) = self.token()? {
            request = request.header("Authorization", token);
        }
        good(request.call().map_err(|error| self.unreachable(&error))?)
    }

    fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Response<ureq::Body>, Failure> {
        let mut request = Server::agent().post(self.at(path)).header("Accept", "application/json");
        if !content_type.is_empty() {
            request = request.header("Content-Type", content_type);
        }
        if let Some(token) = self.token()? {
            request = request.header("Authorization", token);
        }
        request.send(body).map_err(|error| self.unreachable(&error))
    }
}

/// An answer that is none of success is an error in the daemon's own words.
fn good(mut response: Response<ureq::Body>) -> Result<Response<ureq::Body>, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    let said = serde_json::from_str::<Value>(&text).ok();
    let said = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
    Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)))
}

fn text(response: &mut Response<ureq::Body>) -> Result<String, Failure> {
    let read = response.body_mut().with_config().limit(u64::MAX).read_to_string();
    read.map_err(|error| Failure::work(format_args!("the answer is cut off: {error}")))
}

fn json(text: &str) -> Result<Value, Failure> {
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
        let answer = text(&mut self.server.get(&format!("/get/?{query}"), "application/json")?)?;
        if self.json {
            return print(answer.trim_end());
        }
        for found in json(&answer)?.as_array().into_iter().flatten() {
            for (path, value) in found.as_object().into_iter().flatten() {
                print_leaves(path, value)?;
            }
        }
        Ok(())
    }
}

/// A leaf a line: its path and its value.
fn print_leaves(path: &str, value: &Value) -> Result<(), Failure> {
    let Some(members) = value.as_object() else {
        return match value {
            Value::String(text) => print(&format!("{:<48} {}", printable(path), printable(text))),
            Value::Null => print(&format!("{:<48} -", printable(path))),
            value => print(&format!("{:<48} {value}", printable(path))),
        };
    };
    for (key, value) in members {
        match (key.as_str(), value) {
            ("", Value::Object(sketch)) => {
                let figures = sketch.iter().filter(|(_, figure)| !figure.is_object());
                let figures: Vec<String> = figures.map(|(name, figure)| format!("{name} {figure}")).collect();
                print(&format!("{:<48} {}", printable(path), figures.join("  ")))?;
            }
            ("", value) => print_leaves(path, value)?,
            (key, value) => {
                let mut path = path.to_owned();
                if !path.is_empty() {
                    path.push(',');
                }
                crate::tree::encode_key(key, &mut path);
                print_leaves(&path, value)?;
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
                    print_leaves(path, value)?;
                }
            }
        }
        Err(Failure::work("the daemon ended the connection"))
    }
}

impl Push {
    pub(super) fn run(self) -> Result<(), Failure> {
        let body = match (&self.document, &self.file) {
            (Some(document), _) => document.clone().into_bytes(),
            (None, Some(file)) => read_body(file)?,
            (None, None) => return Err(Failure::usage("nothing to push")),
        };
        let content_type = if self.accesslog { "text/plain" } else { "application/json" };
        let mut response = self.server.post("/push", content_type, &body)?;
        let status = response.status();
        let answer = json(&text(&mut response)?)?;
        let errors = answer.get("errors").and_then(Value::as_array);
        for fault in errors.into_iter().flatten() {
            let part = |name: &str| printable(fault.get(name).and_then(Value::as_str).unwrap_or_default());
            eprintln!("graftd: {}: {}", part("at"), part("why"));
        }
        let number = |name: &str| answer.get(name).and_then(Value::as_u64);
        match (number("merged"), number("rejected")) {
            (Some(merged), Some(0)) if status.is_success() => print(&format!("merged {merged}")),
            (Some(merged), Some(rejected)) => Err(Failure::work(format_args!("merged {merged}, {rejected} rejected"))),
            _ => {
                let said = answer.get("error").and_then(Value::as_str);
                Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)))
            }
        }
    }
}

fn read_body(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let most = BODY_BYTES_MAX as u64 + 1;
    let read = if file.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut body)
    } else {
        fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut body))
    };
    read.map_err(|error| Failure::work(format_args!("{}: {error}", file.display())))?;
    if body.len() > BODY_BYTES_MAX {
        return Err(Failure::usage(format_args!(
            "{}: more than {BODY_BYTES_MAX} bytes; push it in parts",
            file.display()
        )));
    }
    Ok(body)
}

impl Modules {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (name, to) = match &self.switch {
            None => return self.list(),
            Some(SwitchMode::On { name }) => (name, "on"),
            Some(SwitchMode::Off { name }) => (name, "off"),
            Some(SwitchMode::Reload { name }) => (name, "reload"),
        };
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
        let mut response = good(self.server.post(&format!("/modules/{name}/{to}"), "", &[])?)?;
        let answer = text(&mut response)?;
        if self.json { print(answer.trim_end()) } else { print_module(&json(&answer)?) }
    }

    fn list(&self) -> Result<(), Failure> {
        let answer = text(&mut self.server.get("/modules", "application/json")?)?;
        if self.json {
            return print(answer.trim_end());
        }
        for module in json(&answer)?.as_array().into_iter().flatten() {
            print_module(module)?;
        }
        Ok(())
    }
}

fn print_module(module: &Value) -> Result<(), Failure> {
    let part = |name: &str| printable(module.get(name).and_then(Value::as_str).unwrap_or_default());
    let kind = if part("isolation") == "process" { format!("{}*", part("kind")) } else { part("kind") };
    let why = part("why");
    let goes_on = part("state") == "rejected" && module["runs"] == true && !why.ends_with("goes on");
    let why = if goes_on { format!("{why} (the one before goes on)") } else { why };
    let next = part("next");
    let next = if next.is_empty() { next } else { format!(" (next try {next})") };
    let line = format!("{:<16} {:<9} {kind:<10} {}{next}", part("name"), part("state"), why);
    print(line.trim_end())?;
    for line in module.get("traceback").and_then(Value::as_str).unwrap_or_default().lines() {
        print(&format!("    {}", printable(line)))?;
    }
    Ok(())
}
