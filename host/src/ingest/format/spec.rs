//! What people write for a format: a name, a format, or the whole directive pasted from a server's
//! configuration.

use super::error::FormatError;
use super::escape::Escape;

/// The formats that have a name, and what they stand for.
pub(super) const NAMES: [(&str, &str); 4] = [
    ("combined", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#),
    ("common", r#"%h %l %u %t "%r" %>s %b"#),
    (
        "timed",
        r#"$remote_addr $remote_logname $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time $upstream_response_time"#,
    ),
    ("vhost_combined", r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#),
];

/// Whose way of writing a format it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Nginx,
    Apache,
}

/// A format without the quoting of the configuration it was pasted from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) dialect: Dialect,
    pub(super) escape: Escape,
    pub(super) text: Vec<char>,
    /// Where each character, and the end, stood in what was given; from 1.
    columns: Vec<usize>,
}

impl Source {
    /// The column of the character number `at`.
    pub(super) fn column(&self, at: usize) -> usize {
        self.columns.get(at).or(self.columns.last()).copied().unwrap_or(1)
    }

    /// Recognises what was given and takes its quoting off.
    pub(super) fn read(spec: &str) -> Result<Source, FormatError> {
        let named = NAMES.iter().find(|(name, _)| *name == spec.trim());
        let mut reader = Reader::new(named.map_or(spec, |(_, text)| text));
        reader.skip_blanks();
        let mut escape = Escape::Backslash;
        let dialect = if reader.word("log_format") {
            escape = reader.nginx_arguments(true)?;
            Some(Dialect::Nginx)
        } else if reader.word("LogFormat") {
            reader.apache_argument()?;
            Some(Dialect::Apache)
        } else if reader.peek() == Some('\'') {
            reader.nginx_arguments(false)?;
            None
        } else if !reader.quoted_whole() {
            reader.bare();
            None
        } else {
            None
        };
        let Reader { out: text, columns, .. } = reader;
        let directive = dialect.is_some();
        if let Some(at) = text.iter().position(|&c| c == '\0') {
            return Err(FormatError::new(columns[at], "a zero byte, which no log has"));
        }
        let dialect = match dialect {
            Some(dialect) => dialect,
            None if text.windows(2).any(|w| w[0] == '$' && (w[1].is_ascii_alphabetic() || "_{".contains(w[1]))) => {
                Dialect::Nginx
            }
            None if text.contains(&'%') => Dialect::Apache,
            None => return Err(unknown(spec)),
        };
        // A text in the form of JSON is good for nothing but `escape=json`, which stands in the directive around it.
        if !directive && dialect == Dialect::Nginx && text.first() == Some(&'{') {
            escape = Escape::Json;
        }
        Ok(Source { dialect, escape, text, columns })
    }
}

/// Further apart than this, two words have nothing to do with each other.
const APART_MAX: usize = 3;

/// The error for what is neither a name nor a format.
fn unknown(spec: &str) -> FormatError {
    let spec = spec.trim();
    let names = || NAMES.iter().map(|(name, _)| *name).chain(["json", "w3c"]);
    let known: Vec<String> = names().map(|name| format!("\"{name}\"")).collect();
    let known = known.join(", ");
    let nearest = match spec.to_ascii_lowercase().as_str() {
        "iis" | "cloudfront" | "extended" => Some((0, "w3c")),
        "caddy" | "traefik" | "envoy" | "jsonl" | "ndjson" => Some((0, "json")),
        // A word that is so much longer or shorter is that far apart at least.
        _ => {
            let length = spec.chars().count();
            let near = names().filter(|name| name.len().abs_diff(length) <= APART_MAX);
            near.map(|name| (distance(spec, name), name)).min()
        }
    };
    let hint = match nearest {
        Some((apart, name)) if apart <= APART_MAX && apart < name.len() => format!("; did you mean \"{name}\"?"),
        _ => String::new(),
    };
    let what = if spec.is_empty() { "no log format".to_owned() } else { format!("unknown log format \"{spec}\"") };
    FormatError::new(1, format!("{what}: known are {known}, an nginx log_format or an Apache LogFormat{hint}"))
}

/// How many characters must be put in, taken out or replaced to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x.to_ascii_lowercase() != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Walks over what was given and collects the format.
struct Reader {
    given: Vec<char>,
    at: usize,
    out: Vec<char>,
    columns: Vec<usize>,
}

impl Reader {
    fn new(spec: &str) -> Reader {
        let given: Vec<char> = spec.chars().collect();
        let (out, columns) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        Reader { given, at: 0, out, columns }
    }

    fn peek(&self) -> Option<char> {
        self.given.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(c) = self.peek() {
            // Apache continues a line after a backslash.
            let continued = c == '\\' && self.given.get(self.at + 1) == Some(&'\n');
            if !c.is_whitespace() && !continued {
                break;
            }
            self.at += 1 + usize::from(continued);
        }
    }

    /// Passes over `word` where it stands here and a blank after it. Apache's directives have no case.
    fn word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let here = self
            .given
            .get(self.at..end)
            .is_some_and(|given| given.iter().zip(word.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b)));
        let found = here && self.given.get(end).is_some_and(|c| c.is_whitespace());
        if found {
            self.at = end;
            self.skip_blanks();
        }
        found
    }

    fn push(&mut self, c: char) {
        self.out.push(c);
        self.columns.push(self.at + 1);
    }

    /// Takes one character, an escaped one as what it stands for.
    fn take(&mut self) {
        let Some(c) = self.peek() else { return };
        let escaped = match (c, self.given.get(self.at + 1)) {
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('r')) => Some('\r'),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some(&c @ ('"' | '\'' | '\\'))) => Some(c),
            _ => None,
        };
        self.push(escaped.unwrap_or(c));
        self.at += 1 + usize::from(escaped.is_some());
    }

    /// Takes the text up to the quote that stands here again.
    fn quoted(&mut self) -> Result<(), FormatError> {
        let Some(quote) = self.peek() else { return Ok(()) };
        let open = self.at + 1;
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == quote {
                self.at += 1;
                return Ok(());
            }
            if c == '\\' && self.given.get(self.at + 1) == Some(&'\n') {
                self.at += 2;
            } else {
                self.take();
            }
        }
        Err(FormatError::new(open, format!("the quote {quote} that opens here is not closed")))
    }

    fn argument(&mut self) -> Result<(), FormatError> {
        if matches!(self.peek(), Some('\'' | '"')) {
            return self.quoted();
        }
        while self.peek().is_some_and(|c| !c.is_whitespace() && c != ';') {
            self.take();
        }
        Ok(())
    }

    /// nginx: the name and `escape=` of a whole directive, then texts that are put together as they are.
    fn nginx_arguments(&mut self, directive: bool) -> Result<Escape, FormatError> {
        let mut escape = Escape::Backslash;
        if directive {
            self.argument()?;
            self.out.clear();
            self.columns.clear();
            self.skip_blanks();
            let start = self.at;
            if self.given[start..].starts_with(&['e', 's', 'c', 'a', 'p', 'e', '=']) {
                self.argument()?;
                let how: String = self.out.drain(..).skip("escape=".len()).collect();
                self.columns.clear();
                escape = match how.as_str() {
                    "default" => Escape::Backslash,
                    "json" => Escape::Json,
                    "none" => Escape::None,
                    _ => {
                        let why = format!("unknown escape \"{how}\": known are \"default\", \"json\" and \"none\"");
                        return Err(FormatError::new(start + 1, why));
                    }
                };
            }
        }
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some(';') => break,
                Some(_) => self.argument()?,
            }
        }
        Ok(escape)
    }

    /// Apache: one text; the name after it says nothing here.
    fn apache_argument(&mut self) -> Result<(), FormatError> {
        self.argument()
    }

    /// Takes a format that stands in double quotes as a whole; a format may also begin with a quote of its
    /// own.
    fn quoted_whole(&mut self) -> bool {
        let start = self.at;
        let blanks = self.given.iter().rev().take_while(|c| c.is_whitespace()).count();
        let end = self.given.len() - blanks;
        if self.peek() == Some('"') && self.quoted().is_ok() && self.at == end {
            return true;
        }
        self.at = start;
        self.out.clear();
        self.columns.clear();
        false
    }

    fn bare(&mut self) {
        while self.peek().is_some() {
            self.take();
        }
        while self.out.last().is_some_and(|c| c.is_whitespace()) {
            self.out.pop();
            self.columns.pop();
        }
    }
}
