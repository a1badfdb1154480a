//! Whatever ends the daemon, each line counts once.

use super::{LOG, Writer, await_lines, counted, folders, start};
use graftd_tests::{HOST, binary, graftd};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Numbers that look like chance and are the same each time (splitmix64, Steele, Lea, Flood 2014).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Which lines are in which file, for who has to find out why they are not counted.
pub(super) fn show(log: &Path) {
    let folder = log.parent().expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a log");
        let number = |line: Option<&str>| {
            line.and_then(|line| line.split("/n/").nth(1)?.split(' ').next()).unwrap_or("none").to_owned()
        };
        let (first, last) = (number(text.lines().next()), number(text.lines().last()));
        println!("{:?}: {first} to {last}, {} bytes", entry.file_name(), text.len());
    }
}

#[test]
fn a_line_counts_once_whenever_the_daemon_is_killed() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    let mut chance = Chance(1);
    let turns = if std::env::var_os("GRAFTD_SOAK").is_some() { 200 } else { 25 };
    let mut rotated = 0;
    for turn in 0..turns {
        let daemon = start(&folders);
        // What happens while it runs, or has just begun, or is being killed.
        for _ in 0..1 + chance.below(6) {
            writer.write(1 + chance.below(3_000));
            if chance.below(3) == 0 {
                rotated += 1;
                writer.rename(&format!(".{rotated}"));
            } else if chance.below(4) == 0 {
                rotated += 1;
                writer.copy_and_cut(&format!(".{rotated}"));
            }
            // There is nothing to wait for: the moment of the kill is to be any.
            std::thread::sleep(Duration::from_millis(chance.below(120)));
        }
        if turn % 5 == 4 {
            assert_eq!(daemon.stop().code(), Some(0));
        } else {
            daemon.kill();
        }
        // The tree and its history end alike, wherever it was.
        graftd(["trend", "check", "--data", &folders.root().join("data").display().to_string()]).good();
        // What happens while it is away.
        writer.write(chance.below(500));
        if chance.below(3) == 0 {
            rotated += 1;
            writer.rename(&format!(".{rotated}"));
            writer.write(chance.below(500));
        }
    }
    let daemon = start(&folders);
    println!(
        "{} lines were written, the sum of their numbers is {}; {rotated} rotations",
        writer.lines,
        super::sum(writer.lines)
    );
    show(&writer.path);
    await_lines(&daemon, writer.lines);
    // And it stays so.
    daemon.stop();
    let daemon = start(&folders);
    writer.write(1);
    await_lines(&daemon, writer.lines);
}

#[test]
fn a_daemon_that_is_killed_before_it_has_counted_anything_knows_where_its_logs_began() {
    for (start_at, old) in [("begin", 10), ("end", 0)] {
        let folders = folders(&format!("start = {start_at:?}"));
        let mut writer = Writer::new(&folders);
        writer.write(10);
        let daemon = start(&folders);
        writer.lines = old;
        writer.write(10);
        writer.rename(".1");
        writer.write(10);
        writer.rename(".2");
        writer.write(10);
        daemon.kill();
        await_lines(&start(&folders), old + 30);
    }
}

#[test]
fn a_log_that_is_missing_through_restarts_is_read_to_its_end_where_it_lies() {
    let folders = folders("");
    let mut writer = Writer::new(&folders);
    let daemon = start(&folders);
    writer.write(10);
    await_lines(&daemon, 10);
    fs::rename(&writer.path, writer.beside(".1")).expect("renamed");
    let trouble = format!("graftd,{HOST},log,{LOG},trouble");
    daemon.await_change(&trouble, |daemon| {
        daemon.value(&trouble).as_str().filter(|why| why.contains("no file is there")).map(drop)
    });
    assert_eq!(daemon.stop().code(), Some(0));
    for lines in [20, 30] {
        let daemon = start(&folders);
        writer.write(10);
        await_lines(&daemon, lines);
        assert_eq!(daemon.stop().code(), Some(0));
    }
    // The server has not been told yet, then is.
    writer.write(10);
    writer.file = super::open(&writer.path);
    writer.write(10);
    await_lines(&start(&folders), 50);
}

#[test]
fn a_clean_stop_writes_down_what_was_folded() {
    let folders = folders("start = \"begin\"");
    folders.write_conf("graftd.conf", "");
    let mut writer = Writer::new(&folders);
    writer.write(1_000);
    let daemon = graftd_tests::Daemon::builder().folders(&folders).settings("commit = \"1h\"").start();
    await_lines(&daemon, 1_000);
    writer.write(1_000);
    daemon.await_change(&format!("graftd,{HOST},log,{LOG}"), |daemon| (counted(daemon).0 == 2_000).then_some(()));
    assert_eq!(daemon.stop().code(), Some(0));
    fs::remove_file(&writer.path).expect("removed");
    let daemon = start(&folders);
    assert_eq!(counted(&daemon), (2_000, super::sum(2_000)), "nothing is read that is not there");
}

#[test]
fn a_database_of_a_later_version_or_another_program_is_left_alone() {
    for (sql, want) in [
        (
            "PRAGMA user_version = 99; PRAGMA application_id = 1735550580; CREATE TABLE x(y)",
            "a newer graftd has written it",
        ),
        ("CREATE TABLE x(y)", "another program"),
    ] {
        let folders = folders("");
        let data = folders.root().join("data");
        fs::create_dir_all(&data).expect("made");
        let made = rusqlite::Connection::open(data.join("graftd.db")).and_then(|db| db.execute_batch(sql));
        made.expect("a database");
        let mut command = Command::new(binary());
        command.arg("run").arg("--data").arg(&data).args(folders.args()).args(["--http", "127.0.0.1:0"]);
        let ran = command.args(["--push", "127.0.0.1:0"]).output().expect("ran");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && said.contains(want) && said.contains("graftd.db"), "{said}");
    }
}

#[test]
fn without_a_database_the_live_tree_goes_on_and_says_so() {
    let folders = folders("start = \"begin\"");
    let data = folders.root().join("data");
    fs::create_dir_all(&data).expect("made");
    fs::write(data.join("graftd.db"), "this is no database, and long enough to be seen to be none".repeat(100))
        .expect("written");
    let mut writer = Writer::new(&folders);
    writer.write(10);
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    let answer = daemon.get("/readyz");
    assert!(answer.status == 503 && answer.body.contains("graftd.db"), "{answer:?}");
    let answer = daemon.post("/push?wait=commit", "application/json", b"{\"n\":1}");
    assert!(answer.status == 503 && answer.body.contains("not committed"), "{answer:?}");
    assert_eq!(daemon.value("n"), 1.0);
}

#[test]
fn a_database_that_is_taken_away_is_missed() {
    for harm in ["removed", "cut", "overwritten"] {
        let folders = folders("");
        let daemon = start(&folders);
        let push = || daemon.post("/push?wait=commit", "application/json", b"{\"n\":1}");
        assert_eq!(push().status, 200);
        let file = folders.root().join("data/graftd.db");
        match harm {
            "removed" => fs::remove_dir_all(folders.root().join("data")).expect("removed"),
            "cut" => fs::write(&file, "").expect("cut"),
            _ => fs::write(&file, "no database at all, and it never was one").expect("overwritten"),
        }
        let answer = push();
        assert!(answer.status == 503 && answer.body.contains("graftd.db"), "{harm}: {answer:?}");
        daemon.await_change("graftd", |daemon| {
            let answer = daemon.get("/readyz");
            (answer.status == 503 && answer.body.contains("graftd.db")).then_some(())
        });
        assert_eq!(daemon.value("n"), 2.0, "{harm}: the live tree goes on");
    }
}

#[test]
fn rows_that_are_pruned_when_the_tree_is_made_again_are_right_after_every_kill() {
    const ROWS: u64 = 300;
    let folders = folders("");
    folders.copy_plugins(&["url"]);
    folders.write_conf("url.on", "[params]\nk = 10");
    // Kept before the tick is over that would have pruned them.
    let daemon = graftd_tests::Daemon::builder().folders(&folders).tick(Duration::from_secs(5)).start();
    daemon.await_change("graftd", |daemon| (daemon.module("url")["state"] == "running").then_some(()));
    let lines: String = (1..=ROWS).map(super::line).collect();
    let answer = daemon.post("/push?wait=commit", "text/plain", lines.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = |daemon: &graftd_tests::Daemon| {
        let rows = daemon.subtree("url").as_object().cloned().unwrap_or_default();
        (rows.len(), rows.values().filter_map(serde_json::Value::as_f64).sum::<f64>())
    };
    let kept = rows(&daemon);
    assert!(kept.0 > 11 && kept.1 == ROWS as f64, "{kept:?}: a tick was over");
    daemon.kill();
    for _ in 0..3 {
        let daemon = start(&folders);
        daemon.await_change("url", |daemon| (rows(daemon).0 == 11).then_some(()));
        assert_eq!(rows(&daemon), (11, ROWS as f64));
        let answer = daemon.post("/push?wait=commit", "application/json", b"{\"n\":1}");
        assert_eq!(answer.status, 200, "{answer:?}");
        daemon.kill();
    }
}
