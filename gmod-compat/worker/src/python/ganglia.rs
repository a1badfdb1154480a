//! The module `ganglia`, as gmond gives it to its modules.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

static DEBUG_LEVEL: AtomicU32 = AtomicU32::new(0);

/// gmond's debug level: `debug_level` of its configuration's globals.
#[pyfunction]
fn get_debug_msg_level() -> u32 {
    DEBUG_LEVEL.load(Ordering::Relaxed)
}

/// Makes it importable.
pub(super) fn provide(py: Python<'_>, debug_level: u32) -> PyResult<()> {
    DEBUG_LEVEL.store(debug_level, Ordering::Relaxed);
    let module = PyModule::new(py, "ganglia")?;
    module.add_function(wrap_pyfunction!(get_debug_msg_level, &module)?)?;
    py.import("sys")?.getattr("modules")?.set_item("ganglia", module)
}
