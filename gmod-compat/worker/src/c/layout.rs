//! The structures that gmond's C modules and libapr share with whoever runs them.
//!
//! Source: `gm_metric.h`, `gm_protocol.h` and `gm_value.h` of ganglia 3.7, `apr_tables.h` of apr 1.7, laid out by the
//! System V ABI of 64-bit machines. That they fit is measured: the tests read Debian's modules through them.

use gmod_compat::celf::{MAGIC_AT, MODULE_BYTES};
use std::ffi::{c_char, c_int, c_ulong, c_void};
use std::mem::{offset_of, size_of};

/// A pool of libapr's: its memory goes when the pool does.
#[repr(C)]
pub(super) struct Pool {
    _opaque: [u8; 0],
}

/// An array of libapr's.
#[repr(C)]
pub(super) struct Array {
    pool: *mut Pool,
    pub(super) element_bytes: c_int,
    pub(super) count: c_int,
    _room: c_int,
    pub(super) elements: *mut c_char,
}

/// An element of a table of libapr's.
#[repr(C)]
pub(super) struct Entry {
    pub(super) key: *const c_char,
    pub(super) value: *const c_char,
    _checksum: u32,
}

/// An element of a module's `param` list.
#[repr(C)]
pub(super) struct Param {
    pub(super) name: *mut c_char,
    pub(super) value: *mut c_char,
}

/// `struct mmodule`: what a module's file exports.
#[repr(C)]
pub(super) struct Module {
    pub(super) version: c_int,
    _minor_version: c_int,
    _source: *const c_char,
    pub(super) handle: *mut c_void,
    pub(super) name: *mut c_char,
    _metric_name: *mut c_char,
    pub(super) params: *mut c_char,
    pub(super) param_list: *mut Array,
    pub(super) config: *mut c_void,
    _next: *mut Module,
    pub(super) magic: c_ulong,
    pub(super) init: Option<unsafe extern "C" fn(*mut Pool) -> c_int>,
    pub(super) cleanup: Option<unsafe extern "C" fn()>,
    pub(super) metrics: *const Metric,
    pub(super) handler: Option<Handler>,
}

/// Samples the metric that stands at an index of the module's table.
pub(super) type Handler = unsafe extern "C" fn(c_int) -> Sample;

/// `Ganglia_25metric`: one line of a module's table, which ends where a name is NULL.
#[repr(C)]
pub(super) struct Metric {
    _key: c_int,
    pub(super) name: *const c_char,
    pub(super) time_max: c_int,
    pub(super) kind: c_int,
    pub(super) units: *const c_char,
    pub(super) slope: *const c_char,
    pub(super) format: *const c_char,
    _message_bytes: c_int,
    pub(super) description: *const c_char,
    /// A table of libapr's, whatever the declaration says.
    pub(super) metadata: *const c_void,
}

/// `g_val_t`: a value, of the type that its metric says. It is returned through memory, for it is larger than two
/// registers; the same holds for this union.
#[repr(C)]
pub(super) union Sample {
    pub(super) int16: i16,
    pub(super) uint16: u16,
    pub(super) int32: i32,
    pub(super) uint32: u32,
    pub(super) float: f32,
    pub(super) double: f64,
    pub(super) text: [c_char; SAMPLE_TEXT_BYTES],
}

/// Bytes of a text that is a value, its NUL and all.
pub(super) const SAMPLE_TEXT_BYTES: usize = 64;

const _: () = {
    assert!(size_of::<Module>() == MODULE_BYTES && offset_of!(Module, magic) == MAGIC_AT);
    assert!(size_of::<Metric>() == 72 && offset_of!(Metric, units) == 24 && offset_of!(Metric, metadata) == 64);
    assert!(size_of::<Array>() == 32 && offset_of!(Array, elements) == 24);
    assert!(size_of::<Entry>() == 24 && size_of::<Param>() == 16 && size_of::<Sample>() == 64);
};
