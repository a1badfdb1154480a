//! A module in a process of its own, for a plugin that one does not trust.
//!
//! ```text
//! daemon ── control ── keeper (graftd worker)             the daemon's rights; touches no plugin
//!   │                    └── worker (graftd worker --inside)   no rights; the plugin's code; what it starts
//!   └─────── data ───────────┘
//! ```
//!
//! The daemon writes batches (`records`) and orders, and reads frames (`wire`). The worker fences itself in ([`confine`])
//! before it opens the plugin, then runs it ([`inside`]). The [`keeper`] is there to end all that the plugin's code has
//! started ([`sweep`]): a process that has left its session and its parents still is a child of the keeper's in the end.
//! Modules in Python may [share](shared) one worker.

mod cancel;
mod confine;
mod descriptors;
mod error;
mod inside;
mod keeper;
mod link;
mod shared;
mod sweep;
mod usage;
mod users;

#[cfg(test)]
mod tests;

pub use cancel::Cancel;
pub(crate) use confine::Fence;
pub use error::WorkerError;
pub(crate) use inside::{Inside, inside};
pub(crate) use keeper::{Keeping, keep};
pub use shared::SharedWorkers;
pub(crate) use sweep::kill_all_of;
pub use usage::Usage;

use crate::limits::{WORKER_BATCHES_AHEAD, WORKER_END_MAX, WORKER_LAST_WORDS_MAX, WORKER_SWEEP_MAX};
use crate::module::Declared;
use cancel::End;
use gmod_compat::protocol::limits::MESSAGE_BYTES_MAX;
use gmod_compat::protocol::records::Encoder;
use gmod_compat::protocol::reply::Reply;
use gmod_compat::protocol::wire::{self, tag};
use gmod_compat::protocol::{gmod, params};
use link::{Broken, Link, Wanted};
use parking_lot::Mutex;
use plugin_api::delta::wire::Reader;
use plugin_api::{Access, Clock, Error, Fields, Params};
use shared::Member;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// One of gmond's modules, or a pipe in Python, which another program runs.
#[derive(Clone, Copy, Debug)]
pub struct Gmod<'a> {
    /// That program: `graftd-gmod`.
    pub exe: &'a Path,
    /// What is to be run.
    pub start: &'a gmod::Start,
    /// What a worker asked to be kept when the same file was started before.
    pub kept: &'a [u8],
    /// The folder of the module's helpers, handed over open: the worker's user may not be able to go there by its path.
    pub folder: Option<&'a Path>,
    /// The files that it needs lie where no other user can go: it may read all there are.
    pub reads_all: bool,
}

/// What a worker is to run, and within which bounds.
#[derive(Clone, Copy, Debug)]
pub struct WorkerConf<'a> {
    /// The daemon's own binary; by default the very image that runs, also when its file has been replaced since.
    pub exe: &'a Path,
    /// The plugin: a copy that nobody else writes, already probed. It is needed only until the worker has started.
    pub plugin: &'a Path,
    /// It is no plugin of graftd's own kind.
    pub gmod: Option<Gmod<'a>>,
    /// Ends the start, should nobody want it any more.
    pub cancel: Option<&'a Cancel>,
    /// Where the end of what it printed goes once it is dropped, which then waits for its end.
    pub printed: Option<&'a Arc<Mutex<String>>>,
    /// Its module's parameters.
    pub params: &'a Params,
    /// How long the library's loading and the module's `new` may take together.
    pub start_limit: Duration,
    /// How long a batch, a flush or a collect may take.
    pub time_limit: Duration,
    /// Bytes of address space beyond what the bare process needs.
    pub memory_bytes: u64,
}

impl WorkerConf<'_> {
    /// The running binary, for [`WorkerConf::exe`].
    pub const THIS_EXE: &'static str = "/proc/self/exe";
}

/// Where a worker is, for messages.
mod doing {
    pub(super) const LOAD: &str = "its loading";
    pub(super) const NEW: &str = "its new()";
    pub(super) const PROCESS: &str = "its process()";
    pub(super) const FLUSH: &str = "its flush()";
    pub(super) const COLLECT: &str = "its collect()";
    /// What the plugin started may run on.
    pub(super) const NOTHING: &str = "none of its calls";
}

/// One plugin's one module, a pipe or a collector, in a process of its own.
///
/// No call waits longer than its limit. Dropping it ends the process and all that it started, behind the caller's back.
#[derive(Debug)]
pub struct Worker {
    link: Link,
    /// None once it is handed to whoever waits for its end, and where others share the process.
    keeper: Option<Child>,
    /// Its place in the process that it shares with others. Given back after the link is closed.
    member: Option<Member>,
    declared: Declared,
    is_pipe: bool,
    wants: Fields,
    encoder: Encoder,
    /// The group that it is to fold next, and whether it has been told.
    group: (u32, bool),
    time_limit: Duration,
    memory_bytes: u64,
    /// Batches that are not folded yet.
    ahead: usize,
    /// When the worker could begin with the oldest of them.
    since: Instant,
    /// What it asked to be kept for its next start.
    kept: Option<Vec<u8>>,
    /// The CPU time of its process that has been told.
    told: Duration,
    /// Why it is of no use any more.
    broken: Option<WorkerError>,
    /// Who wants to know what it printed.
    printed: Option<Arc<Mutex<String>>>,
}

impl Worker {
    /// Starts a process, has it load the plugin and make its module.
    ///
    /// # Errors
    /// No process can be started; the plugin or its `new` fails, in whichever way.
    pub fn start(conf: &WorkerConf<'_>) -> Result<Worker, WorkerError> {
        let not_started = |error: io::Error| WorkerError::NotStarted(error.to_string());
        let Spawned { data, control, keeper } = spawn(conf, Some(conf.plugin)).map_err(not_started)?;
        Worker::of(Link::new(data, control).map_err(not_started)?, Some(keeper), None, conf)
    }

    fn of(
        link: Link,
        keeper: Option<Child>,
        member: Option<Member>,
        conf: &WorkerConf<'_>,
    ) -> Result<Worker, WorkerError> {
        let memory_bytes = member.as_ref().map_or(conf.memory_bytes, Member::memory_bytes);
        let mut worker = Worker {
            link,
            keeper,
            member,
            declared: Declared::default(),
            is_pipe: false,
            wants: Fields::NONE,
            encoder: Encoder::new(Fields::NONE),
            group: (0, true),
            time_limit: conf.start_limit,
            memory_bytes,
            ahead: 0,
            since: Instant::now(),
            kept: None,
            told: Duration::ZERO,
            broken: None,
            printed: conf.printed.cloned(),
        };
        worker.begin(conf)?;
        worker.time_limit = conf.time_limit;
        Ok(worker)
    }

    fn begin(&mut self, conf: &WorkerConf<'_>) -> Result<(), WorkerError> {
        let until = Instant::now() + conf.start_limit;
        let params = match &conf.gmod {
            None => params::encode(conf.params).map_err(str::to_owned),
            Some(gmod) => gmod.start.encode(conf.params, gmod.kept),
        };
        let params = params.map_err(|why| WorkerError::Module(Error::config(why)))?;
        if params.len() > MESSAGE_BYTES_MAX {
            return Err(WorkerError::Module(Error::config("more parameters than a worker can be handed")));
        }
        match self.answer(doing::LOAD, until)? {
            (Reply::Hello(hello), _) => hello.accept().map_err(WorkerError::NotStarted)?,
            (Reply::Fault(why), _) => return Err(self.over(WorkerError::NotStarted(why))),
            _ => return Err(self.lied("another message than its greeting")),
        }
        let mut start = Vec::new();
        wire::put(&mut start, tag::START, &params);
        self.send(&start, doing::LOAD, until)?;
        loop {
            match self.answer(doing::LOAD, until)? {
                (Reply::Loaded(declared), _) => {
                    self.declared = *declared;
                    break;
                }
                (Reply::Keep, body) if self.kept.is_none() => self.kept = Some(self.link.body(body).to_vec()),
                (Reply::Failed(error), _) => return Err(self.over(WorkerError::Module(error))),
                _ => return Err(self.lied("another message than that it has loaded the plugin")),
            }
        }
        match self.answer(doing::NEW, until)? {
            (Reply::Ready { is_pipe, wants }, _) => {
                self.is_pipe = is_pipe;
                self.wants = wants;
                self.encoder = Encoder::new(wants);
                self.link.wait_for_pid(until).map_err(|broken| self.gave_up(broken, doing::LOAD))
            }
            (Reply::Failed(error), _) => Err(self.over(WorkerError::Module(error))),
            _ => Err(self.lied("another message than that its module is made")),
        }
    }

    /// Whether its module is a pipe; a collector otherwise.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        self.is_pipe
    }

    /// Changes how long a call may take: what a module is, it says only at its start.
    pub fn set_time_limit(&mut self, limit: Duration) {
        self.time_limit = limit;
    }

    /// What it asks to be kept for the next start of the same file; once.
    pub fn take_kept(&mut self) -> Option<Vec<u8>> {
        self.kept.take()
    }

    /// What its plugin says of itself.
    #[must_use]
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// The fields that its pipe reads.
    #[must_use]
    pub fn wants(&self) -> Fields {
        self.wants
    }

    /// The process in which the plugin's code runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.link.pid()
    }

    /// The keeper's process: when it has ended, so has all that the plugin's code had started.
    #[must_use]
    pub fn keeper_pid(&self) -> Option<u32> {
        self.keeper.as_ref().map(Child::id).or(self.member.as_ref().map(Member::keeper_pid))
    }

    /// What its process has used so far; none when it is gone.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.link.pid()?)
    }

    /// The CPU time that its process has used since this was asked last: where others share the process, by whomever of them.
    pub(crate) fn spent(&mut self) -> Duration {
        let now = self.usage().map(|usage| usage.cpu);
        match &self.member {
            Some(member) => member.spent(now),
            None => since(now, &mut self.told),
        }
    }

    /// Bytes of address space beyond what the bare process needs: where others share it, what the first of them had set.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Looks whether its process has ended between two calls. Never waits.
    ///
    /// # Errors
    /// It has, and how.
    pub fn check(&mut self) -> Result<(), WorkerError> {
        self.whole()?;
        if self.link.has_ended() { Err(self.gave_up(Broken::Gone, doing::NOTHING)) } else { Ok(()) }
    }

    /// What is handed over and flushed from now on is of this group: its pipe has an instance for each, and at first that of
    /// group 0 has its turn.
    pub fn turn_to(&mut self, group: u32) {
        if self.group.0 != group {
            self.group = (group, false);
        }
    }

    /// The group, if that has yet to be told.
    fn turn(&mut self) -> Option<u32> {
        let (group, told) = &mut self.group;
        (!std::mem::replace(told, true)).then_some(*group)
    }

    /// Hands a batch over, and comes back as soon as it is written: the worker folds while the next batch is made. It may
    /// be some batches behind; a caller that is further ahead is held back, but for no batch longer than its limit.
    ///
    /// # Errors
    /// This batch, or one before it, came to grief: the worker is of no use any more.
    pub fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), WorkerError> {
        self.whole()?;
        let mut rest = batch;
        while !rest.is_empty() {
            if let Some(group) = self.turn() {
                self.encoder.turn_to(group);
            }
            rest = self.encoder.encode(clock, rest);
            while self.ahead >= WORKER_BATCHES_AHEAD {
                self.hear_of_batch()?;
            }
            if self.ahead == 0 {
                self.since = Instant::now();
            }
            self.ahead += 1;
            self.send_batch()?;
        }
        Ok(())
    }

    /// Appends what was folded of all that was handed over since the last flush, as a frame; nothing if there was nothing.
    ///
    /// # Errors
    /// A batch before it or the flush itself came to grief: the worker is of no use any more.
    pub fn flush(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), WorkerError> {
        self.whole()?;
        while self.ahead > 0 {
            self.hear_of_batch()?;
        }
        let result = self.ask(tag::FLUSH, clock, doing::FLUSH, frame);
        match result {
            // The state of a pipe that panicked is known to nobody.
            Err(error @ WorkerError::Module(_)) => Err(self.over(error)),
            other => other,
        }
    }

    /// Samples once, into a frame. A collector that fails or panics is not at its end with that.
    ///
    /// # Errors
    /// The collector failed or has nothing to sample; or the worker came to grief and is of no use any more.
    pub fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), WorkerError> {
        self.whole()?;
        self.ask(tag::COLLECT, clock, doing::COLLECT, frame)
    }

    fn ask(&mut self, order: u8, clock: Clock, doing: &'static str, frame: &mut Vec<u8>) -> Result<(), WorkerError> {
        let until = Instant::now() + self.time_limit;
        let mut message = Vec::with_capacity(2 * wire::HEAD + 4 + wire::CLOCK);
        if let Some(group) = self.turn() {
            wire::put(&mut message, tag::GROUP, &group.to_le_bytes());
        }
        wire::put(&mut message, order, &wire::clock_bytes(clock));
        self.send(&message, doing, until)?;
        match self.answer(doing, until)? {
            (Reply::Frame, body) => self.believe(body, frame),
            (Reply::Partly { error, frame_at }, body) => {
                self.believe(body.start + frame_at..body.end, frame)?;
                Err(WorkerError::Partly(error))
            }
            (Reply::Failed(error), _) => Err(WorkerError::Module(error)),
            _ => Err(self.lied(&format!("no frame as the answer to a {doing}"))),
        }
    }

    /// Appends what came as a frame, if it is one.
    fn believe(&mut self, body: Range<usize>, frame: &mut Vec<u8>) -> Result<(), WorkerError> {
        let found = self.link.body(body);
        if found.is_empty() {
            return Ok(());
        }
        match Reader::new(found).and_then(Reader::check) {
            Ok(_) => frame.extend_from_slice(found),
            Err(error) => return Err(self.lied(&format!("a {error}"))),
        }
        Ok(())
    }

    /// Waits for the oldest batches to be folded.
    fn hear_of_batch(&mut self) -> Result<(), WorkerError> {
        let (reply, _) = self.answer(doing::PROCESS, self.since + self.time_limit)?;
        self.batch_told(&reply)
    }

    fn batch_told(&mut self, reply: &Reply) -> Result<(), WorkerError> {
        match reply {
            Reply::Done(folded @ 1..) if *folded as usize <= self.ahead => {
                self.ahead -= *folded as usize;
                self.since = Instant::now();
                Ok(())
            }
            // The state of a pipe that panicked is known to nobody.
            Reply::Failed(error) => Err(self.over(WorkerError::Module(error.clone()))),
            _ => Err(self.lied("no answer to a batch")),
        }
    }

    /// Writes the encoder's message. Where there is no room the worker is at an older batch, and its answers tell how far
    /// it is.
    fn send_batch(&mut self) -> Result<(), WorkerError> {
        let mut sent = 0;
        loop {
            match self.link.write(self.encoder.parts(), &mut sent) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(broken) => return Err(self.gave_up(broken, doing::PROCESS)),
            }
            // The last of those that are ahead is the one being sent: it cannot have been answered.
            let wanted = if self.ahead > 1 { Wanted::Either } else { Wanted::Room };
            if let Err(broken) = self.link.wait(wanted, self.since + self.time_limit) {
                return Err(self.gave_up(broken, doing::PROCESS));
            }
            while self.ahead > 1 {
                match self.link.next_reply() {
                    Ok(Some((reply, _))) => self.batch_told(&reply)?,
                    Ok(None) => break,
                    Err(broken) => return Err(self.gave_up(broken, doing::PROCESS)),
                }
            }
        }
    }

    fn send(&mut self, message: &[u8], doing: &'static str, until: Instant) -> Result<(), WorkerError> {
        let mut sent = 0;
        loop {
            let step = match self.link.write([message, &[]], &mut sent) {
                Ok(true) => return Ok(()),
                Ok(false) => self.link.wait(Wanted::Room, until),
                Err(broken) => Err(broken),
            };
            step.map_err(|broken| self.gave_up(broken, doing))?;
        }
    }

    fn answer(&mut self, doing: &'static str, until: Instant) -> Result<(Reply, Range<usize>), WorkerError> {
        loop {
            let step = match self.link.next_reply() {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => self.link.wait(Wanted::Answer, until),
                Err(broken) => Err(broken),
            };
            let Err(broken) = step else { continue };
            // What it sent before it ended counts.
            if broken == Broken::Gone
                && let Ok(Some(answer)) = self.link.next_reply()
            {
                return Ok(answer);
            }
            return Err(self.gave_up(broken, doing));
        }
    }

    fn whole(&self) -> Result<(), WorkerError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// The worker is of no use any more: it is killed with all that it started. Where others share its process, that goes on
    /// unless it does not obey.
    fn over(&mut self, error: WorkerError) -> WorkerError {
        match &self.member {
            None => self.link.kill(),
            Some(member) => {
                member.give_up(&error);
                self.link.hang_up();
            }
        }
        self.broken = Some(error.clone());
        error
    }

    fn lied(&mut self, what: &str) -> WorkerError {
        self.over(WorkerError::Lied(what.to_owned()))
    }

    fn gave_up(&mut self, broken: Broken, doing: &'static str) -> WorkerError {
        if broken == Broken::Gone {
            // What it said before it ended counts.
            while let Ok(Some((reply, _))) = self.link.next_reply() {
                if let Reply::Failed(error) = reply {
                    return self.over(WorkerError::Module(error));
                }
            }
        }
        let error = match broken {
            Broken::Late => WorkerError::Late { doing, limit: self.time_limit },
            Broken::Lied(what) => WorkerError::Lied(what),
            Broken::Fault(why) => WorkerError::NotStarted(why),
            Broken::Gone => match self.link.ending(WORKER_LAST_WORDS_MAX) {
                Ok(Some(ended)) => error::died(&ended, doing, self.memory_bytes),
                Err(Broken::Fault(why)) => WorkerError::NotStarted(why),
                Ok(None) | Err(_) => WorkerError::Died(format!("closed its connection to the daemon in {doing}")),
            },
        };
        let error = match &self.member {
            Some(member) => member.told(error),
            None => error,
        };
        self.over(error)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(printed) = &self.printed {
            self.link.hang_up();
            // Its module's end may print too; what does not end in time is killed, and has printed all the same.
            let ended = match self.link.ending(WORKER_END_MAX) {
                Ok(None) => {
                    self.link.kill();
                    self.link.ending(WORKER_LAST_WORDS_MAX)
                }
                ended => ended,
            };
            if let Ok(Some(ended)) = ended {
                *printed.lock() = ended.last_words;
            }
        }
        // The sockets are closed when this is through: that is the worker's sign to end. Its keeper kills it if it does not.
        if let Some(keeper) = self.keeper.take() {
            reap(keeper);
        }
    }
}

/// Waits for a keeper's end, behind the caller's back.
fn reap(mut keeper: Child) {
    let ended = thread::Builder::new().name("graftd-reap".to_owned()).spawn(move || {
        let until = Instant::now() + WORKER_END_MAX + WORKER_SWEEP_MAX + WORKER_LAST_WORDS_MAX;
        while matches!(keeper.try_wait(), Ok(None)) {
            if Instant::now() > until {
                // Stopped or stuck. What it kept goes with it where the kernel sees to that.
                let _ = keeper.kill();
                let _ = keeper.wait();
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    // Without a thread the keeper does its work all the same; only its entry is left until the daemon ends.
    drop(ended);
}

/// What lies between what was told and now.
fn since(now: Option<Duration>, told: &mut Duration) -> Duration {
    let now = now.unwrap_or(*told);
    now.saturating_sub(std::mem::replace(told, now))
}

/// A process, and the daemon's ends of its sockets.
struct Spawned {
    data: UnixStream,
    control: UnixStream,
    keeper: Child,
}

/// Starts a process for a plugin; where several modules are to share it, for none yet.
fn spawn(conf: &WorkerConf<'_>, plugin: Option<&Path>) -> io::Result<Spawned> {
    let (data, worker_end) = UnixStream::pair()?;
    let (control, keeper_end) = UnixStream::pair()?;
    let mut command = Command::new(conf.exe);
    command.arg("worker").arg("--memory-bytes").arg(conf.memory_bytes.to_string());
    if let Some(gmod) = &conf.gmod {
        command.arg("--gmod").arg(gmod.exe);
        if let Some(folder) = gmod.folder {
            command.arg("--folder").arg(folder);
        }
        if gmod.reads_all {
            command.arg("--reads-all");
        }
    }
    match plugin {
        Some(plugin) => command.arg("--").arg(plugin),
        None => command.arg("--shared"),
    };
    command.stdin(Stdio::from(OwnedFd::from(worker_end)));
    command.stdout(Stdio::from(OwnedFd::from(keeper_end)));
    command.stderr(Stdio::null());
    // Secrets are often handed over in the environment, and a loader obeys what it finds there.
    command.env_clear().env("HOME", "/");
    for name in ["PATH", "LANG", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Interrupting the daemon at a terminal is none of its workers' business: they end when it has flushed them.
    command.process_group(0);
    if let Some(cancel) = conf.cancel {
        cancel.watch(End::Process(control.try_clone()?));
    }
    let keeper = command.spawn()?;
    Ok(Spawned { data, control, keeper })
}
