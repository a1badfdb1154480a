//! A module's source, run.
//!
//! A source of Python 2, or one with helpers beside it, is run by the layer in `python/graftd_py2`. Any other is compiled and run as it
//! is; its folder is the last on `sys.path`, as gmond has it, so that an installed package goes before a module's file of that
//! name.

use super::fault::{self, Known};
use super::kept::{Kept, Way};
use super::life::Life;
use super::{embedded, interpreter};
use crate::orders::Order;
use plugin_api::{Error, ErrorKind};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

/// A module that has run.
pub(super) struct Loaded<'py> {
    pub(super) module: Bound<'py, PyModule>,
    pub(super) known: Rc<Known>,
    kept: Kept<'py>,
}

impl Loaded<'_> {
    /// What is to be kept for the next start, if it is not what was kept before. To be asked once the module is made, for that
    /// may have imported helpers.
    pub(super) fn keep(&self) -> Option<Vec<u8>> {
        self.kept.encode(self.module.py())
    }
}

/// Runs the module.
///
/// # Errors
/// It is no Python, or its own code raised something.
pub(super) fn load<'py>(py: Python<'py>, order: &Order<'_>, life: &mut Life) -> Result<Loaded<'py>, Error> {
    let source = read(&order.image_path)?;
    let known = Known { file: order.start.file.clone(), text: String::from_utf8_lossy(&source).into_owned() };
    let mut run = || -> PyResult<(Bound<'py, PyModule>, Kept<'py>)> {
        let mut kept = Kept::decode(py, order.kept);
        // Helpers come and go while the module's own file stays.
        let has_helper =
            order.folder.as_deref().is_some_and(|folder| names_a_helper(&source, folder, &order.start.plugin));
        let way = match kept.way {
            _ if has_helper && embedded::is_there() => Way::Layer,
            Some(way) => way,
            None => way_of(py, &source)?,
        };
        kept.way = Some(way);
        let module = match way {
            Way::Plain => plain(py, order, &source, &kept, life)?,
            Way::Layer => through_layer(py, order, &source, &kept, life)?,
        };
        Ok((module, kept))
    };
    let done = run();
    interpreter::only_here(done.as_ref().err());
    let (module, kept) = done.map_err(|error| {
        // A source that no Python reads stays so until it is changed.
        let syntax = error.is_instance_of::<pyo3::exceptions::PySyntaxError>(py);
        let kind = if syntax { ErrorKind::Config } else { ErrorKind::Failed };
        fault::of(py, &error, &known).error(kind, "import")
    })?;
    Ok(Loaded { module, known: Rc::new(known), kept })
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

/// Which way a source without helpers is run. What its first lines say costs nothing; the layer's own detection takes two megabytes.
fn way_of(py: Python<'_>, source: &[u8]) -> PyResult<Way> {
    if says_python_3(source) || !embedded::is_there() {
        return Ok(Way::Plain);
    }
    embedded::provide(py)?;
    let detect = py.import(embedded::PACKAGE)?.getattr("detect")?;
    let is_old = detect.call1((PyBytes::new(py, source),))?.is_truthy()?;
    Ok(if is_old { Way::Layer } else { Way::Plain })
}

/// What the first lines say, if they do.
fn says_python_3(source: &[u8]) -> bool {
    source.split(|byte| *byte == b'\n').take(5).any(|line| line.trim_ascii() == b"# graftd: python3")
}

/// Files of a folder that are looked at for helpers' names; a plugins folder has some dozens.
const FOLDER_FILES_MAX: usize = 4096;

/// Whether a source has the name of another module of its folder in it. That may be of either Python, which the layer's importer
/// looks at.
fn names_a_helper(source: &[u8], folder: &str, own: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let words: HashSet<&[u8]> = source.split(|byte| !is_word(byte)).filter(|word| !word.is_empty()).collect();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().take(FOLDER_FILES_MAX);
    files.map(|file| file.file_name()).any(|name| {
        let stem = name.as_encoded_bytes().strip_suffix(b".py");
        stem.is_some_and(|stem| stem != own.as_bytes() && words.contains(stem))
    })
}

fn through_layer<'py>(
    py: Python<'py>,
    order: &Order<'_>,
    source: &[u8],
    kept: &Kept<'py>,
    life: &mut Life,
) -> PyResult<Bound<'py, PyModule>> {
    embedded::provide(py)?;
    let folder = order.folder.as_deref().unwrap_or_default();
    let source = PyBytes::new(py, source);
    let load = py.import(embedded::PACKAGE)?.getattr("load")?;
    let module = load.call1((life.name(), source, &order.start.file, folder, &kept.cache))?.cast_into::<PyModule>()?;
    life.is(&module)?;
    Ok(module)
}

fn plain<'py>(
    py: Python<'py>,
    order: &Order<'_>,
    source: &[u8],
    kept: &Kept<'py>,
    life: &mut Life,
) -> PyResult<Bound<'py, PyModule>> {
    let (name, file) = (life.name().to_owned(), &order.start.file);
    let code = compile(py, source, file)?;
    let sys = py.import("sys")?;
    let modules = sys.getattr("modules")?;
    let module = PyModule::new(py, &name)?;
    life.is(&module)?;
    module.setattr("__file__", file)?;
    module.setattr("__builtins__", py.import("builtins")?)?;
    // An installed package of this name is what `import NAME` means, in the module itself too.
    let path = sys.getattr("path")?;
    let others: Vec<Bound<'py, PyAny>> = path.try_iter()?.collect::<PyResult<_>>()?;
    let is_elsewhere =
        |place: &Bound<'py, PyAny>| order.folder.as_ref().is_none_or(|folder| !place.eq(folder).unwrap_or(false));
    let others: Vec<_> = others.into_iter().filter(is_elsewhere).collect();
    let machinery = py.import("_frozen_importlib_external")?.getattr("PathFinder")?;
    let is_installed = modules.contains(&name)?
        || sys.getattr("builtin_module_names")?.contains(&name)?
        || machinery.call_method1("find_spec", (&name, others)).is_ok_and(|found| !found.is_none());
    let registered = if is_installed { format!("graftd.plugins.{name}") } else { name };
    modules.set_item(registered, &module)?;
    if let Some(folder) = &order.folder {
        if interpreter::is_shared() && embedded::is_there() {
            // Another module's helpers may be of Python 2, and would be found on the path before the layer sees them.
            embedded::provide(py)?;
            py.import("graftd_py2.importing")?.call_method1("add_folder", (folder, &kept.cache))?;
        } else {
            path.call_method1("append", (folder,))?;
        }
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
