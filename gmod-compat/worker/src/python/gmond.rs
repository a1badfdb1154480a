//! A module of gmond: `metric_init` gives its metrics, each with a callback.

use super::fault::{self, Known};
use super::load::Loaded;
use super::{interpreter, params, value};
use crate::sampler::{Fault, Source};
use gmod_compat::descriptor::{Descriptor, Value};
use plugin_api::{Error, ErrorKind, Params};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::HashMap;
use std::rc::Rc;

/// Metrics of a module. A delta holds so many, each with its metadata, with room to spare.
const METRICS_MAX: usize = plugin_api::limits::DELTA_PATHS_MAX / 4;

struct Callback {
    function: Py<PyAny>,
    name: Py<PyString>,
}

struct Callbacks {
    callbacks: Vec<Callback>,
    cleanup: Option<Py<PyAny>>,
    known: Rc<Known>,
}

/// What `metric_init` gave.
pub(super) struct Metrics {
    /// Their names differ.
    pub(super) descriptors: Vec<Descriptor>,
    /// Their callbacks.
    pub(super) source: Box<dyn Source>,
    /// What was passed over, a line each.
    pub(super) remarks: Vec<String>,
}

/// Calls `metric_init` and reads what it gives.
///
/// # Errors
/// It raised something, or gave no metrics that gmond would take.
pub(super) fn make(loaded: &Loaded<'_>, given: &Params) -> Result<Metrics, Error> {
    let py = loaded.module.py();
    let told = |error: PyErr| fault::of(py, &error, &loaded.known).error(ErrorKind::Failed, "metric_init");
    let given = params::texts(py, given).map_err(told)?;
    let made = loaded.module.getattr("metric_init").and_then(|init| init.call1((given,)));
    interpreter::only_here(made.as_ref().err());
    let made = made.map_err(told)?;
    let mut remarks = Vec::new();
    let mut metrics: Vec<(Descriptor, Option<Callback>)> = Vec::new();
    let mut places = HashMap::new();
    let elements = elements(&made).map_err(told)?;
    let given = elements.len();
    for element in elements {
        let Some(pairs) = pairs(&element).map_err(told)? else {
            remarks.push(format!("metric_init gave a {} among its metrics; passed over", type_name(&element)));
            continue;
        };
        let (descriptor, callback) = metric(&pairs, &mut remarks).map_err(told)?;
        // Of two with one name the later is called, as gmond does.
        let count = metrics.len();
        let place = *places.entry(descriptor.name.clone()).or_insert(count);
        match metrics.get_mut(place) {
            Some(earlier) => {
                remarks.push(format!("{}: defined more than once; the last counts", descriptor.name));
                *earlier = (descriptor, callback);
            }
            None if count >= METRICS_MAX => {
                // It would give as many the next time.
                let what = format_args!("metric_init gave {given} metrics; a module may have {METRICS_MAX} at most");
                return Err(Error::config(what));
            }
            None => metrics.push((descriptor, callback)),
        }
    }
    let (mut descriptors, mut callbacks) = (Vec::new(), Vec::new());
    for (descriptor, callback) in metrics {
        match callback {
            Some(callback) => {
                descriptors.push(descriptor);
                callbacks.push(callback);
            }
            None => remarks.push(format!("{}: no call_back that can be called; left out", descriptor.name)),
        }
    }
    let cleanup = loaded.module.getattr("metric_cleanup").ok().filter(|cleanup| cleanup.is_callable());
    let source = Callbacks { callbacks, cleanup: cleanup.map(Bound::unbind), known: Rc::clone(&loaded.known) };
    Ok(Metrics { descriptors, source: Box::new(source), remarks })
}

/// What stands for metrics in what `metric_init` returned: a list's elements (or a tuple's, which gmond passes over), or one mapping.
fn elements<'py>(made: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if made.is_instance_of::<PyList>() || made.is_instance_of::<PyTuple>() {
        made.try_iter()?.collect()
    } else if pairs(made)?.is_some() {
        Ok(vec![made.clone()])
    } else {
        let what = format!("returned {}; a list of metrics is wanted", type_name(made));
        Err(pyo3::exceptions::PyTypeError::new_err(what))
    }
}

/// A mapping as a dictionary; none if it is none.
fn pairs<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    if let Ok(dict) = object.cast::<PyDict>() {
        return Ok(Some(dict.clone()));
    }
    if !object.hasattr("keys")? || !object.hasattr("__getitem__")? {
        return Ok(None);
    }
    let dict = PyDict::new(object.py());
    dict.update(object.cast::<pyo3::types::PyMapping>()?)?;
    Ok(Some(dict))
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    if object.is_none() {
        return "None".to_owned();
    }
    object.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string())
}

fn metric(pairs: &Bound<'_, PyDict>, remarks: &mut Vec<String>) -> PyResult<(Descriptor, Option<Callback>)> {
    let py = pairs.py();
    let read: Vec<(String, Value)> =
        pairs.iter().filter_map(|(key, found)| Some((value::of(&key).text()?, value::of(&found)))).collect();
    let descriptor = Descriptor::from_pairs(read.iter().map(|(key, value)| (key.as_str(), value)), remarks);
    let function = pairs.get_item("call_back")?.filter(|function| function.is_callable());
    let own_name = pairs.get_item("name")?.and_then(|name| name.cast_into::<PyString>().ok());
    // The module's own object, so that also bytes which are no text come back as they were; a cut name is ours.
    let name = own_name
        .filter(|name| value::text(name.as_any()).is_some_and(|name| name == descriptor.name))
        .unwrap_or_else(|| PyString::new(py, &descriptor.name));
    Ok((descriptor, function.map(|function| Callback { function: function.unbind(), name: name.unbind() })))
}

impl Source for Callbacks {
    fn value(&mut self, metric: usize) -> Result<Value, Fault> {
        let missing = || Fault { what: "there is no such metric".to_owned(), ..Fault::default() };
        let callback = self.callbacks.get(metric).ok_or_else(missing)?;
        Python::attach(|py| {
            let called = callback.function.call1(py, (&callback.name,));
            interpreter::only_here(called.as_ref().err());
            match called {
                Ok(found) => Ok(value::of(found.bind(py))),
                Err(error) => Err(fault::of(py, &error, &self.known)),
            }
        })
    }

    fn cleanup(&mut self) {
        let Some(cleanup) = self.cleanup.take() else { return };
        Python::attach(|py| {
            if let Err(error) = cleanup.call0(py) {
                let Fault { what, detail } = fault::of(py, &error, &self.known);
                eprintln!("metric_cleanup: {what}\n{detail}");
            }
        });
    }
}
