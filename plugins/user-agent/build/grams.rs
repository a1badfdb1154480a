//! How literals are found: by three bytes of them, which are looked up at every other byte of a text.
//!
//! The build picks two places of each literal, an even and an odd one: wherever the literal stands, one of them is at an even
//! byte of the text. What is rare in agents is picked, so that little is compared.

/// Bytes of a text from one look-up to the next.
pub(crate) const STRIDE: usize = 2;

/// Different hashes of three bytes.
pub(crate) const HASHES: usize = 1 << 15;

/// The bits of a byte that count: upper and lower case have the same.
pub(crate) const BYTE_BITS: u8 = 0x1f;

/// The hash of the three lowest bytes.
#[inline]
pub(crate) const fn hash(bytes: u64) -> usize {
    const THREE: u64 = BYTE_BITS as u64 * 0x01_01_01;
    // Moves the five bits of each byte to beside each other. What is carried along besides does no harm to a hash.
    ((bytes & THREE).wrapping_mul(1 | 1 << 13 | 1 << 26) >> 16) as usize & (HASHES - 1)
}
