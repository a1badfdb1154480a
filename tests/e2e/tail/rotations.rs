//! Whatever turns a log over.

use super::{LOG, Writer, await_lines, folders, line, open, start, sum};
use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::HOST;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

#[test]
fn renamed_files_are_read_to_their_end() {
    let folders = folders("");
    let mut writer = Writer::new(&folders);
    let daemon = start(&folders);
    daemon.await_number(&format!("graftd,{HOST},log,{LOG},lag_bytes"));
    for turn in 1..=20 {
        writer.write(50);
        fs::rename(&writer.path, writer.beside(&format!(".{turn}"))).expect("renamed");
        // The server goes on writing into what it has open, until it is told.
        writer.write(25);
        writer.file = open(&writer.path);
        writer.write(25);
    }
    await_lines(&daemon, 2_000);
}

#[test]
fn files_that_are_copied_and_cut_are_read_on_in_the_copy() {
    let folders = folders("");
    let mut writer = Writer::new(&folders);
    let daemon = start(&folders);
    daemon.await_number(&format!("graftd,{HOST},log,{LOG},lag_bytes"));
    for turn in 1..=20 {
        writer.write(100);
        writer.copy_and_cut(&format!(".{turn}"));
        if turn % 3 == 0 {
            await_lines(&daemon, turn * 100);
        } else {
            // As soon as it can be seen that it was cut; it may be longer by then than it was before.
            writer.write(0);
        }
        daemon.await_change(&format!("{LOG},status"), |daemon| (super::counted(daemon).0 == turn * 100).then_some(()));
    }
    await_lines(&daemon, 2_000);
}

#[test]
fn what_was_cut_twice_before_it_was_looked_at_is_found_in_its_copies() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    writer.write(10);
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    writer.rename(".1");
    daemon.await_value(&format!("graftd,{HOST},log,{LOG},files"), 2);
    // The new file is known, and empty. It is filled and cut while nobody looks, twice.
    daemon.pause();
    writer.write(10);
    writer.copy_and_cut(".2");
    writer.write(10);
    writer.copy_and_cut(".3");
    writer.write(10);
    daemon.resume();
    await_lines(&daemon, 40);
}

#[test]
fn patterns_take_in_new_files_their_rotations_and_copies_once() {
    let folders = folders("");
    let conf = format!("plugin = \"access-log\"\nfile = \"../logs/*\"\nprefix = \"{LOG}\"\nstart = \"begin\"");
    folders.write_conf(&format!("{LOG}.on"), &conf);
    let mut writer = Writer::new(&folders);
    writer.write(100);
    let daemon = start(&folders);
    await_lines(&daemon, 100);
    writer.rename(".1");
    writer.write(100);
    await_lines(&daemon, 200);
    // A copy of what is still being read, then the cut.
    fs::copy(&writer.path, writer.beside(".2")).expect("copied");
    daemon.await_change(&format!("graftd,{HOST},log,{LOG},files"), |daemon| {
        (daemon.value(&format!("graftd,{HOST},log,{LOG},files")) == 3.0).then_some(())
    });
    writer.file.set_len(0).expect("cut");
    writer.write(100);
    await_lines(&daemon, 300);
    let mut other = Writer::at(folders.root().join("logs/other"));
    other.lines = 300;
    other.write(100);
    await_lines(&daemon, 400);
    // An archive of what was read, and one of what was not.
    for (from, name) in [(1, "access.log.3.gz"), (401, "old.gz")] {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        (from..from + 100).for_each(|number| packed.write_all(line(number).as_bytes()).expect("packed"));
        let _ = folders.write(&format!("logs/{name}"), packed.finish().expect("packed"));
    }
    await_lines(&daemon, 500);
    // A copy of what is still being read, and nothing is cut: none of it is new after a restart either.
    fs::copy(&writer.path, writer.beside(".5")).expect("copied");
    let files = format!("graftd,{HOST},log,{LOG},files");
    daemon.await_value(&files, 7);
    assert_eq!(daemon.stop().code(), Some(0));
    let daemon = start(&folders);
    daemon.await_value(&files, 7);
    other.lines = 500;
    other.write(1);
    await_lines(&daemon, 501);
}

#[test]
fn links_are_followed_to_where_they_lead() {
    let folders = folders("start = \"begin\"");
    let root = folders.root().join("logs");
    let mut first = Writer::at(root.join("first.log"));
    first.write(10);
    symlink("first.log", root.join("access.log")).expect("linked");
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    let mut second = Writer::at(root.join("second.log"));
    second.lines = 10;
    second.write(10);
    symlink("second.log", root.join("new")).expect("linked");
    fs::rename(root.join("new"), root.join("access.log")).expect("swapped");
    await_lines(&daemon, 20);
}

#[test]
fn a_file_that_vanishes_and_returns_goes_on() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    writer.write(10);
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    let away = folders.root().join("away");
    fs::rename(&writer.path, &away).expect("renamed");
    let trouble = format!("graftd,{HOST},log,{LOG},trouble");
    daemon.await_change(&trouble, |daemon| {
        daemon.value(&trouble).as_str().filter(|why| why.contains("access.log")).map(drop)
    });
    writer.write(10);
    await_lines(&daemon, 20);
    fs::rename(&away, &writer.path).expect("back");
    daemon.await_value(&trouble, "");
    writer.write(10);
    await_lines(&daemon, 30);
    fs::remove_file(&writer.path).expect("removed");
    writer.file = open(&writer.path);
    writer.write(10);
    await_lines(&daemon, 40);
}

#[test]
fn a_last_line_without_its_end_counts_when_the_file_is_done_with() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    let text = line(1);
    writer.file.write_all(&text.as_bytes()[..20]).expect("written");
    let daemon = start(&folders);
    daemon.await_number(&format!("graftd,{HOST},log,{LOG},lag_bytes"));
    writer.file.write_all(&text.as_bytes()[20..]).expect("written");
    await_lines(&daemon, 1);
    writer.file.write_all(line(2).trim_end().as_bytes()).expect("written");
    writer.lines = 2;
    writer.rename(".1");
    writer.write(1);
    await_lines(&daemon, 3);
}

#[test]
fn what_is_no_line_is_counted_and_shown_and_stops_nothing() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    writer.write(1);
    let mut text = b"\x00\x01\x02\xff\xfe binary\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 3_000_000));
    text.extend(b"\n\r\n\n");
    text.extend(line(2).replace('\n', "\r\n").as_bytes());
    text.extend(line(3).replace("test", "b\u{fc}rger").as_bytes());
    text.extend([&line(4).as_bytes()[..60], b"\xff\xff", &line(4).as_bytes()[60..]].concat());
    writer.file.write_all(&text).expect("written");
    let daemon = start(&folders);
    let errors = format!("graftd,{HOST},log,{LOG},errors");
    daemon.await_value(&errors, 2);
    await_lines(&daemon, 4);
    assert_eq!(daemon.value(&format!("graftd,{HOST},log,{LOG},lines")), 6.0);
}

#[test]
fn a_log_that_comes_while_pipes_run_has_its_own_of_each_and_goes_alone() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    writer.write(10);
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    let made = daemon.module("status")["since"].clone();
    let mut other = Writer::at(folders.root().join("logs/other.log"));
    other.write(20);
    let conf = "plugin = \"access-log\"\nfile = \"../logs/other.log\"\nprefix = \"other\"\nstart = \"begin\"";
    folders.write_conf("other.on", conf);
    daemon.await_value("other,bytes,2xx", sum(20));
    assert_eq!(daemon.module("status")["since"], made, "what ran has been left alone");
    // Another prefix: it goes on where it was.
    folders.write_conf("other.on", &conf.replace("prefix = \"other\"", "prefix = \"moved\""));
    daemon.await_change("graftd", |daemon| daemon.stderr().matches("module other: running").nth(1).map(drop));
    other.write(5);
    daemon.await_value("moved,status,200", 5);
    fs::rename(folders.conf("other.on"), folders.conf("other.off")).expect("off");
    daemon.await_state("other", "off");
    other.write(5);
    writer.write(10);
    await_lines(&daemon, 20);
    assert_eq!(daemon.value("moved,status,200"), 5.0);
    fs::rename(folders.conf("other.off"), folders.conf("other.on")).expect("on");
    daemon.await_value("moved,status,200", 10);
}

#[test]
fn a_log_whose_format_is_not_said_is_told_from_its_lines_and_columns_hold_after_a_restart() {
    let folders = folders("start = \"begin\"");
    let header = "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes\n";
    let line = |number: u64| format!("2026-11-26 10:20:{:02} 192.0.2.1 GET /n/{number} 200 {number}\n", number % 60);
    let mut writer = Writer::new(&folders);
    writer.file.write_all(header.as_bytes()).expect("written");
    (1..=100).for_each(|number| writer.file.write_all(line(number).as_bytes()).expect("written"));
    let daemon = start(&folders);
    await_lines(&daemon, 100);
    let why = daemon.module(LOG)["why"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("w3c")), "{why}");
    daemon.kill();
    (101..=200).for_each(|number| writer.file.write_all(line(number).as_bytes()).expect("written"));
    let daemon = start(&folders);
    await_lines(&daemon, 200);
}

#[test]
fn a_packed_file_with_a_line_that_is_too_long_counts_once_over_restarts() {
    let folders = folders("start = \"begin\"");
    let conf = format!(
        "plugin = \"access-log\"\nfile = \"../logs/*.gz\"\nprefix = \"{LOG}\"\nstart = \"begin\"\nformat = \"combined\""
    );
    folders.write_conf(&format!("{LOG}.on"), &conf);
    let writer = Writer::new(&folders);
    drop(writer);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 1..=1_000 {
        packed.write_all(line(number).as_bytes()).expect("packed");
        if number % 200 == 0 {
            packed.write_all(&b"x".repeat(3_000_000)).expect("packed");
            // What follows in that line is no line of its own.
            packed.write_all(format!(" {}", line(number)).as_bytes()).expect("packed");
        }
    }
    let _ = folders.write("logs/old.gz", packed.finish().expect("packed"));
    let mut daemon = start(&folders);
    await_lines(&daemon, 1_000);
    daemon.await_value(&format!("graftd,{HOST},log,{LOG},errors"), 5);
    for _ in 0..2 {
        daemon.stop();
        daemon = start(&folders);
        daemon.await_number(&format!("graftd,{HOST},log,{LOG},lag_bytes"));
        let mut more = Writer::at(folders.root().join("logs/more"));
        more.write(1);
        // Two commits later nothing has come.
        let commits = format!("graftd,{HOST},trend,commits");
        for _ in 0..2 {
            daemon.push(&serde_json::json!({"n": 1}));
            assert_eq!(daemon.post("/push?wait=commit", "application/json", b"{\"n\":1}").status, 200);
        }
        daemon.await_number(&commits);
        await_lines(&daemon, 1_000);
    }
}
