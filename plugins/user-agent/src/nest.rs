//! Writes a regex so that one pass can match it.
//!
//! Most rules end in parts of a version that may be there or not, such as `(?:\.(\d+)|)(?:\.(\d+)|)`. A full stop may be of
//! the first of them or of the second, so a matcher that never goes back cannot take that. `(?:\.(\d+)(?:\.(\d+)|)|)` says the
//! same: where the first does not match, the second, which is alike, does not either; and whatever way the first takes, what
//! follows does not fail.

use regex_syntax::hir::{Capture, Hir, HirKind};

/// The same regex, its last parts nested if they are alike and may be absent.
pub(crate) fn nest(hir: &Hir) -> Hir {
    let HirKind::Concat(parts) = hir.kind() else { return hir.clone() };
    let Some((last, before)) = parts.split_last() else { return hir.clone() };
    let (mut before, mut nested) = (before, last.clone());
    let Some(pattern) = optional(last).map(nameless) else { return hir.clone() };
    while let Some((part, rest)) = before.split_last() {
        let Some(inner) = optional(part).filter(|inner| nameless(inner) == pattern) else { break };
        nested = Hir::alternation(vec![Hir::concat(vec![inner.clone(), nested]), Hir::empty()]);
        before = rest;
    }
    Hir::concat(before.iter().cloned().chain([nested]).collect())
}

/// What is there, rather than not, in something that may be absent.
fn optional(part: &Hir) -> Option<&Hir> {
    match part.kind() {
        HirKind::Alternation(choices) => match &choices[..] {
            [there, absent] if *absent.kind() == HirKind::Empty => Some(there),
            _ => None,
        },
        HirKind::Repetition(repetition)
            if (repetition.min, repetition.max, repetition.greedy) == (0, Some(1), true) =>
        {
            Some(&repetition.sub)
        }
        _ => None,
    }
}

/// The same with all groups of one number: two that are equal then match the same.
fn nameless(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => {
            Hir::capture(Capture { index: 1, name: None, sub: Box::new(nameless(&capture.sub)) })
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(nameless).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(nameless).collect()),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(nameless(&repetition.sub))),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pattern: &str) -> Hir {
        regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).expect(pattern)
    }

    #[test]
    fn last_parts_that_are_alike_are_nested_and_others_left() {
        let check = |pattern: &str, same: &str| assert_eq!(nest(&parse(pattern)), parse(same), "{pattern}");
        check(r"a(\d+)(?:\.(\d+)|)(?:\.(\d+)|)", r"a(\d+)(?:\.(\d+)(?:\.(\d+)|)|)");
        check(r"a(?:b(c)|)(?:b(c)|)(?:b(c)|)", r"a(?:b(c)(?:b(c)(?:b(c)|)|)|)");
        // The one before is not alike.
        check(r"(?:x|)(?:b(c)|)(?:b(c)|)", r"(?:x|)(?:b(c)(?:b(c)|)|)");
        for other in [
            r"(?:b(c)|)(?:b(d)|)",
            r"(?:b(c)|)(?:b(c)|)$",
            r"(?:|b)(?:|b)",
            r"(?:b|)x(?:b|)",
            r"(?:b)??(?:b)??",
            r"(b)(b)",
            "b",
            "",
        ] {
            check(other, other);
        }
    }
}
