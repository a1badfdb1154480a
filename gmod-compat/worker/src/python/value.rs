//! Python's objects as values of metrics.

use gmod_compat::descriptor::Value;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString};

/// What a callback returned, or a descriptor holds. Never fails: what is neither number nor text is told by its type.
pub(super) fn of(object: &Bound<'_, PyAny>) -> Value {
    if object.is_none() {
        return Value::None;
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Value::from(u8::from(flag.is_true()));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        return whole(number.as_any());
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Value::Float(number.value());
    }
    if let Some(text) = text(object) {
        return Value::Text(text);
    }
    // Numbers of packages: numpy's integers, decimals, fractions.
    let has = |name: &str| object.get_type().hasattr(name).unwrap_or(false);
    if has("__index__") {
        if let Ok(number) = object.call_method0("__index__") {
            return whole(&number);
        }
    } else if has("__float__")
        && let Ok(number) = object.extract::<f64>()
    {
        return Value::Float(number);
    }
    Value::Other(object.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string()))
}

fn whole(number: &Bound<'_, PyAny>) -> Value {
    match number.extract::<i64>() {
        Ok(small) => Value::from(small),
        Err(_) => match number.extract::<i128>() {
            Ok(large) => Value::Int(large),
            Err(_) => match number.str() {
                Ok(digits) => Value::Text(digits.to_string_lossy().into_owned()),
                Err(_) => Value::Other("number of too many digits".to_owned()),
            },
        },
    }
}

/// Text, as UTF-8: bytes that are none are replaced, also where Python carries them along in surrogates.
pub(super) fn text(object: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(text) = object.cast::<PyString>() {
        return Some(match text.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => match text.call_method1("encode", ("utf-8", "surrogateescape")) {
                Ok(bytes) => String::from_utf8_lossy(bytes.extract().unwrap_or_default()).into_owned(),
                Err(_) => text.to_string_lossy().into_owned(),
            },
        });
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Some(String::from_utf8_lossy(bytes.as_bytes()).into_owned());
    }
    object.cast::<PyByteArray>().ok().map(|bytes| String::from_utf8_lossy(&bytes.to_vec()).into_owned())
}
