//! Samples of some series over some time, in one piece.
//!
//! ```text
//! version u8 · CRC-32 of all that follows u32 · length of the head u32 · head · sections
//! head:     times · number of series · for each: its number less the one before, the length of its section
//! section:  which of the times it has · its values, or its buckets
//! ```
//! A reader of one series takes the head and that section alone.

use super::Damaged;
use super::bucket::{Bucket, put_buckets, take_buckets};
use super::column;
use super::times::{put_places, put_times, take_places, take_times};
use super::varint::{Bytes, put};

const VERSION: u8 = 1;

/// Version, check sum, length of the head.
pub(crate) const LEAD_BYTES: usize = 9;

/// Series in a pack at most: those of a block.
const SERIES_MAX: usize = super::commit::BLOCK_SERIES as usize;

/// Puts series together, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Packer<'t> {
    times: &'t [i64],
    series: Vec<(u64, usize)>,
    sections: Vec<u8>,
    samples: u64,
}

impl<'t> Packer<'t> {
    /// For series that have some of these times.
    pub(crate) fn new(times: &'t [i64]) -> Packer<'t> {
        Packer { times, series: Vec::new(), sections: Vec::new(), samples: 0 }
    }

    /// Adds the samples of a series, which come at these places among the times.
    pub(crate) fn add(&mut self, series: u64, places: &[u32], values: &[f64]) {
        self.section(series, places, |out| column::put(values, out));
    }

    /// Adds the buckets of a series, which begin at these places among the times.
    pub(crate) fn add_buckets(&mut self, series: u64, places: &[u32], buckets: &[Bucket]) {
        self.section(series, places, |out| put_buckets(buckets, out));
    }

    fn section(&mut self, series: u64, places: &[u32], put: impl FnOnce(&mut Vec<u8>)) {
        let before = self.sections.len();
        put_places(places, self.times.len(), &mut self.sections);
        put(&mut self.sections);
        self.series.push((series, self.sections.len() - before));
        self.samples += places.len() as u64;
    }

    /// Bytes of its sections.
    pub(crate) fn bytes(&self) -> usize {
        self.sections.len()
    }

    /// The first and the last series, and how many samples there are; None if there are none.
    pub(crate) fn holds(&self) -> Option<(u64, u64, u64)> {
        Some((self.series.first()?.0, self.series.last()?.0, self.samples))
    }

    /// The piece.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut head = Vec::new();
        put_times(self.times, &mut head);
        put(self.series.len() as u64, &mut head);
        let mut before = 0;
        for (series, len) in &self.series {
            put(series - before, &mut head);
            put(*len as u64, &mut head);
            before = *series;
        }
        let head_len = u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut check = crc32fast::Hasher::new();
        for part in [&head_len[..], &head, &self.sections] {
            check.update(part);
        }
        [&[VERSION], &check.finalize().to_le_bytes()[..], &head_len, &head, &self.sections].concat()
    }
}

/// What a pack has, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) times: Vec<i64>,
    /// Series, and where their sections are.
    series: Vec<(u64, std::ops::Range<usize>)>,
}

/// The length of the head, by the [`LEAD_BYTES`] that a pack begins with.
///
/// # Errors
/// They are not what was written.
pub(crate) fn head_bytes(lead: &[u8]) -> Result<usize, Damaged> {
    match lead {
        [VERSION, _, _, _, _, a, b, c, d, ..] => Ok(u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        [version, ..] if *version > VERSION => Err(Damaged("a form that a newer graftd writes")),
        _ => Err(Damaged("its beginning")),
    }
}

impl Head {
    /// Reads a head, which lies behind the [`LEAD_BYTES`].
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn read(head: &[u8]) -> Result<Head, Damaged> {
        let mut bytes = Bytes(head);
        let times = take_times(&mut bytes)?;
        let n = bytes.count(SERIES_MAX)?;
        let (mut id, mut at) = (0_u64, LEAD_BYTES + head.len());
        let beyond = Damaged("a series beyond all");
        let mut series = Vec::with_capacity(n);
        for _ in 0..n {
            id = id.checked_add(bytes.number()?).ok_or(beyond)?;
            let len = bytes.count(u32::MAX as usize)?;
            series.push((id, at..at + len));
            at += len;
        }
        Ok(Head { times, series })
    }

    /// Reads the head of a whole pack, which is checked.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn of(pack: &[u8]) -> Result<Head, Damaged> {
        let len = head_bytes(pack)?;
        let kept = pack.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        if kept != Some(crc32fast::hash(pack.get(5..).unwrap_or_default())) {
            return Err(Damaged("its check sum"));
        }
        Head::read(pack.get(LEAD_BYTES..LEAD_BYTES + len).ok_or(Damaged("it ends early"))?)
    }

    /// The series that it has.
    pub(crate) fn series(&self) -> impl Iterator<Item = u64> + '_ {
        self.series.iter().map(|(id, _)| *id)
    }

    /// Where in the pack the section of a series is.
    pub(crate) fn section(&self, series: u64) -> Option<std::ops::Range<usize>> {
        let at = self.series.binary_search_by_key(&series, |(id, _)| *id).ok()?;
        Some(self.series[at].1.clone())
    }

    /// The times at some places.
    pub(crate) fn times_at(&self, places: &[u32]) -> Vec<i64> {
        if places.len() == self.times.len() {
            return self.times.clone();
        }
        places.iter().filter_map(|place| self.times.get(*place as usize).copied()).collect()
    }

    /// A series' samples: their places among the times, and the values.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn values(&self, section: &[u8]) -> Result<(Vec<u32>, Vec<f64>), Damaged> {
        let mut bytes = Bytes(section);
        let places = take_places(&mut bytes, self.times.len())?;
        let values = column::take(bytes.0, places.len())?;
        Ok((places, values))
    }

    /// A series' buckets: the places of their beginnings among the times, and what they came to.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn buckets(&self, section: &[u8]) -> Result<(Vec<u32>, Vec<Bucket>), Damaged> {
        let mut bytes = Bytes(section);
        let places = take_places(&mut bytes, self.times.len())?;
        let buckets = take_buckets(bytes.0, places.len())?;
        Ok((places, buckets))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::Bucket;
    use super::super::bucket::joined;
    use super::{Head, Packer};

    /// A walk of so many figures of two decimals: the same for the same series.
    fn walk(series: u64, n: usize, step: u64) -> Vec<f64> {
        let mut random = series.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut now = 250_000_i64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            now += (random % (2 * step + 1)).cast_signed() - step.cast_signed();
            now as f64 / 100.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn series_come_out_of_a_pack_each_by_itself() {
        let times: Vec<i64> = (0..500).map(|n| 1_767_571_200_000 + n * 10_000).collect();
        let all: Vec<u32> = (0..500).collect();
        let some: Vec<u32> = all.iter().copied().filter(|n| n % 7 == 3).collect();
        let mut packer = Packer::new(&times);
        packer.add(512, &all, &walk(1, 500, 40));
        packer.add(700, &some, &walk(2, some.len(), 40));
        assert_eq!(packer.holds(), Some((512, 700, 500 + some.len() as u64)));
        let pack = packer.finish();
        let head = Head::of(&pack).expect("its own bytes");
        assert_eq!(head.times, times);
        assert_eq!(head.series().collect::<Vec<_>>(), [512, 700]);
        assert_eq!(head.section(513), None);
        let section = head.section(700).expect("it is there");
        assert_eq!(head.values(&pack[section]), Ok((some.clone(), walk(2, some.len(), 40))));
    }

    #[test]
    fn damage_is_seen() {
        let times = [0, 10_000, 20_000];
        let mut packer = Packer::new(&times);
        packer.add(1, &[0, 1, 2], &[1.0, 2.0, 3.0]);
        let pack = packer.finish();
        for at in 0..pack.len() {
            let mut damaged = pack.clone();
            damaged[at] ^= 0x10;
            assert!(Head::of(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_bucket_of_a_minute_is_small() {
        let times: Vec<i64> = (0..8_640).map(|n| n * 10_000).collect();
        let samples: Vec<Bucket> = walk(3, 8_640, 200).into_iter().map(Bucket::of).collect();
        let (starts, buckets) = joined(&times, &samples, 60_000);
        let mut packer = Packer::new(&starts);
        packer.add_buckets(1, &(0..1_440).collect::<Vec<u32>>(), &buckets);
        let bytes = packer.bytes();
        let pack = packer.finish();
        let head = Head::of(&pack).expect("its own bytes");
        let section = head.section(1).expect("it is there");
        assert_eq!(head.buckets(&pack[section]).expect("its own bytes").1, buckets);
        assert!(bytes as f64 / 1_440.0 < 5.0, "{} bytes a bucket", bytes as f64 / 1_440.0);
    }
}
