//! Finding the header that holds where a file is read on.

use super::FIELDS;
use crate::limits::{BLOCK_BYTES, HEADER_BYTES_MAX, HEADER_SEARCH_BYTES_MAX};
use memchr::memmem;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The line of a header that holds at `offset`, for [`Parser::prime`](super::super::Parser::prime): the last one that ends
/// before it. Empty where there is none.
///
/// Whoever reads a file of the format `w3c` on from the middle ([`Format::has_header`](super::super::Format::has_header))
/// asks for it once, before the first line. The place where the file is read is not moved. It is looked for backwards, for
/// up to [`HEADER_SEARCH_BYTES_MAX`], then at the file's beginning.
///
/// # Errors
/// The file cannot be read.
pub fn header_before(file: &File, offset: u64) -> io::Result<String> {
    let mut block = vec![0; BLOCK_BYTES + MARK.len()];
    let mut to = offset;
    let mut left = HEADER_SEARCH_BYTES_MAX;
    while to > 0 && left > 0 {
        let from = to.saturating_sub(BLOCK_BYTES as u64);
        if let Some(header) = last_within(file, from, to, offset, &mut block)? {
            return Ok(header);
        }
        left = left.saturating_sub(BLOCK_BYTES as u64);
        to = from;
    }
    let first = last_within(file, 0, to.min(BLOCK_BYTES as u64), offset, &mut block)?;
    Ok(first.unwrap_or_default())
}

/// A header, and the end of the line before it.
const MARK: &[u8] = b"\n#Fields:";

/// The last header that begins in a part of the file and ends before `offset`. The part is no larger than a block.
fn last_within(file: &File, from: u64, to: u64, offset: u64, block: &mut [u8]) -> io::Result<Option<String>> {
    // What begins at the part's very end goes on after it.
    let len = ((to - from) as usize + MARK.len() - 1).min((offset - from) as usize);
    let len = read_at(file, &mut block[..len], from)?;
    let mut part = &block[..len];
    while let Some(at) = memmem::rfind(part, MARK) {
        if let Some(header) = header_at(file, from + at as u64 + 1, offset)? {
            return Ok(Some(header));
        }
        part = &part[..at];
    }
    // The first line has none before it, but perhaps a byte order mark.
    let start = if part.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if from == 0 && part[start..].starts_with(FIELDS.as_bytes()) {
        return header_at(file, start as u64, offset);
    }
    Ok(None)
}

/// The line that begins at `begins`, if it ends before `offset`.
fn header_at(file: &File, begins: u64, offset: u64) -> io::Result<Option<String>> {
    let mut line = vec![0; (offset - begins).min(HEADER_BYTES_MAX as u64) as usize];
    let read = read_at(file, &mut line, begins)?;
    let end = memchr::memchr(b'\n', &line[..read]);
    Ok(end.map(|end| String::from_utf8_lossy(&line[..end]).trim_end().to_owned()))
}

fn read_at(file: &File, into: &mut [u8], from: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(&mut into[read..], from + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!(
            "graftd-header-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn the_header_that_holds_is_the_last_whole_one() {
        let text = b"#Software: x\r\n#Fields: a b\r\n1 2\r\n#Fields: c d\r\n3 4 #Fields: no\r\n";
        let open = file(text);
        let second = text.windows(12).position(|part| part == b"#Fields: c d").unwrap() as u64;
        for (offset, header) in [
            (0, ""),
            (14, ""),
            (20, ""),
            (27, ""),
            (28, "#Fields: a b"),
            (second, "#Fields: a b"),
            (second + 13, "#Fields: a b"),
            (second + 14, "#Fields: c d"),
            (text.len() as u64, "#Fields: c d"),
            (text.len() as u64 + 99, "#Fields: c d"),
        ] {
            assert_eq!(header_before(&open, offset).unwrap(), header, "{offset}");
        }
        let open = file(b"\xef\xbb\xbf#Fields: a\n1\n");
        assert_eq!(header_before(&open, 14).unwrap(), "#Fields: a");
        assert_eq!(header_before(&file(b""), 99).unwrap(), "");
    }

    #[test]
    fn wherever_a_header_lies_among_blocks_it_is_found() {
        for before in BLOCK_BYTES - 12..BLOCK_BYTES + 3 {
            let mut text = vec![b'x'; before];
            text.extend_from_slice(b"\n#Fields: a b\n");
            text.resize(text.len() + BLOCK_BYTES - 3, b'y');
            for offset in [text.len(), before + 15] {
                assert_eq!(header_before(&file(&text), offset as u64).unwrap(), "#Fields: a b", "{before} {offset}");
            }
        }
    }
}
