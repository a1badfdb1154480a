//! A dictionary that a pipe returned, merged as the same document in JSON would be.

use super::life::{Said, lock};
use super::{graft, value};
use plugin_api::Action;
use plugin_api::limits::DEPTH_MAX;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

/// The key that gives a document, or an object in it, its action.
const DEFAULT_ACTION: &str = "defaultaction";

/// Merges it whole, or not at all.
///
/// # Errors
/// What is no document: a nesting past the depth of a path, an unknown action, a value of another type.
pub(super) fn merge(document: &Bound<'_, PyDict>, said: &Said) -> PyResult<()> {
    let mut ops = Vec::new();
    let given = action_of(document)?;
    for (key, below) in document.iter() {
        let key = graft::key_text(&key)?.into_owned();
        if key == DEFAULT_ACTION {
            continue;
        }
        let path = vec![key];
        if let Some(given) = given {
            ops.push((path.clone(), Op::Action(given)));
        }
        read(&below, path, given.unwrap_or(Action::Add), DEPTH_MAX, &mut ops)?;
    }
    // Not before: what is read may run code of the module's, which may say something by itself.
    let mut delta = lock(said);
    for (path, op) in &ops {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match op {
            Op::Action(action) => delta.action(&path, *action),
            Op::Add(n) => delta.add(&path, *n),
            Op::Set(value) => delta.set(&path, *value),
            Op::Observe(value) => delta.observe(&path, *value),
            Op::Text(text) => delta.set_text(&path, text),
            Op::Bool(flag) => delta.set_bool(&path, *flag),
        }
    }
    Ok(())
}

enum Op {
    Action(Action),
    Add(f64),
    Set(f64),
    Observe(f64),
    Text(String),
    Bool(bool),
}

fn action_of(object: &Bound<'_, PyDict>) -> PyResult<Option<Action>> {
    let Some(word) = object.get_item(DEFAULT_ACTION)? else { return Ok(None) };
    let action = graft::key_text(&word)?.parse();
    action.map(Some).map_err(|why| PyValueError::new_err(format!("{DEFAULT_ACTION}: {why}")))
}

fn read(
    object: &Bound<'_, PyAny>,
    path: Vec<String>,
    action: Action,
    depth: usize,
    ops: &mut Vec<(Vec<String>, Op)>,
) -> PyResult<()> {
    let deeper = depth.checked_sub(1).ok_or_else(|| PyValueError::new_err("nested too deep"))?;
    if let Ok(dict) = object.cast::<PyDict>() {
        let given = action_of(dict)?;
        if let Some(given) = given {
            ops.push((path.clone(), Op::Action(given)));
        }
        for (key, below) in dict.iter() {
            let key = graft::key_text(&key)?.into_owned();
            if key == DEFAULT_ACTION {
                continue;
            }
            let mut path = path.clone();
            if !key.is_empty() {
                path.push(key);
            }
            read(&below, path, given.unwrap_or(action), deeper, ops)?;
        }
        return Ok(());
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        for below in object.try_iter()? {
            read(&below?, path.clone(), action, deeper, ops)?;
        }
        return Ok(());
    }
    let op = if let Ok(flag) = object.cast::<PyBool>() {
        Op::Bool(flag.is_true())
    } else if let Some(text) = value::text(object) {
        Op::Text(text)
    } else {
        let number: f64 = object.extract()?;
        if !number.is_finite() {
            return Err(PyValueError::new_err(format!("{}: {number} is no number", path.join(","))));
        }
        match action {
            Action::Add | Action::Top { .. } => Op::Add(number),
            Action::Quantiles => Op::Observe(number),
            _ => Op::Set(number),
        }
    };
    ops.push((path, op));
    Ok(())
}
