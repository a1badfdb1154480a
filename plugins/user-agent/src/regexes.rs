//! The rules' regexes, made when first wanted, and how they are searched for.

use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};
use regex_syntax::hir::{Hir, Look};

use crate::AGENT_BYTES_MAX;
use crate::program::{Program, Scratch, Set};
use crate::rules::Slots;

/// The bound of the table of visited (state, position) pairs, in bytes. It grows as far as a search needs it: 130 kB
/// for the largest rule on the longest text.
const VISITED_BYTES_MAX: usize = 1 << 20;

/// Steps of programs for one text. What is left then goes to the backtracker, for that is linear in the text whatever the
/// regex. Nearly all agents of uap-core's tests need no more than half of it for a rule.
const STEPS_MAX: usize = 8_000;

/// The regexes made so far, and the space they search in.
pub(crate) struct Regexes {
    /// One a rule. Their number is the bound: all of them together are small.
    made: Vec<Slot>,
    space: Space,
}

/// One for all regexes.
#[derive(Default)]
pub(crate) struct Space {
    /// Those that are left for the text.
    steps: usize,
    /// A search clears as much of it as it needs.
    backtracking: Option<backtrack::Cache>,
    running: Scratch,
}

enum Slot {
    Untried,
    Made(Box<Regex>),
    /// Is no regex. A test proves that no rule is such.
    Broken,
}

impl Regexes {
    /// Room for so many.
    pub(crate) fn new(rules: usize) -> Self {
        Self { made: (0..rules).map(|_| Slot::Untried).collect(), space: Space::default() }
    }

    /// Another text is to be searched.
    pub(crate) fn begin(&mut self) {
        self.space.steps = STEPS_MAX;
    }

    /// Where the leftmost match of the rule of this number lies, and its groups.
    pub(crate) fn search(&mut self, index: usize, pattern: &'static str, text: &str) -> Option<Slots> {
        let slot = self.made.get_mut(index)?;
        if matches!(slot, Slot::Untried) {
            *slot = Regex::new(pattern).map_or(Slot::Broken, |regex| Slot::Made(Box::new(regex)));
        }
        match slot {
            Slot::Made(regex) => regex.search(text, &mut self.space),
            Slot::Untried | Slot::Broken => None,
        }
    }

    /// How many are made.
    #[cfg(test)]
    pub(crate) fn made(&self) -> usize {
        self.made.iter().filter(|slot| !matches!(slot, Slot::Untried)).count()
    }
}

/// A regex over bytes. Its classes are of ASCII: what the rules mean by `\d` and `\w`, at a fraction of the size of the
/// Unicode ones.
pub(crate) struct Regex {
    pattern: &'static str,
    starts: Starts,
    program: Option<Program>,
    /// Made when the program is not enough.
    backtracker: Option<BoundedBacktracker>,
}

/// Where a match can begin. Nearly all of the time that a rule takes would be spent on other places.
enum Starts {
    AtFirst,
    /// Where this finds a literal.
    Literal(Prefilter),
    /// At one of these bytes.
    Bytes(Set),
    Anywhere,
}

impl Starts {
    fn of(hir: &Hir) -> Self {
        if hir.properties().look_set_prefix().contains(Look::Start) {
            return Self::AtFirst;
        }
        let literal = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, hir).map(Self::Literal);
        literal.or_else(|| Program::starts(hir).map(Self::Bytes)).unwrap_or(Self::Anywhere)
    }

    /// The first place where a match can begin, from that one on.
    #[inline]
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::AtFirst => (from == 0).then_some(0),
            Self::Literal(_) if from > text.len() => None,
            Self::Literal(literal) => literal.find(text, (from..text.len()).into()).map(|found| found.start),
            Self::Bytes(set) => {
                let next = text.get(from..)?.iter().position(|&byte| set.has(byte));
                next.map(|next| from + next)
            }
            Self::Anywhere => (from <= text.len()).then_some(from),
        }
    }
}

impl Regex {
    /// `None` if it is no regex.
    pub(crate) fn new(pattern: &'static str) -> Option<Self> {
        let hir = parse(pattern)?;
        let (starts, program) = (Starts::of(&hir), Program::of(&hir));
        Some(Self { pattern, starts, program, backtracker: None })
    }

    /// Where the leftmost match lies, and its groups.
    pub(crate) fn search(&mut self, text: &str, space: &mut Space) -> Option<Slots> {
        let mut from = 0;
        if let Some(program) = &self.program {
            let mut slots = Slots::default();
            loop {
                let start = self.starts.next(text.as_bytes(), from)?;
                match program.matches(text.as_bytes(), start, &mut slots, &mut space.running, &mut space.steps) {
                    Ok(Some(end)) => {
                        slots[0] = NonMaxUsize::new(start);
                        slots[1] = NonMaxUsize::new(end);
                        return Some(slots);
                    }
                    Ok(None) => from = start + 1,
                    Err(_) => {
                        from = start;
                        break;
                    }
                }
            }
        }
        self.backtrack(text, from, space)
    }

    /// The leftmost match that begins there or later.
    #[cold]
    fn backtrack(&mut self, text: &str, from: usize, space: &mut Space) -> Option<Slots> {
        if self.backtracker.is_none() {
            self.backtracker = backtracker(&parse(self.pattern)?);
        }
        let backtracker = self.backtracker.as_ref()?;
        let cache = space.backtracking.get_or_insert_with(|| backtracker.create_cache());
        let mut slots = Slots::default();
        // The error would be a text too long for the table of visited pairs, which is excluded.
        backtracker.try_search_slots(cache, &Input::new(text).range(from..), &mut slots).ok()??;
        Some(slots)
    }
}

fn parse(pattern: &str) -> Option<Hir> {
    syntax::parse_with(pattern, &syntax::Config::new().unicode(false).utf8(false)).ok()
}

/// `None` if it is too large to be searched for in the longest text.
fn backtracker(hir: &Hir) -> Option<BoundedBacktracker> {
    let nfa = NFA::compiler().configure(thompson::Config::new().utf8(false)).build_from_hir(hir).ok()?;
    let begins = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, hir);
    BoundedBacktracker::builder()
        .configure(BoundedBacktracker::config().visited_capacity(VISITED_BYTES_MAX).prefilter(begins))
        .build_from_nfa(nfa)
        .ok()
        .filter(|regex| regex.max_haystack_len() >= AGENT_BYTES_MAX)
}

#[cfg(test)]
impl Regex {
    /// As [`search`](Self::search) of a text of its own.
    pub(crate) fn search_anew(&mut self, text: &str, space: &mut Space) -> Option<Slots> {
        space.steps = STEPS_MAX;
        self.search(text, space)
    }

    /// As [`search`](Self::search), by the backtracker alone.
    pub(crate) fn search_slowly(&mut self, text: &str, space: &mut Space) -> Option<Slots> {
        self.backtrack(text, 0, space)
    }

    /// Whether it has a program, and that is enough for a text.
    pub(crate) fn is_quick_for(&mut self, text: &str, space: &mut Space) -> bool {
        self.backtracker = None;
        space.steps = STEPS_MAX / 2;
        self.search(text, space);
        self.program.is_some() && self.backtracker.is_none()
    }

    /// The bytes that its program and its backtracker take.
    pub(crate) fn memory_usage(&mut self) -> Option<[usize; 2]> {
        let backtracker = backtracker(&parse(self.pattern)?)?;
        Some([self.program.as_ref().map_or(0, Program::memory_usage), backtracker.get_nfa().memory_usage()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Regexes of every shape that the rules have, and some that they do not.
    const SHAPES: [&str; 20] = [
        r"(a|ab)(c|bcd)(d*)",
        r"(a+)(b?)(?:\.(c)|)(?:\.(c)|)",
        r"^(.*)a(b|$)",
        r"(a.*?)(b+?)c",
        r"(?:(a)|b){2,3}c",
        r"(?:(a)b|(c))+?d",
        r"(?:ab)*(c)",
        r"\b(a|b|c)\b",
        r"\B[abc]\B",
        r"(a{2,3})(a{0,2}?)b",
        r"(?i)(AB|bc|c) ?(a*)",
        r"((a)|(b)|(c)|)+x",
        r"(a|b|)(c|)$",
        r"[^a]+a",
        r"(?:a|b|cc|c|\.)+\.",
        r"(é|.)b",
        r"()(a)()",
        r"a*?$",
        r"(?:)",
        r"(a*)*b",
    ];

    proptest! {
        #[test]
        fn a_program_matches_as_the_backtracker(text in "[abcABC. é\n]{0,24}") {
            for pattern in SHAPES {
                let mut regex = Regex::new(pattern).expect(pattern);
                let mut space = Space::default();
                let slow = regex.search_slowly(&text, &mut space);
                prop_assert_eq!(regex.search_anew(&text, &mut space), slow, "{} in {:?}", pattern, text);
                // The same where the backtracker goes on.
                for steps in [0, 1, 5, 20] {
                    space.steps = steps;
                    prop_assert_eq!(regex.search(&text, &mut space), slow, "{} in {:?} after {}", pattern, text, steps);
                }
            }
        }
    }
}
