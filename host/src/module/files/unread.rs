//! Files in `conf/` that somebody may think are read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is to be said of ganglia's own files there, by their paths.
pub(super) fn unread(confs: &[PathBuf]) -> BTreeSet<Unread> {
    let found = confs.iter().filter_map(|path| Some((path, pyconf_name(path)?)));
    let told = found.map(|(path, name)| {
        let read = ["on", "off"].map(|ending| path.with_file_name(format!("{name}.{ending}")));
        let what = match read.iter().find(|read| confs.contains(read)).and_then(|read| read.file_name()) {
            Some(read) => format!("{} is there and counts", read.to_string_lossy()),
            None => format!("rename it to {name}.on"),
        };
        let why = format!("{} is not read: {what}", path.display());
        Unread { path: path.clone(), name: name.to_owned(), why }
    });
    told.collect()
}

/// Such a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// Where it lies.
    pub path: PathBuf,
    /// The module that it would speak of.
    pub name: String,
    /// That it is not read, and what to do.
    pub why: String,
}

/// `redis` of `redis.pyconf`. Hidden files are editors' and copiers' own.
pub(super) fn pyconf_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".pyconf")?;
    (!name.is_empty() && !name.starts_with('.')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ganglias_files_are_told_with_what_to_do() {
        let paths =
            ["c/.x.pyconf", "c/b.off", "c/a.pyconf", "c/b.pyconf", "c/c.pyconf.disabled", "c/.pyconf", "c/d.on"];
        let told = unread(&paths.map(PathBuf::from));
        let told: Vec<&str> = told.iter().map(|unread| &*unread.why).collect();
        assert_eq!(
            told,
            ["c/a.pyconf is not read: rename it to a.on", "c/b.pyconf is not read: b.off is there and counts"]
        );
    }
}
