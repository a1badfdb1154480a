//! What one module's end, or its sleep, costs: no more than the sample in flight, and no other a tick.

use super::fate::{X, folders};
use crate::namespace;
use graftd_tests::{Daemon, HOST, copy, fixture};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::{Duration, Instant};

/// The interval of a module that counts its samples, in milliseconds.
const EVERY: u64 = 100;

/// The tick of the daemon here, in milliseconds.
const TICK: u64 = 50;

/// The first pause after a death, at most; what a start takes and a busy machine come on top.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// How much later than its interval a sample may be seen: a tick, and what a machine needs that builds meanwhile.
const LATE: Duration = Duration::from_millis(TICK + 950);

/// The processes in which modules in Python run.
fn workers() -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_worker = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("graftd-gmod"));
    numbers.filter(is_worker).filter_map(Pid::from_raw).collect()
}

#[test]
fn a_killed_module_loses_the_sample_in_flight_and_comes_back() {
    namespace::within("python_fences::one::a_killed_module_loses_the_sample_in_flight_and_comes_back", || {
        let folders = folders();
        fs::remove_file(folders.plugin("deeds.py")).expect("removed");
        let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(TICK)).start();
        let path = format!("steady,{HOST},calls");
        let before =
            daemon.await_change(&path, |daemon| daemon.value(&path).as_f64().filter(|calls| *calls > 5.0)).found;
        let workers = workers();
        assert_eq!(workers.len(), 1, "one module in Python, one process");
        let killed = Instant::now();
        for pid in workers {
            kill_process(pid, Signal::KILL).expect("signalled");
        }
        let failing = daemon.await_state("steady", "failing").found;
        assert!(failing["why"].as_str().is_some_and(|why| why.contains("killed")), "{failing}");
        // What it last said stays; the sample in flight is all that can be missing.
        let last = daemon.value(&path).as_f64().unwrap_or(0.0);
        assert!(last >= before, "{last} after {before}");
        daemon.await_state("steady", "running");
        // A new process counts from one.
        daemon.await_change(&path, |daemon| daemon.value(&path).as_f64().filter(|calls| *calls <= 3.0));
        let took = killed.elapsed();
        assert!(took < BACK_WITHIN, "it was back after {took:?}");
        assert!(daemon.stop().success());
    });
}

#[test]
fn a_module_that_sleeps_for_ever_delays_no_other_by_a_tick() {
    namespace::within("python_fences::one::a_module_that_sleeps_for_ever_delays_no_other_by_a_tick", || {
        let folders = folders();
        let conf = "every = \"100ms\"\ntime_limit = \"1m\"\n[params]\nat = \"callback\"\ndoes = \"sleep_for_ever\"\ntimes = \"1\"\n";
        folders.write_conf("x.on", conf);
        copy(&fixture("python/unruly.py"), &folders.plugin("x.py"));
        let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(TICK)).start();
        // It is in its third call, and will not come back.
        daemon.await_state(X, "late");
        for path in [format!("steady,{HOST},calls"), format!("beat,{HOST},beats")] {
            let mut last = daemon.await_number(&path);
            for _ in 0..20 {
                let next = daemon.await_change(&path, |daemon| daemon.value(&path).as_f64().filter(|now| *now > last));
                let most = Duration::from_millis(EVERY) + LATE;
                assert!(next.took < most, "{path}: a sample after {:?}", next.took);
                last = next.found;
            }
        }
        assert_eq!(daemon.module(X)["state"], "late");
        assert!(daemon.stop().success());
    });
}
