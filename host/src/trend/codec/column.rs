//! A column of values, in the order of their times.
//!
//! Figures that people and machines write have few decimals: 21.34 is 2,134 hundredths. Where all of a column are whole after
//! the point is moved, and come out bit for bit when it is moved back, the integers are kept: few of them as differences in
//! variable length, many by pco (`pcodec.org`), which codes differences near the entropy of their distribution. What is not
//! so is given to pco as floating point numbers.

use super::Damaged;
use super::varint::{Bytes, put_signed};
use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

/// Values of a column at most: what is read is given no more room.
pub(crate) const VALUES_MAX: usize = 1 << 24;

/// Below it the tables that pco needs cost more than they save.
const PCO_FROM: usize = 24;

/// The best for its time, as measured: level 6 makes columns 0.2 % larger, 9 takes 1.4 times as long for 0.02 %.
const LEVEL: usize = 8;

/// How far the point is moved at most.
const SCALE_MAX: u8 = 9;

/// Integers up to it are exact as floating point numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

const SAME: u8 = 0;
const SMALL: u8 = 1;
const PCO_WHOLE: u8 = 2;
const PCO_FLOAT: u8 = 3;
const RAW: u8 = 4;
const SAME_FLOAT: u8 = 5;

/// Whole numbers that a column's values are after the point is moved by as many places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaled {
    pub(super) places: u8,
    pub(super) whole: Vec<i64>,
}

impl Scaled {
    /// None if the values do not come out bit for bit.
    pub(super) fn of(values: &[f64]) -> Option<Scaled> {
        let mut places = 0;
        for value in values {
            while whole(*value, places).is_none() {
                places += 1;
                if places > SCALE_MAX {
                    return None;
                }
            }
        }
        // A value with fewer places is whole with more as well, unless it is too large.
        let whole = values.iter().map(|value| whole(*value, places)).collect::<Option<Vec<i64>>>()?;
        Some(Scaled { places, whole })
    }
}

const POWERS: [f64; SCALE_MAX as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

fn power(places: u8) -> f64 {
    POWERS[usize::from(places.min(SCALE_MAX))]
}

/// A value as a whole number of its last place, if it comes out of that again.
pub(super) fn whole(value: f64, places: u8) -> Option<i64> {
    let whole = (value * power(places)).round_ties_even();
    let fits = whole.abs() <= EXACT && unscaled(whole as i64, places).to_bits() == value.to_bits();
    fits.then_some(whole as i64)
}

/// The value of a whole number of last places.
pub(super) fn unscaled(whole: i64, places: u8) -> f64 {
    whole as f64 / power(places)
}

/// Puts a column.
pub(crate) fn put(values: &[f64], out: &mut Vec<u8>) {
    let Some(scaled) = Scaled::of(values) else { return put_floats(values, out) };
    put_whole(&scaled.whole, scaled.places, true, out);
}

/// Puts whole numbers; `differences` where neighbours are alike.
pub(super) fn put_whole(values: &[i64], places: u8, differences: bool, out: &mut Vec<u8>) {
    let tag = |kind: u8| kind | places << 4;
    let Some((first, rest)) = values.split_first() else { return out.push(tag(SAME)) };
    if rest.iter().all(|value| value == first) {
        out.push(tag(SAME));
        return put_signed(*first, out);
    }
    if values.len() >= PCO_FROM {
        let delta = if differences { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
        let start = out.len();
        out.push(tag(PCO_WHOLE));
        if put_pco(values, delta, out).is_some() {
            return;
        }
        out.truncate(start);
    }
    out.push(tag(SMALL));
    let mut before = 0;
    for value in values {
        put_signed(value.wrapping_sub(before), out);
        before = *value;
    }
}

fn put_floats(values: &[f64], out: &mut Vec<u8>) {
    if let Some((first, rest)) = values.split_first()
        && rest.iter().all(|value| value.to_bits() == first.to_bits())
    {
        out.push(SAME_FLOAT);
        return out.extend(first.to_le_bytes());
    }
    if values.len() >= PCO_FROM {
        let start = out.len();
        out.push(PCO_FLOAT);
        // A number that is no number is as good as any: the bits are kept.
        let bits: Vec<u64> = values.iter().map(|value| ordered(value.to_bits())).collect();
        if put_pco(&bits, DeltaSpec::Auto, out).is_some() {
            return;
        }
        out.truncate(start);
    }
    out.push(RAW);
    for value in values {
        out.extend(value.to_le_bytes());
    }
}

/// The bits of floating point numbers in the order of these.
fn ordered(bits: u64) -> u64 {
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn unordered(bits: u64) -> u64 {
    if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits }
}

/// Puts numbers by pco, in one page. None if it refuses, which it has no reason to.
pub(super) fn put_pco<T: Number>(values: &[T], delta: DeltaSpec, out: &mut Vec<u8>) -> Option<()> {
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(VALUES_MAX));
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(values, &config).ok()?;
    file.write_header(&mut *out).ok()?;
    chunk.write_meta(&mut *out).ok()?;
    chunk.write_page(0, out).ok()?;
    Some(())
}

/// Takes numbers that [`put_pco`] put.
pub(super) fn take_pco<T: Number + Default>(bytes: &[u8], n: usize) -> Result<Vec<T>, Damaged> {
    let damaged = |_| Damaged("its numbers");
    let (file, rest) = FileDecompressor::new(bytes).map_err(damaged)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(damaged)?;
    let mut page = chunk.page_decompressor(rest, n).map_err(damaged)?;
    let mut values = vec![T::default(); n];
    let progress = page.read(&mut values).map_err(damaged)?;
    if progress.n_processed == n { Ok(values) } else { Err(Damaged("numbers that end early")) }
}

/// Takes a column of so many values; its bytes end with it.
///
/// # Errors
/// The bytes are not what was written.
pub(crate) fn take(bytes: &[u8], n: usize) -> Result<Vec<f64>, Damaged> {
    if n > VALUES_MAX {
        return Err(Damaged("a count beyond its bound"));
    }
    let mut rest = Bytes(bytes);
    match rest.byte()? {
        PCO_FLOAT => {
            let bits: Vec<u64> = take_pco(rest.0, n)?;
            Ok(bits.into_iter().map(|bits| f64::from_bits(unordered(bits))).collect())
        }
        RAW => (0..n).map(|_| rest.float()).collect(),
        SAME_FLOAT => Ok(vec![rest.float()?; n]),
        tag => {
            let places = tag >> 4;
            let whole = take_whole(bytes, n)?;
            Ok(whole.into_iter().map(|whole| unscaled(whole, places)).collect())
        }
    }
}

/// Takes whole numbers that [`put_whole`] put.
pub(super) fn take_whole(bytes: &[u8], n: usize) -> Result<Vec<i64>, Damaged> {
    let mut rest = Bytes(bytes);
    match rest.byte()? & 0x0f {
        SAME if n == 0 => Ok(Vec::new()),
        SAME => Ok(vec![rest.signed()?; n]),
        SMALL => {
            let mut before = 0_i64;
            let next = |_| {
                before = before.wrapping_add(rest.signed()?);
                Ok(before)
            };
            (0..n).map(next).collect()
        }
        PCO_WHOLE => take_pco(rest.0, n),
        _ => Err(Damaged("a column of no known kind")),
    }
}

/// How many places the point of a column of whole numbers is moved by.
pub(super) fn places(bytes: &[u8]) -> u8 {
    bytes.first().map_or(0, |tag| tag >> 4)
}

#[cfg(test)]
mod tests {
    use super::{PCO_FLOAT, PCO_WHOLE, put, take};
    use proptest::prelude::*;

    fn packed(values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(values, &mut bytes);
        bytes
    }

    fn is_kept(values: &[f64]) {
        let bytes = packed(values);
        let taken = take(&bytes, values.len()).expect("its own bytes");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&taken), bits(values));
    }

    #[test]
    fn decimals_are_kept_as_whole_numbers() {
        let values: Vec<f64> = (0..1_000).map(|n| f64::from((n * n) % 977) / 100.0).collect();
        let bytes = packed(&values);
        assert_eq!(bytes[0] & 0x0f, PCO_WHOLE);
        assert_eq!(bytes[0] >> 4, 2);
        assert!(bytes.len() < 1_500, "{} bytes", bytes.len());
        is_kept(&values);
    }

    #[test]
    fn what_has_no_last_place_is_kept_as_it_is() {
        let values: Vec<f64> = (0..100).map(|n| f64::from(n).sqrt()).collect();
        assert_eq!(packed(&values)[0], PCO_FLOAT);
        is_kept(&values);
        is_kept(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN_POSITIVE, f64::MAX]);
        is_kept(&[-0.0; 50]);
        is_kept(&[]);
    }

    #[test]
    fn a_value_that_stays_costs_nothing() {
        assert!(packed(&[99.5; 10_000]).len() <= 4);
        is_kept(&[99.5; 10_000]);
    }

    proptest! {
        #[test]
        fn any_values_come_out_bit_for_bit(values in prop::collection::vec(any::<f64>(), 0..200)) {
            is_kept(&values);
        }

        #[test]
        fn any_bits_come_out(values in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..200)) {
            is_kept(&values);
        }

        #[test]
        fn any_decimals_come_out(whole in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..200), places in 0_i32..10) {
            let values: Vec<f64> = whole.iter().map(|whole| *whole as f64 / 10_f64.powi(places)).collect();
            is_kept(&values);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_other_values(
            values in prop::collection::vec(-1_000_i32..1_000, 0..100),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            n in 0_usize..200,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut bytes = packed(&values);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = take(&bytes, n);
        }
    }
}
