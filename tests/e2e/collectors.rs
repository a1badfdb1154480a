//! The collectors of this host, against what the kernel says to the test itself.

mod nginx;
mod server;
pub(crate) mod url_check;

use graftd_tests::{Daemon, HOST, plugin};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const COLLECTORS: [&str; 5] = ["cpu", "memory", "load", "network", "disk"];

/// How long after its start a daemon may take to know its host: a rate needs a second sample, one or two ticks after the first.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// A figure of `/proc/meminfo`, in bytes.
fn meminfo(name: &str) -> f64 {
    let text = fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a size") * 1_024.0
}

/// Names in a folder of sysfs that stand on hardware.
fn devices(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
    let real = entries.iter().filter(|entry| entry.path().join("device").exists());
    real.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[track_caller]
fn percent(daemon: &Daemon, path: &str) -> f64 {
    let watched = daemon.await_change(path, |daemon| daemon.value(path).as_f64());
    assert!((0.0..=100.0).contains(&watched.found), "{path}: {}", watched.found);
    assert!(watched.took < KNOWN_WITHIN, "{path}: after {:?}", watched.took);
    watched.found
}

#[test]
fn this_host_is_known_within_seconds() {
    let daemon = Daemon::builder().plugins(&COLLECTORS).tick(Duration::from_millis(500)).start();
    let idle = percent(&daemon, &format!("cpu,{HOST},idle"));
    let parts = ["user", "nice", "system", "iowait", "irq", "softirq", "steal"];
    let busy: f64 = parts.map(|part| percent(&daemon, &format!("cpu,{HOST},{part}"))).iter().sum();
    assert!((idle + busy - 100.0).abs() < 0.01, "idle {idle} and busy {busy} are not the whole");
    let processors = thread::available_parallelism().expect("processors").get() as f64;
    assert!(daemon.await_number(&format!("cpu,{HOST},count")) >= processors);

    let memory = |name: &str| daemon.await_number(&format!("memory,{HOST},{name}"));
    assert_eq!(memory("total"), meminfo("MemTotal"));
    assert!(memory("free") > 0.0 && memory("free") <= memory("total"));
    assert!(memory("used") > 0.0 && memory("used") <= memory("total"));
    let swap = memory("swap_total");
    assert_eq!(swap, meminfo("SwapTotal"));

    let load = daemon.await_number(&format!("load,{HOST},one"));
    assert!((0.0..10_000.0).contains(&load), "{load}");
    assert!(daemon.await_number(&format!("load,{HOST},processes")) >= 1.0);

    let network = daemon.await_state("network", "running").found;
    let interfaces = devices("/sys/class/net");
    if interfaces.is_empty() {
        // No data is no failure, but it is said.
        assert_ne!(network["why"], Value::from(""), "{network}");
    } else {
        assert!(daemon.await_number(&format!("network,{HOST},bytes_in")) >= 0.0);
        let each = daemon.subtree(&format!("network,{HOST},bytes_in"));
        for name in &interfaces {
            assert!(each[name].is_number(), "{name}: {each}");
        }
        assert!(each["lo"].is_null(), "{each}");
    }

    let disks = devices("/sys/block");
    if !disks.is_empty() {
        assert!(daemon.await_number(&format!("disk,{HOST},reads")) >= 0.0);
        let each = daemon.subtree(&format!("disk,{HOST},write_bytes"));
        for name in &disks {
            assert!(each[name].is_number(), "{name}: {each}");
        }
        percent(&daemon, &format!("disk,{HOST},busy"));
    }
    let space = daemon.subtree(&format!("disk,{HOST}"));
    if space["total"].is_object() {
        assert!(
            daemon.await_number(&format!("disk,{HOST},free")) <= daemon.await_number(&format!("disk,{HOST},total"))
        );
        percent(&daemon, &format!("disk,{HOST},used_max_percent"));
    }
    for name in COLLECTORS {
        let module = daemon.module(name);
        assert_eq!(
            (&module["state"], &module["kind"]),
            (&Value::from("running"), &Value::from("collector")),
            "{module}"
        );
    }
}

/// A folder in the place of `/proc`, whose figures are known.
fn procfs(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    fs::write(folder.join("loadavg"), "0.60 0.79 12.85 2/92 21990\n").expect("a file");
}

#[test]
fn a_collector_that_fails_is_tried_again_and_says_why() {
    let daemon = Daemon::builder().plugins(&["memory"]).start();
    let folder = daemon.folders().root().join("proc");
    procfs(&folder);
    // The conf first, so that it never runs without.
    let conf = format!("every = \"100ms\"\n[params]\nprocfs = {:?}\n", folder.display().to_string());
    daemon.folders().write_conf("load.on", &conf);
    daemon.put_plugin("load.so", &plugin("load"));
    daemon.await_value(&format!("load,{HOST},fifteen"), 12.85);

    fs::remove_file(folder.join("loadavg")).expect("removed");
    let failing = daemon.await_state("load", "failing").found;
    assert!(failing["why"].as_str().is_some_and(|why| why.contains("loadavg")), "{failing}");
    assert!(!failing["next"].is_null(), "{failing}");
    assert_eq!(daemon.module("memory")["state"], "running");

    fs::write(folder.join("loadavg"), "0.60 0.79 13.85 2/92 21990\n").expect("a file");
    daemon.await_value(&format!("load,{HOST},fifteen"), 13.85);
    let running = daemon.await_state("load", "running").found;
    assert_eq!(running["why"], "", "{running}");
}
