//! The folders that say which modules run, and what of them is not to be looked at just now.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

/// The folders that say which modules run.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Where the plugins lie.
    pub plugins: Option<PathBuf>,
    /// Where the `.on` and `.off` lie.
    pub conf: Option<PathBuf>,
    /// Files that others can write are taken too.
    pub allow_unsafe_permissions: bool,
    /// What is known of them beyond what lies there; all clones share it.
    pub(crate) known: Arc<Mutex<Known>>,
}

/// What is known of the folders beyond what lies there.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Files that are being written, or have just vanished and may be back at once.
    unfinished: BTreeSet<PathBuf>,
    /// While the folders are looked through: all that were so at some time since that began.
    meanwhile: Option<BTreeSet<PathBuf>>,
    /// Folders that were there once.
    met: BTreeSet<PathBuf>,
}

impl Folders {
    /// The same folders, wherever this process may come to stand: a plugin may change its current folder.
    ///
    /// # Errors
    /// The current folder is not known.
    pub(crate) fn absolute(mut self) -> io::Result<Folders> {
        for folder in [&mut self.plugins, &mut self.conf].into_iter().flatten() {
            *folder = path::absolute(&folder)?;
        }
        for folder in self.both().filter(|folder| folder.is_dir()) {
            self.met(folder);
        }
        Ok(self)
    }

    /// Both, as far as there are any.
    pub(crate) fn both(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.plugins, &self.conf].into_iter().flatten()
    }

    /// These files are unfinished, and no others.
    pub(crate) fn set_unfinished(&self, files: BTreeSet<PathBuf>) {
        let mut known = self.known.lock();
        if let Some(meanwhile) = &mut known.meanwhile {
            meanwhile.extend(files.iter().cloned());
        }
        known.unfinished = files;
    }

    /// The folders are being looked through from now on.
    pub(super) fn begin_look(&self) {
        let mut known = self.known.lock();
        known.meanwhile = Some(known.unfinished.clone());
    }

    /// They have been: the files that were unfinished at any time meanwhile, so that what was seen of them may be half.
    pub(super) fn end_look(&self) -> BTreeSet<PathBuf> {
        self.known.lock().meanwhile.take().unwrap_or_default()
    }

    /// A folder is there.
    pub(crate) fn met(&self, folder: &Path) {
        let mut known = self.known.lock();
        if !known.met.contains(folder) {
            known.met.insert(folder.to_owned());
        }
    }

    /// A folder was there once. One that never was is empty; one that vanished will be back.
    pub(super) fn was_met(&self, folder: &Path) -> bool {
        self.known.lock().met.contains(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unfinished_at_some_time_of_a_look_counts() {
        let folders = Folders::default();
        let set = |names: &[&str]| folders.set_unfinished(names.iter().map(PathBuf::from).collect());
        set(&["before", "ends"]);
        folders.begin_look();
        set(&["before", "begins"]);
        set(&["before"]);
        let names: Vec<PathBuf> = folders.end_look().into_iter().collect();
        assert_eq!(names, ["before", "begins", "ends"].map(PathBuf::from));
        folders.begin_look();
        assert_eq!(folders.end_look().len(), 1);
    }
}
