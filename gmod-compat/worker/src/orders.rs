//! The conversation with the daemon: what `host/src/worker/inside.rs` is for plugins in Rust.

use crate::inherited;
use crate::sampler::Sampler;
use crate::{c_source, python};
use gmod_compat::protocol::declared::Declared;
use gmod_compat::protocol::gmod::{Language, Start};
use gmod_compat::protocol::limits::{DECLARED_BYTES_MAX, KEPT_BYTES_MAX};
use gmod_compat::protocol::obey::{Body, Told, nonsense, obey, say};
use gmod_compat::protocol::reply::{self, Hello};
use gmod_compat::protocol::wire::{Messages, tag};
use plugin_api::limits::cut;
use plugin_api::{Access, Clock, Error, Fields};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What a module is made of.
pub(crate) struct Order<'a> {
    pub(crate) start: Start,
    pub(crate) params: plugin_api::Params,
    /// A path by which this process can open the module's file.
    pub(crate) image_path: String,
    /// A path by which it can look into the folder of the module's helpers, where there is one.
    pub(crate) folder: Option<String>,
    /// What was kept at an earlier start.
    pub(crate) kept: &'a [u8],
}

/// A module that is made.
pub(crate) enum Module {
    Collector(Box<Sampler>),
    Pipe(Box<dyn Pipe>),
}

impl Body for Module {
    fn wants(&self) -> Option<Fields> {
        match self {
            Module::Pipe(pipe) => Some(pipe.wants()),
            Module::Collector(_) => None,
        }
    }

    fn fold(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
        match self {
            Module::Pipe(pipe) => pipe.process(clock, batch),
            Module::Collector(_) => Err(Error::failed("a collector folds nothing")),
        }
    }

    fn turn_to(&mut self, group: u32) {
        if let Module::Pipe(pipe) = self {
            pipe.turn_to(group);
        }
    }

    fn tell(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Told {
        match self {
            Module::Pipe(pipe) => {
                pipe.flush(frame);
                Told::Whole
            }
            Module::Collector(sampler) => sampler.collect(clock, frame),
        }
    }
}

/// What is said of a module beside itself.
pub(crate) struct Made {
    pub(crate) module: Module,
    pub(crate) declared: Declared,
    /// To be given back at the next start; none if that is what it has already.
    pub(crate) keep: Option<Vec<u8>>,
    /// What the interpreter knows of it, where it is one in Python.
    pub(crate) life: Option<python::Life>,
}

/// A pipe, whatever it is written in.
pub(crate) trait Pipe {
    /// The fields that it reads.
    fn wants(&self) -> Fields;
    /// Folds a batch.
    fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error>;
    /// What comes is of this group, whose words are kept apart from others'.
    fn turn_to(&mut self, group: u32);
    /// What it has to say since the last flush.
    fn flush(&mut self, frame: &mut Vec<u8>);
    /// The end.
    fn cleanup(&mut self);
}

/// Follows the daemon's orders until there are no more.
///
/// # Errors
/// The daemon is gone, or says what makes no sense.
pub(crate) fn follow(image: &str, folder: Option<&str>) -> Result<(), String> {
    let image = inherited::take(image).map_err(|why| format!("--image-fd {why}"))?;
    let folder = folder.map(inherited::take).transpose().map_err(|why| format!("--folder-fd {why}"))?;
    let alone = || -> io::Result<()> {
        // The daemon's socket comes as standard input, which a module takes for its own.
        let daemon = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        talk(&daemon, image, folder.as_ref())
    };
    alone().map_err(|error| error.to_string())?;
    python::leave();
    Ok(())
}

/// Makes the module that the daemon names, and follows its orders until there are no more.
///
/// # Errors
/// The daemon is gone, or says what makes no sense.
pub(crate) fn talk(daemon: &UnixStream, image: OwnedFd, folder: Option<&OwnedFd>) -> io::Result<()> {
    say(daemon, tag::HELLO, &Hello::ours().encode())?;
    let mut orders = Messages::of(daemon);
    let made = match orders.next()? {
        Some((tag::START, body)) => {
            let (start, params, kept) = Start::decode(body).map_err(nonsense)?;
            let named = start.folder.clone().filter(|folder| std::fs::read_dir(folder).is_ok());
            let folder = named.or_else(|| folder.map(inherited::path));
            make(&Order { start, params, image_path: inherited::path(&image), folder, kept })
        }
        Some(_) => return Err(nonsense("another order than to start")),
        None => return Ok(()),
    };
    // It is opened, and others may need its number.
    drop(image);
    let Made { mut module, mut declared, keep, life } = match made {
        Ok(made) => made,
        Err(error) => return say(daemon, tag::FAILED, &reply::failed(&error)),
    };
    let done = run(daemon, orders, &mut module, &mut declared, keep);
    match &mut module {
        Module::Pipe(pipe) => pipe.cleanup(),
        Module::Collector(sampler) => sampler.cleanup(),
    }
    // Last of all what the interpreter knows of it: it held the module.
    drop(module);
    drop(life);
    done
}

/// Says what the module is, and has it work.
fn run(
    daemon: &UnixStream,
    orders: Messages<&UnixStream>,
    module: &mut Module,
    declared: &mut Declared,
    keep: Option<Vec<u8>>,
) -> io::Result<()> {
    if let Some(keep) = keep.filter(|keep| keep.len() <= KEPT_BYTES_MAX) {
        say(daemon, tag::KEEP, &keep)?;
    }
    say(daemon, tag::LOADED, &fitting(declared)?)?;
    say(daemon, tag::READY, &reply::ready(declared.is_pipe, module.wants().unwrap_or(Fields::NONE)))?;
    obey(daemon, orders, module)
}

fn make(order: &Order<'_>) -> Result<Made, Error> {
    match order.start.language {
        Language::Python => python::make(order),
        Language::C if python::is_shared() => {
            Err(Error::config("a module in C shares no worker: what one does to memory is done to all that are there"))
        }
        Language::C => c_source::make(order),
    }
}

/// What fits of it: remarks are left out from the end.
fn fitting(declared: &mut Declared) -> io::Result<Vec<u8>> {
    for remark in &mut declared.remarks {
        *remark = reply::one_line(cut(remark, 1024));
    }
    loop {
        let json = serde_json::to_vec(declared)?;
        if json.len() <= DECLARED_BYTES_MAX || declared.remarks.is_empty() {
            return Ok(json);
        }
        declared.remarks.truncate(declared.remarks.len() / 2);
    }
}
