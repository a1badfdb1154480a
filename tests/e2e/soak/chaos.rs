//! One module is edited, renamed, replaced and broken at random; the others keep their beat, their counts and their answers.

use super::much;
use graftd_tests::{Daemon, HOST, fixture, plugin};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(200);
/// The neighbours' interval.
const EVERY: Duration = Duration::from_millis(500);

/// Numbers that look random and are the same in every run (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Does one thing to the module `x`.
fn meddle(daemon: &Daemon, random: &mut Random) {
    let (on, off) = (daemon.conf("x.on"), daemon.conf("x.off"));
    let conf = |text: &str| {
        let _ = fs::remove_file(&off);
        fs::write(&on, format!("plugin = \"x\"\npath = \"x,{{host}}\"\ntime_limit = \"200ms\"\n{text}"))
            .expect("written");
    };
    // Whichever of the two it is now.
    let so = |file: &str| daemon.put_plugin("x.so", &plugin(file));
    match random.next(16) {
        0 => conf("every = \"100ms\"\n"),
        1 => conf("evry = \"100ms\"\n"),
        2 => conf("[params]\nat = \"collect\"\ndoes = \"panic\"\nafter = 2\n"),
        3 => conf("[params]\nat = \"collect\"\ndoes = \"loop\"\nafter = 2\n"),
        4 => conf("[params]\nat = \"process\"\ndoes = \"panic\"\non = \"/beat\"\n"),
        5 => conf("isolation = \"process\"\n[params]\nat = \"collect\"\ndoes = \"segfault\"\nafter = 2\n"),
        6 => drop(fs::rename(&on, &off)),
        7 => drop(fs::rename(&off, &on)),
        8 => so("unruly"),
        9 => so("unruly-collector"),
        10 => so("foreign"),
        11 => fs::copy(fixture("access.log"), daemon.plugin("x.so")).map(drop).expect("copied"),
        12 => drop(fs::remove_file(daemon.plugin("x.so"))),
        13 => drop(daemon.post("/modules/x/reload", "", b"")),
        14 => drop(daemon.post("/modules/x/off", "", b"")),
        _ => drop(daemon.post("/modules/x/on", "", b"")),
    }
}

#[test]
fn what_is_done_to_one_module_touches_no_other() {
    let whole = Duration::from_secs(much(8, 60));
    let beat =
        |label: &str| format!("plugin = \"beat\"\nevery = \"{}ms\"\npath = \"{label},{{host}}\"\n", EVERY.as_millis());
    let daemon = Daemon::builder()
        .plugins(&["beat", "status"])
        .conf("one.on", &beat("one"))
        .conf("two.on", &beat("two"))
        .tick(TICK)
        .start();
    for name in ["one", "two", "status"] {
        daemon.await_state(name, "running");
    }
    let stop = AtomicBool::new(false);
    let pushed = AtomicU64::new(0);
    let began = Instant::now();
    let deeds = std::thread::scope(|scope| {
        for label in ["one", "two"] {
            let (daemon, stop) = (&daemon, &stop);
            scope.spawn(move || keeps_its_beat(daemon, label, stop));
        }
        scope.spawn(|| keeps_counting(&daemon, &pushed, &stop));
        let mut random = Random(3);
        let mut deeds = 0;
        while began.elapsed() < whole {
            meddle(&daemon, &mut random);
            deeds += 1;
            // A person's pace and a script's, by turns; nothing is waited for.
            std::thread::sleep(Duration::from_millis(random.next(200)));
        }
        stop.store(true, Ordering::Release);
        deeds
    });
    println!("{deeds} deeds in {:?}, {} lines counted meanwhile", began.elapsed(), pushed.load(Ordering::Relaxed));
    for name in ["one", "two", "status"] {
        assert_eq!(daemon.module(name)["state"], "running", "{name}");
        let late = daemon.value(&format!("graftd,{HOST},module,{name},restarts"));
        assert_eq!(late, 0, "{name} was made anew");
    }
    // It counts what it did, however often it went and came.
    let calls = daemon.value(&format!("graftd,{HOST},module,x,calls"));
    assert!(calls.is_null() || calls.as_f64().is_some_and(|calls| calls < 1e9), "{calls}");
    // And it can be made well again.
    let _ = fs::remove_file(daemon.conf("x.off"));
    daemon.put_plugin("x.so", &plugin("beat"));
    daemon.folders().write_conf("x.on", "path = \"x,{host}\"\n");
    daemon.await_state("x", "running");
}

/// The samples of a collector come on its interval, give or take a tick, and none is lost.
#[track_caller]
fn keeps_its_beat(daemon: &Daemon, label: &str, stop: &AtomicBool) {
    let lines = daemon.events(&format!("key-{label}"));
    let mut at_last: Option<f64> = None;
    let mut beats_last = 0.0;
    while !stop.load(Ordering::Acquire) {
        let Some(line) = lines.next_within(10 * EVERY) else { panic!("{label} is silent") };
        let Some(data) = line.strip_prefix("data:") else { continue };
        let changed: serde_json::Value = serde_json::from_str(data).expect("JSON");
        let number = |key: &str| {
            let path = format!("{label},{HOST},{key}");
            changed.as_array().and_then(|all| all.iter().find_map(|one| one.get(&path)?.as_f64()))
        };
        let (Some(at), Some(beats)) = (number("at"), number("beats")) else { continue };
        if let Some(last) = at_last {
            let told = beats - beats_last;
            assert!(told >= 1.0, "{label}: its count went from {beats_last} to {beats}");
            let off = ((at - last) / told - EVERY.as_millis() as f64).abs();
            assert!(off <= TICK.as_millis() as f64, "{label}: an interval is off by {off} ms");
        }
        (at_last, beats_last) = (Some(at), beats);
    }
}

/// Every line that is pushed is counted, and every request is answered.
#[track_caller]
fn keeps_counting(daemon: &Daemon, pushed: &AtomicU64, stop: &AtomicBool) {
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /beat HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n";
    while !stop.load(Ordering::Acquire) {
        daemon.push_log(line);
        let lines = pushed.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(daemon.value("status,200").as_u64(), Some(lines));
        daemon.get("/healthz").good();
        std::thread::sleep(Duration::from_millis(5));
    }
}
