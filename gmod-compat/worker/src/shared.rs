//! A process that several modules share (`worker = "NAME"`).
//!
//! They come by the *door*, the socket that is standard input: a byte for each, with two descriptors. The first is the module's own
//! socket, by which its orders come just as they do where it has a process of its own; the second is its file. Each runs on a thread of
//! its own, and is over when its socket is closed. When the door is closed no more will come.

use crate::{inherited, orders, python};
use gmod_compat::protocol::limits::{SHARED_MODULES_MAX, SHARED_STACK_BYTES};
use gmod_compat::protocol::obey::say;
use gmod_compat::protocol::wire::tag;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Runs the modules that come by the door, until there are no more.
///
/// # Errors
/// The door is broken.
pub(crate) fn follow(folder: Option<&str>) -> Result<(), String> {
    let folder = folder.map(inherited::take).transpose().map_err(|why| format!("--folder-fd {why}"))?;
    python::share();
    serve(folder).map_err(|error| error.to_string())?;
    python::leave();
    Ok(())
}

fn serve(folder: Option<OwnedFd>) -> io::Result<()> {
    // Modules take standard input for their own.
    let door = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let folder = folder.map(Arc::new);
    let fence = getrlimit(Resource::As);
    let mut modules: Vec<JoinHandle<()>> = Vec::new();
    while let Some((daemon, image)) = next(&door)? {
        modules.retain(|module| !module.is_finished());
        make_room(&fence, modules.len() + 1);
        let folder = folder.clone();
        let also = daemon.try_clone()?;
        let started = if modules.len() < SHARED_MODULES_MAX {
            Builder::new().name("module".to_owned()).stack_size(SHARED_STACK_BYTES as usize).spawn(move || {
                if let Err(error) = orders::talk(&daemon, image, folder.as_deref()) {
                    // The daemon is gone, or speaks of what makes no sense: that is this module's end alone.
                    eprintln!("graftd-gmod: {error}");
                }
                // Whoever a module has forked has this socket too.
                let _ = daemon.shutdown(std::net::Shutdown::Both);
            })
        } else {
            Err(io::Error::other(format!("{SHARED_MODULES_MAX} modules share this worker, and more may not")))
        };
        match started {
            Ok(thread) => modules.push(thread),
            // A daemon that is gone does not miss it.
            Err(error) => drop(say(&also, tag::FAULT, error.to_string().as_bytes())),
        }
    }
    for module in modules {
        // What it panicked of was printed.
        let _ = module.join();
    }
    Ok(())
}

/// The next module's socket and its file; none if there will be no more.
fn next(door: &UnixStream) -> io::Result<Option<(UnixStream, OwnedFd)>> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0; 1];
        let received = recvmsg(door, &mut [IoSliceMut::new(&mut byte)], &mut with, RecvFlags::CMSG_CLOEXEC);
        match received {
            Ok(message) if message.bytes == 0 => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut descriptors = with.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        match (descriptors.next(), descriptors.next()) {
            (Some(daemon), Some(image)) => return Ok(Some((UnixStream::from(daemon), image))),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a module without its socket and its file")),
        }
    }
}

/// Lets so many stacks go beside the memory that the modules have together. Where that cannot be, they go at its cost.
fn make_room(fence: &Rlimit, modules: usize) {
    let Some(memory) = fence.current else { return };
    let wanted = memory.saturating_add(SHARED_STACK_BYTES.saturating_mul(modules as u64));
    let current = fence.maximum.map_or(wanted, |most| wanted.min(most));
    let _ = setrlimit(Resource::As, Rlimit { current: Some(current), maximum: fence.maximum });
}
