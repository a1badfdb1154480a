//! From when to when the lines of a log are.

use crate::ingest::format::{Decoded, Format, Parser};
use plugin_api::{Field, Fields};

/// Blocks of a file, or of a part of one, of which each line is looked at.
const WHOLE_BLOCKS: usize = 4;

/// Lines that are tried at each end of a block until one has a time.
const TRIES: usize = 8;

/// The earliest and the latest of some times, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(pub(super) Option<(i64, i64)>);

impl Span {
    pub(super) fn add(&mut self, other: Span) {
        self.0 = match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
    }
}

/// Looks at each line of a small log, and of a larger one at the first and the last line of each block: servers write their
/// lines in the order of their times, give or take what a request lasts. No pipe asks for the time, so that of the other lines
/// need not be decoded.
#[derive(Debug)]
pub(super) struct Times {
    parser: Parser,
    /// The columns of the lines may change in the midst.
    headed: bool,
    decoded: Decoded,
    /// Blocks that are still to be looked at whole.
    whole: usize,
    span: Span,
}

impl Times {
    pub(super) fn of(format: &Format) -> Times {
        let parser = format.parser(Fields::of(&[Field::Time]));
        let headed = format.has_header();
        Times { parser, headed, decoded: Decoded::default(), whole: WHOLE_BLOCKS, span: Span::default() }
    }

    /// Forgets what another file's header said.
    pub(super) fn begin_file(&mut self) {
        self.parser.begin_file();
        self.whole = WHOLE_BLOCKS;
    }

    /// What comes is in another format.
    pub(super) fn change_format(&mut self, format: &Format) {
        *self = Times { span: self.span, ..Times::of(format) };
    }

    /// As [`Parser::prime`].
    pub(super) fn prime(&mut self, header: &str) {
        self.parser.prime(header);
    }

    /// Looks at whole lines.
    pub(super) fn look(&mut self, block: &[u8]) {
        if let Some(left) = self.whole.checked_sub(1) {
            self.whole = left;
            for line in block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let ms = self.time(line);
                self.span.add(Span(ms.map(|ms| (ms, ms))));
            }
            return;
        }
        self.first_of(block.split(|byte| *byte == b'\n'));
        if self.headed {
            for line in block.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"#")) {
                self.time(line);
            }
        }
        self.first_of(block.rsplit(|byte| *byte == b'\n'));
    }

    /// The span of what was looked at since this was asked last.
    pub(super) fn take(&mut self) -> Span {
        std::mem::take(&mut self.span)
    }

    /// The times of the first and of the last line of whole lines, as far as one of a few there has any.
    pub(super) fn ends(&mut self, block: &[u8]) -> [Option<i64>; 2] {
        let lines = block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let first = lines.take(TRIES).find_map(|line| self.time(line));
        let lines = block.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        [first, lines.take(TRIES).find_map(|line| self.time(line))]
    }

    /// Whether all of some whole lines are looked at for the times of their ends.
    pub(super) fn are_few(block: &[u8]) -> bool {
        memchr::memchr_iter(b'\n', block).nth(TRIES).is_none()
    }

    fn first_of<'l>(&mut self, lines: impl Iterator<Item = &'l [u8]>) {
        let lines = lines.filter(|line| !line.is_empty());
        let ms = lines.take(TRIES).find_map(|line| self.time(line));
        self.span.add(Span(ms.map(|ms| (ms, ms))));
    }

    fn time(&mut self, line: &[u8]) -> Option<i64> {
        let line = String::from_utf8_lossy(line);
        let mut records = Vec::with_capacity(1);
        // One that does not parse has no time.
        let _ = self.parser.parse(&line, &mut records, &mut self.decoded);
        let ms = records.first().and_then(|record| record.time_ms());
        drop(records);
        self.decoded.clear();
        ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(format: &str, blocks: &[&str]) -> Option<(i64, i64)> {
        let mut times = Times::of(&Format::compile(format).unwrap());
        blocks.iter().for_each(|block| times.look(block.as_bytes()));
        times.take().0
    }

    #[test]
    fn from_the_first_to_the_last_line_that_has_a_time() {
        let line = |second: u32| format!("::1 - - [01/Jan/1970:00:00:{second:02} +0000] \"GET / HTTP/1.1\" 200 1\n");
        let [a, b, c] = [3, 20, 41].map(line);
        assert_eq!(span("common", &[&a]), Some((3_000, 3_000)));
        assert_eq!(span("common", &[&format!("no line\n\n{a}{b}"), &format!("{c}nor this")]), Some((3_000, 41_000)));
        assert_eq!(span("common", &[&c, &a]), Some((3_000, 41_000)));
        assert_eq!(span("common", &["no line\n"]), None);
    }

    #[test]
    fn of_a_large_log_the_ends_of_blocks_count() {
        let line = |second: u32| format!("::1 - - [01/Jan/1970:00:00:{second:02} +0000] \"GET / HTTP/1.1\" 200 1\n");
        let (first, block) = (line(30), format!("{}{}{}no line\n", line(20), line(50), line(40)));
        let blocks = |n: usize| std::iter::repeat_n(first.as_str(), n).chain([block.as_str()]).collect::<Vec<_>>();
        assert_eq!(span("common", &blocks(WHOLE_BLOCKS - 1)), Some((20_000, 50_000)));
        assert_eq!(span("common", &blocks(WHOLE_BLOCKS)), Some((20_000, 40_000)));
    }

    #[test]
    fn columns_change_in_the_midst() {
        let text = "#Fields: date time\n1970-01-01 00:00:01\n#Fields: time date\n00:00:09 1970-01-01\n";
        for before in [0, WHOLE_BLOCKS] {
            let mut blocks = vec!["#Fields: date time\n1970-01-01 00:00:05\n"; before];
            blocks.push(text);
            assert_eq!(span("w3c", &blocks), Some((1_000, 9_000)));
        }
    }
}
