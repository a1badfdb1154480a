//! The files of an installation, also where they no longer lie where they were installed.

use crate::limits::CONF_BYTES_MAX;
use gmod_compat::conf::{Disk, Files};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where distributions and ganglia's own sources put gmond's configuration.
const INSTALLED: [&str; 2] = ["/etc/ganglia", "/usr/local/etc/ganglia"];

/// The disk, on which a folder stands for the one that it was copied from: in a copy of `/etc/ganglia`, what is included by
/// its whole path lies beside, and what this machine has there is another installation's. What is read is remembered.
pub(super) struct Moved {
    folder: PathBuf,
    /// The same as it was named.
    named: PathBuf,
    /// By the paths by which they were asked for.
    pub(super) texts: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Where they really lie.
    pub(super) read: RefCell<BTreeSet<PathBuf>>,
    /// Links in the folder that lead out of it, and what is to be said of each.
    pub(super) refused: RefCell<BTreeMap<PathBuf, String>>,
}

impl Moved {
    pub(super) fn new(folder: &Path) -> Moved {
        Moved {
            folder: real(folder),
            named: folder.to_owned(),
            texts: RefCell::default(),
            read: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// Whether a path is not followed; then that is remembered.
    pub(super) fn refuses(&self, place: &Path) -> bool {
        let Err(why) = self.stays(place) else { return false };
        self.refused.borrow_mut().insert(place.to_owned(), why);
        true
    }

    /// Refuses what lies in the folder by its name alone. What an `include` names elsewhere is meant so.
    fn stays(&self, place: &Path) -> Result<(), String> {
        let climbs = place.components().any(|part| part == Component::ParentDir);
        let is_named =
            if self.named.as_os_str().is_empty() { place.is_relative() } else { place.starts_with(&self.named) };
        if climbs || !(is_named || place.starts_with(&self.folder)) { Ok(()) } else { inside(&self.folder, place) }
    }

    /// Where a path leads.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        let inside = INSTALLED.iter().find_map(|installed| path.strip_prefix(installed).ok());
        inside.map(|inside| self.folder.join(inside)).filter(|moved| moved.exists()).unwrap_or_else(|| path.to_owned())
    }
}

/// Without links, as far as there is something.
pub(super) fn real(path: &Path) -> PathBuf {
    // The empty path is this folder.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Refuses a path that leads out of a folder, which is named without links: whose installation it is may not be who imports it.
///
/// # Errors
/// Where it leads.
pub(super) fn inside(folder: &Path, path: &Path) -> Result<(), String> {
    let to = real(path);
    if to.starts_with(folder) {
        return Ok(());
    }
    let (folder, to) = (folder.display(), to.display());
    Err(format!("a link that leads out of {folder}, to {to}; not followed: put a copy in its place if it is meant"))
}

impl Files for Moved {
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let place = self.place(path);
        self.stays(&place).map_err(io::Error::other)?;
        let bytes = Disk.read(&place, at_most)?;
        if bytes.len() as u64 > CONF_BYTES_MAX {
            return Err(io::Error::other(format!("has more than {CONF_BYTES_MAX} bytes, which no .on may have")));
        }
        self.read.borrow_mut().insert(real(&place));
        self.texts.borrow_mut().insert(path.to_string_lossy().into_owned(), bytes.clone());
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        Disk.exists(&self.place(path))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let place = self.place(folder);
        let mut names = Disk.names(&place)?;
        names.retain(|name| !self.refuses(&place.join(name)));
        Ok(names)
    }

    fn var(&self, name: &str) -> Option<String> {
        Disk.var(name)
    }
}
