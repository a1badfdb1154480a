//! Integers of as many bytes as they need (LEB128, as Protocol Buffers have it), and its zigzag for signed ones.

use super::Damaged;

/// Puts a number.
pub(in super::super) fn put(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Puts a number that may be negative.
pub(super) fn put_signed(n: i64, out: &mut Vec<u8>) {
    put(zigzag(n), out);
}

/// The small numbers of either sign as small ones.
pub(super) fn zigzag(n: i64) -> u64 {
    (n.cast_unsigned() << 1) ^ (n >> 63).cast_unsigned()
}

/// What [`zigzag`] was made of.
pub(super) fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// Takes numbers off bytes.
#[derive(Clone, Debug)]
pub(in super::super) struct Bytes<'b>(pub(in super::super) &'b [u8]);

impl<'b> Bytes<'b> {
    pub(in super::super) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged("it ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(in super::super) fn take(&mut self, n: usize) -> Result<&'b [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(in super::super) fn number(&mut self) -> Result<u64, Damaged> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged("a number of more than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Damaged> {
        Ok(unzigzag(self.number()?))
    }

    /// A number that counts something in memory.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, Damaged> {
        usize::try_from(self.number()?).ok().filter(|n| *n <= most).ok_or(Damaged("a count beyond its bound"))
    }

    /// A check sum.
    pub(super) fn check(&mut self) -> Result<u32, Damaged> {
        let bytes = self.take(4)?.try_into().map_err(|_| Damaged("it ends early"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn float(&mut self) -> Result<f64, Damaged> {
        let bytes = self.take(8)?.try_into().map_err(|_| Damaged("it ends early"))?;
        Ok(f64::from_le_bytes(bytes))
    }
}
