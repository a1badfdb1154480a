//! Rules in order, of which the first that matches holds; tried only where their literals are in the text.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use regex_automata::util::primitives::NonMaxUsize;

use crate::literals::{Candidates, Grams};
use crate::regexes::Regexes;

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// How many rules are tried on one agent. Those of uap-core's test cases need less than half of this, as a test
/// asserts; one that is stuffed with the literals of every rule gets no more.
const TRIES_MAX: usize = 64;

/// The whole match and nine groups: what `$1` to `$9` can name.
const GROUPS_MAX: usize = 10;

/// Where groups lie in a text: slots 2n and 2n+1 are start and end of group n.
pub(crate) type Slots = [Option<NonMaxUsize>; 2 * GROUPS_MAX];

/// One line of a rule file.
pub(crate) struct Rule {
    /// The regex, in the dialect of [`Regex`](crate::regexes::Regex).
    pattern: &'static str,
    /// What to answer (family, major, minor, patch), with `$1` for groups; empty means the regex's own group.
    pub(crate) values: [&'static str; 4],
    /// What a text must have beside one of the literals that call for the rule: of each of these sets one. They are in lower case, and with
    /// each goes which of its bytes is the rarest in agents.
    pub(crate) needs: &'static [&'static [(&'static [u8], usize)]],
}

/// A rule file, as `build.rs` writes it.
pub(crate) struct Table {
    /// In order of precedence.
    rules: &'static [Rule],
    /// Each literal that calls for rules, in lower case, and these rules. No rule matches a text that has none of its literals.
    pub(crate) literals: &'static [(&'static [u8], &'static [u16])],
    /// How they are found.
    pub(crate) grams: Grams,
}

/// The rule that holds, and what its groups took.
pub(crate) struct Match<'a> {
    pub(crate) rule: &'static Rule,
    pub(crate) groups: Groups<'a>,
}

/// A text, and where in it the groups of a match lie.
pub(crate) struct Groups<'a> {
    text: &'a str,
    slots: Slots,
}

impl<'a> Groups<'a> {
    /// The text of a group, if the regex has it and it took part in the match. A class that is not of ASCII may take half a
    /// character, so it is bytes.
    pub(crate) fn get(&self, group: usize) -> Option<&'a [u8]> {
        self.text.as_bytes().get(self.range(group)?)
    }

    /// The same, unless it is not text.
    pub(crate) fn get_text(&self, group: usize) -> Option<&'a str> {
        self.text.get(self.range(group)?)
    }

    fn range(&self, group: usize) -> Option<std::ops::Range<usize>> {
        let at = |slot: usize| self.slots.get(slot).copied().flatten().map(NonMaxUsize::get);
        Some(at(2 * group)?..at(2 * group + 1)?)
    }

    #[cfg(test)]
    pub(crate) fn of_test(text: &'a str, groups: &[Option<std::ops::Range<usize>>]) -> Self {
        let mut slots = Slots::default();
        for (n, range) in groups.iter().enumerate().filter_map(|(n, range)| Some((n, range.as_ref()?))) {
            slots[2 * n] = NonMaxUsize::new(range.start);
            slots[2 * n + 1] = NonMaxUsize::new(range.end);
        }
        Self { text, slots }
    }
}

/// A table, ready to be searched.
pub(crate) struct RuleSet {
    table: &'static Table,
    engine: Mutex<Engine>,
}

/// What searches work in.
struct Engine {
    candidates: Candidates,
    regexes: Regexes,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.table.rules.len()).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Nothing is compiled yet.
    pub(crate) fn new(table: &'static Table) -> Self {
        let engine = Engine { candidates: Candidates::new(), regexes: Regexes::new(table.rules.len()) };
        Self { table, engine: Mutex::new(engine) }
    }

    /// The first rule that matches the text, which is at most [`AGENT_BYTES_MAX`](crate::AGENT_BYTES_MAX) long.
    pub(crate) fn first<'a>(&self, text: &'a str) -> Option<Match<'a>> {
        // A panic while it was held leaves the engine fit for use: its parts are replaced whole, or begun anew.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let Engine { candidates, regexes } = &mut *engine;
        regexes.begin();
        let mut tries = 0;
        for place in 0..candidates.look(self.table, text) {
            let index = candidates.rule(place)?;
            let rule = self.table.rules.get(index)?;
            if !candidates.holds(rule) {
                continue;
            }
            if let Some(slots) = regexes.search(index, rule.pattern, text) {
                return Some(Match { rule, groups: Groups { text, slots } });
            }
            tries += 1;
            if tries == TRIES_MAX {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regexes::{Regex, Space};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const TABLES: [&Table; 3] = [&BROWSER, &OS, &SPIDER];

    /// uap-core's test agents.
    fn agents() -> impl Iterator<Item = &'static str> {
        let files = [include_str!("../tests/data/browser.tsv"), include_str!("../tests/data/os.tsv")];
        let lines = files.into_iter().flat_map(str::lines).filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.splitn(6, '\t').nth(5))
    }

    /// All rules of a table, to be searched for with a program and without, and what says which of them are tried.
    struct Both {
        table: &'static Table,
        slow: Vec<Regex>,
        quick: Vec<Regex>,
        space: Space,
        candidates: Candidates,
    }

    impl Both {
        fn new(table: &'static Table) -> Self {
            let all = || table.rules.iter().map(|rule| Regex::new(rule.pattern).expect(rule.pattern));
            let (slow, quick) = (all().collect(), all().collect());
            Self { table, slow, quick, space: Space::default(), candidates: Candidates::new() }
        }

        /// The rules that are tried on a text.
        fn tried(&mut self, text: &str) -> Vec<usize> {
            let called = self.candidates.look(self.table, text);
            let rules = (0..called).filter_map(|place| self.candidates.rule(place));
            rules.filter(|&rule| self.candidates.holds(&self.table.rules[rule])).collect()
        }

        /// The rules that match are among those that are tried, and match alike with a program and without.
        fn check(&mut self, text: &str) {
            let tried = self.tried(text);
            assert!(tried.is_sorted_by(|one, next| one < next), "{tried:?} for {text}");
            for (index, rule) in self.table.rules.iter().enumerate() {
                let found = self.slow[index].search_slowly(text, &mut self.space);
                assert_eq!(self.quick[index].search_anew(text, &mut self.space), found, "{} for {text}", rule.pattern);
                let is_tried = tried.binary_search(&index).is_ok();
                assert!(is_tried || found.is_none(), "the filter loses {} for {text}", rule.pattern);
                // Whoever looks for each literal in turn finds the same.
                let calls = self.table.literals.iter().filter(|(_, rules)| rules.contains(&(index as u16)));
                let has = |literal: &[u8]| {
                    text.as_bytes().windows(literal.len()).any(|window| window.eq_ignore_ascii_case(literal))
                };
                let called = calls.map(|&(literal, _)| literal).any(has);
                let needs = || rule.needs.iter().all(|need| need.iter().any(|(literal, _)| has(literal)));
                assert_eq!(is_tried, called && needs(), "{} for {text}", rule.pattern);
            }
        }
    }

    #[test]
    fn every_rule_compiles_and_all_together_are_small() {
        let mut bytes = [0; 2];
        for rule in TABLES.into_iter().flat_map(|table| table.rules) {
            let regex = Regex::new(rule.pattern).and_then(|mut regex| regex.memory_usage());
            let regex = regex.unwrap_or_else(|| panic!("does not compile: {}", rule.pattern));
            bytes.iter_mut().zip(regex).for_each(|(all, bytes)| *all += bytes);
        }
        let [programs, backtrackers] = bytes;
        assert!(programs < 2 << 20, "{programs} bytes of programs: the docs say 1.4 MB");
        assert!(backtrackers < 2 << 20, "{backtrackers} bytes of backtrackers: the docs say about 1 MB");
    }

    #[test]
    fn programs_are_enough_for_nearly_all_of_the_corpus() {
        let (mut searches, mut slow) = (0, 0);
        for table in [&BROWSER, &OS] {
            let mut both = Both::new(table);
            for agent in agents() {
                let tried = both.tried(agent);
                searches += tried.len();
                slow += tried.iter().filter(|&&rule| !both.quick[rule].is_quick_for(agent, &mut both.space)).count();
            }
        }
        assert!(slow * 200 < searches, "{slow} of {searches} searches went to the backtracker");
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
        let mut sets = TABLES.map(Both::new);
        let most = agents().flat_map(|agent| sets.each_mut().map(|set| set.tried(agent).len())).max();
        assert!(most < Some(TRIES_MAX / 2), "{most:?} rules are tried");
    }

    #[test]
    fn a_regex_is_made_when_first_wanted() {
        let set = RuleSet::new(&OS);
        let compiled = || set.engine.lock().expect("nothing panics").regexes.made();
        assert_eq!(compiled(), 0);
        assert!(set.first("Mozilla/5.0 (Windows NT 5.1)").is_some());
        let once = compiled();
        assert!((1..=8).contains(&once), "{once} of {} compiled", OS.rules.len());
        assert!(set.first("Mozilla/4.0 (Windows NT 5.1)").is_some());
        assert_eq!(compiled(), once);
    }

    /// Text made of what the rules look for and what stands between.
    fn stuffed() -> impl Strategy<Value = String> {
        let calling = TABLES.into_iter().flat_map(|table| table.literals).map(|&(literal, _)| literal);
        let needed = TABLES
            .into_iter()
            .flat_map(|table| table.rules)
            .flat_map(|rule| rule.needs.concat())
            .map(|(literal, _)| literal);
        let literals: Vec<String> =
            calling.chain(needed).map(|literal| String::from_utf8_lossy(literal).into_owned()).collect();
        let piece = prop_oneof![
            3 => proptest::sample::select(literals),
            2 => "[ /;.()_-]{0,2}[0-9]{0,3}",
            1 => "[A-Za-z]{0,6}",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| crate::clip(&pieces.concat()).to_owned())
    }

    proptest! {
        #[test]
        fn the_filter_loses_no_match(agent in stuffed(), upper in any::<bool>()) {
            static BOTH: LazyLock<Mutex<Vec<Both>>> =
                LazyLock::new(|| Mutex::new(TABLES.into_iter().map(Both::new).collect()));
            let agent = if upper { crate::clip(&agent.to_uppercase()).to_owned() } else { agent };
            let mut both = BOTH.lock().unwrap_or_else(PoisonError::into_inner);
            both.iter_mut().for_each(|both| both.check(&agent));
        }
    }
}
