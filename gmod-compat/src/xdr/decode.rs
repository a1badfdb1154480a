//! Bytes into packets.

use super::{Datum, HOST_BYTES_MAX, Metadata, MetricId, PACKET_BYTES_MAX, PAIRS_MAX, Packet, Value, WORD_BYTES_MAX};
use std::fmt;

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Its first word is none of 128 to 136: ganglia 3.0 and others have packets of their own.
    Unknown(u32),
    /// It is cut off, or wrong, at this byte.
    Malformed {
        /// Offset into the datagram, in bytes.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Unknown(id) => write!(f, "packet of an unknown kind {id}; known are 128 to 136"),
            DecodeError::Malformed { at, why } => write!(f, "malformed packet at byte {at}: {why}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads a datagram, to its last byte.
///
/// # Errors
/// It is no packet: cut off, longer than what it says, past a limit, or of a kind that is unknown here.
pub fn decode(datagram: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let mut from = Cursor { datagram, at: 0 };
    if datagram.len() > PACKET_BYTES_MAX {
        return Err(from.error("longer than a datagram can be"));
    }
    let packet = match from.word()? {
        128 => Packet::Metadata(metadata(&mut from)?),
        kind @ 129..=135 => Packet::Value(value(&mut from, kind)?),
        136 => Packet::Request(id(&mut from)?),
        unknown => return Err(DecodeError::Unknown(unknown)),
    };
    if from.at != datagram.len() {
        return Err(from.error("bytes after the packet's end"));
    }
    Ok(packet)
}

fn id<'a>(from: &mut Cursor<'a>) -> Result<MetricId<'a>, DecodeError> {
    let host = from.text(HOST_BYTES_MAX)?;
    let name = from.text(WORD_BYTES_MAX)?;
    // As libtirpc reads a boolean: whatever is not zero is true.
    let spoof = from.word()? != 0;
    Ok(MetricId { host, name, spoof })
}

fn metadata<'a>(from: &mut Cursor<'a>) -> Result<Metadata<'a>, DecodeError> {
    let id = id(from)?;
    let (kind, name, units) = (from.text(WORD_BYTES_MAX)?, from.text(WORD_BYTES_MAX)?, from.text(WORD_BYTES_MAX)?);
    let (slope, tmax, dmax) = (from.word()?, from.word()?, from.word()?);
    let pairs = from.word()? as usize;
    // A pair has two lengths at least, so the count alone never makes room for what is not there.
    if pairs > PAIRS_MAX || pairs > from.left() / 8 {
        return Err(from.error("more pairs than there can be"));
    }
    let mut extra = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        extra.push((from.text(PACKET_BYTES_MAX)?, from.text(PACKET_BYTES_MAX)?));
    }
    Ok(Metadata { id, kind, name, units, slope, tmax, dmax, extra })
}

fn value<'a>(from: &mut Cursor<'a>, kind: u32) -> Result<Value<'a>, DecodeError> {
    let id = id(from)?;
    let format = from.text(WORD_BYTES_MAX)?;
    let datum = match kind {
        // The upper half of a short's word says nothing, as libtirpc reads it.
        129 => Datum::UShort(from.word()? as u16),
        130 => Datum::Short(from.word()? as i16),
        131 => Datum::Int(from.word()? as i32),
        132 => Datum::UInt(from.word()?),
        133 => Datum::Text(from.text(PACKET_BYTES_MAX)?),
        134 => Datum::Float(f32::from_bits(from.word()?)),
        _ => {
            let (high, low) = (from.word()?, from.word()?);
            Datum::Double(f64::from_bits(u64::from(high) << 32 | u64::from(low)))
        }
    };
    Ok(Value { id, format, datum })
}

struct Cursor<'a> {
    datagram: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn error(&self, why: &'static str) -> DecodeError {
        DecodeError::Malformed { at: self.at, why }
    }

    fn left(&self) -> usize {
        self.datagram.len().saturating_sub(self.at)
    }

    fn word(&mut self) -> Result<u32, DecodeError> {
        let rest = self.datagram.get(self.at..).unwrap_or_default();
        let word = rest.first_chunk::<4>().ok_or(self.error("cut off"))?;
        self.at += 4;
        Ok(u32::from_be_bytes(*word))
    }

    fn text(&mut self, most: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.word()? as usize;
        if length > most {
            return Err(self.error("a text longer than allowed"));
        }
        let padded = length.next_multiple_of(4);
        let rest = self.datagram.get(self.at..).unwrap_or_default();
        let text = rest.get(..padded).and_then(|padded| padded.get(..length)).ok_or(self.error("cut off"))?;
        self.at += padded;
        Ok(text)
    }
}
