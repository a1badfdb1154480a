//! Which files are a log's: those that its patterns name, and what its rotations left beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files that patterns name at this moment, links followed, each once; and what could not be looked at.
pub(super) fn matches(patterns: &[String]) -> (Vec<PathBuf>, Option<String>) {
    let mut found = BTreeMap::new();
    let mut trouble = None;
    for pattern in patterns {
        if !pattern.contains(['*', '?', '[']) {
            found.insert(PathBuf::from(pattern), ());
            continue;
        }
        match glob::glob(pattern) {
            Ok(paths) => {
                for path in paths {
                    match path {
                        Ok(path) => drop(found.insert(path, ())),
                        Err(error) => trouble = Some(error.to_string()),
                    }
                }
            }
            // The configuration was refused if it is no pattern.
            Err(error) => trouble = Some(error.to_string()),
        }
    }
    (found.into_keys().collect(), trouble)
}

/// What rotations may have made of a file: `access.log.1`, `access.log-20261126.gz`, `access-20261126.log`; the oldest first, as
/// far as their names tell.
pub(super) fn rotations(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(|other| is_rotation(name, other)).collect();
    found.sort_unstable();
    found.into_iter().map(|name| folder.join(name)).collect()
}

fn is_rotation(name: &str, other: &str) -> bool {
    let other = other.strip_suffix(".gz").unwrap_or(other);
    let tag = other.strip_prefix(name).or_else(|| {
        let (stem, ending) = name.rsplit_once('.')?;
        other.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')
    });
    tag.and_then(|tag| tag.strip_prefix(['.', '-', '_'])).is_some_and(|tag| {
        tag == "old" || (!tag.is_empty() && tag.chars().all(|c| c.is_ascii_digit() || "-_.:TZ".contains(c)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_told_from_neighbours() {
        for other in ["a.log.1", "a.log.2.gz", "a.log-20261126", "a.log-20261126-1.gz", "a-20261126.log", "a.log.old"] {
            assert!(is_rotation("a.log", other), "{other}");
        }
        for other in ["a.log", "b.log.1", "a.log.bak", "a.log.1.txt", "a-b.log", "a.log.", "ab.log", "a.log.1.bz2"] {
            assert!(!is_rotation("a.log", other), "{other}");
        }
    }
}
