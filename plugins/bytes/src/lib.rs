//! Bytes sent per status class: `bytes,2xx`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, Slot, export_pipe};

/// `1xx` to `9xx`, and `-` for requests without a status.
const CLASSES: usize = 10;

/// Sums the bytes of the bodies sent, by the class of the status. Requests whose log has no size add nothing.
#[derive(Debug, Default)]
pub struct Bytes {
    /// Where each class is summed, once it has been met.
    slots: [Option<Slot>; CLASSES],
    /// The epoch of the delta for which the slots are good.
    epoch: u32,
}

impl Pipe for Bytes {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::Bytes]);

    fn new(_: &Params) -> Result<Bytes, Error> {
        Ok(Bytes::default())
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        // Slots turn stale between two batches only, at a flush.
        if self.epoch != out.epoch() {
            *self = Bytes { epoch: out.epoch(), ..Bytes::default() };
        }
        for hit in batch {
            let Some(bytes) = hit.bytes() else { continue };
            let class = hit.status().map_or(0, |status| usize::from(status / 100).min(CLASSES - 1));
            let slot = *self.slots[class].get_or_insert_with(|| out.slot(&[hit.status_class()]));
            out.add_at(slot, bytes as f64);
        }
    }
}

export_pipe!(Bytes, path = "bytes");
