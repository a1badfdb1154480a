//! A module's parameters as Python's dictionaries.

use plugin_api::{Params, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// As gmond gives them to a module: text for text, whatever they look like. A list is joined by commas; a table, which gmond does
/// not have, stays one.
pub(super) fn texts<'py>(py: Python<'py>, params: &Params) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in params.iter() {
        match value {
            Value::Table(_) => dict.set_item(name, object(py, value)?)?,
            value => dict.set_item(name, text(value))?,
        }
    }
    Ok(dict)
}

fn text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Integer(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Table(_) => String::new(),
    }
}

/// As they stand in the `.on`, each of its own type.
pub(super) fn objects<'py>(py: Python<'py>, params: &Params) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in params.iter() {
        dict.set_item(name, object(py, value)?)?;
    }
    Ok(dict)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Integer(n) => n.into_pyobject(py)?.into_any(),
        Value::Float(x) => x.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.as_str().into_pyobject(py)?.into_any(),
        Value::List(list) => {
            let items = list.iter().map(|item| object(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Table(entries) => {
            let dict = PyDict::new(py);
            for entry in entries {
                dict.set_item(entry.name.as_str(), object(py, &entry.value)?)?;
            }
            dict.into_any()
        }
    })
}
