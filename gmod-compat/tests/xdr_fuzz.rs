//! A million datagrams that are random, or good ones with something wrong, are read or refused: nothing panics, nothing is
//! read past its end, and what is read is written and read again as the same. `GRAFTD_FUZZ_CASES` and `GRAFTD_FUZZ_SEED` have it try
//! more and others.

use gmod_compat::text;
use gmod_compat::xdr::{Argument, Datum, Packet, decode, encode, format};
use graftd_fuzz::{Random, cases, seed, walked};

fn good() -> Vec<Vec<u8>> {
    let lines = include_str!("recorded/packets.txt").lines().filter(|line| !line.starts_with('#'));
    let hex = lines.map(|line| line.split(' ').next().expect("bytes"));
    hex.map(|hex| (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect())
        .collect()
}

/// Does something to a datagram that a bad network, a bad sender or somebody bad might do.
fn mutate(random: &mut Random, datagram: &mut Vec<u8>) {
    let at = random.below(datagram.len());
    match random.below(8) {
        0 => datagram.truncate(at),
        1 => datagram.extend((0..random.below(64)).map(|_| 0)),
        2 => datagram.extend_from_within(at..),
        3 => drop(datagram.drain(at..(at + 4).min(datagram.len()))),
        4 => {
            // A length or a count that is another.
            let at = at & !3;
            let word = [0, 1, 3, 5, 0x7fff_ffff, 0x8000_0000, u32::MAX, 1025][random.below(8)];
            if let Some(place) = datagram.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_be_bytes());
            }
        }
        5 => {
            if let Some(kind) = datagram.get_mut(3) {
                *kind = 126 + random.below(13) as u8;
            }
        }
        6 => {
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        _ => {
            if let Some(byte) = datagram.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
    }
}

/// Whether it was read.
fn try_one(datagram: &[u8], again: &mut Vec<u8>) -> bool {
    let Ok(packet) = decode(datagram) else { return false };
    let id = packet.id();
    let _ = (id.shown_name(), id.host_and_ip());
    if let Packet::Value(value) = &packet {
        let by = text(value.format);
        let _ = value.datum.number().map(|x| format(&by, Argument::Number(x)));
        if let Datum::Text(value) = value.datum {
            let _ = format(&by, Argument::Text(&text(value)));
        }
    }
    again.clear();
    encode(&packet, again);
    assert_eq!(again.len(), datagram.len(), "{packet:?}");
    // Not the packets themselves: of two NaNs neither is the other.
    let mut thrice = Vec::new();
    encode(&decode(again).expect("what was written is read"), &mut thrice);
    assert_eq!(*again, thrice);
    true
}

#[test]
fn a_million_datagrams_are_read_or_refused() {
    let (cases, good) = (cases(), good());
    let mut random = Random::new(seed());
    let (mut read, mut again) = (0u64, Vec::new());
    for case in 0..cases {
        let datagram = if case % 4 == 0 {
            let mut bytes: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
            if let Some(head) = bytes.first_chunk_mut::<4>() {
                // Else nearly all would be refused for their kind alone.
                *head = [0, 0, 0, 128 + random.below(9) as u8];
            }
            bytes
        } else {
            let mut bytes = good[random.below(good.len())].clone();
            for _ in 0..=random.below(3) {
                mutate(&mut random, &mut bytes);
            }
            bytes
        };
        read += u64::from(try_one(&datagram, &mut again));
    }
    walked("datagrams", read, cases, 5..=50);
}
