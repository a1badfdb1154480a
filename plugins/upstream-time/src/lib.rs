//! Seconds spent by the upstreams, as quantiles per status class: `upstream_time,2xx`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, export_pipe};

/// Feeds the seconds that the upstreams took to a sketch for each class of status. A record without the field feeds nothing.
#[derive(Debug)]
pub struct UpstreamTime;

impl Pipe for UpstreamTime {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::UpstreamTime]);

    fn new(_: &Params) -> Result<UpstreamTime, Error> {
        Ok(UpstreamTime)
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        for hit in batch {
            if let Some(seconds) = hit.upstream_time() {
                out.observe(&[hit.status_class()], seconds);
            }
        }
    }
}

export_pipe!(UpstreamTime, path = "upstream_time", action = "quantiles");
