//! A glance at the folders, for what is not heard: where links lead, and everything where the system cannot watch.

use super::folders::Folders;
use super::scan::{Stamp, speaks};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
    /// What was found in the folders: as long as nothing in one is made, renamed or removed, it is not read again.
    listings: BTreeMap<PathBuf, Listing>,
}

/// The files of a folder that are glanced at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listing {
    which: Which,
    /// The folder as it was before it was read: its change time moves with each entry.
    stamp: (u64, u64, i64, i64),
    files: Vec<PathBuf>,
}

/// A folder that changed less than this before it was read may change again with the same change time.
const CLOCK_STEP_SECONDS: i64 = 2;

impl Listing {
    /// What lies in a folder now; read only if it is not as it was `before`. Reading would be heard as well: it wakes two threads.
    fn of(folder: &Path, which: Which, before: Option<&Listing>) -> Option<Listing> {
        let meta = fs::metadata(folder).ok()?;
        let stamp = (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec());
        if let Some(before) = before.filter(|before| before.which == which && before.stamp == stamp) {
            return Some(before.clone());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            let wanted = which == Which::All || entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if wanted && speaks(&path) {
                files.push(path);
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let settled = (CLOCK_STEP_SECONDS..i64::MAX).contains(&now.saturating_sub(stamp.2));
        // One that is not settled is never taken for the same.
        Some(Listing { which, stamp: if settled { stamp } else { (0, 0, 0, -1) }, files })
    }
}

/// Which files are glanced at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are links.
    Links,
    All,
}

impl Glance {
    /// Glances at the files that say something of a module, after a glance `before`.
    pub(super) fn at(folders: &Folders, which: Which, before: &Glance) -> Glance {
        let mut glance = Glance::default();
        for folder in folders.both() {
            let Some(listing) = Listing::of(folder, which, before.listings.get(folder)) else { continue };
            for path in &listing.files {
                let stamp = fs::metadata(path).ok().map(|meta| Stamp::of(&meta));
                glance.files.insert(path.clone(), Glimpse { real: fs::canonicalize(path).ok(), stamp });
            }
            glance.listings.insert(folder.clone(), listing);
        }
        glance
    }

    /// All of them, by the paths that they have in the folders.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
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
        let first = Glance::at(&folders, Which::Links, &Glance::default());
        let real = fs::canonicalize(base.join("v1")).unwrap();
        assert_eq!(first.files.keys().collect::<Vec<_>>(), [&base.join("x.so"), &base.join("y.so")]);
        assert_eq!(first.folders(), BTreeSet::from([real.clone()]));
        assert_eq!(first.lying_at(&real.join("x.so")).collect::<Vec<_>>(), [&base.join("x.so")]);

        // Written in place; made where nothing was; another one now.
        fs::write(base.join("v1/x.so"), "longer").unwrap();
        fs::write(base.join("v1/y.so"), "").unwrap();
        let second = Glance::at(&folders, Which::Links, &first);
        let (x, y) = (base.join("x.so"), base.join("y.so"));
        assert_eq!(second.since(&first), (vec![], vec![x.as_path(), y.as_path()]));
        fs::remove_file(base.join("current")).unwrap();
        symlink("v2", base.join("current")).unwrap();
        fs::remove_file(&y).unwrap();
        let third = Glance::at(&folders, Which::Links, &second);
        assert_eq!(third.since(&second), (vec![x.as_path(), y.as_path()], vec![]));
        assert_eq!(third.since(&third), (vec![], vec![]));
        assert_eq!(Glance::at(&folders, Which::All, &third).files.len(), 2);
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_folder_in_which_nothing_is_made_is_read_once() {
        let base = std::env::temp_dir().join(format!("graftd-listing-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        fs::write(base.join("x.so"), "").unwrap();
        let fresh = Listing::of(&base, Which::All, None).unwrap();
        assert_eq!(fresh.files, [base.join("x.so")]);
        // It was made just now, so it is read again whatever its change time is.
        fs::write(base.join("y.so"), "").unwrap();
        assert_eq!(Listing::of(&base, Which::All, Some(&fresh)).unwrap().files.len(), 2);
        // What it says is believed as long as the folder is the same: here it says what is not there.
        let meta = fs::metadata(&base).unwrap();
        let stamp = (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec());
        let old = Listing { which: Which::All, stamp, files: vec![base.join("z.so")] };
        assert_eq!(Listing::of(&base, Which::All, Some(&old)).unwrap(), old);
        assert!(Listing::of(&base, Which::Links, Some(&old)).unwrap().files.is_empty());
        let older = Listing { stamp: (meta.dev(), meta.ino(), meta.ctime() - 1, meta.ctime_nsec()), ..old };
        assert_eq!(Listing::of(&base, Which::All, Some(&older)).unwrap().files.len(), 2);
        fs::remove_dir_all(&base).unwrap();
    }
}
