//! The conversation with the daemon: what `host/src/worker/inside.rs` is for plugins in Rust.

use crate::inherited;
use crate::sampler::{Sample, Sampler};
use crate::{c_source, python};
use gmod_compat::protocol::declared::Declared;
use gmod_compat::protocol::gmod::{Language, Start};
use gmod_compat::protocol::limits::{DECLARED_BYTES_MAX, FRAME_BYTES_MAX, KEPT_BYTES_MAX};
use gmod_compat::protocol::records::{self, Shape, recycle};
use gmod_compat::protocol::wire::{self, Hello, Messages, tag};
use plugin_api::limits::cut;
use plugin_api::{Access, Clock, Error, Fields};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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
        Err(error) => return say(daemon, tag::FAILED, &wire::failed(&error)),
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
    let wants = match module {
        Module::Pipe(pipe) => pipe.wants(),
        Module::Collector(_) => Fields::NONE,
    };
    say(daemon, tag::READY, &wire::ready(declared.is_pipe, wants))?;
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
        *remark = wire::one_line(cut(remark, 1024));
    }
    loop {
        let json = serde_json::to_vec(declared)?;
        if json.len() <= DECLARED_BYTES_MAX || declared.remarks.is_empty() {
            return Ok(json);
        }
        declared.remarks.truncate(declared.remarks.len() / 2);
    }
}

/// Batches that are answered together at most. The daemon is woken by an answer, which costs more than a batch.
const ANSWERED_TOGETHER: u32 = 4;

/// How long an answer may wait for the next batch to be folded: the daemon measures its limit from the last answer on.
const ANSWER_WAITS: Duration = Duration::from_millis(1);

fn obey(daemon: &UnixStream, mut orders: Messages<&UnixStream>, module: &mut Module) -> io::Result<()> {
    let shape = match module {
        Module::Pipe(pipe) => Shape::of(pipe.wants()),
        Module::Collector(_) => Shape::of(Fields::NONE),
    };
    let mut kept_records: Vec<Access<'static>> = Vec::new();
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
        let sample = match (order, &mut *module) {
            (tag::BATCH, Module::Pipe(pipe)) => {
                if folded == 0 {
                    answered = Instant::now();
                }
                let mut batch = recycle(std::mem::take(&mut kept_records));
                let clock = records::decode(&shape, body, &mut batch).map_err(nonsense)?;
                let done = pipe.process(clock, &batch);
                kept_records = recycle(batch);
                match done {
                    Ok(()) => {
                        folded += 1;
                        continue;
                    }
                    Err(error) => Sample::Failed(error),
                }
            }
            (tag::FLUSH, Module::Pipe(pipe)) => {
                clock(body)?;
                pipe.flush(&mut frame);
                Sample::Whole
            }
            (tag::COLLECT, Module::Collector(sampler)) => sampler.collect(clock(body)?, &mut frame),
            _ => return Err(nonsense("an order that this module cannot follow")),
        };
        answer_batches(daemon, &mut folded)?;
        if frame.len() > FRAME_BYTES_MAX {
            let most = FRAME_BYTES_MAX / (1024 * 1024);
            let error = Error::failed(format_args!("more than {most} MiB to say at once"));
            say(daemon, tag::FAILED, &wire::failed(&error))?;
            continue;
        }
        match sample {
            Sample::Whole => say(daemon, tag::FRAME, &frame)?,
            Sample::Partly(error) => say(daemon, tag::PARTLY, &wire::partly(&error, &frame))?,
            Sample::Failed(error) => say(daemon, tag::FAILED, &wire::failed(&error))?,
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

/// Says something to the daemon.
///
/// # Errors
/// It is gone.
pub(crate) fn say(mut daemon: &UnixStream, tag: u8, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(wire::HEAD + body.len());
    wire::put(&mut message, tag, body);
    daemon.write_all(&message)
}

fn nonsense(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
