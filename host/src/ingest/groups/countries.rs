//! The countries of addresses that came before.

use crate::limits::GROUP_ADDRESSES;
use countries::{Countries, address};
use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

/// A country's code (ISO 3166-1 alpha-2), as bytes of ASCII.
pub(super) type Code = [u8; 2];

/// An address, and what is known of it.
type Known = (IpAddr, Option<Code>);

/// A database, and what it said of the addresses of late: each has one place, and who comes there last stays.
#[derive(Debug)]
pub(super) struct Remembered {
    countries: Arc<Countries>,
    places: Box<[Option<Known>]>,
    /// Seeded by each process for itself, so that nobody can prepare addresses that turn each other out.
    hasher: RandomState,
}

impl Remembered {
    pub(super) fn new(countries: Arc<Countries>) -> Remembered {
        Remembered { countries, places: vec![None; GROUP_ADDRESSES].into(), hasher: RandomState::default() }
    }

    /// The country of an address as a log writes it; none for a host name, and for what the database does not know.
    #[inline]
    pub(super) fn code(&mut self, text: &str) -> Option<Code> {
        let addr = address(text)?;
        let at = self.hasher.hash_one(addr) as usize % GROUP_ADDRESSES;
        match self.places[at] {
            Some((known, code)) if known == addr => code,
            _ => self.look_up(at, addr),
        }
    }

    #[cold]
    fn look_up(&mut self, at: usize, addr: IpAddr) -> Option<Code> {
        // Who wrote the file may write anything there.
        let code = self.countries.of(addr).and_then(|code| Code::try_from(code.as_bytes()).ok());
        let code = code.filter(|code| code.iter().all(u8::is_ascii_alphanumeric));
        self.places[at] = Some((addr, code));
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_remembered_is_what_the_database_says() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/geo/tests/test.mmdb");
        let countries = Countries::open(Path::new(file)).unwrap();
        let mut remembered = Remembered::new(Arc::clone(&countries));
        // More than there are places, so that they turn each other out; twice, so that some are there.
        for _ in 0..2 {
            for n in 0..3 * GROUP_ADDRESSES as u32 {
                for begin in [[192, 0, 2, 0], [198, 51, 100, 0], [203, 0, 113, 0]] {
                    let addr = std::net::Ipv4Addr::from(u32::from_be_bytes(begin).wrapping_add(n % 700));
                    for text in [addr.to_string(), format!("::ffff:{addr}"), format!("2001:db8:{:x}::{n:x}", n % 4)] {
                        let said = countries.of(address(&text).unwrap());
                        assert_eq!(remembered.code(&text).as_ref().map(|code| &code[..]), said.map(str::as_bytes));
                    }
                }
            }
        }
        assert_eq!(remembered.code("192.0.2.77"), Some(*b"DE"));
        assert_eq!((remembered.code("client.example"), remembered.code("")), (None, None));
    }
}
