//! What was packed with zstd, in one frame or several.

use super::unpack::pass_over;
use crate::limits::ZSTD_WINDOW_BYTES_MAX;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufReader, Cursor, Read};

/// Bytes that tell what a frame is.
const MARK_BYTES: u64 = 4;

/// A block that is the last and holds nothing, and a checksum, should one be asked for.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// Reads frames of zstd, one behind another, and checks their sums.
pub(super) struct Zstd<R: Read, S> {
    from: BufReader<R>,
    frame: FrameDecoder,
    under_way: bool,
    /// There was a frame before.
    any: bool,
    /// Why there is nothing behind what the frame holds yet.
    broken: Option<io::Error>,
    say: S,
}

impl<R: Read, S: Fn(&str)> Zstd<R, S> {
    /// What is passed over is said by `say`.
    pub(super) fn new(from: R, say: S) -> Zstd<R, S> {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        let from = BufReader::with_capacity(64 * 1024, from);
        Zstd { from, frame, under_way: false, any: false, broken: None, say }
    }

    /// Begins the next frame; `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let mut begins = Vec::with_capacity(MARK_BYTES as usize);
            (&mut self.from).take(MARK_BYTES).read_to_end(&mut begins)?;
            if begins.is_empty() {
                return Ok(false);
            }
            if self.any && !matches!(begins[..], [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]) {
                pass_over(&begins, &mut self.from, &self.say)?;
                return Ok(false);
            }
            self.any = true;
            match self.frame.reset(Cursor::new(begins).chain(&mut self.from)) {
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
    }

    /// Unpacks a block. Where that fails the frame ends: it holds back as much as a later block may refer to, and that is to be
    /// had at its end alone.
    fn go_on(&mut self) {
        if let Err(error) = self.frame.decode_blocks(&mut self.from, BlockDecodingStrategy::UptoBlocks(1)) {
            self.broken = Some(io::Error::other(error));
            // It is well formed, so it does not fail.
            let _ = self.frame.decode_blocks(&LAST_BLOCK[..], BlockDecodingStrategy::UptoBlocks(1));
        }
    }
}

impl<R: Read, S: Fn(&str)> Read for Zstd<R, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.under_way && !self.begin()? {
                return Ok(0);
            }
            self.under_way = true;
            while self.frame.can_collect() == 0 && !self.frame.is_finished() && self.broken.is_none() {
                self.go_on();
            }
            let read = self.frame.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            self.under_way = false;
            let frame = &self.frame;
            if frame.get_checksum_from_data().is_some_and(|sum| frame.get_calculated_checksum() != Some(sum)) {
                return Err(io::Error::other("a checksum is wrong"));
            }
        }
    }
}
