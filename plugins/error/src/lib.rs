//! Failed requests per status code and path: `error,404,/favicon.ico`.

use plugin_api::{Access, Action, Delta, Error, Field, Fields, ParamDecl, Params, Pipe, export_pipe, limits};
use std::ops::RangeInclusive;

/// Paths kept for a code unless the parameter `k` says otherwise.
const K: u32 = 1_000;

/// The codes that are errors: `4xx` and `5xx` (RFC 9110, section 15).
const ERRORS: RangeInclusive<u16> = 400..=599;

/// Bytes of a path that are told apart. Longer paths that begin alike are one: real ones are shorter, and what a
/// hostile client can make the keys take stays within K times this for a code.
const PATH_BYTES_MAX: usize = 2_048;

/// Counts requests that were answered with `4xx` or `5xx`, by code and path without query; keeps the `k` heaviest
/// paths of each code.
#[derive(Debug)]
pub struct Errors {
    k: u32,
}

impl Pipe for Errors {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::Url]);
    const PARAMS: &'static [ParamDecl] =
        &[ParamDecl::new("k", "1000", "paths kept for each code; the others are counted together at (other)")];

    fn new(params: &Params) -> Result<Errors, Error> {
        let k = params.count("k")?.unwrap_or(K.into());
        match u32::try_from(k) {
            Ok(k @ 1..=Action::TOP_K_MAX) => Ok(Errors { k }),
            _ => Err(Error::config(format_args!("params: \"k\" must be 1 to {}, not {k}", Action::TOP_K_MAX))),
        }
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        for hit in batch.iter().filter(|hit| hit.status().is_some_and(|status| ERRORS.contains(&status))) {
            // A target that is all query has an empty path, which is no key.
            let path = hit.path().map_or("-", |path| if path.is_empty() { limits::EMPTY } else { path });
            out.top(&[hit.status_text()], limits::cut(path, PATH_BYTES_MAX), 1.0, self.k);
        }
    }
}

export_pipe!(Errors, path = "error");
