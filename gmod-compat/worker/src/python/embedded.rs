//! The layer for sources of Python 2: modules that are in this binary, importable once they are needed.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The package's name.
pub(super) const PACKAGE: &str = "graftd_py2";

/// Makes the package importable; nothing of it is read yet. False if it is not in this binary.
pub(super) fn provide(py: Python<'_>) -> PyResult<bool> {
    const FINDER: &std::ffi::CStr = c"
import marshal, sys
from _frozen_importlib import ModuleSpec
class Embedded:
    def __init__(self, modules):
        self.modules = modules
    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            return ModuleSpec(name, self, origin='<%s>' % name, is_package=self.modules[name][0])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        package, source, code = self.modules[module.__name__]
        try:
            code = marshal.loads(code)
        except (EOFError, ValueError, TypeError):
            code = compile(source, '<%s>' % module.__name__, 'exec', dont_inherit=True)
        exec(code, module.__dict__)
sys.meta_path.append(Embedded(modules))
";
    let modules = PyDict::new(py);
    for (name, is_package, source, code) in MODULES {
        // The code is this very interpreter's or of one that reads the same: the binary is linked with its library.
        modules.set_item(name, (*is_package, PyBytes::new(py, source), PyBytes::new(py, code)))?;
    }
    let names = PyDict::new(py);
    names.set_item("modules", &modules)?;
    py.run(FINDER, Some(&names), None)?;
    modules.contains(PACKAGE)
}
