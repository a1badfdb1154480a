//! A pipe: `process(arr)` for each record, and what it says by `graft` or returns.

use super::fault::{self, Known};
use super::life::{Said, lock};
use super::load::Loaded;
use super::{document, interpreter, params};
use crate::orders::Pipe;
use crate::sampler::Fault;
use plugin_api::limits::cut;
use plugin_api::{Access, Clock, Delta, Error, ErrorKind, Field, Fields, Params};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString};
use std::collections::HashMap;
use std::rc::Rc;

/// What stands in `arr`, in order.
const ARR: [Field; 12] = [
    Field::Addr,
    Field::User,
    Field::Time,
    Field::Method,
    Field::Url,
    Field::Protocol,
    Field::Status,
    Field::Bytes,
    Field::Referer,
    Field::Agent,
    Field::RequestTime,
    Field::UpstreamTime,
];

/// Bytes of a record that are told when its `process` raised something.
const RECORD_BYTES: usize = 1_000;

struct Process {
    process: Py<PyAny>,
    cleanup: Option<Py<PyAny>>,
    known: Rc<Known>,
    said: Said,
    /// The group whose turn it is; what others have said meanwhile is in `others`.
    group: u32,
    others: HashMap<u32, Delta>,
}

/// Calls `init` and takes `process`.
///
/// # Errors
/// `init` raised something.
pub(super) fn make(loaded: &Loaded<'_>, given: &Params, said: Said) -> Result<Box<dyn Pipe>, Error> {
    let py = loaded.module.py();
    let told =
        |doing: &'static str| move |error: PyErr| fault::of(py, &error, &loaded.known).error(ErrorKind::Failed, doing);
    let get = |name: &str| loaded.module.getattr(name).ok().filter(|found| found.is_callable());
    if let Some(init) = get("init") {
        let done = if takes_nothing(&init) {
            init.call0()
        } else {
            params::objects(py, given).and_then(|given| init.call1((given,)))
        };
        interpreter::only_here(done.as_ref().err());
        done.map_err(told("init"))?;
    }
    let process = loaded.module.getattr("process").map_err(told("process"))?.unbind();
    Ok(Box::new(Process {
        process,
        cleanup: get("cleanup").map(Bound::unbind),
        known: Rc::clone(&loaded.known),
        said,
        group: 0,
        others: HashMap::new(),
    }))
}

/// Whether it is a function that takes no parameter.
fn takes_nothing(function: &Bound<'_, PyAny>) -> bool {
    /// Python's `CO_VARARGS`.
    const VARARGS: u32 = 4;
    let count = || -> PyResult<bool> {
        let code = function.getattr("__code__")?;
        let arguments: u32 = code.getattr("co_argcount")?.extract()?;
        let flags: u32 = code.getattr("co_flags")?.extract()?;
        Ok(arguments == 0 && flags & VARARGS == 0)
    };
    count().unwrap_or(false)
}

/// A record as `arr`.
fn arr<'py>(py: Python<'py>, record: &Access<'_>) -> PyResult<Bound<'py, PyList>> {
    let none = py.None().into_bound(py);
    let text = |field: Field| match record.text(field) {
        Some(text) => PyString::new(py, text).into_any(),
        None => none.clone(),
    };
    let float = |seconds: Option<f64>| match seconds {
        Some(seconds) => PyFloat::new(py, seconds).into_any(),
        None => none.clone(),
    };
    let whole = |n: Option<u64>| -> PyResult<Bound<'py, PyAny>> {
        Ok(match n {
            Some(n) => PyInt::new(py, n).into_any(),
            None => none.clone(),
        })
    };
    PyList::new(
        py,
        [
            text(Field::Addr),
            text(Field::User),
            text(Field::Time),
            text(Field::Method),
            text(Field::Url),
            text(Field::Protocol),
            whole(record.status().map(u64::from))?,
            whole(record.bytes())?,
            text(Field::Referer),
            text(Field::Agent),
            float(record.request_time()),
            float(record.upstream_time()),
        ],
    )
}

impl Pipe for Process {
    fn wants(&self) -> Fields {
        Fields::of(&ARR)
    }

    fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
        lock(&self.said).set_clock(clock);
        Python::attach(|py| {
            let process = self.process.bind(py);
            for record in batch {
                let fold = || -> PyResult<()> {
                    let returned = process.call1((arr(py, record)?,))?;
                    if let Ok(document) = returned.cast::<PyDict>() {
                        document::merge(document, &self.said)?;
                    }
                    Ok(())
                };
                fold().map_err(|error| {
                    interpreter::only_here(Some(&error));
                    self.fault(py, &error, record)
                })?;
            }
            interpreter::only_here(None);
            Ok(())
        })
    }

    /// The module is one for all groups, and so are its variables: what it says is kept apart.
    fn turn_to(&mut self, group: u32) {
        if group == self.group {
            return;
        }
        let mut said = self.others.remove(&group).unwrap_or_default();
        std::mem::swap(&mut *lock(&self.said), &mut said);
        self.others.insert(self.group, said);
        self.group = group;
    }

    fn flush(&mut self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(lock(&self.said).flush());
    }

    fn cleanup(&mut self) {
        let Some(cleanup) = self.cleanup.take() else { return };
        Python::attach(|py| {
            if let Err(error) = cleanup.call0(py) {
                let Fault { what, detail } = fault::of(py, &error, &self.known);
                eprintln!("cleanup: {what}\n{detail}");
            }
        });
    }
}

impl Process {
    /// What it raised, and for which record.
    fn fault(&self, py: Python<'_>, error: &PyErr, record: &Access<'_>) -> Error {
        let mut fault = fault::of(py, error, &self.known);
        let shown = arr(py, record).and_then(|arr| arr.repr()).map(|shown| shown.to_string_lossy().into_owned());
        let shown = shown.unwrap_or_default();
        fault.detail = format!("{}\nThe record: {}", fault.detail, cut(&shown, RECORD_BYTES));
        fault.error(ErrorKind::Failed, "process")
    }
}
