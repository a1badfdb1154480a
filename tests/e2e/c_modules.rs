//! gmond's modules in C in the daemon: Debian's ten, and faulty ones.

use graftd_tests::{Daemon, HOST, copy, workspace};
use serde_json::json;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDERS: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/ganglia", "/usr/lib/aarch64-linux-gnu/ganglia", "/usr/lib/ganglia"];

/// One of Debian's modules; says so if it is not installed.
fn debian(name: &str) -> Option<PathBuf> {
    let file = format!("mod{name}.so");
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join(&file)).find(|file| file.is_file());
    if found.is_none() {
        graftd_tests::skipped(format_args!("{file} is not installed (libganglia1, ganglia-modules-linux)"));
    }
    found
}

/// Compiles a module of the tests' own into the daemon's plugins.
fn put(daemon: &Daemon, name: &str, options: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("module.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-w", "-o"]).arg(&file).args(options);
    assert!(cc.arg(workspace().join("gmod-compat/tests/fixtures/c/small.c")).status().expect("cc").success());
    daemon.put_plugin(&format!("{name}.so"), &file);
}

/// The figure behind a key of `/proc/meminfo`, in KB.
fn meminfo(key: &str) -> f64 {
    let text = read_to_string("/proc/meminfo").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).expect("the key");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn debians_modules_fill_their_branches_with_what_proc_says() {
    const MODULES: [(&str, &str, usize); 8] = [
        ("cpu", "cpu_user", 11),
        ("disk", "disk_total", 3),
        ("load", "load_one", 3),
        ("mem", "mem_total", 8),
        ("net", "bytes_in", 4),
        ("proc", "proc_total", 2),
        ("sys", "boottime", 6),
        ("io", "io_busymax", 0),
    ];
    let daemon = Daemon::builder().start();
    for (name, _, _) in MODULES {
        let Some(file) = debian(name) else { return };
        copy(&file, &daemon.plugin(&format!("mod{name}.so")));
    }
    for (name, metric, metrics) in MODULES {
        daemon.await_number(&format!("mod{name},{HOST},{metric}"));
        let values = daemon.subtree(&format!("mod{name},{HOST}"));
        // The rates of modio are no numbers at first.
        assert!(metrics == 0 || values.as_object().is_some_and(|values| values.len() == metrics), "{name}: {values}");
    }
    let value = |path: &str| daemon.value(&format!("mod{path}")).as_f64().expect("a number");
    assert_eq!(value(&format!("mem,{HOST},mem_total")), meminfo("MemTotal"));
    assert_eq!(value(&format!("mem,{HOST},swap_total")), meminfo("SwapTotal"));
    assert!(value(&format!("mem,{HOST},mem_free")) < meminfo("MemTotal"));
    let parts = ["user", "nice", "system", "idle", "wio", "steal"];
    let sum: f64 = parts.iter().map(|part| value(&format!("cpu,{HOST},cpu_{part}"))).sum();
    assert!((98.5..101.5).contains(&sum), "the processors' parts are {sum} % together");
    assert_eq!(daemon.value(&format!("modsys,{HOST},os_name")), json!("Linux"));
    let answer = daemon.get(&format!("/api/q/modmem,{HOST}.json?meta=1")).good().json();
    let meta = &answer["meta"]["mem_total"];
    assert_eq!(
        [&meta["units"], &meta["type"], &meta["slope"]],
        [&json!("KB"), &json!("float"), &json!("zero")],
        "{answer}"
    );
}

#[test]
fn a_faulty_module_costs_its_own_branch() {
    if debian("load").is_none() {
        return;
    }
    let daemon = Daemon::builder().start();
    put(&daemon, "sound", &[]);
    put(&daemon, "crashing", &["-DCRASHES"]);
    put(&daemon, "unwilling", &["-DINIT_FAILS"]);
    put(&daemon, "older", &["-DVERSION=20070222"]);
    for (name, state, why) in [
        ("crashing", "failing", "SIGSEGV"),
        ("unwilling", "failing", "its init returned 1"),
        ("older", "rejected", "is a gmond module for another gmond: interface 20070222"),
    ] {
        let path = format!("graftd,{HOST},module");
        daemon.await_change(&path, |daemon| {
            let module = daemon.module(name);
            let said = module["why"].as_str().is_some_and(|said| said.contains(why));
            (module["state"] == state && said).then_some(())
        });
    }
    assert_eq!(daemon.await_number(&format!("sound,{HOST},one")), 1.0);
    daemon.await_state("sound", "running");
    // Mended, it runs.
    put(&daemon, "older", &[]);
    assert_eq!(daemon.await_number(&format!("older,{HOST},one")), 1.0);
}
