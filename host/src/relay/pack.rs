//! Entries of a spool: a frame, packed with zstd.

mod matches;

use super::fold::Fold;
use crate::limits::{RELAY_FRAME_BYTES_MAX, RELAY_PACK_WINDOW_BYTES};
use matches::{BLOCK_BYTES_MAX, Matches};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, FrameCompressor, compress_to_vec};
use std::cell::RefCell;
use std::fmt;
use std::io::{Cursor, Read};

/// Bytes that a frame aims at before it is packed: large enough to be packed well, small enough that a window of them stays
/// within megabytes.
const FRAME_BYTES: usize = 512 * 1024;

/// An entry that has no number yet.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// How many entries were folded into it, itself included.
    pub(crate) folded: u64,
    pub(crate) data: Vec<u8>,
}

/// Packs what was folded. Frames that no receiver would take are left out: how many these are is told too.
pub(crate) fn pack(fold: Fold, folded: u64) -> (Vec<Packed>, u64) {
    let mut lost = 0;
    let mut packed: Vec<Packed> = Vec::new();
    for frame in fold.frames(FRAME_BYTES) {
        if frame.len() > RELAY_FRAME_BYTES_MAX {
            lost += 1;
            continue;
        }
        let data = compress(frame);
        packed.push(Packed { folded: if packed.is_empty() { folded } else { 0 }, data });
    }
    (packed, lost)
}

type Compressor = FrameCompressor<Cursor<Vec<u8>>, Vec<u8>, Matches>;

thread_local! {
    /// Its tables are made once: that costs as much as to pack what an agent has to send. In a box, for they have 50 KB, which each thread
    /// would have on its stack.
    static COMPRESSOR: RefCell<Box<Compressor>> =
        RefCell::new(Box::new(FrameCompressor::new_with_matcher(Matches::new(0), CompressionLevel::Fastest)));
}

/// Packs bytes with zstd.
pub(super) fn compress(bytes: Vec<u8>) -> Vec<u8> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.replace_matcher(Matches::new(bytes.len()));
        compressor.set_source(Cursor::new(bytes));
        compressor.set_drain(Vec::new());
        compressor.compress();
        let bytes = compressor.take_source().map(Cursor::into_inner).unwrap_or_default();
        let packed = compressor.take_drain().unwrap_or_default();
        // The room for a large one is not kept.
        compressor.replace_matcher(Matches::new(0));
        // Where a block is stored as it is after all, ruzstd 0.9 remembers the table that it would have had, and may say of the next that
        // it has the same.
        let sound =
            bytes.len() < BLOCK_BYTES_MAX || unpack_within(&packed, bytes.len()).is_ok_and(|again| again == bytes);
        if sound { packed } else { compress_to_vec(bytes.as_slice(), CompressionLevel::Uncompressed) }
    })
}

/// Why there is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unpacking {
    /// It has more than so many bytes.
    Large(usize),
    /// It was not packed by a relay, or is damaged.
    Wrong(String),
}

/// The frame of an entry.
///
/// # Errors
/// It is none, or larger than any that is sent.
pub(crate) fn unpack(data: &[u8]) -> Result<Vec<u8>, String> {
    unpack_within(data, RELAY_FRAME_BYTES_MAX).map_err(|why| match why {
        Unpacking::Large(most) => format!("an entry unpacks to more than {most} bytes"),
        Unpacking::Wrong(why) => why,
    })
}

/// The frame of an entry, if it has at most so many bytes; no more room is taken for it, but for a window.
///
/// # Errors
/// It is none, or a larger one.
pub(super) fn unpack_within(data: &[u8], most: usize) -> Result<Vec<u8>, Unpacking> {
    let told =
        |error: &dyn fmt::Display| Unpacking::Wrong(format!("what was packed with zstd cannot be unpacked: {error}"));
    let mut decoder =
        StreamingDecoder::new_with_max_window_size(data, RELAY_PACK_WINDOW_BYTES).map_err(|error| told(&error))?;
    let mut frame = Vec::new();
    let mut has = 0;
    loop {
        if has == frame.len() {
            if has > most {
                return Err(Unpacking::Large(most));
            }
            // One more than may be, to see whether there is more.
            let more = has.max(data.len() * 4).max(4 * 1024);
            frame.reserve_exact(more.min(most + 1 - has));
            frame.resize((has + more).min(most + 1), 0);
        }
        match decoder.read(&mut frame[has..]).map_err(|error| told(&error))? {
            0 => break,
            read => has += read,
        }
    }
    if has > most {
        return Err(Unpacking::Large(most));
    }
    frame.truncate(has);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::delta::wire::{Op, Reader};

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut fold = Fold::default();
        for i in 0..50_000 {
            fold.feed(&["urls", &i.to_string()], Op::Add(1.0));
        }
        let (packed, lost) = pack(fold, 3);
        assert!(packed.len() > 1 && lost == 0);
        assert_eq!(packed.iter().map(|packed| packed.folded).sum::<u64>(), 3);
        let mut again = Fold::default();
        packed.iter().for_each(|packed| again.merge(&unpack(&packed.data).unwrap()).unwrap());
        let whole = again.frames(usize::MAX);
        assert_eq!(Reader::new(&whole[0]).unwrap().check(), Ok(50_000));
    }

    /// The same bytes each time, of which none tells of the next.
    fn noise() -> impl FnMut() -> u8 {
        let mut state = 1u64;
        move || {
            // Knuth's multiplier and increment for 64 bits (MMIX).
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        }
    }

    /// As long as ruzstd's own takes, nearly.
    #[test]
    fn what_is_packed_with_our_matches_is_as_short() {
        let mut fold = Fold::default();
        for i in 0..30_000 {
            let host = format!("web{:03}", i % 300);
            fold.feed(&["fleet", &host, ["cpu", "disk", "net"][i % 3], &(i % 97).to_string()], Op::Add(i as f64));
        }
        let frames = fold.frames(FRAME_BYTES);
        let mut one = Fold::default();
        for name in ["idle", "user", "system", "iowait", "steal"] {
            one.feed(&["cpu", "web1", name], Op::Set(0.25));
        }
        let noise: Vec<u8> = std::iter::repeat_with(noise()).take(300_000).collect();
        let edge: Vec<u8> = (0..128 * 1024).map(|i: usize| (i % 251 * (i / 1_000)) as u8).collect();
        let samples =
            [frames[0].clone(), one.frames(FRAME_BYTES)[0].clone(), noise, edge, vec![7; 200_000], vec![1], vec![]];
        for sample in samples {
            let ours = compress(sample.clone());
            let theirs = compress_to_vec(sample.as_slice(), CompressionLevel::Fastest);
            assert_eq!(unpack(&ours).unwrap(), sample);
            assert!(ours.len() <= theirs.len() * 11 / 10 + 8, "{} of {}: {}", ours.len(), sample.len(), theirs.len());
        }
    }

    #[test]
    fn blocks_that_can_hardly_be_packed_are_unpacked() {
        let mut noise = noise();
        for often in (0..40_000).step_by(400) {
            let mut bytes: Vec<u8> = (0..BLOCK_BYTES_MAX + 3_000).map(|_| noise()).collect();
            // One byte is met oftener than others, from not at all to every third.
            (0..often).for_each(|at| bytes[at * 3 + 7] = 0);
            (0..100).for_each(|at| bytes[BLOCK_BYTES_MAX + at * 29 + 1] = 0);
            assert!(unpack(&compress(bytes.clone())).is_ok_and(|again| again == bytes), "{often}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_packed_is_unpacked(
            words in proptest::collection::vec(proptest::collection::vec(0u8..4, 1..12), 1..20),
            order in proptest::collection::vec(0usize..20, 0..3_000),
        ) {
            let bytes: Vec<u8> = order.iter().flat_map(|at| words[at % words.len()].clone()).collect();
            proptest::prop_assert_eq!(unpack(&compress(bytes.clone())).unwrap(), bytes);
        }
    }

    #[test]
    fn no_more_room_is_taken_than_may_be() {
        let packed = compress_to_vec(&[7; 10_000][..], CompressionLevel::Fastest);
        assert_eq!(unpack_within(&packed, 10_000).unwrap(), [7; 10_000]);
        assert_eq!(unpack_within(&packed, 9_999), Err(Unpacking::Large(9_999)));
        assert_eq!(unpack_within(&[], 10), Err(unpack_within(&[1], 10).unwrap_err()));
        // The window is what a decoder makes room for, whatever comes.
        let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0];
        assert!(matches!(unpack_within(&wide, 10), Err(Unpacking::Wrong(why)) if why.contains("window")));
    }

    #[test]
    fn a_few_bytes_do_not_become_many() {
        let bomb =
            compress_to_vec(std::io::repeat(0).take(RELAY_FRAME_BYTES_MAX as u64 + 5), CompressionLevel::Fastest);
        assert!(bomb.len() < 100_000);
        assert!(unpack(&bomb).unwrap_err().contains("more than"));
        for cut in 0..40 {
            let _ = unpack(&bomb[..cut]);
        }
    }
}
