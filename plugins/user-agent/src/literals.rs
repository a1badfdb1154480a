//! Which rules a text calls for: those whose literals it has.
//!
//! At every other byte of a text three bytes are looked up in a table of bits; where the bit is set, the few literals that have those
//! bytes there are compared. The look-ups do not wait for each other, as the steps of an automaton do, and there is nothing to
//! build: the tables are made with the program.

use memchr::memchr;

#[path = "../build/grams.rs"]
mod grams;

use crate::AGENT_BYTES_MAX;
use crate::rules::{Rule, Table};
use grams::{BYTE_BITS, HASHES, STRIDE, hash};

/// Bytes that are looked up in one go, and zeros behind a text: three bytes may reach beyond it.
const BLOCK: usize = 8;

/// Where literals may stand, by the hash of three of their bytes.
pub(crate) struct Grams {
    /// By hash: whether there is an entry.
    pub(crate) bits: [u64; HASHES / 64],
    /// By word of these bits: how many are set in those before it.
    pub(crate) ranks: [u16; HASHES / 64],
    /// By number of a set bit: where its entries begin, and at last where all end.
    pub(crate) starts: &'static [u16],
    /// The number of a literal, and which byte of it stands at the place.
    pub(crate) entries: &'static [(u16, i8)],
}

impl Grams {
    #[inline]
    fn has(&self, hash: usize) -> bool {
        self.bits[hash / 64] >> (hash % 64) & 1 != 0
    }

    /// The entries of a hash that has some.
    fn entries(&self, hash: usize) -> &'static [(u16, i8)] {
        let before = self.bits[hash / 64] & ((1 << (hash % 64)) - 1);
        let number = usize::from(self.ranks[hash / 64]) + before.count_ones() as usize;
        let range = self.starts.get(number).zip(self.starts.get(number + 1));
        let range = range.map(|(&start, &end)| usize::from(start)..usize::from(end));
        range.and_then(|range| self.entries.get(range)).unwrap_or_default()
    }
}

/// The text that is looked at, and what it calls for.
pub(crate) struct Candidates {
    /// The text in lower case, and zeros.
    lower: [u8; AGENT_BYTES_MAX + BLOCK],
    len: usize,
    /// Where a literal may stand.
    places: [u16; AGENT_BYTES_MAX / STRIDE],
    /// Rules one of whose calling literals is there, in order.
    called: Vec<u16>,
}

impl Candidates {
    pub(crate) const fn new() -> Self {
        Self { lower: [0; AGENT_BYTES_MAX + BLOCK], len: 0, places: [0; AGENT_BYTES_MAX / STRIDE], called: Vec::new() }
    }

    /// The rules that have a literal in the text, in order. Whether they have all that they need is for
    /// [`holds`](Self::holds) to tell. Of a text no more than [`AGENT_BYTES_MAX`] bytes are looked at.
    pub(crate) fn look(&mut self, table: &Table, text: &str) -> usize {
        let text = &text.as_bytes()[..text.len().min(AGENT_BYTES_MAX)];
        for (to, from) in self.lower.iter_mut().zip(text) {
            *to = from.to_ascii_lowercase();
        }
        self.len = text.len();
        self.lower[self.len..][..BLOCK].fill(0);
        self.called.clear();
        let found = self.places(&table.grams);
        for &place in self.places.get(..found).unwrap_or_default() {
            let place = usize::from(place);
            for &(number, at) in table.grams.entries(hash_at(&self.lower, place)) {
                let (literal, rules) = table.literals[usize::from(number)];
                let stands = place.checked_add_signed(-isize::from(at)).and_then(|start| self.lower.get(start..));
                if stands.is_some_and(|rest| starts_with(rest, literal)) {
                    self.called.extend_from_slice(rules);
                }
            }
        }
        if self.called.len() > 1 {
            self.called.sort_unstable();
            self.called.dedup();
        }
        self.called.len()
    }

    /// A rule that was called for, by its place in the order.
    pub(crate) fn rule(&self, place: usize) -> Option<usize> {
        self.called.get(place).copied().map(usize::from)
    }

    /// Whether the text has what else the rule needs.
    pub(crate) fn holds(&self, rule: &Rule) -> bool {
        let text = &self.lower[..self.len];
        rule.needs.iter().all(|need| need.iter().any(|&(literal, rarest)| has(text, literal, rarest)))
    }

    /// Notes the places of the text where a literal may stand, and says how many they are.
    fn places(&mut self, grams: &Grams) -> usize {
        const COUNTING: u64 = BYTE_BITS as u64 * 0x0101_0101_0101_0101;
        let mut found = 0;
        let mut note = |place: usize, hash: usize| {
            if let Some(free) = self.places.get_mut(found) {
                *free = place as u16;
            }
            found += usize::from(grams.has(hash));
        };
        let (blocks, _) = self.lower.as_chunks::<BLOCK>();
        for (index, pair) in blocks[..self.len.div_ceil(BLOCK) + 1].windows(2).enumerate() {
            let block = u64::from_le_bytes(pair[0]) & COUNTING;
            let after = u64::from(pair[1][0]);
            note(index * BLOCK, hash(block));
            note(index * BLOCK + 2, hash(block >> 16));
            note(index * BLOCK + 4, hash(block >> 32));
            note(index * BLOCK + 6, hash(block >> 48 | after << 16));
        }
        found
    }
}

/// Whether it begins with that. Most that does not, does not end alike.
#[inline]
fn starts_with(text: &[u8], literal: &[u8]) -> bool {
    match (text.get(..literal.len()), literal) {
        (Some(start @ [.., ends]), [.., last]) => ends == last && start == literal,
        _ => literal.is_empty(),
    }
}

/// Whether the literal, whose rarest byte is at that place, is anywhere in a text.
fn has(text: &[u8], literal: &[u8], rarest: usize) -> bool {
    let (Some(&byte), Some(places)) = (literal.get(rarest), text.get(rarest..)) else { return literal.is_empty() };
    let mut from = 0;
    while let Some(next) = places.get(from..).and_then(|rest| memchr(byte, rest)) {
        // The byte is `rarest` further than where `places` say.
        if text.get(from + next..).is_some_and(|rest| starts_with(rest, literal)) {
            return true;
        }
        from += next + 1;
    }
    false
}

/// The hash of the three bytes at a place of the text.
fn hash_at(lower: &[u8; AGENT_BYTES_MAX + BLOCK], place: usize) -> usize {
    let three = lower.get(place..place + 3).unwrap_or_default();
    hash(three.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)))
}
