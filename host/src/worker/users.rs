//! Users for the workers of a daemon that runs as root.
//!
//! Root is bound by no RLIMIT_NPROC, may kill anybody and read everything. So each worker becomes a user that nobody else
//! is, and by whom all that it starts can be found and ended. There are two numbers a worker: the second is the real user
//! of the process that ends the first's (see [`become_user`] in [`sweep`](super::sweep)), so that they cannot end it.

use crate::limits::WORKER_USERS;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// Where it is noted which users are taken, for all daemons of this machine: a lock on a file each, which the kernel takes
/// back with the process that holds it.
const TAKEN: &str = "/run/graftd-workers";

/// A user that nobody else is, as long as this is held.
#[derive(Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    _lock: File,
}

/// Takes a user that is free.
///
/// # Errors
/// The locks cannot be had, or all are taken.
pub(super) fn take() -> io::Result<User> {
    let folder = Path::new(TAKEN);
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io::Error::new(error.kind(), format!("{TAKEN}: {error}")));
        }
        _ => {}
    }
    let meta = fs::symlink_metadata(folder)?;
    if !meta.is_dir() || meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{TAKEN} is not a folder of root's alone: rm -r {TAKEN}")));
    }
    let busy = users_of_processes();
    for uid in WORKER_USERS.step_by(2) {
        // Somebody's who takes no locks, or what a keeper that was killed has left behind.
        if busy.contains(&uid) || busy.contains(&(uid + 1)) {
            continue;
        }
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join(uid.to_string()))?;
        match lock.try_lock() {
            Ok(()) => return Ok(User { uid, _lock: lock }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "as many workers run on this machine as there are users for them ({}); let some modules share one: worker = \"NAME\"",
        WORKER_USERS.count() / 2
    )))
}

/// Makes this process another user's, with no group but one of that number. Only root can.
///
/// The saved user and the real one may differ from the effective one: by the effective one (and the real one) a process may
/// send signals, by the real and the saved one it may be sent some (kill(2)).
pub(super) fn become_user(real: u32, effective: u32, saved: u32) -> rustix::io::Result<()> {
    let group = Gid::from_raw(effective);
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(Uid::from_raw(real), Uid::from_raw(effective), Uid::from_raw(saved))
}

/// Processes and threads whose real user is this one, as RLIMIT_NPROC counts them.
pub(super) fn processes_of(uid: u32) -> u64 {
    let of = |status: &String| users_in(status).first() == Some(&uid);
    let threads = |status: String| line(&status, "Threads:").first().copied().unwrap_or(1);
    statuses().filter(of).map(threads).map(u64::from).sum()
}

fn users_of_processes() -> Vec<u32> {
    statuses().flat_map(|status| users_in(&status)).collect()
}

fn statuses() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
    processes.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok())
}

/// The real, effective, saved and file system user in a `/proc/PID/status` (proc(5)).
fn users_in(status: &str) -> Vec<u32> {
    line(status, "Uid:")
}

fn line(status: &str, name: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_threads_are_read_from_a_status() {
        let status = "Name:\tUid: 7\nUid:\t1\t2\t3\t4\nGid:\t9\t9\t9\t9\nThreads:\t5\n";
        assert_eq!((users_in(status), line(status, "Threads:")), (vec![1, 2, 3, 4], vec![5]));
        let me = rustix::process::getuid().as_raw();
        assert!(processes_of(me) >= 1 && users_of_processes().contains(&me));
    }
}
