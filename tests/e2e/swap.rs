//! A new build or a new configuration takes over when it has worked once; until then, and if it does not, the old one
//! goes on.

use graftd_tests::{Daemon, HOST, plugin};
use serde_json::json;
use std::time::Duration;

fn line(path: &str) -> String {
    format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n")
}

/// What a `.on` says of a module that misbehaves at a place.
fn conf(at: &str, does: &str) -> String {
    format!("time_limit = \"300ms\"\n[params]\nat = \"{at}\"\ndoes = \"{does}\"\nspare_probe = true\n")
}

/// A pipe that goes on after its successor has come to nothing in one of these ways, and a neighbour.
#[track_caller]
fn check_pipe(at: &str, does: &str, words: &str) {
    let daemon = Daemon::builder().plugins(&["unruly", "status"]).conf("unruly.on", &conf(at, "nothing")).start();
    for name in ["unruly", "status"] {
        daemon.await_state(name, "running");
    }
    daemon.push_log(&line("/").repeat(10));
    daemon.folders().write_conf("unruly.on", &conf(at, does));
    let before = daemon.module("unruly")["since"].clone();
    daemon.await_change("graftd", |daemon| {
        let module = daemon.module("unruly");
        (module["state"] == "running" && module["since"] != before).then_some(())
    });
    // The first lines that the new one gets: the old one counts them in its stead.
    daemon.push_log(&line("/").repeat(10));
    let rejected = daemon.await_state("unruly", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains(words) && why.contains("the one before goes on"), "{rejected}");
    daemon.push_log(&line("/").repeat(10));
    assert_eq!((daemon.subtree("unruly"), daemon.subtree("status")), (json!({"hits": 30}), json!({"200": 30})));

    // Mended, it takes over.
    daemon.folders().write_conf("unruly.on", &conf(at, "error").replace("process", "drop"));
    daemon.await_state("unruly", "running");
    daemon.push_log(&line("/").repeat(10));
    assert_eq!(daemon.subtree("unruly"), json!({"hits": 40}));
}

#[test]
fn a_pipe_that_panics_in_its_first_batch_gives_its_place_back() {
    check_pipe("process", "panic", "told to, in process");
}

#[test]
fn a_pipe_that_does_not_come_back_from_its_first_batch_gives_its_place_back() {
    check_pipe("process", "loop", "did not come back from its process() within 300ms");
}

#[test]
fn a_pipe_that_cannot_be_made_leaves_the_old_one_where_it_is() {
    let daemon = Daemon::builder().plugins(&["unruly"]).conf("unruly.on", &conf("new", "nothing")).start();
    daemon.await_state("unruly", "running");
    daemon.push_log(&line("/"));
    for (does, state) in [("panic", "rejected"), ("error", "failing")] {
        daemon.folders().write_conf("unruly.on", &conf("new", does));
        let module = daemon.await_state("unruly", state).found;
        assert!(module["why"].as_str().is_some_and(|why| why.contains("in new")), "{module}");
        daemon.push_log(&line("/"));
    }
    assert_eq!(daemon.subtree("unruly"), json!({"hits": 3}));
}

#[test]
fn a_collector_goes_on_until_its_successor_has_worked() {
    let every = "every = \"50ms\"\n";
    let mended = daemon_folder_file();
    let daemon = Daemon::builder()
        .plugins(&["unruly-collector"])
        .conf("unruly-collector.on", every)
        .tick(Duration::from_millis(50));
    let daemon = daemon.start();
    daemon.await_state("unruly-collector", "running");
    let collects = || daemon.value(&format!("unruly-collector,{HOST},collects")).as_f64().unwrap_or(0.0);
    let goes_on = || {
        let before = collects();
        daemon.await_change("unruly-collector", |_| Some(()).filter(|()| collects() > before + 2.0));
    };
    goes_on();
    // Its successor fails until a file is there: it is asked again, and the old one samples meanwhile.
    let text =
        format!("{every}[params]\nat = \"collect\"\ndoes = \"error\"\nspare_probe = true\nunless = \"{mended}\"\n");
    daemon.folders().write_conf("unruly-collector.on", &text);
    let failing = daemon.await_state("unruly-collector", "failing").found;
    assert!(failing["why"].as_str().is_some_and(|why| why.contains("the one before goes on")), "{failing}");
    goes_on();
    std::fs::write(&mended, "").expect("written");
    daemon.await_state("unruly-collector", "running");
    goes_on();
    std::fs::remove_file(&mended).expect("removed");
    // It is the new one that samples now.
    daemon.await_state("unruly-collector", "failing");

    // One that panics is not asked again.
    daemon.folders().write_conf("unruly-collector.on", every);
    daemon.await_state("unruly-collector", "running");
    let text = format!("{every}[params]\nat = \"collect\"\ndoes = \"panic\"\nspare_probe = true\n");
    daemon.folders().write_conf("unruly-collector.on", &text);
    daemon.await_state("unruly-collector", "rejected");
    goes_on();
}

/// A path at which nothing is yet.
fn daemon_folder_file() -> String {
    let file = std::env::temp_dir().join(format!("graftd-test-mended-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    file.display().to_string()
}

#[test]
fn the_first_words_of_a_new_build_do_not_wait_for_the_tick() {
    let daemon = Daemon::builder().plugins(&[]).tick(Duration::from_secs(5)).start();
    daemon.put_plugin("status.so", &plugin("status"));
    // Its state is in the tree at a tick only, but the list has it at once.
    let begun = std::time::Instant::now();
    while daemon.module("status")["state"] != "running" {
        assert!(begun.elapsed() < graftd_tests::PATIENCE);
        std::thread::yield_now();
    }
    // The daemon's own log is flushed at ticks, but a new pipe's first words come at once.
    while daemon.subtree("self,status").is_null() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it waits for the tick");
        std::thread::yield_now();
    }
}

/// A pipe that goes on after its successor, in a process of its own or with a fault in its first flush, has come to nothing.
#[track_caller]
fn check_successor(text: &str) {
    let daemon =
        Daemon::builder().plugins(&["unruly", "status"]).conf("unruly.on", &conf("process", "nothing")).start();
    for name in ["unruly", "status"] {
        daemon.await_state(name, "running");
    }
    daemon.push_log(&line("/").repeat(10));
    let before = daemon.module("unruly")["since"].clone();
    daemon.folders().write_conf("unruly.on", text);
    daemon.await_change("graftd", |daemon| {
        let module = daemon.module("unruly");
        (module["state"] == "running" && module["since"] != before).then_some(())
    });
    daemon.push_log(&line("/bad").repeat(10));
    daemon.await_state("unruly", "rejected");
    daemon.push_log(&line("/").repeat(10));
    assert_eq!((daemon.subtree("unruly"), daemon.subtree("status")), (json!({"hits": 30}), json!({"200": 30})));
    assert_eq!(daemon.module("unruly")["isolation"], "none", "the one before runs where it did");
}

#[test]
fn a_pipe_of_another_process_that_crashes_in_its_first_batch_gives_its_place_back() {
    check_successor("isolation = \"process\"\n[params]\nat = \"process\"\ndoes = \"segfault\"\non = \"/bad\"\n");
}

#[test]
fn a_pipe_that_panics_in_its_first_flush_gives_its_place_back() {
    check_successor("[params]\nat = \"flush\"\ndoes = \"panic\"\non = \"/bad\"\n");
}

#[test]
fn what_one_log_has_proved_another_may_yet_refuse() {
    // The daemon's own requests prove it in its own log; pushed lines break it.
    let daemon = Daemon::builder().plugins(&["unruly"]).conf("unruly.on", &conf("process", "nothing")).start();
    daemon.await_state("unruly", "running");
    daemon.push_log(&line("/").repeat(5));
    daemon.folders().write_conf("unruly.on", "[params]\nat = \"process\"\ndoes = \"panic\"\non = \"/bad\"\n");
    let own = daemon.value("self,unruly,hits").as_f64().unwrap_or(0.0);
    daemon
        .await_change("self,unruly", |daemon| daemon.value("self,unruly,hits").as_f64().filter(|now| *now > own + 3.0));
    daemon.push_log(&line("/bad").repeat(5));
    daemon.await_state("unruly", "rejected");
    daemon.push_log(&line("/").repeat(5));
    assert_eq!(daemon.subtree("unruly"), json!({"hits": 15}));
    // And in its own log the one before goes on as well.
    let own = daemon.value("self,unruly,hits").as_f64().unwrap_or(0.0);
    daemon.await_change("self,unruly", |daemon| daemon.value("self,unruly,hits").as_f64().filter(|now| *now > own));
}
