//! Collectors that talk to servers are made anew while they wait for them: nothing of the old ones is left.

use super::{mapped, much};
use graftd_tests::{Daemon, Folders, HOST, Held, held};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// The growth of memory that is let pass, in bytes, between the first tenth of the reloads and the last.
const GROWTH: u64 = 20 * 1024 * 1024;
/// The same where they are few: each of the loading threads keeps some megabytes from the first library that it read.
const GROWTH_UNSETTLED: u64 = 100 * 1024 * 1024;

/// In `make soak` more often than a process has room for notes of thread-locals (1,024, pthread_key_create(3)).
#[test]
fn collectors_that_wait_for_servers_are_reloaded_and_leave_nothing() {
    let rounds = much(30, 1_100);
    let folders = Arc::new(Folders::new().plugins(&["url-check", "nginx"]));
    // Its queue takes connections, and nobody takes them from there.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (silent, address)).expect("an address");
    let urls: Vec<String> = (0..20).map(|n| format!("\"http://{}/{n}\"", silent.1)).collect();
    // One by https, so that all of TLS is there too.
    let url_check = format!(
        "every = \"200ms\"\n[params]\ntimeout = \"40ms\"\nurls = [{}, {{ url = \"https://{}/\", insecure = true }}]\n",
        urls.join(", "),
        silent.1
    );
    let nginx = format!("every = \"200ms\"\n[params]\ntimeout = \"40ms\"\nurl = \"http://{}/\"\n", silent.1);
    let modules = [("url-check", url_check), ("nginx", nginx)];
    for (name, conf) in &modules {
        folders.write_conf(&format!("{name}.on"), conf);
    }
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(50)).start();
    let mut figures: Vec<Held> = Vec::new();
    for round in 0..rounds {
        for (name, conf) in &modules {
            let path = format!("graftd,{HOST},module,{name}");
            let since = daemon.await_number(&format!("{path},calls"));
            // Another configuration: a new life is made, has to work once, and the old one goes.
            folders.write_conf(&format!("{name}.on"), &format!("# {round}\n{conf}"));
            daemon.post(&format!("/modules/{name}/reload"), "", b"").good();
            daemon.await_change(&path, |daemon| {
                let calls = daemon.value(&format!("{path},calls")).as_f64()?;
                (daemon.module(name)["state"] == "running" && calls != since).then_some(())
            });
        }
        if round == rounds / 10 {
            figures.push(held(daemon.process()));
        }
    }
    // What is dropped is dropped by a thread of its own.
    daemon.await_change(&format!("graftd,{HOST}"), |daemon| {
        let one_each = modules.iter().all(|(name, _)| mapped(daemon.process(), &format!("/{name}-")).len() == 1);
        (one_each && held(daemon.process()).threads <= figures[0].threads).then_some(())
    });
    let last = held(daemon.process());
    println!("{rounds} reloads of each; after a tenth: {:?}; after all: {last:?}", figures[0]);
    let growth = much(GROWTH_UNSETTLED, GROWTH);
    assert!(last.rss <= figures[0].rss + growth, "memory grew from {} to {}", figures[0].rss, last.rss);
}

/// What the standard library notes of `thread::current()` is dropped by code of whoever asked for it, at the thread's end.
#[test]
fn a_collector_of_which_its_thread_has_notes_is_reloaded() {
    let conf = "plugin = \"unruly-collector\"\nevery = \"50ms\"\n[params]\ndoes = \"thread-note\"\n";
    let daemon = Daemon::builder().plugins(&["unruly-collector"]).conf("notes.on", conf);
    let daemon = daemon.tick(Duration::from_millis(50)).start();
    daemon.await_state("notes", "running");
    let path = format!("graftd,{HOST},module,notes");
    let libraries = || mapped(daemon.process(), "/unruly-collector-");
    for _ in 0..much(10, 200) {
        let before = libraries();
        daemon.post("/modules/notes/reload", "", b"").good();
        // The new one has been asked, and the code of the old one is gone.
        daemon.await_change(&path, |_| {
            let now = libraries();
            (now.len() == 1 && now != before).then_some(())
        });
    }
    assert_eq!(daemon.module("notes")["state"], "running");
    assert_eq!(daemon.stop().code(), Some(0));
}
