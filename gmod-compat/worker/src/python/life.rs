//! A module as the interpreter knows it: its name, and what it has to say by `graft`. Where several share the interpreter, each is told
//! from the others by that, and leaves nothing behind.

use super::interpreter;
use plugin_api::Delta;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a module has said since its last flush. Threads of the module's say something too. Nobody who has it locked runs anything of
/// Python's, or waits for its lock.
pub(super) type Said = Arc<Mutex<Delta>>;

/// Locks it.
pub(super) fn lock(said: &Said) -> MutexGuard<'_, Delta> {
    // Whoever panicked in it left it usable: each call of a delta's is whole or nothing.
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that runs.
struct Known {
    name: String,
    /// Where its names are, once there are some: it is held, so nothing else is there.
    names: Option<usize>,
    said: Said,
}

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

fn known() -> MutexGuard<'static, Vec<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Of the module whose orders are followed on this thread.
    static OWN: RefCell<Option<Said>> = const { RefCell::new(None) };
}

/// A module from before its source runs until nothing of it is known any more, which is when this is dropped.
pub(crate) struct Life {
    name: String,
    said: Said,
    module: Option<Py<PyModule>>,
}

impl Life {
    /// Begins one on this thread. Of two with one name the second has another: `sys.modules[__name__]` is each one's own.
    pub(super) fn begin(plugin: &str) -> Life {
        let mut known = known();
        let taken = |name: &str| known.iter().any(|other| other.name == name);
        let others = (2..).map(|nth| format!("{plugin}@{nth}"));
        // There are fewer of them than numbers.
        let name = [plugin.to_owned()].into_iter().chain(others).find(|name| !taken(name)).unwrap_or_default();
        let said = Said::default();
        known.push(Known { name: name.clone(), names: None, said: Arc::clone(&said) });
        OWN.set(Some(Arc::clone(&said)));
        Life { name, said, module: None }
    }

    /// Its name in the interpreter.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it has to say.
    pub(super) fn said(&self) -> Said {
        Arc::clone(&self.said)
    }

    /// This is it. To be said before it runs, or as soon as it is known.
    pub(super) fn is(&mut self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        if self.module.is_some() {
            return Ok(());
        }
        self.module = Some(module.clone().unbind());
        let names = module.dict().as_ptr() as usize;
        if let Some(own) = known().iter_mut().find(|known| known.name == self.name) {
            own.names = Some(names);
        }
        interpreter::shared(module.py(), "hold", (module,))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        OWN.set(None);
        known().retain(|known| known.name != self.name);
        let Some(module) = self.module.take() else { return };
        if !interpreter::is_shared() {
            // The process ends with it.
            return;
        }
        Python::attach(|py| {
            if let Err(error) = interpreter::shared(py, "end", (module,)) {
                eprintln!("graftd-gmod: {}: {error}", self.name);
            }
        });
    }
}

/// Does something with what the module has to say in whose code this thread is.
///
/// # Errors
/// It is in no module's.
#[inline]
pub(super) fn saying<R>(py: Python<'_>, then: impl FnOnce(&mut Delta) -> R) -> PyResult<R> {
    OWN.with_borrow(|own| match own {
        Some(said) => Ok(then(&mut lock(said))),
        None => Ok(then(&mut lock(&of_this_thread(py)?))),
    })
}

/// A thread that a module has started: it has code of that module's on its stack.
fn of_this_thread(py: Python<'_>) -> PyResult<Said> {
    let of = |names: &Bound<'_, PyDict>| {
        let names = Some(names.as_ptr() as usize);
        known().iter().find(|known| known.names == names).map(|known| Arc::clone(&known.said))
    };
    let mut frame = py.import("sys")?.call_method0("_getframe")?;
    while !frame.is_none() {
        if let Ok(names) = frame.getattr("f_globals")?.cast::<PyDict>()
            && let Some(said) = of(names)
        {
            return Ok(said);
        }
        frame = frame.getattr("f_back")?;
    }
    match known().as_slice() {
        [only] => Ok(Arc::clone(&only.said)),
        _ => Err(PyRuntimeError::new_err(
            "graft: several modules share this worker, and there is none of them on this thread's stack; say it from a \
             function of the module's own",
        )),
    }
}
