//! A glance at the folders, for what is not heard: where links lead, and everything where the system cannot watch.

use super::folders::Folders;
use super::scan::{Stamp, speaks};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a file looked like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glimpse {
    /// Where it really lies; none where a link leads nowhere.
    pub(super) real: Option<PathBuf>,
    stamp: Option<Stamp>,
}

/// What the folders looked like: by the path of each file as a look through the folders finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    files: BTreeMap<PathBuf, Glimpse>,
}

/// Which files are glanced at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are links.
    Links,
    All,
}

impl Glance {
    /// Glances at the files that say something of a module.
    pub(super) fn at(folders: &Folders, which: Which) -> Glance {
        let mut files = BTreeMap::new();
        for entry in folders.both().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            let path = entry.path();
            let wanted = which == Which::All || entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if wanted && speaks(&path) {
                let stamp = fs::metadata(&path).ok().map(|meta| Stamp::of(&meta));
                files.insert(path.clone(), Glimpse { real: fs::canonicalize(&path).ok(), stamp });
            }
        }
        Glance { files }
    }

    /// There is nothing to glance at.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The folders in which the files really lie, where that is another than their own.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let real = self.files.values().filter_map(|glimpse| glimpse.real.as_deref()?.parent());
        real.map(Path::to_owned).collect()
    }

    /// The files that really lie there.
    pub(super) fn lying_at<'g>(&'g self, real: &'g Path) -> impl Iterator<Item = &'g PathBuf> {
        self.files.iter().filter(move |(_, glimpse)| glimpse.real.as_deref() == Some(real)).map(|(path, _)| path)
    }

    /// What has changed since an earlier glance: the files that are another now, or gone, and those of which only what stands in
    /// them is new, so that they may be written just now.
    pub(super) fn since<'g>(&'g self, before: &'g Glance) -> (Vec<&'g Path>, Vec<&'g Path>) {
        let (mut other, mut written) = (Vec::new(), Vec::new());
        for (path, glimpse) in &self.files {
            match before.files.get(path) {
                Some(earlier) if earlier == glimpse => {}
                Some(Glimpse { real, stamp: Some(earlier) })
                    if *real == glimpse.real && glimpse.stamp.is_some_and(|now| now.is_same_file(earlier)) =>
                {
                    written.push(path.as_path());
                }
                // It was not there, so it is being written perhaps.
                Some(Glimpse { stamp: None, .. }) => written.push(path.as_path()),
                Some(_) | None => other.push(path.as_path()),
            }
        }
        other.extend(before.files.keys().filter(|path| !self.files.contains_key(*path)).map(PathBuf::as_path));
        (other, written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn where_links_lead_and_what_changes() {
        let base = std::env::temp_dir().join(format!("graftd-glance-{}", std::process::id()));
        for folder in ["v1", "v2"] {
            fs::create_dir_all(base.join(folder)).unwrap();
            fs::write(base.join(folder).join("x.so"), folder).unwrap();
        }
        fs::write(base.join("plain.so"), "").unwrap();
        symlink("v1", base.join("current")).unwrap();
        symlink("current/x.so", base.join("x.so")).unwrap();
        symlink("current/y.so", base.join("y.so")).unwrap();
        let folders = Folders { plugins: Some(base.clone()), ..Folders::default() };
        let first = Glance::at(&folders, Which::Links);
        let real = fs::canonicalize(base.join("v1")).unwrap();
        assert_eq!(first.files.keys().collect::<Vec<_>>(), [&base.join("x.so"), &base.join("y.so")]);
        assert_eq!(first.folders(), BTreeSet::from([real.clone()]));
        assert_eq!(first.lying_at(&real.join("x.so")).collect::<Vec<_>>(), [&base.join("x.so")]);

        // Written in place; made where nothing was; another one now.
        fs::write(base.join("v1/x.so"), "longer").unwrap();
        fs::write(base.join("v1/y.so"), "").unwrap();
        let second = Glance::at(&folders, Which::Links);
        let (x, y) = (base.join("x.so"), base.join("y.so"));
        assert_eq!(second.since(&first), (vec![], vec![x.as_path(), y.as_path()]));
        fs::remove_file(base.join("current")).unwrap();
        symlink("v2", base.join("current")).unwrap();
        fs::remove_file(&y).unwrap();
        let third = Glance::at(&folders, Which::Links);
        assert_eq!(third.since(&second), (vec![x.as_path(), y.as_path()], vec![]));
        assert_eq!(third.since(&third), (vec![], vec![]));
        assert_eq!(Glance::at(&folders, Which::All).files.len(), 2);
        fs::remove_dir_all(&base).unwrap();
    }
}
