//! Seconds spent on requests, as quantiles per status class: `request_time,2xx`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, export_pipe};

/// Feeds the seconds that requests took to a sketch for each class of status. A record without the field feeds nothing.
#[derive(Debug)]
pub struct RequestTime;

impl Pipe for RequestTime {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::RequestTime]);

    fn new(_: &Params) -> Result<RequestTime, Error> {
        Ok(RequestTime)
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        for hit in batch {
            if let Some(seconds) = hit.request_time() {
                out.observe(&[hit.status_class()], seconds);
            }
        }
    }
}

export_pipe!(RequestTime, path = "request_time", action = "quantiles");
