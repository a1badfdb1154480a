//! Hears of changes in `plugins/` and `conf/`.

use crate::core::{Event, Events};
use crate::limits::{RESCAN, SETTLE};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Watches folders until it is dropped. What is heard is gathered until the folder is at rest for [`SETTLE`], then an
/// [`Event::Files`] has them looked through; so it is every [`RESCAN`], for an event can be lost.
#[derive(Debug)]
pub struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

/// Changes that never rest are looked at all the same after this many times [`SETTLE`].
const SETTLES_MAX: u32 = 5;

impl Watch {
    /// Starts to watch. Where the system cannot watch (no inotify left), the folders are looked through every second.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(folders: &[PathBuf], events: Events) -> std::io::Result<Watch> {
        let (heard, hearing) = channel::<()>();
        let watcher = watcher(folders, heard.clone());
        let rescan = match &watcher {
            Ok(_) => RESCAN,
            Err(error) => {
                tracing::warn!("folders cannot be watched ({error}); they are looked through every second instead");
                Duration::from_secs(1)
            }
        };
        // Without a watcher the thread must not end for want of a sender.
        let keep = watcher.is_err().then_some(heard);
        thread::Builder::new().name("graftd-watch".to_owned()).spawn(move || {
            let _keep = keep;
            while gather(&hearing, rescan) {
                if !events.send(Event::Files) {
                    break;
                }
            }
        })?;
        Ok(Watch { _watcher: watcher.ok() })
    }
}

fn watcher(folders: &[PathBuf], heard: std::sync::mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Errors (an overflowing queue) are heard too: looking through the folders mends what was lost.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = heard.send(());
        }
    })?;
    for folder in folders {
        watcher.watch(Path::new(folder), RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Waits for something to be heard and then for rest; whether to go on.
fn gather(hearing: &Receiver<()>, rescan: Duration) -> bool {
    match hearing.recv_timeout(rescan) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    let patience = Instant::now() + SETTLE * SETTLES_MAX;
    while Instant::now() < patience {
        match hearing.recv_timeout(SETTLE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}
