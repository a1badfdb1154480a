//! Times, ascending, in milliseconds since the Unix epoch; and which of them a series has.

use super::Damaged;
use super::column::{VALUES_MAX, put_pco, put_whole, take_pco, take_whole};
use super::varint::{Bytes, put, put_signed};
use pco::DeltaSpec;
use std::borrow::Cow;
use std::ops::Range;

/// Steps that are all the same.
const EVEN: u8 = 0;
/// Each step in units of their greatest common divisor.
const UNEVEN: u8 = 1;

const ALL: u8 = 0;
const RUN: u8 = 1;
const FEW: u8 = 2;
const MANY: u8 = 3;

/// From as many on places are told by pco.
const MANY_FROM: usize = 24;

/// Puts times that ascend.
pub(super) fn put_times(times: &[i64], out: &mut Vec<u8>) {
    put(times.len() as u64, out);
    let Some(first) = times.first() else { return };
    put_signed(*first, out);
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let unit = steps.iter().fold(0, |unit, step| gcd(unit, *step)).max(1);
    put(unit.cast_unsigned(), out);
    if steps.iter().all(|step| *step == unit) {
        return out.push(EVEN);
    }
    out.push(UNEVEN);
    let steps: Vec<i64> = steps.iter().map(|step| step / unit).collect();
    let mut packed = Vec::new();
    put_whole(&steps, 0, false, &mut packed);
    put(packed.len() as u64, out);
    out.extend(packed);
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Takes times.
pub(super) fn take_times(bytes: &mut Bytes<'_>) -> Result<Vec<i64>, Damaged> {
    let beyond = Damaged("a time beyond all");
    let n = bytes.count(VALUES_MAX)?;
    if n == 0 {
        return Ok(Vec::new());
    }
    let first = bytes.signed()?;
    let unit = i64::try_from(bytes.number()?).ok().filter(|unit| *unit > 0).ok_or(beyond)?;
    let mut times = Vec::with_capacity(n);
    times.push(first);
    let mut now = first;
    match bytes.byte()? {
        EVEN => {
            let steps = i64::try_from(n - 1).map_err(|_| beyond)?;
            // If the last is a time, so are those before it.
            unit.checked_mul(steps).and_then(|all| first.checked_add(all)).ok_or(beyond)?;
            times.extend((1..=steps).map(|step| first + step * unit));
        }
        UNEVEN => {
            let len = bytes.count(usize::MAX)?;
            for step in take_whole(bytes.take(len)?, n - 1)? {
                let step = step.checked_mul(unit).filter(|step| *step > 0).ok_or(beyond)?;
                now = now.checked_add(step).ok_or(beyond)?;
                times.push(now);
            }
        }
        _ => return Err(Damaged("times of no known kind")),
    }
    Ok(times)
}

/// Puts which of so many times a series has: their places, ascending.
pub(super) fn put_places(places: &[u32], of: usize, out: &mut Vec<u8>) {
    if places.len() == of {
        return out.push(ALL);
    }
    let (first, last) = (places.first().copied().unwrap_or(0), places.last().copied().unwrap_or(0));
    if places.is_empty() || (last - first) as usize + 1 == places.len() {
        out.push(RUN);
        put(u64::from(first), out);
        return put(places.len() as u64, out);
    }
    let mut next = 0;
    let gaps: Vec<u32> = places.iter().map(|place| place - std::mem::replace(&mut next, place + 1)).collect();
    if gaps.len() >= MANY_FROM {
        let mut packed = Vec::new();
        if put_pco(&gaps, DeltaSpec::NoOp, &mut packed).is_some() {
            out.push(MANY);
            put(gaps.len() as u64, out);
            put(packed.len() as u64, out);
            return out.extend(packed);
        }
    }
    out.push(FEW);
    put(gaps.len() as u64, out);
    gaps.iter().for_each(|gap| put(u64::from(*gap), out));
}

/// The places of some times among all, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Places {
    /// Those that follow each other.
    Run(Range<u32>),
    Some(Vec<u32>),
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        match self {
            Places::Run(run) => run.len(),
            Places::Some(places) => places.len(),
        }
    }

    /// The times at them.
    pub(crate) fn of<'t>(&self, times: &'t [i64]) -> Cow<'t, [i64]> {
        match self {
            Places::Run(run) => times.get(run.start as usize..run.end as usize).unwrap_or_default().into(),
            Places::Some(places) => places.iter().filter_map(|place| times.get(*place as usize).copied()).collect(),
        }
    }
}

/// Takes the places of so many times that a series has.
pub(super) fn take_places(bytes: &mut Bytes<'_>, of: usize) -> Result<Places, Damaged> {
    let beyond = Damaged("a time that is not there");
    let all = u32::try_from(of).map_err(|_| beyond)?;
    let from_gaps = |gaps: &mut dyn Iterator<Item = Result<u64, Damaged>>| {
        let mut next = 0_u64;
        let mut place = |gap: u64| {
            let place = next.checked_add(gap).and_then(|place| u32::try_from(place).ok()).filter(|place| *place < all);
            next = u64::from(place.ok_or(beyond)?) + 1;
            place.ok_or(beyond)
        };
        gaps.map(|gap| place(gap?)).collect::<Result<Vec<u32>, Damaged>>().map(Places::Some)
    };
    match bytes.byte()? {
        ALL => Ok(Places::Run(0..all)),
        RUN => {
            let first = u32::try_from(bytes.count(of)?).map_err(|_| beyond)?;
            let n = u32::try_from(bytes.count(of)?).map_err(|_| beyond)?;
            let end = first.checked_add(n).filter(|end| *end <= all).ok_or(beyond)?;
            Ok(Places::Run(first..end))
        }
        FEW => {
            let n = bytes.count(of)?;
            from_gaps(&mut (0..n).map(|_| bytes.number()))
        }
        MANY => {
            let n = bytes.count(of)?;
            let len = bytes.count(usize::MAX)?;
            let gaps: Vec<u32> = take_pco(bytes.take(len)?, n)?;
            from_gaps(&mut gaps.into_iter().map(|gap| Ok(u64::from(gap))))
        }
        _ => Err(Damaged("places of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, put_places, put_times, take_places, take_times};
    use crate::trend::codec::varint::Bytes;
    use proptest::prelude::*;

    fn times_of(times: &[i64]) -> (Vec<i64>, usize) {
        let mut bytes = Vec::new();
        put_times(times, &mut bytes);
        let mut rest = Bytes(&bytes);
        let taken = take_times(&mut rest).expect("its own bytes");
        assert!(rest.0.is_empty());
        (taken, bytes.len())
    }

    fn places_of(places: &[u32], of: usize) -> (Vec<u32>, usize) {
        let mut bytes = Vec::new();
        put_places(places, of, &mut bytes);
        let mut rest = Bytes(&bytes);
        let taken = take_places(&mut rest, of).expect("its own bytes");
        assert!(rest.0.is_empty());
        assert_eq!(taken.len(), places.len());
        (listed(&taken), bytes.len())
    }

    fn listed(places: &Places) -> Vec<u32> {
        match places {
            Places::Run(run) => run.clone().collect(),
            Places::Some(places) => places.clone(),
        }
    }

    #[test]
    fn even_times_cost_nothing() {
        let even: Vec<i64> = (0..8_640).map(|n| 1_767_571_200_000 + n * 10_000).collect();
        let (taken, bytes) = times_of(&even);
        assert_eq!(taken, even);
        assert!(bytes < 16, "{bytes} bytes");
    }

    #[test]
    fn a_missing_time_costs_little() {
        let mut times: Vec<i64> = (0..8_640).map(|n| 1_767_571_200_000 + n * 10_000).collect();
        times.remove(4_000);
        let (taken, bytes) = times_of(&times);
        assert_eq!(taken, times);
        assert!(bytes < 100, "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn any_times_come_out(steps in prop::collection::vec(1_i64..100_000_000, 0..100), first in -1_000_000_000_000_i64..1_000_000_000_000) {
            let times: Vec<i64> = std::iter::once(first).chain(steps.iter().scan(first, |now, step| { *now += step; Some(*now) })).collect();
            prop_assert_eq!(times_of(&times).0, times);
        }

        #[test]
        fn places_are_those_of_times(has in prop::collection::vec(any::<bool>(), 0..200)) {
            let times: Vec<i64> = (0..has.len() as i64).map(|n| n * 7).collect();
            let places: Vec<u32> = (0..).zip(&has).filter(|(_, has)| **has).map(|(place, _)| place).collect();
            let mut bytes = Vec::new();
            put_places(&places, has.len(), &mut bytes);
            let taken = take_places(&mut Bytes(&bytes), has.len()).expect("its own bytes");
            let expected: Vec<i64> = places.iter().map(|place| i64::from(*place) * 7).collect();
            prop_assert_eq!(taken.of(&times).into_owned(), expected);
        }

        #[test]
        fn any_places_come_out(has in prop::collection::vec(any::<bool>(), 0..200)) {
            let places: Vec<u32> = (0..).zip(&has).filter(|(_, has)| **has).map(|(place, _)| place).collect();
            prop_assert_eq!(places_of(&places, has.len()).0, places);
        }

        #[test]
        fn any_bytes_are_an_error_or_ascend(bytes in prop::collection::vec(any::<u8>(), 0..60), of in 0_usize..300) {
            if let Ok(places) = take_places(&mut Bytes(&bytes), of) {
                let places = listed(&places);
                prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(places.iter().all(|place| (*place as usize) < of));
            }
        }
    }
}
