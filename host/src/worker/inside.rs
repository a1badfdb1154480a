//! The worker's own side: it fences itself in, loads the plugin and does as it is told until its orders end.

use super::confine::{self, Fence};
use crate::module::{Collector, Library, Pipe};
use gmod_compat::protocol::limits::FRAME_BYTES_MAX;
use gmod_compat::protocol::params;
use gmod_compat::protocol::records::{self, Shape, recycle};
use gmod_compat::protocol::wire::{self, Hello, Messages, tag};
use plugin_api::{Access, Clock, Error};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the keeper tells the worker's process on its command line.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// None where several modules share the process: they come by its standard input.
    pub(crate) plugin: Option<PathBuf>,
    /// The program that runs it; none: this very one.
    pub(crate) gmod: Option<PathBuf>,
    /// The folder of the module's helpers.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) fence: Fence,
}

/// Runs the plugin's module until the daemon has no more orders.
///
/// # Errors
/// The daemon is gone, or says what makes no sense.
pub(crate) fn inside(inside: &Inside) -> io::Result<()> {
    // The daemon's socket comes as standard input, which a plugin takes for its own.
    let daemon = &UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if inside.gmod.is_none() {
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    }
    // Before it cannot be gone to any more. Without it helpers are looked for by its path.
    let folder = inside.folder.as_deref().and_then(|folder| confine::open_folder(folder).ok());
    // Where the process is to be shared, nobody reads here what it says; but its last words are told.
    let fault = |why: String| match &inside.plugin {
        Some(_) => say(daemon, tag::FAULT, why.as_bytes()),
        None => Err(io::Error::other(why)),
    };
    let image = match confine::confine(inside.plugin.as_deref(), &inside.fence) {
        Ok(image) => image,
        Err(why) => return fault(why),
    };
    if let Some(program) = &inside.gmod {
        // The socket goes on as its standard input.
        let mut command = Command::new(program);
        match &image {
            Some(image) => command.args(["--image-fd", &image.hand_over()?]),
            None => command.arg("--shared"),
        };
        if let Some(folder) = &folder {
            command.args(["--folder-fd", &confine::hand_over(folder)?]);
        }
        let error = command.exec();
        return fault(format!("{}: {error}", program.display()));
    }
    let Some(image) = image else { return fault("a plugin of graftd's own kind shares no process".to_owned()) };
    say(daemon, tag::HELLO, &Hello::ours().encode())?;
    let mut orders = Messages::of(daemon);
    let params = match orders.next()? {
        Some((tag::START, body)) => params::decode(body).map_err(nonsense)?,
        Some(_) => return Err(nonsense("another order than to start")),
        None => return Ok(()),
    };
    let library = match Library::load(Path::new(&image.path())) {
        Ok(library) => library,
        Err(why) => return say(daemon, tag::FAILED, &wire::failed(&Error::config(why))),
    };
    drop(image);
    say(daemon, tag::LOADED, &serde_json::to_vec(&library.declared())?)?;
    let module = if library.is_pipe() {
        library.pipe(&params).map(|pipe| Module::pipe(pipe, &library))
    } else {
        library.collector(&params).map(Module::Collector)
    };
    match module {
        Ok(mut module) => {
            say(daemon, tag::READY, &wire::ready(library.is_pipe(), library.wants()))?;
            obey(daemon, orders, &mut module)
        }
        Err(error) => say(daemon, tag::FAILED, &wire::failed(&error)),
    }
}

enum Module {
    Pipe {
        pipe: Pipe,
        shape: Shape,
        /// Records keep their memory from batch to batch.
        records: Vec<Access<'static>>,
    },
    Collector(Collector),
}

impl Module {
    fn pipe(pipe: Pipe, library: &Arc<Library>) -> Module {
        Module::Pipe { pipe, shape: Shape::of(library.wants()), records: Vec::new() }
    }
}

/// Batches that are answered together at most. The daemon is woken by an answer, which costs more than a batch.
const ANSWERED_TOGETHER: u32 = 4;

/// How long an answer may wait for the next batch to be folded: the daemon measures its limit from the last answer on.
const ANSWER_WAITS: Duration = Duration::from_millis(1);

fn obey(daemon: &UnixStream, mut orders: Messages<&UnixStream>, module: &mut Module) -> io::Result<()> {
    let mut frame = Vec::new();
    let (mut folded, mut answered) = (0u32, Instant::now());
    loop {
        // Never while it may have to wait for the next order.
        let together = orders.has_one() && folded < ANSWERED_TOGETHER && answered.elapsed() < ANSWER_WAITS;
        if folded > 0 && !together {
            answer_batches(daemon, &mut folded)?;
            answered = Instant::now();
        }
        let Some((order, body)) = orders.next()? else { return Ok(()) };
        frame.clear();
        let done = match (order, &mut *module) {
            (tag::BATCH, Module::Pipe { pipe, shape, records }) => {
                if folded == 0 {
                    answered = Instant::now();
                }
                let mut batch = recycle(std::mem::take(records));
                let clock = records::decode(shape, body, &mut batch).map_err(nonsense)?;
                let done = pipe.process(clock, &batch);
                *records = recycle(batch);
                if done.is_ok() {
                    folded += 1;
                    continue;
                }
                done
            }
            (tag::FLUSH, Module::Pipe { pipe, .. }) => pipe.flush(clock(body)?, &mut frame),
            (tag::COLLECT, Module::Collector(collector)) => collector.collect(clock(body)?, &mut frame),
            _ => return Err(nonsense("an order that this module cannot follow")),
        };
        answer_batches(daemon, &mut folded)?;
        match done {
            Ok(()) if frame.len() > FRAME_BYTES_MAX => {
                let most = FRAME_BYTES_MAX / (1024 * 1024);
                let error = Error::failed(format_args!("more than {most} MiB to say at once"));
                say(daemon, tag::FAILED, &wire::failed(&error))?;
            }
            Ok(()) => say(daemon, tag::FRAME, &frame)?,
            Err(error) => say(daemon, tag::FAILED, &wire::failed(&error))?,
        }
    }
}

fn answer_batches(daemon: &UnixStream, folded: &mut u32) -> io::Result<()> {
    match std::mem::take(folded) {
        0 => Ok(()),
        folded => say(daemon, tag::DONE, &folded.to_le_bytes()),
    }
}

fn clock(body: &[u8]) -> io::Result<Clock> {
    wire::take_clock(body).map(|(clock, _)| clock).ok_or_else(|| nonsense("an order without a time"))
}

fn say(mut daemon: &UnixStream, tag: u8, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(wire::HEAD + body.len());
    wire::put(&mut message, tag, body);
    daemon.write_all(&message)
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
