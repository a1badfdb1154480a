//! The worker's own side: it fences itself in, loads the plugin and does as it is told until its orders end.

use super::confine::{self, Fence};
use super::params;
use super::records::{self, Shape, recycle};
use super::wire::{self, Hello, tag};
use crate::limits::WORKER_FRAME_BYTES_MAX;
use crate::module::{Collector, Library, Pipe};
use plugin_api::{Access, Clock, Error};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the keeper tells the worker's process on its command line.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) plugin: PathBuf,
    pub(crate) fence: Fence,
}

/// Runs the plugin's module until the daemon has no more orders.
///
/// # Errors
/// The daemon is gone, or says what makes no sense.
pub(crate) fn inside(inside: &Inside) -> io::Result<()> {
    // The daemon's socket comes as standard input, which a plugin takes for its own.
    let mut daemon = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let image = match confine::confine(&inside.plugin, &inside.fence) {
        Ok(image) => image,
        Err(why) => return say(&mut daemon, tag::FAULT, why.as_bytes()),
    };
    say(&mut daemon, tag::HELLO, &Hello::ours().encode())?;
    let mut body = Vec::new();
    let params = match wire::read(&mut daemon, &mut body)? {
        Some(tag::START) => params::decode(&body).map_err(nonsense)?,
        Some(_) => return Err(nonsense("another order than to start")),
        None => return Ok(()),
    };
    let library = match Library::load(Path::new(&image.path())) {
        Ok(library) => library,
        Err(why) => return say(&mut daemon, tag::FAILED, &wire::failed(&Error::config(why))),
    };
    drop(image);
    say(&mut daemon, tag::LOADED, &[])?;
    let module = if library.is_pipe() {
        library.pipe(&params).map(|pipe| Module::pipe(pipe, &library))
    } else {
        library.collector(&params).map(Module::Collector)
    };
    match module {
        Ok(mut module) => {
            say(&mut daemon, tag::READY, &wire::ready(library.is_pipe(), library.wants()))?;
            obey(&mut daemon, &mut module, body)
        }
        Err(error) => say(&mut daemon, tag::FAILED, &wire::failed(&error)),
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

fn obey(daemon: &mut UnixStream, module: &mut Module, mut body: Vec<u8>) -> io::Result<()> {
    let mut frame = Vec::new();
    loop {
        frame.clear();
        let done = match (wire::read(daemon, &mut body)?, &mut *module) {
            (None, _) => return Ok(()),
            (Some(tag::BATCH), Module::Pipe { pipe, shape, records }) => {
                let mut batch = recycle(std::mem::take(records));
                let clock = records::decode(shape, &body, &mut batch).map_err(nonsense)?;
                let done = pipe.process(clock, &batch);
                *records = recycle(batch);
                done.map(|()| tag::DONE)
            }
            (Some(tag::FLUSH), Module::Pipe { pipe, .. }) => pipe.flush(clock(&body)?, &mut frame).map(|()| tag::FRAME),
            (Some(tag::COLLECT), Module::Collector(collector)) => {
                collector.collect(clock(&body)?, &mut frame).map(|()| tag::FRAME)
            }
            _ => return Err(nonsense("an order that this module cannot follow")),
        };
        match done {
            Ok(_) if frame.len() > WORKER_FRAME_BYTES_MAX => {
                let most = WORKER_FRAME_BYTES_MAX / (1024 * 1024);
                let error = Error::failed(format_args!("more than {most} MiB to say at once"));
                say(daemon, tag::FAILED, &wire::failed(&error))?;
            }
            Ok(tag) => say(daemon, tag, &frame)?,
            Err(error) => say(daemon, tag::FAILED, &wire::failed(&error))?,
        }
    }
}

fn clock(body: &[u8]) -> io::Result<Clock> {
    wire::take_clock(body).map(|(clock, _)| clock).ok_or_else(|| nonsense("an order without a time"))
}

fn say(daemon: &mut UnixStream, tag: u8, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(wire::HEAD + body.len());
    wire::put(&mut message, tag, body);
    daemon.write_all(&message)
}

fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
