//! Failed requests per status code and path: `error,404,/favicon.ico`.

use plugin_api::{Access, Action, Delta, Error, Field, Fields, ParamDecl, Params, Pipe, export_pipe, limits};

/// Paths kept for a code unless the parameter `k` says otherwise.
const K: u32 = 1_000;

/// The first code that is an error, and how many codes there are: `4xx` and `5xx` (RFC 9110, section 15).
const FIRST: u16 = 400;
const CODES: usize = 200;

/// Bytes of a path that are told apart. Longer paths that begin alike are one: real ones are shorter, and what a
/// hostile client can make the keys take stays within K times this for a code.
const PATH_BYTES_MAX: usize = 2_048;

/// Counts requests that were answered with `4xx` or `5xx`, by code and path without query; keeps the `k` heaviest
/// paths of each code.
#[derive(Debug)]
pub struct Errors {
    k: u32,
    /// Codes whose action has been said since the last flush.
    said: [bool; CODES],
}

impl Pipe for Errors {
    const WANTS: Fields = Fields::of(&[Field::Status, Field::Url]);
    const PARAMS: &'static [ParamDecl] =
        &[ParamDecl::new("k", "1000", "paths kept for each code; the others are counted together at (other)")];

    fn new(params: &Params) -> Result<Errors, Error> {
        let k = params.count("k")?.unwrap_or(K.into());
        match u32::try_from(k) {
            Ok(k @ 1..=Action::TOP_K_MAX) => Ok(Errors { k, said: [false; CODES] }),
            _ => Err(Error::config(format_args!("params: \"k\" must be 1 to {}, not {k}", Action::TOP_K_MAX))),
        }
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        for hit in batch {
            let status = hit.status().unwrap_or(0);
            let Some(said) = self.said.get_mut(usize::from(status.wrapping_sub(FIRST))) else { continue };
            let code: &[&str] = &[hit.status_text()];
            // Codes fold like `add`; it is below each that only the heaviest are kept.
            if !*said {
                out.action(code, Action::Top { k: self.k });
                *said = true;
            }
            // A target that is all query has an empty path, which is no key.
            let path = hit.path().map_or("-", |path| if path.is_empty() { limits::EMPTY } else { path });
            out.top(code, limits::cut(path, PATH_BYTES_MAX), 1.0, self.k);
        }
    }

    fn flush(&mut self, _: &mut Delta) {
        self.said.fill(false);
    }
}

export_pipe!(Errors, path = "error");
