//! The configuration of gmond: `gmond.conf`, `*.conf` and `*.pyconf`.
//!
//! ```text
//! bytes --lexer--> tokens --parser--> Tree --include--> Loaded --gmond--> Gmond
//! ```
//!
//! [`load`] reads a file and what it includes; [`Gmond::from_tree`] says what it means. [`parse`] alone reads one
//! text and follows nothing. No step panics, whatever the bytes; every bound is in [`limits`].

mod error;
mod fnmatch;
mod gmond;
mod include;
mod lexer;
pub mod limits;
mod model;
mod parser;
mod print;
mod value;

pub use error::{Error, Pos, Warnings};
pub use include::{Disk, Files, Loaded, load, load_text};
pub use lexer::{Env, Kind, Lexer, Token};
pub use model::{Cluster, CollectionGroup, Globals, Gmond, Host, Language, Metric, Module, Param};
pub use parser::{Call, Item, Section, Set, Tree, Word, parse};

/// Whether a text is of this grammar, rather than TOML: whether its first item is a section or a call. A TOML
/// document never has `{` or `(` after one or two words. Looks at three tokens at most; a file of comments alone is
/// not.
pub fn looks_like_gmond(text: &[u8]) -> bool {
    let mut lexer = Lexer::new("", text, &|_| None);
    let mut next = || lexer.token().ok().map(|token| token.kind);
    if !matches!(next(), Some(Kind::Text(_))) {
        return false;
    }
    match next() {
        Some(Kind::Open | Kind::ParenOpen) => true,
        Some(Kind::Text(_)) => next() == Some(Kind::Open),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::looks_like_gmond;

    #[test]
    fn gmond_and_toml_are_told_apart() {
        for text in ["# x\nmodules {", "include ('x')", "/* y */ collection_group\n{", "param x {"] {
            assert!(looks_like_gmond(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "# only",
            "plugin = \"cpu\"",
            "[params]\nx = {a = 1}",
            "[a]\n[b]\n",
            "[[x]]\ny = 1",
            "a.b = { c = 1 }",
            "'",
            "a",
            "{",
        ] {
            assert!(!looks_like_gmond(text.as_bytes()), "{text}");
        }
    }
}
