//! The keeper of one worker: starts it, says how it ended, and leaves nothing of it behind.
//!
//! It is a process between the daemon and the worker because the daemon's other children are none of the worker's, and
//! because it outlives a daemon that is killed: the kernel closes the daemon's sockets, and the keeper cleans up. It does not
//! ask the kernel to be killed with its parent, for that is sent when the thread ends that started it.

use super::users::{self, User};
use super::{descriptors, sweep};
use crate::limits::{WORKER_END_MAX, WORKER_LAST_WORDS_BYTES};
use gmod_compat::protocol::gmod;
use gmod_compat::protocol::reply::Ended;
use gmod_compat::protocol::wire::{self, tag};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal, wait};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

/// What the daemon tells the keeper on its command line.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    /// None where several modules share the worker.
    pub(crate) plugin: Option<PathBuf>,
    pub(crate) memory_bytes: u64,
    /// The program that runs it; none: this very one.
    pub(crate) gmod: Option<PathBuf>,
    /// The folder of the module's helpers.
    pub(crate) folder: Option<PathBuf>,
    /// It may read all files that there are.
    pub(crate) reads_all: bool,
}

/// Keeps a worker until it has ended, and all that it started.
///
/// # Errors
/// It was not started by a daemon.
pub(crate) fn keep(keeping: &Keeping) -> io::Result<()> {
    let daemon = [io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?];
    for end in &daemon {
        if !File::from(end.try_clone()?).metadata()?.file_type().is_socket() {
            return Err(io::Error::other("only a daemon starts this: graftd worker --help tells what it is"));
        }
    }
    let [data, control] = daemon;
    let mut control = UnixStream::from(control);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    let (pid, told) = match start(keeping, data) {
        Ok(started) => (Some(started.pid), run(started, &control)),
        Err(error) => (None, (tag::FAULT, error.to_string().into_bytes(), None)),
    };
    let (tag, body, user) = told;
    let mut message = Vec::new();
    wire::put(&mut message, tag, &body);
    // A daemon that is gone does not miss it.
    let _ = control.write_all(&message);
    sweep::sweep(user.as_ref());
    if let (Some(pid), Some(_)) = (pid, &keeping.gmod) {
        // There is mostly none. Links in it, or in its place, are not followed.
        let _ = std::fs::remove_dir_all(format!("{}{}", gmod::OWN_TEMPORARY, pid.as_raw_nonzero()));
    }
    Ok(())
}

struct Started {
    pid: Pid,
    pidfd: OwnedFd,
    last_words: PipeReader,
    user: Option<User>,
}

fn start(keeping: &Keeping, data: OwnedFd) -> io::Result<Started> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let user = if rustix::process::geteuid().is_root() { Some(users::take()?) } else { None };
    descriptors::inherit_none()?;
    let (last_words, writer) = io::pipe()?;
    let me = rustix::process::getpid().as_raw_nonzero().to_string();
    // This very image, also when its file has been replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.args(["worker", "--inside", &me, "--memory-bytes", &keeping.memory_bytes.to_string()]);
    if let Some(user) = &user {
        command.args(["--user", &user.uid.to_string()]);
    }
    if let Some(gmod) = &keeping.gmod {
        command.arg("--gmod").arg(gmod);
    }
    if let Some(folder) = &keeping.folder {
        command.arg("--folder").arg(folder);
    }
    if keeping.reads_all {
        command.arg("--reads-all");
    }
    match &keeping.plugin {
        Some(plugin) => command.arg("--").arg(plugin),
        None => command.arg("--shared"),
    };
    // Every thread's own heap takes 64 MiB of address space at once, most of it never used: it would count as a leak.
    command.env("MALLOC_ARENA_MAX", "1");
    command.stdin(Stdio::from(data)).stdout(Stdio::null()).stderr(Stdio::from(writer));
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(Started { pid, pidfd, last_words, user })
}

/// Runs until the worker has ended, and gives what the daemon is to be told.
fn run(started: Started, control: &UnixStream) -> (u8, Vec<u8>, Option<User>) {
    let Started { pid, pidfd, last_words, user } = started;
    let mut message = Vec::new();
    wire::put(&mut message, tag::STARTED, &pid.as_raw_nonzero().get().to_le_bytes());
    let said = Arc::new(Mutex::new(LastWords::default()));
    let watched = (&mut &*control).write_all(&message).and_then(|()| {
        let (control, said) = (control.try_clone()?, Arc::clone(&said));
        let last_words = OwnedFd::from(last_words);
        rustix::io::ioctl_fionbio(&last_words, true)?;
        said.lock().reader = Some(PipeReader::from(last_words));
        thread::Builder::new().name("graftd-watch".to_owned()).spawn(move || watch(&control, &pidfd, &said))
    });
    if let Err(error) = watched {
        return (tag::FAULT, error.to_string().into_bytes(), user);
    }
    let status = loop {
        // Orphans are reaped too: the dead count in the worker's number of processes.
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => break Some(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break None,
        }
    };
    let mut said = said.lock();
    said.hear();
    let ended = Ended {
        signal: status.and_then(WaitStatus::terminating_signal),
        code: status.and_then(WaitStatus::exit_status),
        last_words: String::from_utf8_lossy(&said.tail).into_owned(),
    };
    (tag::ENDED, ended.encode(), user)
}

/// Waits for the daemon to have enough of the worker, and reads what the worker complains of meanwhile.
fn watch(control: &UnixStream, pidfd: &OwnedFd, said: &Mutex<LastWords>) {
    let Some(complaints) = said.lock().reader.as_ref().and_then(|reader| reader.try_clone().ok()) else { return };
    let mut complains = true;
    loop {
        let mut polled = vec![PollFd::new(control, PollFlags::IN)];
        if complains {
            polled.push(PollFd::new(&complaints, PollFlags::IN));
        }
        if !matches!(poll(&mut polled, None), Ok(_) | Err(rustix::io::Errno::INTR)) {
            break;
        }
        let (enough, more) =
            (!polled[0].revents().is_empty(), polled.get(1).is_some_and(|fd| !fd.revents().is_empty()));
        if more {
            complains = said.lock().hear();
        }
        if enough {
            break;
        }
    }
    // A byte is an order to kill; the end of the stream leaves the worker a while to end by itself.
    let killed = matches!((&mut &*control).read(&mut [0]), Ok(1));
    if !killed {
        thread::sleep(WORKER_END_MAX);
    }
    // By its descriptor, which is never another process's.
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
}

/// The end of what the worker wrote to its standard error.
#[derive(Default)]
struct LastWords {
    reader: Option<PipeReader>,
    tail: Vec<u8>,
}

impl LastWords {
    /// Reads what there is; `false` when there will be no more.
    fn hear(&mut self) -> bool {
        let Some(reader) = &mut self.reader else { return false };
        let mut bytes = [0; 16 * 1024];
        // Bounded: who writes without end is heard again.
        for _ in 0..8 {
            match reader.read(&mut bytes) {
                Ok(0) => return false,
                Ok(read) => self.tail.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            let surplus = self.tail.len().saturating_sub(WORKER_LAST_WORDS_BYTES);
            self.tail.drain(..surplus);
        }
        true
    }
}
