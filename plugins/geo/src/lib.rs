//! Hits per country of the client: `geo,DE`.

use countries::{Countries, address};
use plugin_api::{Access, Cache, Delta, Error, Field, Fields, ParamDecl, Params, Pipe, Slot, export_pipe};
use std::path::Path;
use std::sync::Arc;

/// The key of clients whose country the database does not know.
const UNKNOWN: &str = "(unknown)";

/// Addresses whose country is remembered, in about 1.5 MB. Four times as many are no faster: they miss the processor's
/// cache instead.
const CACHE_ENTRIES_MAX: usize = 16_384;

/// Counts requests by the ISO 3166-1 code of the client's country, looked up in a file in MaxMind's format
/// (<https://maxmind.github.io/MaxMind-DB/>).
pub struct Geo {
    /// Shared with the other instances, in other logs and groups.
    countries: Arc<Countries>,
    slots: Cache<Slot>,
}

impl Pipe for Geo {
    const WANTS: Fields = Fields::of(&[Field::Addr]);
    const PARAMS: &'static [ParamDecl] =
        &[ParamDecl::new("database", "", "file in MaxMind's format that has countries, such as GeoLite2-Country.mmdb")];

    fn new(params: &Params) -> Result<Geo, Error> {
        let Some(file) = params.text("database")? else {
            return Err(Error::config(
                "params: \"database\" is missing: name a file such as \"/var/lib/GeoIP/GeoLite2-Country.mmdb\"",
            ));
        };
        let countries = Countries::open(Path::new(file))
            .map_err(|why| Error::config(format_args!("params: \"database\": {why}")))?;
        Ok(Geo { countries, slots: Cache::new(CACHE_ENTRIES_MAX) })
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        let Geo { countries, slots } = self;
        for hit in batch {
            let slot = slots.get(out, hit.addr().unwrap_or("-"), |out, addr| {
                out.slot(&[address(addr).and_then(|addr| countries.of(addr)).unwrap_or(UNKNOWN)])
            });
            out.add_at(slot, 1.0);
        }
    }
}

export_pipe!(Geo, path = "geo");
