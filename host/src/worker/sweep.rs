//! Ends all that a plugin's code has started, wherever it has hidden.
//!
//! The keeper is the subreaper (prctl(2)) of all of it: whoever loses its parent becomes the keeper's child, whatever
//! session it is in. So all is gone when, and only when, the keeper has no child left.
//!
//! A process that starts others faster than they are found would outrun a search. Two things see to it that none does.
//! Where the worker has a user of its own, `kill(-1)` by that user takes all of them at one stroke: the kernel walks its
//! list of processes under a lock that a fork needs too. Where it has none, they are searched for in `/proc`; RLIMIT_NPROC
//! bounds them, and the dead, who are not reaped before no one is found alive, keep their place in that count.

use super::users::{self, User};
use crate::limits::WORKER_SWEEP_MAX;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, wait};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at who is left: dying takes a moment.
const PAUSE: Duration = Duration::from_millis(1);

/// Kills all descendants of this process and waits until there is none. `false` when some did not die in time: they hang in
/// the kernel.
pub(super) fn sweep(user: Option<&User>) -> bool {
    let until = Instant::now() + WORKER_SWEEP_MAX;
    loop {
        if reaped_all() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        if let Some(user) = user {
            at_one_stroke(user);
        }
        // Also where there is a user: for what that one stroke could not be struck.
        while kill_descendants() && Instant::now() < until {
            thread::sleep(PAUSE);
        }
        thread::sleep(PAUSE);
    }
}

/// Reaps who is dead; `true` when no child is left at all.
fn reaped_all() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn at_one_stroke(user: &User) {
    let mut command = Command::new("/proc/self/exe");
    command.arg("worker").arg("--kill-all-of").arg(user.uid.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        let _ = child.wait();
    }
}

/// Kills every process of a worker's user. The process that calls this is root's and of no further use.
///
/// # Errors
/// It cannot become that user.
pub(crate) fn kill_all_of(uid: u32) -> io::Result<()> {
    if !crate::limits::WORKER_USERS.contains(&uid) {
        return Err(io::Error::other("no worker's user"));
    }
    // By its effective user it may kill them; by its real and saved ones they may not kill or stop it before. No process
    // is ever the second one's but this.
    users::become_user(uid + 1, uid, uid + 1)?;
    // kill(-1): as whoever is in "group 1" is everybody that this user may send signals to, but itself and init.
    match kill_process_group(Pid::INIT, Signal::KILL) {
        // There is none left.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Kills whoever descends from this process and is alive; `true` when there was somebody.
fn kill_descendants() -> bool {
    let all = processes();
    let parents: HashMap<i32, i32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let me = getpid().as_raw_nonzero().get();
    let mut found = false;
    for process in all.iter().filter(|process| process.alive && process.pid != me) {
        let mut ancestor = process.parent;
        // The table was not read at one moment, so it might have a circle in it.
        for _ in 0..all.len() {
            if ancestor == me {
                found = true;
                if let Some(pid) = Pid::from_raw(process.pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
                break;
            }
            let Some(&next) = parents.get(&ancestor) else { break };
            ancestor = next;
        }
    }
    found
}

#[derive(Debug, PartialEq)]
struct Process {
    pid: i32,
    parent: i32,
    alive: bool,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name is in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, alive: !matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_whatever_the_name_is() {
        assert_eq!(parse(9, "9 (a) R 1 (b) S 4 9 9 0"), Some(Process { pid: 9, parent: 4, alive: true }));
        assert_eq!(parse(9, "9 (a) Z 4 9 9 0"), Some(Process { pid: 9, parent: 4, alive: false }));
        assert_eq!(parse(9, "9 (a"), None);
    }

    #[test]
    fn nobody_but_a_workers_user_is_killed() {
        assert!(kill_all_of(0).is_err() && kill_all_of(1_000).is_err());
    }
}
