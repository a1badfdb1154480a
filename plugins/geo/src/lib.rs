//! Hits per country of the client: `geo,DE`.

use maxminddb::{Reader, path};
use plugin_api::{Access, Cache, Delta, Error, Field, Fields, ParamDecl, Params, Pipe, Slot, export_pipe};
use std::net::IpAddr;

/// The key of clients whose country the database does not know.
const UNKNOWN: &str = "(unknown)";

/// Addresses whose country is remembered, in about 1.5 MB. Four times as many are no faster: they miss the processor's
/// cache instead.
const CACHE_ENTRIES_MAX: usize = 16_384;

/// Counts requests by the ISO 3166-1 code of the client's country, looked up in a file in MaxMind's format
/// (<https://maxmind.github.io/MaxMind-DB/>).
pub struct Geo {
    /// Held in memory, not mapped: a mapped file that someone cuts short would kill the daemon.
    database: Reader<Vec<u8>>,
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
        match Reader::open_readfile(file) {
            Ok(database) => Ok(Geo { database, slots: Cache::new(CACHE_ENTRIES_MAX) }),
            Err(error) => Err(Error::config(format_args!("params: \"database\": cannot read {file:?}: {error}"))),
        }
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        let Geo { database, slots } = self;
        for hit in batch {
            let slot = slots.get(out, hit.addr().unwrap_or("-"), |out, addr| {
                out.slot(&[country(database, addr).unwrap_or(UNKNOWN)])
            });
            out.add_at(slot, 1.0);
        }
    }
}

/// The country of an address; `None` for a host name, an address that the database does not know, or a damaged entry.
fn country<'a>(database: &'a Reader<Vec<u8>>, addr: &str) -> Option<&'a str> {
    // A server that listens on IPv6 logs IPv4 clients as `::ffff:192.0.2.1`.
    let addr = addr.parse::<IpAddr>().ok()?.to_canonical();
    database.lookup(addr).ok()?.decode_path(&path!["country", "iso_code"]).ok()?
}

export_pipe!(Geo, path = "geo");
