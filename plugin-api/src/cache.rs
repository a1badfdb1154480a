//! A bounded memory for what is costly to find out per distinct value.

use crate::delta::Delta;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

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
    young: HashMap<Box<str>, V, RandomState>,
    old: HashMap<Box<str>, V, RandomState>,
    entries_max: usize,
    epoch: u32,
}

impl<V: Copy> Cache<V> {
    /// A cache of at most `entries_max` entries.
    #[must_use]
    pub fn new(entries_max: usize) -> Cache<V> {
        Cache { young: HashMap::default(), old: HashMap::default(), entries_max: entries_max.max(2), epoch: 0 }
    }

    /// The value for `key`, worked out by `make` when it is not remembered.
    #[inline]
    pub fn get(&mut self, out: &mut Delta, key: &str, make: impl FnOnce(&mut Delta, &str) -> V) -> V {
        if self.epoch != out.epoch() {
            self.clear();
            self.epoch = out.epoch();
        }
        match self.young.get(key) {
            Some(value) => *value,
            None => self.promote_or_make(out, key, make),
        }
    }

    #[cold]
    fn promote_or_make(&mut self, out: &mut Delta, key: &str, make: impl FnOnce(&mut Delta, &str) -> V) -> V {
        let remembered = self.old.remove_entry(key);
        let (key, value) = match remembered {
            Some(entry) => entry,
            None if key.len() > CACHE_KEY_BYTES_MAX => return make(out, key),
            None => (key.into(), make(out, key)),
        };
        if self.young.len() >= self.entries_max / 2 {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
        value
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Entries held.
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
    fn a_key_beyond_the_limit_is_not_kept() {
        let mut cache = Cache::new(100);
        let long = "x".repeat(CACHE_KEY_BYTES_MAX + 1);
        assert_eq!(cache.get(&mut Delta::new(), &long, |_, key| key.len()), long.len());
        assert!(cache.is_empty());
    }
}
