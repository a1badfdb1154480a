//! Links, and the folders themselves: swapped, replaced, made later.

use super::{LINE, assert_never_rejected, await_anew, prompt, running, since};
use graftd_tests::{Daemon, GRACE, PROMISED, copy, plugin};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// Changes what a link leads to.
type Change = fn(&Daemon);

#[test]
fn where_links_lead_is_watched() {
    let daemon = Daemon::builder().arg("--verbose").start();
    for folder in ["v1", "v2"] {
        fs::create_dir(daemon.plugin(folder)).expect("a folder");
        copy(&plugin("status"), &daemon.plugin(&format!("{folder}/status.so")));
    }
    symlink("v1/status.so", daemon.plugin("status.so")).expect("linked");
    prompt(&daemon.await_state("status", "running"));

    let changes: [(&str, Change); 7] = [
        ("its target is written in place", |daemon| copy(&plugin("status"), &daemon.plugin("v1/status.so"))),
        ("its target is replaced", |daemon| {
            copy(&plugin("status"), &daemon.plugin("v1/new"));
            fs::rename(daemon.plugin("v1/new"), daemon.plugin("v1/status.so")).expect("renamed");
        }),
        ("it is swapped at once", |daemon| {
            symlink("v2/status.so", daemon.plugin(".new")).expect("linked");
            fs::rename(daemon.plugin(".new"), daemon.plugin("status.so")).expect("renamed");
        }),
        ("it is swapped by ln -sfn", |daemon| {
            let said = Command::new("ln").arg("-sfn").arg("v1/status.so").arg(daemon.plugin("status.so")).status();
            assert!(said.expect("ln").success());
        }),
        ("it is made to lead through another link", |daemon| {
            symlink("v2", daemon.plugin("current")).expect("linked");
            symlink("current/status.so", daemon.plugin(".new")).expect("linked");
            fs::rename(daemon.plugin(".new"), daemon.plugin("status.so")).expect("renamed");
        }),
        ("that one is swapped", |daemon| {
            let said = Command::new("ln").arg("-sfn").arg("v1").arg(daemon.plugin("current")).status();
            assert!(said.expect("ln").success());
        }),
        ("a folder that it leads through is replaced", |daemon| {
            fs::rename(daemon.plugin("v1"), daemon.plugin("v0")).expect("renamed");
            fs::rename(daemon.plugin("v2"), daemon.plugin("v1")).expect("renamed");
        }),
    ];
    for (what, change) in changes {
        let before = since(&daemon, "status");
        change(&daemon);
        let anew = await_anew(&daemon, "status", &before);
        assert!(anew.took < PROMISED + GRACE, "{what}: {:?}", anew.took);
    }
    // A target that is being written is waited for like any other.
    let before = since(&daemon, "status");
    let bytes = fs::read(plugin("status")).expect("a plugin");
    let mut file = File::create(daemon.plugin("v1/status.so")).expect("cut");
    file.write_all(&bytes[..1_000]).expect("written");
    daemon.put_plugin("url.so", &plugin("url"));
    prompt(&daemon.await_state("url", "running"));
    assert_eq!(since(&daemon, "status"), before);
    file.write_all(&bytes[1_000..]).expect("written");
    drop(file);
    prompt(&await_anew(&daemon, "status", &before));
    assert_never_rejected(&daemon, "status");

    // A .on may be a link as well; one that leads nowhere is said to.
    fs::create_dir(daemon.conf("real")).expect("a folder");
    fs::write(daemon.conf("real/status.on"), "path = \"there\"\n").expect("written");
    let before = since(&daemon, "status");
    symlink("real/status.on", daemon.conf("status.on")).expect("linked");
    prompt(&await_anew(&daemon, "status", &before));
    let before = since(&daemon, "status");
    fs::write(daemon.conf("real/status.on"), "path = \"elsewhere\"\n").expect("written");
    prompt(&await_anew(&daemon, "status", &before));
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("elsewhere"), json!({"200": 1}));
    fs::remove_file(daemon.conf("real/status.on")).expect("removed");
    let rejected = daemon.await_state("status", "rejected");
    prompt(&rejected);
    assert!(rejected.found["why"].as_str().is_some_and(|why| why.contains("which is not there")), "{rejected:?}");
}

#[test]
fn a_folder_that_is_a_link_may_be_swapped() {
    let builder = Daemon::builder().arg("--verbose");
    let folders = graftd_tests::Folders::new();
    let (root, plugins) = (folders.root().to_owned(), folders.plugin(""));
    fs::remove_dir(&plugins).expect("removed");
    for (release, name) in [("1", "status"), ("2", "url")] {
        fs::create_dir_all(root.join("releases").join(release)).expect("a folder");
        for name in [name, "bytes"] {
            copy(&plugin(name), &root.join("releases").join(release).join(format!("{name}.so")));
        }
    }
    let link = root.join("plugins");
    symlink("releases/1", &link).expect("linked");
    let daemon = builder.folders(&std::sync::Arc::new(folders)).start();
    for name in ["status", "bytes"] {
        daemon.await_state(name, "running");
    }
    symlink("releases/2", root.join("new")).expect("linked");
    fs::rename(root.join("new"), &link).expect("swapped");
    prompt(&daemon.await_state("url", "running"));
    assert_eq!(daemon.module("status"), Value::Null);
    // And what happens there now is heard.
    let before = since(&daemon, "url");
    copy(&plugin("url"), &root.join("releases/2/url.so"));
    prompt(&await_anew(&daemon, "url", &before));
}

#[test]
fn a_folder_may_be_replaced_as_a_whole() {
    let daemon = running(&["status"]);
    let (plugins, root) = (daemon.folders().root().join("plugins"), daemon.folders().root());
    fs::create_dir(root.join("new")).expect("a folder");
    copy(&plugin("url"), &root.join("new/url.so"));
    fs::rename(&plugins, root.join("old")).expect("renamed");
    fs::rename(root.join("new"), &plugins).expect("renamed");
    prompt(&daemon.await_state("url", "running"));
    assert_eq!(daemon.module("status"), Value::Null);
    daemon.put_plugin("status.so", &plugin("status"));
    prompt(&daemon.await_state("status", "running"));
    // What happens in the old one is nobody's.
    copy(&plugin("bytes"), &root.join("old/bytes.so"));
    copy(&plugin("os"), &plugins.join("os.so"));
    daemon.await_state("os", "running");
    assert_eq!(daemon.module("bytes"), Value::Null);
}

#[test]
fn default_folders_may_be_made_later() {
    let folders = std::sync::Arc::new(graftd_tests::Folders::new());
    // A binary in TARGET/PROFILE of a checkout takes the folders of that.
    let own = folders.root().join("target/release/graftd");
    fs::create_dir_all(own.parent().expect("a folder")).expect("made");
    copy(&graftd_tests::binary(), &own);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("made executable");
    for name in ["conf", "plugins"] {
        fs::remove_dir(folders.root().join(name)).expect("removed");
    }
    let daemon = Daemon::builder().folders(&folders).binary(&own).default_folders().start();
    fs::create_dir(folders.root().join("plugins")).expect("made");
    daemon.put_plugin("status.so", &plugin("status"));
    // A conf folder that never was there says nothing.
    prompt(&daemon.await_state("status", "running"));
    fs::create_dir(folders.root().join("conf")).expect("made");
    fs::write(daemon.conf("status.off"), "").expect("written");
    prompt(&daemon.await_state("status", "off"));
    // From now on it is one that vanished: what is off stays off.
    fs::rename(folders.root().join("conf"), folders.root().join("away")).expect("renamed");
    daemon.put_plugin("url.so", &plugin("url"));
    daemon.hang_up();
    fs::rename(folders.root().join("away"), folders.root().join("conf")).expect("renamed");
    prompt(&daemon.await_state("url", "running"));
    assert_eq!(daemon.module("status")["state"], "off");
    assert!(daemon.stderr().contains("plugins is not there; it is waited for"));
}
