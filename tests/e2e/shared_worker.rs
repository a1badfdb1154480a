//! `worker = "NAME"`: modules in Python that share one process, and what becomes of them when something happens to it.

use graftd_tests::{Daemon, Folders, HOST};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

/// A module with the metric `pid`, and one more that does as it is told.
const MODULE: &str = "# graftd: python3
import os
def pid(name):
    return os.getpid()
def does(name):
    if not os.path.exists(WHEN):
        return 1
    if DOES == 'raise':
        raise ValueError('so it is')
    os.remove(WHEN)
    if DOES == 'hang':
        while True: pass
    os._exit(7)
def metric_init(params):
    global DOES, WHEN
    DOES, WHEN = params.get('does', 'nothing'), params.get('when', '/nowhere')
    metric = lambda name, call: {'name': name, 'value_type': 'uint', 'call_back': call}
    return [metric('pid', pid), metric('does', does)]
";

const CONF: &str = "worker = \"w\"\nevery = \"100ms\"\ntime_limit = \"1s\"\n";

fn folders() -> Arc<Folders> {
    let folders = Arc::new(Folders::new());
    for name in ["one", "two"] {
        fs::write(folders.plugin(&format!("{name}.py")), MODULE).expect("a plugin");
        folders.write_conf(&format!("{name}.on"), CONF);
    }
    folders
}

/// Both, and the second does something when a file is there; that file.
fn daemon(does: &str) -> (Daemon, std::path::PathBuf) {
    let folders = folders();
    // A worker is a user of its own: it finds and removes it here.
    let when = std::env::temp_dir().join(format!("graftd-shared-{}-{does}", std::process::id()));
    let _ = fs::remove_dir_all(&when);
    fs::create_dir(&when).expect("a folder");
    fs::set_permissions(&when, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("opened");
    let file = when.join("now");
    folders
        .write_conf("two.on", &format!("{CONF}[params]\ndoes = {does:?}\nwhen = {:?}\n", file.display().to_string()));
    (Daemon::builder().folders(&folders).start(), file)
}

fn pid(daemon: &Daemon, name: &str) -> u32 {
    daemon.await_number(&format!("{name},{HOST},pid")) as u32
}

/// Waits until both run in one process, which is not this one, and gives it.
fn await_together(daemon: &Daemon, not: u32) -> u32 {
    let together = |daemon: &Daemon| {
        let pid = |name: &str| daemon.value(&format!("{name},{HOST},pid")).as_f64();
        let both = pid("one").filter(|one| pid("two") == Some(*one))? as u32;
        let run = ["one", "two"].iter().all(|name| daemon.module(name)["state"] == "running");
        Some(both).filter(|both| *both != not && run)
    };
    daemon.await_change("", together).found
}

/// Processes of `graftd-gmod` that this daemon's keepers have.
fn workers(daemon: &Daemon) -> Vec<u32> {
    let about = |pid: u32| -> Option<(String, u32)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1.to_owned();
        Some((name, rest.split(' ').nth(1)?.parse().ok()?))
    };
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        let keeper = about(*pid).filter(|(name, _)| name == "graftd-gmod").map(|(_, keeper)| keeper);
        keeper.and_then(about).is_some_and(|(_, parent)| parent == daemon.process())
    };
    pids.filter(is_ours).collect()
}

/// Waits until a module is said to have failed of this.
fn await_why(daemon: &Daemon, name: &str, words: &[&str]) -> Value {
    let told = |daemon: &Daemon| {
        let module = daemon.module(name);
        let why = module["why"].as_str().unwrap_or_default().to_owned();
        words.iter().all(|word| why.contains(word)).then_some(module)
    };
    daemon.await_change(&format!("graftd,{HOST},module,{name}"), told).found
}

#[test]
fn two_modules_have_one_process_and_come_back_together() {
    let folders = folders();
    let daemon = Daemon::builder().folders(&folders).start();
    let first = await_together(&daemon, 0);
    assert_eq!(workers(&daemon), [first]);
    kill_process(Pid::from_raw(first as i32).expect("a process"), Signal::KILL).expect("killed");
    let second = await_together(&daemon, first);
    assert_eq!(workers(&daemon), [second]);
    // One that is switched off, edited and on again leaves the other as it was.
    daemon.cli(&["modules", "off", "one"]).good();
    daemon.await_state("one", "off");
    let calls = format!("graftd,{HOST},module,two,calls");
    let before = daemon.await_number(&calls);
    daemon.await_change(&calls, |daemon| daemon.value(&calls).as_f64().filter(|now| *now > before + 2.0));
    assert_eq!(pid(&daemon, "two"), second);
    daemon.cli(&["modules", "on", "one"]).good();
    assert_eq!(await_together(&daemon, first), second);
    fs::write(folders.plugin("one.py"), MODULE.replace("return os.getpid()", "return 5")).expect("a plugin");
    daemon.await_value(&format!("one,{HOST},pid"), 5);
    assert_eq!((workers(&daemon), daemon.module("two")["state"].clone()), (vec![second], "running".into()));
    // Both off: the process is over.
    for name in ["one", "two"] {
        daemon.cli(&["modules", "off", name]).good();
        daemon.await_state(name, "off");
    }
    daemon.await_change(&format!("graftd,{HOST}"), |daemon| workers(daemon).is_empty().then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn one_that_raises_disturbs_nobody() {
    let (daemon, when) = daemon("raise");
    let first = await_together(&daemon, 0);
    fs::write(&when, "").expect("a file");
    // Partly: what worked has its values.
    await_why(&daemon, "two", &["does", "ValueError: so it is"]);
    assert_eq!((pid(&daemon, "one"), daemon.module("one")["why"].clone()), (first, "".into()));
    fs::remove_file(&when).expect("removed");
    assert_eq!(await_together(&daemon, 0), first);
}

#[test]
fn one_that_hangs_is_given_up_in_its_time_and_both_come_back() {
    let (daemon, when) = daemon("hang");
    let first = await_together(&daemon, 0);
    fs::write(&when, "").expect("a file");
    await_why(&daemon, "two", &["did not come back within 1s from its collect()"]);
    await_why(&daemon, "one", &["shares the worker \"w\" with \"two\"", "did not come back within 1s"]);
    let second = await_together(&daemon, first);
    assert_eq!(workers(&daemon), [second]);
}

#[test]
fn one_that_ends_the_process_is_shown_with_whom_it_shares_it() {
    let (daemon, when) = daemon("exit");
    let first = await_together(&daemon, 0);
    fs::write(&when, "").expect("a file");
    await_why(
        &daemon,
        "two",
        &["ended the process with exit code 7 in its collect()", "shares the worker \"w\" with one"],
    );
    await_together(&daemon, first);
}

#[test]
fn what_cannot_share_is_rejected_with_its_line() {
    let daemon = Daemon::builder().plugins(&["memory"]).conf("memory.on", "\nworker = \"w\"\n").start();
    let rejected = daemon.await_state("memory", "rejected").found;
    let why = rejected["why"].as_str().unwrap_or_default();
    assert!(why.contains("memory.on:2: \"worker\" is for modules in Python"), "{why}");
}
