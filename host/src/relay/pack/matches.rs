//! Finds what repeats in a block, for zstd (RFC 8878): where a table of hashes met the same bytes last is taken at once, as by the fast
//! levels of its own tool. It takes room as the block has bytes: what ruzstd brings takes 128 KiB for each block, and most of ours have two.

use ruzstd::encoding::{CompressionLevel, Matcher, Sequence};

/// The largest block that the format has, in bytes.
pub(super) const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// The smallest window that a frame's head can tell, in bytes.
const WINDOW_BYTES_MIN: usize = 1024;

/// The shortest repetition that is worth telling, in bytes.
const MATCH_BYTES_MIN: usize = 5;

/// Bits of the places that a table has, at least and at most.
const PLACE_BITS: (u32, u32) = (8, 15);

/// After so many bytes, as a power of two, in which nothing repeats, one more of them is passed over at each step.
const PATIENCE_BITS: usize = 6;

/// A block, and where in it what was met last.
#[derive(Debug)]
pub(super) struct Matches {
    room: usize,
    block: Vec<u8>,
    /// By the hash of the bytes there: one more than the place; 0 where there is none.
    places: Vec<u32>,
}

impl Matches {
    /// For so many bytes in all.
    pub(super) fn new(bytes: usize) -> Matches {
        // One more, to see that this is all.
        let room = bytes.saturating_add(1).min(BLOCK_BYTES_MAX);
        let bits = room.next_power_of_two().ilog2().clamp(PLACE_BITS.0, PLACE_BITS.1);
        Matches { room, block: Vec::new(), places: vec![0; 1 << bits] }
    }

    fn place_of(&self, at: usize) -> usize {
        const ODD: u64 = 0x9e37_79b1_85eb_ca87;
        let bytes = &self.block[at..at + MATCH_BYTES_MIN];
        let word = u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], 0, 0, 0]);
        (word.wrapping_mul(ODD) >> (u64::BITS - self.places.len().ilog2())) as usize
    }
}

/// How many bytes are the same from two places on, of which one lies before the other.
fn same(block: &[u8], before: usize, at: usize) -> usize {
    block[at..].iter().zip(&block[before..]).take_while(|(one, other)| one == other).count()
}

impl Matcher for Matches {
    fn get_next_space(&mut self) -> Vec<u8> {
        let mut space = std::mem::take(&mut self.block);
        space.resize(self.room, 0);
        space
    }

    fn get_last_space(&mut self) -> &[u8] {
        &self.block
    }

    fn commit_space(&mut self, space: Vec<u8>) {
        // A block stands alone: in frames that have more than one there is enough that repeats in each.
        self.places.fill(0);
        self.block = space;
    }

    fn skip_matching(&mut self) {}

    fn start_matching(&mut self, mut tell: impl for<'a> FnMut(Sequence<'a>)) {
        let (mut told, mut at) = (0, 0);
        while at + MATCH_BYTES_MIN <= self.block.len() {
            let place = self.place_of(at);
            let before = std::mem::replace(&mut self.places[place], at as u32 + 1);
            let length = if before > 0 { same(&self.block, before as usize - 1, at) } else { 0 };
            if length < MATCH_BYTES_MIN {
                at += 1 + ((at - told) >> PATIENCE_BITS);
                continue;
            }
            let literals = &self.block[told..at];
            tell(Sequence::Triple { literals, offset: at + 1 - before as usize, match_len: length });
            at += length;
            told = at;
        }
        tell(Sequence::Literals { literals: &self.block[told..] });
    }

    fn reset(&mut self, _: CompressionLevel) {}

    fn window_size(&self) -> u64 {
        self.room.next_power_of_two().max(WINDOW_BYTES_MIN) as u64
    }
}
