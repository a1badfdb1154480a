//! The walk over a line.

use super::super::MAX_LINE;
use super::super::error::{LineError, Why};
use super::super::request;
use super::super::stamp::Stamps;
use super::super::value::span;
use super::super::window::Marks;
use super::map::{Entry, Level, Source, Target};
use super::value::{Text, set};
use plugin_api::{Access, Field};

/// A value that is not what it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    field: Field,
    at: usize,
    why: Why,
}

/// Where the walk cannot go on, and why.
type Stop = (usize, Why);

/// A walk over one line. All its loops go on with each round, and objects are entered only where a map goes, so it ends.
pub(super) struct Walk<'p, 'r, 'a> {
    line: &'p [u8],
    at: usize,
    levels: &'p [Level],
    marks: &'p Marks,
    stamps: &'p mut Stamps,
    troubles: &'p mut Vec<Trouble>,
    record: &'r mut Access<'a>,
    /// How good the source is that each field has.
    ranks: [u8; Field::COUNT],
    /// What the value is of that is being read.
    reading: &'static str,
    tells: bool,
    escaped: bool,
}

impl<'p, 'r, 'a> Walk<'p, 'r, 'a> {
    pub(super) fn new(
        line: &'p [u8],
        levels: &'p [Level],
        marks: &'p mut Marks,
        stamps: &'p mut Stamps,
        troubles: &'p mut Vec<Trouble>,
        record: &'r mut Access<'a>,
    ) -> Walk<'p, 'r, 'a> {
        troubles.clear();
        if line.len() <= MAX_LINE {
            marks.read(line);
        }
        Walk {
            line,
            at: 0,
            levels,
            marks,
            stamps,
            troubles,
            record,
            ranks: [u8::MAX; Field::COUNT],
            reading: OBJECT,
            tells: false,
            escaped: false,
        }
    }

    /// Walks over the line; whether a field that was taken has an escape.
    pub(super) fn line(mut self) -> Result<bool, LineError> {
        let error = |field, at: usize, why| LineError { field, item: 0, column: at as u32 + 1, why };
        if self.line.len() > MAX_LINE {
            return Err(error(OBJECT, MAX_LINE, Why::TooLong));
        }
        // A file's very first line may begin with a byte order mark.
        if self.line.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        self.blanks();
        if self.byte() != Some(b'{') {
            return Err(error(OBJECT, self.at, Why::NotObject));
        }
        self.at += 1;
        let levels = self.levels;
        if let Some(level) = levels.first()
            && let Err((at, why)) = self.object(level)
        {
            return Err(error(self.reading, at, why));
        }
        if !self.tells {
            return Err(error(OBJECT, 0, Why::NoKey));
        }
        let ranks = &self.ranks;
        match self.troubles.iter().find(|trouble| ranks[trouble.field as usize] == u8::MAX) {
            Some(&Trouble { field, at, why }) => Err(error(field.name(), at, why)),
            None => Ok(self.escaped),
        }
    }

    /// Walks to the end of the object that has begun.
    fn object(&mut self, level: &'p Level) -> Result<(), Stop> {
        loop {
            self.blanks();
            let key = match self.byte() {
                Some(b'"') => self.string()?,
                // One comma too many does no harm.
                Some(b',') => {
                    self.at += 1;
                    continue;
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err((self.at, Why::NotJson)),
                None => return Err((self.at, Why::Ends)),
            };
            self.blanks();
            match self.byte() {
                Some(b':') => self.at += 1,
                Some(_) => return Err((self.at, Why::NotJson)),
                None => return Err((self.at, Why::Ends)),
            }
            self.blanks();
            match level.find(key.text) {
                None => self.skip()?,
                Some(entry) => self.entry(entry)?,
            }
        }
    }

    /// Reads the value of a known key.
    fn entry(&mut self, entry: &'p Entry) -> Result<(), Stop> {
        let before = self.reading;
        if let Some(source) = &entry.source {
            self.reading = source.target.name();
        }
        self.tells |= entry.tells;
        let levels = self.levels;
        match (self.byte(), &entry.source, entry.inner.and_then(|inner| levels.get(inner))) {
            (Some(b'{'), _, Some(inner)) if entry.enter => {
                self.reading = before;
                self.at += 1;
                self.object(inner)?;
            }
            (Some(b'{'), ..) => self.skip()?,
            (Some(b'['), Some(source), _) if entry.wanted => self.array(*source)?,
            (_, Some(source), _) if entry.wanted => {
                let value = self.value()?;
                self.take(*source, value);
            }
            _ => self.skip()?,
        }
        self.reading = before;
        Ok(())
    }

    /// Takes a field from its value, if no better source has given it.
    fn take(&mut self, source: Source, value: Text<'p>) {
        if value.is_absent() {
            return;
        }
        match source.target {
            Target::Request => self.request(source, value),
            Target::Field(field) if source.rank < self.ranks[field as usize] => {
                match set(field, source, value, self.stamps, self.record) {
                    Ok(true) => {
                        self.ranks[field as usize] = source.rank;
                        self.escaped |= value.slash;
                    }
                    Ok(false) => {}
                    Err(why) => self.troubles.push(Trouble { field, at: value.start, why }),
                }
            }
            Target::Field(_) => {}
        }
    }

    fn request(&mut self, source: Source, Text { text, start, slash, .. }: Text<'p>) {
        let Some(parts) = request::split(text) else { return };
        let mut set = |field: Field, from: usize, to: usize| {
            if from < to && source.rank < self.ranks[field as usize] {
                self.ranks[field as usize] = source.rank;
                self.record.set_span(field, span(start + from, start + to));
            }
        };
        set(Field::Method, 0, parts.method);
        set(Field::Url, parts.method + 1, parts.url);
        set(Field::Protocol, parts.protocol, text.len());
        self.escaped |= slash;
    }

    /// Takes a field from an array: from its first value, and where they are numbers of seconds, from their sum.
    fn array(&mut self, source: Source) -> Result<(), Stop> {
        let start = self.at + 1;
        self.skip()?;
        let end = self.at;
        // It ends with the bracket that was looked for.
        let inside = self.line.get(start..end - 1).unwrap_or_default();
        if source.target == Target::Field(Field::UpstreamTime) && !inside.contains(&b'"') {
            let text = inside.trim_ascii();
            let start = start + (inside.len() - inside.trim_ascii_start().len());
            self.take(source, Text { text, start, quoted: false, slash: false });
            return Ok(());
        }
        self.at = start;
        self.blanks();
        if !matches!(self.byte(), Some(b'{' | b'[' | b']' | b',')) {
            let mut value = self.value()?;
            if !value.quoted
                && let Some(comma) = memchr::memchr(b',', value.text)
            {
                value.text = value.text[..comma].trim_ascii_end();
            }
            self.take(source, value);
        }
        self.at = end;
        Ok(())
    }

    /// A text in quotes, or anything up to what ends it.
    fn value(&mut self) -> Result<Text<'p>, Stop> {
        if self.byte() == Some(b'"') {
            return self.string();
        }
        let start = self.at;
        self.at = self.scalar_end(start);
        let text = self.line[start..self.at].trim_ascii_end();
        Ok(Text { text, start, quoted: false, slash: memchr::memchr(b'\\', text).is_some() })
    }

    /// The text in the quotes that open here.
    fn string(&mut self) -> Result<Text<'p>, Stop> {
        let start = self.at + 1;
        let (mut at, mut slash) = (start, false);
        loop {
            match self.marks.quotes.next(at, self.line.len()) {
                None => return Err((self.at, Why::Ends)),
                Some(mark) if self.line[mark] == b'\\' => {
                    slash = true;
                    at = mark + 2;
                }
                Some(end) => {
                    self.at = end + 1;
                    return Ok(Text { text: &self.line[start..end], start, quoted: true, slash });
                }
            }
        }
    }

    /// Where a value without quotes ends: at a bracket or a quote, or at a comma after which there is no value any more. A
    /// list without quotes is one value. What begins a text or an object does so wherever it stands, so that a line has the
    /// same texts for who passes over an object and for who looks into it.
    fn scalar_end(&self, start: usize) -> usize {
        let mut at = start;
        while let Some(byte) = self.line.get(at) {
            match byte {
                b'}' | b']' | b'"' | b'{' | b'[' => return at,
                b',' => {
                    let after = self.line[at + 1..].iter().position(|byte| !is_blank(*byte)).map(|i| at + 1 + i);
                    match after.map(|after| (after, self.line[after])) {
                        None => return at,
                        Some((_, b'"' | b'}' | b']' | b'{' | b'[' | b',')) => return at,
                        Some((after, _)) => at = after,
                    }
                }
                _ => at += 1,
            }
        }
        at
    }

    /// Passes over a value, whatever is in it.
    fn skip(&mut self) -> Result<(), Stop> {
        match self.byte() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => {
                self.at = self.scalar_end(self.at);
                Ok(())
            }
        }
    }

    fn skip_nested(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err((start, Why::Ends))
    }

    fn blanks(&mut self) {
        while self.byte().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }
}

/// What errors call the line where no field is read.
const OBJECT: &str = "object";

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
