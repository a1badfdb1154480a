//! A machine that a test makes up: its `proc` and `sys` in a temporary folder.
//!
//! What goes wrong here (no room, no rights) is a broken test, so everything panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed with its folder when dropped.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// A machine whose `proc` and `sys` are empty.
    ///
    /// # Panics
    /// No folder can be made.
    #[must_use]
    pub fn new() -> Machine {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("graft-machine-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        for folder in ["proc", "sys"] {
            fs::create_dir_all(root.join(folder)).expect("a temporary folder");
        }
        Machine { root }
    }

    /// Its `proc`, as a parameter.
    #[must_use]
    pub fn proc(&self) -> String {
        self.root.join("proc").to_string_lossy().into_owned()
    }

    /// Its `sys`, as a parameter.
    #[must_use]
    pub fn sys(&self) -> String {
        self.root.join("sys").to_string_lossy().into_owned()
    }

    /// Copies all files of a folder (relative to the package) into one of the machine's: `("tests/fixtures/proc-1",
    /// "proc")`. Files that are there are replaced, others stay.
    ///
    /// # Panics
    /// There is no such folder.
    pub fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let (from, to) = (from.as_ref(), to.as_ref());
        for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
            let entry = entry.expect("an entry of a folder");
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                self.copy(entry.path(), &to);
            } else {
                self.write(to, &fs::read(entry.path()).expect("a fixture"));
            }
        }
    }

    /// Writes a file such as `proc/net/dev`.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, file: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    /// Removes a file or folder.
    ///
    /// # Panics
    /// It is not there.
    pub fn remove(&self, file: impl AsRef<Path>) {
        let path = self.root.join(file);
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.expect("it was there");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A folder left behind is no reason to fail a test that passed.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The text with some bytes overwritten, each at its position modulo the length.
#[must_use]
pub fn spoil(text: &[u8], bites: &[(usize, u8)]) -> Vec<u8> {
    let mut spoilt = text.to_vec();
    for (at, byte) in bites {
        if let Some(place) = at.checked_rem(text.len()).and_then(|at| spoilt.get_mut(at)) {
            *place = *byte;
        }
    }
    spoilt
}
