//! The rules' regexes, compiled when first wanted, and how they are searched for.

use regex_automata::dfa::onepass;
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use regex_syntax::hir::Hir;

use crate::AGENT_BYTES_MAX;
use crate::nest::nest;
use crate::rules::Slots;

/// The bound of the table of visited (state, position) pairs, in bytes. It grows as far as a search needs it: 130 kB
/// for the largest rule on the longest text.
const VISITED_BYTES_MAX: usize = 1 << 20;

/// How often a regex is searched for before it gets a DFA: agents that exist are remembered, so who asks more often is flooded
/// with made-up ones.
const SEARCHES_BEFORE_DFA: u32 = 32;

/// The largest DFA of a regex, in bytes.
const DFA_BYTES_MAX: usize = 1 << 14;

/// Places of a text at which the DFA is tried. What is left then goes to the backtracker, for that is linear in the text
/// however often a match begins and comes to nothing.
const STARTS_MAX: usize = 8;

/// The regexes compiled so far, and the space they search in.
pub(crate) struct Regexes {
    /// One a rule. Their number is the bound: all of them together are small.
    compiled: Vec<Slot>,
    /// One for all regexes: a search clears as much of it as it needs.
    cache: Option<backtrack::Cache>,
}

enum Slot {
    Untried,
    Compiled(Box<Regex>),
    /// Does not compile. A test proves that no rule is such.
    Broken,
}

impl Regexes {
    /// Room for so many.
    pub(crate) fn new(rules: usize) -> Self {
        Self { compiled: (0..rules).map(|_| Slot::Untried).collect(), cache: None }
    }

    /// Where the leftmost match of the rule of this number lies, and its groups.
    pub(crate) fn search(&mut self, index: usize, pattern: &'static str, text: &str) -> Option<Slots> {
        let slot = self.compiled.get_mut(index)?;
        if matches!(slot, Slot::Untried) {
            *slot = Regex::new(pattern).map_or(Slot::Broken, |regex| Slot::Compiled(Box::new(regex)));
        }
        match slot {
            Slot::Compiled(regex) => regex.search(text, &mut self.cache),
            Slot::Untried | Slot::Broken => None,
        }
    }

    /// How many are compiled.
    #[cfg(test)]
    pub(crate) fn compiled(&self) -> usize {
        self.compiled.iter().filter(|slot| !matches!(slot, Slot::Untried)).count()
    }
}

/// A regex over bytes. Its classes are of ASCII: what the rules mean by `\d` and `\w`, at a fraction of the size of the
/// Unicode ones.
pub(crate) struct Regex {
    pattern: &'static str,
    backtracker: BoundedBacktracker,
    /// What it begins with. A search goes from one place where that stands to the next: nearly all of the time that a rule
    /// takes is spent on places where it cannot begin.
    begins: Option<Prefilter>,
    searches: u32,
    quick: Option<Box<Quick>>,
}

/// Matches at one place in one pass, where a regex is such that each byte leaves one way to go on.
struct Quick {
    dfa: onepass::DFA,
    cache: onepass::Cache,
}

impl Regex {
    /// `None` if it is no regex, or too large to be searched for in the longest text.
    pub(crate) fn new(pattern: &'static str) -> Option<Self> {
        let hir = parse(pattern)?;
        let begins = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        let backtracker = BoundedBacktracker::builder()
            .configure(BoundedBacktracker::config().visited_capacity(VISITED_BYTES_MAX).prefilter(begins.clone()))
            .build_from_nfa(nfa(&hir)?)
            .ok()
            .filter(|regex| regex.max_haystack_len() >= AGENT_BYTES_MAX)?;
        Some(Self { pattern, backtracker, begins, searches: 0, quick: None })
    }

    /// The DFA, if it is worth one and there is one.
    pub(crate) fn speed_up(&mut self) {
        if self.begins.is_none() && !self.backtracker.get_nfa().is_always_start_anchored() {
            return;
        }
        let builder = onepass::DFA::builder().configure(onepass::DFA::config().size_limit(Some(DFA_BYTES_MAX))).clone();
        let nfa = parse(self.pattern).and_then(|hir| nfa(&nest(&hir)));
        let dfa = nfa.and_then(|nfa| builder.build_from_nfa(nfa).ok());
        self.quick = dfa.map(|dfa| Box::new(Quick { cache: dfa.create_cache(), dfa }));
    }

    /// Where the leftmost match lies, and its groups.
    pub(crate) fn search(&mut self, text: &str, cache: &mut Option<backtrack::Cache>) -> Option<Slots> {
        self.searches = self.searches.saturating_add(1);
        if self.searches == SEARCHES_BEFORE_DFA {
            self.speed_up();
        }
        let mut slots = Slots::default();
        let mut from = 0;
        if let Some(Quick { dfa, cache: dfa_cache }) = self.quick.as_deref_mut() {
            let mut matches = |start: usize, slots: &mut Slots| {
                let input = Input::new(text).range(start..).anchored(Anchored::Yes);
                // The error would be that there is no such way to search, which there is.
                dfa.try_search_slots(dfa_cache, &input, slots).is_ok_and(|found| found.is_some())
            };
            match &self.begins {
                _ if dfa.get_nfa().is_always_start_anchored() => return matches(0, &mut slots).then_some(slots),
                Some(begins) => {
                    for _ in 0..STARTS_MAX {
                        let start = begins.find(text.as_bytes(), (from..text.len()).into())?.start;
                        if matches(start, &mut slots) {
                            return Some(slots);
                        }
                        from = start + 1;
                        if from > text.len() {
                            return None;
                        }
                    }
                }
                None => {}
            }
        }
        self.backtrack(text, from, cache)
    }

    /// The leftmost match that begins there or later.
    fn backtrack(&self, text: &str, from: usize, cache: &mut Option<backtrack::Cache>) -> Option<Slots> {
        let cache = cache.get_or_insert_with(|| self.backtracker.create_cache());
        let mut slots = Slots::default();
        // The error would be a text too long for the table of visited pairs, which `new` excludes.
        self.backtracker.try_search_slots(cache, &Input::new(text).range(from..), &mut slots).ok()??;
        Some(slots)
    }

    /// As [`search`](Self::search), never with a DFA.
    #[cfg(test)]
    pub(crate) fn search_slowly(&self, text: &str, cache: &mut Option<backtrack::Cache>) -> Option<Slots> {
        self.backtrack(text, 0, cache)
    }

    /// The bytes that it takes.
    #[cfg(test)]
    pub(crate) fn memory_usage(&self) -> usize {
        let quick = self.quick.as_ref().map_or(0, |quick| quick.dfa.memory_usage() + quick.cache.memory_usage());
        self.backtracker.get_nfa().memory_usage() + quick
    }

    #[cfg(test)]
    pub(crate) fn is_quick(&self) -> bool {
        self.quick.is_some()
    }
}

fn parse(pattern: &str) -> Option<Hir> {
    syntax::parse_with(pattern, &syntax::Config::new().unicode(false).utf8(false)).ok()
}

/// The states of a regex.
fn nfa(hir: &Hir) -> Option<NFA> {
    NFA::compiler().configure(thompson::Config::new().utf8(false)).build_from_hir(hir).ok()
}
