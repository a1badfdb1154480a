//! Deltas as bytes: the one form in which changes reach the tree, from a plugin, a push, a worker or a relay.
//!
//! A frame is a version byte and entries. An entry is a tag, a path and a payload. Neighbouring entries mostly
//! hang under the same node, so a path says how many keys it shares with the one before it and gives the rest:
//!
//! ```text
//! frame   = 0x01 entry*
//! entry   = tag:u8 shared:varint fresh:varint (length:varint key:bytes){fresh} payload
//! payload = number, add, set: f64 little endian      text, sketches: length:varint bytes
//!           boolean: u8                               action: u8 [k:varint]   lifetime: varint milliseconds
//!           total: f64 little endian                  metadata: length:varint (length:varint text)*, in pairs
//! ```
//!
//! Integers are LEB128 varints (as in Protocol Buffers). Reading checks everything and allocates nothing but
//! the stack of keys, which borrow from the frame: a frame may come from anywhere.

use super::meta::Pairs;
use crate::action::Action;
use crate::limits::{DEPTH_MAX, KEY_BYTES_MAX, META_BYTES_MAX, TEXT_BYTES_MAX};
use crate::varint;
use core::fmt;
use core::time::Duration;

const VERSION: u8 = 1;

/// What happens at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op<'a> {
    /// A number, merged by the action that holds there.
    Number(f64),
    /// Adds to a counter.
    Add(f64),
    /// Sets a gauge.
    Set(f64),
    /// Sets a text.
    Text(&'a str),
    /// Sets a boolean.
    Bool(bool),
    /// Merges an encoded [`Quantiles`](crate::sketch::Quantiles).
    Quantiles(&'a [u8]),
    /// Merges an encoded [`Distinct`](crate::sketch::Distinct).
    Distinct(&'a [u8]),
    /// Merges an encoded [`Top`](crate::sketch::Top).
    Top(&'a [u8]),
    /// Sets the node's own action.
    Action(Action),
    /// Sets how long the node's value lives without being renewed; zero is for ever.
    Lifetime(Duration),
    /// Says what a counter stands at.
    Total(f64),
    /// Sets the node's metadata; none takes it away.
    Meta(Pairs<'a>),
}

mod tag {
    pub(super) const NUMBER: u8 = 1;
    pub(super) const ADD: u8 = 2;
    pub(super) const SET: u8 = 3;
    pub(super) const TEXT: u8 = 4;
    pub(super) const BOOL: u8 = 5;
    pub(super) const QUANTILES: u8 = 6;
    pub(super) const DISTINCT: u8 = 7;
    pub(super) const TOP: u8 = 8;
    pub(super) const ACTION: u8 = 9;
    pub(super) const LIFETIME: u8 = 10;
    pub(super) const TOTAL: u8 = 11;
    pub(super) const META: u8 = 12;
}

/// Why bytes are no frame, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// Offset into the frame, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed delta at byte {}: {}", self.at, self.why)
    }
}

impl std::error::Error for FrameError {}

/// Writes a frame, entry by entry, in the order in which they are to be merged.
///
/// Either each entry comes with its whole path ([`Writer::entry`]), or the writer is walked through a nested document
/// ([`Writer::enter`], [`Writer::here`], [`Writer::leave`]) and knows where it is.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    /// The keys of the path where the writer is, one after another.
    keys: Vec<u8>,
    /// Where each of them ends in `keys`.
    ends: Vec<u32>,
    /// How many of them are those of the last entry.
    shared: usize,
    entries: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

impl Writer {
    /// An empty frame.
    #[must_use]
    pub fn new() -> Writer {
        Writer { bytes: vec![VERSION], keys: Vec::new(), ends: Vec::new(), shared: 0, entries: 0 }
    }

    /// Appends an entry. The caller keeps to [`limits`](crate::limits): a reader refuses the frame otherwise.
    pub fn entry(&mut self, path: &[&str], op: Op<'_>) {
        self.entry_bytes(path.iter().map(|key| key.as_bytes()), op);
    }

    pub(crate) fn entry_bytes<'k>(&mut self, mut path: impl Iterator<Item = &'k [u8]> + Clone, op: Op<'_>) {
        let mut same = 0;
        let mut start = 0;
        let mut ahead = path.clone();
        while let (Some(&end), Some(key)) = (self.ends.get(same), ahead.next()) {
            if self.keys[start..end as usize] != *key {
                break;
            }
            path.next();
            start = end as usize;
            same += 1;
        }
        self.keys.truncate(start);
        self.ends.truncate(same);
        self.shared = self.shared.min(same);
        for key in path {
            self.push_key(key);
        }
        self.here(op);
    }

    /// Goes down to a child.
    pub fn enter(&mut self, key: &str) {
        self.push_key(key.as_bytes());
    }

    /// Goes back up to the parent.
    pub fn leave(&mut self) {
        self.ends.pop();
        self.keys.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.shared = self.shared.min(self.ends.len());
    }

    /// The keys of the path where the writer is.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        let mut start = 0;
        let keys = self.ends.iter().map(|end| {
            let key = &self.keys[start..*end as usize];
            start = *end as usize;
            core::str::from_utf8(key).unwrap_or_default()
        });
        keys.collect()
    }

    fn push_key(&mut self, key: &[u8]) {
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len() as u32);
    }

    /// Appends an entry where the writer is.
    pub fn here(&mut self, op: Op<'_>) {
        self.entries += 1;
        self.bytes.push(match op {
            Op::Number(_) => tag::NUMBER,
            Op::Add(_) => tag::ADD,
            Op::Set(_) => tag::SET,
            Op::Text(_) => tag::TEXT,
            Op::Bool(_) => tag::BOOL,
            Op::Quantiles(_) => tag::QUANTILES,
            Op::Distinct(_) => tag::DISTINCT,
            Op::Top(_) => tag::TOP,
            Op::Action(_) => tag::ACTION,
            Op::Lifetime(_) => tag::LIFETIME,
            Op::Total(_) => tag::TOTAL,
            Op::Meta(_) => tag::META,
        });
        self.write_path();
        match op {
            Op::Number(x) | Op::Add(x) | Op::Set(x) | Op::Total(x) => self.bytes.extend_from_slice(&x.to_le_bytes()),
            Op::Text(text) => self.sized(text.as_bytes()),
            Op::Bool(flag) => self.bytes.push(u8::from(flag)),
            Op::Quantiles(sketch) | Op::Distinct(sketch) | Op::Top(sketch) => self.sized(sketch),
            Op::Action(action) => self.action(action),
            Op::Lifetime(life) => {
                let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
                varint::put(&mut self.bytes, millis);
            }
            Op::Meta(pairs) => self.sized(pairs.bytes()),
        }
    }

    fn write_path(&mut self) {
        varint::put(&mut self.bytes, self.shared as u64);
        varint::put(&mut self.bytes, (self.ends.len() - self.shared) as u64);
        let mut start = self.shared.checked_sub(1).map_or(0, |last| self.ends[last] as usize);
        for &end in &self.ends[self.shared..] {
            let key = &self.keys[start..end as usize];
            varint::put(&mut self.bytes, key.len() as u64);
            self.bytes.extend_from_slice(key);
            start = end as usize;
        }
        self.shared = self.ends.len();
    }

    /// Appends all entries of another frame.
    pub fn append(&mut self, other: &Writer) {
        // The first entry of a frame shares nothing with one before it, so it can follow any.
        self.bytes.extend_from_slice(&other.bytes[1..]);
        self.keys.clone_from(&other.keys);
        self.ends.clone_from(&other.ends);
        self.shared = if other.entries == 0 { 0 } else { other.shared };
        self.entries += other.entries;
    }

    fn sized(&mut self, bytes: &[u8]) {
        varint::put(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn action(&mut self, action: Action) {
        self.bytes.push(match action {
            Action::Add => 0,
            Action::Average => 1,
            Action::Min => 2,
            Action::Max => 3,
            Action::Last => 4,
            Action::Quantiles => 5,
            Action::Distinct => 6,
            Action::Top { .. } => 7,
        });
        if let Action::Top { k } = action {
            varint::put(&mut self.bytes, u64::from(k));
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The frame so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished frame.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Starts an empty frame, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.push(VERSION);
        self.keys.clear();
        self.ends.clear();
        self.shared = 0;
        self.entries = 0;
    }
}

/// Reads a frame, entry by entry.
///
/// ```
/// use plugin_api::delta::wire::{Op, Reader, Writer};
///
/// let mut frame = Writer::new();
/// frame.entry(&["ie", "7"], Op::Add(8.0));
/// frame.entry(&["ie", "6"], Op::Add(3.0));
///
/// let mut reader = Reader::new(frame.bytes()).unwrap();
/// let mut seen = Vec::new();
/// while let Some(entry) = reader.next_entry().unwrap() {
///     seen.push((entry.shared, reader.path().join(","), entry.op));
/// }
/// assert_eq!(seen, [(0, "ie,7".into(), Op::Add(8.0)), (1, "ie,6".into(), Op::Add(3.0))]);
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
    path: Vec<&'a str>,
}

/// One entry; its path is [`Reader::path`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadEntry<'a> {
    /// How many leading keys are those of the entry before: a reader that walks a tree need not walk them again.
    pub shared: usize,
    /// What happens there.
    pub op: Op<'a>,
}

impl<'a> Reader<'a> {
    /// Begins to read a frame.
    ///
    /// # Errors
    /// It is of no version known here.
    pub fn new(frame: &'a [u8]) -> Result<Reader<'a>, FrameError> {
        match frame.first() {
            Some(&VERSION) => Ok(Reader { frame, at: 1, path: Vec::new() }),
            Some(_) => Err(FrameError { at: 0, why: "unknown version" }),
            None => Err(FrameError { at: 0, why: "empty" }),
        }
    }

    /// The keys of the entry read last.
    #[must_use]
    pub fn path(&self) -> &[&'a str] {
        &self.path
    }

    /// The next entry, `None` at the end.
    ///
    /// # Errors
    /// The bytes there are no entry. Nothing after them can be read.
    pub fn next_entry(&mut self) -> Result<Option<ReadEntry<'a>>, FrameError> {
        if self.at == self.frame.len() {
            return Ok(None);
        }
        let tag = self.byte()?;
        let shared = self.read_path()?;
        let op = match tag {
            tag::NUMBER => Op::Number(self.number()?),
            tag::ADD => Op::Add(self.number()?),
            tag::SET => Op::Set(self.number()?),
            tag::TEXT => Op::Text(self.text(TEXT_BYTES_MAX)?),
            tag::BOOL => match self.byte()? {
                0 => Op::Bool(false),
                1 => Op::Bool(true),
                _ => return Err(self.error("neither true nor false")),
            },
            tag::QUANTILES => Op::Quantiles(self.sized(usize::MAX)?),
            tag::DISTINCT => Op::Distinct(self.sized(usize::MAX)?),
            tag::TOP => Op::Top(self.sized(usize::MAX)?),
            tag::ACTION => Op::Action(self.action()?),
            tag::LIFETIME => Op::Lifetime(Duration::from_millis(self.varint()?)),
            tag::TOTAL => Op::Total(self.number()?),
            tag::META => Op::Meta(self.pairs()?),
            _ => return Err(self.error("unknown tag")),
        };
        Ok(Some(ReadEntry { shared, op }))
    }

    /// Reads a frame to its end: whether it would merge whole.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn check(mut self) -> Result<usize, FrameError> {
        let mut entries = 0;
        while self.next_entry()?.is_some() {
            entries += 1;
        }
        Ok(entries)
    }

    fn read_path(&mut self) -> Result<usize, FrameError> {
        let shared = self.size()?;
        if shared > self.path.len() {
            return Err(self.error("shares more keys than there are"));
        }
        let fresh = self.size()?;
        if fresh > DEPTH_MAX - shared.min(DEPTH_MAX) {
            return Err(self.error("path too deep"));
        }
        self.path.truncate(shared);
        for _ in 0..fresh {
            let key = self.text(KEY_BYTES_MAX)?;
            if key.is_empty() {
                return Err(self.error("empty key"));
            }
            self.path.push(key);
        }
        Ok(shared)
    }

    fn error(&self, why: &'static str) -> FrameError {
        FrameError { at: self.at, why }
    }

    fn byte(&mut self) -> Result<u8, FrameError> {
        let byte = *self.frame.get(self.at).ok_or(self.error("cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, FrameError> {
        // Nearly all have one byte.
        if let Some(&byte) = self.frame.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, FrameError> {
        let (value, length) = varint::get(&self.frame[self.at..]).ok_or(self.error("cut off or overlong number"))?;
        self.at += length;
        Ok(value)
    }

    fn size(&mut self) -> Result<usize, FrameError> {
        let n = self.varint()?;
        usize::try_from(n).map_err(|_| self.error("number too large"))
    }

    fn sized(&mut self, most: usize) -> Result<&'a [u8], FrameError> {
        let length = self.size()?;
        if length > most {
            return Err(self.error("longer than allowed"));
        }
        let rest = &self.frame[self.at..];
        let bytes = rest.get(..length).ok_or(self.error("cut off"))?;
        self.at += length;
        Ok(bytes)
    }

    fn text(&mut self, most: usize) -> Result<&'a str, FrameError> {
        let bytes = self.sized(most)?;
        core::str::from_utf8(bytes).map_err(|_| self.error("not UTF-8"))
    }

    fn pairs(&mut self) -> Result<Pairs<'a>, FrameError> {
        let bytes = self.sized(META_BYTES_MAX)?;
        Pairs::read(bytes).map_err(|(at, why)| FrameError { at: self.at - bytes.len() + at, why })
    }

    fn number(&mut self) -> Result<f64, FrameError> {
        let bytes = self.frame.get(self.at..self.at + 8).ok_or(self.error("cut off"))?;
        let number = f64::from_le_bytes(bytes.try_into().map_err(|_| self.error("cut off"))?);
        if !number.is_finite() {
            return Err(self.error("not a number"));
        }
        self.at += 8;
        Ok(number)
    }

    fn action(&mut self) -> Result<Action, FrameError> {
        Ok(match self.byte()? {
            0 => Action::Add,
            1 => Action::Average,
            2 => Action::Min,
            3 => Action::Max,
            4 => Action::Last,
            5 => Action::Quantiles,
            6 => Action::Distinct,
            7 => match u32::try_from(self.varint()?) {
                Ok(k) if (1..=Action::TOP_K_MAX).contains(&k) => Action::Top { k },
                _ => return Err(self.error("top keeps 1 to 1,000,000 keys")),
            },
            _ => return Err(self.error("unknown action")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(frame: &[u8]) -> Result<Vec<(Vec<String>, String)>, FrameError> {
        let mut reader = Reader::new(frame)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            let path = reader.path().iter().map(|key| (*key).to_owned()).collect();
            entries.push((path, format!("{:?}", entry.op)));
        }
        Ok(entries)
    }

    fn op<'a>(kind: u8, number: f64, text: &'a str, meta: &'a mut Vec<u8>) -> Op<'a> {
        match kind % 12 {
            0 => Op::Number(number),
            1 => Op::Add(number),
            2 => Op::Set(number),
            3 => Op::Text(text),
            4 => Op::Bool(number > 0.0),
            5 => Op::Quantiles(text.as_bytes()),
            6 => Op::Distinct(text.as_bytes()),
            7 => Op::Top(text.as_bytes()),
            8 => Op::Action(Action::Top { k: 1 + u32::from(kind) }),
            9 => Op::Lifetime(Duration::from_millis(u64::from(kind) << 20)),
            10 => Op::Total(number),
            _ => Op::Meta(Pairs::write(meta, &[("units", text), ("", text), ("group", ""), (text, "x")])),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::vec(
                (prop::collection::vec("[a-cé]{1,3}", 0..6), any::<u8>(), -1e300..1e300, ".{0,20}"), 0..20)
        ) {
            let mut writer = Writer::new();
            let mut wanted = Vec::new();
            let mut meta = Vec::new();
            for (path, kind, number, text) in &entries {
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                writer.entry(&keys, op(*kind, *number, text, &mut meta));
                wanted.push((path.clone(), format!("{:?}", op(*kind, *number, text, &mut meta))));
            }
            prop_assert_eq!(writer.entries(), entries.len());
            prop_assert_eq!(read(writer.bytes()).unwrap(), wanted);
        }

        #[test]
        fn walking_writes_what_entries_write(paths in prop::collection::vec(prop::collection::vec("[ab]{1,2}", 0..5), 0..20)) {
            let (mut walked, mut wanted, mut half) = (Writer::new(), Writer::new(), Writer::new());
            for (i, path) in paths.iter().enumerate() {
                path.iter().for_each(|key| walked.enter(key));
                prop_assert_eq!(walked.path(), path.clone());
                walked.here(Op::Number(i as f64));
                path.iter().for_each(|_| walked.leave());
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                wanted.entry(&keys, Op::Number(i as f64));
                half.entry(&keys, Op::Number(i as f64));
                if i == paths.len() / 2 {
                    let first = std::mem::take(&mut half);
                    half.append(&first);
                }
            }
            prop_assert_eq!(read(walked.bytes()).unwrap(), read(wanted.bytes()).unwrap());
            prop_assert_eq!(read(half.bytes()).unwrap(), read(wanted.bytes()).unwrap());
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), good in any::<bool>()) {
            if good && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = read(&bytes);
        }

        #[test]
        fn a_cut_frame_is_refused_or_shorter(cut in 0usize..90) {
            let mut writer = Writer::new();
            writer.entry(&["ie", "7"], Op::Add(8.0));
            writer.entry(&["ie", "7", "venders"], Op::Text("sogou"));
            writer.entry(&["ie"], Op::Action(Action::Top { k: 1_000 }));
            writer.entry(&["ie", "7"], Op::Meta(Pairs::write(&mut Vec::new(), &[("units", "hits"), ("group", "web")])));
            writer.entry(&["ie", "7"], Op::Total(9.0));
            let whole = read(writer.bytes()).unwrap();
            if let Ok(part) = read(&writer.bytes()[..cut.min(writer.bytes().len())]) {
                prop_assert_eq!(&part[..], &whole[..part.len()]);
            }
        }
    }

    #[test]
    fn what_a_tree_cannot_hold_is_refused() {
        let frame = |path: &[&str], op: Op<'_>| {
            let mut writer = Writer::new();
            writer.entry(path, op);
            read(writer.bytes()).map(|_| ()).map_err(|error| error.why)
        };
        assert_eq!(frame(&["a"], Op::Add(f64::NAN)), Err("not a number"));
        assert_eq!(frame(&["a"], Op::Set(f64::INFINITY)), Err("not a number"));
        assert_eq!(frame(&["a"], Op::Total(f64::NAN)), Err("not a number"));
        let twice = [0, 0, 1, b'b'];
        assert_eq!(frame(&["a"], Op::Meta(Pairs::reread(&twice))), Err("metadata without a key"));
        assert_eq!(frame(&["a"], Op::Meta(Pairs::reread(&[0; META_BYTES_MAX + 1]))), Err("longer than allowed"));
        assert_eq!(frame(&[""], Op::Add(1.0)), Err("empty key"));
        assert_eq!(frame(&["k"; DEPTH_MAX], Op::Add(1.0)), Ok(()));
        assert_eq!(frame(&["k"; DEPTH_MAX + 1], Op::Add(1.0)), Err("path too deep"));
        assert_eq!(frame(&[&"k".repeat(KEY_BYTES_MAX + 1)], Op::Add(1.0)), Err("longer than allowed"));
        assert_eq!(frame(&["a"], Op::Action(Action::Top { k: 0 })), Err("top keeps 1 to 1,000,000 keys"));
    }
}
