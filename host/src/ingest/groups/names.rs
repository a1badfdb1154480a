//! The groups that are kept apart, numbered in the order in which they came.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Names with a number. Who came first stays: to keep the heaviest, what a lighter one has folded would have to be moved.
#[derive(Clone, Debug)]
pub(super) struct Names {
    index: HashTable<u32>,
    /// By number, each with its hash.
    names: Vec<(u64, Box<[u8]>)>,
    max: usize,
    /// The name that is being looked up.
    name: Vec<u8>,
    /// Seeded by each process for itself, so that nobody can prepare names that collide.
    hasher: RandomState,
}

impl Names {
    pub(super) fn new(max: usize) -> Names {
        Names { index: HashTable::new(), names: Vec::new(), max, name: Vec::new(), hasher: RandomState::default() }
    }

    /// The number of the group whose name is written; the number after the last is the rest's.
    #[inline]
    pub(super) fn number(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> u32 {
        self.name.clear();
        if !write(&mut self.name) {
            return self.rest();
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&self.name);
        let hash = hasher.finish();
        let Names { index, names, name, .. } = self;
        let same = |number: &u32| names.get(*number as usize).is_some_and(|(_, known)| **known == **name);
        match index.find(hash, same) {
            Some(number) => *number,
            None => self.enter(hash),
        }
    }

    #[cold]
    fn enter(&mut self, hash: u64) -> u32 {
        if self.names.len() >= self.max {
            return self.rest();
        }
        let number = self.names.len() as u32;
        self.names.push((hash, self.name.as_slice().into()));
        let names = &self.names;
        self.index.insert_unique(hash, number, |number| names.get(*number as usize).map_or(0, |(hash, _)| *hash));
        number
    }

    fn rest(&self) -> u32 {
        self.max as u32
    }

    /// A group's name; the rest has none.
    pub(super) fn name(&self, number: u32) -> Option<&[u8]> {
        self.names.get(number as usize).map(|(_, name)| &**name)
    }
}

/// The values in a name: each has its length before it, so that no value can look like two.
pub(super) fn values(name: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (value, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        rest = after;
        std::str::from_utf8(value).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(names: &mut Names, name: &str) -> u32 {
        names.number(|into| {
            into.extend_from_slice(name.as_bytes());
            true
        })
    }

    #[test]
    fn who_comes_first_is_kept_and_the_rest_is_one() {
        let mut names = Names::new(2);
        let numbers: Vec<u32> =
            ["a", "b", "a", "c", "d", "b", "c"].iter().map(|name| number(&mut names, name)).collect();
        assert_eq!(numbers, [0, 1, 0, 2, 2, 1, 2]);
        assert_eq!((names.name(1), names.name(2)), (Some(&b"b"[..]), None));
        assert_eq!(names.number(|_| false), 2, "what has no name is one of the rest");
        let mut copy = names.clone();
        assert_eq!((number(&mut copy, "b"), number(&mut copy, "e")), (1, 2));
    }

    #[test]
    fn values_are_told_apart() {
        let name = |parts: &[&str]| {
            let length = |part: &str| u16::try_from(part.len()).unwrap().to_le_bytes();
            parts.iter().flat_map(|part| [&length(part)[..], part.as_bytes()].concat()).collect::<Vec<u8>>()
        };
        assert_ne!(name(&["a", "bc"]), name(&["ab", "c"]));
        assert_eq!(values(&name(&["ä", "", "c"])).collect::<Vec<_>>(), ["ä", "", "c"]);
        assert_eq!(values(&[]).count() + values(&[9, 0, 1]).count() + values(&[1]).count(), 0);
    }
}
