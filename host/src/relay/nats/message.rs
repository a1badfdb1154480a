//! What stands in a message of the stream.
//!
//! ```text
//! message   = MARK kind:u8 follows:place last:place stream:text host:text via:text body    numbers are little endian
//! place     = number:u64 tag:u64                 number 0: none
//! text      = length:u16 bytes                   UTF-8
//! body      = (place length:u32 zstd)+           kind 1: entries, in the order of their numbers
//!           | bytes                              kind 2: a part of an entry that is larger than a message may be
//!           | place length:u32 (sequence:u64)+   kind 3: such an entry: where its parts lie in the stream
//! ```
//!
//! `follows` is the sender's entry that was published before those of this message, so who has another one last knows that some are
//! missing. `last` is the one that all is there up to with this message: a sender that comes back reads there how far it came. `via`
//! names the daemons whose deltas are sent on in it, the sender itself if it takes what others send.

use crate::limits::{NATS_HEADER_BYTES, NATS_MESSAGE_BYTES, NATS_PARTS_MAX, NATS_PAYLOAD_MIN, RELAY_ENTRY_BYTES_MAX};
use crate::trend::{Place, Sent};

/// How each begins; the last byte is the version.
const MARK: &[u8; 8] = b"graftd \x01";

mod kind {
    pub(super) const ENTRIES: u8 = 1;
    pub(super) const PART: u8 = 2;
    pub(super) const WHOLE: u8 = 3;
}

/// No entry.
pub(super) const NONE: Place = Place { number: 0, tag: 0 };

/// What a message says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'m> {
    pub(super) follows: Place,
    pub(super) last: Place,
    /// By what the sender is known.
    pub(super) stream: &'m str,
    /// By what name it goes.
    pub(super) host: &'m str,
    /// Daemons whose deltas it sends, by the beginnings of their ids.
    pub(super) via: &'m str,
}

/// What a message brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body<'m> {
    Entries(Vec<(Place, &'m [u8])>),
    Part(&'m [u8]),
    Whole { place: Place, bytes: usize, parts: Vec<u64> },
}

impl Head<'_> {
    fn encode(&self, kind: u8, room: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes() + room);
        bytes.extend_from_slice(MARK);
        bytes.push(kind);
        put_place(&mut bytes, self.follows);
        put_place(&mut bytes, self.last);
        for text in [self.stream, self.host, self.via] {
            // None of them is so long: names of a conf file and of hosts, and what a hello has room for.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
        }
        bytes
    }

    /// Bytes that it takes.
    fn bytes(&self) -> usize {
        MARK.len() + 1 + 2 * PLACE_BYTES + 3 * 2 + self.stream.len() + self.host.len() + self.via.len()
    }

    /// Bytes of a body for which there is room behind it, where a message may have so many.
    ///
    /// # Errors
    /// There is not enough.
    pub(super) fn room(&self, payload_max: usize) -> Result<usize, String> {
        if payload_max < NATS_PAYLOAD_MIN {
            return Err(format!(
                "a message may have {payload_max} bytes there, and {NATS_PAYLOAD_MIN} are needed: raise max_payload of the server, or \
                 max_msg_size of the stream"
            ));
        }
        Ok(payload_max.min(NATS_MESSAGE_BYTES) - NATS_HEADER_BYTES - self.bytes())
    }

    /// A message with entries.
    pub(super) fn entries(&self, entries: &[Sent]) -> Vec<u8> {
        let room = entries.iter().map(|sent| ENTRY_HEAD + sent.data.len()).sum();
        let mut bytes = self.encode(kind::ENTRIES, room);
        for Sent { place, data } in entries {
            put_place(&mut bytes, *place);
            bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    /// A message with a part of an entry.
    pub(super) fn part(&self, part: &[u8]) -> Vec<u8> {
        let mut bytes = self.encode(kind::PART, part.len());
        bytes.extend_from_slice(part);
        bytes
    }

    /// A message with an entry whose parts lie at these places.
    pub(super) fn whole(&self, place: Place, length: usize, parts: &[u64]) -> Vec<u8> {
        let mut bytes = self.encode(kind::WHOLE, ENTRY_HEAD + 8 * parts.len());
        put_place(&mut bytes, place);
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(&part.to_le_bytes()));
        bytes
    }
}

const PLACE_BYTES: usize = 16;

/// Bytes before those of an entry.
pub(super) const ENTRY_HEAD: usize = PLACE_BYTES + 4;

fn put_place(bytes: &mut Vec<u8>, place: Place) {
    bytes.extend_from_slice(&place.number.to_le_bytes());
    bytes.extend_from_slice(&place.tag.to_le_bytes());
}

/// Reads a message.
///
/// # Errors
/// It is none of graftd's, or not whole.
pub(super) fn decode(bytes: &[u8]) -> Result<(Head<'_>, Body<'_>), &'static str> {
    const CUT: &str = "a message that is cut off";
    let Some(rest) = bytes.strip_prefix(&MARK[..MARK.len() - 1]) else {
        return Err("a message that is none of graftd's");
    };
    let mut rest = match rest.split_first() {
        Some((&version, rest)) if version == MARK[MARK.len() - 1] => rest,
        Some(_) => return Err("a message of a newer graftd"),
        None => return Err(CUT),
    };
    let from = &mut rest;
    let kind = take::<1>(from).ok_or(CUT)?[0];
    let (follows, last) = (place(from).ok_or(CUT)?, place(from).ok_or(CUT)?);
    let (stream, host, via) = (text(from).ok_or(CUT)?, text(from).ok_or(CUT)?, text(from).ok_or(CUT)?);
    let body = match kind {
        kind::ENTRIES => {
            let mut entries: Vec<(Place, &[u8])> = Vec::new();
            while !from.is_empty() {
                let place = place(from).ok_or(CUT)?;
                if place.number <= entries.last().map_or(follows.number, |(before, _)| before.number) {
                    return Err("a message whose entries are not in their order");
                }
                entries.push((place, long(from).and_then(|length| cut(from, length)).ok_or(CUT)?));
            }
            if entries.is_empty() {
                return Err(CUT);
            }
            Body::Entries(entries)
        }
        kind::PART => Body::Part(std::mem::take(from)),
        kind::WHOLE => {
            let place = place(from).ok_or(CUT)?;
            let bytes = long(from).ok_or(CUT)?;
            if place.number <= follows.number {
                return Err("a message whose entries are not in their order");
            }
            if bytes > RELAY_ENTRY_BYTES_MAX {
                return Err("an entry that is too large");
            }
            let (parts, left) = from.as_chunks::<8>();
            if parts.is_empty() || !left.is_empty() {
                return Err(CUT);
            }
            // Each is asked for: one message is not to make that more than an entry can be worth.
            if parts.len() > NATS_PARTS_MAX {
                return Err("an entry of more parts than any has");
            }
            let parts: Vec<u64> = parts.iter().map(|part| u64::from_le_bytes(*part)).collect();
            if !parts.is_sorted_by(|one, next| one < next) {
                return Err("an entry whose parts are not in their order");
            }
            Body::Whole { place, bytes, parts }
        }
        _ => return Err("a message of no kind that is known"),
    };
    Ok((Head { follows, last, stream, host, via }, body))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*bytes)
}

fn cut<'m>(rest: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (bytes, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(bytes)
}

fn place(rest: &mut &[u8]) -> Option<Place> {
    Some(Place { number: u64::from_le_bytes(take(rest)?), tag: u64::from_le_bytes(take(rest)?) })
}

fn long(rest: &mut &[u8]) -> Option<usize> {
    take(rest).map(|bytes| u32::from_le_bytes(bytes) as usize)
}

fn text<'m>(rest: &mut &'m [u8]) -> Option<&'m str> {
    let length = u16::from_le_bytes(take(rest)?);
    std::str::from_utf8(cut(rest, usize::from(length))?).ok()
}

/// A sender as the last tokens of a subject: its id, and its relay's name, of which other bytes than letters, digits, `-` and `_` are
/// written as `=` and two digits.
pub(super) fn token(stream: &str) -> String {
    let mut token = String::with_capacity(stream.len());
    let (id, name) = stream.split_once('.').unwrap_or((stream, ""));
    for (at, part) in [id, name].into_iter().enumerate() {
        if at > 0 {
            token.push('.');
        }
        for byte in part.bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => token.push(char::from(byte)),
                _ => token.push_str(&format!("={byte:02x}")),
            }
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NATS_HEAD_BYTES_MAX;
    use proptest::prelude::*;

    fn head() -> Head<'static> {
        let last = Place { number: 9, tag: 4 };
        Head { follows: Place { number: 7, tag: 3 }, last, stream: "ab.relay", host: "web1", via: "0123 4567" }
    }

    fn sent(number: u64, bytes: usize) -> Sent {
        Sent { place: Place { number, tag: 4 }, data: vec![number as u8; bytes] }
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        let entries = [sent(8, 3), sent(9, 0)];
        let bytes = head().entries(&entries);
        assert_eq!(bytes.len(), head().bytes() + 2 * ENTRY_HEAD + 3);
        let body = Body::Entries(entries.iter().map(|sent| (sent.place, sent.data.as_slice())).collect());
        assert_eq!(decode(&bytes), Ok((head(), body)));
        assert_eq!(decode(&head().part(b"some")), Ok((head(), Body::Part(b"some"))));
        let place = Place { number: 9, tag: 4 };
        let whole = Body::Whole { place, bytes: 5_000_000, parts: vec![3, 4, 7] };
        assert_eq!(decode(&head().whole(place, 5_000_000, &[3, 4, 7])), Ok((head(), whole)));
    }

    #[test]
    fn what_is_cut_off_or_out_of_order_is_refused() {
        let bytes = head().entries(&[sent(8, 3), sent(9, 2)]);
        // Between two entries nobody can see that one is missing; NATS gives messages out whole.
        let between = bytes.len() - ENTRY_HEAD - 2;
        for length in (0..bytes.len()).filter(|length| *length != between) {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        for entries in [[sent(7, 1), sent(9, 1)], [sent(9, 1), sent(8, 1)], [sent(8, 1), sent(8, 1)]] {
            assert_eq!(decode(&head().entries(&entries)), Err("a message whose entries are not in their order"));
        }
        let place = Place { number: 9, tag: 4 };
        assert_eq!(decode(&head().whole(place, RELAY_ENTRY_BYTES_MAX + 1, &[1])), Err("an entry that is too large"));
        assert!(decode(&head().whole(place, 1, &[])).is_err());
        let parts: Vec<u64> = (1..).take(NATS_PARTS_MAX + 1).collect();
        assert!(decode(&head().whole(place, 1, &parts[1..])).is_ok());
        assert_eq!(decode(&head().whole(place, 1, &parts)), Err("an entry of more parts than any has"));
        for parts in [[3, 3], [4, 3]] {
            let whole = head().whole(place, 1, &parts);
            assert_eq!(decode(&whole), Err("an entry whose parts are not in their order"), "{parts:?}");
        }
        let mut newer = bytes;
        newer[7] = 2;
        assert_eq!(decode(&newer), Err("a message of a newer graftd"));
        assert_eq!(decode(b"hello"), Err("a message that is none of graftd's"));
    }

    #[test]
    fn the_parts_of_the_largest_entry_fit_into_the_smallest_message() {
        let head = Head { via: &"0".repeat(7_000), host: &"h".repeat(255), stream: &"s".repeat(255), ..head() };
        let room = head.room(NATS_PAYLOAD_MIN).unwrap();
        let parts = RELAY_ENTRY_BYTES_MAX.div_ceil(room);
        assert!(ENTRY_HEAD + 8 * parts <= room, "{parts} parts in {room}");
        assert!(head.bytes() <= NATS_HEAD_BYTES_MAX && parts <= NATS_PARTS_MAX, "{parts} parts");
        assert!(head.room(NATS_PAYLOAD_MIN - 1).is_err());
        let whole = head.whole(NONE, 1, &vec![1; parts]);
        assert!(whole.len() + NATS_HEADER_BYTES <= NATS_PAYLOAD_MIN, "{}", whole.len());
    }

    #[test]
    fn a_sender_is_two_tokens_of_a_subject_and_no_two_are_the_same() {
        assert_eq!(token("0a1b.relay"), "0a1b.relay");
        assert_eq!(token("0a1b.to b.c*>"), "0a1b.to=20b=2ec=2a=3e");
        assert_eq!(token("0a1b.=20"), "0a1b.=3d20");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(mut bytes: Vec<u8>, kind in 0u8..5, marked: bool) {
            if marked {
                bytes.splice(0..0, MARK.iter().copied().chain([kind]));
            }
            let _ = decode(&bytes);
        }
    }
}
