//! A module in trouble costs its own branch and nothing else; a busy daemon keeps its beat.

use graftd_tests::{Daemon, Folders, GRACE, PROMISED, binary, copy, graftd, plugin};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn line(path: &str) -> String {
    format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n")
}

#[test]
fn a_pipe_that_panics_is_named_and_made_anew() {
    let daemon =
        Daemon::builder().plugins(&["faulty", "status"]).conf("faulty.on", "[params]\npanics_in = \"/bad\"\n").start();
    for name in ["faulty", "status"] {
        daemon.await_state(name, "running");
    }
    daemon.push_log(&line("/good"));
    assert_eq!(daemon.subtree("faulty"), json!({"hits": 1}));
    daemon.push_log(&line("/bad"));
    let failing = daemon.await_state("faulty", "failing").found;
    let why = failing["why"].as_str().unwrap_or_default();
    assert!(why.contains("panicked at") && why.contains("told to, in /bad"), "{failing}");
    assert!(failing["next"].is_string(), "{failing}");
    // Its neighbour has not missed a line, and it comes back by itself.
    assert_eq!(daemon.subtree("status"), json!({"200": 2}));
    daemon.await_state("faulty", "running");
    daemon.push_log(&line("/good"));
    assert_eq!((daemon.subtree("faulty"), daemon.subtree("status")), (json!({"hits": 2}), json!({"200": 3})));
}

#[test]
fn what_panics_when_it_is_made_is_rejected() {
    for place in ["new", "flush"] {
        let daemon = Daemon::builder()
            .plugins(&["faulty"])
            .conf("faulty.on", &format!("[params]\npanics_in = \"{place}\"\n"))
            .start();
        let rejected = daemon.await_state("faulty", "rejected").found;
        assert!(
            rejected["why"].as_str().is_some_and(|why| why.contains(&format!("told to, in {place}"))),
            "{rejected}"
        );
    }
}

#[test]
fn a_panic_while_it_is_dropped_hurts_nobody() {
    let daemon =
        Daemon::builder().plugins(&["faulty", "status"]).conf("faulty.on", "[params]\npanics_in = \"drop\"\n").start();
    for name in ["faulty", "status"] {
        daemon.await_state(name, "running");
    }
    fs::rename(daemon.conf("faulty.on"), daemon.conf("faulty.off")).expect("renamed");
    daemon.await_state("faulty", "off");
    daemon.push_log(&line("/"));
    assert_eq!(daemon.subtree("status"), json!({"200": 1}));
}

#[test]
fn what_is_only_missing_now_is_tried_again() {
    let folders = Folders::new();
    let needed = folders.root().join("needed");
    let conf = format!("[params]\nneeds = \"{}\"\n", needed.display());
    let daemon = Daemon::builder().plugins(&["faulty"]).conf("faulty.on", &conf).start();
    let failing = daemon.await_state("faulty", "failing").found;
    assert!(failing["why"].as_str().is_some_and(|why| why.contains("is not there yet")), "{failing}");
    fs::write(&needed, "").expect("written");
    daemon.await_state("faulty", "running");
}

#[test]
fn two_modules_at_one_path_do_not_count_twice() {
    let daemon = Daemon::builder()
        .plugins(&["status"])
        .conf("blog.on", "plugin = \"status\"\n")
        .conf("shop.on", "plugin = \"status\"\n")
        .conf("wiki.on", "plugin = \"status\"\npath = \"wiki,status\"\n")
        .start();
    daemon.await_state("wiki", "running");
    let states = ["blog", "shop"].map(|name| {
        let module = daemon
            .await_change("graftd", |daemon| Some(daemon.module(name)).filter(|module| module["state"] != "probing"));
        module.found["state"].as_str().unwrap_or_default().to_owned()
    });
    assert!(states.contains(&"running".to_owned()) && states.contains(&"rejected".to_owned()), "{states:?}");
    daemon.push_log(&line("/"));
    assert_eq!((daemon.subtree("status"), daemon.subtree("wiki,status")), (json!({"200": 1}), json!({"200": 1})));
}

#[test]
fn lines_that_come_before_the_pipes_wait_for_them() {
    let pipes = ["browser", "bytes", "os", "status", "url", "visitors"];
    let daemon = Daemon::builder().plugins(&pipes).start();
    // No waiting for any module: this is the first thing after the ready line.
    daemon.push_log(&line("/first").repeat(1_000));
    for (path, count) in [("status,200", 1_000), ("url,/first", 1_000), ("bytes,2xx", 10_000), ("br,curl,8", 1_000)] {
        assert_eq!(daemon.subtree(path), json!(count), "{path}");
    }
}

#[test]
fn lines_that_nobody_reads_are_not_said_to_be_merged() {
    let daemon = Daemon::builder().start();
    let answer = daemon.post("/push", "text/plain", line("/").as_bytes());
    answer.refused(400, &["no pipe runs"]);
}

#[test]
fn ticks_go_on_while_the_daemon_is_flooded() {
    let daemon = Daemon::builder().tick(Duration::from_millis(100)).start();
    let stop = AtomicBool::new(false);
    let document =
        format!("{{\"flood\":{{{}}}}}\n", (0..200).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(","));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(daemon.push_address()).expect("connected");
                while !stop.load(Ordering::Relaxed) {
                    // The daemon holds its pushers back; that is what keeps its queue full.
                    let _ = stream.write_all(document.repeat(50).as_bytes());
                }
            });
        }
        daemon.await_change("flood", |daemon| Some(daemon.subtree("flood,k0")).filter(serde_json::Value::is_number));
        let before = daemon.get("/get/?key-flood,k0").tick();
        for _ in 0..10 {
            daemon.close_tick();
        }
        let after = daemon.get("/get/?key-flood,k0").tick();
        stop.store(true, Ordering::Relaxed);
        assert!(after >= before + 10, "{before} {after}");
    });
}

#[test]
fn a_daemon_whose_binary_is_replaced_goes_on_loading() {
    let folders = Folders::new();
    let own = folders.root().join("graftd-of-this-test");
    copy(&binary(), &own);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("made executable");
    let daemon = Daemon::builder().binary(&own).start();
    fs::remove_file(&own).expect("removed");
    daemon.put_plugin("status.so", &plugin("status"));
    assert!(daemon.await_state("status", "running").took < PROMISED + GRACE);
}

#[test]
fn a_conf_folder_that_is_made_anew_is_watched_again() {
    let daemon = Daemon::builder().plugins(&["status", "url"]).start();
    for name in ["status", "url"] {
        daemon.await_state(name, "running");
    }
    let folder = daemon.folders().root().join("conf");
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("made anew");
    fs::write(daemon.conf("status.off"), "").expect("written");
    // It may take a second to be found, and another to be looked through.
    let off = daemon.await_state("status", "off");
    assert!(off.took < 2 * PROMISED + GRACE, "{:?}", off.took);
    fs::write(daemon.conf("url.off"), "").expect("written");
    let off = daemon.await_state("url", "off");
    assert!(off.took < PROMISED + GRACE, "{:?}", off.took);
}

#[test]
fn a_hangup_is_no_end() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    daemon.hang_up();
    daemon.push_log(&line("/"));
    assert_eq!(daemon.subtree("status"), json!({"200": 1}));
}

#[test]
fn who_is_late_when_the_daemon_is_stopped_is_not_to_blame() {
    let folders = std::sync::Arc::new(Folders::new().plugins(&["unruly-collector"]));
    let conf = "every = \"100ms\"\ntime_limit = \"1h\"\n[params]\nat = \"collect\"\ndoes = \"sleep\"\nafter = 2\n";
    folders.write_conf("unruly-collector.on", conf);
    let daemon = Daemon::builder().folders(&folders).start();
    daemon.await_state("unruly-collector", "late");
    assert!(daemon.stop().success());
    let daemon = Daemon::builder().folders(&folders).start();
    daemon.await_state("unruly-collector", "late");
    assert_eq!(daemon.module("unruly-collector")["isolation"], "none");
    // Killed, it is suspected; and let off when somebody says so.
    daemon.kill();
    let daemon = Daemon::builder().folders(&folders).start();
    let module = daemon.await_change("graftd", |daemon| {
        Some(daemon.module("unruly-collector")).filter(|module| module["isolation"] == "process")
    });
    assert!(module.found["why"].as_str().is_some_and(|why| why.contains("had not come back")), "{module:?}");
    daemon.cli(&["modules", "reload", "unruly-collector"]).good();
    daemon.await_change("graftd", |daemon| {
        Some(()).filter(|()| daemon.module("unruly-collector")["isolation"] == "none")
    });
}

#[test]
fn a_stopped_daemon_holds_nothing_against_its_modules() {
    let conf = "every = \"100ms\"\ntime_limit = \"1s\"\n";
    let daemon = Daemon::builder().plugins(&["beat"]).conf("beat.on", conf).start();
    daemon.await_state("beat", "running");
    daemon.signal(Signal::STOP);
    // As long as a suspended machine would be away: nothing can be waited for while it stands still.
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal(Signal::CONT);
    let beats = daemon.value("beat,testhost,beats").as_f64().unwrap_or(0.0);
    daemon.await_change("beat", |daemon| daemon.value("beat,testhost,beats").as_f64().filter(|now| *now > beats + 5.0));
    assert_eq!(daemon.value("graftd,testhost,module,beat,restarts"), 0);
}

#[test]
fn two_daemons_do_not_share_their_data() {
    let daemon = Daemon::builder().start();
    let data = daemon.folders().root().join("data").display().to_string();
    let other = Folders::new();
    let args = ["run", "--data", &data, "--http", "127.0.0.1:0", "--push", "127.0.0.1:0"].map(str::to_owned);
    graftd(args.into_iter().chain(other.args())).failed(1, &["another graftd", &data]);
}

#[test]
fn of_two_modules_at_one_path_the_other_runs_when_the_first_is_off() {
    let daemon = Daemon::builder().plugins(&["status"]).conf("blog.on", "plugin = \"status\"\n").start();
    daemon.await_state("blog", "running");
    daemon.folders().write_conf("shop.on", "plugin = \"status\"\n");
    daemon.await_state("shop", "rejected");
    daemon.cli(&["modules", "off", "blog"]).good();
    daemon.await_state("shop", "running");
    daemon.push_log(&line("/"));
    assert_eq!(daemon.subtree("status"), json!({"200": 1}));
}

#[test]
fn switching_a_module_off_starts_no_other() {
    let daemon =
        Daemon::builder().plugins(&["status"]).conf("shop.on", "plugin = \"status\"\npath = \"shop\"\n").start();
    daemon.await_state("shop", "running");
    daemon.cli(&["modules", "off", "shop"]).good();
    daemon.await_state("shop", "off");
    daemon.close_tick();
    assert!(daemon.module("status").is_null(), "the plugin runs by itself");
}

#[test]
fn what_a_panic_says_is_shown_in_one_line() {
    let file = "\\u001b[31mred\\nand more";
    let conf = format!("[params]\nneeds = \"/nowhere/{file}\"\n");
    let daemon = Daemon::builder().plugins(&["faulty"]).conf("faulty.on", &conf).start();
    let failing = daemon.await_state("faulty", "failing").found;
    let why = failing["why"].as_str().unwrap_or_default();
    assert!(why.contains("[31mred and more") && !why.contains(char::is_control), "{why:?}");
}

#[test]
fn who_comes_back_late_costs_nobody_else() {
    // x comes back after its time; by then another thread has taken over, and is in y, which may take that long.
    let nap = |name: &str, limit: &str, on: &str| {
        let params = format!("[params]\nat = \"process\"\ndoes = \"nap\"\n{on}");
        format!("plugin = \"unruly\"\npath = \"{name}\"\ntime_limit = \"{limit}\"\n{params}")
    };
    let daemon = Daemon::builder()
        .plugins(&["unruly", "status"])
        .conf("x.on", &nap("x", "200ms", "on = \"/bad\"\n"))
        .conf("y.on", &nap("y", "10s", ""))
        .tick(Duration::from_millis(50))
        .start();
    for name in ["x", "y", "status"] {
        daemon.await_state(name, "running");
    }
    for _ in 0..3 {
        daemon.push_log(&line("/bad"));
    }
    assert_eq!((daemon.subtree("y"), daemon.subtree("status")), (json!({"hits": 3}), json!({"200": 3})));
    // The thread that was left behind has come back, and is nobody's any more.
    daemon.await_value("graftd,testhost,module,x,abandoned", 0);
    assert_eq!(daemon.value("graftd,testhost,module,y,abandoned"), 0);
}
