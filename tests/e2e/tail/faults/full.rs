//! A disk that is full, and has room again.

use super::{Server, await_lines, await_unwritten, await_written, check, commit, data, folders, settle, start, turns};
use crate::namespace::within;
use graftd_tests::{Folders, graftd};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// The data folder lies on a disk of its own from now on, which ends with the namespace.
fn on_a_small_disk(folders: &Folders, size: &str) {
    let options = format!("size={size},mode=755");
    let ran = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(data(folders)).status();
    assert!(ran.expect("mount").success());
}

fn away(folders: &Folders) {
    // What is mounted is in the way of whoever removes the folders.
    let _ = Command::new("umount").arg("-l").arg(data(folders)).status();
}

/// What fills the disk.
fn filler(folders: &Folders) -> PathBuf {
    data(folders).join("filler")
}

/// Leaves no room for anything.
fn fill(folders: &Folders) {
    let mut file = File::options().append(true).create(true).open(filler(folders)).expect("the filler");
    for size in [1 << 16, 4096, 1] {
        let piece = vec![b'x'; size];
        while file.write_all(&piece).is_ok() {}
    }
}

fn make_room(folders: &Folders) {
    fs::remove_file(filler(folders)).expect("removed");
}

#[test]
fn a_line_counts_once_whenever_the_disk_is_full() {
    within("tail::faults::full::a_line_counts_once_whenever_the_disk_is_full", || {
        let folders = folders("start = \"begin\"");
        on_a_small_disk(&folders, "64m");
        let mut server = Server::new(&folders, 4);
        for turn in 0..turns(6, 60) {
            // What the log beside the file takes already would be room for many commits.
            if turn > 0 {
                graftd(["trend", "compact", "--data", &data(&folders).display().to_string()]).good();
            }
            let daemon = start(&folders);
            server.write();
            server.pause(500);
            fill(&folders);
            for _ in 0..1 + server.chance.below(4) {
                server.write();
                server.pause(300);
                // What the database gives up is taken as well.
                fill(&folders);
            }
            // Whichever of its files it has no room for.
            await_unwritten(&daemon, "full");
            // The live tree goes on.
            await_lines(&daemon, server.writer.lines);
            if turn % 2 == 0 {
                make_room(&folders);
                await_written(&daemon);
                commit(&daemon);
                daemon.kill();
            } else {
                // As full as it is.
                daemon.kill();
                make_room(&folders);
            }
            check(&folders);
            server.write();
        }
        settle(&folders, &server.writer);
        away(&folders);
    });
}

#[test]
fn a_disk_that_is_full_when_the_daemon_starts_is_told_of_and_harms_nothing() {
    within("tail::faults::full::a_disk_that_is_full_when_the_daemon_starts_is_told_of_and_harms_nothing", || {
        let folders = folders("start = \"begin\"");
        on_a_small_disk(&folders, "64m");
        let mut server = Server::new(&folders, 10);
        let daemon = start(&folders);
        server.write();
        await_lines(&daemon, server.writer.lines);
        commit(&daemon);
        daemon.kill();
        for _ in 0..2 {
            // SQLite needs room for it; it is made anew.
            let _ = fs::remove_file(data(&folders).join("graftd.db-shm"));
            fill(&folders);
            let daemon = start(&folders);
            let answer = daemon.get("/readyz");
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.body.contains("graftd.db") && answer.body.contains("disk"), "{answer:?}");
            // The live tree goes on.
            daemon.push(&serde_json::json!({"n": 1}));
            assert_eq!(daemon.value("n"), 1.0);
            daemon.kill();
            make_room(&folders);
        }
        fill(&folders);
        let ran = graftd(["trend", "compact", "--data", &data(&folders).display().to_string()]);
        ran.failed(1, &["graftd.db", "disk"]);
        make_room(&folders);
        check(&folders);
        settle(&folders, &server.writer);
        away(&folders);
    });
}
