//! The fence around a worker: set up by the worker itself, as its only thread, before any of the plugin is opened by the
//! loader. What is given away here cannot be had back.

use super::users;
use crate::limits::{
    WORKER_DESCRIPTORS_MAX, WORKER_FILE_BYTES_MAX, WORKER_OOM_SCORE, WORKER_PROCESSES_MAX,
    WORKER_SHARED_DESCRIPTORS_MAX, WORKER_SHARED_PROCESSES_MAX,
};
use gmod_compat::protocol::limits::{SHARED_MODULES_MAX, SHARED_STACK_BYTES};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, openat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// What the fence is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    /// The keeper's process.
    pub(crate) keeper: i32,
    /// The user that the worker becomes; none where the daemon's user cannot become another.
    pub(crate) user: Option<u32>,
    /// It may read all files that there are, and is another user all the same.
    pub(crate) reads_all: bool,
    /// Bytes of address space beyond those of the bare process.
    pub(crate) memory_bytes: u64,
}

/// The plugin's file, in memory and sealed: its own file may lie where the worker's user cannot go.
#[derive(Debug)]
pub(super) struct Image(File);

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Image {
    /// Where the loader finds it.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }

    /// Lets the program that takes this one's place have it too, and gives its number.
    pub(super) fn hand_over(&self) -> io::Result<String> {
        hand_over(&self.0)
    }
}

/// Lets the program that takes this one's place have a descriptor too, and gives its number.
pub(super) fn hand_over(descriptor: impl AsFd) -> io::Result<String> {
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::empty())?;
    Ok(descriptor.as_fd().as_raw_fd().to_string())
}

/// Opens a folder to go on from.
pub(super) fn open_folder(folder: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Fences this process in. Where several modules share it, there is no plugin: their files come later.
///
/// # Errors
/// What could not be done. There is no running a plugin then.
pub(super) fn confine(plugin: Option<&Path>, fence: &Fence) -> Result<Option<Image>, String> {
    let step = |what: &'static str| move |error: Errno| format!("{what}: {error}");
    let named = |plugin: &Path| image_of(plugin).map_err(|error| format!("{}: {error}", plugin.display()));
    let image = plugin.map(named).transpose()?;
    setsid().map_err(step("a session of its own"))?;
    umask(Mode::RWXG | Mode::RWXO);
    std::env::set_current_dir("/").map_err(|error| format!("/: {error}"))?;
    // When memory runs out, the kernel is to take this process and not the daemon. Without it, it only may.
    let _ = std::fs::write("/proc/self/oom_score_adj", WORKER_OOM_SCORE.to_string());
    let (descriptors, processes, stacks) = match &image {
        Some(_) => (WORKER_DESCRIPTORS_MAX, WORKER_PROCESSES_MAX, 0),
        // It raises its limit itself, with each module that comes.
        None => {
            let stacks = SHARED_STACK_BYTES.saturating_mul(SHARED_MODULES_MAX as u64);
            (WORKER_SHARED_DESCRIPTORS_MAX, WORKER_SHARED_PROCESSES_MAX, stacks)
        }
    };
    let processes = match fence.user {
        Some(_) => processes,
        // The kernel counts all of a user's: room is left beside those that there are.
        None => users::processes_of(rustix::process::getuid().as_raw()) + processes,
    };
    let memory = bare_bytes() + fence.memory_bytes;
    for (resource, most, at_first) in [
        (Resource::Core, 0, 0),
        (Resource::Nofile, descriptors, descriptors),
        (Resource::Fsize, WORKER_FILE_BYTES_MAX, WORKER_FILE_BYTES_MAX),
        (Resource::Nproc, processes, processes),
        (Resource::As, memory + stacks, memory),
    ] {
        limit(resource, most, at_first).map_err(step("a limit"))?;
    }
    let reads_all = fence.reads_all && fence.user.is_some();
    if let Some(user) = fence.user {
        set_keep_capabilities(reads_all).map_err(step("a right to read"))?;
        users::become_user(user, user, user).map_err(step("a user of its own"))?;
    }
    // A daemon that is not root may have been given single rights of root's; some are passed on to whatever it starts.
    clear_ambient_capability_set().map_err(step("no rights"))?;
    let rights = if reads_all { CapabilitySet::DAC_READ_SEARCH } else { CapabilitySet::empty() };
    let rights = CapabilitySets { effective: rights, permitted: rights, inheritable: rights };
    let what = if reads_all { READS_ALL } else { "no rights" };
    set_capabilities(None, rights).map_err(step(what))?;
    if reads_all {
        // Or it would be gone with the program that takes this one's place.
        configure_capability_in_ambient_set(CapabilitySet::DAC_READ_SEARCH, true).map_err(step("a right to read"))?;
    }
    set_no_new_privs(true).map_err(step("no new rights"))?;
    // Last, for a change of user clears it. The keeper may have gone before: then nobody would send it.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("an end with its keeper"))?;
    if getppid() != Pid::from_raw(fence.keeper) {
        return Err("its keeper is gone".to_owned());
    }
    Ok(image)
}

/// Copies a file into memory.
pub(super) fn image_of(plugin: &Path) -> io::Result<Image> {
    let mut file = File::open(plugin)?;
    let memory = memfd_create("graftd-plugin", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut memory = File::from(memory);
    io::copy(&mut file, &mut memory)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    unless_busy(|| fcntl_add_seals(&memory, seals), || std::thread::sleep(SEAL_AGAIN))?;
    Ok(Image(memory))
}

/// Seals a file; where that is busy, again after some time.
fn unless_busy(mut seal: impl FnMut() -> rustix::io::Result<()>, mut wait: impl FnMut()) -> io::Result<()> {
    for _ in 0..SEAL_TRIES {
        match seal() {
            // The kernel itself may hold a page for a moment, as it moves it, and waits for that no longer than a fraction of
            // a second (memfd_wait_for_pins in its mm/memfd.c).
            Err(Errno::BUSY) => wait(),
            sealed => return Ok(sealed?),
        }
    }
    Err(Errno::BUSY.into())
}

/// How often and after what time what is busy is sealed again.
const SEAL_TRIES: u32 = 50;
const SEAL_AGAIN: Duration = Duration::from_millis(20);

/// What the right to read all files is called where it cannot be had: a container may have none of root's rights.
const READS_ALL: &str =
    "a right to read files of Python that no other user can read; use a python3 that all users can read";

/// A limit can only be lowered: one that is lower already holds.
fn limit(resource: Resource, most: u64, at_first: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(at_first.min(most)), maximum: Some(most) })
}

/// Bytes of address space that this process has now.
fn bare_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::Write;

    #[test]
    fn what_is_busy_is_sealed_when_it_no_longer_is() {
        let (tries, waits) = (Cell::new(0), Cell::new(0));
        let tried = |busy: u32, then: rustix::io::Result<()>| {
            tries.set(0);
            waits.set(0);
            let seal = || {
                tries.set(tries.get() + 1);
                if tries.get() <= busy { Err(Errno::BUSY) } else { then }
            };
            unless_busy(seal, || waits.set(waits.get() + 1)).map_err(|error| Errno::from_io_error(&error))
        };
        assert_eq!((tried(3, Ok(())), tries.get(), waits.get()), (Ok(()), 4, 3));
        assert_eq!((tried(0, Err(Errno::PERM)), tries.get()), (Err(Some(Errno::PERM)), 1));
        assert_eq!((tried(u32::MAX, Ok(())), tries.get()), (Err(Some(Errno::BUSY)), SEAL_TRIES));
    }

    #[test]
    fn an_image_cannot_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("plugin.so");
        std::fs::write(&plugin, "not really").unwrap();
        let mut image = image_of(&plugin).unwrap().0;
        assert_eq!(image.write_all(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
