//! How what a store refuses is divided, until what it does not want stands alone. Pure.
//!
//! By times first, as often as it takes, for mostly a store has or wants nothing of some times. Within one time by series, all parts
//! of one size before those of half of it, into so many requests at most. What waits then is given up: there are two halves each of
//! something that was refused, so one of them would be too.

use crate::limits::{STORE_HALVES_LEAST, STORE_HALVES_MAX};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A sample: the time of its commit, whether it has not changed, and the bits of its value.
pub(super) type Sample = (i64, bool, u64);

/// A series, by its labels as they are sent, and what is sent of it.
pub(super) type Part = (Arc<[u8]>, Vec<Sample>);

/// What is still to be offered of one request.
#[derive(Debug)]
pub(super) struct Offers {
    /// The last comes first.
    times: Vec<Vec<Part>>,
    /// A time of which something is refused: it comes before all others.
    one: Option<OneTime>,
    /// Requests into which the next such time is divided at most: fewer after those of which nothing was taken.
    requests: usize,
}

/// A time that is divided.
#[derive(Debug)]
struct OneTime {
    /// What has been offered with others, and not by itself.
    waiting: VecDeque<Vec<Part>>,
    /// Requests that there may still be: an even number where as many halves have been offered as others.
    requests: usize,
    /// Something of it has been taken.
    taken: bool,
}

impl Default for Offers {
    fn default() -> Offers {
        Offers { times: Vec::new(), one: None, requests: STORE_HALVES_MAX }
    }
}

impl Offers {
    /// Begins with a request; all of the one before has been taken or given up.
    pub(super) fn begin(&mut self, request: Vec<Part>) {
        self.times.push(request);
    }

    /// What is to be offered next; none where there is nothing left.
    pub(super) fn next(&self) -> Option<&[Part]> {
        match &self.one {
            Some(one) => one.waiting.front().map(Vec::as_slice),
            None => self.times.last().map(Vec::as_slice),
        }
    }

    /// That has been taken: how many samples it has, and how many are given up of what was refused before.
    pub(super) fn taken(&mut self) -> (u64, u64) {
        let Some(one) = &mut self.one else {
            self.requests = STORE_HALVES_MAX;
            return (self.times.pop().map_or(0, |all| samples(&all)), 0);
        };
        let taken = one.waiting.pop_front().map_or(0, |all| samples(&all));
        one.requests = one.requests.saturating_sub(1);
        if !one.taken {
            // It is worth while.
            one.requests += STORE_HALVES_MAX - self.requests;
        }
        one.taken = true;
        (taken, self.go_on())
    }

    /// That has been refused: how many samples are given up with it.
    pub(super) fn refused(&mut self) -> u64 {
        let Some(one) = &mut self.one else {
            let Some(all) = self.times.pop() else { return 0 };
            match by_times(all) {
                Ok((earlier, later)) => self.times.extend([later, earlier]),
                Err(all) => match by_series(all) {
                    Ok((first, second)) => {
                        let waiting = VecDeque::from([first, second]);
                        self.one = Some(OneTime { waiting, requests: self.requests, taken: false });
                    }
                    Err(alone) => return samples(&alone),
                },
            }
            return 0;
        };
        let mut given_up = 0;
        one.requests = one.requests.saturating_sub(1);
        match one.waiting.pop_front().map(by_series) {
            Some(Ok((first, second))) => one.waiting.extend([first, second]),
            Some(Err(alone)) => given_up = samples(&alone),
            None => {}
        }
        given_up + self.go_on()
    }

    /// Goes on with a time, or with the next: how many samples are given up.
    fn go_on(&mut self) -> u64 {
        let Some(one) = &mut self.one else { return 0 };
        let mut given_up = 0;
        if one.requests == 0 {
            given_up = one.waiting.drain(..).map(|left| samples(&left)).sum();
        }
        if one.waiting.is_empty() {
            self.requests = if one.taken { STORE_HALVES_MAX } else { (self.requests / 2).max(STORE_HALVES_LEAST) };
            self.one = None;
        }
        given_up
    }
}

fn samples(all: &[Part]) -> u64 {
    all.iter().map(|(_, samples)| samples.len() as u64).sum()
}

/// The earlier and the later times of what has several.
fn by_times(all: Vec<Part>) -> Result<(Vec<Part>, Vec<Part>), Vec<Part>> {
    let times: BTreeSet<i64> = all.iter().flat_map(|(_, samples)| samples.iter().map(|(time, ..)| *time)).collect();
    let Some(middle) = times.iter().nth(times.len() / 2).copied().filter(|_| times.len() > 1) else { return Err(all) };
    let of = |later: bool| {
        let parts = all.iter().map(|(name, samples)| {
            let samples = samples.iter().filter(|(time, ..)| (*time >= middle) == later).copied().collect();
            (Arc::clone(name), samples)
        });
        parts.filter(|(_, samples): &Part| !samples.is_empty()).collect()
    };
    Ok((of(false), of(true)))
}

/// Half of some series, and the others.
fn by_series(mut all: Vec<Part>) -> Result<(Vec<Part>, Vec<Part>), Vec<Part>> {
    if all.len() < 2 {
        return Err(all);
    }
    let others = all.split_off(all.len() / 2);
    Ok((all, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some series at some times; a series is known by its place.
    fn request(times: i64, series: u64) -> Vec<Part> {
        let name = |series: u64| Arc::from(series.to_le_bytes().as_slice());
        let of = |series: u64| (0..times).map(|time| (time, false, series)).collect();
        (0..series).map(|series| (name(series), of(series))).collect()
    }

    /// What a store takes that refuses some, what is given up, and how many requests that takes.
    fn offered(
        offers: &mut Offers,
        request: Vec<Part>,
        refuses: impl Fn(i64, u64) -> bool,
    ) -> (BTreeSet<(i64, u64)>, u64, usize) {
        let (mut taken, mut given_up, mut requests) = (BTreeSet::new(), 0, 0);
        offers.begin(request);
        while let Some(next) = offers.next() {
            requests += 1;
            let all: Vec<(i64, u64)> =
                next.iter().flat_map(|(_, samples)| samples.iter().map(|(time, _, bits)| (*time, *bits))).collect();
            assert!(!all.is_empty());
            if all.iter().any(|(time, series)| refuses(*time, *series)) {
                given_up += offers.refused();
            } else {
                let (told, left) = offers.taken();
                assert_eq!(told, all.len() as u64);
                given_up += left;
                for one in all {
                    assert!(taken.insert(one), "{one:?} is taken twice");
                }
            }
        }
        (taken, given_up, requests)
    }

    #[test]
    fn one_series_that_is_refused_at_each_of_many_times_takes_nothing_along() {
        let (taken, given_up, requests) = offered(&mut Offers::default(), request(300, 100), |_, series| series == 37);
        assert_eq!((taken.len(), given_up), (300 * 99, 300));
        assert!(requests < 300 * 18, "{requests}");
    }

    #[test]
    fn times_that_are_refused_altogether_take_few_requests_and_the_others_are_saved() {
        let mut offers = Offers::default();
        let (taken, given_up, requests) = offered(&mut offers, request(500, 1_000), |time, _| time < 400);
        assert_eq!((taken.len(), given_up), (100 * 1_000, 400 * 1_000));
        assert!(requests < 400 * 8, "{requests}");
        // With them gone one that is refused alone is found as before.
        assert_eq!(offered(&mut offers, request(1, 1_000), |_, series| series == 0).1, 1);
        offered(&mut offers, request(100, 50), |_, _| true);
        assert_eq!(offered(&mut offers, request(1, 1_000), |_, series| series == 999).1, 1);
    }

    #[test]
    fn what_is_not_found_in_so_many_requests_is_given_up_with_what_stands_beside_it() {
        const { assert!(STORE_HALVES_MAX.is_multiple_of(2) && STORE_HALVES_LEAST.is_multiple_of(2)) };
        let (taken, given_up, requests) = offered(&mut Offers::default(), request(1, 64), |_, series| series < 18);
        assert_eq!((taken.len(), given_up), (46, 18));
        assert!(requests <= STORE_HALVES_MAX, "{requests}");
        // Each part of so many has one that is refused.
        let (taken, given_up, requests) = offered(&mut Offers::default(), request(1, 4_000), |_, n| n % 100 == 0);
        assert_eq!((taken.len(), given_up, requests), (0, 4_000, 1 + STORE_HALVES_MAX));
        let refuses = |_, series: u64| series.is_multiple_of(2) && series < 66;
        let (taken, given_up, requests) = offered(&mut Offers::default(), request(1, 128), refuses);
        assert_eq!((taken.len(), given_up, requests), (60, 68, 1 + STORE_HALVES_MAX));
    }

    #[test]
    fn each_sample_is_taken_or_given_up_once_whatever_is_refused() {
        let (cases, seed) = (graftd_fuzz::cases().min(2_000), graftd_fuzz::seed());
        for case in 0..cases {
            let mut random = graftd_fuzz::Random::of(seed, case);
            let (times, series) = (1 + random.below(12), 1 + random.below(40));
            let bad: BTreeSet<(i64, u64)> =
                (0..random.below(60)).map(|_| (random.below(times) as i64, random.below(series) as u64)).collect();
            let request = request(times as i64, series as u64);
            let refuses = |time, series| bad.contains(&(time, series));
            let (taken, given_up, requests) = offered(&mut Offers::default(), request, refuses);
            assert_eq!(taken.len() as u64 + given_up, (times * series) as u64);
            assert!(given_up >= bad.len() as u64);
            assert!(requests <= 2 * times + times * (STORE_HALVES_MAX + 1), "{requests}");
        }
    }
}
