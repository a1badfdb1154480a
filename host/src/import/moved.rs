//! The files of an installation, also where they no longer lie where they were installed.

use crate::limits::CONF_BYTES_MAX;
use gmod_compat::conf::{Disk, Files};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Where distributions and ganglia's own sources put gmond's configuration.
const INSTALLED: [&str; 2] = ["/etc/ganglia", "/usr/local/etc/ganglia"];

/// The disk, on which a folder stands for the one that it was copied from: in a copy of `/etc/ganglia`, what is included by
/// its whole path lies beside, and what this machine has there is another installation's. What is read is remembered.
pub(super) struct Moved {
    folder: PathBuf,
    /// By the paths by which they were asked for.
    pub(super) texts: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Where they really lie.
    pub(super) read: RefCell<BTreeSet<PathBuf>>,
}

impl Moved {
    pub(super) fn new(folder: &Path) -> Moved {
        Moved { folder: real(folder), texts: RefCell::default(), read: RefCell::default() }
    }

    /// Where a path leads.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        let inside = INSTALLED.iter().find_map(|installed| path.strip_prefix(installed).ok());
        inside.map(|inside| self.folder.join(inside)).filter(|moved| moved.exists()).unwrap_or_else(|| path.to_owned())
    }
}

/// Without links, as far as there is something.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Files for Moved {
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let place = self.place(path);
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
        Disk.names(&self.place(folder))
    }

    fn var(&self, name: &str) -> Option<String> {
        Disk.var(name)
    }
}
