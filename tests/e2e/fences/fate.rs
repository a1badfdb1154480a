//! What becomes of a fault in a real daemon whose other modules must not notice.

use super::rows::{File, Row, Trigger};
use graftd_tests::fixtures::{ODD_FILES, c_library};
use graftd_tests::{Daemon, Folders, HOST, Neighbours, copy, line, plugin};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a module with a fault; the daemon lives unless it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never runs.
    NotLetIn,
    /// Nothing: it runs, or is off when it was switched off.
    Unharmed,
    /// It is shown as failing, and asked again.
    Answered,
    /// It breaks, and is made anew after a pause.
    Broke,
    /// It is left behind with its thread, and made anew in a process of its own.
    GivenUp,
    /// The daemon dies; the next one knows of whom, and runs it in a process of its own; there it dies again.
    Killed,
}

impl Fate {
    /// What the daemon did, for a person.
    pub fn did(self) -> &'static str {
        match self {
            Fate::NotLetIn => "did not let it in",
            Fate::Unharmed => "went on",
            Fate::Answered => "shows it as failing, and asks it again with a pause that doubles",
            Fate::Broke => "ended it, and made it anew after a pause",
            Fate::GivenUp => "left its thread behind, and made it anew in a process of its own",
            Fate::Killed => {
                "died; the next one ran it in a process of its own, where it died too, and left it rejected"
            }
        }
    }
}

/// The name of the module under test.
const X: &str = "x";

fn start(row: &Row, folders: &Arc<Folders>) -> Daemon {
    let builder = Daemon::builder().folders(folders).tick(Duration::from_millis(50));
    let unreadable = matches!(row.file, File::Odd(index) if ODD_FILES[index].name == "unreadable");
    let builder = if unreadable { builder.without_rights() } else { builder };
    match row.memory {
        Some(bytes) => builder.through(&["prlimit", &format!("--as={bytes}")]).start(),
        None => builder.start(),
    }
}

/// Drops the fault into a running daemon, brings it about, checks that it has its fate, and gives what `/modules` said.
#[track_caller]
pub fn meet(row: &Row) -> String {
    let folders = Arc::new(Folders::new().plugins(&["status", "beat"]));
    folders.write_conf("beat.on", "every = \"50ms\"\n");
    let daemon = start(row, &folders);
    let mut neighbours = Neighbours::new(&daemon, &[]);
    drop_in(row, &daemon);
    let said = match row.fate {
        Fate::Killed => return killed(row, daemon, &folders),
        Fate::NotLetIn => not_let_in(&daemon),
        Fate::Unharmed => unharmed(row, &daemon, &mut neighbours),
        Fate::Answered => await_why(&daemon, "failing"),
        Fate::Broke | Fate::GivenUp => broke(row, &daemon, &mut neighbours),
    };
    neighbours.check(&daemon);
    assert!(daemon.stop().success(), "{}: the daemon ends in order", row.what);
    readable(&said, &folders)
}

fn drop_in(row: &Row, daemon: &Daemon) {
    if !row.conf.is_empty() {
        let File::Plugin(name) = row.file else { unreachable!("only plugins have a .on") };
        // The plugin first, and harmless as it is: a .on whose plugin is missing would be rejected for a moment.
        daemon.put_plugin(&format!("{name}.so"), &plugin(name));
        daemon.await_state(name, "running");
        daemon.folders().write_conf("x.on", &format!("plugin = \"{name}\"\npath = \"x\"\n{}", row.conf));
        return;
    }
    let to = daemon.plugin("x.so");
    match row.file {
        File::Plugin(name) => copy(&plugin(name), &to),
        File::C(name) => copy(c_library(name).file(), &to),
        File::Odd(index) => (ODD_FILES[index].make)(&to),
    }
}

#[track_caller]
fn await_why(daemon: &Daemon, state: &str) -> String {
    let module = daemon.await_state(X, state).found;
    format!("`{state}`: {}", module["why"].as_str().unwrap_or_default())
}

#[track_caller]
fn not_let_in(daemon: &Daemon) -> String {
    let path = format!("graftd,{HOST},module");
    let module = daemon.await_change(&path, |daemon| {
        let module = daemon.module(X);
        matches!(module["state"].as_str(), Some("rejected" | "failing")).then_some(module)
    });
    let text = |name: &str| module.found[name].as_str().unwrap_or_default().to_owned();
    format!("`{}`: {}", text("state"), text("why"))
}

#[track_caller]
fn unharmed(row: &Row, daemon: &Daemon, neighbours: &mut Neighbours) -> String {
    daemon.await_state(X, "running");
    if row.trigger == Trigger::Line {
        neighbours.line(daemon, "/bad");
        neighbours.line(daemon, "/good");
    }
    if row.trigger == Trigger::Off || row.what.contains("thread") {
        // Dropping it and unloading its library must hurt nobody either.
        fs::rename(daemon.conf("x.on"), daemon.conf("x.off")).expect("renamed");
        daemon.await_state(X, "off");
        return "`off`".to_owned();
    }
    assert_eq!(daemon.module(X)["state"], "running");
    "`running`".to_owned()
}

#[track_caller]
fn broke(row: &Row, daemon: &Daemon, neighbours: &mut Neighbours) -> String {
    if row.trigger == Trigger::Line {
        daemon.await_state(X, "running");
        neighbours.line(daemon, "/bad");
    }
    let said = await_why(daemon, "failing");
    assert!(daemon.module(X)["next"].is_string(), "{}: a next try", row.what);
    if row.what.contains("new()") {
        // It never works.
        return said;
    }
    // It comes back by itself.
    let module = daemon.await_state(X, "running").found;
    if row.fate == Fate::GivenUp {
        assert!(module["why"].as_str().is_some_and(|why| why.contains("process of its own")), "{module}");
        daemon.await_value(&format!("graftd,{HOST},module,x,isolation"), "process");
        daemon.await_value(&format!("graftd,{HOST},module,x,abandoned"), 1);
    }
    said
}

#[track_caller]
fn killed(row: &Row, daemon: Daemon, folders: &Arc<Folders>) -> String {
    if row.trigger == Trigger::Line {
        daemon.await_state(X, "running");
        // Nobody will answer that.
        let _asked = daemon.ask_post("/push", "text/plain", &line("/bad"));
        assert!(!daemon.await_end().success(), "{}", row.what);
    } else {
        assert!(!daemon.await_end().success(), "{}", row.what);
    }
    let again = start(row, folders);
    let mut neighbours = Neighbours::new(&again, &[]);
    if row.trigger == Trigger::Line {
        let module = again.await_state(X, "running").found;
        let why = module["why"].as_str().unwrap_or_default();
        assert!(why.contains("process of its own") && why.contains("killed the daemon"), "{}: {module}", row.what);
        neighbours.line(&again, "/bad");
    }
    let said = await_why(&again, "rejected");
    neighbours.check(&again);
    let log = again.stderr();
    let blamed = log.lines().find_map(|line| Some(line.split_once("ERROR ")?.1)).unwrap_or_default().to_owned();
    assert!(blamed.starts_with("the last daemon here died in the module x: killed"), "{}: {log}", row.what);
    assert!(again.stop().success(), "{}: the daemon ends in order", row.what);
    readable(&format!("{blamed}; at last {said}"), folders)
}

/// What was said, without what differs from run to run or from build to build: folders, times, and places in a source.
fn readable(said: &str, folders: &Folders) -> String {
    let root = folders.root().display().to_string();
    let words = said.replace(&format!("{root}/"), "");
    let plain = |word: &str| match word.split_once(".rs:") {
        Some((file, _)) => format!("{}.rs:LINE:", file.rsplit('/').next().unwrap_or(file)),
        // A size that a build happens to have; limits are round.
        None if is_a_builds(word) => "SIZE".to_owned(),
        None => word.replace(time_in(word), "TIME"),
    };
    words.split(' ').map(plain).collect::<Vec<_>>().join(" ")
}

/// `2025-05-01T00:00:00.000Z`, if that is what it begins with.
fn time_in(word: &str) -> &str {
    match word.trim_start_matches('(').get(..24) {
        Some(time) if time.ends_with('Z') && time.as_bytes()[10] == b'T' => time,
        _ => "\0",
    }
}

/// A size in bytes that a build happens to have, with what punctuation follows it; limits are round.
fn is_a_builds(word: &str) -> bool {
    let size: Option<u64> = word.trim_end_matches([';', ',', ':']).parse().ok();
    size.is_some_and(|size| size > 1_000_000 && !size.is_multiple_of(1_048_576))
}
