//! `name_match` patterns, by the library that gmond has them by.

use gmod_compat::groups::{Found, Search};
use pcre2::bytes::{Regex, RegexBuilder};

/// Makes a pattern searchable. No flags, anywhere in a name, as gmond does; PCRE's own limit on steps holds.
///
/// # Errors
/// It is none.
pub(crate) fn compile(pattern: &str) -> Result<Search, String> {
    let regex = RegexBuilder::new().build(pattern).map_err(|error| error.to_string())?;
    Ok(Box::new(move |name| find(&regex, name)))
}

fn find(regex: &Regex, name: &str) -> Result<Found, String> {
    let captures = regex.captures(name.as_bytes()).map_err(|error| error.to_string())?;
    Ok(captures.map(|captures| {
        (0..captures.len()).map(|group| captures.get(group).map(|found| found.start()..found.end())).collect()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_pcre() {
        let found = |pattern: &str, name: &str| compile(pattern).expect("a pattern")(name).expect("searched");
        assert_eq!(found("b(.)(x)?", "abc"), Some(vec![Some(1..3), Some(2..3), None]));
        assert_eq!(found("^b", "abc"), None);
        // What the regex crates read otherwise or refuse.
        for (pattern, name) in [("a{b}", "a{b}"), ("[[a]", "["), (r"\<", "<"), ("(?<=a)b", "ab"), (r"(.)\1", "xaa")] {
            assert!(found(pattern, name).is_some(), "{pattern}");
        }
        assert!(compile("(").is_err());
        // A pattern that would search for ever gives up.
        assert!(compile("(a+)+$").expect("a pattern")(&("a".repeat(60) + "b")).is_err());
    }
}
