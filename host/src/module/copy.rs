//! A plugin's file on its way in.

use super::crash::fingerprint;
use super::files::{Folders, PluginFile, Stamp, open_trusted};
use super::probe::Refusal;
use crate::limits::PLUGIN_BYTES_MAX;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A copy of a plugin that nobody else writes to. Once mapped it is needed no more: nothing is left behind whatever
/// happens later.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    /// Tells builds apart.
    pub(super) fingerprint: u64,
    /// The folder that was made for it alone.
    folder: Option<PathBuf>,
}

impl Copy {
    pub(super) fn of(plugin: &PluginFile, folders: &Folders, aside: &Path) -> Result<Copy, Refusal> {
        let file = &plugin.path;
        let now =
            |error: io::Error| named(file, Refusal::now(format!("cannot be copied to {}: {error}", aside.display())));
        // It is read from what was opened and checked: its path may lead elsewhere by then.
        let mut open = open_trusted(file, folders)?;
        let meta = open.metadata().map_err(now)?;
        if meta.len() > PLUGIN_BYTES_MAX {
            let why = format!("is {} bytes long; a plugin has at most {PLUGIN_BYTES_MAX}", meta.len());
            return Err(named(file, why.into()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        (&mut open).take(PLUGIN_BYTES_MAX).read_to_end(&mut bytes).map_err(now)?;
        if Stamp::of(&open.metadata().map_err(now)?) != plugin.stamp {
            return Err(named(file, Refusal::now("changed while it was read".to_owned())));
        }
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.so", file.file_stem().unwrap_or_default().to_string_lossy());
        Copy::write(aside.join(&name), None, &bytes)
            .or_else(|error| Copy::elsewhere(&name, number, &bytes).ok_or(error))
            .map_err(now)
    }

    fn write(path: PathBuf, folder: Option<PathBuf>, bytes: &[u8]) -> io::Result<Copy> {
        // Whatever fails, nothing is left behind.
        let copy = Copy { path, fingerprint: fingerprint(bytes), folder };
        let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy.path)?;
        made.write_all(bytes)?;
        Ok(copy)
    }

    /// Where the data folder is full or not there: without its pipes a log would be read and not counted.
    fn elsewhere(name: &str, number: u64, bytes: &[u8]) -> Option<Copy> {
        [std::env::temp_dir(), PathBuf::from("/dev/shm")].into_iter().find_map(|place| {
            if statvfs(&place).ok()?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
                return None;
            }
            let folder = place.join(format!("graftd-{}-{number}", std::process::id()));
            // One that is there already is somebody else's.
            fs::DirBuilder::new().mode(0o700).create(&folder).ok()?;
            Copy::write(folder.join(name), Some(folder), bytes).ok()
        })
    }
}

/// Copies that were made: each has a name of its own.
static COPIES: AtomicU64 = AtomicU64::new(0);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Says which file it is that is refused.
pub(super) fn named(file: &Path, Refusal { why, again, off }: Refusal) -> Refusal {
    Refusal { why: format!("{}: {why}", file.display()), again, off }
}
