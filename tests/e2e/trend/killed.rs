//! Killed while history is packed, sealed and rolled up: each sample is there, as it was or in what it was rolled up to.

use super::{csv, data};
use graftd_tests::{Folders, binary, graftd, graftd_with_input};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Series and days that are taken in, most of which is older than what is kept as it was.
const SERIES: u32 = 4;
const DAYS: u64 = 6;

/// What the last of each ten minutes was, of each series: whatever is rolled up to minutes still has it.
fn lasts(exported: &str) -> BTreeMap<(String, u64), (u64, String)> {
    let mut lasts = BTreeMap::new();
    for line in exported.lines().filter(|line| !line.starts_with("path")) {
        let (path, rest) = line[1..].split_once("\",").expect("a path");
        let (time, value) = rest.split_once(',').expect("a time");
        let time: f64 = time.parse().expect("a time");
        let last = lasts.entry((path.to_owned(), time as u64 / 600)).or_insert((0, String::new()));
        if time as u64 >= last.0 {
            *last = (time as u64, value.to_owned());
        }
    }
    lasts
}

#[test]
fn a_compaction_that_is_killed_loses_no_sample() {
    let folders = Folders::new();
    let data = data(&folders);
    let text = csv(SERIES, DAYS);
    folders.write_conf("graftd.conf", "[trend]\nraw = \"2d\"\nminute = \"4d\"\n");
    let conf = folders.conf("").display().to_string();
    let expected: BTreeMap<_, _> = lasts(&text).into_iter().map(|(at, (_, value))| (at, value)).collect();
    let lasts_now = || -> BTreeMap<_, _> {
        let out = graftd(["trend", "export", "--data", &data]).good().stdout;
        lasts(&out).into_iter().map(|(at, (_, value))| (at, value)).collect()
    };
    graftd_with_input(["trend", "import", "--data", &data, "-"], text.as_bytes()).good();
    let kept = folders.root().join("kept.db");
    std::fs::copy(folders.root().join("data/graftd.db"), &kept).expect("copied");
    let compact = || {
        let mut command = Command::new(binary());
        command.args(["trend", "compact", "--data", &data, "--conf", &conf]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
    };
    let began = Instant::now();
    assert!(compact().wait().expect("ended").success());
    let took = began.elapsed();
    assert_eq!(lasts_now(), expected, "what was not killed");
    let rolled_up = graftd(["trend", "check", "--data", &data]).good().stdout;
    let mut chance = crate::tail::Chance(12);
    let turns = if std::env::var_os("GRAFTD_SOAK").is_some() { 100 } else { 6 };
    for turn in 0..turns {
        if turn % 3 == 0 {
            std::fs::copy(&kept, folders.root().join("data/graftd.db")).expect("copied");
            for tail in ["wal", "shm"] {
                let _ = std::fs::remove_file(folders.root().join(format!("data/graftd.db-{tail}")));
            }
        }
        let mut compacts = compact();
        // There is nothing to wait for: the moment of the kill is to be any.
        std::thread::sleep(Duration::from_micros(chance.below(took.as_micros() as u64)));
        let _ = compacts.kill();
        compacts.wait().expect("ended");
        graftd(["trend", "check", "--data", &data]).good();
        assert_eq!(lasts_now(), expected, "killed in the turn {turn}");
    }
    assert!(compact().wait().expect("ended").success());
    assert_eq!(lasts_now(), expected);
    assert_eq!(graftd(["trend", "check", "--data", &data]).good().stdout, rolled_up);
}
