//! What was packed with gzip or bzip2 in several pieces, one behind another, read as one.

use super::unpack::pass_over;
use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use std::io::{self, BufReader, Chain, Cursor, Read};

/// Bytes of what is packed that are read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a piece is unpacked from: its first bytes, and what follows them.
pub(super) type Packed<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// Unpacks one piece, and no byte more.
pub(super) trait Piece: Read {
    /// What is read.
    type From: Read;
    /// What each piece begins with.
    const MARK: &[u8];

    fn begin(from: Packed<Self::From>) -> Self;
    /// What follows it.
    fn end(self) -> Packed<Self::From>;
}

impl<R: Read> Piece for GzDecoder<Packed<R>> {
    type From = R;
    const MARK: &[u8] = &[0x1f, 0x8b, 8];

    fn begin(from: Packed<R>) -> Self {
        GzDecoder::new(from)
    }

    fn end(self) -> Packed<R> {
        self.into_inner()
    }
}

impl<R: Read> Piece for BzDecoder<Packed<R>> {
    type From = R;
    const MARK: &[u8] = b"BZh";

    fn begin(from: Packed<R>) -> Self {
        BzDecoder::new(from)
    }

    fn end(self) -> Packed<R> {
        self.into_inner()
    }
}

/// Reads all pieces, and passes over what stands behind them.
pub(super) struct Pieces<P, S> {
    /// None at the end.
    piece: Option<P>,
    say: S,
}

impl<P: Piece, S: Fn(&str)> Pieces<P, S> {
    /// The first piece begins where `from` does. What is passed over is said by `say`.
    pub(super) fn new(from: P::From, say: S) -> Pieces<P, S> {
        let from = BufReader::with_capacity(BUFFER_BYTES, from);
        Pieces { piece: Some(P::begin(Cursor::new(Vec::new()).chain(from))), say }
    }
}

impl<P: Piece, S: Fn(&str)> Read for Pieces<P, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(piece) = &mut self.piece {
            let read = piece.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            let Some((_, mut rest)) = self.piece.take().map(|piece| piece.end().into_inner()) else { break };
            let mut begins = Vec::with_capacity(P::MARK.len());
            (&mut rest).take(P::MARK.len() as u64).read_to_end(&mut begins)?;
            if begins == P::MARK {
                self.piece = Some(P::begin(Cursor::new(begins).chain(rest)));
            } else {
                pass_over(&begins, &mut rest, &self.say)?;
            }
        }
        Ok(0)
    }
}
