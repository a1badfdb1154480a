//! Files cut into parts that threads can read beside each other.

use crate::cli::read::beginning;
use crate::ingest::format::{Format, Guess, first_lines, guess};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a part, at least: what it takes to begin one is nothing beside them.
const PART_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Parts for each thread, of a file that is large enough: whoever is done early takes another.
const PARTS_A_THREAD: u64 = 4;

/// A file, or a stretch of one that begins where a line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which of the files.
    pub(super) file: usize,
    path: PathBuf,
    /// Where it begins and how long it is, in bytes. The last one goes on to the file's end, wherever that is by then.
    start: u64,
    bytes: Option<u64>,
}

impl Part {
    /// A whole file, or what comes from standard input.
    pub(super) fn whole(file: usize, path: &Path) -> Part {
        Part { file, path: path.to_owned(), start: 0, bytes: None }
    }

    /// Whether it is its file's beginning.
    pub(super) fn is_first(&self) -> bool {
        self.start == 0
    }

    /// What its file's first lines say of the file's format.
    pub(super) fn guess(&self) -> io::Result<Guess> {
        guessed(&mut Part::whole(self.file, &self.path).open()?).map(|(guess, _)| guess)
    }

    /// Opens it where it begins; what is read ends where it does.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        if self.path == Path::new("-") {
            return Ok(Box::new(io::stdin().lock()));
        }
        let mut open = File::open(&self.path)?;
        if open.metadata()?.is_dir() {
            return Err(io::Error::other("is a folder, not a log"));
        }
        if self.start > 0 {
            open.seek(SeekFrom::Start(self.start))?;
        }
        Ok(Box::new(open.take(self.bytes.unwrap_or(u64::MAX))))
    }
}

/// What the first lines say of a log's format, and the bytes that were read for it.
pub(super) fn guessed(from: &mut impl Read) -> io::Result<(Guess, Vec<u8>)> {
    let begins = beginning(from)?;
    let guess = guess(&first_lines(&String::from_utf8_lossy(&begins.bytes), begins.whole));
    Ok((guess, begins.bytes))
}

/// The parts of all files, in order; without a format it is told from each one's lines. What is no plain file, cannot be
/// opened or is small is one part, and so is what has a header that all of its lines need.
pub(super) fn parts(files: &[PathBuf], threads: usize, format: Option<&Format>) -> Vec<Part> {
    let cut = |(file, path): (usize, &PathBuf)| {
        in_parts(file, path, threads, format).unwrap_or_else(|_| vec![Part::whole(file, path)])
    };
    files.iter().enumerate().flat_map(cut).collect()
}

fn in_parts(file: usize, path: &Path, threads: usize, format: Option<&Format>) -> io::Result<Vec<Part>> {
    let whole = || Ok(vec![Part::whole(file, path)]);
    if threads < 2 || path == Path::new("-") {
        return whole();
    }
    let meta = path.metadata()?;
    if !meta.is_file() {
        return whole();
    }
    let has_header = match format {
        Some(format) => format.has_header(),
        None => Part::whole(file, path).guess()?.format.has_header(),
    };
    if has_header || meta.len() < PART_BYTES_MIN {
        return whole();
    }
    let step = (meta.len() / (PARTS_A_THREAD * threads as u64)).max(PART_BYTES_MIN);
    let mut open = BufReader::new(File::open(path)?);
    let mut parts = vec![Part::whole(file, path)];
    let mut near = step;
    while near + step / 2 < meta.len() {
        let at = line_start(&mut open, near)?;
        if let Some(last) = parts.last_mut().filter(|last| at > last.start && at < meta.len()) {
            last.bytes = Some(at - last.start);
            parts.push(Part { file, path: path.to_owned(), start: at, bytes: None });
        }
        near = near.max(at) + step;
    }
    Ok(parts)
}

/// Where the first line begins at or after `near`, which is not 0.
fn line_start(open: &mut BufReader<File>, near: u64) -> io::Result<u64> {
    open.seek(SeekFrom::Start(near - 1))?;
    let mut at = near - 1;
    loop {
        let held = open.fill_buf()?;
        if held.is_empty() {
            return Ok(at);
        }
        if let Some(end) = memchr::memchr(b'\n', held) {
            return Ok(at + end as u64 + 1);
        }
        let passed = held.len();
        at += passed as u64;
        open.consume(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn parts_begin_where_lines_do_and_are_the_file() {
        let folder = std::env::temp_dir().join(format!("graftd-parts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("log");
        for (line, threads) in [(100, 2), (1_000_000, 3), (40_000_000, 2), (PART_BYTES_MIN as usize - 1, 2)] {
            let mut out = io::BufWriter::new(File::create(&file).unwrap());
            let mut written = 0;
            while written < 5 * PART_BYTES_MIN as usize {
                let length = line - written % 7;
                out.write_all(&vec![b'x'; length]).unwrap();
                out.write_all(b"\n").unwrap();
                written += length + 1;
            }
            out.write_all(b"the last lacks its end").unwrap();
            out.into_inner().unwrap();
            let parts = super::parts(std::slice::from_ref(&file), threads, Format::compile("combined").ok().as_ref());
            assert!(parts.len() > 1, "{line}: {parts:?}");
            let text = fs::read(&file).unwrap();
            let mut read = Vec::new();
            for part in &parts {
                assert!(part.start == 0 || text[part.start as usize - 1] == b'\n', "{part:?}");
                let before = read.len();
                part.open().unwrap().read_to_end(&mut read).unwrap();
                assert!(read.len() > before, "{part:?}");
            }
            assert!(read == text, "{line}: {parts:?}");
            let with_header = Format::compile("w3c").unwrap();
            assert_eq!(super::parts(std::slice::from_ref(&file), threads, Some(&with_header)), [Part::whole(0, &file)]);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_large_plain_file_is_one_part() {
        let files = ["-", "/", "/dev/null", "/nowhere", "Cargo.toml"].map(PathBuf::from);
        let parts = parts(&files, 4, None);
        assert_eq!(parts, files.iter().enumerate().map(|(i, file)| Part::whole(i, file)).collect::<Vec<_>>());
    }
}
