//! Hears what happens to files: `notify`, with the folders that it is to watch.

use super::saves::What;
use crate::limits::FILES_HEARD_MAX;
use notify::event::{AccessKind, AccessMode, CreateKind, Event, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What is heard, by the path where it really lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something happened to a file, or to a folder that is watched.
    File(What, PathBuf),
    /// A file got another name; that it left one and arrived at the other was heard before.
    Renamed(PathBuf, PathBuf),
    /// A way to a folder or to where a link leads may lead elsewhere now.
    Way,
    /// Something was lost.
    Lost,
    /// Nothing; only to be awake.
    Wake,
}

/// Which folder it is, whatever its path: device and inode.
type Identity = (u64, u64);

/// Hears of what happens in some folders.
pub(super) struct Ears {
    watcher: Option<RecommendedWatcher>,
    /// The folders that are watched, by their real paths: one folder under two names would be heard under one of them only.
    watched: BTreeMap<PathBuf, Identity>,
    /// More was heard than there was room for.
    lost: Arc<AtomicBool>,
}

impl Ears {
    /// Hears nothing yet. Also gives where it is heard, and where the hearer can be woken.
    pub(super) fn new() -> (Ears, Receiver<Heard>, SyncSender<Heard>) {
        let (tell, hearing) = sync_channel(FILES_HEARD_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let (teller, flag) = (tell.clone(), Arc::clone(&lost));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            for heard in understood(event) {
                // Never wait here: the system's own queue would overflow meanwhile, unheard.
                if teller.try_send(heard).is_err() {
                    flag.store(true, Ordering::Release);
                }
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!("folders cannot be watched ({error}); they are looked at twice a second instead");
        }
        (Ears { watcher: watcher.ok(), watched: BTreeMap::new(), lost }, hearing, tell)
    }

    /// Whether something was lost since this was asked last.
    pub(super) fn lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// A folder is watched, by this path.
    pub(super) fn watches(&self, folder: &Path) -> bool {
        self.watched.contains_key(folder)
    }

    /// Something happened to a watched folder itself: it is watched anew.
    pub(super) fn forget(&mut self, folder: &Path) {
        self.watched.remove(folder);
        if let Some(watcher) = &mut self.watcher {
            // It may be gone, and with it the watch.
            let _ = watcher.unwatch(folder);
        }
    }

    /// Watches these folders, by their real paths, and no others. A path at which another folder lies by now is watched anew.
    pub(super) fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let identity = |folder: &Path| fs::metadata(folder).ok().map(|meta| (meta.dev(), meta.ino()));
        let stale: Vec<PathBuf> = (self.watched.iter())
            .filter(|(folder, then)| !folders.contains(*folder) || identity(folder) != Some(**then))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in stale {
            self.forget(&folder);
        }
        let Some(watcher) = &mut self.watcher else { return };
        let new: Vec<&PathBuf> = folders.iter().filter(|folder| !self.watched.contains_key(*folder)).collect();
        for folder in new {
            // Asked for first: what lies there when the watch begins may be another, which the next time shows.
            let Some(identity) = identity(folder) else { continue };
            if watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(folder.clone(), identity);
            }
        }
    }
}

/// What an event means for a file.
fn understood(event: notify::Result<Event>) -> Vec<Heard> {
    let Ok(event) = event else { return vec![Heard::Lost] };
    if event.need_rescan() {
        return vec![Heard::Lost];
    }
    let what = match event.kind {
        EventKind::Create(CreateKind::Folder) => What::Arrived,
        EventKind::Create(_) => What::Created,
        EventKind::Access(AccessKind::Open(_)) => What::Opened,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => What::Closed,
        EventKind::Access(_) => return Vec::new(),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => What::Left,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => What::Arrived,
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
            return match <[PathBuf; 2]>::try_from(event.paths) {
                Ok([from, to]) => vec![Heard::Renamed(from, to)],
                Err(_) => vec![Heard::Lost],
            };
        }
        EventKind::Modify(ModifyKind::Metadata(_)) => What::Touched,
        EventKind::Modify(_) => What::Written,
        EventKind::Remove(_) => What::Removed,
        EventKind::Any | EventKind::Other => return vec![Heard::Lost],
    };
    event.paths.into_iter().map(|path| Heard::File(what, path)).collect()
}
