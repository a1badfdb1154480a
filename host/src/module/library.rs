//! A plugin's shared object, loaded.
//!
//! abi_stable's ready-made loading functions give the first library for ever and never unload. So the header is read
//! from a raw library, which is kept beside everything that came out of it and dropped last.

use super::crash::{Noted, Tag, note};
use super::misfit::readable;
use abi_stable::library::{RawLibrary, lib_header_from_raw_library};
use abi_stable::std_types::{RResult, RSlice, RVec};
pub use gmod_compat::protocol::declared::{Declared, DeclaredParam};
use plugin_api::abi::{CollectorBox, Make, PipeBox, PluginRef};
use plugin_api::{Access, Clock, Error, Fields, ParamDecl, Params};
use std::fmt;
use std::path::{self, Path};
use std::sync::Arc;

/// A loaded plugin. It is unloaded when the last module made of it is gone.
pub struct Library {
    plugin: PluginRef,
    /// Whose it is, for whoever finds the daemon dead in it.
    _noted: Option<Noted>,
    // Below what points into it: fields are dropped in order.
    _raw: RawLibrary,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the plugin in a file. Give every version of a plugin a file name of its own: `dlopen` of a name that is
    /// still loaded gives the old code.
    ///
    /// # Errors
    /// The file is no plugin, or one made for another interface; in one readable line.
    pub fn load(file: &Path) -> Result<Arc<Library>, String> {
        Library::load_as(file, None)
    }

    /// The same, noting which module it is for.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub(crate) fn load_as(file: &Path, tag: Option<&Tag>) -> Result<Arc<Library>, String> {
        // Without a slash it would be looked for where the system keeps its libraries.
        let file = &path::absolute(file).map_err(|error| error.to_string())?;
        let raw = RawLibrary::load_at(file).map_err(|error| readable(&error))?;
        // Safety: the header is a static of the library, which outlives every use of it: `raw` is kept as long as
        // anything that came out of the library, and is dropped after it.
        #[allow(unsafe_code)]
        let header = unsafe { lib_header_from_raw_library(&raw) }.map_err(|error| readable(&error))?;
        if header.layout().is_none() {
            return Err("its root module says nothing of its layout; export it with plugin-api's macros".to_owned());
        }
        let plugin = header.init_root_module::<PluginRef>().map_err(|error| readable(&error))?;
        Ok(Arc::new(Library { plugin, _noted: tag.and_then(|tag| note(file, tag)), _raw: raw }))
    }

    /// The plugin's own version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.plugin.version().as_str()
    }

    /// What it says of itself.
    #[must_use]
    pub fn declared(&self) -> Declared {
        let param = |param: &ParamDecl| DeclaredParam {
            name: param.name.to_string(),
            default: param.default.to_string(),
            help: param.help.to_string(),
        };
        Declared {
            is_pipe: self.is_pipe(),
            path: self.plugin.path().to_string(),
            action: self.plugin.action().to_string(),
            params: self.plugin.params().iter().map(param).collect(),
            ..Declared::default()
        }
    }

    /// Whether it provides a pipe; a collector otherwise.
    #[must_use]
    pub fn is_pipe(&self) -> bool {
        matches!(self.plugin.make(), Make::Pipe { .. })
    }

    /// The fields that its pipe reads.
    #[must_use]
    pub fn wants(&self) -> Fields {
        match self.plugin.make() {
            Make::Pipe { wants, .. } => wants,
            Make::Collector { .. } => Fields::NONE,
        }
    }

    /// Makes its pipe for one log.
    ///
    /// # Errors
    /// What the pipe's `new` says; or it provides none.
    pub fn pipe(self: &Arc<Library>, params: &Params) -> Result<Pipe, Error> {
        let Make::Pipe { new, .. } = self.plugin.make() else {
            return Err(Error::config("the plugin provides a collector, not a pipe"));
        };
        match new(params) {
            RResult::ROk(raw) => Ok(Pipe { raw, params: params.clone(), library: Arc::clone(self) }),
            RResult::RErr(error) => Err(Error::new(error.kind(), error.message())),
        }
    }

    /// Makes its collector.
    ///
    /// # Errors
    /// What the collector's `new` says; or it provides none.
    pub fn collector(self: &Arc<Library>, params: &Params) -> Result<Collector, Error> {
        let Make::Collector { new } = self.plugin.make() else {
            return Err(Error::config("the plugin provides a pipe, not a collector"));
        };
        match new(params) {
            RResult::ROk(raw) => Ok(Collector { raw, _library: Arc::clone(self) }),
            RResult::RErr(error) => Err(Error::new(error.kind(), error.message())),
        }
    }
}

/// A pipe of a plugin.
pub struct Pipe {
    raw: PipeBox,
    /// What it was made with.
    params: Params,
    // Below what points into it: fields are dropped in order.
    library: Arc<Library>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

impl Pipe {
    /// Another one, made as this was.
    ///
    /// # Errors
    /// What the pipe's `new` says this time.
    pub fn another(&self) -> Result<Pipe, Error> {
        self.library.pipe(&self.params)
    }

    /// Folds a batch of records.
    ///
    /// # Errors
    /// The pipe panicked.
    pub fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
        foreign(self.raw.process(clock, RSlice::from_slice(batch)))
    }

    /// Appends what has been folded since the last flush.
    ///
    /// # Errors
    /// The pipe panicked.
    pub fn flush(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Error> {
        let mut out = RVec::new();
        let flushed = foreign(self.raw.flush(clock, &mut out));
        frame.extend_from_slice(&out);
        flushed
    }
}

/// A collector of a plugin.
pub struct Collector {
    raw: CollectorBox,
    // Below what points into it: fields are dropped in order.
    _library: Arc<Library>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl Collector {
    /// Samples once, into a frame.
    ///
    /// # Errors
    /// The collector failed, had nothing to sample, or panicked.
    pub fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Error> {
        let mut out = RVec::new();
        let collected = foreign(self.raw.collect(clock, &mut out));
        frame.extend_from_slice(&out);
        collected
    }
}

/// An error's text lies in the plugin's memory, freed by the plugin's code: a copy of our own may outlive the plugin.
fn foreign(result: RResult<(), Error>) -> Result<(), Error> {
    match result {
        RResult::ROk(()) => Ok(()),
        RResult::RErr(error) => Err(Error::new(error.kind(), error.message())),
    }
}
