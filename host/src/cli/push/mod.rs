//! `graftd push`: documents, and lines of access logs, for a running daemon.
//!
//! [`cut`] finds the documents in what is read, [`http`] and [`tcp`] are the ways to the daemon. What is wrong with a document
//! is found here, so that its place in the file can be told, and no other is held up.

mod cut;
mod http;
mod tcp;

use super::Failure;
use super::client::{Server, json, text};
use super::error::print;
use super::ingest::{self, Progress};
use super::show::printable;
use crate::json::read_documents;
use crate::limits::LINE_FAULTS_MAX;
use clap::Args;
use cut::{Cutter, Piece};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

/// Push documents, or lines of an access log, to a running daemon.
///
/// A file has documents as lines of JSON, as arrays, or one behind another; it may be packed by gzip, zstd or bzip2. What is
/// wrong with one is said with its line, and the others are pushed all the same. Ends with 1 when anything was not merged.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  graftd push '{\"deploys\":{\"shop\":1}}'\n  graftd push values.jsonl older.jsonl.gz\n  \
produce | graftd push -\n  graftd push --to 127.0.0.1:8651 values.jsonl\n  tail -n 1000 access.log | graftd push --accesslog -"
)]
pub(super) struct Push {
    /// A document, or files of documents; - is standard input, which is read too where nothing is named and it is no terminal
    #[arg(value_name = "JSON|FILE")]
    what: Vec<OsString>,
    /// A file, whatever its name is
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The files hold lines of an access log (format combined or timed)
    #[arg(long)]
    accesslog: bool,
    /// Push by TCP to HOST:PORT, as many small senders do, or to tls://HOST:PORT
    #[arg(long, value_name = "ADDR", conflicts_with = "accesslog")]
    to: Option<String>,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    documents: u64,
    /// Leaves, or lines of logs; by TCP nobody says.
    merged: u64,
    rejected: u64,
    /// Not every file could be read.
    unread: bool,
}

/// Where a document stood.
#[derive(Clone, Debug)]
struct Place {
    file: String,
    line: u64,
}

/// A way to the daemon.
trait Way {
    /// Sends a document, now or with others; what is known of those that were sent is added.
    fn send(&mut self, document: &[u8], place: &Place, faults: &mut Faults<'_>) -> Result<(), Failure>;

    /// Sends what is there, for nothing more comes at the moment.
    fn pause(&mut self, faults: &mut Faults<'_>) -> Result<(), Failure>;

    /// Sends what is left; gives what came of all.
    fn finish(&mut self, faults: &mut Faults<'_>) -> Result<Sum, Failure>;
}

/// Names the first documents that were not merged.
struct Faults<'p> {
    progress: &'p Progress,
    named: usize,
    unnamed: u64,
}

impl Faults<'_> {
    fn name(&mut self, place: &Place, at: &str, why: &str) {
        let Place { file, line } = place;
        let at = if at.is_empty() { String::new() } else { format!(", {}", printable(at)) };
        self.say(&format!("{file}: line {line}{at}: {}", printable(why)));
    }

    fn say(&mut self, what: &str) {
        if self.named < LINE_FAULTS_MAX {
            self.named += 1;
            self.progress.aside(|| eprintln!("graftd: {what}"));
        } else {
            self.unnamed += 1;
        }
    }
}

impl Push {
    pub(super) fn run(self) -> Result<(), Failure> {
        let documents: Vec<&str> = self.what.iter().filter_map(as_document).collect();
        let files = self.what.iter().filter(|text| as_document(text).is_none()).map(PathBuf::from);
        let mut files: Vec<PathBuf> = files.chain(self.file.iter().cloned()).collect();
        if files.is_empty() && documents.is_empty() {
            if io::stdin().is_terminal() {
                let why = "what is to be pushed? A document such as '{\"hits\": 1}', a file, or - for standard input";
                return Err(Failure::usage(why));
            }
            files.push(PathBuf::from("-"));
        }
        if self.accesslog {
            if let Some(document) = documents.first() {
                return Err(Failure::usage(format_args!("{document:?} is no file with lines of an access log")));
            }
            let ingest::Pushed { merged, rejected, unread } = ingest::push_lines(&self.server, &files)?;
            return self.say(Sum { documents: 0, merged, rejected, unread });
        }
        if files.is_empty() && self.to.is_none() && documents.len() == 1 {
            return self.one(documents[0]);
        }
        let files = ingest::files(&files)?;
        let progress = Progress::over(ingest::bytes(&files));
        let mut faults = Faults { progress: &progress, named: 0, unnamed: 0 };
        let mut way: Box<dyn Way> = match &self.to {
            None => Box::new(http::Http::new(&self.server)),
            Some(to) => Box::new(tcp::Tcp::connect(to, &self.server)?),
        };
        let pushed = self.push(&documents, &files, way.as_mut(), &mut faults);
        progress.end();
        if faults.unnamed > 0 {
            eprintln!("graftd: {} more are not named", faults.unnamed);
        }
        self.say(pushed?)
    }

    fn push(
        &self,
        documents: &[&str],
        files: &[PathBuf],
        way: &mut dyn Way,
        faults: &mut Faults<'_>,
    ) -> Result<Sum, Failure> {
        let mut own = Sum::default();
        for document in documents {
            read(document.as_bytes(), "the document", way, faults, &mut own)?;
        }
        for file in files {
            let name = file.display().to_string();
            let opened = ingest::open(file, faults.progress);
            // It is told there how logs are read.
            let mode = |error: io::Error| error.to_string().replace("| graftd ingest -", "| graftd push -");
            let read = opened.map_err(mode).and_then(|opened| match read(opened, &name, way, faults, &mut own) {
                Ok(()) => Ok(Ok(())),
                Err(Stopped::Unread(why)) => Err(why),
                Err(Stopped::Failed(failure)) => Ok(Err(failure)),
            });
            match read {
                Ok(sent) => sent?,
                Err(why) => {
                    faults.progress.aside(|| eprintln!("graftd: {name}: {why}"));
                    own.unread = true;
                }
            }
        }
        let sum = way.finish(faults)?;
        Ok(Sum { rejected: sum.rejected + own.rejected, unread: own.unread, ..sum })
    }

    /// Pushes a document of the command line as it is: its faults are told with their columns.
    fn one(&self, document: &str) -> Result<(), Failure> {
        let mut response = self.server.post("/push", "application/json", document.as_bytes())?;
        let status = response.status();
        if !status.is_success() && status.as_u16() != 400 {
            return self.server.good(response).map(drop);
        }
        let answer = json(&text(&mut response)?)?;
        for fault in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| printable(fault.get(name).and_then(Value::as_str).unwrap_or_default());
            eprintln!("graftd: {}: {}", part("at"), part("why"));
        }
        let number = |name: &str| answer.get(name).and_then(Value::as_u64);
        match (number("merged"), number("rejected")) {
            (Some(merged), Some(rejected)) => self.say(Sum { documents: 1, merged, rejected, unread: false }),
            _ => {
                let said = answer.get("error").and_then(Value::as_str);
                Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)))
            }
        }
    }

    fn say(&self, sum: Sum) -> Result<(), Failure> {
        let Sum { documents, merged, rejected, unread } = sum;
        let by_tcp = self.to.is_some();
        if self.json {
            let merged = if by_tcp { Value::Null } else { merged.into() };
            let said = serde_json::json!({ "documents": documents, "merged": merged, "rejected": rejected });
            print(&said.to_string())?;
        }
        let plural = if documents == 1 { "" } else { "s" };
        let said = if by_tcp { format!("sent {documents} document{plural}") } else { format!("merged {merged}") };
        match (rejected, unread) {
            (0, false) if self.json => Ok(()),
            (0, false) => print(&said),
            (0, true) => Err(Failure::work(format_args!("{said}; not every file could be read"))),
            (_, false) => Err(Failure::work(format_args!("{said}, {rejected} rejected"))),
            (_, true) => Err(Failure::work(format_args!("{said}, {rejected} rejected; not every file could be read"))),
        }
    }
}

/// `1 document was`, `7 documents were`.
fn documents_were(n: u64) -> String {
    if n == 1 { "1 document was".to_owned() } else { format!("{n} documents were") }
}

/// A word of the command line that is a document, and no file's name.
fn as_document(word: &OsString) -> Option<&str> {
    word.to_str().filter(|text| matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')))
}

/// Why the reading of a file ended before its end.
enum Stopped {
    Unread(String),
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped::Failed(failure)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        match stopped {
            Stopped::Unread(why) => Failure::work(why),
            Stopped::Failed(failure) => failure,
        }
    }
}

/// Sends every good document of a file.
fn read(from: impl Read, file: &str, way: &mut dyn Way, faults: &mut Faults<'_>, sum: &mut Sum) -> Result<(), Stopped> {
    let mut cutter = Cutter::new(from);
    loop {
        let piece = match cutter.next() {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(()),
            Err(error) if ingest::is_pause(&error) => {
                way.pause(faults)?;
                continue;
            }
            Err(error) => return Err(Stopped::Unread(error.to_string())),
        };
        let place = |line| Place { file: file.to_owned(), line };
        match piece {
            Piece::Broken { line, why } => {
                sum.rejected += 1;
                faults.name(&place(line), "", &why);
            }
            Piece::Document { line, text } => {
                // The daemon would find it too, but knows nothing of files.
                if let Some(fault) = read_documents(text).faults.first() {
                    sum.rejected += 1;
                    let at = fault.at.strip_prefix("document 1").map_or("", |at| at.trim_start_matches(", "));
                    faults.name(&place(line), at, &fault.why);
                } else {
                    way.send(text, &place(line), faults)?;
                    faults.progress.lines(1);
                }
            }
        }
    }
}
