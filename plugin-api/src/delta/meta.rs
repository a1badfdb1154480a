//! What is told of a value beside the value: its unit, its title, the groups it is shown in.
//!
//! An ordered list of pairs of texts, a key more than once if need be, in bytes: `(length:varint key length:varint
//! value)*`. Whoever has [`Pairs`] knows that they keep to the [limits](crate::limits) and are UTF-8.

use crate::limits::{META_BYTES_MAX, META_PAIRS_MAX, cut};
use crate::varint;

/// The metadata of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairs<'a> {
    bytes: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Writes pairs into `out`, which is cleared. What is too much is cut: a value that does not fit is shortened, and the
    /// pairs behind it are left out, as are those past the most that a node may have. A pair without a key is none.
    pub fn write<'o>(out: &'o mut Vec<u8>, pairs: &[(&str, &str)]) -> Pairs<'o> {
        out.clear();
        let named = pairs.iter().filter(|(key, _)| !key.is_empty());
        for (key, value) in named.take(META_PAIRS_MAX) {
            let room = META_BYTES_MAX.saturating_sub(out.len() + size_bytes(key.len()) + key.len());
            // The value's own length is counted by the longest that it can take.
            let most = room.saturating_sub(size_bytes(META_BYTES_MAX));
            if room < size_bytes(META_BYTES_MAX) {
                break;
            }
            let kept = cut(value, most.min(value.len()));
            put(out, key);
            put(out, kept);
            if kept.len() < value.len() {
                break;
            }
        }
        Pairs { bytes: out }
    }

    /// Reads pairs, to the last byte.
    ///
    /// # Errors
    /// What is wrong, and at which of the bytes.
    pub fn read(bytes: &'a [u8]) -> Result<Pairs<'a>, (usize, &'static str)> {
        if bytes.len() > META_BYTES_MAX {
            return Err((0, "more metadata than a node may have"));
        }
        let mut rest = bytes;
        for _ in 0..META_PAIRS_MAX {
            if rest.is_empty() {
                return Ok(Pairs { bytes });
            }
            let at = bytes.len() - rest.len();
            let (key, behind) = take(rest).ok_or((at, "metadata cut off"))?;
            let (value, behind) = take(behind).ok_or((at, "metadata cut off"))?;
            if key.is_empty() {
                return Err((at, "metadata without a key"));
            }
            if core::str::from_utf8(key).is_err() || core::str::from_utf8(value).is_err() {
                return Err((at, "not UTF-8"));
            }
            rest = behind;
        }
        if rest.is_empty() { Ok(Pairs { bytes }) } else { Err((0, "more pairs of metadata than a node may have")) }
    }

    /// Pairs from bytes that have been read before ([`Pairs::read`]), without looking again. Of other bytes nothing is known
    /// but that [`Pairs::iter`] ends.
    #[must_use]
    pub fn reread(bytes: &'a [u8]) -> Pairs<'a> {
        Pairs { bytes }
    }

    /// The bytes that [`Pairs::read`] reads.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The pairs, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (key, behind) = take(rest)?;
            let (value, behind) = take(behind)?;
            rest = behind;
            Some((core::str::from_utf8(key).ok()?, core::str::from_utf8(value).ok()?))
        })
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'a str> {
        self.iter().find(|(named, _)| *named == key).map(|(_, value)| value)
    }
}

/// Bytes that a length takes in front of so many bytes.
fn size_bytes(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A text and what stands behind it.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, head) = varint::get(bytes)?;
    let length = usize::try_from(length).ok()?;
    bytes.get(head..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut out = vec![1, 2, 3];
        let bytes = Pairs::write(&mut out, pairs).bytes().to_vec();
        let pairs = Pairs::read(&bytes).unwrap();
        pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_far_as_it_fits(
            pairs in prop::collection::vec(("[a-zé]{0,9}", prop_oneof![9 => ".{0,60}", 1 => "[xé]{900,4000}"]), 0..80),
        ) {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let named: Vec<_> = pairs.iter().copied().filter(|(key, _)| !key.is_empty()).collect();
            let found = written(&pairs);
            prop_assert!(found.len() <= META_PAIRS_MAX);
            for (i, ((key, value), wanted)) in found.iter().zip(&named).enumerate() {
                prop_assert_eq!(key, wanted.0);
                let last = i + 1 == found.len();
                let same = if last { wanted.1.starts_with(value) } else { value == wanted.1 };
                prop_assert!(same, "{}: {} of {}", i, value, wanted.1);
            }
            let whole: usize = named.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
            if whole <= META_BYTES_MAX {
                prop_assert_eq!(found.len(), named.len().min(META_PAIRS_MAX));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let read = Pairs::read(&bytes);
            let again: Vec<_> = Pairs::reread(&bytes).iter().collect();
            if let Ok(pairs) = read {
                prop_assert_eq!(again.len(), pairs.iter().count());
                let mut out = Vec::new();
                prop_assert_eq!(Pairs::write(&mut out, &again).iter().collect::<Vec<_>>(), again);
            }
        }
    }

    #[test]
    fn what_is_too_much_is_cut_when_written_and_refused_when_read() {
        let long = "é".repeat(META_BYTES_MAX);
        let found = written(&[("units", "s"), ("description", &long), ("title", "t")]);
        assert_eq!(found.len(), 2);
        assert!(found[1].1.len() > META_BYTES_MAX - 40 && long.starts_with(&found[1].1));
        assert_eq!(written(&[(&long, "x"), ("units", "s")]), [], "a key is not cut: it would be another");
        assert_eq!(written(&[("a", "b"); META_PAIRS_MAX + 1]).len(), META_PAIRS_MAX);
        let mut bytes = Vec::new();
        for _ in 0..=META_PAIRS_MAX {
            put(&mut bytes, "a");
            put(&mut bytes, "b");
        }
        assert_eq!(Pairs::read(&bytes), Err((0, "more pairs of metadata than a node may have")));
        bytes.clear();
        put(&mut bytes, "a");
        put(&mut bytes, &long);
        assert_eq!(Pairs::read(&bytes), Err((0, "more metadata than a node may have")));
        assert_eq!(Pairs::read(b"\x00\x00"), Err((0, "metadata without a key")));
        assert_eq!(Pairs::read(b"\x01a\x01b\x01a\x01\xff"), Err((4, "not UTF-8")));
        assert_eq!(Pairs::read(b"\x01a\x02b"), Err((0, "metadata cut off")));
    }

    #[test]
    fn keys_repeat_and_keep_their_order() {
        let pairs = [("group", "cpu"), ("units", ""), ("group", "b")];
        let mut out = Vec::new();
        let written = Pairs::write(&mut out, &pairs);
        assert_eq!(written.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((written.get("group"), written.get("units"), written.get("title")), (Some("cpu"), Some(""), None));
        assert!(Pairs::write(&mut Vec::new(), &[]).is_empty());
    }
}
