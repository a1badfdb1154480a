//! Rules in order, of which the first that matches holds; tried only where their literals are in the text.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::backtrack::{BoundedBacktracker, Cache};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::AGENT_BYTES_MAX;

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// How many rules are tried on one agent. Those of uap-core's test cases need less than half of this, as a test
/// asserts; one that is stuffed with the literals of every rule gets no more.
const TRIES_MAX: usize = 64;

/// Texts after which the literals are looked for by a DFA: it is several times as quick as an NFA, but it takes ten milliseconds
/// to make and 3 MB. Who asks about so many is flooded with agents that are made up, for those that exist are remembered.
const FLOOD: u32 = 4_096;

/// The whole match and nine groups: what `$1` to `$9` can name.
const GROUPS_MAX: usize = 10;

/// The bound of the table of visited (state, position) pairs, in bytes. It grows as far as a search needs it: 130 kB
/// for the largest rule on the longest text.
const VISITED_BYTES_MAX: usize = 1 << 20;

/// One line of a rule file.
pub(crate) struct Rule {
    /// The regex, in the dialect of [`compile`].
    pattern: &'static str,
    /// What to answer (family, major, minor, patch), with `$1` for groups; empty means the regex's own group.
    pub(crate) values: [&'static str; 4],
    /// How many clauses must hold before the regex is worth trying.
    clauses: u8,
}

/// A rule file, as `build.rs` writes it.
pub(crate) struct Table {
    /// In order of precedence.
    rules: &'static [Rule],
    /// The rule of each clause.
    clauses: &'static [u16],
    /// Each literal, in lower case, and the clauses it fulfils.
    literals: &'static [(&'static [u8], &'static [u16])],
}

/// The rule that holds, and what its groups took.
pub(crate) struct Match<'a> {
    pub(crate) rule: &'static Rule,
    pub(crate) groups: Groups<'a>,
}

/// Where in the text the groups of a match lie. Slots 2n and 2n+1 are start and end of group n.
pub(crate) struct Groups<'a> {
    text: &'a [u8],
    slots: [Option<NonMaxUsize>; 2 * GROUPS_MAX],
}

impl<'a> Groups<'a> {
    /// The text of a group, if the regex has it and it took part in the match.
    pub(crate) fn get(&self, group: usize) -> Option<&'a [u8]> {
        let at = |slot: usize| self.slots.get(slot).copied().flatten().map(NonMaxUsize::get);
        self.text.get(at(2 * group)?..at(2 * group + 1)?)
    }

    #[cfg(test)]
    pub(crate) fn of_test(text: &'a str, groups: &[Option<std::ops::Range<usize>>]) -> Self {
        let mut slots = [None; 2 * GROUPS_MAX];
        for (n, range) in groups.iter().enumerate().filter_map(|(n, range)| Some((n, range.as_ref()?))) {
            slots[2 * n] = NonMaxUsize::new(range.start);
            slots[2 * n + 1] = NonMaxUsize::new(range.end);
        }
        Self { text: text.as_bytes(), slots }
    }
}

/// A table, ready to be searched.
pub(crate) struct RuleSet {
    table: &'static Table,
    /// Finds all literals of the table in one pass. `None` if it could not be built; then every rule is tried, which
    /// is slow and right.
    literals: Option<AhoCorasick>,
    engine: Mutex<Engine>,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.table.rules.len()).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Takes a millisecond: all the literals go into one automaton.
    pub(crate) fn new(table: &'static Table) -> Self {
        let literals = automaton(table, AhoCorasickKind::ContiguousNFA);
        Self { table, literals, engine: Mutex::new(Engine::new(table)) }
    }

    /// The first rule that matches the text, which is at most [`AGENT_BYTES_MAX`] long.
    pub(crate) fn first<'a>(&self, text: &'a str) -> Option<Match<'a>> {
        // A panic while it was held leaves the engine fit for use: its parts are replaced whole, or begun anew.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = &mut *engine;
        engine.asked = engine.asked.saturating_add(1);
        if engine.asked == FLOOD {
            engine.literals = automaton(self.table, AhoCorasickKind::DFA);
        }
        let literals = engine.literals.as_ref().or(self.literals.as_ref());
        let candidates = self.candidates(text, literals, &mut engine.candidates);
        candidates.into_iter().take(TRIES_MAX).find_map(|index| {
            let rule = &self.table.rules[index];
            let groups = engine.search(index, rule.pattern, text)?;
            Some(Match { rule, groups })
        })
    }

    /// The rules all of whose clauses hold in the text, in order.
    fn candidates(&self, text: &str, literals: Option<&AhoCorasick>, scratch: &mut Candidates) -> Vec<usize> {
        let Some(literals) = literals else {
            return (0..self.table.rules.len()).collect();
        };
        scratch.begin(self.table);
        let mut candidates = Vec::new();
        for found in literals.find_overlapping_iter(text) {
            let (_, clauses) = self.table.literals[found.pattern().as_usize()];
            for &clause in clauses {
                let rule = self.table.clauses[usize::from(clause)];
                if scratch.fulfil(clause, rule) {
                    candidates.push(usize::from(rule));
                }
            }
        }
        candidates.sort_unstable();
        candidates
    }
}

/// Finds all literals of a table.
fn automaton(table: &Table, kind: AhoCorasickKind) -> Option<AhoCorasick> {
    let literals = table.literals.iter().map(|&(literal, _)| literal);
    AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(kind)).build(literals).ok()
}

/// What holds in a text. Most of hundreds of rules have nothing to do with one, so what was noted of the text before is
/// undone and not made anew.
struct Candidates {
    /// For each rule, how many of its clauses are still to hold.
    missing: Vec<u8>,
    /// For each clause, whether it holds.
    fulfilled: Vec<bool>,
    /// Those that do, and their rules.
    noted: Vec<(u16, u16)>,
}

impl Candidates {
    fn new(table: &Table) -> Self {
        let missing = table.rules.iter().map(|rule| rule.clauses).collect();
        Self { missing, fulfilled: vec![false; table.clauses.len()], noted: Vec::new() }
    }

    fn begin(&mut self, table: &Table) {
        for (clause, rule) in self.noted.drain(..) {
            self.fulfilled[usize::from(clause)] = false;
            self.missing[usize::from(rule)] = table.rules[usize::from(rule)].clauses;
        }
    }

    /// A clause holds: whether it was the last that its rule lacked.
    fn fulfil(&mut self, clause: u16, rule: u16) -> bool {
        if std::mem::replace(&mut self.fulfilled[usize::from(clause)], true) {
            return false;
        }
        self.noted.push((clause, rule));
        let missing = &mut self.missing[usize::from(rule)];
        *missing -= 1;
        *missing == 0
    }
}

/// The regexes compiled so far, and the space they search in.
struct Engine {
    /// One a rule. Their number is the bound: all of them together are small.
    regexes: Vec<Slot>,
    /// One for all regexes: a search clears as much of it as it needs.
    cache: Option<Cache>,
    candidates: Candidates,
    /// How many texts were asked about.
    asked: u32,
    /// The DFA, once they were many.
    literals: Option<AhoCorasick>,
}

enum Slot {
    Untried,
    Compiled(Box<BoundedBacktracker>),
    /// Does not compile. A test proves that no rule is such.
    Broken,
}

impl Engine {
    fn new(table: &Table) -> Self {
        let regexes = table.rules.iter().map(|_| Slot::Untried).collect();
        Self { regexes, cache: None, candidates: Candidates::new(table), asked: 0, literals: None }
    }

    /// The groups of the rule of this number, if it matches.
    fn search<'a>(&mut self, index: usize, pattern: &str, text: &'a str) -> Option<Groups<'a>> {
        let slot = &mut self.regexes[index];
        if matches!(slot, Slot::Untried) {
            *slot = compile(pattern).map_or(Slot::Broken, |regex| Slot::Compiled(Box::new(regex)));
        }
        let Slot::Compiled(regex) = slot else { return None };
        let cache = self.cache.get_or_insert_with(|| regex.create_cache());
        let mut groups = Groups { text: text.as_bytes(), slots: [None; 2 * GROUPS_MAX] };
        // The error would be a text too long for the table of visited pairs, which `compile` excludes.
        regex.try_search_slots(cache, &Input::new(text), &mut groups.slots).ok()??;
        Some(groups)
    }
}

/// A regex over bytes. Its classes are of ASCII: what the rules mean by `\d` and `\w`, at a fraction of the size of the
/// Unicode ones. `None` if it is no regex, or too large to be searched for in the longest text.
///
/// Most rules begin with a literal, and a search then goes from one place where that stands to the next: nearly all of the
/// time that a rule takes is spent on places where it cannot begin.
fn compile(pattern: &str) -> Option<BoundedBacktracker> {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let begins = syntax::parse_with(pattern, &syntax).ok()?;
    let begins = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &begins);
    BoundedBacktracker::builder()
        .configure(BoundedBacktracker::config().visited_capacity(VISITED_BYTES_MAX).prefilter(begins))
        .syntax(syntax)
        .thompson(thompson::Config::new().utf8(false))
        .build(pattern)
        .ok()
        .filter(|regex| regex.max_haystack_len() >= AGENT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const TABLES: [&Table; 3] = [&BROWSER, &OS, &SPIDER];

    /// uap-core's test agents.
    fn agents() -> impl Iterator<Item = &'static str> {
        let files = [include_str!("../tests/data/browser.tsv"), include_str!("../tests/data/os.tsv")];
        let lines = files.into_iter().flat_map(str::lines).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.splitn(6, '\t').nth(5))
    }

    /// All rules of a table compiled, and the same with the filter before it.
    struct Both {
        all: Engine,
        filtered: RuleSet,
        scratch: Candidates,
        dfa: Option<AhoCorasick>,
    }

    impl Both {
        fn new(table: &'static Table) -> Self {
            Self {
                all: Engine::new(table),
                filtered: RuleSet::new(table),
                scratch: Candidates::new(table),
                dfa: automaton(table, AhoCorasickKind::DFA),
            }
        }

        /// The rules that match are among those that the filter lets pass.
        fn check(&mut self, text: &str) {
            let candidates = self.filtered.candidates(text, self.filtered.literals.as_ref(), &mut self.scratch);
            assert_eq!(self.filtered.candidates(text, self.dfa.as_ref(), &mut self.scratch), candidates, "{text}");
            for (index, rule) in self.filtered.table.rules.iter().enumerate() {
                if candidates.binary_search(&index).is_err() {
                    let found = self.all.search(index, rule.pattern, text);
                    assert!(found.is_none(), "the filter loses {} for {text}", rule.pattern);
                }
            }
        }
    }

    #[test]
    fn every_rule_compiles_and_all_together_are_small() {
        let mut bytes = 0;
        for rule in TABLES.into_iter().flat_map(|table| table.rules) {
            let regex = compile(rule.pattern).unwrap_or_else(|| panic!("does not compile: {}", rule.pattern));
            bytes += regex.get_nfa().memory_usage();
        }
        assert!(bytes < 2 << 20, "{bytes} bytes of regexes: the docs say about 1 MB");
    }

    #[test]
    fn the_automata_are_as_large_as_the_docs_say() {
        for (kind, most) in [(AhoCorasickKind::ContiguousNFA, 1 << 20), (AhoCorasickKind::DFA, 4 << 20)] {
            let bytes = TABLES.map(|table| automaton(table, kind).map_or(0, |literals| literals.memory_usage()));
            assert!(bytes.iter().all(|&bytes| bytes > 0), "one could not be built");
            assert!(bytes.iter().sum::<usize>() < most, "{bytes:?}");
        }
    }

    #[test]
    fn a_flood_is_answered_as_the_first_was() {
        let set = RuleSet::new(&BROWSER);
        let answers =
            || -> Vec<_> { agents().take(200).map(|agent| set.first(agent).map(|found| found.rule.pattern)).collect() };
        let before = answers();
        while set.engine.lock().expect("nothing panics").literals.is_none() {
            set.first("x");
        }
        assert_eq!(answers(), before);
    }

    #[test]
    fn every_rule_has_a_clause() {
        for rule in TABLES.into_iter().flat_map(|table| table.rules) {
            assert_ne!(rule.clauses, 0, "would be tried on every agent: {}", rule.pattern);
        }
    }

    #[test]
    fn the_filter_loses_no_match_of_the_corpus() {
        for table in TABLES {
            let mut both = Both::new(table);
            agents().for_each(|agent| both.check(agent));
        }
    }

    #[test]
    fn the_corpus_needs_less_than_half_the_tries() {
        let sets = TABLES.map(|table| (RuleSet::new(table), table));
        let count = |(set, table): &(RuleSet, &Table), agent| {
            set.candidates(agent, set.literals.as_ref(), &mut Candidates::new(table)).len()
        };
        let most = agents().flat_map(|agent| sets.iter().map(move |set| count(set, agent))).max();
        assert!(most < Some(TRIES_MAX / 2), "{most:?} rules are tried");
    }

    #[test]
    fn a_regex_is_compiled_when_first_wanted() {
        let set = RuleSet::new(&OS);
        let compiled = || {
            let engine = set.engine.lock().expect("nothing panics");
            engine.regexes.iter().filter(|slot| !matches!(slot, Slot::Untried)).count()
        };
        assert_eq!(compiled(), 0);
        assert!(set.first("Mozilla/5.0 (Windows NT 5.1)").is_some());
        let once = compiled();
        assert!((1..=8).contains(&once), "{once} of {} compiled", OS.rules.len());
        assert!(set.first("Mozilla/4.0 (Windows NT 5.1)").is_some());
        assert_eq!(compiled(), once);
    }

    /// Text made of what the rules look for and what stands between.
    fn stuffed() -> impl Strategy<Value = String> {
        let literals: Vec<String> = TABLES
            .into_iter()
            .flat_map(|table| table.literals)
            .map(|(literal, _)| String::from_utf8_lossy(literal).into_owned())
            .collect();
        let piece = prop_oneof![
            3 => proptest::sample::select(literals),
            2 => "[ /;.()_-]{0,2}[0-9]{0,3}",
            1 => "[A-Za-z]{0,6}",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_filter_loses_no_match(agent in stuffed(), upper in any::<bool>()) {
            static BOTH: LazyLock<Mutex<Vec<Both>>> =
                LazyLock::new(|| Mutex::new(TABLES.into_iter().map(Both::new).collect()));
            let agent = if upper { agent.to_uppercase() } else { agent };
            let mut both = BOTH.lock().unwrap_or_else(PoisonError::into_inner);
            both.iter_mut().for_each(|both| both.check(&agent));
        }
    }
}
