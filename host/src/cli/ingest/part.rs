//! Files cut into parts that threads can read beside each other.

use super::files::STDIN;
use super::pauses::Pausing;
use super::progress::Progress;
use super::unpack::{begins, is_packed, unpacked};
use crate::cli::read::{Beginning, beginning};
use crate::ingest::format::{Format, first_lines, guess, header_before};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a part, at least: what it takes to begin one is nothing beside them.
const PART_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Parts for each thread, of a file that is large enough: whoever is done early takes another.
const PARTS_A_THREAD: u64 = 4;

/// A file, or a stretch of one that begins where a line does.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Which of the files.
    pub(super) file: usize,
    pub(super) path: PathBuf,
    /// Where it begins and how long it is, in bytes. The last one goes on to the file's end, wherever that is by then.
    start: u64,
    bytes: Option<u64>,
    /// The format of the file, where that was told when it was cut.
    pub(super) format: Option<Format>,
}

impl Part {
    /// A whole file, or what comes from standard input.
    pub(super) fn whole(file: usize, path: &Path) -> Part {
        Part { file, path: path.to_owned(), start: 0, bytes: None, format: None }
    }

    /// Opens it where it begins; what is read ends where it does, and is unpacked. For a file whose lines mean nothing
    /// without a header, it comes with the header that holds there.
    pub(super) fn open(&self, has_header: bool, progress: &Progress) -> io::Result<(Box<dyn Read>, Option<String>)> {
        let (path, aside) = (self.path.clone(), progress.clone());
        let say = move |what: &str| aside.aside(|| eprintln!("graftd: {}: {what}", path.display()));
        if self.path == Path::new(STDIN) {
            return Ok((unpacked(progress.counting(io::stdin().lock()), say)?, None));
        }
        let mut open = File::open(&self.path)?;
        if open.metadata()?.is_dir() {
            let folder = self.path.display();
            return Err(io::Error::other(format!("is a folder; name the logs in it: graftd ingest '{folder}/*.log*'")));
        }
        if self.start == 0 && self.bytes.is_none() {
            return Ok((unpacked(progress.counting(open), say)?, None));
        }
        let mut header = None;
        if self.start > 0 {
            if has_header {
                header = Some(header_before(&open, self.start)?);
            }
            open.seek(SeekFrom::Start(self.start))?;
        }
        Ok((Box::new(progress.counting(open.take(self.bytes.unwrap_or(u64::MAX)))), header))
    }
}

impl Part {
    /// Opens a whole file or standard input, unpacked. What is no plain file, and may pause, is read by a thread of its own:
    /// [`is_pause`](super::is_pause) says when nothing comes.
    pub(super) fn open_pausing(&self, progress: &Progress) -> io::Result<Box<dyn Read>> {
        let pauses =
            self.path == Path::new(STDIN) || self.path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        if !pauses {
            return self.open(false, progress).map(|(open, _)| open);
        }
        let (part, progress) = (self.clone(), progress.clone());
        Ok(Box::new(Pausing::new(move || part.open(false, &progress).map(|(open, _)| open))?))
    }
}

/// The parts of all files, in order. What is no plain file, is packed, cannot be opened or is
/// small is one part. The format of what
/// is cut is told first, if there is one to be told of it: no part but the first has the lines that say most of it.
pub(super) fn parts(files: &[PathBuf], threads: usize, tell: Option<&Progress>) -> Vec<Part> {
    let cut = |(file, path): (usize, &PathBuf)| {
        in_parts(file, path, threads, tell).unwrap_or_else(|_| vec![Part::whole(file, path)])
    };
    files.iter().enumerate().flat_map(cut).collect()
}

fn in_parts(file: usize, path: &Path, threads: usize, tell: Option<&Progress>) -> io::Result<Vec<Part>> {
    let whole = || Ok(vec![Part::whole(file, path)]);
    if threads < 2 || path == Path::new(STDIN) {
        return whole();
    }
    let meta = path.metadata()?;
    if !meta.is_file() {
        return whole();
    }
    let step = (meta.len() / (PARTS_A_THREAD * threads as u64)).max(PART_BYTES_MIN);
    if step + step / 2 >= meta.len() {
        return whole();
    }
    let mut open = BufReader::new(File::open(path)?);
    if is_packed(&begins(&mut open)?) {
        return whole();
    }
    let mut parts = vec![Part::whole(file, path)];
    let mut near = step;
    while near + step / 2 < meta.len() {
        let at = line_start(&mut open, near)?;
        if let Some(last) = parts.last_mut().filter(|last| at > last.start && at < meta.len()) {
            last.bytes = Some(at - last.start);
            parts.push(Part { start: at, ..Part::whole(file, path) });
        }
        near = near.max(at) + step;
    }
    if let Some(progress) = tell.filter(|_| parts.len() > 1) {
        open.rewind()?;
        let told = tell_format(path, &mut open, progress)?.1;
        parts.iter_mut().for_each(|part| part.format.clone_from(&told));
    }
    Ok(parts)
}

/// Tells a log's format from its beginning, and says so on stderr; none where there is no line. What was read for it is
/// given too.
pub(super) fn tell_format(
    path: &Path,
    from: &mut impl Read,
    progress: &Progress,
) -> io::Result<(Beginning, Option<Format>)> {
    let begins = beginning(from)?;
    let text = String::from_utf8_lossy(&begins.bytes);
    let guess = guess(&first_lines(&text, begins.whole));
    drop(text);
    if guess.lines == 0 {
        return Ok((begins, None));
    }
    progress.aside(|| eprintln!("graftd: {}: {}", path.display(), guess.said));
    Ok((begins, Some(guess.format)))
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
            let parts = parts(std::slice::from_ref(&file), threads, None);
            assert!(parts.len() > 1, "{line}: {parts:?}");
            let text = fs::read(&file).unwrap();
            let mut read = Vec::new();
            for part in &parts {
                assert!(part.start == 0 || text[part.start as usize - 1] == b'\n', "{part:?}");
                let before = read.len();
                part.open(false, &Progress::hidden()).unwrap().0.read_to_end(&mut read).unwrap();
                assert!(read.len() > before, "{part:?}");
            }
            assert!(read == text, "{line}: {parts:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_large_plain_file_is_one_part() {
        let files = ["-", "/", "/dev/null", "/nowhere", "Cargo.toml"].map(PathBuf::from);
        let parts = parts(&files, 4, Some(&Progress::hidden()));
        let cut: Vec<_> = parts.iter().map(|part| (part.file, &part.path, part.start, part.bytes)).collect();
        assert_eq!(cut, files.iter().enumerate().map(|(i, file)| (i, file, 0, None)).collect::<Vec<_>>());
    }
}
