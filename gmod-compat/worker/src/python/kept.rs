//! What is kept of a module from one start to the next: how its source is run, and the code that it was converted to.
//!
//! ```text
//! kept = a line: which layer and Python made it, and the way (2: by the layer, 3: as it is)    a dictionary, marshalled
//! ```
//!
//! The daemon gives it back as long as the module's file is the same, to the last byte. Helpers may change meanwhile: the layer's
//! entries go by their sources.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// How a source is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As it is.
    Plain,
    /// By the layer, which looks at it and at its helpers.
    Layer,
}

/// Of another build nothing is used.
const MADE_BY: &str = concat!("graftd-gmod ", env!("GRAFTD_LAYER"), " ", env!("GRAFTD_PYTHON_VERSION"), " ");

pub(super) struct Kept<'py> {
    /// None: not known yet.
    pub(super) way: Option<Way>,
    /// The layer's: hashes to code.
    pub(super) cache: Bound<'py, PyDict>,
    before: (Option<Way>, usize),
}

impl<'py> Kept<'py> {
    /// Reads it; what makes no sense is as nothing.
    pub(super) fn decode(py: Python<'py>, bytes: &[u8]) -> Kept<'py> {
        let read = || -> Option<(Way, Bound<'py, PyDict>)> {
            let rest = bytes.strip_prefix(MADE_BY.as_bytes())?;
            let (way, rest) = (rest.strip_prefix(b"2\n"), rest.strip_prefix(b"3\n"));
            let (way, cache) = way.map(|cache| (Way::Layer, cache)).or(rest.map(|cache| (Way::Plain, cache)))?;
            let cache = py.import("marshal").ok()?.call_method1("loads", (PyBytes::new(py, cache),)).ok()?;
            Some((way, cache.cast_into::<PyDict>().ok()?))
        };
        match read() {
            Some((way, cache)) => Kept { way: Some(way), before: (Some(way), cache.len()), cache },
            None => Kept { way: None, before: (None, 0), cache: PyDict::new(py) },
        }
    }

    /// Writes it; none if nothing has changed.
    pub(super) fn encode(&self, py: Python<'_>) -> Option<Vec<u8>> {
        if self.before == (self.way, self.cache.len()) {
            return None;
        }
        let way = match self.way? {
            Way::Layer => "2\n",
            Way::Plain => "3\n",
        };
        let cache = py.import("marshal").ok()?.call_method1("dumps", (&self.cache,)).ok()?;
        let mut bytes = [MADE_BY.as_bytes(), way.as_bytes()].concat();
        bytes.extend_from_slice(cache.extract().ok()?);
        Some(bytes)
    }
}
