//! A process that several modules share: those in Python whose `.on` says `worker = "NAME"`.
//!
//! ```text
//! daemon ── control ── keeper                 told on to each module's own control socket
//!   ├────── door ────── worker                by which a module's socket and file are handed in
//!   └────── data ──────── a module's thread   one for each: what a worker and its daemon say
//! ```
//!
//! A module that is at its end costs the others nothing. A module that does not come back, or sends what makes no sense, costs all of
//! them the process, for a thread cannot be ended: they are made anew, and each says whose fault it was.

use super::cancel::End;
use super::link::Link;
use super::{Spawned, Worker, WorkerConf, WorkerError, confine, reap, since, spawn};
use gmod_compat::protocol::limits::SHARED_MODULES_MAX;
use gmod_compat::protocol::wire::{self, HEAD, tag};
use parking_lot::Mutex;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// The processes that modules share, by their names.
#[derive(Debug, Default)]
pub struct SharedWorkers(Mutex<HashMap<String, Weak<Shared>>>);

impl SharedWorkers {
    /// Makes a module in the process of this name, which is started if there is none: with what the module's `.on` says of it.
    ///
    /// # Errors
    /// As [`Worker::start`]'s.
    pub fn start(&self, name: &str, module: &str, conf: &WorkerConf<'_>) -> Result<Worker, WorkerError> {
        let joined = self.get(name, conf).and_then(|shared| Shared::join(&shared, module, conf));
        let (link, member) = joined.map_err(|error| WorkerError::NotStarted(format!("{name:?}: {error}")))?;
        Worker::of(link, None, Some(member), conf)
    }

    fn get(&self, name: &str, conf: &WorkerConf<'_>) -> io::Result<Arc<Shared>> {
        let mut all = self.0.lock();
        all.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = all.get(name).and_then(Weak::upgrade).filter(|shared| !shared.state.lock().is_over) {
            return Ok(shared);
        }
        let shared = Arc::new(Shared::start(name, conf)?);
        all.insert(name.to_owned(), Arc::downgrade(&shared));
        Ok(shared)
    }
}

/// Such a process. It ends when nobody has it any more.
#[derive(Debug)]
struct Shared {
    name: String,
    memory_bytes: u64,
    door: UnixStream,
    control: UnixStream,
    keeper_pid: u32,
    /// None once it is handed to whoever waits for its end.
    keeper: Option<Child>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    present: Vec<Present>,
    /// Modules that there ever were.
    count: u64,
    /// All that the keeper has told: whoever comes later is to hear it too.
    told: Vec<u8>,
    /// Nobody is to come any more.
    is_over: bool,
    /// Who has not obeyed.
    blamed: Option<Blamed>,
    /// The process's CPU time that has been counted.
    counted: Duration,
}

#[derive(Debug)]
struct Present {
    id: u64,
    module: String,
    control: UnixStream,
}

#[derive(Debug)]
struct Blamed {
    id: u64,
    module: String,
    why: String,
}

impl Shared {
    fn start(name: &str, conf: &WorkerConf<'_>) -> io::Result<Shared> {
        // Others may share it before this one's start is over.
        let Spawned { data: door, control, keeper } = spawn(&WorkerConf { cancel: None, ..*conf }, None)?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Shared {
            name: name.to_owned(),
            memory_bytes: conf.memory_bytes,
            door,
            control,
            keeper_pid: keeper.id(),
            keeper: Some(keeper),
            state,
        };
        let (control, state) = (shared.control.try_clone()?, Arc::clone(&shared.state));
        thread::Builder::new().name("graftd-share".to_owned()).spawn(move || hear(control, &state))?;
        Ok(shared)
    }

    /// Hands a module in, and gives the daemon's end of it.
    fn join(shared: &Arc<Shared>, module: &str, conf: &WorkerConf<'_>) -> io::Result<(Link, Member)> {
        let (data, theirs) = UnixStream::pair()?;
        let (control, mut ours) = UnixStream::pair()?;
        let image = confine::image_of(conf.plugin)?;
        if let Some(cancel) = conf.cancel {
            cancel.watch(End::Module(data.try_clone()?));
        }
        let link = Link::new(data, control)?;
        let mut state = shared.state.lock();
        if state.is_over {
            return Err(io::Error::other("it has just ended"));
        }
        if state.present.len() >= SHARED_MODULES_MAX {
            return Err(io::Error::other(format!("{SHARED_MODULES_MAX} modules share it already, and more may not")));
        }
        ours.write_all(&state.told)?;
        hand_in(&shared.door, &theirs, &image)?;
        state.count += 1;
        let id = state.count;
        state.present.push(Present { id, module: module.to_owned(), control: ours });
        Ok((link, Member { shared: Arc::clone(shared), id, module: module.to_owned() }))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The worker's sign to end, and its keeper's to see to that; and the end of the thread that hears the keeper.
        let _ = self.door.shutdown(Shutdown::Both);
        let _ = self.control.shutdown(Shutdown::Both);
        if let Some(keeper) = self.keeper.take() {
            reap(keeper);
        }
    }
}

/// Never waits: a worker that takes nobody in does not hold the daemon up.
fn hand_in(door: &UnixStream, data: impl AsFd, image: impl AsFd) -> io::Result<()> {
    let descriptors = [data.as_fd(), image.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    with.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(door, &[IoSlice::new(&[1])], &mut with, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}

/// Tells every module what the keeper says, until that has no more to say.
fn hear(mut control: UnixStream, state: &Mutex<State>) {
    let mut bytes = [0; 4096];
    loop {
        let read = match control.read(&mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let mut state = state.lock();
        let news = bytes.get(..read).unwrap_or_default();
        state.told.extend_from_slice(news);
        state.is_over |= news.is_empty() || has_ended(&state.told);
        for present in &mut state.present {
            // Whoever is gone does not miss it; and it is a few bytes, for which there is room.
            let _ = if news.is_empty() {
                present.control.shutdown(Shutdown::Both)
            } else {
                present.control.write_all(news)
            };
        }
        if news.is_empty() {
            return;
        }
    }
}

/// Whether the keeper has told more than that it started.
fn has_ended(mut told: &[u8]) -> bool {
    while let Ok(Some((kind, length))) = wire::peek(told) {
        if kind != tag::STARTED {
            return true;
        }
        told = told.get(HEAD + length..).unwrap_or_default();
    }
    false
}

/// A module's place in a process that it shares with others.
#[derive(Debug)]
pub(super) struct Member {
    shared: Arc<Shared>,
    id: u64,
    module: String,
}

impl Member {
    pub(super) fn memory_bytes(&self) -> u64 {
        self.shared.memory_bytes
    }

    pub(super) fn keeper_pid(&self) -> u32 {
        self.shared.keeper_pid
    }

    /// CPU time of the process that has not been counted yet: it is counted once, at whoever asks.
    pub(super) fn spent(&self, now: Option<Duration>) -> Duration {
        since(now, &mut self.shared.state.lock().counted)
    }

    /// This module is of no use any more. If it does not obey, the process is killed.
    pub(super) fn give_up(&self, error: &WorkerError) {
        let why = match error {
            WorkerError::Late { .. } => error.to_string(),
            WorkerError::Lied(what) => format!("sent {what}"),
            WorkerError::Module(_) | WorkerError::Partly(_) | WorkerError::Died(_) | WorkerError::NotStarted(_) => {
                return;
            }
        };
        let mut state = self.shared.state.lock();
        state.is_over = true;
        state.blamed.get_or_insert_with(|| Blamed { id: self.id, module: self.module.clone(), why });
        // A keeper that is gone needs no telling.
        let _ = (&self.shared.control).write(&[1]);
    }

    /// What is to be said of an end: whose fault it was, if that is known, and who else was there if not.
    pub(super) fn told(&self, error: WorkerError) -> WorkerError {
        let WorkerError::Died(how) = error else { return error };
        let state = self.shared.state.lock();
        let name = &self.shared.name;
        if let Some(Blamed { module, why, .. }) = state.blamed.as_ref().filter(|blamed| blamed.id != self.id) {
            return WorkerError::Died(format!("shares the worker {name:?} with {module:?}, which {why}"));
        }
        let mut others: Vec<&str> =
            state.present.iter().filter(|other| other.id != self.id).map(|other| &*other.module).collect();
        others.sort_unstable();
        others.dedup();
        WorkerError::Died(match others.as_slice() {
            [] => how,
            others => format!("{how}; it shares the worker {name:?} with {}", others.join(", ")),
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.state.lock().present.retain(|present| present.id != self.id);
    }
}
