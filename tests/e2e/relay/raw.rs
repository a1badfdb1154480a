//! Lines that travel as they are, and are folded where they arrive: each counts once there, whatever dies on the way.

use super::exact::{Chance, meddle, turns};
use super::{Host, LOG, Log, await_sums, counted, figure, sum};
use graftd_tests::Daemon;
use std::fs::{self, OpenOptions};
use std::io::Write;

const PIPES: [&str; 5] = ["status", "bytes", "request-time", "visitors", "url"];

/// A host whose log is folded elsewhere. It has no pipe at all.
fn forwards(name: &str, more: &str) -> Host {
    let host = Host::bare(name);
    let log = "plugin = \"access-log\"\nfile = \"../logs/access.log\"\nstart = \"begin\"\nforward = \"raw\"\n";
    host.folders.write_conf(&format!("{LOG}.on"), &format!("{log}prefix = {LOG:?}\n{more}"));
    host
}

/// A receiver that has pipes.
fn folds(host: Host) -> Host {
    host.folders.copy_plugins(&PIPES);
    host
}

/// Lines that a pipe here was given of lines that others have sent.
fn errors(daemon: &Daemon, host: &str) -> f64 {
    daemon.value(&format!("graftd,{host},log,relayed:{LOG},errors")).as_f64().unwrap_or(0.0)
}

#[test]
fn each_line_is_folded_once_at_the_end_of_a_chain_whatever_dies() {
    let server = folds(Host::server("top"));
    // It has pipes of its own, which are not asked: it sends on.
    let middle = folds(Host::server("middle")).sends_to(&[&server], "");
    let agent = forwards("leaf", "format = \"timed\"").sends_to(&[&middle], "");
    let hosts = [&server, &middle, &agent];
    let mut daemons = hosts.map(|host| Some(host.start()));
    let mut log = Log::of(&agent);
    let mut chance = Chance(11);
    for _ in 0..turns(40, 400) {
        log.write(1 + chance.below(2_000));
        meddle(hosts, &mut daemons, 4, &mut log, &mut chance);
    }
    let [server, middle, leaf] = daemons.map(|daemon| daemon.expect("it runs"));
    println!("{} lines, the sum of their numbers is {}", log.lines, sum(log.lines));
    await_sums(&server, LOG, (log.lines, sum(log.lines)));
    for daemon in [&leaf, &middle] {
        assert_eq!(counted(daemon, LOG), (0, 0));
    }
    let times = server.subtree(&format!("{LOG},request_time,2xx"));
    assert_eq!(times[""]["count"], log.lines as f64, "{times}");
    assert_eq!(leaf.value(&format!("graftd,leaf,log,{LOG},lines")), log.lines as f64);
    assert_eq!(errors(&server, "top"), 0.0);
    for daemon in [&leaf, &middle] {
        assert_eq!(
            daemon.value(&format!(
                "graftd,{},relay,relay,dropped",
                if std::ptr::eq(daemon, &leaf) { "leaf" } else { "middle" }
            )),
            0.0
        );
    }
    assert!(!server.stderr().contains("ERROR"), "{}", server.stderr());
}

#[test]
fn a_relay_that_folds_sends_on_what_came_of_it() {
    let server = folds(Host::server("top"));
    let middle = folds(Host::server("middle")).sends_to(&[&server], "raw = \"fold\"\nprefix = \"site\"");
    // A prefix that the relay adds holds for lines too, and the format is told from them.
    let agent = forwards("leaf", "").sends_to(&[&middle], "prefix = \"rack\"");
    let [top, middle] = [&server, &middle].map(Host::start);
    let mut log = Log::of(&agent);
    log.write(1_000);
    let leaf = agent.start();
    let all = (1_000, sum(1_000));
    await_sums(&middle, &format!("rack,{LOG}"), all);
    await_sums(&top, &format!("site,rack,{LOG}"), all);
    assert_eq!(counted(&top, &format!("rack,{LOG}")), (0, 0));
    leaf.await_change("graftd,leaf,relay", |daemon| (figure(daemon, "leaf", "acknowledged") > 0.0).then_some(()));
}

#[test]
fn while_the_receiver_is_away_lines_wait_in_their_file_once_the_spool_is_full() {
    let mut server = folds(Host::server("top"));
    server.settings = "commit = \"100ms\"\nrelay = \"127.0.0.1:0\"".to_owned();
    let agent = forwards("leaf", "format = \"timed\"").sends_to(&[&server], "spool = \"64KiB\"");
    let mut log = Log::of(&agent);
    // Four megabytes, which no spool of this size takes at once.
    // Some four megabytes, which no spool of this size takes.
    log.write(40_000);
    let leaf = agent.start();
    leaf.await_change("graftd,leaf", |daemon| {
        let lag = daemon.value(&format!("graftd,leaf,log,{LOG},lag_bytes")).as_f64()?;
        (figure(daemon, "leaf", "bytes") >= 48.0 * 1024.0 && lag > 0.0).then_some(())
    });
    leaf.kill();
    let leaf = agent.start();
    let top = server.start();
    // A block goes at a time, each with a commit here and there: it may take its time, as long as it goes on.
    let all = (log.lines, sum(log.lines));
    let mut before = (0, 0);
    while before != all {
        before = top.await_change(LOG, |daemon| Some(counted(daemon, LOG)).filter(|now| *now != before)).found;
        assert!(before.0 <= all.0 && before.1 <= all.1, "{before:?} is more than {all:?}");
    }
    assert_eq!(figure(&leaf, "leaf", "dropped"), 0.0);
    assert_eq!(errors(&top, "top"), 0.0);
}

#[test]
fn without_a_relay_nothing_is_lost_and_it_is_said() {
    let server = folds(Host::server("top"));
    let agent = forwards("leaf", "format = \"timed\"");
    let mut log = Log::of(&agent);
    log.write(500);
    let leaf = agent.start();
    leaf.await_change("graftd,leaf,log", |daemon| {
        let trouble = daemon.value(&format!("graftd,leaf,log,{LOG},trouble"));
        trouble.as_str()?.contains("no relay runs here that takes its lines").then_some(())
    });
    let top = server.start();
    let agent = agent.sends_to(&[&server], "");
    await_sums(&top, LOG, (500, sum(500)));
    // And while it is switched off again.
    fs::rename(agent.folders.conf("relay.on"), agent.folders.conf("relay.off")).expect("renamed");
    leaf.await_change("graftd,leaf,log", |daemon| {
        let trouble = daemon.value(&format!("graftd,leaf,log,{LOG},trouble"));
        trouble.as_str()?.contains("no relay runs").then_some(())
    });
    log.write(500);
    fs::rename(agent.folders.conf("relay.off"), agent.folders.conf("relay.on")).expect("renamed");
    await_sums(&top, LOG, (1_000, sum(1_000)));
}

#[test]
fn lines_that_need_a_header_have_it_wherever_they_begin() {
    let server = folds(Host::server("top"));
    let agent = forwards("leaf", "format = \"w3c\"").sends_to(&[&server], "");
    let top = server.start();
    let path = agent.folders.root().join("logs/access.log");
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("opened");
    let mut write = |text: &str| file.write_all(text.as_bytes()).expect("written");
    let line = |n: u64| format!("2026-11-26 10:20:30 192.0.2.1 GET /{n} 200 {n}\n");
    let other = |n: u64| format!("2026-11-26 10:20:30 {n} 200 /{n} GET 192.0.2.1\n");
    let mut lines = 0;
    let mut next = || {
        lines += 1;
        lines
    };
    write("#Software: test\n#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes\n");
    write(&line(next()));
    let mut leaf = agent.start();
    await_sums(&top, LOG, (1, 1));
    for round in 0..4 {
        // It begins in the midst of the file each time.
        write(&if round < 2 { line(next()) } else { other(next()) });
        let n = next();
        await_sums(&top, LOG, (n - 1, sum(n - 1)));
        leaf.kill();
        if round == 1 {
            write(&line(n));
            write("#Fields: date time sc-bytes sc-status cs-uri-stem cs-method c-ip\n");
        } else {
            write(&if round < 1 { line(n) } else { other(n) });
        }
        leaf = agent.start();
        await_sums(&top, LOG, (n, sum(n)));
    }
    assert_eq!(errors(&top, "top"), 0.0);
}
