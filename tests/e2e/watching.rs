//! Files are looked at when whoever writes them is done, however that is done; each change is noticed, on its module alone.

mod folders;

use graftd_tests::{Daemon, GRACE, HOST, PROMISED, Watched, copy, plugin};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LINE: &str = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n";

/// How long the daemon waits for the rest of a file of which nothing is heard.
const SILENCE: Duration = Duration::from_secs(2);

#[track_caller]
fn prompt<T>(watched: &Watched<T>) {
    assert!(watched.took < PROMISED + GRACE, "it took {:?}", watched.took);
}

/// A daemon that tells each step, with these modules running.
fn running(plugins: &[&str]) -> Daemon {
    let daemon = Daemon::builder().plugins(plugins).arg("--verbose").start();
    for name in plugins {
        daemon.await_state(name, "running");
    }
    daemon
}

fn since(daemon: &Daemon, name: &str) -> Value {
    daemon.module(name)["since"].clone()
}

/// Waits until a module runs that was made anew.
#[track_caller]
fn await_anew(daemon: &Daemon, name: &str, before: &Value) -> Watched<()> {
    daemon.await_change(&format!("graftd,{HOST},module"), |daemon| {
        let module = daemon.module(name);
        (module["state"] == "running" && module["since"] != *before).then_some(())
    })
}

/// How often a module has entered a state.
fn entered(daemon: &Daemon, name: &str, state: &str) -> usize {
    daemon.stderr().lines().filter(|line| line.contains(&format!("module {name}: {state}"))).count()
}

#[track_caller]
fn assert_never_rejected(daemon: &Daemon, name: &str) {
    assert_eq!(entered(daemon, name, "rejected"), 0);
}

/// The module was probed that often, and never rejected.
#[track_caller]
fn assert_probed(daemon: &Daemon, name: &str, times: usize) {
    // What is said on stderr may come a moment later than what HTTP tells.
    daemon.await_change("graftd", |daemon| (entered(daemon, name, "probing") >= times).then_some(()));
    assert_eq!((entered(daemon, name, "probing"), entered(daemon, name, "rejected")), (times, 0));
}

#[test]
fn a_half_written_plugin_is_waited_for() {
    let daemon = running(&["status"]);
    let before = since(&daemon, "status");
    let bytes = fs::read(plugin("status")).expect("a plugin");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let mut file = File::create(daemon.plugin("status.so")).expect("cut");
    file.write_all(first).expect("written");
    // A new one comes meanwhile, of which not much is there yet; and one that is whole.
    let mut new = File::create(daemon.plugin("bytes.so")).expect("made");
    new.write_all(first).expect("written");
    daemon.put_plugin("url.so", &plugin("url"));
    prompt(&daemon.await_state("url", "running"));
    daemon.push_log(LINE);
    assert_eq!(daemon.tree(), json!({"status": {"200": 1}, "url": {"/a": 1}}));
    assert_eq!(since(&daemon, "status"), before, "it was touched");
    assert_eq!(daemon.module("bytes"), Value::Null);
    // What else has the folders looked through does not look at it either.
    daemon.hang_up();
    fs::remove_file(daemon.plugin("url.so")).expect("removed");
    daemon.await_change(&format!("graftd,{HOST},module"), |daemon| daemon.module("url").is_null().then_some(()));
    assert_eq!(since(&daemon, "status"), before, "it was touched");

    file.write_all(rest).expect("written");
    drop(file);
    prompt(&await_anew(&daemon, "status", &before));
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("status"), json!({"200": 2}));
    assert_probed(&daemon, "status", 2);
    drop(new);
    prompt(&daemon.await_state("bytes", "rejected"));
}

#[test]
fn the_writer_that_never_closes_is_not_waited_for_for_ever() {
    let daemon = running(&["status"]);
    let bytes = fs::read(plugin("url")).expect("a plugin");
    let mut whole = File::create(daemon.plugin("url.so")).expect("made");
    whole.write_all(&bytes).expect("written");
    let mut half = File::create(daemon.conf("status.on")).expect("made");
    half.write_all(b"every = \"1").expect("written");
    let ran = daemon.await_state("url", "running");
    assert!(ran.took > SILENCE / 2 && ran.took < SILENCE + PROMISED + GRACE, "{:?}", ran.took);
    let rejected = daemon.await_state("status", "rejected").found;
    assert!(rejected["why"].as_str().is_some_and(|why| why.contains("status.on:1: not TOML")), "{rejected}");
    // It goes on after all.
    let cut = [&b"\n[params]\n"[..], b"# more\n"].concat();
    drop(half);
    fs::write(daemon.conf("status.on"), cut).expect("written");
    prompt(&daemon.await_state("status", "running"));
}

#[test]
fn what_nobody_closes_is_whole_at_once() {
    let daemon = running(&[]);
    let aside = daemon.folders().root().join("aside.so");
    copy(&plugin("url"), &aside);
    fs::hard_link(&aside, daemon.plugin("url.so")).expect("linked");
    prompt(&daemon.await_state("url", "running"));
    fs::create_dir(daemon.plugin("v2")).expect("a folder");
    copy(&plugin("status"), &daemon.plugin("v2/status.so"));
    symlink("v2/status.so", daemon.plugin("status.so")).expect("linked");
    prompt(&daemon.await_state("status", "running"));
    for (name, kind) in [("pipe.so", FileType::Fifo), ("empty.so", FileType::RegularFile)] {
        mknodat(CWD, daemon.plugin(name), kind, Mode::RUSR, 0).expect("made");
    }
    for (name, word) in [("pipe", "named pipe"), ("empty", "empty.so")] {
        let rejected = daemon.await_state(name, "rejected");
        prompt(&rejected);
        assert!(rejected.found["why"].as_str().is_some_and(|why| why.contains(word)), "{rejected:?}");
    }
}

#[test]
fn what_goes_while_it_is_written_is_gone() {
    let daemon = running(&["status", "url"]);
    let path = format!("graftd,{HOST},module");
    for (name, away) in [("status", None), ("url", Some("url.so.aside"))] {
        let mut file = File::options().write(true).open(daemon.plugin(&format!("{name}.so"))).expect("opened");
        file.write_all(b"x").expect("written");
        match away {
            None => fs::remove_file(daemon.plugin("status.so")).expect("removed"),
            Some(away) => fs::rename(daemon.plugin("url.so"), daemon.plugin(away)).expect("renamed"),
        }
        prompt(&daemon.await_change(&path, |daemon| daemon.module(name).is_null().then_some(())));
        drop(file);
    }
    // What is renamed into place while it is still being written is not whole yet.
    let bytes = fs::read(plugin("bytes")).expect("a plugin");
    let mut file = File::create(daemon.plugin(".bytes.new")).expect("made");
    file.write_all(&bytes[..1_000]).expect("written");
    fs::rename(daemon.plugin(".bytes.new"), daemon.plugin("bytes.so")).expect("renamed");
    daemon.put_plugin("os.so", &plugin("os"));
    daemon.await_state("os", "running");
    assert_eq!(daemon.module("bytes"), Value::Null);
    file.write_all(&bytes[1_000..]).expect("written");
    drop(file);
    prompt(&daemon.await_state("bytes", "running"));
    assert_eq!(entered(&daemon, "bytes", "rejected"), 0);
}

/// Saves a file as an editor does; the last is to be called where it may take its time.
type Save = fn(&Path, &str, &dyn Fn());

/// Each ends in one new state of that module, and nothing else is touched.
#[test]
fn editors_save_once() {
    let dances: [(&str, Save); 5] = [
        ("vim", |file, text, pause| {
            let trial = file.with_file_name("4913");
            drop(File::create(&trial).expect("made"));
            fs::remove_file(&trial).expect("removed");
            let backup = file.with_file_name("load.on~");
            fs::rename(file, &backup).expect("renamed");
            let mut new = File::create(file).expect("made");
            pause();
            new.write_all(text.as_bytes()).expect("written");
            new.sync_all().expect("synced");
            new.set_permissions(fs::Permissions::from_mode(0o644)).expect("a mode");
            drop(new);
            fs::remove_file(&backup).expect("removed");
        }),
        ("emacs", |file, text, _| {
            let lock = file.with_file_name(".#load.on");
            symlink("somebody@somewhere.1234:1", &lock).expect("locked");
            fs::rename(file, file.with_file_name("load.on~")).expect("renamed");
            fs::write(file, text).expect("written");
            fs::remove_file(&lock).expect("unlocked");
        }),
        ("gedit", |file, text, _| {
            let aside = file.with_file_name(".goutputstream-X7Y8Z9");
            fs::write(&aside, text).expect("written");
            fs::rename(&aside, file).expect("renamed");
        }),
        ("code", |file, text, pause| {
            let mut file = File::create(file).expect("cut");
            pause();
            file.write_all(text.as_bytes()).expect("written");
        }),
        ("sed", |file, text, _| {
            let said = Command::new("sed").arg("-i").arg(format!("1c\\{}", text.trim_end())).arg(file).status();
            assert!(said.expect("sed").success());
        }),
    ];
    let daemon = Daemon::builder()
        .plugins(&["load", "status"])
        .conf("load.on", "every = \"10s\"\n")
        .conf("status.on", "")
        .arg("--verbose")
        .start();
    for name in ["load", "status"] {
        daemon.await_state(name, "running");
    }
    for (turn, (editor, save)) in dances.into_iter().enumerate() {
        let before = since(&daemon, "load");
        // A neighbour is switched, so the folders are looked through while the file is not whole.
        let pause = || {
            for (from, to) in [("status.on", "status.off"), ("status.off", "status.on")] {
                fs::rename(daemon.conf(from), daemon.conf(to)).expect("renamed");
                daemon.await_state("status", if to == "status.on" { "running" } else { "off" });
            }
        };
        save(&daemon.conf("load.on"), &format!("every = \"{}ms\"\n", 100 + turn), &pause);
        prompt(&await_anew(&daemon, "load", &before));
        // A second look would come within this time: what vanished is given up after 50 ms.
        std::thread::sleep(Duration::from_millis(150));
        assert_probed(&daemon, "load", turn + 2);
        for state in ["off", "gone"] {
            assert_eq!(entered(&daemon, "load", state), 0, "{editor}");
        }
    }
}

#[test]
fn what_is_lost_on_the_way_is_looked_for() {
    let daemon = running(&["status"]);
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("inotify");
    let most: usize = most.trim().parse().expect("a number");
    let before = since(&daemon, "status");
    daemon.pause();
    // Each turn is three things to hear of: it is made, opened and closed.
    let noise = [daemon.plugin(".noise-a"), daemon.plugin(".noise-b")];
    for turn in 0..most {
        drop(File::create(&noise[turn % 2]).expect("made"));
    }
    // Nobody will ever hear of this one.
    daemon.put_plugin("url.so", &plugin("url"));
    daemon.resume();
    prompt(&daemon.await_state("url", "running"));
    assert_eq!(since(&daemon, "status"), before, "status was touched");
    // And it hears again.
    fs::remove_file(daemon.plugin("url.so")).expect("removed");
    prompt(
        &daemon.await_change(&format!("graftd,{HOST},module"), |daemon| daemon.module("url").is_null().then_some(())),
    );
}

#[test]
fn where_nothing_can_be_heard_it_is_looked() {
    // In a user namespace of its own, in which there are no inotify instances to be had.
    let none = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let through = ["unshare", "--user", "--map-root-user", "sh", "-c", none];
    let daemon = Daemon::builder().plugins(&["status"]).through(&through).arg("--verbose").start();
    daemon.await_state("status", "running");
    assert!(daemon.stderr().contains("folders cannot be watched"), "that is what is tested");
    let before = since(&daemon, "status");
    let bytes = fs::read(plugin("status")).expect("a plugin");
    let mut file = File::create(daemon.plugin("status.so")).expect("cut");
    // Slower than one can copy, but never at rest for as long as it takes to look twice.
    for piece in bytes.chunks(bytes.len() / 10 + 1) {
        file.write_all(piece).expect("written");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    prompt(&await_anew(&daemon, "status", &before));
    assert_probed(&daemon, "status", 2);
    daemon.folders().write_conf("status.off", "");
    prompt(&daemon.await_state("status", "off"));
    fs::remove_file(daemon.conf("status.off")).expect("removed");
    prompt(&daemon.await_state("status", "running"));
}

#[test]
fn two_of_one_kind_are_told_and_the_first_stays() {
    let daemon = Daemon::builder().plugins(&["status"]).conf("blog.on", "plugin = \"status\"\n").start();
    daemon.await_state("blog", "running");
    let before = since(&daemon, "blog");
    // A second name for the same .on is a module of its own, at the path that is taken.
    symlink("blog.on", daemon.conf("shop.on")).expect("linked");
    daemon.folders().write_conf("wiki.on", "plugin = \"status\"\npath = \"status\"\n");
    for name in ["shop", "wiki"] {
        let rejected = daemon.await_state(name, "rejected");
        prompt(&rejected);
        let why = rejected.found["why"].as_str().unwrap_or_default();
        assert!(why.contains("hangs at status, where blog hangs already") && why.contains("path ="), "{why}");
    }
    daemon.folders().write_conf("blog.off", "");
    let rejected = daemon.await_state("blog", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    let both = ["blog.off", "blog.on"].map(|name| daemon.conf(name).display().to_string());
    assert!(both.iter().all(|file| why.contains(file)), "{why}");
    // The one that ran goes on, and its plugin does not run by itself as well.
    daemon.push_log(LINE);
    assert_eq!((daemon.tree(), daemon.module("status")), (json!({"status": {"200": 1}}), Value::Null));
    fs::remove_file(daemon.conf("blog.off")).expect("removed");
    prompt(&await_anew(&daemon, "blog", &before));
}

#[test]
fn what_is_no_file_is_said_in_a_line() {
    let daemon = running(&["status"]);
    for name in ["folder.so", "folder2.on"] {
        let path = if name.ends_with(".so") { daemon.plugin(name) } else { daemon.conf(name) };
        fs::create_dir(path).expect("a folder");
    }
    for path in [daemon.plugin("pipe.so"), daemon.conf("pipe2.on")] {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    }
    symlink("/dev/zero", daemon.plugin("zero.so")).expect("linked");
    for (name, words) in [
        ("folder", "folder.so: is a folder, not a file"),
        ("folder2", "folder2.on: is a folder, not a file"),
        ("pipe", "pipe.so: is a named pipe, not a regular file"),
        ("pipe2", "pipe2.on: is a named pipe, not a regular file"),
        ("zero", "zero.so: is no regular file"),
    ] {
        let rejected = daemon.await_state(name, "rejected");
        prompt(&rejected);
        let why = rejected.found["why"].as_str().unwrap_or_default();
        assert!(why.ends_with(words) && !why.contains('\n'), "{why}");
    }
    // None of them holds anything up.
    daemon.put_plugin("url.so", &plugin("url"));
    prompt(&daemon.await_state("url", "running"));
}

#[test]
fn what_may_not_be_read_is_said_in_a_line() {
    let folders = graftd_tests::Folders::new().plugins(&["status", "url"]);
    folders.write_conf("url.on", "");
    for file in [folders.plugin("status.so"), folders.conf("url.on")] {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("a mode");
    }
    let daemon = Daemon::builder().folders(&std::sync::Arc::new(folders)).without_rights().start();
    for (name, file) in [("status", "status.so"), ("url", "url.on")] {
        let rejected = daemon.await_state(name, "rejected").found;
        let why = rejected["why"].as_str().unwrap_or_default();
        assert!(why.contains(&format!("{file}: cannot be read: Permission denied")) && !why.contains('\n'), "{why}");
    }
    // Mending it is noticed.
    for (name, file) in [("status", daemon.plugin("status.so")), ("url", daemon.conf("url.on"))] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("a mode");
        prompt(&daemon.await_state(name, "running"));
    }
}
