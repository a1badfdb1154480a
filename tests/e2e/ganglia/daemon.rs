//! The daemon with modules in its folders, as a user puts them there.

use super::source::{Corpus, Module};
use graftd_tests::{Daemon, Folders, HOST, PATIENCE, copy, encode};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How often modules are asked here, in seconds: a `.pyconf` may say a minute. Nothing else of one is changed.
const EVERY: u32 = 3;

/// Starts it: the `.py` files and what they import in `plugins/`, each `.pyconf` as the module's `.on`.
pub fn start(modules: &[Module], corpus: &Corpus) -> Daemon {
    let folders = Arc::new(Folders::new());
    // Workers are users of their own, and import what lies beside their module.
    for folder in ["", "plugins"] {
        fs::set_permissions(folders.root().join(folder), Permissions::from_mode(0o755)).expect("opened");
    }
    for file in &corpus.helpers {
        copy(file, &folders.plugin(&file.file_name().expect("a name").to_string_lossy()));
    }
    if let Some(packages) = &corpus.packages {
        copy_all(packages, &folders.plugin(""));
    }
    for module in modules {
        copy(&module.file, &folders.plugin(&format!("{}.py", module.name)));
        if let Some(conf) = &module.conf {
            let text = String::from_utf8_lossy(&fs::read(conf).expect("a conf")).into_owned();
            folders.write_conf(&format!("{}.on", module.name), &asked_often(&text));
        }
    }
    Daemon::builder().folders(&folders).start()
}

/// Waits until a module has come to something; its `metric_init` may take a quarter of a minute.
///
/// # Panics
/// It does not.
pub fn await_settled(daemon: &Daemon, name: &str) {
    let path = encode(&format!("graftd,{HOST},module,{name}"));
    let began = Instant::now();
    let mut tick = 0;
    while began.elapsed() < PATIENCE * 3 {
        let state = daemon.module(name)["state"].as_str().unwrap_or_default().to_owned();
        if matches!(state.as_str(), "running" | "late" | "failing" | "rejected") {
            return;
        }
        tick = daemon.get(&format!("/pull/?key-{path}&since={tick}&wait=1s")).good().tick();
    }
    panic!("{name}: {}", daemon.module(name));
}

fn asked_often(conf: &str) -> String {
    let lines = conf.lines().map(|line| match line.split_once("collect_every") {
        Some((before, after)) if after.trim_start().starts_with('=') => format!("{before}collect_every = {EVERY}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&to).expect("a folder");
            copy_all(&entry.path(), &to);
        } else {
            copy(&entry.path(), &to);
        }
    }
}
