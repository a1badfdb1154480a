//! The paths of a delta, each with what has been fed to it.

use crate::action::Action;
use crate::limits::{DELTA_KEYS_BYTES_MAX, DELTA_PATHS_MAX, EMPTY, KEY_BYTES_MAX, cut};
use crate::sketch::{Distinct, Quantiles, Top};
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Ends a key in `Table::keys`: a byte that no UTF-8 text has.
const END: u8 = 0xff;

/// Room past the limit for the `(other)`s themselves.
const BEYOND: usize = 1_024;

/// The same for their keys, in bytes.
const BEYOND_KEYS_BYTES: usize = 1024 * 1024;

/// What is kept at a path; one path may have several (a counter and its lifetime).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Set,
    Text,
    Bool,
    Quantiles,
    Distinct,
    Top { k: u32 },
    Action,
    Lifetime,
    Total,
    Meta,
}

/// What has been fed to a path.
#[derive(Debug)]
pub(super) enum Acc {
    Add(f64),
    Set(f64),
    Text(String),
    Bool(bool),
    Quantiles(Box<Quantiles>),
    Distinct(Box<Distinct>),
    Top(Box<Top>),
    Action(Action),
    Lifetime(Duration),
    Total(f64),
    /// Encoded [`Pairs`](super::meta::Pairs); none once it is flushed.
    Meta(Vec<u8>),
}

impl Acc {
    fn new(kind: Kind) -> Acc {
        match kind {
            Kind::Add => Acc::Add(0.0),
            Kind::Set => Acc::Set(0.0),
            Kind::Text => Acc::Text(String::new()),
            Kind::Bool => Acc::Bool(false),
            Kind::Quantiles => Acc::Quantiles(Box::default()),
            Kind::Distinct => Acc::Distinct(Box::default()),
            Kind::Top { k } => Acc::Top(Box::new(Top::new(k))),
            Kind::Action => Acc::Action(Action::Add),
            Kind::Lifetime => Acc::Lifetime(Duration::ZERO),
            Kind::Total => Acc::Total(0.0),
            Kind::Meta => Acc::Meta(Vec::new()),
        }
    }

    fn is(&self, kind: Kind) -> bool {
        match (self, kind) {
            (Acc::Top(top), Kind::Top { k }) => top.k() == k,
            (Acc::Add(_), Kind::Add)
            | (Acc::Set(_), Kind::Set)
            | (Acc::Text(_), Kind::Text)
            | (Acc::Bool(_), Kind::Bool)
            | (Acc::Quantiles(_), Kind::Quantiles)
            | (Acc::Distinct(_), Kind::Distinct)
            | (Acc::Action(_), Kind::Action)
            | (Acc::Lifetime(_), Kind::Lifetime)
            | (Acc::Total(_), Kind::Total)
            | (Acc::Meta(_), Kind::Meta) => true,
            _ => false,
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Acc::Text(text) => text.capacity(),
            Acc::Meta(pairs) => pairs.capacity(),
            Acc::Quantiles(sketch) => sketch.memory_bytes(),
            Acc::Distinct(sketch) => sketch.memory_bytes(),
            Acc::Top(sketch) => sketch.memory_bytes(),
            _ => 0,
        }
    }
}

#[derive(Debug)]
struct Entry {
    /// Where the path's keys stand in `Table::keys`.
    start: u32,
    end: u32,
    /// Fed since the last flush, so it is in `Table::dirty`.
    dirty: bool,
    acc: Acc,
    hash: u64,
}

#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// From a path's hash to its entry.
    index: HashTable<u32>,
    /// The keys of all paths, each ended by `END`.
    keys: Vec<u8>,
    /// Entries fed since the last flush, in the order in which they were.
    dirty: Vec<u32>,
    /// Seeded by each process for itself, so that nobody can prepare keys that collide.
    hasher: RandomState,
    epoch: u32,
}

impl Table {
    pub(super) fn new() -> Table {
        Table {
            entries: Vec::new(),
            index: HashTable::new(),
            keys: Vec::new(),
            dirty: Vec::new(),
            hasher: RandomState::default(),
            epoch: 0,
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.entries.len() >= DELTA_PATHS_MAX + BEYOND || self.keys.len() >= DELTA_KEYS_BYTES_MAX + BEYOND_KEYS_BYTES
    }

    #[inline]
    fn hash(&self, path: &[&str]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for key in path {
            hasher.write(key.as_bytes());
            hasher.write_u8(END);
        }
        hasher.finish()
    }

    #[inline]
    pub(super) fn find(&self, path: &[&str], kind: Kind) -> Option<u32> {
        let found = self.index.find(self.hash(path), |&i| {
            let entry = &self.entries[i as usize];
            entry.acc.is(kind) && same(&self.keys[entry.start as usize..entry.end as usize], path)
        });
        found.copied()
    }

    /// A new entry, or `None` when there is no room.
    pub(super) fn insert(&mut self, path: &[&str], kind: Kind) -> Option<u32> {
        let room = self.entries.len() < DELTA_PATHS_MAX && self.keys.len() < DELTA_KEYS_BYTES_MAX;
        room.then(|| self.insert_beyond(path, kind))
    }

    /// A new entry whether there is room or not: for the `(other)`s, of which the caller makes few.
    pub(super) fn insert_beyond(&mut self, path: &[&str], kind: Kind) -> u32 {
        let unfit = |key: &&str| key.is_empty() || key.len() > KEY_BYTES_MAX;
        if path.iter().any(unfit) {
            let fit: Vec<&str> =
                path.iter().map(|key| if key.is_empty() { EMPTY } else { cut(key, KEY_BYTES_MAX) }).collect();
            return match self.find(&fit, kind) {
                Some(index) => index,
                None => self.insert_beyond(&fit, kind),
            };
        }
        let index = self.entries.len() as u32;
        let start = self.keys.len() as u32;
        for key in path {
            self.keys.extend_from_slice(key.as_bytes());
            self.keys.push(END);
        }
        let hash = self.hash(path);
        let end = self.keys.len() as u32;
        self.entries.push(Entry { start, end, dirty: false, acc: Acc::new(kind), hash });
        let entries = &self.entries;
        self.index.insert_unique(hash, index, |&i| entries[i as usize].hash);
        index
    }

    #[inline]
    pub(super) fn add(&mut self, index: u32, n: f64) {
        if let Acc::Add(sum) = self.touch(index) {
            let grown = *sum + n;
            if grown.is_finite() {
                *sum = grown;
            }
        }
    }

    /// The accumulator of an entry that is about to be fed.
    #[inline]
    pub(super) fn touch(&mut self, index: u32) -> &mut Acc {
        let entry = &mut self.entries[index as usize];
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(index);
        }
        &mut entry.acc
    }

    /// The accumulator of an entry, as it is.
    pub(super) fn peek(&self, index: u32) -> &Acc {
        &self.entries[index as usize].acc
    }

    pub(super) fn put(&mut self, index: u32, acc: Acc) {
        *self.touch(index) = acc;
    }

    /// Visits what was fed, in order, and forgets that it was. When half the room is taken, the paths are
    /// forgotten too: those still in use come back with the next record, the others make room.
    pub(super) fn drain(&mut self, mut visit: impl FnMut(Keys<'_>, &mut Acc)) {
        for &index in &self.dirty {
            let entry = &mut self.entries[index as usize];
            visit(Keys(&self.keys[entry.start as usize..entry.end as usize]), &mut entry.acc);
            entry.dirty = false;
        }
        self.dirty.clear();
        if self.entries.len() > DELTA_PATHS_MAX / 2 || self.keys.len() > DELTA_KEYS_BYTES_MAX / 2 {
            self.entries.clear();
            self.index.clear();
            self.keys.clear();
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.entries.iter().map(|entry| entry.acc.memory_bytes()).sum::<usize>()
            + self.index.allocation_size()
            + self.keys.capacity()
            + self.dirty.capacity() * size_of::<u32>()
    }
}

/// Whether stored keys are those of `path`.
fn same(mut stored: &[u8], path: &[&str]) -> bool {
    for key in path {
        match stored.strip_prefix(key.as_bytes()) {
            Some([END, rest @ ..]) => stored = rest,
            _ => return false,
        }
    }
    stored.is_empty()
}

/// The keys of a stored path.
#[derive(Clone)]
pub(super) struct Keys<'a>(&'a [u8]);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == END)?;
        let key = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(key)
    }
}
