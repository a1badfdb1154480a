//! The one pass over the bytes of a text, with the widest registers that the processor has.
//!
//! The programs are built for any processor of their kind, so the wide way is chosen when it runs. That takes the only
//! unsafe code of this room: a call of what was compiled for a processor with AVX2, after asking whether this one has it, and
//! a load of 32 bytes.

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code, reason = "a call into code for AVX2, and its loads"))]

use super::window::{Marks, SPARE_BYTES};
use wide::u8x16;

/// Finds the line feeds, quotes, backslashes and question marks of a text. Writes where each line feed is to `line_ends`,
/// if that is asked for, which only grows; gives how many there are.
pub(super) fn look(text: &[u8], line_ends: Option<&mut Vec<u32>>, marks: &mut Marks) -> usize {
    let bytes = text.len().div_ceil(64) * size_of::<u64>();
    for bits in [&mut marks.quotes.0, &mut marks.questions.0] {
        bits.resize(bytes + SPARE_BYTES, 0);
        bits[bytes..].fill(0);
    }
    let line_ends = line_ends.map_or(&mut [][..], |line_ends| {
        // Room for a line feed at each byte, and for one write past the last.
        line_ends.resize(line_ends.len().max(text.len() + 1), 0);
        line_ends
    });
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi1") {
        // Safety: the processor has what the function is compiled for.
        return unsafe { avx2::look(text, line_ends, marks) };
    }
    each_block(text, line_ends, marks, found)
}

/// What was found in 64 bytes: a bit for each.
struct Found {
    line_feeds: u64,
    quotes: u64,
    questions: u64,
    slash: bool,
}

/// Walks over the blocks of a text.
#[inline(always)]
fn each_block(text: &[u8], line_ends: &mut [u32], marks: &mut Marks, found: impl Fn(&[u8; 64]) -> Found) -> usize {
    let Marks { quotes, questions, slash } = marks;
    *slash = false;
    let (quotes, _) = quotes.0.as_chunks_mut();
    let (questions, _) = questions.0.as_chunks_mut();
    let mut words = quotes.iter_mut().zip(questions);
    let mut count = 0;
    let mut start = 0;
    let mut take = |found: Found| {
        let Some((quotes, questions)) = words.next() else { return };
        (*quotes, *questions) = (found.quotes.to_le_bytes(), found.questions.to_le_bytes());
        *slash |= found.slash;
        let mut feeds = found.line_feeds;
        // Lines are longer than a block, as a rule: it has no line feed or one, and there is no branch for that.
        if let Some(end) = line_ends.get_mut(count) {
            *end = (start + feeds.trailing_zeros() as usize) as u32;
        }
        count += usize::from(feeds != 0);
        feeds &= feeds.wrapping_sub(1);
        while feeds != 0 {
            if let Some(end) = line_ends.get_mut(count) {
                *end = (start + feeds.trailing_zeros() as usize) as u32;
            }
            count += 1;
            feeds &= feeds - 1;
        }
        start += 64;
    };
    let (blocks, tail) = text.as_chunks();
    blocks.iter().for_each(|block| take(found(block)));
    if !tail.is_empty() {
        let mut block = [0; 64];
        block[..tail.len()].copy_from_slice(tail);
        take(found(&block));
    }
    count
}

/// With registers of 16 bytes, which every processor has.
#[inline(always)]
fn found(block: &[u8; 64]) -> Found {
    let (chunks, _) = block.as_chunks::<16>();
    let mut found = Found { line_feeds: 0, quotes: 0, questions: 0, slash: false };
    let mut slashes = u8x16::splat(0);
    for (i, chunk) in chunks.iter().enumerate() {
        let chunk = u8x16::from(*chunk);
        let slash = chunk.simd_eq(u8x16::splat(b'\\'));
        slashes |= slash;
        let bits = |of: u8x16| u64::from(of.to_bitmask()) << (16 * i);
        found.quotes |= bits(chunk.simd_eq(u8x16::splat(b'"')) | slash);
        found.questions |= bits(chunk.simd_eq(u8x16::splat(b'?')));
        found.line_feeds |= bits(chunk.simd_eq(u8x16::splat(b'\n')));
    }
    found.slash = slashes.to_bitmask() != 0;
    found
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Found, Marks, each_block};
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    };

    #[target_feature(enable = "avx2,bmi1")]
    pub(super) fn look(text: &[u8], line_ends: &mut [u32], marks: &mut Marks) -> usize {
        each_block(text, line_ends, marks, |block| {
            let (halves, _) = block.as_chunks::<32>();
            let mut found = Found { line_feeds: 0, quotes: 0, questions: 0, slash: false };
            let mut slashes = 0;
            for (i, half) in halves.iter().enumerate() {
                // Safety: it is 32 bytes, and the load asks for no alignment.
                let half = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
                let is = |byte: u8| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte as i8));
                let bits = |of: __m256i| u64::from(_mm256_movemask_epi8(of) as u32) << (32 * i);
                let slash = is(b'\\');
                slashes |= _mm256_movemask_epi8(slash);
                found.quotes |= bits(_mm256_or_si256(is(b'"'), slash));
                found.questions |= bits(is(b'?'));
                found.line_feeds |= bits(is(b'\n'));
            }
            found.slash = slashes != 0;
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_way_finds_what_is_there(
            text in prop::collection::vec(
                prop_oneof![1 => prop::sample::select(b"\n\"\\?".to_vec()), 9 => any::<u8>()], 0..400)
        ) {
            let feeds: Vec<u32> = (0..text.len() as u32).filter(|&i| text[i as usize] == b'\n').collect();
            let check = |count: usize, line_ends: &[u32], marks: &Marks| {
                prop_assert_eq!(&line_ends[..count], &feeds);
                prop_assert_eq!(marks.slash, text.contains(&b'\\'));
                for (i, byte) in text.iter().enumerate() {
                    prop_assert_eq!(marks.quotes.0[i / 8] >> (i % 8) & 1 == 1, b"\"\\".contains(byte));
                    prop_assert_eq!(marks.questions.0[i / 8] >> (i % 8) & 1 == 1, *byte == b'?');
                }
                Ok(())
            };
            let (mut line_ends, mut marks) = (Vec::new(), Marks::default());
            // What is left of a longer text is no part of a shorter one.
            look(&[&text[..], b"\n\"\\?"].concat().repeat(2), Some(&mut line_ends), &mut marks);
            let count = look(&text, Some(&mut line_ends), &mut marks);
            check(count, &line_ends, &marks)?;
            let count = each_block(&text, &mut line_ends, &mut marks, found);
            check(count, &line_ends, &marks)?;
        }
    }
}
