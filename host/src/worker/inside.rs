//! The worker's own side: it fences itself in, loads the plugin and does as it is told until its orders end.

use super::confine::{self, Fence};
use crate::module::{Collector, Instances, Library};
use gmod_compat::protocol::obey::{Body, Told, nonsense, obey, say};
use gmod_compat::protocol::params;
use gmod_compat::protocol::reply::{self, Hello};
use gmod_compat::protocol::wire::{Messages, tag};
use plugin_api::{Access, Clock, Error, Fields};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        Err(why) => return say(daemon, tag::FAILED, &reply::failed(&Error::config(why))),
    };
    drop(image);
    say(daemon, tag::LOADED, &serde_json::to_vec(&library.declared())?)?;
    let module = if library.is_pipe() {
        let pipe = library.pipe(&params);
        pipe.map(|pipe| Module::Pipe { pipes: Instances::of(pipe), group: 0, wants: library.wants() })
    } else {
        library.collector(&params).map(Module::Collector)
    };
    match module {
        Ok(mut module) => {
            say(daemon, tag::READY, &reply::ready(library.is_pipe(), library.wants()))?;
            obey(daemon, orders, &mut module)
        }
        Err(error) => say(daemon, tag::FAILED, &reply::failed(&error)),
    }
}

enum Module {
    Pipe { pipes: Instances, group: u32, wants: Fields },
    Collector(Collector),
}

impl Body for Module {
    fn wants(&self) -> Option<Fields> {
        match self {
            Module::Pipe { wants, .. } => Some(*wants),
            Module::Collector(_) => None,
        }
    }

    fn fold(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
        match self {
            Module::Pipe { pipes, group, .. } => pipes.process(*group, clock, batch),
            Module::Collector(_) => Err(Error::failed("a collector folds nothing")),
        }
    }

    fn turn_to(&mut self, next: u32) {
        if let Module::Pipe { group, .. } = self {
            *group = next;
        }
    }

    fn tell(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Told {
        match self {
            Module::Pipe { pipes, group, .. } => pipes.flush(*group, clock, frame).into(),
            Module::Collector(collector) => collector.collect(clock, frame).into(),
        }
    }
}
