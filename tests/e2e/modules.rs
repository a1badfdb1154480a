//! Modules come, go and are switched while the daemon runs; what is done to one leaves the others alone.

use graftd_tests::{Daemon, GRACE, HOST, PROMISED, Watched, copy, graftd, plugin};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LINE: &str =
    "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\" 0.25 -\n";

/// Since when a module is in its state, which tells whether it was touched.
fn since(daemon: &Daemon, name: &str) -> Value {
    let module = daemon.module(name);
    assert!(!module["since"].is_null(), "{name}: {module}");
    module["since"].clone()
}

/// It took no longer than is promised.
#[track_caller]
fn prompt<T>(watched: &Watched<T>) {
    assert!(watched.took < PROMISED + GRACE, "it took {:?}", watched.took);
}

/// A daemon with these modules running.
fn running(plugins: &[&str]) -> Daemon {
    let daemon = Daemon::builder().plugins(plugins).start();
    for name in plugins {
        daemon.await_state(name, "running");
    }
    daemon
}

#[test]
fn a_rename_switches_that_module_alone() {
    let daemon = Daemon::builder().plugins(&["status", "url", "load"]).conf("status.on", "").start();
    for name in ["status", "url", "load"] {
        daemon.await_state(name, "running");
    }
    let neighbours = ["url", "load"].map(|name| (name, since(&daemon, name)));
    daemon.push_log(LINE);

    fs::rename(daemon.conf("status.on"), daemon.conf("status.off")).expect("renamed");
    let off = daemon.await_state("status", "off");
    prompt(&off);
    assert!(off.found["file"].as_str().is_some_and(|file| file.ends_with("status.off")), "{off:?}");
    daemon.push_log(LINE);
    // It counts no more; what it has counted stays, and its neighbours go on.
    assert_eq!((daemon.subtree("status"), daemon.subtree("url")), (json!({"200": 1}), json!({"/a": 2})));

    fs::rename(daemon.conf("status.off"), daemon.conf("status.on")).expect("renamed");
    prompt(&daemon.await_state("status", "running"));
    daemon.push_log(LINE);
    assert_eq!((daemon.subtree("status"), daemon.subtree("url")), (json!({"200": 2}), json!({"/a": 3})));
    for (name, before) in neighbours {
        assert_eq!(since(&daemon, name), before, "{name} was touched");
    }
}

#[test]
fn a_new_plugin_runs_within_a_second() {
    let daemon = running(&["status"]);
    let before = since(&daemon, "status");
    // Whole at once, as a package manager does it, and bit by bit, as cp does.
    daemon.put_plugin("url.so", &plugin("url"));
    prompt(&daemon.await_state("url", "running"));
    copy(&plugin("bytes"), &daemon.plugin("libbytes.so"));
    prompt(&daemon.await_state("bytes", "running"));
    daemon.push_log(LINE);
    assert_eq!(daemon.tree(), json!({"status": {"200": 1}, "url": {"/a": 1}, "bytes": {"2xx": 10}}));

    fs::remove_file(daemon.plugin("url.so")).expect("removed");
    let path = format!("graftd,{HOST},module");
    fs::remove_file(daemon.plugin("libbytes.so")).expect("removed");
    prompt(&daemon.await_change(&path, |daemon| {
        (daemon.module("url").is_null() && daemon.module("bytes").is_null()).then_some(())
    }));
    daemon.push_log(LINE);
    assert_eq!(daemon.tree(), json!({"status": {"200": 2}, "url": {"/a": 1}, "bytes": {"2xx": 10}}));
    assert_eq!(since(&daemon, "status"), before, "status was touched");
}

#[test]
fn a_broken_plugin_leaves_the_old_one_running() {
    let daemon = running(&["status", "url"]);
    let before = since(&daemon, "url");
    let broken = daemon.folders().write("broken", "no shared object at all");
    daemon.put_plugin("status.so", broken.as_ref());
    let rejected = daemon.await_state("status", "rejected");
    prompt(&rejected);
    let why = rejected.found["why"].as_str().unwrap_or_default();
    assert!(why.contains("status.so") && !why.contains('\n'), "one readable line that names the file: {why:?}");
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("status"), json!({"200": 1}), "the old one goes on");

    // One that breaks off within its code: mapping it is easy, running it would be the end of a process.
    let whole = fs::read(plugin("status")).expect("a plugin");
    let half = daemon.folders().write("half", &whole[..64 * 1024]);
    daemon.put_plugin("status.so", half.as_ref());
    daemon.await_change(&format!("graftd,{HOST},module,status"), |daemon| {
        let module = daemon.module("status");
        (module["state"] == "rejected" && module["since"] != rejected.found["since"]).then_some(())
    });
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("status"), json!({"200": 2}), "the old one goes on");

    daemon.put_plugin("status.so", &plugin("status"));
    prompt(&daemon.await_state("status", "running"));
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("status"), json!({"200": 3}), "nothing was lost or counted twice");
    assert_eq!(since(&daemon, "url"), before, "url was touched");
}

#[test]
fn a_replaced_plugin_takes_over_without_losing_a_line() {
    let daemon = running(&["status"]);
    let before = since(&daemon, "status");
    for turn in 1..=20 {
        if turn % 5 == 0 {
            daemon.put_plugin("status.so", &plugin("status"));
        }
        daemon.push_log(&LINE.repeat(10));
        assert_eq!(daemon.value("status,200"), json!(turn * 10));
    }
    let path = format!("graftd,{HOST},module,status");
    daemon.await_change(&path, |daemon| {
        let module = daemon.module("status");
        (module["state"] == "running" && module["since"] != before).then_some(())
    });
    daemon.push_log(LINE);
    assert_eq!(daemon.value("status,200"), json!(201));
}

#[test]
fn what_is_wrong_in_a_conf_is_said_with_its_line() {
    let daemon = running(&["load", "status"]);
    let before = since(&daemon, "status");
    for (text, words) in [
        (
            "# every ten seconds\nevry = \"10s\"\n",
            &["load.on:2", "unknown key \"evry\"", "did you mean \"every\"?"][..],
        ),
        ("every = \"soon\"\n", &["load.on:1", "duration", "soon"]),
        ("plugin = \"laod\"\n", &["load.on", "no plugin \"laod\"", "did you mean \"load\"?"]),
        ("[params]\nprocfss = \"/proc\"\n", &["load.on:2: params: unknown \"procfss\"", "did you mean \"procfs\"?"]),
        ("# where\n[params]\nprocfs = \"/no/such\"\n", &["load.on:3: params: \"procfs\"", "/no/such"]),
        ("isolation = \"thread\"\n", &["load.on:1: \"isolation\"", "\"none\"", "\"process\""]),
        ("every = \n", &["load.on:1"]),
    ] {
        daemon.folders().write_conf("load.on", text);
        let path = format!("graftd,{HOST},module,load");
        let rejected = daemon.await_change(&path, |daemon| {
            let module = daemon.module("load");
            let why = module["why"].as_str().unwrap_or_default().to_owned();
            (module["state"] == "rejected" && words.iter().all(|word| why.contains(word))).then_some(())
        });
        prompt(&rejected);
    }
    daemon.folders().write_conf("load.on", "every = \"100ms\"\n");
    prompt(&daemon.await_state("load", "running"));
    assert_eq!(since(&daemon, "status"), before, "status was touched");
}

#[test]
fn what_others_can_write_is_not_loaded_until_it_is_mended() {
    let daemon = running(&["status"]);
    let file = daemon.plugin("url.so");
    let aside = daemon.plugin(".url.so.new");
    copy(&plugin("url"), &aside);
    fs::set_permissions(&aside, Permissions::from_mode(0o664)).expect("a mode");
    fs::rename(&aside, &file).expect("renamed");
    let rejected = daemon.await_state("url", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains("chmod g-w") && why.contains("url.so"), "{why}");
    // Doing what it says is enough.
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a mode");
    prompt(&daemon.await_state("url", "running"));
}

#[test]
fn a_slip_in_a_conf_starts_nothing_else() {
    let daemon =
        Daemon::builder().plugins(&["status"]).conf("shop.on", "plugin = \"status\"\npath = \"shop\"\n").start();
    daemon.await_state("shop", "running");
    daemon.folders().write_conf("shop.on", "plugin = \"status\"\npaht = \"shop\"\n");
    daemon.await_state("shop", "rejected");
    // The old one goes on. The plugin does not run by itself as well, for it is still spoken of.
    daemon.push_log(LINE);
    assert_eq!(daemon.module("status"), Value::Null);
    assert_eq!(daemon.tree(), json!({"shop": {"200": 1}}));
}

#[test]
fn two_files_for_one_name_are_both_named() {
    let daemon = running(&["status", "url"]);
    let before = since(&daemon, "url");
    daemon.put_plugin("libstatus.so", &plugin("status"));
    let rejected = daemon.await_state("status", "rejected");
    prompt(&rejected);
    let why = rejected.found["why"].as_str().unwrap_or_default().to_owned();
    for name in ["libstatus.so", "status.so"] {
        let file = daemon.plugin(name).display().to_string();
        assert!(why.contains(&file), "{file}: {why}");
    }
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("status"), json!({"200": 1}), "what ran goes on");
    fs::remove_file(daemon.plugin("status.so")).expect("removed");
    prompt(&daemon.await_state("status", "running"));

    daemon.folders().write_conf("status.on", "");
    daemon.folders().write_conf("status.off", "");
    let rejected = daemon.await_state("status", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains("status.on") && why.contains("status.off"), "{why}");
    assert_eq!(since(&daemon, "url"), before, "url was touched");
}

#[test]
fn one_plugin_runs_several_times() {
    let daemon = Daemon::builder()
        .plugins(&["status", "load"])
        .conf("shop.on", "plugin = \"status\"\npath = \"shop,hits\"\n")
        .conf("again.on", "plugin = \"status\"\n")
        .conf("fast.on", "plugin = \"load\"\nevery = \"50ms\"\npath = \"fast,{host}\"\naction = \"max\"\n")
        .start();
    for name in ["shop", "again", "fast"] {
        daemon.await_state(name, "running");
    }
    assert_eq!(daemon.module("status"), Value::Null, "spoken for by others");
    daemon.push_log(LINE);
    assert_eq!(daemon.subtree("shop"), json!({"hits": {"200": 1}}));
    daemon.await_number(&format!("fast,{HOST},one"));
    assert!(daemon.value("fast,,processes").as_f64().is_some_and(|count| count >= 1.0));
}

#[test]
fn they_are_switched_over_http() {
    let daemon = running(&["status", "url"]);
    let before = since(&daemon, "url");
    // A plugin without a conf file gets one that keeps it off.
    daemon.post("/modules/status/off", "", b"").good();
    prompt(&daemon.await_state("status", "off"));
    assert!(daemon.conf("status.off").is_file());
    daemon.post("/modules/status/on", "", b"").good();
    prompt(&daemon.await_state("status", "running"));
    assert!(daemon.conf("status.on").is_file() && !daemon.conf("status.off").exists());
    daemon.post("/modules/status/off", "", b"").good();
    assert!(daemon.conf("status.off").is_file() && !daemon.conf("status.on").exists());
    prompt(&daemon.await_state("status", "off"));
    // What is so already is no error.
    daemon.post("/modules/status/off", "", b"").good();

    let reloaded = since(&daemon, "url");
    assert_eq!(reloaded, before, "url was touched");
    daemon.post("/modules/url/reload", "", b"").good();
    let path = format!("graftd,{HOST},module,url");
    daemon.await_change(&path, |daemon| {
        let module = daemon.module("url");
        (module["state"] == "running" && module["since"] != before).then_some(())
    });

    daemon.post("/modules/sattus/off", "", b"").refused(404, &["did you mean", "status"]);
    daemon.post("/modules/status/of", "", b"").refused(404, &["on", "off", "reload"]);
    daemon.get("/modules/status/on").refused(405, &["POST"]);
    // No name leads out of the conf folder.
    let outside = daemon.post("/modules/..%2F..%2Fx/off", "", b"");
    assert_eq!(outside.status, 404, "{outside:?}");
    assert!(!daemon.folders().root().join("x.off").exists());
}

#[test]
fn they_are_switched_from_the_command_line() {
    let daemon = Daemon::builder().plugins(&["status", "url"]).conf("status.on", "").start();
    for name in ["status", "url"] {
        daemon.await_state(name, "running");
    }
    let listed = daemon.cli(&["modules"]).good().stdout;
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [["status", "running", "pipe"], ["url", "running", "pipe"]]);
    assert_eq!(daemon.cli(&["modules", "--json"]).good().json()[0]["name"], "status");

    let off = daemon.cli(&["modules", "off", "status"]).good().stdout;
    assert_eq!(off.split_whitespace().collect::<Vec<_>>(), ["status", "off", "pipe"]);
    assert!(daemon.conf("status.off").is_file() && !daemon.conf("status.on").exists());
    prompt(&daemon.await_state("status", "off"));
    daemon.cli(&["modules", "reload", "status"]).failed(1, &["off"]);
    // It answers when the switch has taken effect.
    let on = daemon.cli(&["modules", "on", "status", "--json"]).good().json();
    assert_eq!((&on["name"], &on["state"]), (&json!("status"), &json!("running")), "{on}");
    assert!(daemon.conf("status.on").is_file());
    prompt(&daemon.await_state("status", "running"));
    let before = since(&daemon, "status");
    daemon.cli(&["modules", "reload", "status"]).good();
    daemon.await_change(&format!("graftd,{HOST},module"), |daemon| {
        let module = daemon.module("status");
        (module["state"] == "running" && module["since"] != before).then_some(())
    });
    daemon.cli(&["modules", "off", "sattus"]).failed(1, &["did you mean \"status\"?"]);
    let one = daemon.cli(&["modules", "url"]).good().stdout;
    assert!(one.starts_with("url ") && one.contains("plugins/url.so since 20") && !one.contains("status"), "{one}");
    assert_eq!(daemon.cli(&["modules", "url", "--json"]).good().json()["name"], "url");
    // The name may come first, as where one is looked at.
    daemon.cli(&["modules", "url", "off"]).good();
    assert_eq!(daemon.module("url")["state"], "off");
    daemon.cli(&["modules", "url", "on", "status"]).failed(2, &["One module is switched at a time"]);
    daemon.cli(&["modules", "on"]).failed(2, &["graftd modules on NAME"]);
    daemon.cli(&["modules", "ulr"]).failed(1, &["there is no module \"ulr\"; did you mean \"url\"?"]);
}

#[test]
fn what_has_to_be_told_something_is_off_until_it_is() {
    let daemon = Daemon::builder().plugins(&["nginx", "url-check", "geo", "status"]).start();
    daemon.await_state("status", "running");
    for (name, param) in [("nginx", "url"), ("url-check", "urls"), ("geo", "database")] {
        let why = format!("needs conf/{name}.on, which says \"{param}\" under [params]");
        assert_eq!(daemon.await_state(name, "off").found["why"], why, "{name}");
        daemon.cli(&["modules", "on", name]).failed(1, &[&why]);
        // Nor is it rejected where it is only looked at.
        let found = graftd(["check", "--json"].into_iter().chain(daemon.folders().args().iter().map(String::as_str)))
            .good()
            .json();
        let found = found.as_array().expect("a list").iter().find(|finding| finding["name"] == name).cloned();
        assert_eq!(
            found.map(|found| (found["state"].clone(), found["what"].clone())),
            Some((json!("off"), json!(why)))
        );
    }
    assert!(!daemon.stderr().contains("WARN"), "{}", daemon.stderr());
    // A .on is what it waits for; without it, it is off again.
    daemon.folders().write_conf("nginx.on", "[params]\nurl = \"http://127.0.0.1:1/\"");
    daemon.await_state("nginx", "running");
    std::fs::remove_file(daemon.conf("nginx.on")).expect("removed");
    daemon.await_state("nginx", "off");
    // Whoever tries it by hand is told all that is wrong.
    let nginx = daemon.plugin("nginx.so").display().to_string();
    graftd(["probe", &nginx]).good();
}

#[test]
fn a_folder_that_vanishes_is_waited_for() {
    let daemon = running(&["status"]);
    let before = since(&daemon, "status");
    let plugins = daemon.folders().root().join("plugins");
    let aside = daemon.folders().root().join("aside");
    fs::rename(&plugins, &aside).expect("renamed");
    daemon.push_log(LINE);
    assert_eq!(daemon.module("status")["state"], "running");
    fs::rename(&aside, &plugins).expect("renamed back");
    assert_eq!(since(&daemon, "status"), before);
    // And heard of again: what happens in it is noticed.
    daemon.put_plugin("url.so", &plugin("url"));
    prompt(&daemon.await_state("url", "running"));
}

#[test]
fn a_module_is_shown_in_the_tree_too() {
    let daemon = Daemon::builder().plugins(&["status"]).conf("none.on", "").tick(Duration::from_millis(50)).start();
    daemon.await_value(&format!("graftd,{HOST},module,status,state"), "running");
    daemon.await_value(&format!("graftd,{HOST},module,none,state"), "rejected");
    let why = daemon.value(&format!("graftd,{HOST},module,none,why"));
    assert!(why.as_str().is_some_and(|why| why.contains("no plugin \"none\"")), "{why}");
    fs::remove_file(daemon.conf("none.on")).expect("removed");
    // What is gone is no longer shown.
    daemon.await_change(&format!("graftd,{HOST},module"), |daemon| {
        daemon.value(&format!("graftd,{HOST},module,none,state")).is_null().then_some(())
    });
}
