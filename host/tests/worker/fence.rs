//! What a plugin does in its worker costs its own branch. Where this is run by root, all of it is done once more by a user
//! without rights, for the fence is another one there.

use super::kit::{
    Again, Start, collected, exe, flushed, gone, is_root, line, litter, lives, now, plugin, until, with_records,
};
use graftd::worker::{Worker, WorkerError};
use plugin_api::ErrorKind;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A limit that is meant to be reached.
const SHORT: Duration = Duration::from_millis(700);

/// What is to come of an act.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It does no harm; the worker goes on.
    Lives,
    /// A caught panic that says this.
    Panics(&'static str),
    /// Its process ends, in these words.
    Dies(&'static str),
    /// It does not come back.
    Late,
    /// It says what makes no sense.
    Lies,
}

use Fate::{Dies, Late, Lies, Lives, Panics};

/// Feeds the pipe and has it flush.
fn work(worker: &mut Worker) -> Result<BTreeMap<String, String>, WorkerError> {
    with_records(&(line("/a", 200) + &line("/b", 404)), worker.wants(), |records| worker.process(now(), records))?;
    flushed(worker)
}

#[track_caller]
fn check(does: &str, at: &str, fate: Fate) {
    let limit = if matches!(fate, Late) { SHORT } else { super::kit::AMPLE };
    let neighbour = &mut Start::new("wild").up();
    let before = Instant::now();
    let mut start = match at {
        "collect" => Start::new("wild-collector").with("does", does).limit(limit),
        _ => Start::new("wild").with("does", does).with("at", at).limit(limit),
    };
    if at == "new" {
        start.start_limit = limit;
    }
    let started = start.go();
    let (worker, result) = match started {
        Ok(mut worker) => {
            let result = if at == "collect" { collected(&mut worker) } else { work(&mut worker) };
            (Some(worker), result)
        }
        Err(error) => (None, Err(error)),
    };
    let took = before.elapsed();
    let told = result.as_ref().map_or_else(ToString::to_string, |found| format!("{found:?}"));
    let as_expected = match (fate, &result) {
        (Lives, Ok(found)) => found.contains_key("hits") || found.contains_key("samples"),
        (Panics(why), Err(WorkerError::Module(error))) => {
            error.kind() == ErrorKind::Panic && error.message().contains(why)
        }
        (Dies(how), Err(WorkerError::Died(said))) => said.starts_with(&format!("{how} in its {at}()")),
        (Late, Err(WorkerError::Late { doing, .. })) => *doing == format!("its {at}()"),
        (Lies, Err(WorkerError::Lied(_))) => true,
        _ => false,
    };
    assert!(as_expected, "{does} in {at}: {fate:?} was expected, not {result:?}");
    println!("| {does} in {at} | {told} | {took:.0?} |");
    if let Some(mut worker) = worker {
        // A worker that is of no use says so again, and at once. A collector outlives what it says itself.
        if let (Err(error), true) = (&result, at != "collect" || !matches!(result, Err(WorkerError::Module(_)))) {
            assert_eq!(work(&mut worker).expect_err("still broken"), *error);
        }
        gone(worker);
    }
    assert_eq!(work(neighbour).expect("a neighbour works on")["hits"], "2");
}

#[test]
fn what_does_not_come_back_is_killed() {
    for at in ["new", "process", "flush", "collect"] {
        check("loop", at, Late);
    }
    check("stop", "process", Late);
}

#[test]
fn a_crash_is_told_with_its_signal_and_its_place() {
    for at in ["new", "process", "flush", "collect"] {
        check("segfault", at, Dies("crashed with SIGSEGV"));
        check("exit", at, Dies("ended the process with exit code 0"));
    }
    check("abort", "process", Dies("crashed with SIGABRT"));
}

#[test]
fn a_panic_is_told_as_the_modules_own_error() {
    for at in ["new", "process", "flush", "collect"] {
        check("panic", at, Panics("told to"));
    }
}

#[test]
fn what_takes_too_much_gets_no_more() {
    check("allocate", "process", Dies("used more than 256 MiB of memory"));
    check("allocate", "new", Dies("used more than 256 MiB of memory"));
    check("descriptors", "process", Panics("Too many open files"));
    check("threads", "process", Panics("Resource temporarily unavailable"));
    check("fill", "process", Dies("wrote more than 64 MiB to a file"));
}

#[test]
fn what_it_says_to_others_hurts_nobody() {
    check("print", "process", Lives);
    check("print", "collect", Lives);
    check("babble", "process", Lies);
    check("close", "process", Dies("closed its connection to the daemon"));
}

#[test]
fn a_fork_bomb_is_bounded_and_gone_with_its_worker() {
    let mut worker = Start::new("wild").with("does", "fork").up();
    let keeper = worker.keeper_pid().expect("kept");
    // What it has started goes on; it itself works on.
    assert_eq!(work(&mut worker).expect("works")["hits"], "2");
    until("the bomb fills its room", || litter(keeper).len() > 20);
    // The limit of a user's processes is exact where the user is the worker's own.
    let many = litter(keeper).len();
    assert!(many <= if is_root() { 32 } else { 64 }, "{many} processes");
    gone(worker);
    check("fork", "process", Lives);
    // Those whose parent is gone before anybody looks for them.
    check("breed", "process", Dies("crashed with SIGABRT"));
    check("breed", "flush", Dies("crashed with SIGABRT"));
}

#[test]
fn a_drop_that_does_not_come_back_holds_nobody() {
    let worker = Start::new("wild").with("does", "loop").with("at", "drop").up();
    gone(worker);
}

#[test]
fn a_slow_pipe_holds_its_log_back_and_is_not_late() {
    let limit = Duration::from_millis(900);
    let mut worker = Start::new("wild").with("does", "nap").limit(limit).up();
    let began = Instant::now();
    with_records(&line("/a", 200), worker.wants(), |records| {
        for _ in 0..12 {
            worker.process(now(), records).expect("handed over");
        }
    });
    assert_eq!(flushed(&mut worker).expect("flushed")["hits"], "12");
    // All of them together took longer than any may.
    assert!(began.elapsed() > limit, "{:?}", began.elapsed());
}

#[test]
fn a_large_batch_is_handed_over_while_the_worker_is_busy() {
    let mut worker = Start::new("wild").with("does", "nap").up();
    let long: String = (0..60).map(|i| line(&format!("/{i}/{}", "x".repeat(60_000)), 200)).collect();
    with_records(&long, worker.wants(), |records| {
        for _ in 0..3 {
            worker.process(now(), records).expect("handed over");
        }
    });
    assert_eq!(flushed(&mut worker).expect("flushed")["hits"], "180");
}

#[test]
fn it_has_no_rights_and_inherits_nothing() {
    // Left open for whoever is started, as a careless shell would.
    let leaked = rustix::io::dup(fs::File::open("/etc/hostname").expect("opened")).expect("leaked");
    let mut worker = Start::new("wild").with("does", "tell").up();
    let found = work(&mut worker).expect("told");
    drop(leaked);
    let told =
        |name: &str| found.get(&format!("told,{name}")).unwrap_or_else(|| panic!("no {name}: {found:?}")).as_str();
    let uids: Vec<u32> = told("uids").split(' ').map(|uid| uid.parse().expect("a number")).collect();
    if is_root() {
        assert!((60_706..=61_183).contains(&uids[0]) && uids.iter().all(|uid| *uid == uids[0]), "{uids:?}");
        assert_eq!((told("gids"), told("groups")), (told("uids"), ""));
        assert_eq!(told("processes"), "32");
    } else {
        let processes: u64 = told("processes").parse().expect("a number");
        assert!((33..5_000).contains(&processes), "{processes}");
    }
    assert_eq!(told("rights"), "0000000000000000 0000000000000000");
    assert_eq!((told("no_new_rights"), told("leads_session"), told("folder")), ("1", "true", "/"));
    assert_eq!((told("core"), told("files"), told("file_bytes")), ("0", "256", "67108864"));
    let memory: u64 = told("memory").parse().expect("a number");
    assert!((256 << 20..400 << 20).contains(&memory), "{memory}");
    assert!(told("score").parse::<i32>().expect("a number") >= 500, "{}", told("score"));
    for variable in told("variables").split(' ') {
        assert!(["HOME", "PATH", "LANG", "TZ", "MALLOC_ARENA_MAX"].contains(&variable), "{variable} is inherited");
    }
    let open = told("descriptors");
    assert!(!open.contains("hostname"), "{open}");
    assert_eq!(open.matches("socket:").count(), 1, "{open}");
    // Standard input, output and error, the daemon's socket, and the folder that is being listed.
    assert_eq!(open.split(' ').count(), 5, "{open}");
}

#[test]
fn no_two_workers_share_a_user_and_nobody_above_can_be_killed() {
    let mut workers: Vec<Worker> = (0..4).map(|_| Start::new("wild").with("does", "kill").up()).collect();
    let mut users: Vec<String> = workers
        .iter()
        .map(|worker| {
            let status = fs::read_to_string(format!("/proc/{}/status", worker.pid().expect("told"))).expect("alive");
            status.lines().find(|line| line.starts_with("Uid:")).expect("a user").to_owned()
        })
        .collect();
    users.sort();
    users.dedup();
    let found = work(&mut workers[0]).expect("told");
    if is_root() {
        assert_eq!(users.len(), 4, "{users:?}");
        for who in ["keeper", "daemon"] {
            assert_eq!(found[&format!("told,{who}")], "Operation not permitted (os error 1)", "{found:?}");
        }
    } else {
        assert_eq!(users.len(), 1, "{users:?}");
    }
    // The end of one ends none of the others.
    gone(workers.remove(1));
    for worker in &mut workers {
        assert_eq!(work(worker).expect("works")["hits"], "2");
    }
}

#[test]
fn a_worker_ends_with_its_keeper() {
    let mut worker = Start::new("wild").up();
    let (keeper, pid) = (worker.keeper_pid().expect("kept"), worker.pid().expect("told"));
    assert!(work(&mut worker).is_ok() && lives(pid));
    let keeper = rustix::process::Pid::from_raw(keeper as i32).expect("a process");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("killed");
    until("the worker's end", || !lives(pid));
    let error = work(&mut worker).expect_err("gone");
    assert!(matches!(&error, WorkerError::Died(how) if how.contains("keeper")), "{error:?}");
}

#[test]
fn binary_and_plugin_may_lie_where_the_worker_cannot_go() {
    let folder = std::env::temp_dir().join(format!("graftd-closed-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    let mut start = Start::new("wild");
    start.plugin = folder.join("wild.so");
    fs::copy(plugin("wild"), &start.plugin).expect("copied");
    let closed_exe = folder.join("graftd");
    fs::copy(exe(), &closed_exe).expect("copied");
    for (path, mode) in [(&start.plugin, 0o600), (&closed_exe, 0o700), (&folder, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("closed");
    }
    start.exe = closed_exe;
    let worked = start.go().and_then(|mut worker| work(&mut worker));
    fs::remove_dir_all(&folder).expect("removed");
    assert_eq!(worked.expect("works")["hits"], "2");
}

/// Not a test of its own: the daemon that [`a_daemon_that_is_killed_leaves_nothing_behind`] kills.
#[test]
fn daemon_to_be_killed() {
    if std::env::var_os("GRAFTD_TEST_HOLD").is_none() {
        return;
    }
    let mut worker = Start::new("wild").with("does", "fork").up();
    work(&mut worker).expect("works");
    println!("\nkeeper {}", worker.keeper_pid().expect("kept"));
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_daemon_that_is_killed_leaves_nothing_behind() {
    let mut again = Again::new("killed");
    again.command.args(["--exact", "fence::daemon_to_be_killed", "--nocapture"]).env("GRAFTD_TEST_HOLD", "1");
    let mut daemon = again.command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(daemon.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let keeper = lines.into_iter().find_map(|line| line.strip_prefix("keeper ")?.parse().ok()).expect("a keeper");
    assert!(lives(keeper) && !litter(keeper).is_empty());
    daemon.kill().expect("killed");
    daemon.wait().expect("ended");
    until("the keeper's end", || !lives(keeper));
    assert_eq!(litter(keeper), Vec::<u32>::new(), "left behind");
}

#[test]
fn the_fence_holds_without_roots_help() {
    if !is_root() {
        // This is what the other tests are, then.
        return;
    }
    let mut again = Again::new("nobody");
    // One after another: they all count as one user's processes.
    again.command.args(["fence::", "--test-threads=1"]).uid(65_534).gid(65_534);
    let ran = again.command.output().expect("run");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("test result: ok"), "{said}");
}

#[test]
fn the_mode_says_what_it_is_and_is_not_for_people() {
    let run = |args: &[&str]| Command::new(exe()).args(args).stdin(Stdio::null()).output().expect("run");
    let help = run(&["worker", "--help"]);
    let help_text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success() && help_text.contains("The daemon starts this by itself"), "{help_text}");
    assert!(!help_text.contains("--inside") && !help_text.contains("--kill-all-of"), "{help_text}");
    assert!(!String::from_utf8_lossy(&run(&["--help"]).stdout).contains("worker"));
    let by_hand = run(&["worker", "x.so"]);
    assert_eq!(by_hand.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&by_hand.stderr);
    assert!(complaint.contains("only a daemon starts this"), "{complaint}");
}
