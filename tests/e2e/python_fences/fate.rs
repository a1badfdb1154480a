//! What becomes of a fault in a real daemon whose other modules must not notice.

use super::rows::{Fate, Row, at_the_end, when_asked};
use graftd_tests::{Daemon, Folders, HOST, Neighbours, PATIENCE, copy, fixture};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The name of the module under test.
pub const X: &str = "x";

/// The call in which it does what it does.
const DEED_IN_CALL: f64 = 3.0;

/// How long the longest `metric_init` takes.
const INIT: Duration = Duration::from_secs(30);

/// What `/modules` showed.
#[derive(Clone, Debug)]
pub struct Shown {
    pub said: String,
    /// The last line of the module's own in the traceback, if there was one.
    pub traceback: String,
}

/// Folders that workers, who are users of their own, may look into, with a neighbour of each kind.
pub fn folders() -> Arc<Folders> {
    let folders = Arc::new(Folders::new().plugins(&["status", "beat"]));
    for folder in ["", "plugins"] {
        fs::set_permissions(folders.root().join(folder), Permissions::from_mode(0o755)).expect("opened");
    }
    for name in ["steady.py", "deeds.py"] {
        copy(&fixture("python").join(name), &folders.plugin(name));
    }
    folders.write_conf("beat.on", "every = \"100ms\"\n");
    folders.write_conf("steady.on", "every = \"100ms\"\n");
    folders
}

/// Drops the fault into a running daemon, brings it about, checks that it has its fate, and gives what `/modules` said.
#[track_caller]
pub fn meet(row: &Row) -> Shown {
    let folders = folders();
    // It stays off until all of it is there.
    folders.write_conf("x.off", &row.conf);
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(50)).start();
    let mut neighbours = Neighbours::new(&daemon, &[("steady", "calls")]);
    let source = fs::read_to_string(fixture("python").join(row.file)).expect("a source");
    fs::write(daemon.plugin(".x.new"), source.replace("DEED", row.deed)).expect("a source");
    fs::rename(daemon.plugin(".x.new"), daemon.plugin("x.py")).expect("renamed");
    daemon.await_state(X, "off");
    fs::rename(daemon.conf("x.off"), daemon.conf("x.on")).expect("renamed");
    let module = match row.fate {
        Fate::Rejected => daemon.await_state(X, "rejected").found,
        Fate::NeverStarts => {
            let module = daemon.await_state(X, "failing").found;
            assert!(module["next"].is_string(), "{}: no next try: {module}", row.what);
            module
        }
        Fate::Unharmed => unharmed(row, &daemon),
        Fate::Fails | Fate::Dies => fails(row, &daemon),
    };
    neighbours.check(&daemon);
    // One that was made anew began to count anew; it was never late either.
    let steady = daemon.value(&format!("graftd,{HOST},module,steady,restarts"));
    assert!(steady.as_f64().unwrap_or(0.0) == 0.0, "a neighbour was made anew {steady} times");
    assert!(daemon.stop().success(), "{}: the daemon ends in order", row.what);
    shown(&module, &folders)
}

fn calls(daemon: &Daemon) -> f64 {
    daemon.value(&format!("{X},{HOST},calls")).as_f64().unwrap_or(0.0)
}

#[track_caller]
fn unharmed(row: &Row, daemon: &Daemon) -> Value {
    let began = Instant::now();
    let mut tick = 0;
    while calls(daemon) <= DEED_IN_CALL {
        assert!(began.elapsed() < INIT + PATIENCE, "{}: {}", row.what, daemon.module(X));
        tick = daemon.get(&format!("/pull/?key-{X}&since={tick}&wait=1s")).good().tick();
    }
    if at_the_end(row) {
        fs::rename(daemon.conf("x.on"), daemon.conf("x.off")).expect("renamed");
        return daemon.await_state(X, "off").found;
    }
    daemon.await_state(X, "running").found
}

#[track_caller]
fn fails(row: &Row, daemon: &Daemon) -> Value {
    let failing = daemon.await_state(X, "failing").found;
    assert!(failing["next"].is_string(), "{}: no next try: {failing}", row.what);
    if row.file == "old.py" {
        // It never works.
        return failing;
    }
    assert!(when_asked(row), "{}: comes back by itself", row.what);
    daemon.await_state(X, "running");
    let goes_on = match row.fate {
        // The call after the one that failed is the next of the same process.
        Fate::Fails => calls(daemon) > DEED_IN_CALL,
        _ => calls(daemon) <= DEED_IN_CALL,
    };
    assert!(goes_on, "{}: {} calls, and {:?}", row.what, calls(daemon), row.fate);
    failing
}

/// What was said, without what differs from run to run: folders, numbers of processes, addresses.
fn shown(module: &Value, folders: &Folders) -> Shown {
    let root = format!("{}/", folders.root().display());
    let text = |name: &str| module[name].as_str().unwrap_or_default().replace(&root, "");
    let state = text("state");
    // What it runs with is this machine's business.
    let why = if state == "running" { String::new() } else { text("why") };
    let said = if why.is_empty() { format!("`{state}`") } else { format!("`{state}`: {why}") };
    let traceback = text("traceback");
    let mut own = traceback.lines().filter(|line| line.trim_start().starts_with("File \"plugins/"));
    let own = own.next_back().unwrap_or_default().trim().trim_start_matches("File ").to_owned();
    Shown { said, traceback: own }
}
