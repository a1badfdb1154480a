//! A bounded memory for what is costly to find out per distinct value.

use crate::delta::Delta;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Bytes of the longest key that is remembered. Longer ones are rare and mostly hostile: they are worked out
/// anew, and memory stays within entries × this.
pub const CACHE_KEY_BYTES_MAX: usize = 1_024;

/// Remembers a value per key: a user agent's slot, an address's country.
///
/// It holds at most the entries it was made for. What is asked for again stays; the rest goes, half of the room at
/// a time (two generations), so a hit costs one look-up and there is no list to keep. What is cached may hold
/// [`Slot`](crate::Slot)s: when the delta makes its slots stale, the cache forgets.
///
/// ```
/// # use plugin_api::{Cache, Delta};
/// let mut out = Delta::new();
/// let mut slots = Cache::new(1_000);
/// for agent in ["curl/8.0", "curl/8.0"] {
///     let slot = slots.get(&mut out, agent, |out, agent| {
///         let (family, version) = agent.split_once('/').unwrap_or((agent, "-"));
///         out.slot(&[family, version])
///     });
///     out.add_at(slot, 1.0);
/// }
/// assert_eq!(slots.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Cache<V> {
    /// By the low bits of a number: whose value it is. Made when the first number is asked for.
    numbered: Box<[(u32, Option<V>)]>,
    young: HashTable<Held<V>>,
    old: HashTable<Held<V>>,
    /// Seeded by each process for itself, so that nobody can prepare keys that collide.
    hasher: RandomState,
    entries_max: usize,
    epoch: u32,
}

/// A key and its value.
#[derive(Clone, Debug)]
struct Held<V> {
    hash: u64,
    key: Box<str>,
    value: V,
}

impl<V: Copy> Cache<V> {
    /// A cache of at most `entries_max` entries.
    #[must_use]
    pub fn new(entries_max: usize) -> Cache<V> {
        Cache {
            numbered: Box::default(),
            young: HashTable::new(),
            old: HashTable::new(),
            hasher: RandomState::default(),
            entries_max: entries_max.max(2),
            epoch: 0,
        }
    }

    /// The value for `key`, worked out by `make` when it is not remembered.
    #[inline]
    pub fn get(&mut self, out: &mut Delta, key: &str, make: impl FnOnce(&mut Delta, &str) -> V) -> V {
        if self.epoch != out.epoch() {
            self.clear();
            self.epoch = out.epoch();
        }
        let hash = self.hash(key);
        match self.young.find(hash, |held| held.hash == hash && *held.key == *key) {
            Some(held) => held.value,
            None => self.promote_or_make(out, key, hash, make),
        }
    }

    #[inline]
    fn hash(&self, key: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    /// As [`Cache::get`], for a key that the host has numbered, such as an agent
    /// ([`Access::agent_number`](crate::Access::agent_number)): where the number is known, the key is not looked at, and the
    /// value is remembered by the number alone. Number 0 stands for none: then the key is looked up.
    #[inline]
    pub fn get_numbered<'k>(
        &mut self,
        out: &mut Delta,
        number: u32,
        key: impl FnOnce() -> &'k str,
        make: impl FnOnce(&mut Delta, &str) -> V,
    ) -> V {
        let place = number as usize & self.numbered.len().wrapping_sub(1);
        match self.numbered.get(place) {
            Some((held, Some(value))) if *held == number && self.epoch == out.epoch() => *value,
            _ => self.enter_number(out, number, key(), make),
        }
    }

    /// Who has so many keys that a number is given anew has more to do with keys that are never seen again: to keep their text
    /// costs more than to work out the value of those that are.
    #[cold]
    #[inline(never)]
    fn enter_number(&mut self, out: &mut Delta, number: u32, key: &str, make: impl FnOnce(&mut Delta, &str) -> V) -> V {
        if number == 0 {
            return self.get(out, key, make);
        }
        if self.epoch != out.epoch() {
            self.clear();
            self.epoch = out.epoch();
        }
        let value = make(out, key);
        if self.numbered.is_empty() {
            self.numbered = vec![(0, None); self.entries_max.next_power_of_two()].into();
        }
        let place = number as usize & (self.numbered.len() - 1);
        self.numbered[place] = (number, Some(value));
        value
    }

    #[cold]
    fn promote_or_make(
        &mut self,
        out: &mut Delta,
        key: &str,
        hash: u64,
        make: impl FnOnce(&mut Delta, &str) -> V,
    ) -> V {
        let held = match self.old.find_entry(hash, |held| held.hash == hash && *held.key == *key) {
            Ok(entry) => entry.remove().0,
            Err(_) if key.len() > CACHE_KEY_BYTES_MAX => return make(out, key),
            Err(_) => Held { hash, key: key.into(), value: make(out, key) },
        };
        if self.young.len() >= self.entries_max / 2 {
            // The memory of those that go is that of the next.
            core::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let value = held.value;
        self.young.insert_unique(hash, held, |held| held.hash);
        value
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.numbered.fill((0, None));
        self.young.clear();
        self.old.clear();
    }

    /// Keys held by their text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let mut out = Delta::new();
        let mut cache = Cache::new(100);
        let mut made = 0;
        for i in 0..10_000 {
            for key in ["hot", &i.to_string()] {
                cache.get(&mut out, key, |_, key| {
                    made += usize::from(key == "hot");
                    key.len()
                });
            }
            assert!(cache.len() <= 100);
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn a_number_is_asked_for_its_key_once() {
        let mut out = Delta::new();
        let mut cache = Cache::new(8);
        let mut asked = 0;
        // As the host numbers them: no key twice among the last eight.
        for round in 0..3 {
            for number in (1..=100).flat_map(|number| [number, number.max(7) - 6]) {
                let key = (number * 7).to_string();
                let key = || {
                    asked += 1;
                    key.as_str()
                };
                assert_eq!(
                    cache.get_numbered(&mut out, number + round * 100, key, |_, key| key.len()),
                    key_len(number)
                );
            }
        }
        assert!((300..330).contains(&asked), "{asked}");
        assert!(cache.len() <= 8);
    }

    fn key_len(number: u32) -> usize {
        (number * 7).to_string().len()
    }

    #[test]
    fn a_key_without_a_number_is_looked_at_each_time() {
        let mut out = Delta::new();
        let mut cache = Cache::new(8);
        for key in ["a", "bb", "a"] {
            assert_eq!(cache.get_numbered(&mut out, 0, || key, |_, key| key.len()), key.len());
        }
    }

    #[test]
    fn numbers_are_forgotten_with_the_slots() {
        let mut out = Delta::new();
        let mut cache = Cache::new(8);
        let slot = cache.get_numbered(&mut out, 1, || "a", |out, key| out.slot(&[key]));
        (0..crate::limits::DELTA_PATHS_MAX).for_each(|i| out.add(&[&i.to_string()], 1.0));
        out.flush();
        let anew = cache.get_numbered(&mut out, 1, || "a", |out, key| out.slot(&[key]));
        assert_ne!(slot, anew);
    }

    #[test]
    fn a_key_beyond_the_limit_is_not_kept() {
        let mut cache = Cache::new(100);
        let long = "x".repeat(CACHE_KEY_BYTES_MAX + 1);
        assert_eq!(cache.get(&mut Delta::new(), &long, |_, key| key.len()), long.len());
        assert!(cache.is_empty());
    }
}
