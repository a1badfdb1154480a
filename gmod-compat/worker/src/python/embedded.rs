//! The layer for sources of Python 2: modules that are in this binary, importable once they are needed.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The package's name.
pub(super) const PACKAGE: &str = "graftd_py2";

/// A module of this name: whether it is a package, its source, its code. Copied when it is asked for, for most never are.
#[pyfunction]
fn read<'py>(py: Python<'py>, name: &str) -> Option<(bool, Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (_, is_package, source, code) = MODULES.iter().find(|module| module.0 == name)?;
    // The code is this very interpreter's or of one that reads the same: the binary is linked with its library. Where there is none the
    // source is compiled.
    let source = if code.is_empty() { *source } else { &[] };
    Some((*is_package, PyBytes::new(py, source), PyBytes::new(py, code)))
}

/// Whether it is in this binary.
pub(super) fn is_there() -> bool {
    MODULES.iter().any(|module| module.0 == PACKAGE)
}

/// Makes the package importable, once; nothing of it is read yet.
pub(super) fn provide(py: Python<'_>) -> PyResult<()> {
    static PROVIDED: PyOnceLock<()> = PyOnceLock::new();
    let provide = || {
        let names = PyDict::new(py);
        names.set_item("read", wrap_pyfunction!(read, py)?)?;
        super::interpreter::run(py, include_str!("embedded.py"), &names)
    };
    PROVIDED.get_or_try_init(py, provide).copied()
}
