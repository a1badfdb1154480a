//! A daemon at rest sleeps.

use graftd_tests::{Daemon, Folders, GRACE, PATIENCE, PROMISED};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
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
    // A commit, and what is told of it; it was awake at each tick, and before three times, and a glance came each 400 ms.
    assert!(most("graftd-core") <= 5, "{after:?} {before:?}");
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

const TICK: Duration = Duration::from_millis(100);

/// An agent whose core is awake now and then alone, though it has ten ticks a second.
fn asleep(folders: &Arc<Folders>) -> Daemon {
    let daemon = Daemon::builder().folders(folders).tick(TICK).arg("--role").arg("agent").start();
    let began = Instant::now();
    while woke_in_a_second(&daemon) > 4 {
        assert!(began.elapsed() < PATIENCE, "it does not sleep");
    }
    daemon
}

/// How often its core woke in a second: what is counted is a span, and not that something comes.
fn woke_in_a_second(daemon: &Daemon) -> u64 {
    let before = slept(daemon.process())["graftd-core"];
    sleep(Duration::from_secs(1));
    slept(daemon.process())["graftd-core"] - before
}

#[test]
fn ticks_that_were_slept_through_have_been() {
    let daemon = asleep(&Arc::new(Folders::new()));
    daemon.push(&json!({"hits": 1}));
    daemon.close_tick();
    daemon.push(&json!({"hits": 6}));
    daemon.close_tick();
    let rate = || daemon.get("/get/?key-hits&as=rate").good().json()[0]["hits"].as_f64();
    assert!(rate().is_some_and(|rate| rate > 0.0), "{:?}", rate());
    let tick = || daemon.get("/get/?key-hits").good().tick();
    let began = (tick(), Instant::now());
    while woke_in_a_second(&daemon) > 2 {
        assert!(began.1.elapsed() < PATIENCE, "it does not sleep");
    }
    // Something comes: the tick under way is the one that it would be had nobody slept, and the growth of then is long over.
    daemon.push(&json!({"other": 1}));
    let (ticks, span) = (tick() - began.0, began.1.elapsed());
    // A machine that has much to do may miss some.
    let all = span.as_secs_f64() * 10.0;
    assert!((all * 0.6..all + 3.0).contains(&(ticks as f64)), "{ticks} in {span:?}");
    assert_eq!(rate().unwrap_or(0.0), 0.0);
}

#[test]
fn who_follows_an_agent_is_told_of_each_tick() {
    let daemon = asleep(&Arc::new(Folders::new()));
    let lines = daemon.events("key-x");
    assert!(woke_in_a_second(&daemon) >= 6);
    drop(lines);
    let began = Instant::now();
    while woke_in_a_second(&daemon) > 4 {
        assert!(began.elapsed() < PATIENCE, "it does not sleep again");
    }
}

#[test]
fn a_call_that_does_not_come_back_is_found_by_an_agent_that_sleeps() {
    let folders = Arc::new(Folders::new().plugins(&["unruly-collector"]));
    let conf = "every = \"6s\"\ntime_limit = \"500ms\"\n[params]\nat = \"collect\"\ndoes = \"sleep\"\nafter = 3\n";
    folders.write_conf("unruly-collector.on", conf);
    let daemon = Daemon::builder().folders(&folders).tick(TICK).arg("--role").arg("agent").start();
    // Its second collect is one or two ticks after the first, and the third when six seconds of the daemon are over. Who followed it would keep
    // it awake.
    let asked = || daemon.module("unruly-collector");
    let began = Instant::now();
    while asked()["state"] != "running" {
        assert!(began.elapsed() < PATIENCE, "{}", asked());
        sleep(TICK);
    }
    sleep(Duration::from_secs(2));
    assert_eq!(asked()["state"], "running");
    // Until ten are over it would sleep, for its next commit.
    sleep(Duration::from_secs(5));
    assert_eq!(daemon.value("graftd,testhost,module,unruly-collector,abandoned"), 1, "{}", asked());
}
