//! The arguments of a URL.
//!
//! They are read as forms are (WHATWG URL, "application/x-www-form-urlencoded parsing"): split first, then `+` is a
//! space and `%XX` a byte, once. So a `+` in a key is written `%2B`, and `%252C` is what a path has for a comma in a key.

use super::answer::Refusal;
use super::figure::Figure;
use crate::conf::nearest;
use crate::limits::{ANSWER_NODES_MAX, PATHS_MAX, PULL_WAIT_MAX, QUESTION_CHARS_MAX};
use crate::tree::Pattern;
use plugin_api::parse_duration;
use std::borrow::Cow;
use std::time::Duration;

/// What a family of URLs takes.
pub(super) struct Family {
    /// As it stands in a URL.
    pub(super) name: &'static str,
    /// The arguments beside keys.
    pub(super) known: &'static [&'static str],
    /// Whether it asks for keys.
    pub(super) keys: bool,
}

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) keys: Vec<Pattern>,
    pub(super) figure: Option<Figure>,
    pub(super) last_minute: bool,
    pub(super) depth: Option<usize>,
    pub(super) limit: Option<usize>,
    /// Metadata beside the values.
    pub(super) meta: bool,
    pub(super) since: Option<u64>,
    /// At most [`PULL_WAIT_MAX`].
    pub(super) wait: Option<Duration>,
    /// A key: what comes behind it is wanted.
    pub(super) after: Option<String>,
    /// What is looked for.
    pub(super) question: Option<String>,
}

impl Family {
    /// Reads the arguments.
    ///
    /// # Errors
    /// 400: an argument is unknown, given twice or has a value that is not known, or a path is none.
    pub(super) fn read(&self, query: &str) -> Result<Asked, Refusal> {
        let mut asked = Asked::default();
        let mut seen = 0_u32;
        for written in query.split('&').filter(|written| !written.is_empty()) {
            let (name, value) = written.split_once('=').unwrap_or((written, ""));
            let (name, value) = (self.decode(name)?, self.decode(value)?);
            if self.keys && (name == "key" || name.starts_with("key-")) {
                asked.keys.push(self.key(&name, &value)?);
                continue;
            }
            let Some(place) = self.known.iter().position(|known| *known == name) else {
                return Err(self.unknown(&name));
            };
            if seen & (1 << place) != 0 {
                return Err(self.bad(format_args!("{name} is given twice")));
            }
            seen |= 1 << place;
            self.set(&mut asked, &name, &value)?;
        }
        if asked.keys.len() > PATHS_MAX {
            return Err(self.bad(format_args!("{} keys; at most {PATHS_MAX} are answered at once", asked.keys.len())));
        }
        if self.keys && asked.keys.is_empty() {
            return Err(
                self.bad(format_args!("no key; ask for one or several, such as {}?key-br,ie&key-os", self.name))
            );
        }
        Ok(asked)
    }

    fn key(&self, name: &str, value: &str) -> Result<Pattern, Refusal> {
        let path = match name.strip_prefix("key-") {
            Some(path) if value.is_empty() => path,
            Some(_) => {
                return Err(self.bad(format_args!(
                    "{name} takes no value; an = in a key is written %3D, as in {}?key-a%3Db",
                    self.name
                )));
            }
            None => value,
        };
        Pattern::parse(path).map_err(|error| self.bad(format_args!("path {path:?}: {error}")))
    }

    fn set(&self, asked: &mut Asked, name: &str, value: &str) -> Result<(), Refusal> {
        let wrong = |wanted: &dyn std::fmt::Display| self.bad(format_args!("{name}={value}: must be {wanted}"));
        match name {
            "as" => {
                let figure = Figure::parse(value);
                asked.figure = Some(figure.ok_or_else(|| wrong(&format_args!("one of {}", Figure::known())))?);
            }
            "window" if value == "1m" => asked.last_minute = true,
            "window" => return Err(wrong(&"1m, the last minute: no other window is kept")),
            "depth" => asked.depth = Some(value.parse().map_err(|_| wrong(&"a number of levels, such as 2"))?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=ANSWER_NODES_MAX).contains(limit));
                asked.limit =
                    Some(limit.ok_or_else(|| wrong(&format_args!("between 1 and {ANSWER_NODES_MAX} nodes")))?);
            }
            "meta" => {
                asked.meta = match value {
                    "1" => true,
                    "0" => false,
                    _ => return Err(wrong(&"1, for units, titles and the like beside the values, or 0")),
                };
            }
            "since" => asked.since = Some(value.parse().map_err(|_| wrong(&"a tick, as an answer's X-Tick has it"))?),
            "wait" => {
                let wait = parse_duration(value).ok_or_else(|| wrong(&"a duration such as 200ms, 10s or 30s"))?;
                asked.wait = Some(wait.min(PULL_WAIT_MAX));
            }
            "after" => asked.after = Some(value.to_owned()),
            "q" if value.chars().count() > QUESTION_CHARS_MAX => {
                return Err(
                    self.bad(format_args!("q has {} characters; at most {QUESTION_CHARS_MAX}", value.chars().count()))
                );
            }
            "q" => asked.question = Some(value.to_owned()),
            // `known` and this list are one, or the argument is nothing.
            _ => return Err(self.unknown(name)),
        }
        Ok(())
    }

    fn decode<'w>(&self, written: &'w str) -> Result<Cow<'w, str>, Refusal> {
        decode(written, true).ok_or_else(|| self.bad(format_args!("the escapes in {written:?} do not spell UTF-8")))
    }

    fn bad(&self, why: impl std::fmt::Display) -> Refusal {
        Refusal::bad(format_args!("{}: {why}", self.name))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let near = nearest(name, self.known.iter().copied());
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let keys = if self.keys { "key-PATH, key=PATH" } else { "" };
        let mut known: Vec<&str> = self.known.to_vec();
        if self.keys {
            known.insert(0, keys);
        }
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        self.bad(format_args!("unknown argument {name:?}{near}; known are {known}"))
    }
}

/// Undoes `%XX` once, and `+` if it stands for a space; a `%` that no two hexadecimal digits follow stays as it is.
/// `None` when that is not UTF-8.
pub(super) fn decode(written: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !written.bytes().any(|byte| byte == b'%' || (plus_is_space && byte == b'+')) {
        return Some(Cow::Borrowed(written));
    }
    String::from_utf8(decode_bytes(written.as_bytes(), plus_is_space)).ok().map(Cow::Owned)
}

/// As [`decode`], for what need not be UTF-8.
pub(super) fn decode_bytes(written: &[u8], plus_is_space: bool) -> Vec<u8> {
    let digit = |at: usize| written.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(written.len());
    let mut at = 0;
    while let Some(byte) = written.get(at) {
        at += 1;
        bytes.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => match (digit(at), digit(at + 1)) {
                (Some(high), Some(low)) => {
                    at += 2;
                    (high * 16 + low) as u8
                }
                _ => b'%',
            },
            byte => *byte,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GET: Family = Family { name: "/get/", known: &["as", "window", "depth", "limit", "meta"], keys: true };
    const PULL: Family = Family { name: "/pull/", known: &["since", "wait", "limit"], keys: true };

    fn keys(query: &str) -> Vec<String> {
        GET.read(query).unwrap().keys.iter().map(ToString::to_string).collect()
    }

    fn refused(family: &Family, query: &str) -> String {
        family.read(query).unwrap_err().why().to_owned()
    }

    #[test]
    fn names_and_values_are_paths_decoded_once() {
        assert_eq!(keys("key-br,ie&key-os"), ["br,ie", "os"]);
        assert_eq!(keys("&key=br,ie,7&&key-br%2C*="), ["br,ie,7", "br,*"]);
        assert_eq!(keys("key-a%252Cb,c"), ["a%2Cb,c"]);
        assert_eq!(keys("key-a+b,%2B,c%20d"), ["a b,+,c d"]);
        assert_eq!(keys("key-br,,x&key-"), ["br,,x", ""]);
        assert_eq!(keys("key-url,/x?q%3D1"), ["url,/x?q=1"]);
        assert_eq!(keys("key=k=v"), ["k=v"]);
        assert_eq!(keys("key-%C3%BC,ü"), ["ü,ü"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_known() {
        for (query, want) in [
            ("", "/get/: no key; ask for one or several, such as /get/?key-br,ie&key-os"),
            (
                "key-a&dept=2",
                "/get/: unknown argument \"dept\"; did you mean \"depth\"?; known are key-PATH, key=PATH, as,",
            ),
            ("key-a&depth=x", "/get/: depth=x: must be a number of levels"),
            ("key-a&limit=0", "/get/: limit=0: must be between 1 and 4000000 nodes"),
            ("key-a&as=p51", "/get/: as=p51: must be one of value, rate, error, count, sum, min, max, p50, p90,"),
            ("key-a&meta=yes", "/get/: meta=yes: must be 1, for units, titles and the like beside the values, or 0"),
            ("key-a&window=5m", "/get/: window=5m: must be 1m"),
            ("key-a&depth=1&depth=2", "/get/: depth is given twice"),
            ("key-a=b", "/get/: key-a takes no value"),
            ("key-a,%25zz", "/get/: path \"a,%zz\": key 2: a % must be followed by"),
            ("key-%FF", "/get/: the escapes in \"key-%FF\" do not spell UTF-8"),
        ] {
            let said = refused(&GET, query);
            assert!(said.starts_with(want), "{query:?}: {said}");
        }
        assert!(refused(&PULL, "key-a&since=x").contains("must be a tick"));
        assert!(refused(&PULL, "key-a&wait=soon").contains("must be a duration"));
        assert!(GET.read("key-a&meta=1").unwrap().meta && !GET.read("key-a&meta=0").unwrap().meta);
        assert!(refused(&PULL, "key-a&meta=1").contains("unknown argument \"meta\""));
        assert!(refused(&PULL, "key-a&as=value").contains("unknown argument \"as\""));
        let many = "key-a&".repeat(PATHS_MAX + 1);
        assert!(refused(&GET, &many).contains("257 keys; at most 256"));
    }

    #[test]
    fn a_wait_is_at_most_the_longest() {
        assert_eq!(PULL.read("key-a&wait=1h").unwrap().wait, Some(PULL_WAIT_MAX));
        assert_eq!(PULL.read("key-a&wait=250ms").unwrap().wait, Some(Duration::from_millis(250)));
    }

    proptest! {
        #[test]
        fn what_forms_write_is_read_back(path in "\\PC{0,20}") {
            let written: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
            prop_assert_eq!(decode(&written, true).unwrap(), path);
        }

        #[test]
        fn no_query_breaks_it(query in "[a-z%&=+,*ü\\-]{0,40}") {
            let _ = GET.read(&query);
        }

        #[test]
        fn bytes_are_decoded_as_forms_decode_them(written in "[a-c%0-9A-F+]{0,20}") {
            let pair = form_urlencoded::parse(written.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default();
            let bytes = decode_bytes(written.as_bytes(), true);
            prop_assert_eq!(String::from_utf8_lossy(&bytes), pair);
        }
    }
}
