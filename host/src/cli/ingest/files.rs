//! Which files are to be read.

use crate::cli::Failure;
use std::path::{Path, PathBuf};

/// What stands for standard input.
pub(super) const STDIN: &str = "-";

/// The files that are named. What is no file but has `*`, `?` or `[` is a pattern, such as one that the shell was kept from
/// looking at, and names what it matches, in order; a file that was named before is not read twice for that.
///
/// # Errors
/// A pattern that is none, or that matches no file.
pub(in crate::cli) fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<PathBuf> = Vec::with_capacity(named.len());
    for name in named {
        let pattern = name.to_str().filter(|text| text.contains(['*', '?', '[']));
        let Some(pattern) = pattern.filter(|_| name.symlink_metadata().is_err()) else {
            files.push(name.clone());
            continue;
        };
        let bad = |why: &dyn std::fmt::Display| Failure::usage(format_args!("{pattern}: {why}"));
        let matches = glob::glob(pattern).map_err(|error| bad(&format_args!("is no pattern: {error}")))?;
        let mut any = false;
        for file in matches {
            let file = file.map_err(|error| bad(&error))?;
            if file.is_dir() {
                continue;
            }
            any = true;
            if !files.contains(&file) {
                files.push(file);
            }
        }
        if !any {
            return Err(bad(&"matches no file"));
        }
    }
    Ok(files)
}

/// The bytes of all files; `None` where nobody can tell. What cannot be opened has none.
pub(in crate::cli) fn bytes(files: &[PathBuf]) -> Option<u64> {
    let of = |file: &PathBuf| {
        if file == Path::new(STDIN) {
            return None;
        }
        match file.metadata() {
            Ok(meta) if meta.is_file() => Some(meta.len()),
            Ok(meta) if !meta.is_dir() => None,
            _ => Some(0),
        }
    };
    files.iter().map(of).sum()
}
