//! A module's table of metrics, and the metadata of each, as descriptors.

use super::layout::{Array, Entry, Metric};
use super::libraries::Libraries;
use gmod_compat::descriptor::{
    DESCRIPTION_BYTES_MAX, Descriptor, EXTRA_BYTES_MAX, EXTRA_MAX, FORMAT_BYTES_MAX, NAME_BYTES_MAX, Slope,
    UNITS_BYTES_MAX, ValueKind,
};
use std::collections::HashMap;
use std::ffi::{c_char, c_int};

/// Metrics of one module; the rest are left out and told. gmond's own have some dozens; one that lists the disks and
/// processors of a large machine has some thousands.
const METRICS_MAX: c_int = 10_000;

/// What was read of a module's table.
#[derive(Default)]
pub(super) struct Table {
    /// Its metrics, in its order.
    pub(super) descriptors: Vec<Descriptor>,
    /// Beside each descriptor: where the metric stands in the module's table.
    pub(super) places: Vec<Place>,
    /// What was left out, a line each.
    pub(super) remarks: Vec<String>,
}

/// Where a metric's values come from.
pub(super) struct Place {
    /// What the handler is called with.
    pub(super) index: c_int,
    /// Which part of a sample is set.
    pub(super) kind: Kind,
}

/// The types of the C interface (`Ganglia_value_types`).
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Ushort,
    Short,
    Uint,
    Int,
    Float,
    Double,
}

impl Table {
    /// Reads the table of metrics.
    ///
    /// # Safety
    /// `metrics` is NULL or a table that ends where a name is NULL.
    pub(super) unsafe fn read(metrics: *const Metric, libraries: &Libraries) -> Table {
        let mut out = Table::default();
        if metrics.is_null() {
            out.remarks.push("its table of metrics is missing (NULL)".to_owned());
            return out;
        }
        let mut known: HashMap<String, usize> = HashMap::new();
        for index in 0..=METRICS_MAX {
            // Safety: the table goes on until a name is NULL, and none before was.
            let metric = unsafe { &*metrics.offset(index as isize) };
            if metric.name.is_null() {
                return out;
            }
            if index == METRICS_MAX {
                out.remarks.push(format!("has more than {METRICS_MAX} metrics; the others are left out"));
                return out;
            }
            // Safety: the texts of a table's line are C's.
            let descriptor = unsafe { out.descriptor(metric, libraries) };
            let Some(kind) = Kind::of(metric.kind) else {
                out.remarks.push(format!(
                    "{}: its type {} is none of gmond's (1 to 7), so gmond never sends it; left out",
                    descriptor.name, metric.kind
                ));
                continue;
            };
            if descriptor.name.is_empty() {
                out.remarks.push(format!("metric number {index} of its table has an empty name; left out"));
                continue;
            }
            let place = Place { index, kind };
            let slot = *known.entry(descriptor.name.clone()).or_insert(out.descriptors.len());
            match (out.descriptors.get_mut(slot), out.places.get_mut(slot)) {
                (Some(old), Some(old_place)) => {
                    out.remarks.push(format!("{}: is in its table twice; the later counts", descriptor.name));
                    (*old, *old_place) = (descriptor, place);
                }
                _ => {
                    out.descriptors.push(descriptor);
                    out.places.push(place);
                }
            }
        }
        out
    }

    /// # Safety
    /// The pointers of `metric` are NULL, texts or, for its metadata, a table of libapr's.
    unsafe fn descriptor(&mut self, metric: &Metric, libraries: &Libraries) -> Descriptor {
        // Safety: the caller's.
        let text = |from: *const c_char, most: usize| unsafe { bounded(from, most) };
        let slope = text(metric.slope, NAME_BYTES_MAX);
        let mut out = Descriptor {
            name: text(metric.name, NAME_BYTES_MAX),
            kind: Kind::of(metric.kind).map_or_else(|| ValueKind::Unknown(metric.kind.to_string()), Kind::value_kind),
            units: text(metric.units, UNITS_BYTES_MAX),
            slope: Slope::named(&slope),
            format: text(metric.format, FORMAT_BYTES_MAX),
            description: text(metric.description, DESCRIPTION_BYTES_MAX),
            time_max: u32::try_from(metric.time_max).unwrap_or(0),
            ..Descriptor::default()
        };
        if metric.metadata.is_null() {
            return out;
        }
        // Safety: the caller's.
        let entries = unsafe { elements::<Entry>(libraries.table(metric.metadata)) };
        for entry in entries {
            let (key, value) = (text(entry.key, EXTRA_BYTES_MAX), text(entry.value, EXTRA_BYTES_MAX));
            if out.groups.len() + out.extra.len() == EXTRA_MAX {
                self.remarks.push(format!("{}: more than {EXTRA_MAX} extra keys; the others are left out", out.name));
                break;
            }
            if key.eq_ignore_ascii_case("GROUP") {
                out.groups.push(value);
                continue;
            }
            if key.eq_ignore_ascii_case("SPOOF_HOST") {
                out.spoof_host = Some(value.clone());
            } else if key.eq_ignore_ascii_case("SPOOF_NAME") {
                out.spoof_name = Some(value.clone());
            }
            out.extra.push((key, value));
        }
        out
    }
}

impl Kind {
    fn of(number: c_int) -> Option<Kind> {
        Some(match number {
            1 => Kind::Text,
            2 => Kind::Ushort,
            3 => Kind::Short,
            4 => Kind::Uint,
            5 => Kind::Int,
            6 => Kind::Float,
            7 => Kind::Double,
            _ => return None,
        })
    }

    fn value_kind(self) -> ValueKind {
        match self {
            Kind::Text => ValueKind::String,
            Kind::Ushort => ValueKind::Uint(16),
            Kind::Short => ValueKind::Int(16),
            Kind::Uint => ValueKind::Uint(32),
            Kind::Int => ValueKind::Int(32),
            Kind::Float => ValueKind::Float,
            Kind::Double => ValueKind::Double,
        }
    }
}

/// The elements of an array of libapr's.
///
/// # Safety
/// `array` is NULL or an array whose elements are of this type; it stays as it is while the slice is used.
unsafe fn elements<'a, T>(array: *const Array) -> &'a [T] {
    // Safety: the caller's.
    let Some(array) = (unsafe { array.as_ref() }) else { return &[] };
    let (Ok(count), true) = (usize::try_from(array.count), !array.elements.is_null()) else { return &[] };
    if usize::try_from(array.element_bytes) != Ok(size_of::<T>()) {
        return &[];
    }
    // Safety: libapr keeps `count` elements at `elements`, aligned for any type.
    unsafe { std::slice::from_raw_parts(array.elements.cast::<T>(), count) }
}

/// A C text of at most so many bytes, cut between two characters; what is no UTF-8 in it is replaced. NULL is empty.
///
/// # Safety
/// `from` is NULL or ends with a NUL.
pub(super) unsafe fn bounded(from: *const c_char, most: usize) -> String {
    if from.is_null() {
        return String::new();
    }
    let mut bytes = Vec::new();
    for at in 0..most {
        // Safety: no byte before was the NUL at its end.
        let byte = unsafe { *from.add(at) };
        if byte == 0 {
            break;
        }
        bytes.push(byte.cast_unsigned());
    }
    let text = String::from_utf8_lossy(&bytes);
    plugin_api::limits::cut(&text, most).to_owned()
}
