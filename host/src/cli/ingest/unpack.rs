//! Logs that are packed, told by how they begin and not by their names.

use super::pieces::Pieces;
use super::zstd::Zstd;
use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use std::error::Error;
use std::io::{self, BufRead, Read};

/// Bytes from which is told how a file is packed.
pub(super) const BEGINNING: usize = 10;

/// Reads what is packed with gzip, zstd or bzip2 as what it was before, and anything else as it is. What was packed in
/// several pieces, one behind another, is read whole; something else that stands behind them is passed over and said, as their
/// own tools do.
///
/// # Errors
/// It cannot be read, or is packed with something else.
pub(super) fn unpacked(mut from: impl Read + 'static, say: impl Fn(&str) + 'static) -> io::Result<Box<dyn Read>> {
    let begins = begins(&mut from)?;
    let whole = io::Cursor::new(begins.clone()).chain(from);
    let unpacker: Box<dyn Read> = match packing(&begins)? {
        None => return Ok(Box::new(whole)),
        Some(Packing::Gzip) => Box::new(Pieces::<GzDecoder<_>, _>::new(whole, say)),
        Some(Packing::Bzip2) => Box::new(Pieces::<BzDecoder<_>, _>::new(whole, say)),
        Some(Packing::Zstd) => Box::new(Zstd::new(whole, say)),
    };
    Ok(Box::new(Named(unpacker)))
}

/// Whether a file that begins so is packed, however.
pub(super) fn is_packed(begins: &[u8]) -> bool {
    !matches!(packing(begins), Ok(None))
}

/// Passes over what stands behind all that is packed, of which these bytes were read, and says so. Zeros are what tapes and
/// blocks are filled up with.
///
/// # Errors
/// It cannot be read.
pub(super) fn pass_over(begins: &[u8], rest: &mut impl BufRead, say: &impl Fn(&str)) -> io::Result<()> {
    let all_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let (mut bytes, mut zeros) = (begins.len() as u64, all_zero(begins));
    loop {
        let held = match rest.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            held => held?,
        };
        if held.is_empty() {
            break;
        }
        let passed = held.len();
        zeros = zeros && all_zero(held);
        bytes += passed as u64;
        rest.consume(passed);
    }
    if !zeros {
        say(&format!(
            "behind what is packed stand {bytes} bytes of something else, which are passed over; all lines were read"
        ));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use bzip2::read::BzEncoder;
    use flate2::read::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn what_only_begins_like_it_is_not_packed() {
        for text in ["", "B", "BZh9 is a host\n", "PK\n", "P*M", "1.2.3.4 - -", "\u{1f}", "(µ/"] {
            assert!(!is_packed(text.as_bytes()), "{text:?}");
            let mut read = String::new();
            let from = io::Cursor::new(text.as_bytes().to_vec());
            unpacked(from, |_| ()).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    /// What is in it, why there is no more, and what was said.
    fn all(packed: Vec<u8>) -> (String, Option<String>, Vec<String>) {
        let said = Rc::new(RefCell::new(Vec::new()));
        let to = Rc::clone(&said);
        let mut read = Vec::new();
        let mut from = unpacked(io::Cursor::new(packed), move |what| to.borrow_mut().push(what.to_owned())).unwrap();
        let error = from.read_to_end(&mut read).err();
        let said = said.take();
        (String::from_utf8(read).unwrap(), error.map(|error| error.to_string()), said)
    }

    /// The same text in each way.
    fn packed(text: &str) -> [Vec<u8>; 3] {
        let text = text.as_bytes();
        let (mut gzip, mut bzip2) = (Vec::new(), Vec::new());
        GzEncoder::new(text, flate2::Compression::best()).read_to_end(&mut gzip).unwrap();
        BzEncoder::new(text, bzip2::Compression::best()).read_to_end(&mut bzip2).unwrap();
        [gzip, bzip2, compress_to_vec(text, CompressionLevel::Fastest)]
    }

    #[test]
    fn what_stands_before_a_cut_is_read() {
        // More than a block of zstd, less than what a frame holds back.
        let mut seed = 7_u32;
        let text: String = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("a line {}\n", seed >> 8)
        })
        .take(20_000)
        .collect();
        let [gzip, _, zstd] = packed(&text);
        for (packed, apart) in [(gzip, 5_000), (zstd, 130 * 1024)] {
            for cut in (1..10).map(|tenth| packed.len() * tenth / 10).chain([packed.len() - 3]) {
                let (read, error, said) = all(packed[..cut].to_vec());
                assert!(text.starts_with(&read) && read.len() + apart > text.len() * (cut - 20) / packed.len());
                assert_eq!(error.as_deref(), Some("is packed, and cut off; the lines before that were read"), "{cut}");
                assert!(said.is_empty());
            }
        }
    }

    #[test]
    fn what_stands_behind_all_is_passed_over_and_said() {
        for packed in packed("a\nb\n") {
            assert_eq!(all(packed.repeat(3)), ("a\nb\n".repeat(3), None, Vec::new()));
            for (behind, bytes) in [(&b"x"[..], 1), (b"\0\0x", 3), (b"BZ", 2), (&[b'x'; 200_000], 200_000)] {
                let (read, error, said) = all([packed.as_slice(), behind].concat());
                assert_eq!((read.as_str(), error), ("a\nb\n", None));
                assert!(said.len() == 1 && said[0].contains(&format!(" {bytes} bytes of something else")), "{said:?}");
            }
            // Filled up, as on a tape.
            assert_eq!(all([packed.as_slice(), &[0; 1_000]].concat()), ("a\nb\n".to_owned(), None, Vec::new()));
            // Another piece, which is cut off.
            let (read, error, _) = all([packed.as_slice(), &packed[..9]].concat());
            assert!(read == "a\nb\n" && error.as_ref().is_some_and(|error| error.contains("cut off")), "{error:?}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (begins, name) in [(&b"\xfd7zXZ\0\0"[..], "xz -dc"), (b"PK\x03\x04", "unzip"), (b"\x04\x22\x4d\x18", "lz4")]
        {
            let error = unpacked(io::Cursor::new(begins), |_| ()).err().unwrap().to_string();
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
                let mut unpacked = unpacked(io::Cursor::new(bytes), |_| ()).unwrap().take(1 << 24);
                drop(io::copy(&mut unpacked, &mut io::sink()));
            }
        }
    }
}
