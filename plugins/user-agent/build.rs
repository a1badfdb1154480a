//! Turns `rules/*.tsv` into static tables, so that nothing is parsed or built when the plugin is loaded: the rules, the
//! literals that a text must hold before a rule is worth trying (`build/required.rs`), and where to look for those
//! (`build/grams.rs`).

#[path = "build/grams.rs"]
mod grams;
#[path = "build/required.rs"]
mod required;

use grams::{BYTE_BITS, HASHES, STRIDE, hash};
use required::Clause;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Table name in the generated code, and its file.
const TABLES: [(&str, &str); 3] =
    [("BROWSER", "rules/browser.tsv"), ("OS", "rules/os.tsv"), ("SPIDER", "rules/spider.tsv")];

/// Agents, by which is told what is rare: the last field of each line.
const AGENTS: [&str; 2] = ["tests/data/browser.tsv", "tests/data/os.tsv"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=rules");
    AGENTS.iter().for_each(|file| println!("cargo::rerun-if-changed={file}"));
    let read = |file: &str| fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let agents = Agents::new(AGENTS.map(read).iter().flat_map(|text| text.lines()));
    let mut code = String::new();
    for (name, file) in TABLES {
        match Table::of(&read(file), &agents) {
            Ok(table) => table.write(name, &mut code),
            Err((line, error)) => panic!("{file}:{line}: {error}"),
        }
    }
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("tables.rs");
    fs::write(&out, code).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

/// What agents look like.
struct Agents {
    /// In lower case.
    texts: Vec<Vec<u8>>,
    /// How often three bytes of a hash stand in them.
    grams: Vec<u32>,
}

impl Agents {
    fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Agents {
        let lines = lines.filter(|line| !line.starts_with('#'));
        let texts: Vec<Vec<u8>> = lines.filter_map(|line| line.splitn(6, '\t').nth(5)).map(lower).collect();
        let mut grams = vec![0; HASHES];
        for three in texts.iter().flat_map(|text| text.windows(3)) {
            grams[hash_of([three[0], three[1], three[2]])] += 1;
        }
        Agents { texts, grams }
    }

    /// A literal as it stands in code, and which of its bytes is the rarest.
    fn needed(&self, literal: &[u8]) -> String {
        let often = |byte: u8| self.texts.iter().flatten().filter(|&&other| other == byte).count();
        let rarest = (0..literal.len()).min_by_key(|&place| often(literal[place])).unwrap_or_default();
        format!("({}, {rarest})", bytes(literal))
    }

    /// How many of them have one of the literals.
    fn with(&self, clause: &Clause) -> usize {
        let has = |text: &[u8], literal: &[u8]| text.windows(literal.len()).any(|window| window == literal);
        self.texts.iter().filter(|text| clause.iter().any(|literal| has(text, literal))).count()
    }
}

fn lower(text: &str) -> Vec<u8> {
    text.to_ascii_lowercase().into_bytes()
}

fn hash_of([first, second, third]: [u8; 3]) -> usize {
    hash(u64::from(first) | u64::from(second) << 8 | u64::from(third) << 16)
}

/// The hashes that there may be at a place of a literal, which may begin a byte before it or end a byte after.
fn hashes_at(literal: &[u8], place: isize) -> BTreeSet<usize> {
    let known = |at: isize| usize::try_from(at).ok().and_then(|at| literal.get(at)).copied();
    let choices = |at: isize| known(at).map_or_else(|| (0..=BYTE_BITS).collect(), |byte| vec![byte]);
    let mut hashes = BTreeSet::new();
    for first in choices(place) {
        for second in choices(place + 1) {
            hashes.extend(choices(place + 2).into_iter().map(|third| hash_of([first, second, third])));
        }
    }
    hashes
}

/// A table that is being made.
#[derive(Default)]
struct Table {
    rules: String,
    rule_count: u16,
    /// Each literal that calls for rules.
    literals: BTreeMap<Vec<u8>, Vec<u16>>,
    /// By hash: the literals that may stand there, by number, and which of their bytes it is.
    grams: BTreeMap<usize, Vec<(u16, i8)>>,
}

impl Table {
    /// The table of a rule file.
    ///
    /// # Errors
    /// The number of the line that is wrong, and why.
    fn of(text: &str, agents: &Agents) -> Result<Table, (usize, String)> {
        let mut table = Table::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            table.rule(line, agents).map_err(|error| (index + 1, error))?;
        }
        for (number, literal) in table.literals.keys().enumerate() {
            let number = u16::try_from(number).map_err(|_| (0, "more than 65,535 literals".to_owned()))?;
            for (place, hashes) in places(literal, agents) {
                for hash in hashes {
                    table.grams.entry(hash).or_default().push((number, place));
                }
            }
        }
        Ok(table)
    }

    /// Takes in a rule: a line of a file.
    fn rule(&mut self, line: &str, agents: &Agents) -> Result<(), String> {
        let mut fields = line.split('\t');
        let pattern = fields.next().unwrap_or_default();
        let values: Vec<&str> = fields.collect();
        if values.len() > 4 {
            return Err(format!("{} fields after the regex; at most 4 are known", values.len()));
        }
        let value = |n: usize| values.get(n).copied().unwrap_or_default();
        let mut needs = required::clauses(pattern).map_err(|error| error.to_string())?;
        // The rarest calls for the rule, and the others are asked for when it has.
        let rarest = (0..needs.len()).min_by_key(|&n| (agents.with(&needs[n]), needs[n].len()));
        let calls = rarest.map(|n| needs.remove(n)).ok_or("would be tried on every agent")?;
        for literal in calls {
            self.literals.entry(literal).or_default().push(self.rule_count);
        }
        let needs = list(needs.iter().map(|need| list(need.iter().map(|literal| agents.needed(literal)))));
        writeln!(
            self.rules,
            "        Rule {{ pattern: {pattern:?}, values: [{:?}, {:?}, {:?}, {:?}], needs: {needs} }},",
            value(0),
            value(1),
            value(2),
            value(3),
        )
        .expect("a String takes all");
        self.rule_count = self.rule_count.checked_add(1).ok_or("more than 65,535 rules")?;
        Ok(())
    }

    /// Appends its code.
    fn write(&self, name: &str, code: &mut String) {
        let (mut bits, mut ranks) = (vec![0_u64; HASHES / 64], Vec::new());
        self.grams.keys().for_each(|hash| bits[hash / 64] |= 1 << (hash % 64));
        let (mut starts, mut entries) = (vec![0], Vec::<(u16, i8)>::new());
        for found in self.grams.values() {
            entries.extend(found);
            starts.push(entries.len());
        }
        let mut rank = 0;
        for word in &bits {
            ranks.push(rank);
            rank += word.count_ones();
        }
        let literals = list(self.literals.iter().map(|(literal, rules)| format!("({}, &{rules:?})", bytes(literal))));
        let rules = &self.rules;
        write!(
            code,
            "pub(crate) static {name}: Table = Table {{\n    rules: &[\n{rules}    ],\n    literals: {literals},\n    \
             grams: Grams {{\n    bits: {bits:?},\n    ranks: {ranks:?},\n    starts: &{starts:?},\n    \
             entries: &{entries:?},\n    }},\n}};\n"
        )
        .expect("a String takes all");
    }
}

/// The places of a literal by which it is found, one of each remainder by the stride, and the hashes there.
fn places(literal: &[u8], agents: &Agents) -> Vec<(i8, BTreeSet<usize>)> {
    // Two bytes of the literal are there at least.
    let last = i8::try_from(literal.len().min(100)).unwrap_or(i8::MAX) - 2;
    let each = |remainder: i8| {
        let all = (-1..=last).filter(|place| place.rem_euclid(STRIDE as i8) == remainder);
        let all = all.map(|place| (place, hashes_at(literal, place.into())));
        all.min_by_key(|(_, hashes)| hashes.iter().map(|&hash| u64::from(agents.grams[hash]) + 1).sum::<u64>())
    };
    let places: Vec<_> = (0..STRIDE as i8).filter_map(each).collect();
    assert_eq!(places.len(), STRIDE, "{literal:?} is too short to be found");
    places
}

/// Bytes as they stand in code.
fn bytes(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

/// A slice as it stands in code.
fn list(items: impl Iterator<Item = String>) -> String {
    format!("&[{}]", items.collect::<Vec<_>>().join(", "))
}
