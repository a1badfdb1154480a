//! Hears of changes in `plugins/` and `conf/`.

use crate::core::{Event, Events};
use crate::limits::{RESCAN, SETTLE};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Watches folders until the core is gone. What is heard is gathered until the folder is at rest for [`SETTLE`], then an
/// [`Event::Files`] has them looked through; so it is every [`RESCAN`], for an event can be lost. A folder that vanished
/// is looked for every second, and watched again when it is there.
#[derive(Debug)]
pub struct Watch {
    _stop: Sender<()>,
}

/// Changes that never rest are looked at all the same after this many times [`SETTLE`].
const SETTLES_MAX: u32 = 5;

/// How often is looked where nothing can be heard.
const LOOK: Duration = Duration::from_secs(1);

impl Watch {
    /// Starts to watch. Where the system cannot watch (no inotify left), the folders are looked through every second.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(folders: &[PathBuf], events: Events) -> std::io::Result<Watch> {
        // The watcher holds one end, so the thread ends with the core, not with this; without a watcher with this.
        let (stop, hearing) = channel::<()>();
        let mut watched = Watched::new(folders, stop.clone());
        watched.renew();
        thread::Builder::new().name("graftd-watch".to_owned()).spawn(move || {
            while gather(&hearing, if watched.renew() { RESCAN } else { LOOK }) {
                // A folder that came back is watched before it is looked through, so that nothing falls between.
                watched.renew();
                if !events.send(Event::Files) {
                    break;
                }
            }
        })?;
        Ok(Watch { _stop: stop })
    }
}

struct Watched {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
}

impl Watched {
    fn new(folders: &[PathBuf], heard: Sender<()>) -> Watched {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Errors (an overflowing queue) are heard too: looking through the folders mends what was lost.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = heard.send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!("folders cannot be watched ({error}); they are looked through every second instead");
        }
        Watched { watcher: watcher.ok(), folders: folders.to_vec() }
    }

    /// Watches all folders, also one that was taken away and made anew since; whether all are there. Watching what is
    /// watched already changes nothing (inotify_add_watch(2)).
    fn renew(&mut self) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let watched = self.folders.iter().filter(|folder| watcher.watch(folder, RecursiveMode::NonRecursive).is_ok());
        watched.count() == self.folders.len()
    }
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
