//! How fast a source may push: a bucket of bytes for each, which fills again by and by.

use super::Source;
use crate::limits::{PUSH_BUCKETS_MAX, PUSH_BURST};
use std::collections::HashMap;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Below nothing when more came at once than it held: what comes whole is taken whole.
    bytes: f64,
    at: Instant,
}

#[derive(Debug)]
pub(super) struct Rates {
    /// Bytes a second.
    rate: f64,
    buckets: HashMap<Source, Bucket>,
    /// For all sources that there are no buckets for.
    others: Option<Bucket>,
}

impl Rates {
    pub(super) fn new(rate: u64) -> Rates {
        Rates { rate: rate.max(1) as f64, buckets: HashMap::new(), others: None }
    }

    fn most(&self) -> f64 {
        self.rate * PUSH_BURST.as_secs_f64()
    }

    fn now(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.bytes + since * self.rate).min(self.most())
    }

    /// Takes bytes out of a source's bucket.
    pub(super) fn charge(&mut self, from: Source, bytes: u64, now: Instant) {
        if !self.buckets.contains_key(&from) && self.buckets.len() >= PUSH_BUCKETS_MAX {
            let (rate, most) = (self.rate, self.most());
            // Who has a full one needs none.
            self.buckets.retain(|_, bucket| {
                bucket.bytes + now.saturating_duration_since(bucket.at).as_secs_f64() * rate < most
            });
        }
        let full = Bucket { bytes: self.most(), at: now };
        let there = self.buckets.get(&from).copied();
        let own = there.is_some() || self.buckets.len() < PUSH_BUCKETS_MAX;
        let before = if own { there } else { self.others };
        let bucket = Bucket { bytes: self.now(before.unwrap_or(full), now) - bytes as f64, at: now };
        if own {
            self.buckets.insert(from, bucket);
        } else {
            self.others = Some(bucket);
        }
    }

    /// How long it takes until there is something in a source's bucket; `None` when there is.
    pub(super) fn wait(&self, from: Source, now: Instant) -> Option<Duration> {
        let full = self.buckets.len() >= PUSH_BUCKETS_MAX;
        let bucket = self.buckets.get(&from).or(if full { self.others.as_ref() } else { None })?;
        let bytes = self.now(*bucket, now);
        // A millisecond at least: who is told to wait waits.
        (bytes < 0.0).then(|| Duration::from_secs_f64((-bytes / self.rate).clamp(1e-3, 3_600.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn source(n: u32) -> Source {
        Source::from(IpAddr::from(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn over_time_a_source_gets_its_rate() {
        let mut rates = Rates::new(1_000);
        let begin = Instant::now();
        let mut taken = 0;
        for ms in 0..60_000_u64 {
            let now = begin + Duration::from_millis(ms);
            if rates.wait(source(1), now).is_none() {
                rates.charge(source(1), 500, now);
                taken += 500;
            }
            assert_eq!(rates.wait(source(2), now), None, "the other is not held up");
        }
        let burst = 1_000 * PUSH_BURST.as_secs();
        assert!((60_000..=60_000 + burst + 1_000).contains(&taken), "{taken}");
        // What comes at once may be more than a bucket, and is worked off.
        let mut rates = Rates::new(1_000);
        rates.charge(source(1), 100_000 + burst, begin);
        assert_eq!(rates.wait(source(1), begin), Some(Duration::from_secs(100)));
        assert_eq!(rates.wait(source(1), begin + Duration::from_secs(100)), None);
    }

    #[test]
    fn past_the_last_bucket_all_share_one() {
        let mut rates = Rates::new(1_000);
        let now = Instant::now();
        for n in 0..PUSH_BUCKETS_MAX as u32 + 10 {
            rates.charge(source(n), 10_000, now);
        }
        assert_eq!(rates.buckets.len(), PUSH_BUCKETS_MAX);
        assert!(rates.wait(source(u32::MAX), now).is_some());
        rates.charge(source(u32::MAX), 1, now + Duration::from_secs(1_000));
        assert_eq!(rates.buckets.len(), 1, "those that were full again are gone");
    }
}
