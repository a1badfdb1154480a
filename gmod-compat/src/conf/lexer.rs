//! Bytes to tokens, by the rules of libconfuse's scanner: `src/lexer.l` of 3.3, which Debian's gmond 3.7.2 runs on.
//!
//! The rules, as measured on that library:
//!
//! * Blank, tab and carriage return part tokens, and so does a newline.
//! * `#` and `//` start a comment to the end of the line, `/*` one to the next `*/`. `//` counts only where a token
//!   could start: `http://host/` is one word. Comments may stand between any two tokens (libconfuse 3 takes them
//!   between items alone).
//! * A word is a run of anything but blanks, quotes and `# = { } ( ) + , *`. So `;` belongs to the word before it.
//! * In `"…"`: `\n \r \b \f \a \e \t \v`, `\` and up to three octal digits, `\x` and one or two hexadecimal digits;
//!   `\` before a line's end joins the lines; `\` before anything else is that thing. Digits that are not an octal
//!   byte are an error.
//! * In `'…'`: `\'` and `\\`, and the joined lines; every other `\` stands for itself.
//! * Both may run over lines, which then are part of the text.
//! * `${NAME}` and `${NAME:-default}` stand for an environment variable inside `"…"` and as a word of their own,
//!   nowhere else.
//! * A lone `*` or `+` is skipped.
//!
//! Kinder or stricter than libconfuse, each where it would misread without a word: a byte-order mark at the start is
//! skipped; a text that is not closed is an error with its start; `/*` inside a word is an error; `${` reaches no
//! further than its line; a NUL byte is an error, and an escaped one ends the text, as it does in C, with a warning;
//! a skipped `*` or `+` is a warning.

use super::error::{Error, Pos, Warnings};
use std::sync::Arc;

/// Looks up an environment variable. The lexer asks for nothing else of the world outside.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word or a quoted text, its escapes and variables resolved. libconfuse does not tell them apart, so neither
    /// does this.
    Text(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `=`
    Equals,
    /// `+=`
    PlusEquals,
    /// `,`
    Comma,
    /// The end of the file; comes again for every further call.
    End,
}

/// A token and the place where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where its first character stands.
    pub pos: Pos,
}

/// Takes tokens from the bytes of one file.
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    file: Arc<str>,
    line: u32,
    column: u32,
    env: Env<'a>,
    /// No `}` stands on this line before this offset: what an unclosed `${` has found out, so that a line of nothing
    /// else is not searched to its end for each.
    no_brace_before: usize,
    /// What was skipped or guessed so far.
    pub warnings: Warnings,
}

impl<'a> Lexer<'a> {
    /// A lexer for the `bytes` of the file called `file` in messages. The caller bounds the length.
    pub fn new(file: &str, bytes: &'a [u8], env: Env<'a>) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Lexer {
            bytes,
            at: 0,
            file: file.into(),
            line: 1,
            column: 1,
            env,
            no_brace_before: 0,
            warnings: Warnings::default(),
        }
    }

    /// The next token.
    ///
    /// # Errors
    /// A text that is not closed, a bad escape, a NUL byte, or `/*` inside a word.
    pub fn token(&mut self) -> Result<Token, Error> {
        loop {
            let pos = self.pos();
            let Some(byte) = self.peek(0) else {
                return Ok(Token { kind: Kind::End, pos });
            };
            let kind = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.bump();
                    continue;
                }
                b'#' => {
                    self.line_comment();
                    continue;
                }
                b'/' if self.peek(1) == Some(b'/') => {
                    self.line_comment();
                    continue;
                }
                b'/' if self.peek(1) == Some(b'*') => {
                    self.block_comment(&pos);
                    continue;
                }
                b'+' if self.peek(1) == Some(b'=') => {
                    self.bump();
                    Kind::PlusEquals
                }
                b'*' | b'+' => {
                    self.bump();
                    let what = format!("a lone `{}` is skipped, as gmond does", char::from(byte));
                    self.warn(&pos, what, "put the whole word in double quotes if it belongs to it");
                    continue;
                }
                b'{' => Kind::Open,
                b'}' => Kind::Close,
                b'(' => Kind::ParenOpen,
                b')' => Kind::ParenClose,
                b'=' => Kind::Equals,
                b',' => Kind::Comma,
                b'"' => return self.double_quoted(pos),
                b'\'' => return self.single_quoted(pos),
                b'$' => return self.variable_or_word(pos),
                _ => return self.word(pos),
            };
            self.bump();
            return Ok(Token { kind, pos });
        }
    }

    fn pos(&self) -> Pos {
        Pos { file: Arc::clone(&self.file), line: self.line, column: self.column }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.saturating_add(ahead)).copied()
    }

    /// Takes one byte and keeps count of lines and columns.
    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek(0)?;
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else if byte & 0xC0 != 0x80 {
            // Bytes 10xxxxxx continue a UTF-8 character that has been counted.
            self.column = self.column.saturating_add(1);
        }
        Some(byte)
    }

    fn skip(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.bump();
        }
    }

    fn warn(&mut self, pos: &Pos, what: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Error::at(pos, what, hint));
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.bump();
        }
    }

    fn block_comment(&mut self, start: &Pos) {
        self.skip(2);
        while let Some(byte) = self.bump() {
            if byte == b'*' && self.peek(0) == Some(b'/') {
                self.bump();
                return;
            }
        }
        // gmond takes the rest of the file as comment without a word; a file that ran there must run here.
        self.warn(start, "this comment is never closed, so the rest of the file is skipped", "add `*/`");
    }

    fn word(&mut self, pos: Pos) -> Result<Token, Error> {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'#' | b'"' | b'\'' | b'\t' | b'\n' | b'\r' | b'=' | b'{' | b'}' | b'(' | b')' | b'+' | b','
                | b'*' => break,
                0 => return Err(nul(&self.pos())),
                b'/' if self.peek(1) == Some(b'*') => {
                    return Err(Error::at(
                        &self.pos(),
                        "`/*` inside a word",
                        "put a path with `*` in double quotes, or a blank before a comment",
                    ));
                }
                _ => self.bump(),
            };
        }
        let bytes = self.bytes.get(start..self.at).unwrap_or_default().to_vec();
        Ok(self.text(bytes, pos))
    }

    fn variable_or_word(&mut self, pos: Pos) -> Result<Token, Error> {
        let mut out = Vec::new();
        if self.variable(&mut out) {
            return Ok(self.text(out, pos));
        }
        self.word(pos)
    }

    /// Takes `${NAME}` or `${NAME:-default}` and appends what it stands for: nothing if the variable is not set and
    /// there is no default. False, and nothing taken, if there is no such thing here.
    fn variable(&mut self, out: &mut Vec<u8>) -> bool {
        if self.peek(0) != Some(b'$') || self.peek(1) != Some(b'{') {
            return false;
        }
        let start = self.at + 2;
        if start < self.no_brace_before {
            return false;
        }
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'}' | b'\n')).unwrap_or(rest.len());
        if rest.get(length) != Some(&b'}') {
            self.no_brace_before = start + length;
            return false;
        }
        let inner = rest.get(..length).unwrap_or_default();
        // libconfuse looks at the first colon alone: `${A:x:-y}` has no default.
        let colon = inner.iter().position(|byte| *byte == b':');
        let (name, default) = match colon {
            Some(colon) if inner.get(colon + 1) == Some(&b'-') => (inner.get(..colon), inner.get(colon + 2..)),
            _ => (Some(inner), None),
        };
        let name = String::from_utf8_lossy(name.unwrap_or_default());
        match (self.env)(&name) {
            Some(value) => out.extend_from_slice(value.as_bytes()),
            None => out.extend_from_slice(default.unwrap_or_default()),
        }
        self.skip(length + 3);
        true
    }

    fn double_quoted(&mut self, pos: Pos) -> Result<Token, Error> {
        self.bump();
        let mut out = Vec::new();
        loop {
            let here = self.pos();
            if self.variable(&mut out) {
                continue;
            }
            match self.bump() {
                None => return Err(not_closed(&pos, '"')),
                Some(b'"') => return Ok(self.text(out, pos)),
                Some(b'\\') => self.escape(&here, &pos, &mut out)?,
                Some(0) => return Err(nul(&here)),
                Some(byte) => out.push(byte),
            }
        }
    }

    /// What follows a `\` at `here` in the double-quoted text that starts at `start`.
    fn escape(&mut self, here: &Pos, start: &Pos, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(byte) = self.peek(0) else {
            return Err(not_closed(start, '"'));
        };
        if byte.is_ascii_digit() {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let octal = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let value = rest.iter().take(octal).fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            return match u8::try_from(value) {
                Ok(value) if digits == octal => {
                    self.skip(octal);
                    out.push(value);
                    Ok(())
                }
                _ => Err(Error::at(
                    here,
                    "`\\` and digits that are not an octal byte",
                    "write `\\\\` for a backslash; a byte is `\\000` to `\\377`, or `\\x00` to `\\xff` before a digit",
                )),
            };
        }
        self.bump();
        out.push(match byte {
            b'\n' => return Ok(()),
            0 => return Err(nul(here)),
            b'x' => {
                let digit = |lexer: &Self| lexer.peek(0).and_then(|byte| char::from(byte).to_digit(16));
                let mut value = None;
                for _ in 0..2 {
                    let Some(hex) = digit(self) else { break };
                    self.bump();
                    value = Some(value.unwrap_or(0) * 16 + hex);
                }
                value.and_then(|value| u8::try_from(value).ok()).unwrap_or(b'x')
            }
            b'n' => b'\n',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'a' => 7,
            b'e' => 27,
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
        Ok(())
    }

    fn single_quoted(&mut self, pos: Pos) -> Result<Token, Error> {
        self.bump();
        let mut out = Vec::new();
        loop {
            let here = self.pos();
            match self.bump() {
                None => return Err(not_closed(&pos, '\'')),
                Some(b'\'') => return Ok(self.text(out, pos)),
                Some(b'\\') => match self.peek(0) {
                    Some(byte @ (b'\\' | b'\'')) => {
                        self.bump();
                        out.push(byte);
                    }
                    Some(b'\n') => {
                        self.bump();
                    }
                    _ => out.push(b'\\'),
                },
                Some(0) => return Err(nul(&here)),
                Some(byte) => out.push(byte),
            }
        }
    }

    /// Bytes to a text token. What is not UTF-8 is read as Latin-1, the usual coding of files from before it.
    fn text(&mut self, mut bytes: Vec<u8>, pos: Pos) -> Token {
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
            self.warn(&pos, "a NUL byte ends this text, as it does in gmond", "leave it out");
        }
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            self.warn(&pos, "this text is not UTF-8 and is read as Latin-1", "save the file as UTF-8");
            error.as_bytes().iter().copied().map(char::from).collect()
        });
        Token { kind: Kind::Text(text), pos }
    }
}

fn not_closed(start: &Pos, quote: char) -> Error {
    Error::at(
        start,
        format!("the text that starts here has no closing `{quote}`"),
        format!("add `{quote}`, or `\\` before one inside it"),
    )
}

fn nul(pos: &Pos) -> Error {
    Error::at(pos, "a NUL byte", "is this a binary or a UTF-16 file? Save it as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/h".to_owned())
    }

    /// The tokens as libconfuse's scanner would show them: texts in quotes, the rest as they stand.
    fn lex(bytes: &[u8]) -> Result<(Vec<String>, usize), Error> {
        let mut lexer = Lexer::new("t", bytes, &env);
        let mut out = Vec::new();
        loop {
            out.push(match lexer.token()?.kind {
                Kind::Text(text) => format!("{text:?}"),
                Kind::Open => "{".into(),
                Kind::Close => "}".into(),
                Kind::ParenOpen => "(".into(),
                Kind::ParenClose => ")".into(),
                Kind::Equals => "=".into(),
                Kind::PlusEquals => "+=".into(),
                Kind::Comma => ",".into(),
                Kind::End => return Ok((out, lexer.warnings.list().len())),
            });
        }
    }

    /// Each line: source, tokens (parted by one blank), warnings. All but the last block were measured on libconfuse
    /// 3.3.
    #[test]
    fn tokens_are_those_of_libconfuse() {
        let cases: &[(&[u8], &str, usize)] = &[
            (b"a = b", r#""a" = "b""#, 0),
            (b"a={b,c}(d)+=e", r#""a" = { "b" , "c" } ( "d" ) += "e""#, 0),
            (b"//comment x\ny", r#""y""#, 0),
            (b"///x y", "", 0),
            (b"a=//b\nc", r#""a" = "c""#, 0),
            (b"a#b\nc", r#""a" "c""#, 0),
            (b"http://foo/bar", r#""http://foo/bar""#, 0),
            (b"/x//y / a/", r#""/x//y" "/" "a/""#, 0),
            (b"//a/*b\nc", r#""c""#, 0),
            (b"a /**/ b /***/ c /*/ x */ d /* a * b **/ e", r#""a" "b" "c" "d" "e""#, 0),
            (b"/* open\n{", "", 1),
            (b"a;b \\x `~!@$%^&-_|:<>?.[]", r#""a;b" "\\x" "`~!@$%^&-_|:<>?.[]""#, 0),
            (b"a\rb\x0bc", r#""a" "b\u{b}c""#, 0),
            (b"* a*b + c+d", r#""a" "b" "c" "d""#, 4),
            (b"\"a\nb\" \"a\\\nb\" 'a\nb' 'a\\\nb'", r#""a\nb" "ab" "a\nb" "ab""#, 0),
            (b"\"a\\\r\nb\"", r#""a\r\nb""#, 0),
            (br#""\101\x41\x4\x\xg\e\q\\\"\t\n""#, r#""AA\u{4}xxg\u{1b}q\\\"\t\n""#, 0),
            (br"'\'\\\n\q'", r#""'\\\\n\\q""#, 0),
            (br#""a"b'c'"#, r#""a" "b" "c""#, 0),
            (br#""${HOME}/x" ${HOME} '${HOME}' "\${HOME}""#, r#""/h/x" "/h" "${HOME}" "${HOME}""#, 0),
            (br#""${NO}" ${NO} "${NO:-x:-y}" ${NO:-z} "${HOME:-z}" "${NO:x:-y}""#, r#""" "" "x:-y" "z" "/h" """#, 0),
            (b"a${HOME}b", r#""a$" { "HOME" } "b""#, 0),
            (b"${HOME", r#""$" { "HOME""#, 0),
            (b"\"${x\" $x \"$ {x\"", r#""${x" "$x" "$ {x""#, 0),
            (b"\"a${x\" \"} b\"", r#""a b""#, 0),
            (b"\"\\0a\"", r#""""#, 1),
            ("é \"ü\"".as_bytes(), r#""é" "ü""#, 0),
            // Own to this reader.
            (b"\xef\xbb\xbfa", r#""a""#, 0),
            (b"\xfc \"\xe9\"", r#""ü" "é""#, 2),
            (b"\"${x\n}\" ${x\n}", r#""${x\n}" "$" { "x" }"#, 0),
        ];
        for (source, tokens, warnings) in cases {
            let shown = String::from_utf8_lossy(source);
            let (got, warned) = lex(source).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!((got.join(" ").as_str(), warned), (*tokens, *warnings), "{shown}");
        }
    }

    #[test]
    fn broken_texts_are_errors_with_a_place() {
        let cases: &[(&[u8], &str)] = &[
            (b"a = \"b\nc", "t:1:5: the text that starts here has no closing `\"`"),
            (b"a = 'b", "t:1:5: the text that starts here has no closing `'`"),
            (b"\"\\", "t:1:1: the text"),
            (b"'\\", "t:1:1: the text"),
            (b"x\n  \"ab\\9\"", "t:2:6: `\\` and digits"),
            (b"\"\\18\"", "t:1:2: `\\` and digits"),
            (b"\"\\1234\"", "t:1:2: `\\` and digits"),
            (b"\"\\400\"", "t:1:2: `\\` and digits"),
            (b"a\0b", "t:1:2: a NUL byte"),
            (b"\"a\0", "t:1:3: a NUL byte"),
            (b"\"\\\0", "t:1:2: a NUL byte"),
            (b"'\0", "t:1:2: a NUL byte"),
            (b"(/etc/*.conf)", "t:1:6: `/*` inside a word"),
        ];
        for (source, message) in cases {
            let error = lex(source).expect_err("an error");
            assert!(error.to_string().starts_with(message), "{error} / {message}");
        }
    }

    #[test]
    fn unclosed_variables_are_searched_for_once_a_line() {
        // Searched for each, this would be 10^13 steps.
        let source = format!("\"{}\n${{HOME}}\"", "${".repeat(4_000_000));
        let (tokens, _) = lex(source.as_bytes()).expect("tokens");
        assert!(tokens[0].ends_with("${\\n/h\""));
    }

    #[test]
    fn places_count_lines_and_characters() {
        let mut lexer = Lexer::new("t", "a /* é\n */ é 'x\ny' # z\n\té b".as_bytes(), &env);
        let mut places = Vec::new();
        loop {
            let token = lexer.token().expect("tokens");
            places.push((token.pos.line, token.pos.column));
            if token.kind == Kind::End {
                break;
            }
        }
        assert_eq!(places, [(1, 1), (2, 5), (2, 7), (4, 2), (4, 4), (4, 5)]);
    }
}
