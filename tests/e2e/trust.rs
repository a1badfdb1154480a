//! Only what nobody else can write is loaded or believed; the command that mends it is said as a shell takes it.

use graftd_tests::{Daemon, Folders, GRACE, PROMISED, copy, graftd, plugin};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// Does what a message says behind its last `: `.
#[track_caller]
fn obey(message: &str) {
    let command = message.trim_end().rsplit(": ").next().expect("a command");
    assert!(command.starts_with("chmod "), "{message}");
    assert!(Command::new("sh").args(["-c", command]).status().expect("a shell").success(), "{command}");
}

#[test]
fn what_is_said_mends_it() {
    let daemon = Daemon::builder().start();
    copy(&plugin("url"), &daemon.plugin("my url.so"));
    daemon.await_state("my url", "running");
    for (path, bits) in [
        (daemon.plugin("my url.so"), 0o664),
        (daemon.plugin("my url.so"), 0o646),
        (daemon.folders().root().join("plugins"), 0o777),
    ] {
        mode(&path, bits);
        let rejected = daemon.await_state("my url", "rejected");
        assert!(rejected.took < PROMISED + GRACE, "{:?}", rejected.took);
        obey(rejected.found["why"].as_str().unwrap_or_default());
        assert!(daemon.await_state("my url", "running").took < PROMISED + GRACE);
    }
    // A .on as well, and whoever may write the folder of a link's target.
    fs::create_dir(daemon.conf("real")).expect("a folder");
    fs::write(daemon.conf("real/my url.on"), "").expect("written");
    mode(&daemon.conf("real"), 0o775);
    symlink("real/my url.on", daemon.conf("my url.on")).expect("linked");
    let rejected = daemon.await_state("my url", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains("conf/real can be written by its group"), "{why}");
    obey(why);
    // The mode of a folder that a link leads to is heard of.
    assert!(daemon.await_state("my url", "running").took < PROMISED + GRACE);
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for args in [&[][..], &["--allow-unsafe-permissions"]] {
        let mut builder = Daemon::builder();
        for arg in args {
            builder = builder.arg(arg);
        }
        let daemon = builder.start();
        let outside = daemon.folders().root().join("status.so");
        copy(&plugin("status"), &outside);
        symlink(&outside, daemon.plugin("status.so")).expect("linked");
        let rejected = daemon.await_state("status", "rejected").found;
        assert!(rejected["why"].as_str().is_some_and(|why| why.contains("leads out of its folder")), "{rejected}");
        fs::create_dir(daemon.plugin("v1")).expect("a folder");
        fs::rename(&outside, daemon.plugin("v1/status.so")).expect("renamed");
        symlink("v1/status.so", daemon.plugin(".new")).expect("linked");
        fs::rename(daemon.plugin(".new"), daemon.plugin("status.so")).expect("renamed");
        daemon.await_state("status", "running");
    }
}

#[test]
fn unsafe_permissions_may_be_allowed() {
    let folders = std::sync::Arc::new(Folders::new().plugins(&["status"]));
    folders.write_conf("status.on", "");
    for path in [folders.plugin("status.so"), folders.conf("status.on")] {
        mode(&path, 0o666);
    }
    let checked = |more: &[&str]| {
        let args = folders.args();
        graftd(["check"].into_iter().chain(args.iter().map(String::as_str)).chain(more.iter().copied()))
    };
    let refused = checked(&[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stdout.contains("rejected") && refused.stdout.contains(": chmod go-w /"), "{refused:?}");
    assert!(checked(&["--allow-unsafe-permissions"]).good().stdout.contains("ok"));
    let log = folders.write("log", "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n");
    let read = |more: &[&str]| {
        let args = folders.args();
        let words = ["ingest", "--json", "--format", "common", &log].into_iter().chain(args.iter().map(String::as_str));
        graftd(words.chain(more.iter().copied()))
    };
    read(&[]).failed(2, &["rejected", "chmod go-w"]);
    assert_eq!(read(&["--allow-unsafe-permissions"]).good().json()["status"], json!({"200": 1}));
    let daemon = Daemon::builder().folders(&folders).arg("--allow-unsafe-permissions").start();
    daemon.await_state("status", "running");
}

/// What the daemon itself is told by is not believed either.
#[test]
fn the_daemons_own_files() {
    let folders = Folders::new();
    let token = folders.write("token", "0123456789abcdef0123456789abcdef");
    folders.write_conf("graftd.conf", &format!("token_file = \"{token}\"\n"));
    let run = |more: &[&str]| {
        let args = folders.args();
        let words = ["run", "--http", "127.0.0.1:0", "--push", "127.0.0.1:0", "--data", "/dev/null/none"];
        graftd(words.into_iter().chain(args.iter().map(String::as_str)).chain(more.iter().copied()))
    };
    // As they should be it gets as far as the data folder, which is none.
    run(&[]).failed(2, &["--data"]);
    for file in [folders.conf("graftd.conf"), token.into()] {
        mode(&file, 0o664);
        let ran = run(&[]);
        ran.clone().failed(2, &["can be written by its group: chmod g-w", &file.display().to_string()]);
        run(&["--allow-unsafe-permissions"]).failed(2, &["--data"]);
        obey(&ran.stderr);
        run(&[]).failed(2, &["--data"]);
    }
}
