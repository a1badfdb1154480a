//! How long it takes from a file that is closed to its first data in the tree, in a real daemon with its default tick: for a
//! collector that is dropped in, and for a pipe that is swapped while lines come.

use crate::figures::Median;
use graftd_tests::{Daemon, HOST, PATIENCE, plugin};
use std::fs;
use std::time::{Duration, Instant};

const DROPS: usize = 200;
const SWAPS: usize = 200;

pub(crate) fn run() -> Result<(), String> {
    drops()?;
    swaps()
}

fn print(what: &str, mut took_ms: Vec<f64>) {
    took_ms.sort_by(f64::total_cmp);
    let p99 = took_ms[(took_ms.len() * 99).div_ceil(100) - 1];
    let Median { min, mid, max } = Median::of(took_ms);
    println!("drop-to-live, {what}: median {mid:.1} ms, p99 {p99:.1} ms ({min:.1} to {max:.1}, with the probe)");
}

/// Asks until there is an answer, without a pause: each question takes a part of a millisecond.
fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<f64, String> {
    let began = Instant::now();
    while !is() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {PATIENCE:?}"));
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn drops() -> Result<(), String> {
    let daemon = Daemon::builder().plugins(&["status"]).tick(Duration::from_secs(1)).start();
    daemon.await_state("status", "running");
    let bytes = fs::read(plugin("beat")).map_err(|error| error.to_string())?;
    // The plugin says where it hangs, whatever its file is called: so one at a time.
    let path = format!("beat,{HOST},beats");
    let mut took_ms = Vec::new();
    for drop in 0..DROPS {
        let name = format!("beat{drop}");
        let file = daemon.plugin(&format!("{name}.so"));
        fs::write(&file, &bytes).map_err(|error| error.to_string())?;
        let before = daemon.value(&path).as_f64().unwrap_or(0.0);
        took_ms.push(until(&name, || daemon.value(&path).as_f64().is_some_and(|now| now > before))?);
        fs::remove_file(&file).map_err(|error| error.to_string())?;
        until(&name, || daemon.module(&name).is_null())?;
    }
    print("a collector, written in place", took_ms);
    Ok(())
}

fn swaps() -> Result<(), String> {
    let daemon = Daemon::builder().plugins(&["status"]).tick(Duration::from_secs(1)).start();
    let builds = [("a", plugin("numbered-a")), ("b", plugin("numbered-b"))];
    daemon.put_plugin("numbered.so", &builds[0].1);
    for name in ["status", "numbered"] {
        daemon.await_state(name, "running");
    }
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /n/7 HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n";
    let mut took_ms = Vec::new();
    for swap in 1..=SWAPS {
        let (build, file) = &builds[swap % 2];
        let path = format!("numbered,build,{build}");
        let before = daemon.value(&path).as_f64().unwrap_or(0.0);
        daemon.put_plugin("numbered.so", file);
        took_ms.push(until(build, || {
            daemon.push_log(line);
            daemon.value(&path).as_f64().is_some_and(|now| now > before)
        })?);
    }
    print("a pipe, renamed into place", took_ms);
    Ok(())
}
