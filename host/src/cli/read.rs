//! Blocks of whole lines out of anything that can be read.

use super::ingest::is_pause;
use crate::limits::{BLOCK_BYTES, GUESS_BYTES_MAX, GUESS_LINES, LINE_BYTES_MAX};
use std::io::{self, Read};

/// Something that takes lines.
pub(super) trait Lines {
    /// Whole lines; the very last may lack its end.
    fn lines(&mut self, block: &[u8]);
    /// A line too long to be kept was passed over; this is its beginning.
    fn too_long(&mut self, beginning: &[u8]);
    /// Nothing more comes at the moment.
    fn pause(&mut self) {}
}

/// Reads to the end, handing over as many whole lines as fit into a block at a time. Memory stays within
/// [`LINE_BYTES_MAX`] and a block, whatever is read.
pub(super) fn read_lines(mut from: impl Read, to: &mut impl Lines) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut held = 0;
    let mut skipping = false;
    loop {
        if held == block.len() {
            block.resize(block.len() * 2, 0);
        }
        let read = match from.read(&mut block[held..]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if is_pause(&error) => {
                to.pause();
                continue;
            }
            Err(error) => return Err(error),
        };
        let fresh = held;
        held += read;
        let Some(end) = memchr::memrchr(b'\n', &block[fresh..held]).map(|at| fresh + at + 1) else {
            if held > LINE_BYTES_MAX {
                if !skipping {
                    to.too_long(&block[..held]);
                }
                skipping = true;
                held = 0;
            }
            continue;
        };
        let mut start = 0;
        if skipping {
            start = memchr::memchr(b'\n', &block[..end]).map_or(end, |at| at + 1);
            skipping = false;
        }
        if start < end {
            to.lines(&block[start..end]);
        }
        block.copy_within(end..held, 0);
        held -= end;
    }
    if held > 0 && !skipping {
        to.lines(&block[..held]);
    }
    Ok(())
}

/// What stands for a format that is to be guessed.
pub(super) const AUTO: &str = "auto";

/// As much of a log's beginning as its format is told from.
pub(super) struct Beginning {
    pub(super) bytes: Vec<u8>,
    /// Nothing follows.
    pub(super) whole: bool,
    /// Why nothing follows that was to.
    pub(super) broken: Option<io::Error>,
}

impl Beginning {
    /// All of it from the start, of which this was read and `rest` is left: what stands before a fault comes before it.
    pub(super) fn then(self, rest: impl Read) -> impl Read {
        io::Cursor::new(self.bytes).chain(Broken(self.broken)).chain(rest)
    }

    /// The same, where a fault is none to go on after.
    ///
    /// # Errors
    /// It is broken.
    pub(super) fn unbroken(mut self) -> io::Result<Beginning> {
        self.broken.take().map_or(Ok(self), Err)
    }
}

/// Fails once, if at all.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Reads [`GUESS_LINES`] lines or a few more, [`GUESS_BYTES_MAX`] or a block more, or all there is.
///
/// # Errors
/// It cannot be read, not even a part of it.
pub(super) fn beginning(from: &mut impl Read) -> io::Result<Beginning> {
    let mut bytes = Vec::new();
    let mut lines = 0;
    while lines < GUESS_LINES && bytes.len() < GUESS_BYTES_MAX {
        let held = bytes.len();
        bytes.resize(held + BLOCK_BYTES, 0);
        let read = match from.read(&mut bytes[held..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                bytes.truncate(held);
                continue;
            }
            Err(error) if held == 0 => return Err(error),
            Err(error) => {
                bytes.truncate(held);
                return Ok(Beginning { bytes, whole: false, broken: Some(error) });
            }
        };
        bytes.truncate(held + read);
        if read == 0 {
            return Ok(Beginning { bytes, whole: true, broken: None });
        }
        lines += memchr::memchr_iter(b'\n', &bytes[held..]).count();
    }
    Ok(Beginning { bytes, whole: false, broken: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Kept {
        text: Vec<u8>,
        too_long: usize,
    }

    impl Lines for Kept {
        fn lines(&mut self, block: &[u8]) {
            self.text.extend_from_slice(block);
        }
        fn too_long(&mut self, _: &[u8]) {
            self.too_long += 1;
        }
    }

    /// Gives what it holds in pieces of odd sizes.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(into.len()).min(self.0.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    proptest! {
        #[test]
        fn all_that_is_read_is_handed_over(text in "[a-c\n]{0,200}", piece in 1usize..50) {
            let mut kept = Kept::default();
            read_lines(Drip(text.as_bytes(), piece), &mut kept).unwrap();
            prop_assert_eq!(kept.text, text.into_bytes());
        }
    }

    #[test]
    fn a_beginning_is_bounded() {
        let start = |text: &[u8]| beginning(&mut Drip(text, 100_000)).unwrap();
        let short = start(b"a\nb");
        assert_eq!((short.bytes.as_slice(), short.whole), (&b"a\nb"[..], true));
        let long = start(&b"a line\n".repeat(1_000_000));
        assert!(long.bytes.len() >= 7 * GUESS_LINES && long.bytes.len() <= 100_000 && !long.whole);
        let endless = start(&vec![b'x'; 10 * GUESS_BYTES_MAX]);
        assert!(endless.bytes.len() >= GUESS_BYTES_MAX && endless.bytes.len() < GUESS_BYTES_MAX + BLOCK_BYTES);
    }

    #[test]
    fn what_stands_before_a_fault_comes_before_it() {
        let read = |text: &'static [u8]| beginning(&mut text.chain(Broken(Some(io::Error::other("broken")))));
        assert_eq!(read(b"").err().map(|error| error.to_string()), Some("broken".to_owned()), "there is nothing");
        let begins = read(b"a\nb").unwrap();
        assert_eq!((begins.bytes.as_slice(), begins.whole), (&b"a\nb"[..], false));
        let mut kept = Kept::default();
        let ended = read_lines(begins.then(&b"more\n"[..]), &mut kept);
        assert_eq!((ended.map_err(|error| error.to_string()), kept.text), (Err("broken".to_owned()), b"a\n".to_vec()));
        assert!(read(b"a\nb").unwrap().unbroken().is_err());
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_no_other_line() {
        let mut text = b"first\n".to_vec();
        text.resize(text.len() + 10 * LINE_BYTES_MAX, b'x');
        text.extend_from_slice(b"\nlast");
        let mut kept = Kept::default();
        read_lines(Drip(&text, 100_000), &mut kept).unwrap();
        assert_eq!((kept.text, kept.too_long), (b"first\nlast".to_vec(), 1));
    }
}
