//! What a top promises, checked against a map that holds everything.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

type Truth = HashMap<String, f64>;

fn of(k: u32, additions: &[(u16, u32)]) -> (Top, Truth) {
    let (mut top, mut truth) = (Top::new(k), Truth::new());
    for (key, n) in additions {
        let key = format!("/{key}");
        top.add(&key, f64::from(*n));
        if *n > 0 {
            *truth.entry(key).or_default() += f64::from(*n);
        }
    }
    (top, truth)
}

fn bytes(top: &Top) -> Vec<u8> {
    let mut out = Vec::new();
    top.encode(&mut out);
    out
}

/// All that the documentation of `Top` says holds.
fn check(top: &Top, truth: &Truth) {
    let total: f64 = truth.values().sum();
    assert_eq!(top.total(), total);
    assert_eq!(top.iter().map(|(_, count, _)| count).sum::<f64>() + top.other(), total);
    assert!(top.floor() * (f64::from(top.k()) + 1.0) <= total, "floor {} of {total}", top.floor());
    assert!(top.len() <= top.entries_max());
    for (key, count, error) in top.iter() {
        let weight = truth[key];
        assert!(count <= weight && weight <= count + error, "{key}: {weight} is not in {count} + {error}");
        assert!(error <= top.floor());
        assert_eq!(top.get_with_error(key), Some((count, error)));
    }
    for (key, weight) in truth {
        assert!(top.get(key).is_some() || *weight <= top.floor(), "{key} weighs {weight} and is not held");
    }
    if truth.len() <= top.k() as usize {
        assert_eq!((top.len(), top.floor(), top.other()), (truth.len(), 0.0, 0.0));
    }
    let listed = top.heaviest(usize::MAX);
    assert!(listed.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));
    assert_eq!(top.heaviest(3), listed[..listed.len().min(3)]);
}

/// Keys of very different weight, many of them rare.
fn additions() -> impl Strategy<Value = Vec<(u16, u32)>> {
    let key = prop_oneof![0u16..20, 0u16..2_000];
    prop::collection::vec((key, prop_oneof![Just(1u32), 0u32..1_000]), 0..600)
}

proptest! {
    #[test]
    fn what_is_promised_holds(k in prop_oneof![1u32..8, 60u32..200], additions in additions()) {
        let (top, truth) = of(k, &additions);
        check(&top, &truth);
    }

    #[test]
    fn a_merge_keeps_the_promise(
        k in prop_oneof![1u32..8, 60u32..200],
        parts in prop::collection::vec(additions(), 0..5),
    ) {
        let (mut all, mut truth) = (Top::new(k), Truth::new());
        let (mut backwards, mut pairs) = (Top::new(k), Top::new(k));
        for part in &parts {
            let (top, part) = of(k, part);
            all.merge(&top);
            let mut pair = top.clone();
            pair.merge(&backwards);
            backwards = pair;
            part.into_iter().for_each(|(key, n)| *truth.entry(key).or_default() += n);
        }
        for pair in parts.chunks(2) {
            let mut both = of(k, &pair[0]).0;
            pair[1..].iter().for_each(|other| both.merge(&of(k, other).0));
            pairs.merge(&both);
        }
        check(&all, &truth);
        check(&backwards, &truth);
        check(&pairs, &truth);
    }

    #[test]
    fn what_is_encoded_is_decoded(k in 1u32..100, additions in additions(), fraction in 0.0..1e300f64) {
        let (mut top, _) = of(k, &additions);
        top.add("né", fraction);
        top.add("", 1.0);
        let found = Top::decode(&bytes(&top)).unwrap();
        prop_assert_eq!(bytes(&found), bytes(&top));
        prop_assert_eq!(found.heaviest(usize::MAX), top.heaviest(usize::MAX));
        prop_assert!((found.total() - top.total()).abs() <= top.total() * 1e-12);
    }

    #[test]
    fn any_bytes_are_a_sketch_or_refused(
        noise in prop::collection::vec(any::<u8>(), 0..80), k in 1u32..40, additions in additions(),
        at: prop::sample::Index, flip: u8,
    ) {
        let (top, _) = of(k, &additions);
        let mut nearly = bytes(&top);
        let at = at.index(nearly.len());
        nearly[at] ^= flip;
        for bytes_in in [&noise[..], &[&[VERSION], &noise[..]].concat(), &nearly, &nearly[..at]] {
            if let Ok(mut found) = Top::decode(bytes_in) {
                prop_assert!(found.memory_bytes() <= size_of::<Top>() + 1_024 + 25 * bytes_in.len());
                prop_assert_eq!(&Top::decode(&bytes(&found)).map(|again| bytes(&again)), &Ok(bytes(&found)));
                found.merge(&top);
                found.add("more", 1.0);
                prop_assert!(found.total().is_finite() && found.iter().all(|(_, n, e)| n.is_finite() && e.is_finite()));
            }
        }
    }
}

#[test]
fn weights_only_grow_and_stay_finite() {
    let mut top = Top::new(10);
    for n in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        top.add("a", n);
    }
    top.add("a", 0.0);
    assert_eq!((top.refused(), top.len(), top.total()), (4, 0, 0.0));
    top.add("a", f64::MAX);
    top.add("a", f64::MAX);
    assert_eq!((top.get("a"), top.total()), (Some(f64::MAX), f64::MAX));
    assert_eq!(Top::decode(&bytes(&top)).map(|found| found.refused()), Ok(4));
    top.merge(&top.clone());
    assert_eq!((top.refused(), top.total()), (8, f64::MAX));
}

#[test]
fn the_heavy_stay_in_a_flood_of_keys() {
    const K: u32 = 100;
    let mut top = Top::new(K);
    let mut held = 0;
    for i in 0..200_000u32 {
        top.add(&format!("/hostile/{i}/{:x}", i.wrapping_mul(0x9e37_79b9)), 1.0);
        if i % 100 == 0 {
            top.add("/heavy", 50.0);
        }
        held = held.max(top.memory_bytes());
    }
    let (key, count, error) = top.heaviest(1)[0];
    assert_eq!((key, count, error), ("/heavy", 100_000.0, 0.0));
    assert_eq!(top.total(), 300_000.0);
    assert!(held <= 100 * K as usize + 10 * 1_024 + 2 * 200 * 40, "{held} bytes");
}

#[test]
fn long_keys_leave_room_for_fewer_but_not_for_more_memory() {
    let mut top = Top::new(1_000);
    for i in 0..1_000 {
        top.add(&format!("{i}{}", "x".repeat(2 * KEY_BYTES_MAX)), f64::from(i + 1));
    }
    let most = 2 * (1_000 * KEY_BYTES_MEAN_MAX + KEYS_BYTES_MIN);
    assert!(top.memory_bytes() <= most + 100 * 1_000 + 10 * 1_024);
    assert!(top.len() >= 32 && top.floor() > 0.0);
    assert_eq!(top.heaviest(1)[0].1, 1_000.0);
    assert_eq!(top.total(), 500_500.0);
    assert!(top.get(&format!("999{}", "x".repeat(2 * KEY_BYTES_MAX))).is_some());
}

#[test]
fn a_cleared_sketch_is_as_new_and_keeps_its_memory() {
    let (mut top, _) = of(5, &(0..500).map(|i| (i, 1)).collect::<Vec<_>>());
    let held = top.memory_bytes();
    top.clear();
    assert_eq!((bytes(&top), top.memory_bytes()), (bytes(&Top::new(5)), held));
    assert!(top.is_empty() && top.get("/1").is_none());
}

#[test]
fn merging_a_greater_one_does_not_grow_the_smaller() {
    let (mut small, _) = of(1, &[(1, 1)]);
    let (great, mut truth) = of(1_000, &(0..900).map(|i| (i, u32::from(i) + 1)).collect::<Vec<_>>());
    small.merge(&great);
    *truth.entry("/1".to_owned()).or_default() += 1.0;
    check(&small, &truth);
    assert!(small.memory_bytes() < 20 << 10, "{}", small.memory_bytes());
}

#[test]
fn what_no_sketch_has_is_refused() {
    let why = |rest: &[u8]| Top::decode(&[&[VERSION], rest].concat()).map(|_| ()).map_err(|error| error.why);
    // k, floor, other, refused, length, (length, key, count, error)
    assert_eq!(why(&[10, 4, 2, 0, 1, 1, b'a', 2, 4]), Ok(()));
    assert_eq!(why(&[0, 0, 0, 0, 0]), Err("top keeps 1 to 1,000,000 keys"));
    assert_eq!(why(&[0xc1, 0x84, 0x3d, 0, 0, 0, 0]), Err("top keeps 1 to 1,000,000 keys"));
    assert_eq!(why(&[10, 0, 0, 0, 75, 0, 0]), Err("more keys than allowed"));
    assert_eq!(why(&[10, 0, 0, 0, 74, 0, 0]), Err("cut off"));
    assert_eq!(why(&[10, 0, 0, 0, 1, 1, 0xff, 2, 0]), Err("key not UTF-8"));
    assert_eq!(why(&[10, 0, 0, 0, 2, 1, b'a', 2, 0, 1, b'a', 2, 0]), Err("the same key twice"));
    assert_eq!(why(&[10, 0, 0, 0, 1, 1, b'a', 0, 0]), Err("no such count or error"));
    assert_eq!(why(&[10, 4, 2, 0, 1, 1, b'a', 2, 6]), Err("no such count or error"));
    assert_eq!(why(&[10, 4, 2, 0, 0]), Err("a floor and no keys, or nothing below it"));
    assert_eq!(why(&[10, 4, 0, 0, 1, 1, b'a', 2, 0]), Err("a floor and no keys, or nothing below it"));
    assert_eq!(why(&[10, 0, 2, 0, 1, 1, b'a', 2, 0]), Err("a floor and no keys, or nothing below it"));
    assert_eq!(why(&[10, 3]), Err("unknown kind of number"));
    assert_eq!(why(&[10, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf]), Err("negative weight"));
}

#[test]
fn keys_that_differ_in_one_byte_are_told_apart() {
    for length in 0..140 {
        let key: Vec<u8> = (0..length as u8).collect();
        assert!(same(&key, &key.clone()));
        assert!(!same(&key, &[&key[..], b"x"].concat()));
        for at in 0..length {
            let mut other = key.clone();
            other[at] ^= 0x80;
            assert!(!same(&key, &other), "{at} of {length}");
        }
    }
}
