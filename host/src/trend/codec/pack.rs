//! Samples of some series over some time, in one piece.
//!
//! ```text
//! version u8 · CRC-32 of the length and the head u32 · length of the head u32 · head · sections
//! head:     times · number of series · for each: its number less the one before, the length of its section, its CRC-32 u32
//! section:  which of the times it has · its values, or its buckets
//! ```
//! A reader of some series takes the head and their sections alone. Version 1, which is read but not written any more, had one
//! check sum for all that follows it and none for sections: it has to be read whole.

use super::Damaged;
use super::bucket::{Bucket, put_buckets, take_buckets};
use super::column;
use super::times::{Places, put_places, put_times, take_places, take_times};
use super::varint::{Bytes, put};
use std::sync::Arc;

const VERSION: u8 = 2;
/// One check sum for all.
const WHOLE: u8 = 1;

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
        let (mut before, mut rest) = (0, &self.sections[..]);
        for (series, len) in &self.series {
            let (section, after) = rest.split_at(*len);
            put(series - before, &mut head);
            put(*len as u64, &mut head);
            head.extend(crc32fast::hash(section).to_le_bytes());
            (before, rest) = (*series, after);
        }
        let head_len = u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes();
        let check = check_of(&[&head_len, &head]).to_le_bytes();
        [&[VERSION], &check[..], &head_len, &head, &self.sections].concat()
    }
}

fn check_of(parts: &[&[u8]]) -> u32 {
    let mut check = crc32fast::Hasher::new();
    parts.iter().for_each(|part| check.update(part));
    check.finalize()
}

/// What a pack begins with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lead {
    /// Bytes of the head, which follows.
    pub(crate) head: usize,
    version: u8,
    check: u32,
}

impl Lead {
    /// Reads the [`LEAD_BYTES`].
    ///
    /// # Errors
    /// They are not what was written.
    pub(crate) fn of(lead: &[u8]) -> Result<Lead, Damaged> {
        match *lead {
            [version @ WHOLE..=VERSION, a, b, c, d, e, f, g, h, ..] => Ok(Lead {
                head: u32::from_le_bytes([e, f, g, h]) as usize,
                version,
                check: u32::from_le_bytes([a, b, c, d]),
            }),
            [version, ..] if version > VERSION => Err(Damaged("a form that a newer graftd writes")),
            _ => Err(Damaged("its beginning")),
        }
    }

    /// Whether the pack can be checked as a whole alone.
    pub(crate) fn is_whole(self) -> bool {
        self.version == WHOLE
    }
}

/// What a pack has, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    /// Of all its series.
    pub(crate) times: Arc<Vec<i64>>,
    /// The same as they are written.
    written: Vec<u8>,
    series: Vec<(u64, Section)>,
}

/// Where a series is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    /// In the pack.
    pub(crate) at: std::ops::Range<usize>,
    /// None where the whole pack has been checked.
    check: Option<u32>,
}

impl Section {
    /// Whether these are its bytes.
    ///
    /// # Errors
    /// They are not what was written.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Damaged> {
        match self.check {
            Some(check) if check != crc32fast::hash(bytes) => Err(Damaged("a series' check sum")),
            _ => Ok(()),
        }
    }
}

impl Head {
    /// Reads a head, which lies behind the [`LEAD_BYTES`], and checks it. Where it has the times of one that was read before, it
    /// shares them.
    ///
    /// # Errors
    /// The bytes are not what was written; or the pack has to be read [whole](Head::of).
    pub(crate) fn read(lead: Lead, head: &[u8], before: Option<&Head>) -> Result<Head, Damaged> {
        let len = u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes();
        if lead.is_whole() || lead.head != head.len() || lead.check != check_of(&[&len, head]) {
            return Err(Damaged("the check sum of its head"));
        }
        Head::taken(lead, head, before)
    }

    fn taken(lead: Lead, head: &[u8], before: Option<&Head>) -> Result<Head, Damaged> {
        let mut bytes = Bytes(head);
        // What is written alike is alike, and ends alike.
        let (times, written) = match before.filter(|before| head.starts_with(&before.written)) {
            Some(before) => (Arc::clone(&before.times), bytes.take(before.written.len())?),
            None => {
                let times = Arc::new(take_times(&mut bytes)?);
                (times, &head[..head.len() - bytes.0.len()])
            }
        };
        let n = bytes.count(SERIES_MAX)?;
        let (mut id, mut at) = (0_u64, LEAD_BYTES + head.len());
        let beyond = Damaged("a series beyond all");
        let mut series = Vec::with_capacity(n);
        for _ in 0..n {
            id = id.checked_add(bytes.number()?).ok_or(beyond)?;
            let len = bytes.count(u32::MAX as usize)?;
            let check = if lead.is_whole() { None } else { Some(bytes.check()?) };
            series.push((id, Section { at: at..at + len, check }));
            at += len;
        }
        Ok(Head { times, written: written.to_vec(), series })
    }

    /// Reads the head of a whole pack, all of which is checked.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn of(pack: &[u8]) -> Result<Head, Damaged> {
        let lead = Lead::of(pack)?;
        let head = pack.get(LEAD_BYTES..LEAD_BYTES + lead.head).ok_or(Damaged("it ends early"))?;
        if lead.is_whole() {
            return match pack.get(5..) {
                Some(rest) if crc32fast::hash(rest) == lead.check => Head::taken(lead, head, None),
                _ => Err(Damaged("its check sum")),
            };
        }
        let head = Head::read(lead, head, None)?;
        for (_, section) in &head.series {
            section.check(pack.get(section.at.clone()).ok_or(Damaged("it ends early"))?)?;
        }
        Ok(head)
    }

    /// The series that it has.
    pub(crate) fn series(&self) -> impl Iterator<Item = u64> + '_ {
        self.series.iter().map(|(id, _)| *id)
    }

    /// Where in the pack a series is.
    pub(crate) fn section(&self, series: u64) -> Option<&Section> {
        let at = self.series.binary_search_by_key(&series, |(id, _)| *id).ok()?;
        Some(&self.series[at].1)
    }

    /// A series' samples: their places among the times, and the values.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn values(&self, section: &[u8]) -> Result<(Places, Vec<f64>), Damaged> {
        let mut bytes = Bytes(section);
        let places = take_places(&mut bytes, self.times.len())?;
        let values = column::take(bytes.0, places.len())?;
        Ok((places, values))
    }

    /// A series' buckets: the places of their beginnings among the times, and what they came to.
    ///
    /// # Errors
    /// The bytes are not what was written.
    pub(crate) fn buckets(&self, section: &[u8]) -> Result<(Places, Vec<Bucket>), Damaged> {
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
    use super::{Damaged, Head, LEAD_BYTES, Lead, Packer, Places, check_of, put, put_times};
    use std::sync::Arc;

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
        assert_eq!(*head.times, times);
        assert_eq!(head.series().collect::<Vec<_>>(), [512, 700]);
        assert_eq!(head.section(513), None);
        let section = head.section(700).expect("it is there").at.clone();
        assert_eq!(head.values(&pack[section]), Ok((Places::Some(some.clone()), walk(2, some.len(), 40))));
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
            assert!(alone(&damaged, 1).is_err(), "byte {at}, read by itself");
        }
        assert_eq!(alone(&pack, 1), Ok(vec![1.0, 2.0, 3.0]));
    }

    /// A series as it is read without the others.
    fn alone(pack: &[u8], series: u64) -> Result<Vec<f64>, Damaged> {
        let lead = Lead::of(&pack[..LEAD_BYTES])?;
        let head = pack.get(LEAD_BYTES..LEAD_BYTES + lead.head).ok_or(Damaged("it ends early"))?;
        let head = Head::read(lead, head, None)?;
        let section = head.section(series).ok_or(Damaged("it is not there"))?;
        let bytes = &pack[section.at.clone()];
        section.check(bytes)?;
        Ok(head.values(bytes)?.1)
    }

    #[test]
    fn packs_of_the_same_times_share_them() {
        let head = |times: &[i64], before: Option<&Head>| {
            let mut packer = Packer::new(times);
            packer.add(1, &[0], &[1.0]);
            let pack = packer.finish();
            let lead = Lead::of(&pack).expect("its own bytes");
            Head::read(lead, &pack[LEAD_BYTES..LEAD_BYTES + lead.head], before).expect("its own bytes")
        };
        let some = [0, 10_000, 30_000];
        let first = head(&some, None);
        let second = head(&some, Some(&first));
        assert!(Arc::ptr_eq(&first.times, &second.times));
        assert_eq!(second, first);
        let others: [&[i64]; 4] = [&[], &[0], &[0, 10_000, 30_000, 40_000], &[0, 10_000, 40_000]];
        for others in others {
            assert_eq!(*head(others, Some(&first)).times, others);
            assert_eq!(*head(&some, Some(&head(others, None))).times, some);
        }
    }

    #[test]
    fn a_pack_of_the_first_version_is_read_whole() {
        let times = [0, 10_000, 20_000];
        let mut head = Vec::new();
        put_times(&times, &mut head);
        put(1, &mut head);
        let mut packer = Packer::new(&times);
        packer.add(7, &[0, 1, 2], &[1.0, 2.0, 3.0]);
        put(7, &mut head);
        put(packer.bytes() as u64, &mut head);
        let head_len = u32::try_from(head.len()).expect("short").to_le_bytes();
        let check = check_of(&[&head_len, &head, &packer.sections]).to_le_bytes();
        let pack = [&[1], &check[..], &head_len, &head, &packer.sections].concat();
        let read = Head::of(&pack).expect("as it was written");
        let section = read.section(7).expect("it is there");
        assert_eq!(read.values(&pack[section.at.clone()]), Ok((Places::Run(0..3), vec![1.0, 2.0, 3.0])));
        assert!(Lead::of(&pack).expect("a beginning").is_whole());
        assert!(alone(&pack, 7).is_err());
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
        let section = head.section(1).expect("it is there").at.clone();
        assert_eq!(head.buckets(&pack[section]).expect("its own bytes").1, buckets);
        assert!(bytes as f64 / 1_440.0 < 5.0, "{} bytes a bucket", bytes as f64 / 1_440.0);
    }
}
