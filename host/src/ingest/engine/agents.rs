//! Numbers for the agents of a log.
//!
//! A log has millions of lines and some hundred agents. They are long, and several pipes look each of them up; so it is
//! looked up here, once a line, and the pipes are given a number.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use plugin_api::Access;
use std::hash::{BuildHasher, Hasher};

/// Agents that have a number at a time. When there are more, all are forgotten and numbered anew: pipes remember what they
/// made of as many, by the lowest bits of the number.
const AGENTS_MAX: usize = 8_192;

/// Bytes of all of them, and of the longest. Longer ones are rare and mostly hostile, and have no number.
const TEXTS_BYTES_MAX: usize = 2 * 1024 * 1024;
const AGENT_BYTES_MAX: usize = 1_024;

/// The number of records without an agent.
const NONE: u32 = 1;

/// The agents that have a number.
#[derive(Clone, Debug)]
pub(super) struct Agents {
    index: HashTable<Agent>,
    /// Their texts, one after another.
    texts: Vec<u8>,
    /// The number that was given last. None is given twice; after the last that there is, none is given at all.
    last: u32,
    /// Seeded by each process for itself, so that nobody can prepare agents that collide.
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Agent {
    hash: u64,
    /// Where it stands in the texts.
    start: u32,
    len: u32,
    number: u32,
}

impl Default for Agents {
    fn default() -> Agents {
        Agents { index: HashTable::new(), texts: Vec::new(), last: NONE, hasher: RandomState::default() }
    }
}

impl Agents {
    /// Numbers the agents of a batch.
    pub(super) fn number(&mut self, records: &mut [Access<'_>]) {
        for record in records {
            let number = record.agent().map_or(NONE, |agent| self.number_of(agent.as_bytes()));
            record.set_agent_number(number);
        }
    }

    #[inline]
    fn number_of(&mut self, text: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text);
        let hash = hasher.finish();
        let Agents { index, texts, .. } = self;
        let same = |agent: &Agent| {
            agent.hash == hash && texts.get(agent.start as usize..(agent.start + agent.len) as usize) == Some(text)
        };
        match index.find(hash, same) {
            Some(agent) => agent.number,
            None => self.enter(text, hash),
        }
    }

    #[cold]
    #[inline(never)]
    fn enter(&mut self, text: &[u8], hash: u64) -> u32 {
        if text.len() > AGENT_BYTES_MAX || self.last == u32::MAX {
            return 0;
        }
        if self.index.len() == AGENTS_MAX || self.texts.len() + text.len() > TEXTS_BYTES_MAX {
            self.index.clear();
            self.texts.clear();
        }
        self.last += 1;
        let agent = Agent { hash, start: self.texts.len() as u32, len: text.len() as u32, number: self.last };
        self.texts.extend_from_slice(text);
        self.index.insert_unique(hash, agent, |agent| agent.hash);
        agent.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn numbers<'a>(agents: &mut Agents, texts: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
        texts.into_iter().map(|text| agents.number_of(text.as_bytes())).collect()
    }

    #[test]
    fn the_same_agent_has_the_same_number() {
        let mut agents = Agents::default();
        assert_eq!(numbers(&mut agents, ["a", "b", "a", "", "b"]), [2, 3, 2, 4, 3]);
        let mut records = [Access::new("x")];
        agents.number(&mut records);
        assert_eq!(records[0].agent_number(), NONE);
    }

    #[test]
    fn no_number_is_given_to_two_and_memory_is_bounded() {
        let mut agents = Agents::default();
        let mut seen: HashMap<u32, String> = HashMap::new();
        for i in 0..3 * AGENTS_MAX {
            for text in ["hot".to_owned(), format!("{i} {}", "x".repeat(i % 1_500))] {
                let number = agents.number_of(text.as_bytes());
                assert_eq!(number == 0, text.len() > AGENT_BYTES_MAX);
                if number > 0 {
                    assert_eq!(seen.entry(number).or_insert_with(|| text.clone()), &text);
                }
            }
        }
        assert!(agents.index.len() <= AGENTS_MAX && agents.texts.len() <= TEXTS_BYTES_MAX);
        agents.last = u32::MAX;
        assert_eq!(numbers(&mut agents, ["hot", "new"])[1], 0);
    }
}
