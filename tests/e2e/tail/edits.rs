//! What is done to a log's `.on` while it is written, and what pipes come beside it.

use super::{LOG, Writer, await_lines, folders, start, sum};
use graftd_tests::{Daemon, HOST};
use std::fs;
use std::io::Write;
use std::time::Duration;

#[test]
fn a_log_that_is_switched_off_and_on_while_its_lines_are_under_way_counts_each_once() {
    let folders = folders("start = \"begin\"");
    folders.copy_plugins(&["unruly"]);
    // A pipe takes its time with one batch in each turn, and makes a file then.
    let naps = folders.root().join("naps");
    folders.write_conf("unruly.on", &format!("[params]\ndoes = \"nap\"\nspare_probe = true\nonce = {naps:?}"));
    fs::write(&naps, "").expect("written");
    let mut writer = Writer::new(&folders);
    writer.write(100);
    let daemon = start(&folders);
    await_lines(&daemon, 100);
    let [on, off] = ["on", "off"].map(|ending| folders.conf(&format!("{LOG}.{ending}")));
    let is_off = format!("module {LOG}: off");
    for turn in 1..=3 {
        fs::remove_file(&naps).expect("removed");
        writer.write(5_000);
        daemon.await_change("graftd", |_| naps.exists().then_some(()));
        fs::rename(&on, &off).expect("off");
        // Its lines are under way for as long as the pipe naps.
        daemon.await_change("graftd", |daemon| (daemon.stderr().matches(&is_off).count() == turn).then_some(()));
        writer.write(1_000);
        fs::rename(&off, &on).expect("on");
        writer.write(1_000);
        await_lines(&daemon, writer.lines);
    }
    daemon.await_value(&format!("graftd,{HOST},log,{LOG},lines"), writer.lines);
}

#[test]
fn what_was_read_goes_on_as_a_total_when_the_on_is_edited() {
    let folders = folders("start = \"begin\"");
    let mut writer = Writer::new(&folders);
    writer.write(1_000);
    // Its first word of another life is not that it has read nothing.
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_secs(1)).start();
    await_lines(&daemon, 1_000);
    let on = folders.conf(&format!("{LOG}.on"));
    let off = on.with_extension("off");
    for (from, to) in [("\"begin\"", "\"begin\"\nformat = \"combined\""), ("\"begin\"", "\"end\"")] {
        fs::rename(&on, &off).expect("off");
        daemon.await_state(LOG, "off");
        writer.write(10);
        writer.file.write_all(b"no line\n").expect("written");
        let text = fs::read_to_string(&off).expect("the .on");
        assert!(text.contains(from), "{text}");
        fs::write(&off, text.replace(from, to)).expect("written");
        fs::rename(&off, &on).expect("on");
        await_lines(&daemon, writer.lines);
    }
    let own = format!("graftd,{HOST},log,{LOG}");
    daemon.await_value(&format!("{own},errors"), 2);
    daemon.await_value(&format!("{own},lines"), 1_022);
    let bytes = fs::metadata(&writer.path).expect("there").len();
    daemon.await_value(&format!("{own},bytes"), bytes);
}

#[test]
fn a_log_that_comes_beside_a_pipe_that_is_still_being_made_loses_no_line_for_it() {
    let folders = folders("start = \"begin\"");
    folders.copy_plugins(&["unruly"]);
    let mut writer = Writer::new(&folders);
    writer.write(10);
    let daemon = start(&folders);
    await_lines(&daemon, 10);
    let mut other = Writer::at(folders.root().join("logs/other.log"));
    other.write(1_000);
    // It takes its time in `new`, so it is being made when the log comes.
    folders.write_conf("unruly.on", "[params]\nat = \"new\"\ndoes = \"nap\"");
    let conf = "plugin = \"access-log\"\nfile = \"../logs/other.log\"\nprefix = \"other\"\nstart = \"begin\"";
    daemon.await_state("unruly", "probing");
    folders.write_conf("other.on", conf);
    daemon.await_state("other", "running");
    assert_eq!(daemon.module("unruly")["state"], "probing", "this test comes too late to try what it is to try");
    other.write(1_000);
    daemon.await_value("other,bytes,2xx", sum(2_000));
    daemon.await_value("other,unruly,hits", 2_000);
}

#[test]
fn names_and_branches_that_are_the_daemons_own_are_refused_for_good() {
    let folders = folders("");
    let daemon = start(&folders);
    let conf = "plugin = \"access-log\"\nfile = \"../logs/access.log\"\n";
    for name in ["self", "push"] {
        folders.write_conf(&format!("{name}.on"), conf);
        let module = daemon.await_state(name, "rejected").found;
        assert!(module["why"].as_str().is_some_and(|why| why.contains("a log of its own of this name")), "{module}");
    }
    folders.write_conf("own.on", &format!("{conf}prefix = \"graftd,x\""));
    let module = daemon.await_state("own", "rejected").found;
    assert!(module["why"].as_str().is_some_and(|why| why.contains("own.on:3: \"prefix\": graftd is")), "{module}");
}
