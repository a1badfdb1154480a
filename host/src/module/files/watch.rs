//! Hears of changes in `plugins/` and `conf/`, and says when they are to be looked through.

use super::ears::{Ears, Heard};
use super::folders::Folders;
use super::glance::{Glance, Which};
use super::saves::{Saves, What};
use super::scan::speaks;
use super::ways::Ways;
use crate::core::{Event, Events};
use crate::limits::{FILES_REST, FILES_REST_MAX, FOLDERS_LOOK, RESCAN, RESCANS_SPARED, SETTLE};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Watches both folders until this is dropped or the core is gone, and sends an [`Event::Files`] when files in them changed:
/// at once when whoever wrote them is done. What is still being written is told through [`Folders::set_unfinished`]. Each
/// [`RESCAN`] it compares what all files look like, for an event can be lost.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    wake: SyncSender<Heard>,
}

impl Watch {
    /// Starts to watch. Folders that are not there are waited for. Where the system cannot watch (no inotify left), or
    /// not all that may happen is heard, they are glanced at each [`FOLDERS_LOOK`].
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(folders: &Folders, events: Events) -> std::io::Result<Watch> {
        let (ears, hearing, wake) = Ears::new();
        let mut watching = Watching::new(folders.clone(), ears, Ways::new(wake.clone()));
        // What is there now is looked at by whoever starts; from here on nothing is missed.
        watching.attend();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("graftd-watch".to_owned()).spawn(move || {
            while watching.wait(&hearing) && !stopped.load(Ordering::Acquire) {
                if watching.due(Instant::now()) && !events.send(Event::Files) {
                    break;
                }
            }
        })?;
        Ok(Watch { stop, wake })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // With a full queue it is awake anyway.
        let _ = self.wake.try_send(Heard::Wake);
    }
}

/// A look that is to come.
#[derive(Clone, Copy, Debug)]
struct Due {
    since: Instant,
    at: Instant,
}

struct Watching {
    folders: Folders,
    ears: Ears,
    ways: Ways,
    saves: Saves,
    /// What links looked like at the last look; all files where nothing is heard.
    glance: Glance,
    /// What all files looked like when that was compared last, and how often since a look nothing had changed.
    all: Glance,
    spared: u32,
    /// The folders' real paths, as they were last.
    real: Vec<(PathBuf, Option<PathBuf>)>,
    /// Which folders those are.
    identities: Vec<Option<(u64, u64)>>,
    due: Option<Due>,
    next_glance: Instant,
    next_rescan: Instant,
    told: BTreeSet<PathBuf>,
}

impl Watching {
    fn new(folders: Folders, ears: Ears, ways: Ways) -> Watching {
        let now = Instant::now();
        Watching {
            folders,
            ears,
            ways,
            saves: Saves::default(),
            glance: Glance::default(),
            all: Glance::default(),
            spared: 0,
            real: Vec::new(),
            identities: Vec::new(),
            due: None,
            next_glance: now + FOLDERS_LOOK,
            next_rescan: now + RESCAN,
            told: BTreeSet::new(),
        }
    }

    /// Waits for the next thing to do, and takes in all that was heard; whether to go on.
    fn wait(&mut self, hearing: &Receiver<Heard>) -> bool {
        let wake = [Some(self.next_glance), Some(self.next_rescan), self.due.map(|due| due.at), self.saves.deadline()];
        let wake = wake.into_iter().flatten().min().unwrap_or(self.next_glance);
        match hearing.recv_timeout(wake.saturating_duration_since(Instant::now())) {
            Ok(heard) => self.take(heard, Instant::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(heard) = hearing.try_recv() {
            self.take(heard, Instant::now());
        }
        let now = Instant::now();
        if self.ears.lost() {
            self.take(Heard::Lost, now);
        }
        if self.saves.expire(now, speaks) {
            self.ask(now, Duration::ZERO);
        }
        // One wake for both, where they are as good as at once.
        let both = self.next_glance.max(self.next_rescan) <= now + FOLDERS_LOOK * 2;
        let (glance, compare) = (now >= self.next_glance, now >= self.next_rescan);
        if glance || compare && both {
            self.glance(now);
        }
        if compare || glance && both {
            self.compare(now);
        }
        self.tell();
        true
    }

    /// Something may have happened that was not heard. Where all looks as it did, the folders are looked through now and then alone:
    /// that opens each file, which wakes the core, and is heard here.
    fn compare(&mut self, now: Instant) {
        self.next_rescan = now + RESCAN;
        let all = Glance::at(&self.folders, Which::All, &self.all);
        let same = all == self.all;
        self.all = all;
        self.spared = if same { self.spared + 1 } else { RESCANS_SPARED };
        if self.spared >= RESCANS_SPARED {
            self.spared = 0;
            self.ask(now, Duration::ZERO);
        }
    }

    /// Whether both folders are to be looked through now; then everything is made ready for it.
    fn due(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| now < due.at) {
            return false;
        }
        self.due = None;
        self.next_rescan = now + RESCAN;
        // From here on changes are noticed again: before it is looked, so that nothing falls between.
        if self.hears() {
            self.attend();
        }
        // There may be links whose ways are not watched yet.
        self.next_glance = self.next_glance.min(now + FOLDERS_LOOK);
        true
    }

    /// A look is wanted when nothing more was asked for so long.
    fn ask(&mut self, now: Instant, rest: Duration) {
        let since = self.due.map_or(now, |due| due.since);
        let at = self.due.map_or(now, |due| due.at).max(now + rest).min(since + rest.max(FILES_REST_MAX));
        self.due = Some(Due { since, at });
    }

    fn tell(&mut self) {
        let files = self.saves.files();
        if files != self.told {
            self.folders.set_unfinished(files.clone());
            self.told = files;
        }
    }

    fn take(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Wake => {}
            // Soon, and not as often as somebody likes to touch it.
            Heard::Way => self.next_glance = self.next_glance.min(now + FILES_REST),
            Heard::Lost => {
                // What is being written is not known any more either.
                self.saves.clear();
                self.ears.lost();
                self.ask(now, FILES_REST);
                self.next_glance = now;
            }
            Heard::File(What::Opened, path) if self.ears.watches(&path) => {}
            Heard::File(what, path) if self.ears.watches(&path) => {
                if what != What::Touched {
                    self.ears.forget(&path);
                    self.next_glance = now;
                }
                self.ask(now, FILES_REST);
            }
            Heard::File(What::Created, path) => {
                let what = if may_be_written(&path) { What::Created } else { What::Arrived };
                self.hear(what, &path, now);
            }
            Heard::File(what, path) => self.hear(what, &path, now),
            Heard::Renamed(from, to) => {
                let to = self.names(&to);
                for from in self.names(&from) {
                    let same = speaks(&from) && to.iter().any(|to| speaks(to));
                    if self.saves.renamed(&from, &to, same, now) {
                        self.ask(now, FILES_REST);
                    }
                }
            }
        }
    }

    fn hear(&mut self, what: What, path: &Path, now: Instant) {
        let names = self.names(path);
        for name in &names {
            if self.saves.hear(what, name, now) && speaks(name) {
                self.ask(now, FILES_REST);
            }
        }
        // Another name may be one that links lead through.
        let other =
            matches!(what, What::Arrived | What::Left | What::Removed) && !names.iter().any(|name| speaks(name));
        if other && !self.glance.is_empty() {
            self.next_glance = self.next_glance.min(now + FILES_REST);
        }
    }

    /// The names that a file has in the folders: its own, and those of links to it.
    fn names(&self, path: &Path) -> Vec<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let own = self.real.iter().filter(|(_, real)| real.as_deref() == Some(parent));
        let mut names: Vec<PathBuf> = own.map(|(folder, _)| folder.join(name)).collect();
        let links: Vec<_> = self.glance.lying_at(path).filter(|link| !names.contains(link)).cloned().collect();
        names.extend(links);
        names
    }

    /// Everything can be heard that happens in the folders, as far as they are there.
    fn hears(&self) -> bool {
        self.real.iter().filter_map(|(_, real)| real.as_ref()).all(|real| self.ears.watches(real))
    }

    /// Turns to the folders as they lie now; whether one of them is another than before.
    fn turn(&mut self) -> bool {
        let folders = self.folders.both();
        self.real = folders.map(|folder| (folder.clone(), fs::canonicalize(folder).ok())).collect();
        let identity = |real: &Option<PathBuf>| fs::metadata(real.as_ref()?).ok().map(|meta| (meta.dev(), meta.ino()));
        let identities: Vec<_> = self.real.iter().map(|(_, real)| identity(real)).collect();
        let mut watched = self.glance.folders();
        watched.extend(self.real.iter().filter_map(|(_, real)| real.clone()));
        self.ears.watch(&watched);
        let before = std::mem::replace(&mut self.identities, identities);
        before != self.identities
    }

    /// Remembers what things look like, and listens where links lead.
    fn attend(&mut self) {
        self.turn();
        self.glance = Glance::at(&self.folders, self.which(), &self.glance);
        self.turn();
    }

    fn which(&self) -> Which {
        if self.hears() { Which::Links } else { Which::All }
    }

    /// Nothing can happen unheard: neither in the folders and where links lead, nor to the ways there, as they were seen at the last
    /// glance.
    fn is_sure(&mut self) -> bool {
        let links = self.glance.folders();
        let ways = self.folders.both().map(PathBuf::as_path).chain(self.glance.files());
        let sure = self.ways.follow(ways);
        sure && self.hears() && links.iter().all(|folder| self.ears.watches(folder))
    }

    /// Looks at what is not heard, or was heard of as a way. Where all can be heard the next is as far as the next look is: what is
    /// heard is told at once.
    fn glance(&mut self, now: Instant) {
        self.look_around(now);
        self.next_glance = now + if self.is_sure() { RESCAN } else { FOLDERS_LOOK };
    }

    fn look_around(&mut self, now: Instant) {
        if self.turn() {
            // Whoever made it may be filling it.
            self.ask(now, SETTLE);
        }
        let hears = self.hears();
        let glance = Glance::at(&self.folders, self.which(), &self.glance);
        let before = std::mem::replace(&mut self.glance, glance);
        let (other, written) = self.glance.since(&before);
        // What is heard of is told better there.
        let unheard = |files: Vec<&Path>| -> Vec<PathBuf> {
            files.into_iter().filter(|file| !(hears && self.saves.holds(file))).map(Path::to_owned).collect()
        };
        let (other, written) = (unheard(other), unheard(written));
        if other.is_empty() && written.is_empty() {
            return;
        }
        // Where nothing is heard, another file may be one that is being written. What is the same at the next glance is whole.
        let (waits, whole): (Vec<&PathBuf>, Vec<&PathBuf>) = other.iter().partition(|file| !hears && file.exists());
        let mut look = !whole.is_empty();
        for file in waits.into_iter().chain(&written) {
            look |= self.saves.glimpsed(file, now, FOLDERS_LOOK + FILES_REST);
        }
        if look {
            self.ask(now, FILES_REST);
        }
        // Links may lead to other folders now.
        self.turn();
    }
}

/// A file that was made and that somebody may be writing to: no link, no pipe, no second name of another.
fn may_be_written(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_was_not_heard_is_found_and_what_looks_the_same_is_seldom_looked_through() {
        let base = std::env::temp_dir().join(format!("graftd-compared-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        fs::write(base.join("x.so"), "").unwrap();
        let folders = Folders { plugins: Some(base.clone()), ..Folders::default() };
        let (ears, _hearing, wake) = Ears::new();
        let mut watching = Watching::new(folders, ears, Ways::new(wake));
        let now = Instant::now();
        let mut looks = || {
            watching.compare(now);
            assert_eq!(watching.next_rescan, now + RESCAN);
            watching.due.take().is_some()
        };
        assert!(looks());
        // It was just made, and its folder may change again within the same step of the clock: that is no change yet.
        let looked: Vec<bool> = (0..2 * RESCANS_SPARED).map(|_| looks()).collect();
        assert_eq!(looked.iter().filter(|looked| **looked).count(), 2, "{looked:?}");
        fs::write(base.join("x.so"), "longer").unwrap();
        assert!(looks());
        assert!(!looks());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn what_is_heard_is_not_looked_for_and_a_way_that_leads_elsewhere_is_heard() {
        let base = std::env::temp_dir().join(format!("graftd-watching-{}", std::process::id()));
        for folder in ["conf", "plugins", "out/v1", "out/v2"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        fs::write(base.join("out/v1/x.so"), "").unwrap();
        fs::write(base.join("out/v2/x.so"), "").unwrap();
        symlink("v1", base.join("out/current")).unwrap();
        symlink("../out/current/x.so", base.join("plugins/x.so")).unwrap();
        let both = (Some(base.join("plugins")), Some(base.join("conf")));
        let folders = Folders { plugins: both.0, conf: both.1, ..Folders::default() };
        let (ears, hearing, wake) = Ears::new();
        let mut watching = Watching::new(folders, ears, Ways::new(wake));
        watching.attend();
        let now = Instant::now();
        let next = |watching: &mut Watching| {
            watching.glance(now);
            watching.next_glance - now
        };
        assert_eq!(next(&mut watching), FOLDERS_LOOK);
        assert_eq!(next(&mut watching), RESCAN);

        // No folder that is watched hears of it.
        symlink("v2", base.join("out/next")).unwrap();
        fs::rename(base.join("out/next"), base.join("out/current")).unwrap();
        while hearing.recv_timeout(Duration::from_secs(20)).unwrap() != Heard::Way {}
        watching.take(Heard::Way, now);
        assert_eq!(watching.next_glance, now + FILES_REST);
        assert_eq!(next(&mut watching), FOLDERS_LOOK);
        assert!(watching.due.is_some());
        assert_eq!(next(&mut watching), RESCAN);

        // What is to come can come from anywhere.
        fs::remove_file(base.join("out/v2/x.so")).unwrap();
        assert_eq!(next(&mut watching), FOLDERS_LOOK);
        assert_eq!(next(&mut watching), FOLDERS_LOOK);
        fs::write(base.join("out/v2/x.so"), "").unwrap();
        assert_eq!(next(&mut watching), FOLDERS_LOOK);
        assert_eq!(next(&mut watching), RESCAN);
        // A look may find links that are not watched yet.
        watching.ask(now, Duration::ZERO);
        let later = now + FILES_REST_MAX;
        assert!(watching.due(later));
        assert_eq!(watching.next_glance - later, FOLDERS_LOOK);
        fs::remove_dir_all(&base).unwrap();
    }
}
