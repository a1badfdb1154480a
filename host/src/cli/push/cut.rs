//! Documents out of anything that can be read: lines of JSON, arrays of documents, or one behind another.

use crate::limits::BODY_BYTES_MAX;
use serde::de::IgnoredAny;
use std::io::{self, Read};

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// What was found next.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'c> {
    /// An object that is whole.
    Document {
        /// Where it begins, from 1.
        line: u64,
        text: &'c [u8],
    },
    /// What is none. The rest of its first line is passed over; of one that is too long, all of it.
    Broken { line: u64, why: String },
}

/// Cuts documents out of what is read. It holds one document, and what was read beyond it.
pub(super) struct Cutter<R> {
    from: R,
    buffer: Vec<u8>,
    /// What lies before it has been given out.
    start: usize,
    /// Of what lies at `start`, from 1.
    line: u64,
    /// Nothing more comes.
    ended: bool,
    /// The rest of a line is to be passed over.
    skipping: bool,
    /// The rest of a document is, that was not read yet.
    long: Option<Rest>,
}

impl<R: Read> Cutter<R> {
    pub(super) fn new(from: R) -> Cutter<R> {
        Cutter { from, buffer: Vec::new(), start: 0, line: 1, ended: false, skipping: false, long: None }
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            if self.long.is_some() && !self.pass_over_long() {
                if self.ended {
                    return Ok(None);
                }
                self.fill()?;
                continue;
            }
            self.pass_over();
            let rest = &self.buffer[self.start..];
            if rest.is_empty() {
                if self.ended {
                    return Ok(None);
                }
                self.fill()?;
                continue;
            }
            if rest[0] != b'{' {
                return Ok(Some(self.broken("a document must be an object, such as {\"hits\": 1}".to_owned())));
            }
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
            let why = match values.next() {
                Some(Ok(_)) => {
                    let end = self.start + values.byte_offset();
                    if end - self.start > BODY_BYTES_MAX {
                        let line = self.line;
                        self.give_out(end);
                        return Ok(Some(Piece::Broken { line, why: too_long() }));
                    }
                    return Ok(Some(self.document(end)));
                }
                Some(Err(error)) if error.is_eof() && !self.ended && rest.len() <= BODY_BYTES_MAX => {
                    self.fill()?;
                    continue;
                }
                Some(Err(error)) if error.is_eof() && !self.ended => {
                    // What stands in it must not be taken for documents of its own.
                    self.long = Some(Rest::default());
                    return Ok(Some(Piece::Broken { line: self.line, why: too_long() }));
                }
                Some(Err(error)) => {
                    let why = error.to_string();
                    let place = format!(" at line {} column {}", error.line(), error.column());
                    let why = why.strip_suffix(&place).unwrap_or(&why).to_owned();
                    match error.line() as u64 {
                        0 | 1 => why,
                        line => format!("{why} (in line {})", self.line + line - 1),
                    }
                }
                None => "nothing".to_owned(),
            };
            return Ok(Some(self.broken(why)));
        }
    }

    fn document(&mut self, end: usize) -> Piece<'_> {
        let (start, line) = (self.start, self.line);
        self.give_out(end);
        Piece::Document { line, text: &self.buffer[start..end] }
    }

    fn give_out(&mut self, end: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.buffer[self.start..end]).count() as u64;
        self.start = end;
    }

    /// Passes over what is there of a document that is too long; whether that was the end of it.
    fn pass_over_long(&mut self) -> bool {
        let Some(rest) = &mut self.long else { return true };
        let end = rest.end(&self.buffer[self.start..]);
        self.give_out(end.map_or(self.buffer.len(), |end| self.start + end));
        if end.is_some() {
            self.long = None;
        }
        end.is_some()
    }

    fn broken(&mut self, why: String) -> Piece<'_> {
        self.skipping = true;
        Piece::Broken { line: self.line, why }
    }

    /// Passes over what stands between documents, or over the rest of a line that is broken.
    fn pass_over(&mut self) {
        while let Some(byte) = self.buffer.get(self.start) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.skipping = false;
                }
                // Brackets and commas of an array of documents are nothing but that.
                b' ' | b'\t' | b'\r' | b',' | b'[' | b']' => {}
                _ if self.skipping => {}
                _ => return,
            }
            self.start += 1;
        }
    }

    /// Reads what comes, at once; of a long document as much again as is held, so that it is not looked at again and again.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        let until = held + held.max(READ_BYTES);
        loop {
            let from = self.buffer.len();
            self.buffer.resize((from + READ_BYTES).min(until), 0);
            let read = self.from.read(&mut self.buffer[from..]);
            self.buffer.truncate(from + *read.as_ref().unwrap_or(&0));
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(0) => break,
                Ok(_) if held < READ_BYTES || self.buffer.len() == until => break,
                Ok(_) => {}
            }
        }
        self.ended = self.buffer.len() == held;
        Ok(())
    }
}

fn too_long() -> String {
    format!("a document of more than {BODY_BYTES_MAX} bytes; cut it")
}

/// Finds the end of an object, however its bytes come.
#[derive(Debug, Default)]
struct Rest {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Rest {
    /// Where it ends, if it does in these bytes.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                // No string goes on in another line: it is broken there.
                b'\n' if self.in_string => return Some(at),
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of few bytes at once.
    struct Slow<'t>(&'t [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = self.0.len().min(into.len()).min(3);
            into[..read].copy_from_slice(&self.0[..read]);
            self.0 = &self.0[read..];
            Ok(read)
        }
    }

    fn cut(text: &str) -> Vec<(u64, String)> {
        let mut cutter = Cutter::new(Slow(text.as_bytes()));
        let mut found = Vec::new();
        while let Some(piece) = cutter.next().unwrap() {
            found.push(match piece {
                Piece::Document { line, text } => (line, String::from_utf8(text.to_vec()).unwrap()),
                Piece::Broken { line, why } => (line, format!("! {why}")),
            });
        }
        found
    }

    fn check(text: &str, want: &[(u64, &str)]) {
        let found = cut(text);
        let want: Vec<_> = want.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
        assert_eq!(found, want, "{text:?}");
    }

    #[test]
    fn however_they_stand_they_are_found() {
        let want = [(1, r#"{"a":1}"#), (2, r#"{"b":"}{\"[,"}"#)];
        check("{\"a\":1}\n{\"b\":\"}{\\\"[,\"}\n", &want);
        check("[{\"a\":1},\n{\"b\":\"}{\\\"[,\"}]", &want);
        check(" {\"a\":1}\r\n\t{\"b\":\"}{\\\"[,\"}", &want);
        check("{\"a\":1}{\"b\":2}", &[(1, r#"{"a":1}"#), (1, r#"{"b":2}"#)]);
        check("\n\n{\"a\":\n{}}\n{}", &[(3, "{\"a\":\n{}}"), (5, "{}")]);
        for nothing in ["", "\n \n", "[]"] {
            check(nothing, &[]);
        }
    }

    #[test]
    fn what_is_there_is_found_before_more_is_waited_for() {
        /// Has one document, and nothing more may be asked of it.
        struct Produces(Option<&'static [u8]>);
        impl Read for Produces {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let said = self.0.take().expect("asked for more than there is");
                into[..said.len()].copy_from_slice(said);
                Ok(said.len())
            }
        }
        let mut cutter = Cutter::new(Produces(Some(b"{\"a\":1}\n")));
        assert!(matches!(cutter.next().unwrap(), Some(Piece::Document { text: b"{\"a\":1}", .. })));
    }

    #[test]
    fn what_is_broken_costs_its_line() {
        let object = "! a document must be an object, such as {\"hits\": 1}";
        check("{\"a\":1\n{\"b\":2}\n", &[(1, "! expected `,` or `}` (in line 2)"), (2, "{\"b\":2}")]);
        check("12 {\"a\":1}\n{\"b\":2}", &[(1, object), (2, "{\"b\":2}")]);
        check("{\"a\":tru}\nx\n\n{}", &[(1, "! expected ident"), (2, object), (4, "{}")]);
        assert!(matches!(cut("{\"a\":1").as_slice(), [(1, why)] if why.contains("EOF")));
        check(
            "{\"a\":\"x\n{}",
            &[(1, "! control character (\\u0000-\\u001F) found while parsing a string"), (2, "{}")],
        );
    }

    /// Whatever is read is passed over to its end, and what is found in it is whole.
    #[test]
    fn whatever_is_read_comes_to_an_end() {
        use graftd_fuzz::{Random, cases, seed, walked};
        let few = 5_000;
        let all = if std::env::var_os("GRAFTD_SOAK").is_some() { cases() } else { cases().min(few) };
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            "\n",
            "\"",
            "\\",
            "{\"a\":1}",
            "\"b\":",
            "{}",
            " ",
            "x",
            "\u{0}",
            "ü",
            "1e9",
            "null",
            "{\"a\":{}}\n",
        ];
        let mut good = 0;
        for case in 0..all {
            let mut random = Random::of(seed() ^ 3, case);
            let text: String = (0..random.below(30)).map(|_| random.one(&pieces)).collect();
            let mut found = 0;
            let mut last = 0;
            for (line, text) in cut(&text) {
                assert!(line >= last && line <= 31, "case {case}");
                last = if text.starts_with('!') { last } else { line };
                if !text.starts_with('!') {
                    assert!(
                        serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value.is_object()),
                        "{text}"
                    );
                    found += 1;
                }
            }
            good += u64::from(found > 0);
        }
        walked("files", good, all, 30..=95);
    }

    #[test]
    fn a_document_has_a_greatest_length() {
        let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(2 * BODY_BYTES_MAX));
        let mut cutter = Cutter::new(long.as_bytes());
        let Some(Piece::Broken { line: 1, why }) = cutter.next().unwrap() else { panic!("it is too long") };
        assert!(why.contains("16777216 bytes"), "{why}");
        assert!(cutter.buffer.len() <= 4 * BODY_BYTES_MAX);
        assert_eq!(cutter.next().unwrap(), Some(Piece::Document { line: 2, text: b"{}" }));
        assert_eq!(cutter.next().unwrap(), None);
    }

    #[test]
    fn one_that_is_too_long_is_passed_over_whole() {
        let fits = BODY_BYTES_MAX - "{\"a\":\"\"}".len();
        // As long as one may be, a byte longer (which is all there before it is known), and so long that it never is; what
        // stands in it are no documents.
        let inner = "{\"x\":\"}\\\"{\"},\n";
        let text = format!(
            "{{\"a\":\"{}\"}}\n{{\"b\":\"{}\"}}\n{{\"c\":[\n{}{{}}]}}{{\"d\":1}}\n",
            "x".repeat(fits),
            "x".repeat(fits + 1),
            inner.repeat(3 * BODY_BYTES_MAX / inner.len()),
        );
        let mut cutter = Cutter::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(piece) = cutter.next().unwrap() {
            found.push(match piece {
                Piece::Document { line, text } => (line, text.len()),
                Piece::Broken { line, why } => {
                    assert_eq!(why, "a document of more than 16777216 bytes; cut it");
                    (line, 0)
                }
            });
        }
        let last = 4 + (3 * BODY_BYTES_MAX / inner.len()) as u64;
        assert_eq!(found, [(1, BODY_BYTES_MAX), (2, 0), (3, 0), (last, 7)]);
        assert!(cutter.buffer.capacity() <= 4 * BODY_BYTES_MAX, "{}", cutter.buffer.capacity());
    }
}
