//! The interpreter, and what runs in it: modules of gmond and pipes.
//!
//! One interpreter, and one module where no worker is shared. Between two orders no thread of ours holds the interpreter's lock, so that threads which the
//! module started go on.

mod document;
mod embedded;
mod fault;
mod ganglia;
mod gmond;
mod graft;
mod interpreter;
mod kept;
mod life;
mod load;
mod params;
mod pipe;
mod value;

pub(crate) use interpreter::{About, about, is_shared, share};
pub(crate) use life::Life;

use crate::orders::{Made, Module, Order};
use crate::sampler::Sampler;
use gmod_compat::protocol::declared::Declared;
use plugin_api::Error;
use pyo3::prelude::*;

/// Starts the interpreter, runs the module's source in it and makes what it is.
///
/// # Errors
/// The module is none, or its own code failed.
pub(crate) fn make(order: &Order<'_>) -> Result<Made, Error> {
    interpreter::ready(&order.start)?;
    let mut life = Life::begin(&order.start.plugin);
    ganglia::set_debug_level(order.start.debug_level);
    Python::attach(|py| {
        if let Some(folder) = &order.folder {
            interpreter::shared(py, "fresh", (folder,))
                .map_err(|error| Error::failed(format_args!("Python: {error}")))?;
        }
        let loaded = load::load(py, order, &mut life)?;
        let has = |name: &str| loaded.module.getattr(name).is_ok_and(|found| found.is_callable());
        let (module, declared) = if has("metric_init") {
            let gmond::Metrics { descriptors, source, remarks } = gmond::make(&loaded, &order.params)?;
            let (sampler, declared) = Sampler::new(&order.start, descriptors, source, remarks);
            (Module::Collector(Box::new(sampler)), declared)
        } else if has("process") {
            let path = loaded.module.getattr("path").ok().and_then(|path| path.extract::<String>().ok());
            let declared = Declared { is_pipe: true, path: path.unwrap_or_default(), ..Declared::default() };
            (Module::Pipe(pipe::make(&loaded, &order.params, life.said())?), declared)
        } else {
            let why = "neither metric_init (a module of gmond) nor process (a pipe) is defined in it";
            return Err(Error::config(format_args!("{}: {why}", order.start.file)));
        };
        Ok(Made { module, declared, keep: loaded.keep(), life: Some(life) })
    })
}

/// Ends the process as Python would, but without waiting for the module's threads.
pub(crate) fn leave() {
    interpreter::leave();
}
