//! Seconds spent on requests, as quantiles per status class: `request_time,2xx`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, export_pipe};

/// `1xx` to `9xx`, and `-` for requests without a status.
const CLASSES: usize = 10;

/// Feeds the seconds that requests took to a sketch for each class of status. A record without the field feeds nothing.
#[derive(Debug)]
pub struct RequestTime;

impl Pipe for RequestTime {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::RequestTime]);

    fn new(_: &Params) -> Result<RequestTime, Error> {
        Ok(RequestTime)
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        // Where each class is fed, once the batch has met it.
        let mut slots = [None; CLASSES];
        for hit in batch {
            let Some(seconds) = hit.request_time() else { continue };
            let class = hit.status().map_or(0, |status| usize::from(status / 100).min(CLASSES - 1));
            let slot = *slots[class].get_or_insert_with(|| out.slot_of_quantiles(&[hit.status_class()]));
            out.observe_at(slot, seconds);
        }
    }
}

export_pipe!(RequestTime, path = "request_time", action = "quantiles");
