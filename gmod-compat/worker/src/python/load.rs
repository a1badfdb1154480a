//! A module's source, run.
//!
//! A source of Python 2 is run through the layer in `python/graftd_py2`. One of Python 3 is compiled and run as it is; its folder
//! is the last on `sys.path`, as gmond has it, so that an installed package goes before a module's file of that name.

use super::embedded;
use super::fault::{self, Known};
use crate::orders::Order;
use plugin_api::{Error, ErrorKind};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};
use std::fs::File;
use std::io::Read;

/// A module that has run.
pub(super) struct Loaded<'py> {
    pub(super) module: Bound<'py, PyModule>,
    pub(super) known: std::rc::Rc<Known>,
    /// What is to be kept for the next start, if it is not what was kept before.
    pub(super) keep: Option<Vec<u8>>,
}

/// Runs the module.
///
/// # Errors
/// It is no Python, or its own code raised something.
pub(super) fn load<'py>(py: Python<'py>, order: &Order<'_>) -> Result<Loaded<'py>, Error> {
    let source = read(&order.image_path)?;
    let known = Known { file: order.start.file.clone(), text: String::from_utf8_lossy(&source).into_owned() };
    let told = |doing: &str, error: &PyErr| {
        // A source that no Python reads stays so until it is changed.
        let syntax = error.is_instance_of::<pyo3::exceptions::PySyntaxError>(py);
        let kind = if syntax { ErrorKind::Config } else { ErrorKind::Failed };
        fault::of(py, error, &known).error(kind, doing)
    };
    let (module, keep) = if is_old(py, &source).map_err(|error| told("import", &error))? {
        load_old(py, order, &source).map_err(|error| told("import", &error))?
    } else {
        (load_new(py, order, &source).map_err(|error| told("import", &error))?, None)
    };
    Ok(Loaded { module, known: std::rc::Rc::new(known), keep })
}

/// Bytes of a module's source; more is none.
const SOURCE_BYTES_MAX: u64 = 16 << 20;

fn read(path: &str) -> Result<Vec<u8>, Error> {
    let mut source = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SOURCE_BYTES_MAX + 1).read_to_end(&mut source));
    match read {
        Ok(_) if source.len() as u64 > SOURCE_BYTES_MAX => {
            Err(Error::config(format_args!("a source of more than {} MiB", SOURCE_BYTES_MAX >> 20)))
        }
        Ok(_) => Ok(source),
        Err(error) => Err(Error::failed(format_args!("the module's file: {error}"))),
    }
}

/// Whether the source is of Python 2.
fn is_old(py: Python<'_>, source: &[u8]) -> PyResult<bool> {
    if says_python_3(source) || !embedded::provide(py)? {
        return Ok(false);
    }
    let detect = py.import(embedded::PACKAGE)?.getattr("detect")?;
    detect.call1((PyBytes::new(py, source),))?.is_truthy()
}

/// What the first lines say, if they do.
fn says_python_3(source: &[u8]) -> bool {
    source.split(|byte| *byte == b'\n').take(5).any(|line| line.trim_ascii() == b"# graftd: python3")
}

fn load_old<'py>(
    py: Python<'py>,
    order: &Order<'_>,
    source: &[u8],
) -> PyResult<(Bound<'py, PyModule>, Option<Vec<u8>>)> {
    let marshal = py.import("marshal")?;
    // What was kept is this module's own; that it is still readable is for marshal to say.
    let kept = marshal.call_method1("loads", (PyBytes::new(py, order.kept),)).ok();
    let cache = kept.and_then(|kept| kept.cast_into::<PyDict>().ok()).unwrap_or_else(|| PyDict::new(py));
    let before = cache.len();
    let folder = order.folder.as_deref().unwrap_or_default();
    let source = PyBytes::new(py, source);
    let load = py.import(embedded::PACKAGE)?.getattr("load")?;
    let module = load.call1((&order.start.plugin, source, &order.start.file, folder, &cache))?;
    let keep = if cache.len() == before {
        None
    } else {
        Some(marshal.call_method1("dumps", (&cache,))?.extract::<Vec<u8>>()?)
    };
    Ok((module.cast_into::<PyModule>()?, keep))
}

fn load_new<'py>(py: Python<'py>, order: &Order<'_>, source: &[u8]) -> PyResult<Bound<'py, PyModule>> {
    let (name, file) = (&order.start.plugin, &order.start.file);
    let code = compile(py, source, file)?;
    let sys = py.import("sys")?;
    let modules = sys.getattr("modules")?;
    let module = PyModule::new(py, name)?;
    module.setattr("__file__", file)?;
    module.setattr("__builtins__", py.import("builtins")?)?;
    // An installed package of this name is what `import NAME` means, in the module itself too.
    let machinery = py.import("_frozen_importlib_external")?.getattr("PathFinder")?;
    let is_installed = modules.contains(name)?
        || sys.getattr("builtin_module_names")?.contains(name)?
        || machinery.call_method1("find_spec", (name,)).is_ok_and(|found| !found.is_none());
    let registered = if is_installed { format!("graftd.plugins.{name}") } else { name.clone() };
    modules.set_item(registered, &module)?;
    if let Some(folder) = &order.folder {
        sys.getattr("path")?.call_method1("append", (folder,))?;
    }
    run(&code, &module.dict())?;
    Ok(module)
}

/// Compiles a source; its encoding is what its first lines say.
fn compile<'py>(py: Python<'py>, source: &[u8], file: &str) -> PyResult<Bound<'py, PyAny>> {
    let builtins = py.import("builtins")?;
    // `dont_inherit`: nothing of whoever calls counts.
    builtins.getattr("compile")?.call1((PyBytes::new(py, source), file, "exec", 0, true))
}

/// Runs code in the names of a module.
#[allow(unsafe_code)]
fn run(code: &Bound<'_, PyAny>, names: &Bound<'_, PyDict>) -> PyResult<()> {
    // Safety: both are objects that are held here while the code runs; the result is a new reference, or null with an exception.
    let done = unsafe {
        let done = ffi::PyEval_EvalCode(code.as_ptr(), names.as_ptr(), names.as_ptr());
        Bound::from_owned_ptr_or_err(code.py(), done)
    };
    done.map(|_| ())
}
