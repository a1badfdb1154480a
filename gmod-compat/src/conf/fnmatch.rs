//! Wildcards of one file name, as gmond's `include` takes them: `fnmatch(3)` with `FNM_PATHNAME | FNM_PERIOD`.

/// Whether an include's path holds a wildcard, by gmond's own rule (`has_wildcard` in `lib/libgmond.c`): `*`, `?`, or
/// a `[` with a `]` after it, none of them after a `\`.
pub(crate) fn has_wildcard(path: &str) -> bool {
    let mut bracket = false;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => return true,
            '\\' => {
                chars.next();
            }
            '[' => bracket = true,
            ']' if bracket => return true,
            _ => {}
        }
    }
    false
}

/// Whether the pattern matches the whole name: `*` any characters, `?` one, `[a-z]` one of a set, `[!a-z]` or
/// `[^a-z]` one not of it, `\c` the character itself. A leading `.` is matched by a `.` alone. Takes at most pattern
/// × name steps. Named classes (`[[:alpha:]]`) are not known.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !(pattern.starts_with('.') || pattern.starts_with("\\.")) {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last `*` if what follows it fails: it then takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = name.get(n) {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if let Some(next) = one(&pattern, p, *c) {
            p = next;
            n += 1;
            continue;
        }
        let Some((after_star, taken)) = retry else {
            return false;
        };
        p = after_star;
        n = taken + 1;
        retry = Some((p, n));
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Matches one character against the pattern at `p`; the place after that part of the pattern if it does.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '\\' => {
            let literal = pattern.get(p + 1).unwrap_or(&'\\');
            (*literal == c).then_some(p + 2)
        }
        '[' => match set(pattern, p + 1, c) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            // A `[` that is never closed is a plain character.
            None => (c == '[').then_some(p + 1),
        },
        literal => (*literal == c).then_some(p + 1),
    }
}

/// Whether `c` is of the set that starts at `p`, and the place after its `]`. None if it has none.
fn set(pattern: &[char], mut p: usize, c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(p), Some('!' | '^'));
    if negated {
        p += 1;
    }
    let first = p;
    let mut found = false;
    loop {
        let mut low = *pattern.get(p)?;
        if low == ']' && p > first {
            return Some((found != negated, p + 1));
        }
        if low == '\\' {
            p += 1;
            low = *pattern.get(p)?;
        }
        p += 1;
        let mut high = low;
        if pattern.get(p) == Some(&'-') && pattern.get(p + 1).is_some_and(|end| *end != ']') {
            high = *pattern.get(p + 1)?;
            p += 2;
        }
        found |= (low..=high).contains(&c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_fnmatch() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            (".*.conf", ".a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*.pyconf", "x.conf", false),
            ("?.conf", "a.conf", true),
            ("?.conf", "é.conf", true),
            ("?.conf", "ab.conf", false),
            ("[a-c]?.conf", "b1.conf", true),
            ("[!a-c]*", "b1.conf", false),
            ("[^a-c]*", "d", true),
            ("[]a]x", "]x", true),
            ("[a-]x", "-x", true),
            ("[\\]]x", "]x", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_their_product() {
        assert!(!matches(&"a*".repeat(2_000), &"a".repeat(1_999)));
    }

    #[test]
    fn wildcards_are_seen_by_gmonds_rule() {
        for (path, expected) in [
            ("/e/*.conf", true),
            ("/e/a?", true),
            ("/e/[ab].c", true),
            ("/e/a.conf", false),
            ("/e/\\*", false),
            ("]a[", false),
            ("\\", false),
        ] {
            assert_eq!(has_wildcard(path), expected, "{path}");
        }
    }
}
