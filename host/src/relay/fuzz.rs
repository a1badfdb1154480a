//! What comes over the wire may be anything: it is read or refused, without a panic and within its memory.

use super::pack::{Unpacking, pack, unpack_within};
use super::sink::without_own;
use super::wire::{Broken, MARK, Message, Reading, Said};
use super::{Fold, Packed};
use crate::limits::{RELAY_ENTRY_BYTES_MAX, RELAY_STEP_BYTES};
use crate::tree::{Limits, Tree};
use crate::trend::Place;
use graftd_fuzz::{Random, cases, seed, walked};
use plugin_api::Action;
use plugin_api::delta::meta::Pairs;
use plugin_api::delta::wire::{Op, Reader, Writer};
use plugin_api::sketch::{Distinct, Quantiles, Top};
use std::time::Duration;

/// Some thousands, a million where there is time.
fn tries() -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { cases() } else { 6_000 }
}

/// Damages bytes: some are others, some are gone, some come twice; mostly none are.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..[0, 0, 1, 2, 8][random.below(5)] {
        let at = random.below(bytes.len());
        match random.below(4) {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            _ => {
                let end = (at + 1 + random.below(20)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, again);
            }
        }
    }
}

fn message(random: &mut Random) -> Message {
    let number = random.next() >> random.below(64);
    match random.below(9) {
        0 | 1 => {
            let said: Said = (0..random.below(6)).map(|n| (n.to_string(), "x".repeat(random.below(40)))).collect();
            if random.below(2) == 0 {
                Message::Hello { least: 1, most: number, said }
            } else {
                Message::Welcome { version: number, said }
            }
        }
        2 => Message::Commit,
        3 => Message::Acknowledged { number },
        4 => Message::Ping,
        5 => Message::Refused { number, why: "no".repeat(random.below(9)) },
        6 => Message::Error("no".repeat(random.below(9))),
        _ => {
            let length = if random.below(20) == 0 { random.below(4 * RELAY_STEP_BYTES) } else { random.below(300) };
            Message::Entry { place: Place { number, tag: random.next() }, data: vec![7; length] }
        }
    }
}

#[test]
fn messages_are_read_or_refused_within_their_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut good, tries) = (0, tries());
    for case in 0..tries {
        let mut random = Random::of(seed(), case);
        let messages: Vec<Message> = (0..1 + random.below(4)).map(|_| message(&mut random)).collect();
        let mut bytes: Vec<u8> = MARK.iter().copied().chain(messages.iter().flat_map(Message::encode)).collect();
        damage(&mut bytes, &mut random);
        let fed = bytes.len();
        let read = runtime.block_on(async {
            let mut reading = Reading::new(bytes.as_slice());
            reading.mark().await?;
            let mut read = Vec::new();
            loop {
                match reading.next(RELAY_ENTRY_BYTES_MAX).await {
                    Ok(message) => read.push(message),
                    Err(Broken::Ended(_)) => return Ok(read),
                    Err(broken) => return Err(broken),
                }
                let room = reading.room_bytes();
                assert!(room <= 2 * fed + 2 * RELAY_STEP_BYTES, "case {case}: {room} for {fed}");
            }
        });
        let read: Result<Vec<Message>, Broken> = read;
        good += u64::from(read.is_ok_and(|read| read == messages));
    }
    walked("streams of messages", good, tries, 30..=90);
}

/// A frame with all that can be in one.
fn frame(random: &mut Random) -> Vec<u8> {
    let mut writer = Writer::new();
    let mut sketch = Vec::new();
    for _ in 0..random.below(12) {
        let depth = 1 + random.below(4);
        let keys: Vec<String> = (0..depth).map(|_| random.one(&["a", "b", "graftd", "here", "é"]).to_owned()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let n = random.below(1_000) as f64;
        sketch.clear();
        let mut meta = Vec::new();
        let op = match random.below(12) {
            0 => Op::Number(n),
            1 => Op::Add(n),
            2 => Op::Set(n),
            3 => Op::Text("text"),
            4 => Op::Bool(true),
            5 => {
                let mut quantiles = Quantiles::new();
                quantiles.observe(n);
                quantiles.encode(&mut sketch);
                Op::Quantiles(&sketch)
            }
            6 => {
                let mut distinct = Distinct::new();
                distinct.insert(&n.to_le_bytes());
                distinct.encode(&mut sketch);
                Op::Distinct(&sketch)
            }
            7 => {
                let mut top = Top::new(3);
                top.add("k", n);
                top.encode(&mut sketch);
                Op::Top(&sketch)
            }
            8 => Op::Action([Action::Add, Action::Last, Action::Top { k: 2 }, Action::Distinct][random.below(4)]),
            9 => Op::Lifetime(Duration::from_millis(random.next() >> random.below(64))),
            10 => Op::Total(n),
            _ => Op::Meta(Pairs::write(&mut meta, &[("units", "s")])),
        };
        writer.entry(&keys, op);
    }
    writer.into_bytes()
}

#[test]
fn entries_are_merged_or_refused_within_their_memory() {
    const MOST: usize = 64 * 1024;
    let limits = Limits { nodes_max: 2_000, branch_nodes_max: 1_000, bytes_max: 4 * 1024 * 1024 };
    let new = || Tree::new(limits, Duration::from_secs(1), 0);
    let mut tree = new();
    let (mut good, tries) = (0, tries());
    for case in 0..tries {
        let mut random = Random::of(seed() ^ 1, case);
        let mut frame = frame(&mut random);
        let whole = Reader::new(&frame).and_then(Reader::check).is_ok();
        assert!(whole, "case {case}");
        let mut fold = Fold::default();
        fold.merge(&frame).unwrap();
        let (packed, lost) = pack(fold, 1);
        assert_eq!(lost, 0);
        // Damaged before it is packed, or after.
        if random.below(2) == 0 {
            damage(&mut frame, &mut random);
            let _ = without_own(&frame, "here");
            let _ = tree.merge(&[], &frame, case as i64);
            let mut fold = Fold::default();
            let _ = fold.merge(&frame);
            assert!(fold.memory_bytes() < 2 * MOST, "case {case}: {}", fold.memory_bytes());
        }
        for Packed { mut data, .. } in packed {
            damage(&mut data, &mut random);
            match unpack_within(&data, MOST) {
                Ok(frame) => {
                    assert!(frame.len() <= MOST && frame.capacity() <= MOST + 1, "case {case}");
                    let left = without_own(&frame, "here").map(std::borrow::Cow::into_owned);
                    good += u64::from(left.is_some_and(|left| tree.merge(&[], &left, case as i64).is_ok()));
                }
                Err(Unpacking::Large(most)) => assert_eq!(most, MOST),
                Err(Unpacking::Wrong(_)) => {}
            }
        }
        // Sketches may grow a little past the limit.
        assert!(tree.memory_bytes() <= limits.bytes_max / 4 * 5, "case {case}: {}", tree.memory_bytes());
        if case % 100 == 0 {
            tree.end_tick(case as i64);
        }
        if case % 10_000 == 9_999 {
            tree = new();
        }
    }
    walked("entries", good, tries, 40..=95);
}
