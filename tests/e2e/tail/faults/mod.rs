//! A numbered log is written and rotated while the disk, the file and the clock are what they should not be. Whatever happened:
//! the tree and its history have each line once.

mod clock;
mod files;
mod full;
mod io;
mod stopped;

use super::survival::Chance;
use super::{LOG, Writer, await_lines, folders, start, sum};
use graftd_tests::fixtures::{CLibrary, c_library};
use graftd_tests::{Daemon, Folders, HOST, graftd};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// So many turns, or as many as that where the long runs are wanted.
fn turns(short: u64, long: u64) -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { long } else { short }
}

/// The data folder.
fn data(folders: &Folders) -> PathBuf {
    folders.root().join("data")
}

/// What writes a log and turns it over, as chance will have it.
struct Server {
    writer: Writer,
    chance: Chance,
    rotated: u64,
}

impl Server {
    fn new(folders: &Folders, seed: u64) -> Server {
        Server { writer: Writer::new(folders), chance: Chance(seed), rotated: 0 }
    }

    /// Some lines, and perhaps a rotation.
    fn write(&mut self) {
        self.writer.write(1 + self.chance.below(2_000));
        let tag = format!(".{}", self.rotated + 1);
        match self.chance.below(6) {
            0 | 1 => self.writer.rename(&tag),
            2 => self.writer.copy_and_cut(&tag),
            _ => return,
        }
        self.rotated += 1;
    }

    /// Any time up to so many milliseconds: there is nothing to wait for.
    fn pause(&mut self, most_ms: u64) {
        thread::sleep(Duration::from_millis(self.chance.below(most_ms)));
    }
}

/// Has a commit written.
fn commit(daemon: &Daemon) {
    daemon.post("/push?wait=commit", "application/json", b"{\"beat\":1}").good();
}

/// Waits until the daemon says that it cannot commit, in these words, and has said so in the tree.
#[track_caller]
fn await_unwritten(daemon: &Daemon, words: &str) {
    let trend = format!("graftd,{HOST},trend");
    daemon.await_change(&trend, |daemon| {
        let answer = daemon.get("/readyz");
        let told = daemon.value(&format!("{trend},error"));
        let has = |text: &str| text.contains(words) && text.contains("graftd.db");
        (answer.status == 503 && has(&answer.body) && told.as_str().is_some_and(has)).then_some(())
    });
}

/// Waits until the daemon can commit, and nothing waits any more.
#[track_caller]
fn await_written(daemon: &Daemon) {
    let trend = format!("graftd,{HOST},trend");
    daemon.await_change(&trend, |daemon| {
        let waits = daemon.value(&format!("{trend},waiting_nodes")).as_f64();
        (daemon.get("/readyz").status == 200 && waits == Some(0.0)).then_some(())
    });
}

/// What the history of a path ends with.
fn last(daemon: &Daemon, path: &str) -> Option<f64> {
    let answer = daemon.get(&format!("/trend/?key-{path}&from=-10m&step=raw")).good().json();
    answer[0][path]["values"].as_array()?.iter().filter_map(Value::as_f64).next_back()
}

/// Tree and history have each line once, now and after a kill.
#[track_caller]
fn settle(folders: &Arc<Folders>, writer: &Writer) {
    println!("{} lines were written, the sum of their numbers is {}", writer.lines, sum(writer.lines));
    for _ in 0..2 {
        let daemon = start(folders);
        await_lines(&daemon, writer.lines);
        commit(&daemon);
        assert_eq!(last(&daemon, &format!("{LOG},status,200")), Some(writer.lines as f64));
        assert_eq!(last(&daemon, &format!("{LOG},bytes,2xx")), Some(sum(writer.lines) as f64));
        daemon.kill();
        check(folders);
    }
}

fn check(folders: &Folders) {
    graftd(["trend", "check", "--data", &data(folders).display().to_string()]).good();
}

/// What is preloaded into a daemon, so that its disk fails and its clock is wrong: `tests/fixtures/c/faults.c`.
struct Faults {
    library: CLibrary,
    file: PathBuf,
    control: File,
}

impl Faults {
    fn new(folders: &Folders, seed: u32) -> Faults {
        let file = folders.root().join("faults");
        let control = File::options().read(true).write(true).create_new(true).open(&file).expect("made");
        control.set_len(24).expect("made");
        control.write_all_at(&seed.to_ne_bytes(), 12).expect("written");
        Faults { library: c_library("faults"), file, control }
    }

    /// A daemon that it is preloaded into.
    fn start(&self, folders: &Arc<Folders>) -> Daemon {
        let preload = format!("LD_PRELOAD={}", self.library.file().display());
        let file = format!("GRAFTD_FAULTS={}", self.file.display());
        let builder = Daemon::builder().folders(folders).settings("commit = \"300ms\"");
        builder.through(&["env", &preload, &file]).start()
    }

    /// From now on one of so many calls fails; none with 0.
    fn one_in(&self, calls: u32) {
        self.control.write_all_at(&calls.to_ne_bytes(), 8).expect("written");
    }

    /// From now on the wall clock is so far ahead.
    fn shift(&self, ms: i64) {
        self.control.write_all_at(&ms.to_ne_bytes(), 0).expect("written");
    }

    /// Calls that have failed.
    fn failed(&self) -> u32 {
        let mut failed = [0; 4];
        self.control.read_exact_at(&mut failed, 16).expect("read");
        u32::from_ne_bytes(failed)
    }
}
