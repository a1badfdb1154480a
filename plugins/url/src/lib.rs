//! Hits per path: `url,/index.html`.

use plugin_api::{Access, Action, Delta, Error, Field, Fields, ParamDecl, Params, Pipe, export_pipe, limits};

/// Bytes of a path that are told apart. Longer paths that begin alike are one: real ones are shorter, and what a
/// hostile client can make the keys take stays within K times this.
const PATH_BYTES_MAX: usize = 2_048;

/// Counts requests by their path, without the query, and keeps the `k` heaviest.
#[derive(Debug)]
pub struct Url {
    k: u32,
}

impl Pipe for Url {
    const WANTS: Fields = Fields::of(&[Field::Url]);
    const PARAMS: &'static [ParamDecl] =
        &[ParamDecl::new("k", "10000", "paths kept; the others are counted together at (other)")];

    fn new(params: &Params) -> Result<Url, Error> {
        let k = params.count("k")?.unwrap_or(Action::TOP_K.into());
        match u32::try_from(k) {
            Ok(k @ 1..=Action::TOP_K_MAX) => Ok(Url { k }),
            _ => Err(Error::config(format_args!("params: \"k\" must be 1 to {}, not {k}", Action::TOP_K_MAX))),
        }
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        let slot = out.slot_of_top(&[], self.k);
        for hit in batch {
            // A target that is all query has an empty path, which is no key.
            let path = hit.path().map_or("-", |path| if path.is_empty() { limits::EMPTY } else { path });
            out.top_at(slot, limits::cut(path, PATH_BYTES_MAX), 1.0);
        }
    }
}

export_pipe!(Url, path = "url", action = "top");
