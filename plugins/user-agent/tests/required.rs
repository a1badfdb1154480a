//! The literals that the build says a regex needs: exactly these, and each text that matches has them.

#[path = "../build/required.rs"]
mod required;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Regexes of every shape that the rules have, and what they need: clauses of alternatives.
const NEEDS: &[(&str, &[&[&str]])] = &[
    ("Chrome", &[&["chrome"]]),
    (r"(Chrome|CrMo)/(\d+)", &[&["chrome/", "crmo/"]]),
    ("[Bb]ot", &[&["bot"]]),
    ("(?i)MiDi", &[&["midi"]]),
    ("^abc$", &[&["abc"]]),
    (r"\bab\b", &[&["ab"]]),
    ("ab(?:cd)?ef", &[&["abcdef", "abef"]]),
    ("ab(?:cd|)ef", &[&["abcdef", "abef"]]),
    (r"ab(?:cd\d+)?", &[&["ab"]]),
    (r"(?:ab\d+)*cd", &[&["cd"]]),
    (r"(?:ab\d+)?", &[]),
    (r"(?:ab)+cd", &[&["ab"], &["cd"]]),
    (r"(?:ab){2,3}", &[&["ab"]]),
    (r"ab.*cd\d", &[&["ab"], &["cd"]]),
    (r"(?:ab\d|cd)ef", &[&["ab", "cd"], &["ef"]]),
    (r"(?:abc|\d)ef", &[&["ef"]]),
    (r"(?:abc|\d+)", &[]),
    ("bot|robot", &[&["bot"]]),
    ("a", &[]),
    (r"[a-z]x\d", &[]),
    (r"\w+", &[]),
    ("", &[]),
];

#[test]
fn clauses_are_these() {
    for (pattern, needs) in NEEDS {
        let clauses = required::clauses(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let found: Vec<Vec<String>> = clauses
            .iter()
            .map(|clause| clause.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()).collect())
            .collect();
        assert_eq!(found, *needs, "{pattern}");
    }
    assert!(required::clauses("(").is_err());
}

#[test]
fn what_matches_fulfils_every_clause() {
    let mut runner = TestRunner::deterministic();
    // The generator makes whole matches, and knows no anchors.
    for (pattern, _) in NEEDS.iter().filter(|(pattern, _)| !pattern.contains(['^', '$']) && !pattern.contains(r"\b")) {
        let texts = proptest::string::string_regex(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let clauses = required::clauses(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for _ in 0..64 {
            let text = texts.new_tree(&mut runner).expect("no filter in it").current().to_ascii_lowercase();
            for clause in &clauses {
                let holds = |literal: &Vec<u8>| text.as_bytes().windows(literal.len()).any(|window| window == literal);
                assert!(clause.iter().any(holds), "{pattern} matches {text:?}, which lacks {clause:?}");
            }
        }
    }
}
