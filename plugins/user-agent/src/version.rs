//! The answer, and how it is put together from a rule and its groups.

use std::borrow::Cow;
use std::fmt;

use crate::rules::{Groups, Match};

/// The family of what no rule knows.
pub const OTHER: &str = "Other";

/// A browser or system and its version. The parts are text as the agent has it, for versions are no numbers: `XP`,
/// `10`, `b4`. Borrowed from the agent or from the rules, wherever possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<'a> {
    /// Its name, never empty; [`OTHER`] if no rule knows it.
    pub family: Cow<'a, str>,
    /// The first part of the version. Parts are absent from the right, as a rule; none is empty.
    pub major: Option<Cow<'a, str>>,
    /// The second part.
    pub minor: Option<Cow<'a, str>>,
    /// The third part.
    pub patch: Option<Cow<'a, str>>,
}

impl<'a> Version<'a> {
    pub(crate) fn of(found: Option<Match<'a>>) -> Self {
        let Some(Match { rule, groups }) = found else {
            return Self { family: Cow::Borrowed(OTHER), major: None, minor: None, patch: None };
        };
        let [family, major, minor, patch] = rule.values;
        Self {
            family: expand(family, &groups, 1).unwrap_or(Cow::Borrowed(OTHER)),
            major: expand(major, &groups, 2),
            minor: expand(minor, &groups, 3),
            patch: expand(patch, &groups, 4),
        }
    }
}

/// `family major.minor.patch`, as far as they are known.
impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.family)?;
        let parts = [&self.major, &self.minor, &self.patch];
        for (separator, part) in [' ', '.', '.'].into_iter().zip(parts.into_iter().map_while(Option::as_ref)) {
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

/// A part of the answer: what the rule says, with `$1` to `$9` for groups, or else the group of this number. Trimmed;
/// an empty one is none. This is uap-core's specification (its `docs/specification.md`).
fn expand<'a>(template: &'static str, groups: &Groups<'a>, group: usize) -> Option<Cow<'a, str>> {
    let text = if template.is_empty() {
        match groups.get_text(group) {
            Some(text) => Cow::Borrowed(text),
            None => String::from_utf8_lossy(groups.get(group)?),
        }
    } else if template.contains('$') {
        Cow::Owned(substitute(template, groups))
    } else {
        Cow::Borrowed(template)
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => match trim(&text) {
            trimmed if trimmed.len() == text.len() => Cow::Owned(text),
            trimmed => Cow::Owned(trimmed.to_owned()),
        },
    };
    (!text.is_empty()).then_some(text)
}

/// As `str::trim`, which takes its time to find that there is nothing to do.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// The template with each `$N` replaced by group N, or by nothing if that took no part in the match.
fn substitute(template: &str, groups: &Groups<'_>) -> String {
    let mut parts = template.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part.chars();
        if let Some(group) = rest.next().and_then(|digit| digit.to_digit(10)) {
            out.push_str(&String::from_utf8_lossy(groups.get(group as usize).unwrap_or_default()));
            out.push_str(rest.as_str());
        } else {
            out.push('$');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_groups_trim_and_drop_what_is_empty() {
        let groups = Groups::of_test("a b", &[Some(0..3), Some(0..1), Some(1..2), None]);
        let check = |template: &'static str, group: usize, expect: Option<&str>| {
            assert_eq!(expand(template, &groups, group).as_deref(), expect, "{template:?}, group {group}");
        };
        check("", 1, Some("a"));
        check("", 2, None); // a blank alone
        check("", 3, None); // took no part
        check("", 99, None);
        check("Fixed", 3, Some("Fixed"));
        check("$1-$1$2", 0, Some("a-a"));
        check("$3", 0, None);
        check("$", 0, Some("$"));
        check("$$1 $x", 0, Some("$a $x"));
    }

    #[test]
    fn half_a_character_is_replaced_not_a_panic() {
        let groups = Groups::of_test("é", &[Some(0..2), Some(1..2)]);
        assert_eq!(expand("", &groups, 1).as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn reads_as_family_and_version() {
        let part = |text: &'static str| Some(Cow::Borrowed(text));
        let mut version = Version { family: Cow::Borrowed("IE"), major: part("7"), minor: None, patch: part("1") };
        assert_eq!(version.to_string(), "IE 7");
        version.minor = part("0");
        assert_eq!(version.to_string(), "IE 7.0.1");
    }
}
