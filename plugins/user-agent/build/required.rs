//! The literals that a text must hold for a regex to match it.
//!
//! The idea is that of RE2's `FilteredRE2` and of the crate `regex-filtered`: of `(Chrome|CrMo)/(\d+)` one can tell
//! without running it that no text matches which holds neither `chrome/` nor `crmo/`. Here the answer is a list of
//! clauses; in a text that matches, each clause has at least one of its literals. Literals are in lower case, and are
//! to be looked for in any case: that is a weaker demand, so it stays sound for case-sensitive regexes.

use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::BTreeSet;

/// A set of literals, one of which is there.
pub(crate) type Clause = BTreeSet<Vec<u8>>;

/// Literals shorter than this, in bytes, are in almost every text and tell nothing.
const LITERAL_BYTES_MIN: usize = 2;

/// How many strings a sequence may stand for before it is cut in two: past this, the products of alternatives cost
/// more in the automaton than longer literals save in tries.
const PRODUCT_MAX: usize = 24;

/// How many bytes a class may stand for and still count as alternatives (`[Bb]` does, `\d` does not).
const CLASS_MAX: usize = 4;

/// What is known of a part of a regex.
struct Known {
    /// All that it can match, when that is a short list.
    exact: Option<Clause>,
    /// What it needs, when it is not.
    clauses: Vec<Clause>,
}

impl Known {
    fn exact(strings: Clause) -> Self {
        Self { exact: Some(strings), clauses: Vec::new() }
    }

    fn nothing() -> Self {
        Self { exact: None, clauses: Vec::new() }
    }

    fn into_clauses(self) -> Vec<Clause> {
        match self.exact {
            Some(strings) => flush(&strings).into_iter().collect(),
            None => self.clauses,
        }
    }
}

/// The clauses of a regex, in the dialect that `src/rules.rs` compiles: bytes, no Unicode classes.
///
/// # Errors
/// The regex cannot be read.
pub(crate) fn clauses(pattern: &str) -> Result<Vec<Clause>, Box<regex_syntax::Error>> {
    let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern)?;
    Ok(known(&hir).into_clauses())
}

fn known(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::exact(Clause::from([Vec::new()])),
        HirKind::Literal(literal) => Known::exact(Clause::from([literal.0.to_ascii_lowercase()])),
        HirKind::Class(class) => known_class(class),
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) => {
            let sub = known(&repetition.sub);
            match (repetition.min, repetition.max, sub.exact) {
                (0, Some(1), Some(mut strings)) => {
                    strings.insert(Vec::new());
                    Known::exact(strings)
                }
                (0, ..) => Known::nothing(),
                (_, _, Some(strings)) => Known { exact: None, clauses: flush(&strings).into_iter().collect() },
                (_, _, None) => Known { exact: None, clauses: sub.clauses },
            }
        }
        HirKind::Concat(parts) => known_sequence(parts),
        HirKind::Alternation(parts) => known_choice(parts),
    }
}

fn known_class(class: &Class) -> Known {
    let mut bytes = Clause::new();
    let ranges: Vec<(u32, u32)> = match class {
        Class::Bytes(class) => class.iter().map(|r| (r.start().into(), r.end().into())).collect(),
        Class::Unicode(class) => class.iter().map(|r| (r.start().into(), r.end().into())).collect(),
    };
    for (start, end) in ranges {
        // Outside ASCII a code point is not a byte; and a long range is no list anyway.
        if end > 0x7f || end - start >= 2 * CLASS_MAX as u32 {
            return Known::nothing();
        }
        bytes.extend((start..=end).filter_map(|b| u8::try_from(b).ok()).map(|b| vec![b.to_ascii_lowercase()]));
    }
    if bytes.is_empty() || bytes.len() > CLASS_MAX { Known::nothing() } else { Known::exact(bytes) }
}

fn known_sequence(parts: &[Hir]) -> Known {
    let mut clauses = Vec::new();
    let mut run = Clause::from([Vec::new()]);
    let mut whole = true;
    for part in parts.iter().map(known) {
        match part.exact {
            Some(strings) if run.len() * strings.len() <= PRODUCT_MAX || run.len() == 1 => {
                run = run.iter().flat_map(|head| strings.iter().map(|tail| [&head[..], tail].concat())).collect();
            }
            Some(strings) => {
                whole = false;
                clauses.extend(flush(&std::mem::replace(&mut run, strings)));
            }
            None => {
                whole = false;
                clauses.extend(flush(&std::mem::replace(&mut run, Clause::from([Vec::new()]))));
                clauses.extend(part.clauses);
            }
        }
    }
    if whole {
        return Known::exact(run);
    }
    clauses.extend(flush(&run));
    Known { exact: None, clauses }
}

fn known_choice(parts: &[Hir]) -> Known {
    let parts: Vec<Known> = parts.iter().map(known).collect();
    if parts.iter().all(|part| part.exact.is_some()) {
        return Known::exact(parts.into_iter().filter_map(|part| part.exact).flatten().collect());
    }
    // "A and B, or C" is weakened to "A or C": of each branch the clause that tells most.
    let mut either = Clause::new();
    for part in parts {
        let best = part
            .into_clauses()
            .into_iter()
            .max_by_key(|clause| (clause.iter().map(Vec::len).min().unwrap_or(0), std::cmp::Reverse(clause.len())));
        match best {
            Some(clause) => either.extend(clause),
            None => return Known::nothing(),
        }
    }
    Known { exact: None, clauses: flush(&either).into_iter().collect() }
}

/// A clause of these strings, unless one of them is too short to tell anything. A string that holds another of the
/// set is left out: the other is found wherever it is.
fn flush(strings: &Clause) -> Option<Clause> {
    if strings.iter().any(|s| s.len() < LITERAL_BYTES_MIN) {
        return None;
    }
    let holds = |long: &[u8], short: &[u8]| long.len() > short.len() && long.windows(short.len()).any(|w| w == short);
    let kept = strings.iter().filter(|long| !strings.iter().any(|short| holds(long, short))).cloned().collect();
    Some(kept)
}
