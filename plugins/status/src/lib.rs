//! Hits per status code: `status,200`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, export_pipe};

/// Codes have three digits (RFC 9110, section 15), so an array holds them all.
const CODES: usize = 1_000;

/// Counts requests by their status code. Those without one are counted at `-`.
#[derive(Debug)]
pub struct Status {
    /// Hits since the last flush, by code; at 0 those without a code.
    hits: Box<[u64; CODES]>,
}

impl Pipe for Status {
    const WANTS: Fields = Fields::of(&[Field::Status]);

    fn new(_: &Params) -> Result<Status, Error> {
        Ok(Status { hits: Box::new([0; CODES]) })
    }

    fn process(&mut self, batch: &[Access<'_>], _: &mut Delta) {
        for hit in batch {
            let code = hit.status().map_or(0, usize::from);
            self.hits[if code < CODES { code } else { 0 }] += 1;
        }
    }

    fn flush(&mut self, out: &mut Delta) {
        for (code, hits) in self.hits.iter_mut().enumerate().filter(|(_, hits)| **hits > 0) {
            let key = if code == 0 { "-".to_owned() } else { code.to_string() };
            out.add(&[&key], *hits as f64);
            *hits = 0;
        }
    }
}

export_pipe!(Status, path = "status");
