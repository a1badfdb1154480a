//! Files that are not there yet, or cannot be read, beside others that can.

use super::{LOG, Writer, await_lines, counted, folders, line, start};
use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::{Daemon, Folders, HOST, Watched, binary};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// The path at which something is told of the log.
fn own(key: &str) -> String {
    format!("graftd,{HOST},log,{LOG},{key}")
}

/// Waits until this is in what is wrong.
#[track_caller]
fn await_trouble(daemon: &Daemon, what: &str) -> Watched<()> {
    daemon.await_change(&own("trouble"), |daemon| {
        daemon.value(&own("trouble")).as_str().filter(|why| why.contains(what)).map(drop)
    })
}

/// A log of all files whose names end in this.
fn all(ending: &str) -> Arc<Folders> {
    let folders = folders("");
    let conf =
        format!("plugin = \"access-log\"\nfile = \"../logs/*{ending}\"\nprefix = \"{LOG}\"\nformat = \"combined\"\n");
    folders.write_conf(&format!("{LOG}.on"), &format!("{conf}start = \"begin\""));
    folders
}

/// A log with the lines behind those of another.
fn behind(writer: &Writer, path: PathBuf) -> Writer {
    Writer { lines: writer.lines, ..Writer::at(path) }
}

#[test]
fn a_file_that_may_not_be_read_is_told_of_and_read_once_it_may_be() {
    let folders = all(".log");
    let logs = folders.root().join("logs");
    let mut good = Writer::new(&folders);
    good.write(10);
    let mut bad = behind(&good, logs.join("bad.log"));
    bad.write(10);
    fs::set_permissions(&bad.path, fs::Permissions::from_mode(0o000)).expect("taken away");
    fs::create_dir(logs.join("folder.log")).expect("made");
    let daemon = Daemon::builder().folders(&folders).settings("commit = \"300ms\"").without_rights().start();
    await_lines(&daemon, 10);
    await_trouble(&daemon, "bad.log: Permission denied");
    await_trouble(&daemon, "and 1 more");
    fs::set_permissions(&bad.path, fs::Permissions::from_mode(0o644)).expect("given back");
    await_lines(&daemon, 20);
    await_trouble(&daemon, "folder.log: is no regular file");
    fs::remove_dir(logs.join("folder.log")).expect("removed");
    daemon.await_value(&own("trouble"), "");
    good.lines = 20;
    good.write(10);
    await_lines(&daemon, 30);
}

#[test]
fn more_files_than_there_are_descriptors_for_are_told_of_and_lose_nothing() {
    const FILES: u64 = 400;
    let folders = all(".log");
    let on = folders.conf(&format!("{LOG}.on"));
    let text = fs::read_to_string(&on).expect("the .on").replace("\"begin\"", "\"end\"");
    fs::write(&on, text).expect("written");
    let mut files: Vec<Writer> =
        (1..=FILES).map(|n| Writer::at(folders.root().join(format!("logs/{n:03}.log")))).collect();
    for (n, file) in files.iter_mut().enumerate() {
        // What is there before counts nowhere.
        file.lines = 1_000 + n as u64;
        file.write(1 + n as u64 % 3);
        file.lines = n as u64;
    }
    let limited = Daemon::builder().folders(&folders).settings("commit = \"300ms\"");
    let daemon = limited.through(&["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"]).start();
    await_trouble(&daemon, "ulimit -n");
    // One is for what hears of them.
    daemon.await_value(&own("files"), 127);
    files.iter_mut().for_each(|file| file.write(1));
    await_lines(&daemon, 127);
    let clients: Vec<_> = (0..30).map(|_| TcpStream::connect(daemon.http()).expect("connected")).collect();
    let mut command = Command::new(binary());
    command.args(["get", LOG, "--url", &format!("http://{}", daemon.http())]);
    let ran = command.output().expect("ran");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    drop(clients);
    assert_eq!(daemon.stderr().matches("ulimit -n").count(), 1, "{}", daemon.stderr());
    assert_eq!(daemon.value(&own("files")), 127.0);
    daemon.kill();
    let daemon = start(&folders);
    await_lines(&daemon, FILES);
    daemon.await_value(&own("files"), FILES);
    daemon.await_value(&own("trouble"), "");
}

#[test]
fn a_packed_file_that_is_damaged_is_told_of_and_holds_up_no_other() {
    let folders = all(".*");
    let mut good = Writer::new(&folders);
    good.write(10);
    let gzip = |numbers: std::ops::RangeInclusive<u64>| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        numbers.for_each(|number| packed.write_all(line(number).as_bytes()).expect("packed"));
        packed.finish().expect("packed")
    };
    let (first, second) = (gzip(11..=10_010), gzip(10_011..=20_010));
    let whole = [first.as_slice(), &second].concat();
    let mut damaged = whole.clone();
    // Behind a member's header of ten bytes (RFC 1952) there is no block of this kind (RFC 1951).
    damaged[first.len() + 10] = 0x07;
    let _ = folders.write("logs/old.gz", &damaged);
    let daemon = start(&folders);
    await_trouble(&daemon, "old.gz: ");
    let (lines, _) = counted(&daemon);
    good.lines = 20_010;
    good.write(10);
    daemon.await_change(LOG, |daemon| (counted(daemon).0 >= lines + 10).then_some(()));
    // It stays told, however often it is looked at.
    for _ in 0..10 {
        daemon.close_tick();
        assert!(daemon.value(&own("trouble")).as_str().is_some_and(|why| why.contains("old.gz: ")));
    }
    let _ = folders.write("logs/old.gz", &whole);
    await_lines(&daemon, 20_020);
    daemon.await_value(&own("trouble"), "");
}

#[test]
fn a_file_that_is_empty_at_first_is_read_from_its_first_line() {
    for start_at in ["begin", "end"] {
        let folders = folders(&format!("start = {start_at:?}"));
        let mut writer = Writer::new(&folders);
        let daemon = start(&folders);
        daemon.await_value(&own("files"), 1);
        writer.write(10);
        await_lines(&daemon, 10);
        // And after a restart, where nothing is known of a file but that it was empty.
        writer.rename(".1");
        daemon.await_value(&own("files"), 2);
        assert_eq!(daemon.stop().code(), Some(0));
        writer.write(10);
        await_lines(&start(&folders), 20);
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_waited_for() {
    for start_at in ["begin", "end"] {
        let folders = folders("");
        let conf =
            format!("plugin = \"access-log\"\nfile = \"../logs/*/a*.log\"\nprefix = \"{LOG}\"\nstart = {start_at:?}");
        folders.write_conf(&format!("{LOG}.on"), &conf);
        let daemon = start(&folders);
        await_trouble(&daemon, "no file is there that ");
        let mut first = Writer::at(folders.root().join("logs/one/access.log"));
        first.write(10);
        await_lines(&daemon, 10);
        daemon.await_value(&own("trouble"), "");
        let mut second = behind(&first, folders.root().join("logs/two/a.log"));
        second.write(10);
        await_lines(&daemon, 20);
        daemon.await_value(&own("files"), 2);
    }
}
