//! A tree back to text that reads as the same tree.

use super::parser::{Item, Tree, Word};
use std::fmt::{self, Display, Formatter, Write};

impl Display for Tree {
    /// Writes the items one a line, sections indented by two blanks, values in double quotes. Comments and the
    /// spelling of values are not kept.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        items(f, &self.items, 0)
    }
}

fn items(f: &mut Formatter<'_>, list: &[Item], depth: usize) -> fmt::Result {
    for item in list {
        write!(f, "{:1$}", "", depth * 2)?;
        name(f, item.name())?;
        match item {
            Item::Set(set) => {
                f.write_str(if set.append { " += " } else { " = " })?;
                if set.list {
                    words(f, &set.values, ['{', '}'])?;
                } else {
                    // A set that is no list has one value; a tree made by hand with none gets an empty one, so that
                    // it reads back at all.
                    text(f, set.values.first().map_or("", |word| &word.text))?;
                }
                f.write_char('\n')?;
            }
            Item::Section(section) => {
                f.write_char(' ')?;
                if let Some(title) = &section.title {
                    text(f, title)?;
                    f.write_char(' ')?;
                }
                f.write_str("{\n")?;
                items(f, &section.items, depth + 1)?;
                writeln!(f, "{:1$}}}", "", depth * 2)?;
            }
            Item::Call(call) => {
                f.write_char(' ')?;
                words(f, &call.arguments, ['(', ')'])?;
                f.write_char('\n')?;
            }
        }
    }
    Ok(())
}

fn words(f: &mut Formatter<'_>, list: &[Word], [open, close]: [char; 2]) -> fmt::Result {
    f.write_char(open)?;
    for (i, word) in list.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        text(f, &word.text)?;
    }
    f.write_char(close)
}

/// A name stays bare when it is sure to be one word.
fn name(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.is_empty() && name.bytes().all(plain) { f.write_str(name) } else { text(f, name) }
}

fn text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            // `\$` so that a literal `${…}` is not taken for a variable.
            '"' | '\\' | '$' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_tree_prints_as_it_reads() {
        let source = "modules{module{name='x' param \"a b\"{value=\"$\\{1\\t\\x01\\\\\\\"\"}}} \
            l+={a,b} 'odd name'=1 include('/e/*.conf')";
        let printed = parse("t", source.as_bytes(), &|_| None).expect("a tree").to_string();
        let expected = r#"modules {
  module {
    name = "x"
    param "a b" {
      value = "\${1\t\x01\\\""
    }
  }
}
l += {"a", "b"}
"odd name" = "1"
include ("/e/*.conf")
"#;
        assert_eq!(printed, expected);
    }
}
