//! A daemon at rest sleeps.

use graftd_tests::{Daemon, GRACE, PROMISED};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often each of a process's threads went to sleep, by their names.
fn slept(process: u32) -> BTreeMap<String, u64> {
    let mut slept = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).expect("a process").flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let status = read("status");
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let count = count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
        *slept.entry(read("comm").trim().to_owned()).or_default() += count;
    }
    slept
}

#[test]
fn an_agent_at_rest_sleeps_and_hears_of_a_change_all_the_same() {
    let daemon = Daemon::builder().plugins(&["status"]).tick(Duration::from_secs(1)).arg("--role").arg("agent").start();
    // A folder below: nothing that is watched for what is in it hears of what happens there.
    let out = daemon.conf("below");
    for (folder, plugin) in [("v1", "status"), ("v2", "nothing")] {
        fs::create_dir_all(out.join(folder)).expect("a folder");
        fs::write(out.join(folder).join("led.on"), format!("plugin = {plugin:?}\n")).expect("written");
    }
    symlink("v1", out.join("current")).expect("linked");
    symlink("below/current/led.on", daemon.conf("led.on")).expect("linked");
    daemon.await_state("led", "running");
    // It has glanced twice, and knows that it hears all; what is counted is a span, and not that something comes.
    sleep(Duration::from_secs(2));
    const SPAN: Duration = Duration::from_secs(5);
    let before = slept(daemon.process());
    sleep(SPAN);
    let after = slept(daemon.process());
    let most = |name: &str| after[name] - before.get(name).copied().unwrap_or(0);
    // Once a tick, and a commit; a glance came each 400 ms, and a timer woke the core three times a tick.
    assert!(most("graftd-core") <= 9, "{after:?} {before:?}");
    if after.contains_key("graftd-ways") {
        assert!(most("graftd-watch") <= 4, "{after:?} {before:?}");
    } else {
        eprintln!(
            "how seldom it glances is not tried: this system has no inotify left (fs.inotify.max_user_instances)"
        );
    }
    assert!(most("tokio-rt-worker") <= 8, "{after:?} {before:?}");

    let began = Instant::now();
    symlink("v2", out.join("next")).expect("linked");
    fs::rename(out.join("next"), out.join("current")).expect("renamed");
    daemon.await_state("led", "rejected");
    assert!(began.elapsed() < PROMISED + GRACE, "{:?}", began.elapsed());
}
