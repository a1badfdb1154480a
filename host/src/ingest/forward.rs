//! A log whose lines are not folded here: they go to another daemon as they are.

use super::engine::Engine;
use super::format::Format;
use super::lines::LogStats;
use super::log::{Read, ReadLines};
use crate::conf::Prefix;
use crate::core::Shared;
use crate::limits::RAW_ENTRY_BYTES;
use crate::relay::{Piece, RawLines, RawOrigin};
use std::sync::Arc;
use std::time::Duration;

/// How long is waited for room before it is looked for what else there is to do.
const ROOM_LOOK: Duration = Duration::from_millis(100);

/// What begins the line that names a log's columns.
const FIELDS: &[u8] = b"#Fields:";

/// Gathers what was read of a log until it is handed to the core.
#[derive(Debug)]
pub(crate) struct Forward {
    shared: Arc<Shared>,
    origin: Arc<RawOrigin>,
    has_header: bool,
    /// The header that holds where the next lines begin.
    header: String,
    pieces: Vec<Piece>,
    bytes: usize,
    stats: LogStats,
}

impl Forward {
    /// Of the log of that name.
    pub(crate) fn new(log: &str, prefix: &Prefix, formats: &[Format], shared: &Arc<Shared>) -> Forward {
        let specs = formats.iter().map(|format| format.spec().to_owned()).collect();
        Forward {
            shared: Arc::clone(shared),
            origin: Arc::new(RawOrigin::new(&shared.host, log, prefix, specs)),
            has_header: formats.iter().any(Format::has_header),
            header: String::new(),
            pieces: Vec::new(),
            bytes: 0,
            stats: LogStats::default(),
        }
    }

    /// Whether more may be taken: nothing is dropped, so what there is no room for stays in its file.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.relays.has_raw_room()
    }

    /// Takes room for what was read; else it is to be taken once there is some, for many logs may have found the same.
    pub(crate) fn take_room(&self, read: &Read) -> bool {
        let bytes = match &read.lines {
            ReadLines::None => return true,
            ReadLines::Whole(bytes) | ReadLines::TooLong(bytes) => bytes.len() as u64,
        };
        self.shared.relays.take_raw_room(bytes)
    }

    /// Waits for room, for a while.
    pub(crate) fn wait(&self, most: Duration) {
        self.shared.relays.raw.wait(most.min(ROOM_LOOK));
    }

    /// Whether so much is there that it is not to wait for the tick.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= RAW_ENTRY_BYTES
    }

    /// Takes what was read of a file, for which there is [room](Self::take_room).
    pub(crate) fn take(&mut self, read: &mut Read) {
        if let Some(format) = read.format.take() {
            let origin = Arc::make_mut(&mut self.origin);
            origin.formats = vec![format.spec().to_owned()];
            self.has_header = format.has_header();
        }
        let elsewhere = read.header.take().map(|header| self.header = header).is_some();
        let lines = match std::mem::take(&mut read.lines) {
            ReadLines::None => return,
            ReadLines::Whole(lines) => RawLines::Whole(lines),
            ReadLines::TooLong(beginning) => RawLines::TooLong(beginning),
        };
        let header = self.has_header.then(|| self.header.clone());
        match &lines {
            RawLines::Whole(lines) => {
                self.stats.bytes += lines.len() as u64;
                self.stats.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
                self.stats.lines += u64::from(!lines.ends_with(b"\n"));
                self.bytes += lines.len();
                if self.has_header {
                    self.follow(lines);
                }
            }
            RawLines::TooLong(beginning) => {
                self.stats.lines += 1;
                self.bytes += beginning.len();
            }
        }
        if let (RawLines::Whole(more), Some(Piece { origin, lines: RawLines::Whole(before), .. })) =
            (&lines, self.pieces.last_mut())
            && !elsewhere
            && Arc::ptr_eq(origin, &self.origin)
            && before.ends_with(b"\n")
            && before.len() + more.len() <= RAW_ENTRY_BYTES
        {
            before.extend_from_slice(more);
            return;
        }
        self.pieces.push(Piece { origin: Arc::clone(&self.origin), header, lines });
    }

    /// The header that holds behind some lines.
    fn follow(&mut self, lines: &[u8]) {
        for at in memchr::memmem::rfind_iter(lines, FIELDS) {
            // The first line may have a byte order mark before it.
            if matches!(&lines[..at], [] | [.., b'\n'] | b"\xef\xbb\xbf") {
                let line = lines[at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
                self.header = String::from_utf8_lossy(line).trim_end().to_owned();
                return;
            }
        }
    }

    /// What was gathered; whoever has it gives its room back.
    pub(crate) fn hand_over(&mut self) -> Vec<Piece> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    /// What has been read.
    pub(crate) fn stats(&self) -> LogStats {
        self.stats.clone()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Nobody had it: it is read again.
        self.shared.relays.raw.written(self.bytes as u64);
    }
}

/// Lines that somebody else has sent, and who wants to know what the pipes make of them.
#[derive(Debug)]
pub struct RawAsked {
    pub(crate) lines: RawLines,
    /// The header that holds where they begin, where the log has some.
    pub(crate) header: Option<String>,
    pub(crate) reply: tokio::sync::oneshot::Sender<super::Frames>,
}

impl RawAsked {
    /// Readies an engine for the lines.
    pub(super) fn prime(&mut self, engine: &mut Engine) {
        if let Some(header) = self.header.take() {
            engine.prime(&header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::shared;

    fn read(lines: &str, header: Option<&str>) -> Read {
        let header = header.map(str::to_owned);
        Read { lines: ReadLines::Whole(lines.as_bytes().to_vec()), header, ..Read::default() }
    }

    #[test]
    fn lines_are_gathered_and_each_piece_has_the_header_that_holds_where_it_begins() {
        let shared = shared(None);
        let format = Format::compile("w3c").unwrap();
        let mut forward = Forward::new("shop", &Prefix::default(), &[format], &shared);
        forward.take(&mut read("\u{feff}#Fields: a\n1\n", None));
        forward.take(&mut read("2\n", None));
        forward.take(&mut read("3\n#Fields: b\n4\n", None));
        // Another file, and what is too long stands for itself.
        forward.take(&mut read("5\n", Some("#Fields: c")));
        forward.take(&mut Read { lines: ReadLines::TooLong(b"6".to_vec()), ..Read::default() });
        forward.take(&mut read("x #Fields: no\n7\n", None));
        assert!(!forward.is_full());
        let pieces = forward.hand_over();
        let found: Vec<(&str, &str)> = pieces
            .iter()
            .map(|piece| match &piece.lines {
                RawLines::Whole(lines) | RawLines::TooLong(lines) => {
                    (piece.header.as_deref().unwrap(), str::from_utf8(lines).unwrap())
                }
            })
            .collect();
        let first = "\u{feff}#Fields: a\n1\n2\n3\n#Fields: b\n4\n";
        let want = [("", first), ("#Fields: c", "5\n"), ("#Fields: c", "6"), ("#Fields: c", "x #Fields: no\n7\n")];
        assert_eq!(found, want);
        forward.take(&mut read("8\n", None));
        assert_eq!(forward.hand_over()[0].header.as_deref(), Some("#Fields: c"));
        // Nobody takes them.
        assert!(forward.take_room(&Read::default()) && !forward.take_room(&read("9\n", None)));
        assert!(!forward.has_room());
        assert_eq!((forward.stats().lines, forward.stats().errors), (11, 0));
        let format = Format::compile("timed").unwrap();
        let mut lines = Read { format: Some(Box::new(format)), ..read("9\n", None) };
        forward.take(&mut lines);
        let piece = &forward.hand_over()[0];
        assert_eq!((piece.origin.formats.as_slice(), &piece.header), (&["timed".to_owned()][..], &None));
        // What is not handed over gives its room back.
        assert!(shared.relays.raw.take(7, u64::MAX));
        forward.take(&mut read("10\n", None));
        drop(forward);
        assert!(!shared.relays.raw.has_any(4) && shared.relays.raw.has_any(5));
    }
}
