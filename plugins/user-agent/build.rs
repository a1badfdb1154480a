//! Turns `rules/*.tsv` into static tables, so that nothing is parsed when the plugin is loaded: the rules, and the
//! literals that a text must hold before a rule is worth trying (`build/required.rs`).

#[path = "build/required.rs"]
mod required;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Table name in the generated code, and its file.
const TABLES: [(&str, &str); 3] =
    [("BROWSER", "rules/browser.tsv"), ("OS", "rules/os.tsv"), ("SPIDER", "rules/spider.tsv")];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=rules");
    let mut code = String::new();
    for (name, file) in TABLES {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        match table(name, &text) {
            Ok(table) => code.push_str(&table),
            Err((line, error)) => panic!("{file}:{line}: {error}"),
        }
    }
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("tables.rs");
    fs::write(&out, code).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

/// The code of one table.
///
/// # Errors
/// The number of the line that is wrong, and why.
fn table(name: &str, text: &str) -> Result<String, (usize, String)> {
    let mut rules = String::new();
    let mut rule_count = 0_u16;
    let mut clauses: Vec<u16> = Vec::new();
    let mut literals: BTreeMap<Vec<u8>, Vec<u16>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        let fail = |error: String| (index + 1, error);
        let mut fields = line.split('\t');
        let pattern = fields.next().unwrap_or_default();
        let values: Vec<&str> = fields.collect();
        if values.len() > 4 {
            return Err(fail(format!("{} fields after the regex; at most 4 are known", values.len())));
        }
        let value = |n: usize| values.get(n).copied().unwrap_or_default();
        let required = required::clauses(pattern).map_err(|error| fail(error.to_string()))?;
        let count = u8::try_from(required.len()).map_err(|_| fail("more than 255 clauses".to_owned()))?;
        for clause in required {
            let id = u16::try_from(clauses.len()).map_err(|_| fail("more than 65,535 clauses in all".to_owned()))?;
            clauses.push(rule_count);
            for literal in clause {
                literals.entry(literal).or_default().push(id);
            }
        }
        writeln!(
            rules,
            "        Rule {{ pattern: {pattern:?}, values: [{:?}, {:?}, {:?}, {:?}], clauses: {count} }},",
            value(0),
            value(1),
            value(2),
            value(3)
        )
        .expect("a String takes all");
        rule_count = rule_count.checked_add(1).ok_or_else(|| fail("more than 65,535 rules".to_owned()))?;
    }
    let mut code = format!("pub(crate) static {name}: Table = Table {{\n    rules: &[\n{rules}    ],\n");
    writeln!(code, "    clauses: &{clauses:?},\n    literals: &[").expect("a String takes all");
    for (literal, ids) in &literals {
        writeln!(code, "        (b\"{}\", &{ids:?}),", literal.escape_ascii()).expect("a String takes all");
    }
    code.push_str("    ],\n};\n");
    Ok(code)
}
