//! How many cases such a test tries, and the numbers by which it chooses them. `GRAFTD_FUZZ_CASES` has it try more,
//! `GRAFTD_FUZZ_SEED` others.

use std::env;
use std::ops::RangeInclusive;

const CASES: u64 = 1_000_000;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Cases too few to say of them how many should have been good.
const FEW: u64 = 1_000;

/// How many cases are to be tried.
///
/// # Panics
/// `GRAFTD_FUZZ_CASES` is no whole number.
#[must_use]
pub fn cases() -> u64 {
    number("GRAFTD_FUZZ_CASES", CASES)
}

/// The seed of all that is chosen.
///
/// # Panics
/// `GRAFTD_FUZZ_SEED` is no whole number.
#[must_use]
pub fn seed() -> u64 {
    number("GRAFTD_FUZZ_SEED", SEED)
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}

/// Says how many of all cases were good, and holds that to a share in percent: both ways are to be walked.
///
/// # Panics
/// It is another share.
pub fn walked(what: &str, good: u64, cases: u64, percent: RangeInclusive<u64>) {
    println!("{cases} {what}: {good} good, {} refused", cases - good);
    let share = good * 100 / cases.max(1);
    assert!(cases < FEW || percent.contains(&share), "{good} of {cases} {what} were good");
}

/// xorshift64* (Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    /// The numbers of one case, so that it can be made again alone.
    #[must_use]
    pub fn of(seed: u64, case: u64) -> Random {
        let mut random = Random::new(seed ^ case.wrapping_mul(SEED));
        random.next();
        random
    }

    /// Any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends, and nobody goes over it")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below another; 0 below 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }

    /// One of several texts.
    ///
    /// # Panics
    /// There is none.
    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_for_the_same_seed_and_spread() {
        let (mut a, mut b, mut seen) = (Random::new(SEED), Random::new(SEED), [0_u32; 10]);
        for _ in 0..10_000 {
            let n = a.below(10);
            assert_eq!(n, b.below(10));
            seen[n] += 1;
        }
        assert!(seen.iter().all(|times| (800..1_200).contains(times)), "{seen:?}");
        assert_ne!(Random::of(SEED, 1).next(), Random::of(SEED, 2).next());
        assert_eq!((Random::new(0).below(0), Random::of(SEED, 1).below(1)), (0, 0));
    }

    #[test]
    fn a_share_is_held_to() {
        walked("cases", 500, 2_000, 20..=30);
        walked("cases", 0, 999, 20..=30);
        assert!(std::panic::catch_unwind(|| walked("cases", 700, 2_000, 20..=30)).is_err());
    }
}
