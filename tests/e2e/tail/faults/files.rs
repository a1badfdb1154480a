//! The file is locked, its folder is moved or may not be looked into, and another lies in its place.

use super::{HOST, Server, await_lines, await_unwritten, await_written, check, commit, data, folders, settle, start};
use graftd_tests::Daemon;
use rusqlite::Connection;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

#[test]
fn a_lock_of_another_program_is_waited_for() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 5);
    let daemon = start(&folders);
    server.write();
    await_lines(&daemon, server.writer.lines);
    commit(&daemon);
    let other = Connection::open(data(&folders).join("graftd.db")).expect("opened");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    server.write();
    await_unwritten(&daemon, "another program has it locked");
    let told = daemon.subtree(&format!("graftd,{HOST},trend"));
    for key in ["failed", "waiting_nodes", "waiting_bytes", "file_bytes", "recent_rows", "oldest", "committed"] {
        assert!(told[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {told}");
    }
    server.write();
    await_lines(&daemon, server.writer.lines);
    other.execute_batch("ROLLBACK").expect("let go");
    await_written(&daemon);
    daemon.kill();
    check(&folders);
    settle(&folders, &server.writer);
}

#[test]
fn a_folder_that_is_moved_away_is_written_to_when_it_is_back() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 6);
    let daemon = start(&folders);
    let (here, away) = (data(&folders), folders.root().join("away"));
    for _ in 0..3 {
        server.write();
        await_lines(&daemon, server.writer.lines);
        commit(&daemon);
        fs::rename(&here, &away).expect("moved");
        server.write();
        await_unwritten(&daemon, "its folder is not there");
        await_lines(&daemon, server.writer.lines);
        fs::rename(&away, &here).expect("moved back");
        await_written(&daemon);
    }
    daemon.kill();
    check(&folders);
    settle(&folders, &server.writer);
}

#[test]
fn a_file_that_is_removed_is_put_back_with_all_that_was_in_it() {
    for with_log in [false, true] {
        let folders = folders("start = \"begin\"");
        let mut server = Server::new(&folders, 7);
        let daemon = start(&folders);
        server.write();
        await_lines(&daemon, server.writer.lines);
        daemon.post("/push?wait=commit", "application/json", b"{\"before\":7}").good();
        for name in ["graftd.db", "graftd.db-wal", "graftd.db-shm"].iter().take(if with_log { 1 } else { 3 }) {
            fs::remove_file(data(&folders).join(name)).expect("removed");
        }
        server.write();
        await_lines(&daemon, server.writer.lines);
        commit(&daemon);
        assert!(daemon.stderr().contains("it was removed while the daemon ran, and has been put back"));
        assert_eq!(super::last(&daemon, "before"), Some(7.0), "what was history before is history");
        daemon.kill();
        check(&folders);
        settle(&folders, &server.writer);
        assert_eq!(start(&folders).value("before"), 7.0);
    }
}

#[test]
fn an_older_copy_in_the_place_of_the_file_is_left_alone() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 8);
    let daemon = start(&folders);
    let file = data(&folders).join("graftd.db");
    server.write();
    await_lines(&daemon, server.writer.lines);
    commit(&daemon);
    let copy = folders.root().join("copy.db");
    let open = Connection::open(&file).expect("opened");
    open.execute("VACUUM INTO ?", [copy.display().to_string()]).expect("copied");
    drop(open);
    // Nodes that the copy does not know.
    daemon.post("/push?wait=commit", "application/json", b"{\"later\":7}").good();
    let aside = folders.root().join("aside.db");
    fs::rename(&file, &aside).expect("moved");
    fs::copy(&copy, &file).expect("put there");
    let bytes = fs::read(&file).expect("read");
    server.write();
    await_unwritten(&daemon, "put the one back that was there");
    await_lines(&daemon, server.writer.lines);
    assert!(daemon.post("/push?wait=commit", "application/json", b"{\"later\":1}").status == 503);
    assert!(fs::read(&file).expect("read") == bytes, "the copy was written to");
    fs::rename(&aside, &file).expect("moved back");
    await_written(&daemon);
    daemon.kill();
    check(&folders);
    settle(&folders, &server.writer);
    assert_eq!(start(&folders).value("later"), 8.0);
}

#[test]
fn rights_that_are_taken_away_are_told_of_and_what_waits_is_written_when_they_are_given_back() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 9);
    let daemon = Daemon::builder().folders(&folders).settings("commit = \"300ms\"").without_rights().start();
    server.write();
    await_lines(&daemon, server.writer.lines);
    commit(&daemon);
    let file = data(&folders).join("graftd.db");
    for (path, mode) in [(&data(&folders), 0o000), (&file, 0o200)] {
        let before = fs::metadata(path).expect("there").permissions();
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("taken away");
        server.write();
        await_unwritten(&daemon, "the daemon has to be able to read and write it");
        await_lines(&daemon, server.writer.lines);
        fs::set_permissions(path, before).expect("given back");
        await_written(&daemon);
    }
    daemon.kill();
    check(&folders);
    // They were another user's.
    for folder in ["", "data", "conf", "plugins"] {
        let _ = chown(folders.root().join(folder), Some(0), Some(0));
    }
    settle(&folders, &server.writer);
}
