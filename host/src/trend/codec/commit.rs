//! What one commit adds to a block of series: small, written at once, read until a compaction has packed it.

use super::Damaged;
use super::column::{unscaled, whole};
use super::varint::{Bytes, put, unzigzag, zigzag};

/// Series whose samples lie together: those whose numbers differ in the last byte.
pub(crate) const BLOCK_SERIES: u64 = 256;

/// In the place of a number's decimal places: it is told as its bits.
const FLOAT: u64 = 15;

/// Decimal places that are tried.
const PLACES_MAX: u8 = 9;

/// Puts a series' value: its place in the block, then the value as a whole number and where the point is.
pub(crate) fn put_sample(place: u8, value: f64, out: &mut Vec<u8>) {
    out.push(place);
    let found = (0..=PLACES_MAX).find_map(|places| Some((places, whole(value, places)?)));
    match found {
        Some((places, whole)) => put(zigzag(whole) << 4 | u64::from(places), out),
        None => {
            put(FLOAT, out);
            out.extend(value.to_le_bytes());
        }
    }
}

/// Takes all samples off a row.
///
/// # Errors
/// The bytes are not what was written.
pub(crate) fn each_sample(bytes: &[u8], mut each: impl FnMut(u8, f64)) -> Result<(), Damaged> {
    let mut bytes = Bytes(bytes);
    while !bytes.0.is_empty() {
        let place = bytes.byte()?;
        let number = bytes.number()?;
        let value = match number & 15 {
            FLOAT => bytes.float()?,
            places @ 0..=9 => unscaled(unzigzag(number >> 4), places as u8),
            _ => return Err(Damaged("a value of no known kind")),
        };
        each(place, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{each_sample, put_sample};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_come_out_bit_for_bit(samples in prop::collection::vec((any::<u8>(), prop_oneof![
            any::<f64>(), (-1_000_000_i32..1_000_000).prop_map(|n| f64::from(n) / 100.0), any::<u32>().prop_map(f64::from),
        ]), 0..50)) {
            let mut bytes = Vec::new();
            for (place, value) in &samples {
                put_sample(*place, *value, &mut bytes);
            }
            let mut taken = Vec::new();
            each_sample(&bytes, |place, value| taken.push((place, value.to_bits()))).expect("its own bytes");
            let samples: Vec<_> = samples.into_iter().map(|(place, value)| (place, value.to_bits())).collect();
            prop_assert_eq!(taken, samples);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = each_sample(&bytes, |_, _| ());
        }
    }
}
