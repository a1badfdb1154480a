//! A set of bytes.

use memchr::memchr;

/// A set of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    bits: [u64; 4],
    /// The only byte that is not in it, if there is but one.
    all_but: Option<u8>,
}

impl Set {
    pub(crate) const EMPTY: Set = Set { bits: [0; 4], all_but: None };

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.bits[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    pub(crate) fn add(&mut self, byte: u8) {
        self.bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
        let mut absent = (0..=u8::MAX).filter(|&byte| !self.has(byte));
        self.all_but = absent.next().filter(|_| absent.next().is_none());
    }

    pub(crate) fn add_all(&mut self, other: &Set) {
        (0..=u8::MAX).filter(|&byte| other.has(byte)).for_each(|byte| self.add(byte));
    }

    /// How many bytes from the first on are in it.
    #[inline]
    pub(crate) fn run(&self, text: &[u8]) -> usize {
        let end = match self.all_but {
            Some(byte) => memchr(byte, text),
            None => text.iter().position(|&byte| !self.has(byte)),
        };
        end.unwrap_or(text.len())
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Set {
        bytes.into_iter().fold(Set::EMPTY, |mut set, byte| {
            set.add(byte);
            set
        })
    }
}
