//! XXH3-64 without a seed, with the short way for short items: addresses have seven to fifteen bytes, and a call into the
//! library's general way costs several times what their hash does. The specification is at
//! <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>.

use twox_hash::XxHash3_64;

/// Pieces of the default secret as the short ways combine them: its bytes 8 to 24 and 24 to 56.
const FLIP_4_TO_8: u64 = 0x1cad_21f7_2c81_017c ^ 0xdb97_9083_e96d_d4de;
const FLIP_LOW: u64 = 0x1f67_b3b7_a4a4_4072 ^ 0x78e5_c0cc_4ee6_79cb;
const FLIP_HIGH: u64 = 0x2172_ffcc_7dd0_5a82 ^ 0x8e24_43f7_7446_08b8;

const MIX: u64 = 0x9fb2_1c65_1e98_df25;
const AVALANCHE: u64 = 0x1656_6791_9e37_79f9;

/// The hash of an item.
#[inline]
pub(super) fn xxh3(item: &[u8]) -> u64 {
    match item.len() {
        9..=16 => of_9_to_16(item),
        4..=8 => of_4_to_8(item),
        _ => other(item),
    }
}

#[inline(never)]
fn other(item: &[u8]) -> u64 {
    XxHash3_64::oneshot(item)
}

#[inline]
fn of_9_to_16(item: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (item.first_chunk(), item.last_chunk()) else { return other(item) };
    let low = u64::from_le_bytes(*first) ^ FLIP_LOW;
    let high = u64::from_le_bytes(*last) ^ FLIP_HIGH;
    let product = u128::from(low) * u128::from(high);
    let folded = product as u64 ^ (product >> 64) as u64;
    let mixed = (item.len() as u64).wrapping_add(low.swap_bytes()).wrapping_add(high).wrapping_add(folded);
    let hash = (mixed ^ mixed >> 37).wrapping_mul(AVALANCHE);
    hash ^ hash >> 32
}

#[inline]
fn of_4_to_8(item: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (item.first_chunk(), item.last_chunk()) else { return other(item) };
    let both = u64::from(u32::from_le_bytes(*last)) | u64::from(u32::from_le_bytes(*first)) << 32;
    let keyed = both ^ FLIP_4_TO_8;
    let hash = (keyed ^ keyed.rotate_left(49) ^ keyed.rotate_left(24)).wrapping_mul(MIX);
    let hash = (hash ^ (hash >> 35).wrapping_add(item.len() as u64)).wrapping_mul(MIX);
    hash ^ hash >> 28
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_librarys_hash(item in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(xxh3(&item), XxHash3_64::oneshot(&item));
        }
    }

    #[test]
    fn it_is_the_librarys_hash_at_each_length() {
        let item: Vec<u8> = (0..=255).collect();
        for length in 0..=item.len() {
            assert_eq!(xxh3(&item[..length]), XxHash3_64::oneshot(&item[..length]), "{length}");
        }
    }
}
