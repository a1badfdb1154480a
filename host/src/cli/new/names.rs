//! Which names a plugin of one's own may have.

use crate::module::BUILT_IN;

/// Bytes of a name: it is a file's name, a key of the tree and a crate's.
const NAME_BYTES_MAX: usize = 40;

/// Crates of these names would clash with the compiler's own, with what the plugin depends on, or with what is built beside it.
const TAKEN_CRATES: [&str; 8] = ["core", "std", "alloc", "test", "plugin-api", "proc-macro", "graftd", "gmod-compat"];

/// Modules of these names would hide Python's own from all that import them: `sys.stdlib_module_names` of Python 3.13, and
/// what was among them before.
const PYTHON_LIBRARY: &str = include_str!("python_names.in");

/// What Python understands otherwise (`keyword.kwlist`), and what the daemon brings.
const TAKEN_IN_PYTHON: [&str; 34] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield", "graft", "graftd",
];

/// Refuses what is no good name of a crate.
pub(super) fn check_crate(name: &str) -> Result<(), String> {
    check(name, '-', "dashes, such as \"slow-urls\"")?;
    if name.starts_with("lib") {
        return Err(format!("{name:?} will not do: a file's \"lib\" is no part of its plugin's name; leave it out"));
    }
    if TAKEN_CRATES.contains(&name) { Err(taken(name)) } else { Ok(()) }
}

/// Refuses what is no good name of a Python module.
pub(super) fn check_python(name: &str) -> Result<(), String> {
    check(name, '_', "underscores, such as \"slow_urls\"")?;
    if TAKEN_IN_PYTHON.contains(&name) {
        return Err(taken(name));
    }
    if PYTHON_LIBRARY.split_whitespace().any(|module| module == name) {
        return Err(format!("{name:?} is a module of Python's own, which it would hide; choose another name"));
    }
    Ok(())
}

fn check(name: &str, joint: char, joints: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || !name.chars().all(good)
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.ends_with(joint)
    {
        return Err(format!(
            "{name:?} will not do: a name has at most {NAME_BYTES_MAX} small letters, digits and {joints}, and begins with a letter"
        ));
    }
    if BUILT_IN.contains(&name) { Err(taken(name)) } else { Ok(()) }
}

fn taken(name: &str) -> String {
    format!("{name:?} is taken; choose another name")
}

/// `SlowUrls` of `slow-urls`. A suffix keeps it apart from the types that the plugin uses.
pub(super) fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    let camel: String = name.split('-').map(word).collect();
    let taken =
        ["Access", "Delta", "Error", "Params", "Pipe", "Collector", "Self", "Option", "Result", "String", "Vec"];
    if taken.contains(&camel.as_str()) { format!("{camel}Module") } else { camel }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates() {
        for good in ["a", "slow-urls", "r2d2", "json"] {
            assert_eq!(check_crate(good), Ok(()));
        }
        for bad in ["", "-a", "a-", "A", "é", "a b", "a_b", "../x", "relay", "core", "graftd", &"a".repeat(41)] {
            assert!(check_crate(bad).is_err(), "{bad}");
        }
        assert_eq!((type_name("slow-urls"), type_name("access")), ("SlowUrls".into(), "AccessModule".into()));
    }

    #[test]
    fn python_modules() {
        for good in ["a", "slow_urls", "r2d2", "redis"] {
            assert_eq!(check_python(good), Ok(()));
        }
        for bad in ["", "_a", "a_", "a-b", "A", "../x", "gmond", "json", "graft", "class", "socket", "telnetlib"] {
            assert!(check_python(bad).is_err(), "{bad}");
        }
    }
}
