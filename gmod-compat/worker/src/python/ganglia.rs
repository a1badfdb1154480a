//! The module `ganglia`, as gmond gives it to its modules.

use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

/// The highest of all modules here: for threads that one of them started.
static HIGHEST: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Of the module whose orders are followed on this thread.
    static OWN: Cell<Option<u32>> = const { Cell::new(None) };
}

/// gmond's debug level: `debug_level` of its configuration's globals.
#[pyfunction]
fn get_debug_msg_level() -> u32 {
    OWN.get().unwrap_or_else(|| HIGHEST.load(Ordering::Relaxed))
}

/// Sets it for this thread's module.
pub(super) fn set_debug_level(level: u32) {
    OWN.set(Some(level));
    HIGHEST.fetch_max(level, Ordering::Relaxed);
}

/// Makes it importable.
pub(super) fn provide(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::new(py, "ganglia")?;
    module.add_function(wrap_pyfunction!(get_debug_msg_level, &module)?)?;
    py.import("sys")?.getattr("modules")?.set_item("ganglia", module)
}
