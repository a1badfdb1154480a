//! Logs that are packed, told by how they begin and not by their names.

use crate::limits::ZSTD_WINDOW_BYTES_MAX;
use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes from which is told how a file is packed.
pub(super) const BEGINNING: usize = 10;

/// Reads what is packed with gzip, zstd or bzip2 as what it was before, and anything else as it is. What was packed in
/// several pieces, one behind another, is read whole.
///
/// # Errors
/// It cannot be read, or is packed with something else.
pub(super) fn unpacked(mut from: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let begins = begins(&mut from)?;
    let whole = io::Cursor::new(begins.clone()).chain(from);
    let unpacker: Box<dyn Read> = match packing(&begins)? {
        None => return Ok(Box::new(whole)),
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(whole)),
        Some(Packing::Bzip2) => Box::new(MultiBzDecoder::new(whole)),
        Some(Packing::Zstd) => Box::new(Zstd::new(whole)),
    };
    Ok(Box::new(Named(unpacker)))
}

/// Whether a file that begins so is packed, however.
pub(super) fn is_packed(begins: &[u8]) -> bool {
    !matches!(packing(begins), Ok(None))
}

/// The first bytes, as many as there are.
pub(super) fn begins(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut begins = Vec::with_capacity(BEGINNING);
    from.take(BEGINNING as u64).read_to_end(&mut begins)?;
    Ok(begins)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// RFC 1952; the third byte is the only method there is.
    Gzip,
    /// RFC 8878.
    Zstd,
    Bzip2,
}

/// How a file that begins so is packed. A log may begin with some of these bytes, but with none of the whole marks.
fn packing(begins: &[u8]) -> io::Result<Option<Packing>> {
    let other = |name: &str, command: &str| {
        Err(io::Error::other(format!(
            "is packed by {name}, which is not read here; unpack it: {command} | graftd ingest -"
        )))
    };
    match begins {
        [0x1f, 0x8b, 8, ..] => Ok(Some(Packing::Gzip)),
        // A frame, or one of those that are to be passed over.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Some(Packing::Zstd)),
        // A block (π), or the end of a file without any (√π).
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y']
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, b'r', b'E', b'8', b'P', 0x90] => Ok(Some(Packing::Bzip2)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => other("xz", "xz -dc FILE"),
        [0x04, 0x22, 0x4d, 0x18, ..] => other("lz4", "lz4 -dc FILE"),
        [b'P', b'K', 3, 4, ..] => other("zip", "unzip -p FILE"),
        _ => Ok(None),
    }
}

/// Says of errors that it is the unpacking that cannot go on.
struct Named(Box<dyn Read>);

impl Read for Named {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ if is_cut_off(&error) => io::Error::other("is packed, and cut off; the lines before that were read"),
            _ => io::Error::other(format!("is packed, and damaged: {error}; the lines before that were read")),
        })
    }
}

/// Whether bytes are missing, wherever in an error that is said.
fn is_cut_off(error: &io::Error) -> bool {
    let ended = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let mut why: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = why {
        if error.downcast_ref::<io::Error>().is_some_and(ended) {
            return true;
        }
        why = error.source();
    }
    ended(error)
}

/// Reads frames of zstd, one behind another, and checks their sums.
struct Zstd<R: Read> {
    from: BufReader<R>,
    frame: FrameDecoder,
    under_way: bool,
}

impl<R: Read> Zstd<R> {
    fn new(from: R) -> Zstd<R> {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        Zstd { from: BufReader::with_capacity(64 * 1024, from), frame, under_way: false }
    }

    /// Begins the next frame; `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.from.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.from) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let passed = io::copy(&mut (&mut self.from).take(length.into()), &mut io::sink())?;
                    if passed < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.under_way && !self.begin()? {
                return Ok(0);
            }
            self.under_way = true;
            let frame = &mut self.frame;
            while frame.can_collect() == 0 && !frame.is_finished() {
                frame.decode_blocks(&mut self.from, BlockDecodingStrategy::UptoBlocks(1)).map_err(io::Error::other)?;
            }
            let read = frame.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            self.under_way = false;
            if frame.get_checksum_from_data().is_some_and(|sum| frame.get_calculated_checksum() != Some(sum)) {
                return Err(io::Error::other("a checksum is wrong"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_begins_like_it_is_not_packed() {
        for text in ["", "B", "BZh9 is a host\n", "PK\n", "P*M", "1.2.3.4 - -", "\u{1f}", "(µ/"] {
            assert!(!is_packed(text.as_bytes()), "{text:?}");
            let mut read = String::new();
            let from = io::Cursor::new(text.as_bytes().to_vec());
            unpacked(from).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (begins, name) in [(&b"\xfd7zXZ\0\0"[..], "xz -dc"), (b"PK\x03\x04", "unzip"), (b"\x04\x22\x4d\x18", "lz4")]
        {
            let error = unpacked(io::Cursor::new(begins)).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
            assert!(is_packed(begins));
        }
    }

    #[test]
    fn noise_behind_a_mark_is_an_error_and_no_panic() {
        let mut seed = 7_u32;
        for mark in [&b"\x1f\x8b\x08"[..], b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"BZh91AY&SY"] {
            for length in 0..400 {
                let noise = (0..length).map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                });
                let bytes: Vec<u8> = mark.iter().copied().chain(noise).collect();
                let mut unpacked = unpacked(io::Cursor::new(bytes)).unwrap().take(1 << 24);
                drop(io::copy(&mut unpacked, &mut io::sink()));
            }
        }
    }
}
