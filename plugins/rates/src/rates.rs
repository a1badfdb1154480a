//! From counters to rates.

use core::time::Duration;
use std::collections::BTreeMap;

/// Remembers `N` counters of each of some devices and says how fast they rise.
///
/// A counter that went backwards (a driver was loaded anew, a 32-bit counter wrapped) has no rate until the next
/// sample. Each counter is judged by itself: one that looks as if it had risen through a reset gives at most what was
/// truly counted since then, so there is no false peak.
#[derive(Clone, Debug)]
pub struct Rates<const N: usize> {
    /// When `last` was sampled, on the monotonic clock.
    at: Duration,
    /// Only the devices of the last sample, so that devices that come and go leave nothing behind.
    last: BTreeMap<String, [u64; N]>,
}

impl<const N: usize> Default for Rates<N> {
    fn default() -> Rates<N> {
        Rates { at: Duration::ZERO, last: BTreeMap::new() }
    }
}

impl<const N: usize> Rates<N> {
    /// The rates per second of the devices that were there the last time too, by name. `now` is on a monotonic clock.
    pub fn sample(&mut self, now: Duration, counters: BTreeMap<String, [u64; N]>) -> Vec<(String, [Option<f64>; N])> {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        let mut rates = Vec::with_capacity(counters.len());
        if seconds > 0.0 {
            for (name, counters) in &counters {
                if let Some(last) = self.last.get(name) {
                    let rate = |i: usize| counters[i].checked_sub(last[i]).map(|risen| risen as f64 / seconds);
                    rates.push((name.clone(), core::array::from_fn(rate)));
                }
            }
        }
        *self = Rates { at: now, last: counters };
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counters(of: &[(&str, [u64; 2])]) -> BTreeMap<String, [u64; 2]> {
        of.iter().map(|(name, counters)| ((*name).to_owned(), *counters)).collect()
    }

    #[test]
    fn rates_are_per_second_between_two_samples() {
        let mut rates = Rates::default();
        let second = Duration::from_secs;
        assert_eq!(rates.sample(second(100), counters(&[("a", [5, 5])])), []);
        assert_eq!(
            rates.sample(second(110), counters(&[("a", [25, 5]), ("b", [9, 9])])),
            [("a".to_owned(), [Some(2.0), Some(0.0)])]
        );
        // `a` was reset, `b` has a first rate; at the same moment there is none.
        assert_eq!(
            rates.sample(second(112), counters(&[("a", [1, 6]), ("b", [10, 9])])),
            [("a".to_owned(), [None, Some(0.5)]), ("b".to_owned(), [Some(0.5), Some(0.0)])]
        );
        assert_eq!(rates.sample(second(112), counters(&[("b", [11, 9])])), []);
        // `a` was gone: it starts anew.
        assert_eq!(
            rates.sample(second(113), counters(&[("a", [100, 100]), ("b", [12, 9])])),
            [("b".to_owned(), [Some(1.0), Some(0.0)])]
        );
    }

    proptest! {
        #[test]
        fn a_rate_is_never_negative_and_never_above_what_was_counted(
            samples in proptest::collection::vec((0_u64..5_000, any::<[u64; 2]>()), 1..20),
        ) {
            let mut rates = Rates::default();
            let mut now = Duration::from_secs(1_000);
            for (millis, device) in samples {
                now += Duration::from_millis(millis);
                for (_, found) in rates.sample(now, counters(&[("a", device)])) {
                    for (rate, counter) in found.into_iter().zip(device) {
                        let most = counter as f64 * 1_000.0 / millis as f64;
                        prop_assert!(rate.is_none_or(|rate| (0.0..=most * 1.000_001).contains(&rate)));
                    }
                }
            }
        }
    }
}
