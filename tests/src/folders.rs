//! The folders that `graftd` works in, made for one test.

use crate::plugin;
use rustix::fs::Mode;
use rustix::process::umask;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A conf, a plugins and a data folder, gone when this is dropped.
#[derive(Debug)]
pub struct Folders {
    root: TempDir,
}

impl Default for Folders {
    fn default() -> Folders {
        Folders::new()
    }
}

impl Folders {
    /// Empty folders.
    ///
    /// # Panics
    /// They cannot be made.
    #[must_use]
    pub fn new() -> Folders {
        // Whoever lets a group write by default would have plugins that are not to be trusted.
        umask(Mode::WGRP | Mode::WOTH);
        let root = tempfile::Builder::new().prefix("graftd-test-").tempdir().expect("a folder for the test");
        for name in ["conf", "plugins", "data"] {
            fs::create_dir(root.path().join(name)).expect("a folder");
        }
        Folders { root }
    }

    /// The same with these plugins, as they were built.
    #[must_use]
    pub fn plugins(self, names: &[&str]) -> Folders {
        self.copy_plugins(names);
        self
    }

    /// Copies these plugins there, as they were built.
    pub fn copy_plugins(&self, names: &[&str]) {
        for name in names {
            copy(&plugin(name), &self.plugin(&format!("{name}.so")));
        }
    }

    /// The folder of them all.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A file of the conf folder.
    #[must_use]
    pub fn conf(&self, name: &str) -> PathBuf {
        self.root().join("conf").join(name)
    }

    /// A file of the plugins folder.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.root().join("plugins").join(name)
    }

    /// Writes a file into the conf folder.
    pub fn write_conf(&self, name: &str, text: &str) {
        fs::write(self.conf(name), text).expect("a conf file");
    }

    /// Writes a file beside the folders, and gives its path.
    #[must_use]
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let file = self.root().join(name);
        fs::write(&file, bytes).expect("a file");
        file.display().to_string()
    }

    /// `--conf DIR --plugins DIR`.
    #[must_use]
    pub fn args(&self) -> [String; 4] {
        let folder = |name: &str| self.root().join(name).display().to_string();
        ["--conf".to_owned(), folder("conf"), "--plugins".to_owned(), folder("plugins")]
    }
}

/// Copies what stands in a file. What its mode was is left behind: a build may let its group write.
///
/// # Panics
/// It cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    fs::write(to, bytes).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}
