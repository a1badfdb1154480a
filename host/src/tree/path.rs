//! Paths: the keys from the root, joined by `,`.

use compact_str::CompactString;
use std::fmt;

use plugin_api::limits::{DEPTH_MAX, KEY_BYTES_MAX};

/// One step of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the child of this key.
    Key(CompactString),
    /// Folds all children into one (an empty key).
    Fold,
    /// Visits each child for itself (`*`).
    Each,
}

impl Step {
    /// The key of a step to one child.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Step::Key(key) => Some(key),
            Step::Fold | Step::Each => None,
        }
    }
}

/// What a query asks for: `br,ie,7`, `br,ie,,venders,sogou`, `cpu,*,idle`. The empty pattern is the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Pattern {
    steps: Vec<Step>,
}

/// The text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A `%` is not followed by two hexadecimal digits.
    Percent {
        /// Which key, from 1.
        key: usize,
    },
    /// What the escapes of a key spell is not UTF-8.
    Utf8 {
        /// Which key, from 1.
        key: usize,
    },
    /// There are too many keys.
    Deep,
    /// A key is too long.
    Long {
        /// Which key, from 1.
        key: usize,
    },
    /// A key is empty or `*` where only a plain path will do.
    Plain {
        /// Which key, from 1.
        key: usize,
    },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Percent { key } => {
                write!(f, "key {key}: a % must be followed by two hexadecimal digits (a % itself is %25)")
            }
            PathError::Utf8 { key } => write!(f, "key {key}: the escapes do not spell UTF-8"),
            PathError::Deep => write!(f, "more than {DEPTH_MAX} keys"),
            PathError::Long { key } => write!(f, "key {key}: longer than {KEY_BYTES_MAX} bytes"),
            PathError::Plain { key } => {
                write!(f, "key {key}: empty or *, which only a query can have (a * itself is %2A)")
            }
        }
    }
}

impl std::error::Error for PathError {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// An escape is broken, or there is more than the tree can hold.
    pub fn parse(text: &str) -> Result<Pattern, PathError> {
        let mut steps = Vec::new();
        if text.is_empty() {
            return Ok(Pattern { steps });
        }
        for (i, written) in text.split(',').enumerate() {
            if i == DEPTH_MAX {
                return Err(PathError::Deep);
            }
            steps.push(match written {
                "" => Step::Fold,
                "*" => Step::Each,
                _ => Step::Key(decode_key(written, i + 1)?),
            });
        }
        Ok(Pattern { steps })
    }

    /// The pattern that is one node's path.
    #[must_use]
    pub fn of(keys: &[&str]) -> Pattern {
        Pattern { steps: keys.iter().map(|key| Step::Key((*key).into())).collect() }
    }

    /// Its steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether it is the path of one node: no folding, no `*`.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Key(_)))
    }

    /// Whether some of its steps folds.
    #[must_use]
    pub fn folds(&self) -> bool {
        self.steps.contains(&Step::Fold)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Pattern::display_steps(&self.steps))
    }
}

impl Pattern {
    /// Some steps as they stand in a path.
    pub(crate) fn display_steps(steps: &[Step]) -> String {
        let mut text = String::new();
        for (i, step) in steps.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            match step {
                Step::Key(key) => encode_key(key, &mut text),
                Step::Fold => {}
                Step::Each => text.push('*'),
            }
        }
        text
    }
}

/// Reads the path of one node.
///
/// # Errors
/// As [`Pattern::parse`], or a key is empty or `*`.
pub fn parse_plain(text: &str) -> Result<Vec<CompactString>, PathError> {
    Pattern::parse(text)?
        .steps
        .into_iter()
        .enumerate()
        .map(|(i, step)| match step {
            Step::Key(key) => Ok(key),
            Step::Fold | Step::Each => Err(PathError::Plain { key: i + 1 }),
        })
        .collect()
}

/// Writes a key as it stands in a path: `,`, `*`, `%` and control characters become escapes.
pub fn encode_key(key: &str, out: &mut String) {
    for c in key.chars() {
        if matches!(c, ',' | '*' | '%') || c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
                }
            }
        } else {
            out.push(c);
        }
    }
}

/// Writes the path of a node.
pub fn encode_path<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (i, key) in keys.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        encode_key(key, &mut text);
    }
    text
}

fn decode_key(written: &str, key: usize) -> Result<CompactString, PathError> {
    let decoded = if written.contains('%') {
        CompactString::from_utf8(decode_escapes(written).ok_or(PathError::Percent { key })?)
            .map_err(|_| PathError::Utf8 { key })?
    } else {
        written.into()
    };
    if decoded.len() > KEY_BYTES_MAX {
        return Err(PathError::Long { key });
    }
    Ok(decoded)
}

/// Undoes `%XX`; `None` when a `%` is followed by anything else.
fn decode_escapes(written: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            (high * 16 + low) as u8
        } else {
            byte
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_keys_round_trip(keys in prop::collection::vec("\\PC{1,12}|[,*%\u{0}-\u{20}\u{7f}-\u{9f}]{1,4}", 1..6)) {
            let path = encode_path(keys.iter().map(String::as_str));
            let read: Vec<String> = parse_plain(&path).unwrap().into_iter().map(Into::into).collect();
            prop_assert_eq!(read, keys);
            prop_assert!(!path.chars().any(char::is_control));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
            }
        }
    }

    #[test]
    fn steps() {
        let steps = |text: &str| Pattern::parse(text).unwrap().steps().to_vec();
        assert_eq!(steps(""), []);
        assert_eq!(steps("br,,*,%2A"), [Step::Key("br".into()), Step::Fold, Step::Each, Step::Key("*".into())]);
        assert_eq!(steps(","), [Step::Fold, Step::Fold]);
        assert_eq!(Pattern::parse("a,%zz"), Err(PathError::Percent { key: 2 }));
        assert_eq!(Pattern::parse("%"), Err(PathError::Percent { key: 1 }));
        assert_eq!(Pattern::parse("%FF"), Err(PathError::Utf8 { key: 1 }));
        assert_eq!(Pattern::parse(&",".repeat(DEPTH_MAX)), Err(PathError::Deep));
        assert_eq!(parse_plain("cpu,,idle"), Err(PathError::Plain { key: 2 }));
    }
}
