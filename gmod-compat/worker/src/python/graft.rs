//! The module `graft`: what a pipe in Python has to say.
//!
//! `graft.add(*keys, n=1)`, `graft.set(*keys, value)`, `graft.observe(*keys, value)`, `graft.distinct(*keys, item)`,
//! `graft.top(*keys, key, n=1, k=10000)`, `graft.mark(*keys, text)`, `graft.action(*keys, action)`. Keys are relative to the
//! pipe's branch, and none at all are the branch itself. What comes last may be given by its name too. A key that is no text is
//! taken as its text; `None`, a field that a record does not have, is `-`.

use super::{life, value};
use plugin_api::{Action, Delta};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};
use std::borrow::Cow;

/// Keys that a path has at most without an allocation.
const SHORT: usize = 8;

/// Says something of the path of these keys.
#[inline]
fn at(py: Python<'_>, keys: &[Bound<'_, PyAny>], say: impl FnOnce(&mut Delta, &[&str])) -> PyResult<()> {
    if keys.len() <= SHORT {
        let mut texts: [Cow<'_, str>; SHORT] = Default::default();
        for (text, key) in texts.iter_mut().zip(keys) {
            *text = key_text(key)?;
        }
        let mut path = [""; SHORT];
        for (place, text) in path.iter_mut().zip(&texts) {
            *place = text;
        }
        return life::saying(py, |delta| say(delta, path.get(..keys.len()).unwrap_or_default()));
    }
    let texts = keys.iter().map(key_text).collect::<PyResult<Vec<_>>>()?;
    let path: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    life::saying(py, |delta| say(delta, &path))
}

/// A key's text.
#[inline]
pub(super) fn key_text<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    if let Ok(text) = key.cast::<PyString>()
        && let Ok(text) = text.to_str()
    {
        return Ok(Cow::Borrowed(text));
    }
    if key.is_none() {
        return Ok(Cow::Borrowed("-"));
    }
    match value::text(key) {
        Some(text) => Ok(Cow::Owned(text)),
        None => Ok(Cow::Owned(key.str()?.to_string_lossy().into_owned())),
    }
}

/// Parts what comes last from the keys, if it was not given by its name.
fn last<'k, 'py>(
    keys: &'k [Bound<'py, PyAny>],
    named: Option<Bound<'py, PyAny>>,
    what: &str,
) -> PyResult<(&'k [Bound<'py, PyAny>], Bound<'py, PyAny>)> {
    match (named, keys.split_last()) {
        (Some(named), _) => Ok((keys, named)),
        (None, Some((last, keys))) => Ok((keys, last.clone())),
        (None, None) => Err(PyTypeError::new_err(format!("{what} is missing"))),
    }
}

fn number(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    value.extract()
}

#[pyfunction]
#[pyo3(signature = (*keys, n = 1.0))]
fn add(keys: &Bound<'_, PyTuple>, n: f64) -> PyResult<()> {
    let (py, keys) = (keys.py(), keys.as_slice());
    at(py, keys, |delta, path| delta.add(path, n))
}

#[pyfunction]
#[pyo3(signature = (*keys, value = None))]
fn set(keys: &Bound<'_, PyTuple>, value: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = keys.py();
    let (keys, value) = last(keys.as_slice(), value, "the value")?;
    if let Ok(flag) = value.cast::<PyBool>() {
        at(py, keys, |delta, path| delta.set_bool(path, flag.is_true()))
    } else if let Some(text) = value::text(&value) {
        at(py, keys, |delta, path| delta.set_text(path, &text))
    } else {
        let number = number(&value)?;
        at(py, keys, |delta, path| delta.set(path, number))
    }
}

#[pyfunction]
#[pyo3(signature = (*keys, value = None))]
fn observe(keys: &Bound<'_, PyTuple>, value: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = keys.py();
    let (keys, value) = last(keys.as_slice(), value, "the value")?;
    let number = number(&value)?;
    at(py, keys, |delta, path| delta.observe(path, number))
}

#[pyfunction]
#[pyo3(signature = (*keys, item = None))]
fn distinct(keys: &Bound<'_, PyTuple>, item: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = keys.py();
    let (keys, item) = last(keys.as_slice(), item, "the item")?;
    let item = key_text(&item)?;
    at(py, keys, |delta, path| delta.distinct(path, &item))
}

#[pyfunction]
#[pyo3(signature = (*keys, key = None, n = 1.0, k = Action::TOP_K))]
fn top(keys: &Bound<'_, PyTuple>, key: Option<Bound<'_, PyAny>>, n: f64, k: u32) -> PyResult<()> {
    let py = keys.py();
    let (keys, key) = last(keys.as_slice(), key, "the key")?;
    let key = key_text(&key)?;
    at(py, keys, |delta, path| delta.top(path, &key, n, k))
}

#[pyfunction]
#[pyo3(signature = (*keys, text = None))]
fn mark(keys: &Bound<'_, PyTuple>, text: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = keys.py();
    let (keys, text) = last(keys.as_slice(), text, "the text")?;
    let text = key_text(&text)?;
    at(py, keys, |delta, path| delta.mark(path, &text))
}

#[pyfunction]
#[pyo3(signature = (*keys, action = None))]
fn action(keys: &Bound<'_, PyTuple>, action: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let py = keys.py();
    let (keys, action) = last(keys.as_slice(), action, "the action")?;
    let action: Action = key_text(&action)?.parse().map_err(|why| PyValueError::new_err(format!("{why}")))?;
    at(py, keys, |delta, path| delta.action(path, action))
}

/// Makes it importable.
pub(super) fn provide(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::new(py, "graft")?;
    module.add_function(wrap_pyfunction!(add, &module)?)?;
    module.add_function(wrap_pyfunction!(set, &module)?)?;
    module.add_function(wrap_pyfunction!(observe, &module)?)?;
    module.add_function(wrap_pyfunction!(distinct, &module)?)?;
    module.add_function(wrap_pyfunction!(top, &module)?)?;
    module.add_function(wrap_pyfunction!(mark, &module)?)?;
    module.add_function(wrap_pyfunction!(action, &module)?)?;
    py.import("sys")?.getattr("modules")?.set_item("graft", module)
}
