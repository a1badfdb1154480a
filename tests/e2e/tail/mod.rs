//! Logs that are read while they are written. Each line has a number, which is its bytes too: the count of lines and the sum
//! of bytes together are right only if each line was counted once.

mod edits;
mod faults;
mod nginx;
mod rotations;
mod survival;
mod troubles;

use graftd_tests::{Daemon, Folders, HOST, Watched};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
pub(crate) use survival::Chance;

/// The log's name in all of these tests.
const LOG: &str = "shop";

/// Writes a log as a server does, and turns it over.
struct Writer {
    file: File,
    path: PathBuf,
    lines: u64,
}

impl Writer {
    fn new(folders: &Folders) -> Writer {
        Writer::at(folders.root().join("logs/access.log"))
    }

    fn at(path: PathBuf) -> Writer {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        Writer { file: open(&path), path, lines: 0 }
    }

    /// Lines of the next numbers.
    fn write(&mut self, lines: u64) {
        let text: String = (self.lines + 1..=self.lines + lines).map(line).collect();
        self.file.write_all(text.as_bytes()).expect("written");
        self.lines += lines;
    }

    /// Where a rotation of this name lies.
    fn beside(&self, tag: &str) -> PathBuf {
        self.path.with_file_name(format!("access.log{tag}"))
    }

    /// Renames the log, and begins a new one.
    fn rename(&mut self, tag: &str) {
        fs::rename(&self.path, self.beside(tag)).expect("renamed");
        self.file = open(&self.path);
    }

    /// Copies the log, and cuts it; nobody writes meanwhile.
    fn copy_and_cut(&mut self, tag: &str) {
        fs::copy(&self.path, self.beside(tag)).expect("copied");
        self.file.set_len(0).expect("cut");
    }
}

fn open(path: &PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("opened")
}

fn line(number: u64) -> String {
    let second = number % 60;
    format!(
        "192.0.2.{} - - [26/Nov/2026:10:20:{second:02} +0000] \"GET /n/{number} HTTP/1.1\" 200 {number} \"-\" \"test\"\n",
        number % 250
    )
}

/// The sum of the numbers of so many lines.
fn sum(lines: u64) -> u64 {
    lines * (lines + 1) / 2
}

/// Folders with the pipes that count, and the `.on` of a log.
fn folders(more: &str) -> Arc<Folders> {
    let folders = Arc::new(Folders::new());
    folders.copy_plugins(&["status", "bytes"]);
    folders.write_conf(
        &format!("{LOG}.on"),
        &format!("plugin = \"access-log\"\nfile = \"../logs/access.log\"\nprefix = \"{LOG}\"\n{more}"),
    );
    folders
}

fn start(folders: &Arc<Folders>) -> Daemon {
    Daemon::builder().folders(folders).settings("commit = \"300ms\"").start()
}

/// What the tree has counted: lines, and the sum of their numbers.
fn counted(daemon: &Daemon) -> (u64, u64) {
    let number = |path: &str| daemon.value(path).as_f64().unwrap_or(0.0) as u64;
    (number(&format!("{LOG},status,200")), number(&format!("{LOG},bytes,2xx")))
}

/// Waits until so many lines were counted, each once.
#[track_caller]
fn await_lines(daemon: &Daemon, lines: u64) -> Watched<()> {
    let all = (lines, sum(lines));
    let path = format!("graftd,{HOST},log,{LOG}");
    daemon.await_change(&path, |daemon| {
        let found = counted(daemon);
        assert!(found.0 <= all.0 && found.1 <= all.1, "{found:?} is more than {all:?}: {}", daemon.stderr());
        (found == all).then_some(())
    })
}

#[test]
fn the_format_is_named_once_there_are_lines() {
    let folders = folders("");
    let mut writer = Writer::new(&folders);
    let daemon = start(&folders);
    let why = || daemon.module(LOG)["why"].as_str().unwrap_or_default().to_owned();
    daemon.await_change(&format!("graftd,{HOST}"), |_| why().starts_with("no line is there yet").then_some(()));
    writer.write(3);
    await_lines(&daemon, 3);
    let found =
        daemon.await_change(&format!("graftd,{HOST}"), |_| Some(why()).filter(|why| why.starts_with("format "))).found;
    assert!(found.starts_with("format \"combined\": ") && found.contains("each line may be one of"), "{found}");
}

#[test]
fn what_is_written_is_counted_from_the_end_on_or_from_the_beginning() {
    for (start_at, old) in [("end", 0), ("begin", 1_000)] {
        let folders = folders(&format!("start = {start_at:?}"));
        let mut writer = Writer::new(&folders);
        writer.write(1_000);
        let daemon = start(&folders);
        daemon.await_number(&format!("graftd,{HOST},log,{LOG},lag_bytes"));
        if old == 0 {
            // Only what is new counts: numbers begin anew.
            writer.lines = 0;
        }
        writer.write(500);
        await_lines(&daemon, old + 500);
        assert_eq!(daemon.value(&format!("graftd,{HOST},log,{LOG},lines")), (old + 500) as f64);
        assert_eq!(daemon.stop().code(), Some(0));
    }
}
