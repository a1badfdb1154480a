//! Entries of a spool: a frame, packed with zstd.

use super::fold::Fold;
use crate::limits::RELAY_FRAME_BYTES_MAX;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Read;

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
        let data = compress_to_vec(frame.as_slice(), CompressionLevel::Fastest);
        packed.push(Packed { folded: if packed.is_empty() { folded } else { 0 }, data });
    }
    (packed, lost)
}

/// The frame of an entry.
///
/// # Errors
/// It is none, or larger than any that is sent.
pub(crate) fn unpack(data: &[u8]) -> Result<Vec<u8>, String> {
    let told = |error: &dyn std::fmt::Display| format!("what was packed with zstd cannot be unpacked: {error}");
    let decoder = StreamingDecoder::new(data).map_err(|error| told(&error))?;
    let mut frame = Vec::new();
    decoder.take(RELAY_FRAME_BYTES_MAX as u64 + 1).read_to_end(&mut frame).map_err(|error| told(&error))?;
    if frame.len() > RELAY_FRAME_BYTES_MAX {
        return Err(format!("an entry unpacks to more than {RELAY_FRAME_BYTES_MAX} bytes"));
    }
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
