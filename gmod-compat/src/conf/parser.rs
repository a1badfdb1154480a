//! Tokens to a tree of items.
//!
//! libconfuse parses with the program's list of options in hand; this parser has none, so it also reads files made for
//! other readers, and what a name means is decided later ([`super::gmond`]). The grammar, names and texts being one
//! kind of token:
//!
//! ```text
//! file    = item*
//! item    = NAME ("=" | "+=") value
//!         | NAME [TITLE] "{" item* "}"
//!         | NAME "(" [TEXT ("," TEXT)* [","]] ")"
//! value   = TEXT | "{" [TEXT ("," TEXT)* [","]] "}"
//! ```
//!
//! Items are parted by nothing but themselves: `a = 1 b = 2` on one line are two.

use super::error::{Error, Pos, Warnings, quoted};
use super::lexer::{Env, Kind, Lexer, Token};
use super::limits::{MAX_NESTING, MAX_TOKENS, MAX_TOTAL_BYTES};

/// A text of the file and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text, escapes and variables resolved. Holds no NUL.
    pub text: String,
    /// Where it starts.
    pub pos: Pos,
}

/// `key = value`, `key = {a, b}` or `key += …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The key as written; libconfuse compares keys without regard to case when the program asks for it, as gmond does.
    pub key: String,
    /// The values: exactly one unless `list`.
    pub values: Vec<Word>,
    /// Whether the values stood in braces.
    pub list: bool,
    /// Whether it said `+=`.
    pub append: bool,
    /// Where the key stands.
    pub pos: Pos,
}

/// `name { … }` or `name "title" { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The name as written.
    pub name: String,
    /// The title, if it has one.
    pub title: Option<String>,
    /// What stands in it, in order, repeated names and all.
    pub items: Vec<Item>,
    /// Where the name stands.
    pub pos: Pos,
}

/// `name("a", "b")`. gmond knows one: `include`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name as written.
    pub name: String,
    /// The arguments.
    pub arguments: Vec<Word>,
    /// Where the name stands.
    pub pos: Pos,
}

/// One item of a file or section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A key and its value.
    Set(Set),
    /// A section.
    Section(Section),
    /// A function call.
    Call(Call),
}

impl Item {
    /// The item's key or name, as written.
    pub fn name(&self) -> &str {
        match self {
            Item::Set(set) => &set.key,
            Item::Section(section) => &section.name,
            Item::Call(call) => &call.name,
        }
    }

    /// Where the key or name stands.
    pub fn pos(&self) -> &Pos {
        match self {
            Item::Set(set) => &set.pos,
            Item::Section(section) => &section.pos,
            Item::Call(call) => &call.pos,
        }
    }
}

/// What was read of one file, or of a file and all that it includes. Its `Display` writes it so that it reads back
/// the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The items at the top, in order.
    pub items: Vec<Item>,
    /// What the reader wondered about and read on.
    pub warnings: Warnings,
    /// How many tokens were read, the end not counted; at most [`MAX_TOKENS`].
    pub tokens: usize,
}

/// Parses the text of one file. `file` is its name in messages; `env` looks up environment variables. Calls,
/// `include` among them, stay as they are: [`super::load`] follows them.
///
/// # Errors
/// The first thing that is not of the grammar or past a limit of [`super::limits`].
pub fn parse(file: &str, text: &[u8], env: Env<'_>) -> Result<Tree, Error> {
    if text.len() > MAX_TOTAL_BYTES {
        return Err(Error::of_file(file, format!("more than {MAX_TOTAL_BYTES} bytes"), "is this the right file?"));
    }
    let mut parser = Parser { lexer: Lexer::new(file, text, env), tokens: 0 };
    let items = parser.items(None, 0)?;
    Ok(Tree { items, warnings: parser.lexer.warnings, tokens: parser.tokens })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    tokens: usize,
}

impl Parser<'_> {
    fn token(&mut self) -> Result<Token, Error> {
        let token = self.lexer.token()?;
        if token.kind != Kind::End {
            self.tokens += 1;
        }
        if self.tokens > MAX_TOKENS {
            return Err(Error::at(&token.pos, format!("more than {MAX_TOKENS} tokens"), "is this the right file?"));
        }
        Ok(token)
    }

    /// Items up to the end of the file, or of the section whose name and place is `within`.
    fn items(&mut self, within: Option<(&str, &Pos)>, depth: usize) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        loop {
            let token = self.token()?;
            match (token.kind, within) {
                (Kind::Text(name), _) => items.push(self.item(name, token.pos, depth)?),
                (Kind::End, None) | (Kind::Close, Some(_)) => return Ok(items),
                (Kind::Close, None) => {
                    return Err(Error::at(
                        &token.pos,
                        "`}` without a `{`",
                        "remove it, or look for a `}` too many above",
                    ));
                }
                (Kind::End, Some((name, opened))) => {
                    let what = format!("the section {} that starts here is never closed", quoted(name));
                    return Err(Error::at(opened, what, "add `}`"));
                }
                (other, _) => {
                    let what = format!("expected a name, found {}", shown(&other));
                    return Err(Error::at(
                        &token.pos,
                        what,
                        "an item is `key = value`, `section { … }` or `include (\"file\")`",
                    ));
                }
            }
        }
    }

    /// The item that starts with `name`, which has been taken.
    fn item(&mut self, name: String, pos: Pos, depth: usize) -> Result<Item, Error> {
        if name.is_empty() {
            return Err(Error::at(&pos, "an empty name", "name the key or section"));
        }
        let token = self.token()?;
        match token.kind {
            Kind::Equals | Kind::PlusEquals => {
                let append = token.kind == Kind::PlusEquals;
                let (values, list) = self.value(&name)?;
                Ok(Item::Set(Set { key: name, values, list, append, pos }))
            }
            Kind::Open => self.section(name, None, pos, depth),
            Kind::Text(title) => {
                let next = self.token()?;
                if next.kind == Kind::Open {
                    return self.section(name, Some(title), pos, depth);
                }
                let what = format!("{} is followed by {}, and neither `=` nor `{{`", quoted(&name), quoted(&title));
                Err(Error::at(
                    &token.pos,
                    what,
                    "write `key = value`, or `section title { … }`; a value with blanks needs quotes",
                ))
            }
            Kind::ParenOpen => {
                let arguments = self.words(&Kind::ParenClose)?;
                Ok(Item::Call(Call { name, arguments, pos }))
            }
            other => {
                let what = format!("{} is followed by {}", quoted(&name), shown(&other));
                Err(Error::at(&token.pos, what, "expected `=`, `{`, `(` or a title"))
            }
        }
    }

    fn section(&mut self, name: String, title: Option<String>, pos: Pos, depth: usize) -> Result<Item, Error> {
        if depth >= MAX_NESTING {
            return Err(Error::at(
                &pos,
                format!("more than {MAX_NESTING} sections inside each other"),
                "close some of them",
            ));
        }
        let items = self.items(Some((&name, &pos)), depth + 1)?;
        Ok(Item::Section(Section { name, title, items, pos }))
    }

    /// The value of `key`: the words, and whether they stood in braces.
    fn value(&mut self, key: &str) -> Result<(Vec<Word>, bool), Error> {
        let token = self.token()?;
        match token.kind {
            Kind::Text(text) => Ok((vec![Word { text, pos: token.pos }], false)),
            Kind::Open => Ok((self.words(&Kind::Close)?, true)),
            other => {
                let what = format!("{} has no value, found {}", quoted(key), shown(&other));
                Err(Error::at(&token.pos, what, "write a word or a text in double quotes; `\"\"` is an empty one"))
            }
        }
    }

    /// Words parted by commas, up to and with the token `close`. A comma before it is allowed, as in libconfuse.
    fn words(&mut self, close: &Kind) -> Result<Vec<Word>, Error> {
        let mut words = Vec::new();
        loop {
            let token = self.token()?;
            match token.kind {
                Kind::Text(text) => words.push(Word { text, pos: token.pos }),
                other if other == *close => return Ok(words),
                other => return Err(Self::in_list(&token.pos, &other, close)),
            }
            let token = self.token()?;
            match token.kind {
                Kind::Comma => {}
                other if other == *close => return Ok(words),
                other => return Err(Self::in_list(&token.pos, &other, close)),
            }
        }
    }

    fn in_list(pos: &Pos, found: &Kind, close: &Kind) -> Error {
        let what = format!("expected a text, `,` or {}, found {}", shown(close), shown(found));
        Error::at(pos, what, "part the texts by one comma each; a text with blanks needs quotes")
    }
}

/// A token as a message names it.
fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Text(text) => quoted(text),
        Kind::Open => "`{`".into(),
        Kind::Close => "`}`".into(),
        Kind::ParenOpen => "`(`".into(),
        Kind::ParenClose => "`)`".into(),
        Kind::Equals => "`=`".into(),
        Kind::PlusEquals => "`+=`".into(),
        Kind::Comma => "`,`".into(),
        Kind::End => "the end of the file".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tree, Error> {
        parse("t", text.as_bytes(), &|_| None)
    }

    #[test]
    fn all_shapes_of_items() {
        let tree = read("a = 1 'b c' = {x, \"y z\",} d += {} e { f = 2 } g \"h i\" { } j() k(l, m,)").expect("a tree");
        assert_eq!(tree.tokens, 35);
        assert!(tree.warnings.is_empty());
        let names: Vec<_> = tree.items.iter().map(Item::name).collect();
        assert_eq!(names, ["a", "b c", "d", "e", "g", "j", "k"]);
        let Item::Set(b) = &tree.items[1] else { panic!("{:?}", tree.items[1]) };
        assert_eq!(b.values.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), ["x", "y z"]);
        assert!(b.list && !b.append);
        let Item::Set(d) = &tree.items[2] else { panic!("{:?}", tree.items[2]) };
        assert!(d.list && d.append && d.values.is_empty());
        let Item::Section(e) = &tree.items[3] else { panic!("{:?}", tree.items[3]) };
        assert_eq!((e.title.as_deref(), e.items.len(), e.pos.column), (None, 1, 35));
        let Item::Section(g) = &tree.items[4] else { panic!("{:?}", tree.items[4]) };
        assert_eq!(g.title.as_deref(), Some("h i"));
        let Item::Call(k) = &tree.items[6] else { panic!("{:?}", tree.items[6]) };
        assert_eq!(k.arguments.len(), 2);
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        for (text, message) in [
            ("}", "t:1:1: `}` without a `{`"),
            ("a {\n b {\n}", "t:1:1: the section `a` that starts here is never closed; add `}`"),
            ("= 3", "t:1:1: expected a name, found `=`"),
            ("a { , }", "t:1:5: expected a name, found `,`"),
            ("a", "t:1:2: `a` is followed by the end of the file"),
            ("a )", "t:1:3: `a` is followed by `)`"),
            ("collect_every 20\nx = 1", "t:1:15: `collect_every` is followed by `20`, and neither"),
            ("m {\n value =\n}", "t:3:1: `value` has no value, found `}`"),
            ("a = {b c}", "t:1:8: expected a text, `,` or `}`, found `c`"),
            ("a = {,}", "t:1:6: expected a text, `,` or `}`, found `,`"),
            ("a = {b", "t:1:7: expected a text, `,` or `}`, found the end"),
            ("a(b", "t:1:4: expected a text, `,` or `)`, found the end"),
            ("a(}", "t:1:3: expected a text, `,` or `)`, found `}`"),
            ("\"\" = 3", "t:1:1: an empty name"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", "a {".repeat(n), "}".repeat(n));
        assert!(read(&nested(MAX_NESTING)).is_ok());
        let error = read(&nested(MAX_NESTING + 1)).expect_err("too deep").to_string();
        assert!(error.contains("more than 64 sections"), "{error}");
        assert!(read(&"a {".repeat(1_000_000)).is_err());
    }

    #[test]
    fn tokens_and_bytes_end_at_their_limits() {
        let list = format!("a = {{{}}}", "b,".repeat(MAX_TOKENS / 2));
        assert!(read(&list).expect_err("too many").to_string().contains("tokens"));
        let error = read(&" ".repeat(MAX_TOTAL_BYTES + 1)).expect_err("too long").to_string();
        assert_eq!(error, "t: more than 16777216 bytes; is this the right file?");
    }
}
