//! A plugin's file on its way in.

use super::crash::fingerprint;
use super::files::{Folders, PluginFile, Stamp, open_trusted};
use super::probe::Refusal;
use crate::limits::PLUGIN_BYTES_MAX;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A copy of a plugin that nobody else writes to. Once mapped it is needed no more: nothing is left behind whatever
/// happens later.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    /// Tells builds apart.
    pub(super) fingerprint: u64,
}

impl Copy {
    pub(super) fn of(plugin: &PluginFile, folders: &Folders, aside: &Path) -> Result<Copy, Refusal> {
        static COPIES: AtomicU64 = AtomicU64::new(0);
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
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let path = aside.join(format!("{stem}-{}.so", COPIES.fetch_add(1, Ordering::Relaxed)));
        let copy = Copy { path, fingerprint: fingerprint(&bytes) };
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy.path);
        made.and_then(|mut made| made.write_all(&bytes)).map_err(now)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Says which file it is that is refused.
pub(super) fn named(file: &Path, Refusal { why, again }: Refusal) -> Refusal {
    Refusal { why: format!("{}: {why}", file.display()), again }
}
