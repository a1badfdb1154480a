//! A set of bytes.

/// A set of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    bits: [u64; 4],
}

impl Set {
    pub(crate) const EMPTY: Set = Set { bits: [0; 4] };

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.bits[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    pub(crate) fn add(&mut self, byte: u8) {
        self.bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn add_all(&mut self, other: &Set) {
        self.bits.iter_mut().zip(other.bits).for_each(|(bits, other)| *bits |= other);
    }

    /// The only byte that is not in it, if there is but one.
    pub(crate) fn all_but(&self) -> Option<u8> {
        let mut absent = (0..=u8::MAX).filter(|&byte| !self.has(byte));
        absent.next().filter(|_| absent.next().is_none())
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
