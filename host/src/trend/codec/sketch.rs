//! Sketches of one node, in the order of their times.
//!
//! One alone lies as the tree encodes it (`plugin_api::sketch`), behind a byte for its kind. Many are a pack: what they are
//! encoded as is taken apart, so that like stands with like, and each column is coded by pco near its entropy. A register of a
//! distinct count that takes six bits takes one or two so, a bin of a quantile sketch one byte for two or three.
//!
//! ```text
//! row       = 0x02 quantiles | 0x03 distinct                                                        one sketch
//!           | 0x04 times (length:varint column){9}     sums, least, greatest, zeros, bins of either sign, firsts, gaps, counts
//!           | 0x05 times (length:varint column){4}     lengths (-1: registers), gaps of entries, their ranks, registers
//! ```

use super::Damaged;
use super::column::{put as put_floats, put_pco, put_whole, take as take_floats, take_pco, take_whole};
use super::times::{put_times, take_times};
use super::varint::{Bytes, put, unzigzag, zigzag};
use crate::tree::Fed;
use pco::DeltaSpec;
use plugin_api::sketch::{Distinct, Quantiles};

/// Kinds of rows. The first two are those of a sketch in the table `state`.
const QUANTILES: u8 = 2;
const DISTINCT: u8 = 3;
const QUANTILES_PACK: u8 = 4;
const DISTINCT_PACK: u8 = 5;

/// A single sketch that is larger is tried as a pack.
const SINGLE_BYTES: usize = 1_024;

/// What sketches are encoded as, as far as it is taken apart here.
const VERSION: u8 = 1;
const DENSE: u8 = 1;
/// Registers of a dense distinct count, and its bytes: four in three.
const REGISTERS: usize = 1 << 14;
const DENSE_BYTES: usize = REGISTERS / 4 * 3;
const RANK_BITS: u32 = 6;
/// Stands for a dense one where lengths stand.
const IS_DENSE: i64 = -1;

/// Puts the sketches of a row that stands at a time; they are of one kind, not empty, and their times ascend.
pub(crate) fn put_row(at: i64, sketches: &[(i64, Fed)], out: &mut Vec<u8>) {
    let single = match sketches {
        [(time, fed)] if *time == at => {
            let mut bytes = Vec::new();
            put_one(fed, &mut bytes);
            if bytes.len() <= SINGLE_BYTES {
                return out.extend(bytes);
            }
            Some(bytes)
        }
        _ => None,
    };
    let packed = pack(sketches);
    match single {
        Some(single) if packed.as_ref().is_none_or(|packed| single.len() <= packed.len()) => out.extend(single),
        _ => out.extend(packed.unwrap_or_default()),
    }
}

/// Puts one sketch, for a row that stands at its time.
pub(crate) fn put_one(fed: &Fed, out: &mut Vec<u8>) {
    match fed {
        Fed::Quantiles(sketch) => {
            out.push(QUANTILES);
            sketch.encode(out);
        }
        Fed::Distinct(sketch) => {
            out.push(DISTINCT);
            sketch.encode(out);
        }
    }
}

/// Takes the sketches of a row that stands at a time, those of times that are wanted.
///
/// # Errors
/// The bytes are not what was written.
pub(crate) fn take_row(
    at: i64,
    bytes: &[u8],
    wanted: impl Fn(i64) -> bool,
    mut each: impl FnMut(i64, Fed),
) -> Result<(), Damaged> {
    let mut tell = |time: i64, fed: Fed| {
        if fed.is_empty() {
            return Err(Damaged("a sketch of nothing"));
        }
        each(time, fed);
        Ok(())
    };
    let mut rest = Bytes(bytes);
    match rest.byte()? {
        QUANTILES if wanted(at) => tell(at, quantiles(rest.0)?),
        DISTINCT if wanted(at) => tell(at, distinct(rest.0)?),
        QUANTILES | DISTINCT => Ok(()),
        QUANTILES_PACK => unpack_quantiles(rest, &wanted, |time, bytes| tell(time, quantiles(bytes)?)),
        DISTINCT_PACK => unpack_distinct(rest, &wanted, |time, bytes| tell(time, distinct(bytes)?)),
        _ => Err(Damaged("sketches of no known kind")),
    }
}

fn quantiles(bytes: &[u8]) -> Result<Fed, Damaged> {
    let sketch = Quantiles::decode(bytes).map_err(|_| Damaged("a sketch of quantiles"))?;
    Ok(Fed::Quantiles(Box::new(sketch)))
}

fn distinct(bytes: &[u8]) -> Result<Fed, Damaged> {
    let sketch = Distinct::decode(bytes).map_err(|_| Damaged("a sketch of a distinct count"))?;
    Ok(Fed::Distinct(Box::new(sketch)))
}

/// None for what is not as it is encoded today, which does not come.
fn pack(sketches: &[(i64, Fed)]) -> Option<Vec<u8>> {
    let times: Vec<i64> = sketches.iter().map(|(time, _)| *time).collect();
    let mut out = Vec::new();
    let mut encoded = Vec::new();
    match sketches.first()?.1 {
        Fed::Quantiles(_) => {
            let mut columns = QuantileColumns::default();
            for (_, fed) in sketches {
                let Fed::Quantiles(sketch) = fed else { return None };
                encoded.clear();
                sketch.encode(&mut encoded);
                columns.add(&encoded).ok()?;
            }
            out.push(QUANTILES_PACK);
            put_times(&times, &mut out);
            columns.put(&mut out);
        }
        Fed::Distinct(_) => {
            let mut columns = DistinctColumns::default();
            for (_, fed) in sketches {
                let Fed::Distinct(sketch) = fed else { return None };
                encoded.clear();
                sketch.encode(&mut encoded);
                columns.add(&encoded).ok()?;
            }
            out.push(DISTINCT_PACK);
            put_times(&times, &mut out);
            columns.put(&mut out);
        }
    }
    Some(out)
}

fn put_column(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut column = Vec::new();
    fill(&mut column);
    put(column.len() as u64, out);
    out.extend(column);
}

fn take_column<'b>(rest: &mut Bytes<'b>) -> Result<&'b [u8], Damaged> {
    let length = rest.count(rest.0.len())?;
    rest.take(length)
}

/// How many a column of lengths stands for.
fn total(lengths: &[i64]) -> Result<usize, Damaged> {
    let sum = lengths.iter().try_fold(0_usize, |sum, n| sum.checked_add(usize::try_from(*n).ok()?));
    sum.filter(|sum| *sum <= super::column::VALUES_MAX).ok_or(Damaged("more than a pack holds"))
}

#[derive(Debug, Default)]
struct QuantileColumns {
    sums: Vec<f64>,
    least: Vec<f64>,
    greatest: Vec<f64>,
    zeros: Vec<i64>,
    /// Of positive numbers and of negative ones, in turn.
    bins: Vec<i64>,
    /// Of each that has bins.
    firsts: Vec<i64>,
    /// Between bins: none before the first.
    gaps: Vec<i64>,
    counts: Vec<i64>,
}

impl QuantileColumns {
    fn add(&mut self, encoded: &[u8]) -> Result<(), Damaged> {
        let mut rest = Bytes(encoded);
        if rest.byte()? != VERSION {
            return Err(Damaged("a sketch of another version"));
        }
        self.sums.push(rest.float()?);
        self.least.push(rest.float()?);
        self.greatest.push(rest.float()?);
        self.zeros.push(rest.number()?.cast_signed());
        for _ in 0..2 {
            let n = rest.number()?;
            self.bins.push(n.cast_signed());
            for i in 0..n {
                let place = rest.number()?;
                if i == 0 {
                    self.firsts.push(unzigzag(place));
                } else {
                    self.gaps.push(place.cast_signed());
                }
                self.counts.push(rest.number()?.cast_signed());
            }
        }
        Ok(())
    }

    fn put(&self, out: &mut Vec<u8>) {
        for floats in [&self.sums, &self.least, &self.greatest] {
            put_column(out, |column| put_floats(floats, column));
        }
        for whole in [&self.zeros, &self.bins, &self.firsts, &self.gaps, &self.counts] {
            put_column(out, |column| put_whole(whole, 0, false, column));
        }
    }
}

fn unpack_quantiles(
    mut rest: Bytes<'_>,
    wanted: &impl Fn(i64) -> bool,
    mut each: impl FnMut(i64, &[u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let times = take_times(&mut rest)?;
    if !times.iter().any(|time| wanted(*time)) {
        return Ok(());
    }
    let n = times.len();
    let mut floats = || take_floats(take_column(&mut rest)?, n);
    let (sums, least, greatest) = (floats()?, floats()?, floats()?);
    let mut whole = |n: usize| take_whole(take_column(&mut rest)?, n);
    let (zeros, bins) = (whole(n)?, whole(2 * n)?);
    let all = total(&bins)?;
    let with = bins.iter().filter(|bins| **bins > 0).count();
    let (firsts, gaps, counts) = (whole(with)?, whole(all - with)?, whole(all)?);
    if !rest.0.is_empty() {
        return Err(Damaged("it goes on behind its end"));
    }
    let (mut firsts, mut gaps, mut counts) = (firsts.iter(), gaps.iter(), counts.iter());
    let mut encoded = Vec::new();
    for (i, time) in times.iter().enumerate() {
        encoded.clear();
        encoded.push(VERSION);
        for float in [sums[i], least[i], greatest[i]] {
            encoded.extend(float.to_le_bytes());
        }
        put(zeros[i].cast_unsigned(), &mut encoded);
        for bins in &bins[2 * i..2 * i + 2] {
            put(bins.cast_unsigned(), &mut encoded);
            for bin in 0..*bins {
                // There are as many as all lengths together.
                if bin == 0 {
                    put(zigzag(firsts.next().copied().unwrap_or(0)), &mut encoded);
                } else {
                    put(gaps.next().copied().unwrap_or(0).cast_unsigned(), &mut encoded);
                }
                put(counts.next().copied().unwrap_or(0).cast_unsigned(), &mut encoded);
            }
        }
        if wanted(*time) {
            each(*time, &encoded)?;
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct DistinctColumns {
    lengths: Vec<i64>,
    /// Between the leading bits of entries; of the first of each sketch, the bits themselves.
    gaps: Vec<i64>,
    ranks: Vec<u16>,
    registers: Vec<u16>,
}

impl DistinctColumns {
    fn add(&mut self, encoded: &[u8]) -> Result<(), Damaged> {
        let mut rest = Bytes(encoded);
        if rest.byte()? != VERSION {
            return Err(Damaged("a sketch of another version"));
        }
        if rest.byte()? == DENSE {
            self.lengths.push(IS_DENSE);
            for three in rest.take(DENSE_BYTES)?.chunks_exact(3) {
                let bits = three.iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
                self.registers.extend([0, 6, 12, 18].map(|shift| (bits >> shift & 0x3f) as u16));
            }
            return Ok(());
        }
        let n = rest.number()?;
        self.lengths.push(n.cast_signed());
        let (mut entry, mut before) = (0_u64, 0);
        for _ in 0..n {
            entry += rest.number()?;
            self.gaps.push(((entry >> RANK_BITS) - before).cast_signed());
            self.ranks.push((entry & 0x3f) as u16);
            before = entry >> RANK_BITS;
        }
        Ok(())
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_column(out, |column| put_whole(&self.lengths, 0, false, column));
        put_column(out, |column| put_whole(&self.gaps, 0, false, column));
        for small in [&self.ranks, &self.registers] {
            put_column(out, |column| {
                if !small.is_empty() {
                    // It refuses nothing that comes here; what is cut off would be found by the check.
                    let _ = put_pco(small, DeltaSpec::NoOp, column);
                }
            });
        }
    }
}

fn unpack_distinct(
    mut rest: Bytes<'_>,
    wanted: &impl Fn(i64) -> bool,
    mut each: impl FnMut(i64, &[u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let times = take_times(&mut rest)?;
    if !times.iter().any(|time| wanted(*time)) {
        return Ok(());
    }
    let lengths = take_whole(take_column(&mut rest)?, times.len())?;
    let sparse: Vec<i64> = lengths.iter().copied().filter(|n| *n != IS_DENSE).collect();
    let entries = total(&sparse)?;
    let dense = total(&vec![REGISTERS as i64; lengths.len() - sparse.len()])?;
    let gaps = take_whole(take_column(&mut rest)?, entries)?;
    let mut small = |n: usize| {
        let column = take_column(&mut rest)?;
        if n == 0 { Ok(Vec::new()) } else { take_pco::<u16>(column, n) }
    };
    let (ranks, registers) = (small(entries)?, small(dense)?);
    if !rest.0.is_empty() {
        return Err(Damaged("it goes on behind its end"));
    }
    let (mut gaps, mut ranks, mut registers) = (gaps.iter(), ranks.iter(), registers.chunks_exact(REGISTERS));
    let mut encoded = Vec::new();
    for (time, length) in times.iter().zip(lengths) {
        encoded.clear();
        if length == IS_DENSE {
            let registers = registers.next().unwrap_or_default();
            if !wanted(*time) {
                continue;
            }
            encoded.extend([VERSION, DENSE]);
            for four in registers.chunks_exact(4) {
                let bits = four.iter().rev().fold(0_u32, |bits, rank| bits << 6 | u32::from(rank & 0x3f));
                encoded.extend_from_slice(&bits.to_le_bytes()[..3]);
            }
        } else {
            encoded.extend([VERSION, 0]);
            put(length.cast_unsigned(), &mut encoded);
            let (mut bits, mut before) = (0_i64, 0_i64);
            for _ in 0..length {
                bits = bits.wrapping_add(gaps.next().copied().unwrap_or(0));
                let entry = bits.wrapping_shl(RANK_BITS) | i64::from(ranks.next().copied().unwrap_or(0));
                put(entry.wrapping_sub(before).cast_unsigned(), &mut encoded);
                before = entry;
            }
        }
        if wanted(*time) {
            each(*time, &encoded)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Fed, put_row, take_row};
    use plugin_api::sketch::{Distinct, Quantiles};
    use proptest::prelude::*;

    fn of_numbers(values: &[f64]) -> Fed {
        let mut sketch = Quantiles::new();
        values.iter().for_each(|value| sketch.observe(*value));
        Fed::Quantiles(Box::new(sketch))
    }

    fn of_items(items: std::ops::Range<u32>) -> Fed {
        let mut sketch = Distinct::new();
        items.for_each(|item| sketch.insert(&item.to_le_bytes()));
        Fed::Distinct(Box::new(sketch))
    }

    fn encoded(fed: &Fed) -> Vec<u8> {
        let mut bytes = Vec::new();
        super::put_one(fed, &mut bytes);
        bytes
    }

    fn comes_back(at: i64, sketches: &[(i64, Fed)]) -> usize {
        let mut bytes = Vec::new();
        put_row(at, sketches, &mut bytes);
        let mut found = Vec::new();
        take_row(at, &bytes, |_| true, |time, fed| found.push((time, encoded(&fed)))).expect("its own bytes");
        let expected: Vec<(i64, Vec<u8>)> = sketches.iter().map(|(time, fed)| (*time, encoded(fed))).collect();
        assert!(found == expected, "{} of {} sketches", found.len(), expected.len());
        let mut some = Vec::new();
        let wanted = |time| time % 3 == 0;
        take_row(at, &bytes, wanted, |time, fed| some.push((time, encoded(&fed)))).expect("its own bytes");
        assert!(some == expected.into_iter().filter(|(time, _)| wanted(*time)).collect::<Vec<_>>());
        // Whatever is cut off or changed is an error or something else, but no panic.
        for n in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
            assert!(take_row(at, &bytes[..n], |_| true, |_, _| {}).is_err());
            let mut other = bytes.clone();
            other[n] ^= 0x15;
            let _ = take_row(at, &other, |_| true, |_, _| {});
        }
        bytes.len()
    }

    #[test]
    fn sketches_come_back_bit_for_bit_in_little_room() {
        comes_back(7, &[(7, of_numbers(&[1.5]))]);
        comes_back(7, &[(7, of_items(0..5_000))]);
        comes_back(0, &[(7, of_numbers(&[-3.0, 0.0, 2.0]))]);
        let hour: Vec<(i64, Fed)> = (0..360)
            .map(|n| {
                let times: Vec<f64> = (0..6).map(|i| 0.01 * f64::from((n * 7 + i * 13) % 97 + 1)).collect();
                (i64::from(n) * 10_000, of_numbers(&times))
            })
            .collect();
        assert!(comes_back(0, &hour) < 360 * 24);
        // Each has two thousand items: in 12,288 bytes if they lie as they are.
        let ten_minutes: Vec<(i64, Fed)> =
            (0..30).map(|n| (i64::from(n), of_items(n * 2_000..(n + 1) * 2_000))).collect();
        let bytes = comes_back(0, &ten_minutes);
        assert!(bytes < 30 * 2_100, "{} bytes each", bytes / 30);
        let minutes: Vec<(i64, Fed)> = (0..60).map(|n| (i64::from(n), of_items(n * 300..(n + 1) * 300))).collect();
        let bytes = comes_back(0, &minutes);
        assert!(bytes < 60 * 300 * 3, "{} bytes each", bytes / 60);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_sketches_come_back(
            numbers in prop::collection::vec(prop::collection::vec(any::<f64>(), 1..40), 1..40),
            items in prop::collection::vec((0u32..5_000, 1u32..3_000), 1..20),
        ) {
            let of = |(n, values): (usize, &Vec<f64>)| (n as i64, of_numbers(&[&values[..], &[1.0]].concat()));
            comes_back(-1, &numbers.iter().enumerate().map(of).collect::<Vec<_>>());
            let of = |(n, (from, many)): (usize, &(u32, u32))| (n as i64, of_items(*from..from + many));
            comes_back(-1, &items.iter().enumerate().map(of).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 2u8..6) {
            let _ = take_row(0, &[&[kind][..], &bytes].concat(), |_| true, |_, _| {});
        }
    }
}
