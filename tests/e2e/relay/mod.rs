//! One graftd sends to another: whatever dies or is cut off, each line counts once at the end of the line.

mod away;
mod exact;
mod faults;
mod hostile;
mod many;
mod nats;
mod raw;
mod refused;
mod rest;
mod roles;
mod spool;
mod tls;
mod values;
mod wire;

use graftd_tests::{Builder, Daemon, Folders, PATIENCE};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use wire::Wire;

/// The log's name, and the branch of its pipes, on every agent.
const LOG: &str = "shop";

/// A host of a chain: its folders outlive its daemons.
struct Host {
    name: String,
    folders: Arc<Folders>,
    /// Where others reach its relay port, whichever it has.
    wire: Option<Wire>,
    settings: String,
}

impl Host {
    /// One that receives.
    fn server(name: &str) -> Host {
        let settings = "commit = \"400ms\"\nrelay = \"127.0.0.1:0\"".to_owned();
        Host { name: name.to_owned(), folders: Arc::new(Folders::new()), wire: Some(Wire::new()), settings }
    }

    /// One that only takes what is pushed.
    fn bare(name: &str) -> Host {
        Host { name: name.to_owned(), folders: Arc::new(Folders::new()), wire: None, settings: String::new() }
    }

    /// One with a log and the pipes that count in it.
    fn agent(name: &str) -> Host {
        let host = Host::bare(name);
        host.folders.copy_plugins(&["status", "bytes", "request-time", "visitors", "url"]);
        let log = "plugin = \"access-log\"\nfile = \"../logs/access.log\"\nformat = \"timed\"\nstart = \"begin\"\n";
        host.folders.write_conf(&format!("{LOG}.on"), &format!("{log}prefix = {LOG:?}"));
        host
    }

    /// Sends to others, the first that answers.
    fn sends_to(self, others: &[&Host], more: &str) -> Host {
        let to: Vec<String> = others.iter().map(|other| other.address()).collect();
        self.folders.write_conf("relay.on", &format!("to = {to:?}\nevery = \"150ms\"\n{more}"));
        self
    }

    /// Where it receives.
    fn address(&self) -> String {
        self.wire.as_ref().expect("it receives").address().to_string()
    }

    fn builder(&self) -> Builder {
        Daemon::builder().folders(&self.folders).host(&self.name).settings(&self.settings)
    }

    fn start(&self) -> Daemon {
        let daemon = self.builder().start();
        if let Some(wire) = &self.wire {
            wire.leads_to(daemon.listens("relay"));
        }
        daemon
    }
}

/// A log whose lines have numbers, which are their bytes too.
struct Log {
    path: PathBuf,
    file: File,
    lines: u64,
    turns: u64,
}

impl Log {
    fn of(host: &Host) -> Log {
        let path = host.folders.root().join("logs/access.log");
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        Log { file: open(&path), path, lines: 0, turns: 0 }
    }

    fn write(&mut self, lines: u64) {
        let line = |n: u64| {
            // Seconds whose sums are the same in any order.
            let seconds = (n % 7) as f64 / 8.0;
            format!(
                "192.0.2.{} - - [26/Nov/2026:10:20:30 +0000] \"GET /n/{} HTTP/1.1\" 200 {n} \"-\" \"test\" {seconds:.3} {seconds:.3}\n",
                n % 250,
                n % 40
            )
        };
        let text: String = (self.lines + 1..=self.lines + lines).map(line).collect();
        self.file.write_all(text.as_bytes()).expect("written");
        self.lines += lines;
    }

    fn turn_over(&mut self) {
        self.turns += 1;
        fs::rename(&self.path, self.path.with_file_name(format!("access.log.{}", self.turns))).expect("renamed");
        self.file = open(&self.path);
    }
}

fn open(path: &PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("opened")
}

/// The sum of the numbers of so many lines.
fn sum(lines: u64) -> u64 {
    lines * (lines + 1) / 2
}

/// What has been counted at a branch: lines, and the sum of their numbers.
fn counted(daemon: &Daemon, branch: &str) -> (u64, u64) {
    let number = |path: &str| daemon.value(&format!("{branch},{path}")).as_f64().unwrap_or(0.0) as u64;
    (number("status,200"), number("bytes,2xx"))
}

/// Waits until so many lines were counted, each once.
#[track_caller]
fn await_lines(daemon: &Daemon, branch: &str, lines: u64) {
    await_sums(daemon, branch, (lines, sum(lines)));
}

/// Waits until lines and the sum of their numbers are these.
#[track_caller]
fn await_sums(daemon: &Daemon, branch: &str, all: (u64, u64)) {
    let began = Instant::now();
    let mut last = (0, 0);
    // Anything may be slow, but it goes on.
    daemon.await_change(branch, |daemon| {
        let found = counted(daemon, branch);
        assert!(found.0 <= all.0 && found.1 <= all.1, "{found:?} is more than {all:?}");
        if found != last {
            last = found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?}, and not {all:?}");
        (found == all).then_some(())
    });
}

/// A branch without what is of the last minute: that begins anew with each daemon.
fn lasting(daemon: &Daemon, branch: &str) -> Value {
    fn strip(value: &mut Value) {
        if let Some(object) = value.as_object_mut() {
            object.remove("last_minute");
            object.values_mut().for_each(strip);
        }
    }
    let mut tree = daemon.subtree(branch);
    strip(&mut tree);
    tree
}

/// Figures of a relay.
fn figure(daemon: &Daemon, host: &str, name: &str) -> f64 {
    daemon.value(&format!("graftd,{host},relay,relay,{name}")).as_f64().unwrap_or(0.0)
}

#[test]
fn what_an_agent_counts_is_counted_at_the_other_end_of_a_relay() {
    let server = Host::server("top");
    let middle = Host::server("middle").sends_to(&[&server], "");
    let agent = Host::agent("leaf").sends_to(&[&middle], "");
    let [server, middle, leaf] = [&server, &middle, &agent].map(Host::start);
    let mut log = Log::of(&agent);
    log.write(1_000);
    await_lines(&server, LOG, 1_000);
    for daemon in [&middle, &server] {
        assert_eq!(lasting(daemon, LOG), lasting(&leaf, LOG));
    }
    assert_eq!(server.value(&format!("graftd,leaf,log,{LOG},lines")), 1_000.0);
    middle.await_change("graftd,leaf", |daemon| {
        (daemon.value("graftd,leaf,relay,relay,to").as_str()?.starts_with("middle (")).then_some(())
    });
    assert_eq!(middle.value("graftd,middle,relayed,leaf,connected"), 1.0);
    leaf.await_change("graftd,leaf,relay", |daemon| (figure(daemon, "leaf", "acknowledged") > 0.0).then_some(()));
}
