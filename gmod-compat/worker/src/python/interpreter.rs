//! Starting and ending the interpreter.

use super::{ganglia, graft};
use gmod_compat::protocol::gmod::{OWN_TEMPORARY, Start};
use plugin_api::Error;
use pyo3::call::PyCallArgs;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PySet};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which Python this is.
pub(crate) struct About {
    /// `3.11.7`.
    pub(crate) version: String,
    /// The library, and the folders of the standard library and of installed packages.
    pub(crate) paths: Vec<String>,
}

/// Says which Python this is.
///
/// # Errors
/// It cannot be started.
pub(crate) fn about() -> Result<About, String> {
    start(None)?;
    Python::attach(|py| {
        settle(py)?;
        let sys = py.import("sys")?;
        let version: String = sys.getattr("version")?.extract()?;
        let mut paths: Vec<String> = sys.getattr("path")?.extract()?;
        paths.retain(|path| Path::new(path).exists());
        paths.extend(library());
        Ok(About { version: version.split(' ').next().unwrap_or_default().to_owned(), paths })
    })
    .map_err(|error: PyErr| error.to_string())
}

/// The file of libpython in this process.
fn library() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let file = maps.lines().find(|line| line.contains("/libpython"))?;
    file.find('/').and_then(|at| file.get(at..)).map(str::to_owned)
}

/// Several modules share it.
static SHARED: AtomicBool = AtomicBool::new(false);

/// Has several modules share it. To be said before the first.
pub(crate) fn share() {
    SHARED.store(true, Ordering::Relaxed);
}

/// Whether several modules share it.
pub(crate) fn is_shared() -> bool {
    SHARED.load(Ordering::Relaxed)
}

/// What it was started with: the environment, and whether all was made ready.
struct Started {
    venv: Option<String>,
    is_ready: bool,
}

static STARTED: Mutex<Option<Started>> = Mutex::new(None);

/// Starts it, where it does not run yet, and has all ready for a module.
///
/// # Errors
/// There is no such environment, or it runs with another.
pub(super) fn ready(order: &Start) -> Result<(), Error> {
    // Taken without the interpreter's lock, and held while that is waited for: nobody waits here who has it.
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let running = match &mut *started {
        Some(running) => running,
        None => {
            let venv = order.python.clone();
            if is_shared() {
                // Python takes the thread that starts it for its main one. No module is to be on that: which is first, is chance.
                let start = || start(venv.as_deref());
                std::thread::scope(|scope| scope.spawn(start).join())
                    .unwrap_or_else(|_| Err("Python cannot be started".to_owned()))
            } else {
                start(venv.as_deref())
            }
            .map_err(Error::config)?;
            started.insert(Started { venv, is_ready: false })
        }
    };
    if running.venv != order.python {
        let named =
            |venv: &Option<String>| venv.as_ref().map_or("no environment".to_owned(), |venv| format!("{venv:?}"));
        return Err(Error::config(format_args!(
            "python: the worker that it shares runs with {}, and it wants {}; give all that share it the same (then switch them off and \
             on), or this one a worker of its own",
            named(&running.venv),
            named(&order.python)
        )));
    }
    let made = Python::attach(|py| {
        if !running.is_ready {
            settle(py)?;
            write_elsewhere(py, &format!("{OWN_TEMPORARY}{}", std::process::id()))?;
            ganglia::provide(py)?;
            graft::provide(py)?;
        }
        plugins(py)?.bind(py).add(&order.plugin)
    });
    running.is_ready |= made.is_ok();
    made.map_err(|error| Error::failed(format_args!("Python: {error}")))
}

/// Starts it: nothing of the environment or of a user's folder counts, signals are left as they are, text is UTF-8, and a
/// crash writes the Python stack to standard error.
///
/// # Errors
/// The environment at `venv` is none, or of another Python.
fn start(venv: Option<&str>) -> Result<(), String> {
    let executable = match venv {
        Some(venv) => Some(executable_of(venv)?),
        None => Some(PathBuf::from(env!("GRAFTD_PYTHON"))).filter(|executable| executable.exists()),
    };
    let executable = executable.map(|path| CString::new(path.into_os_string().into_encoded_bytes()));
    let executable = executable.transpose().map_err(|_| "python: a path with a NUL".to_owned())?;
    TALKING.store(std::process::id(), Ordering::Relaxed);
    initialize(executable.as_deref()).map_err(|why| format!("Python cannot be started: {why}"))
}

/// The interpreter's own program in a virtual environment, by which it finds the environment's packages.
fn executable_of(venv: &str) -> Result<PathBuf, String> {
    let given = Path::new(venv);
    let executable = if given.is_dir() { given.join("bin/python") } else { given.to_owned() };
    if !executable.is_file() {
        return Err(format!("python = {venv:?}: there is no bin/python; give the folder of a virtual environment"));
    }
    let root = executable.parent().and_then(Path::parent).unwrap_or(given);
    // Without that file it is no virtual environment but an interpreter of its own, whose library tells its version.
    let about = std::fs::read_to_string(root.join("pyvenv.cfg")).unwrap_or_default();
    let version = about.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| {
        let key = key.trim();
        key == "version" || key == "version_info"
    });
    let ours = env!("GRAFTD_PYTHON_VERSION");
    let minor = version.map(|(_, version)| version.trim().split('.').take(2).collect::<Vec<_>>().join("."));
    match minor {
        Some(minor) if minor != ours => Err(format!(
            "python = {venv:?}: an environment of Python {minor}, and graftd-gmod has {ours}; make one with python{ours} -m venv"
        )),
        None if !root.join(format!("lib/python{ours}")).is_dir() => {
            Err(format!("python = {venv:?}: no environment of Python {ours}; make one with python{ours} -m venv"))
        }
        _ => Ok(executable),
    }
}

#[allow(unsafe_code)]
fn initialize(executable: Option<&CStr>) -> Result<(), String> {
    // Safety: both structures are plain data that the Init functions fill in whole; every status is looked at before the next call; the
    // configuration is cleared once, after its last use. No interpreter runs yet, and no other thread.
    unsafe {
        let mut pre: ffi::PyPreConfig = std::mem::zeroed();
        ffi::PyPreConfig_InitIsolatedConfig(&raw mut pre);
        pre.utf8_mode = 1;
        check(ffi::Py_PreInitialize(&raw const pre))?;
        let mut config: ffi::PyConfig = std::mem::zeroed();
        ffi::PyConfig_InitIsolatedConfig(&raw mut config);
        config.write_bytecode = 0;
        // `settle.py` does what this would.
        config.site_import = 0;
        config.faulthandler = 1;
        #[cfg(Py_3_11)]
        {
            // The columns of tracebacks are not worth their memory.
            config.code_debug_ranges = 0;
        }
        let config_ptr = &raw mut config;
        let mut done = Ok(());
        if let Some(executable) = executable {
            done =
                check(ffi::PyConfig_SetBytesString(config_ptr, &raw mut (*config_ptr).executable, executable.as_ptr()));
        }
        let done = done.and_then(|()| check(ffi::Py_InitializeFromConfig(config_ptr)));
        ffi::PyConfig_Clear(config_ptr);
        done?;
        // Whoever needs the interpreter's lock takes it.
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

#[allow(unsafe_code)]
fn check(status: ffi::PyStatus) -> Result<(), String> {
    // Safety: the status is one that Python gave; its texts, where there are any, are static.
    unsafe {
        if ffi::PyStatus_Exception(status) == 0 {
            return Ok(());
        }
        let text = |text: *const std::ffi::c_char| {
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        let (function, message) = (text(status.func), text(status.err_msg));
        Err(if function.is_empty() { message } else { format!("{function}: {message}") })
    }
}

/// The names of the modules that were made here.
fn plugins(py: Python<'_>) -> PyResult<&Py<PySet>> {
    static PLUGINS: PyOnceLock<Py<PySet>> = PyOnceLock::new();
    PLUGINS.get_or_try_init(py, || PySet::empty(py).map(Bound::unbind))
}

/// Makes it ready: what modules print goes to standard error, installed packages can be imported.
fn settle(py: Python<'_>) -> PyResult<()> {
    let names = PyDict::new(py);
    names.set_item("plugins", plugins(py)?)?;
    run(py, include_str!("settle.py"), &names)
}

/// Has files for temporary use that belong to another user written to files of the module's own, in `folder`.
fn write_elsewhere(py: Python<'_>, folder: &str) -> PyResult<()> {
    let names = PyDict::new(py);
    names.set_item("folder", folder)?;
    run(py, include_str!("elsewhere.py"), &names)
}

/// Calls a function of `shared.py`, where several modules share the interpreter; where there is one, nothing has to be done.
pub(super) fn shared<'py>(py: Python<'py>, function: &str, arguments: impl PyCallArgs<'py>) -> PyResult<()> {
    static NAMES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    if !is_shared() {
        return Ok(());
    }
    let names = NAMES.get_or_try_init(py, || {
        let names = PyDict::new(py);
        run(py, include_str!("shared.py"), &names).map(|()| names.unbind())
    })?;
    names.bind(py).as_any().get_item(function)?.call1(arguments).map(|_| ())
}

/// Runs a source of our own.
pub(super) fn run(py: Python<'_>, source: &str, names: &Bound<'_, PyDict>) -> PyResult<()> {
    py.run(&CString::new(source)?, Some(names), None)
}

/// Runs what the module asked for at its end (`atexit`), writes out what it printed, and ends the process. Threads that
/// never end are not waited for.
pub(super) fn leave() {
    if !is_started() {
        return;
    }
    Python::attach(|py| {
        let _ = run(py, include_str!("leave.py"), &PyDict::new(py));
        // With the lock held, so that no thread of the module's runs into what ends.
        std::process::exit(0);
    });
}

/// The process that talks with the daemon.
static TALKING: AtomicU32 = AtomicU32::new(0);

/// Ends this process if it is one that the module made by `fork` and that came back out of its code, by an exception or not: there is
/// one that talks with the daemon. At once, for a lock may be held here by a thread that only the other has.
#[allow(unsafe_code)]
pub(super) fn only_here(error: Option<&PyErr>) {
    if TALKING.load(Ordering::Relaxed) == std::process::id() {
        return;
    }
    let by_itself =
        error.is_none_or(|error| Python::attach(|py| error.is_instance_of::<pyo3::exceptions::PySystemExit>(py)));
    // Safety: the call takes a number and does not come back.
    unsafe { libc::_exit(i32::from(!by_itself)) }
}

#[allow(unsafe_code)]
fn is_started() -> bool {
    // Safety: the call may be made at any time.
    unsafe { ffi::Py_IsInitialized() != 0 }
}
