//! What workers ask to be kept for their next start: old Python sources, converted. In DATA, a file for each source.
//!
//! A worker has no rights, so it is the daemon that keeps it. What one says is given to none but the same file of the same
//! name, and what is in it is for the worker alone to believe.

use gmod_compat::protocol::limits::KEPT_BYTES_MAX;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Files that are kept; beyond, the ones that were used longest ago go.
const FILES_MAX: usize = 512;

/// Files that were written by this process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn in_folder(folder: PathBuf) -> Kept {
        Kept { folder }
    }

    /// What was kept of this file; nothing if nothing was.
    pub(super) fn get(&self, plugin: &str, fingerprint: u64) -> Vec<u8> {
        let path = self.path(plugin, fingerprint);
        let mut bytes = Vec::new();
        // Whatever somebody has put there: opening a pipe would wait.
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            return bytes;
        }
        let Ok(file) = fs::File::open(&path) else { return bytes };
        if (&file).take(KEPT_BYTES_MAX as u64).read_to_end(&mut bytes).is_err() {
            return Vec::new();
        }
        // It was used now. Where that cannot be noted it is only forgotten sooner.
        let _ = file.set_modified(SystemTime::now());
        bytes
    }

    /// Keeps it.
    ///
    /// # Errors
    /// It cannot be written; the next start takes longer for it.
    pub(super) fn put(&self, plugin: &str, fingerprint: u64, bytes: &[u8]) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = self.path(plugin, fingerprint);
        // Two modules of one plugin may start at once.
        let new = path.with_extension(format!("{}.new", WRITTEN.fetch_add(1, Ordering::Relaxed)));
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file.write_all(bytes).and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        forget_oldest(&self.folder)
    }

    fn path(&self, plugin: &str, fingerprint: u64) -> PathBuf {
        // A name may hold anything but a slash, and be as long as a file's.
        let name: String = plugin.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        self.folder.join(format!("{name}-{fingerprint:016x}.kept"))
    }
}

fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let surplus = files.len().saturating_sub(FILES_MAX);
    files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_the_oldest_go() {
        let folder = std::env::temp_dir().join(format!("graftd-kept-{}", std::process::id()));
        let kept = Kept::in_folder(folder.clone());
        assert!(kept.get("redis", 1).is_empty());
        kept.put("redis", 1, b"one").unwrap();
        kept.put("re/dis", 1, b"two").unwrap();
        assert_eq!((kept.get("redis", 1), kept.get("redis", 2)), (b"two".to_vec(), Vec::new()));
        for n in 0..FILES_MAX as u64 + 5 {
            kept.put("many", n, b"x").unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES_MAX);
        fs::remove_dir_all(&folder).unwrap();
    }
}
