//! An exception as a line and a traceback, made without Python's `traceback` module: that would cost a megabyte.

use crate::sampler::Fault;
use gmod_compat::protocol::reply::one_line;
use plugin_api::limits::cut;
use pyo3::prelude::*;
use pyo3::types::PyTraceback;
use std::fmt::Write as _;

/// Bytes of an exception's own words in the line.
const LINE_BYTES: usize = 300;
/// Bytes of an exception's own words in the traceback.
const WORDS_BYTES: usize = 2_000;
/// Frames shown of a traceback: so many of its first, and of its last.
const FRAMES: (usize, usize) = (4, 20);
/// Exceptions shown of a chain: the last, and what it came from.
const CHAIN: usize = 3;
/// Frames that are counted at all: a recursion has a thousand.
const FRAMES_MAX: usize = 100_000;
/// Bytes of a source file that is read for the lines of its frames.
const SOURCE_BYTES_MAX: u64 = 1024 * 1024;

/// The module's own source: its file need not be readable.
pub(crate) struct Known {
    pub(crate) file: String,
    pub(crate) text: String,
}

struct Frame {
    file: String,
    line: u32,
    function: String,
}

/// Makes an exception of Python's readable.
pub(super) fn of(py: Python<'_>, error: &PyErr, known: &Known) -> Fault {
    let frames = frames(error.traceback(py));
    let name = error.get_type(py).name().map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
    let syntax = syntax(py, error);
    let (words, place) = match &syntax {
        Some((words, place)) => (words.clone(), Some(place.clone())),
        None => {
            let own = frames.iter().rev().find(|frame| frame.file == known.file).or(frames.last());
            (words(py, error), own.map(|frame| format!("{}:{}", stem(&frame.file), frame.line)))
        }
    };
    let mut what = name;
    let words = one_line(cut(words.trim(), LINE_BYTES));
    if !words.is_empty() {
        let _ = write!(what, ": {words}");
    }
    if let Some(place) = place {
        let _ = write!(what, " ({place})");
    }
    let mut detail = String::new();
    chain(py, error, known, CHAIN, &mut detail);
    Fault { what, detail }
}

fn stem(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// The exception's own words; making them is foreign code too.
fn words(py: Python<'_>, error: &PyErr) -> String {
    let value = error.value(py);
    value.str().map_or_else(|_| "(its text cannot be made)".to_owned(), |text| text.to_string_lossy().into_owned())
}

/// What a syntax error says, and where that is.
fn syntax(py: Python<'_>, error: &PyErr) -> Option<(String, String)> {
    if !error.is_instance_of::<pyo3::exceptions::PySyntaxError>(py) {
        return None;
    }
    let value = error.value(py);
    let get = |name: &str| value.getattr(name).ok();
    let words = get("msg")?.extract::<String>().ok()?;
    let file = get("filename")?.extract::<String>().ok()?;
    let line = get("lineno")?.extract::<u32>().ok()?;
    Some((words, format!("{}:{line}", stem(&file))))
}

fn frames(traceback: Option<Bound<'_, PyTraceback>>) -> Vec<Frame> {
    let (mut out, mut seen) = (Vec::new(), 0);
    let mut next = traceback.map(Bound::into_any);
    while let Some(here) = next.take().filter(|here| !here.is_none()) {
        let read = || -> PyResult<Frame> {
            let code = here.getattr("tb_frame")?.getattr("f_code")?;
            Ok(Frame {
                file: code.getattr("co_filename")?.extract()?,
                line: here.getattr("tb_lineno")?.extract().unwrap_or(0),
                function: code.getattr("co_name")?.extract()?,
            })
        };
        // What our own helpers and Python's importer do on the way is none of the module's.
        out.extend(
            read()
                .ok()
                .filter(|frame| !frame.file.starts_with("<graftd_py2") && !frame.file.starts_with("<frozen importlib")),
        );
        seen += 1;
        if seen < FRAMES_MAX {
            next = here.getattr("tb_next").ok();
        }
    }
    out
}

fn chain(py: Python<'_>, error: &PyErr, known: &Known, left: usize, out: &mut String) {
    let value = error.value(py);
    if left > 1 {
        let get = |name: &str| value.getattr(name).ok().filter(|found| !found.is_none());
        let hidden = value.getattr("__suppress_context__").is_ok_and(|hidden| hidden.is_truthy().unwrap_or(false));
        let (cause, words) = match get("__cause__") {
            Some(cause) => (Some(cause), "The above exception was the direct cause of the following exception:"),
            None => (
                get("__context__").filter(|_| !hidden),
                "During handling of the above exception, another exception occurred:",
            ),
        };
        if let Some(cause) = cause {
            chain(py, &PyErr::from_value(cause), known, left - 1, out);
            let _ = write!(out, "\n\n{words}\n\n");
        }
    }
    let frames = frames(error.traceback(py));
    if !frames.is_empty() {
        out.push_str("Traceback (most recent call last):\n");
    }
    let hidden = frames.len().saturating_sub(FRAMES.0 + FRAMES.1);
    for (index, frame) in frames.iter().enumerate() {
        if index >= FRAMES.0 && index < FRAMES.0 + hidden {
            if index == FRAMES.0 {
                let _ = writeln!(out, "  ({hidden} frames more)");
            }
            continue;
        }
        let Frame { file, line, function } = frame;
        let _ = writeln!(out, "  File \"{}\", line {line}, in {}", cut(file, 300), cut(function, 200));
        if let Some(text) = source_line(file, *line, known) {
            let _ = writeln!(out, "    {}", cut(text.trim(), 200));
        }
    }
    let name = error.get_type(py).fully_qualified_name();
    let name = name.map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
    let words = words(py, error);
    let _ = if words.is_empty() { write!(out, "{name}") } else { write!(out, "{name}: {}", cut(&words, WORDS_BYTES)) };
}

fn source_line(file: &str, line: u32, known: &Known) -> Option<String> {
    let index = (line as usize).checked_sub(1)?;
    if file == known.file {
        return known.text.lines().nth(index).map(str::to_owned);
    }
    let about = std::fs::metadata(file).ok().filter(|about| about.is_file() && about.len() <= SOURCE_BYTES_MAX);
    let bytes = about.and_then(|_| std::fs::read(file).ok())?;
    String::from_utf8_lossy(&bytes).lines().nth(index).map(str::to_owned)
}
