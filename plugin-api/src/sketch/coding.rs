//! The pieces that encoded sketches are made of: varints and little-endian f64.

use super::DecodeError;
pub(super) use crate::varint::put;

/// The first byte of every encoded sketch.
pub(super) const VERSION: u8 = 1;

/// Whole numbers below this are written as varints: 2^53, up to where an f64 holds each of them.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Begins a number that is no whole one; eight bytes follow. Whole ones are even.
const FRACTION: u64 = 1;

pub(super) fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a weight: most are small whole numbers and take a byte or two.
pub(super) fn put_weight(out: &mut Vec<u8>, value: f64) {
    if (0.0..WHOLE_MAX).contains(&value) && value.fract() == 0.0 {
        put(out, (value as u64) << 1);
    } else {
        put(out, FRACTION);
        put_f64(out, value);
    }
}

/// Signed as unsigned, small ones staying small.
pub(super) fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

/// Reads an encoded sketch from its beginning.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Checks the version.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Reader<'a>, DecodeError> {
        match bytes.first() {
            Some(&VERSION) => Ok(Reader { bytes, at: 1 }),
            Some(_) => Err(DecodeError { at: 0, why: "unknown version" }),
            None => Err(DecodeError { at: 0, why: "empty" }),
        }
    }

    pub(super) fn error(&self, why: &'static str) -> DecodeError {
        DecodeError { at: self.at, why }
    }

    /// Bytes not yet read: no list can have more entries than these hold.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes[self.at..].get(..length).ok_or(self.error("cut off"))?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let (value, length) =
            crate::varint::get(&self.bytes[self.at..]).ok_or(self.error("cut off or overlong number"))?;
        self.at += length;
        Ok(value)
    }

    /// A length or a number of entries, at most `most`.
    pub(super) fn size(&mut self, most: usize, why: &'static str) -> Result<usize, DecodeError> {
        usize::try_from(self.varint()?).ok().filter(|size| *size <= most).ok_or(self.error(why))
    }

    pub(super) fn signed(&mut self) -> Result<i32, DecodeError> {
        let value = u32::try_from(self.varint()?).map_err(|_| self.error("number too large"))?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A finite number.
    pub(super) fn f64(&mut self) -> Result<f64, DecodeError> {
        let bytes = self.take(8)?;
        let value = f64::from_le_bytes(bytes.try_into().map_err(|_| self.error("cut off"))?);
        if value.is_finite() { Ok(value) } else { Err(self.error("not a number")) }
    }

    /// A finite number that is not negative.
    pub(super) fn weight(&mut self) -> Result<f64, DecodeError> {
        let whole = self.varint()?;
        let value = match whole {
            FRACTION => self.f64()?,
            _ if whole & 1 == 1 => return Err(self.error("unknown kind of number")),
            _ => (whole >> 1) as f64,
        };
        if value >= 0.0 { Ok(value) } else { Err(self.error("negative weight")) }
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.left() == 0 { Ok(()) } else { Err(self.error("more bytes than a sketch has")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_written(n: u64, i: i32, x in 0.0..f64::MAX, whole in 0u64..1 << 53) {
            let mut out = vec![VERSION];
            put(&mut out, n);
            put(&mut out, zigzag(i));
            put_weight(&mut out, x);
            put_weight(&mut out, whole as f64);
            let mut read = Reader::new(&out).unwrap();
            prop_assert_eq!(read.varint(), Ok(n));
            prop_assert_eq!(read.signed(), Ok(i));
            prop_assert_eq!(read.weight(), Ok(x));
            prop_assert_eq!(read.weight(), Ok(whole as f64));
            prop_assert_eq!(read.end(), Ok(()));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let read =
            |bytes: &[u8]| Reader::new(&[&[VERSION], bytes].concat()).unwrap().varint().map_err(|error| error.why);
        assert_eq!(read(&[0xff; 9]), Err("cut off or overlong number"));
        assert_eq!(read(&[0xff; 10]), Err("cut off or overlong number"));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(u64::MAX));
    }
}
