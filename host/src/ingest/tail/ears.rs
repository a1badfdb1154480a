//! Hears of a log's files, so that they need not be looked at again and again (inotify(7)).
//!
//! What is heard only says when to look. What cannot be heard (a folder that is reached through a link, another machine's writing to a
//! network's file system, a file in a folder that is not watched) is found by looking at everything now and then; where that
//! finds what should have been heard, it is done often for some time.

use super::share::{Descriptor, Share};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of what is heard that are read at once.
const HEARD_BYTES: usize = 8 * 1024;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heard {
    Nothing,
    /// Something was written.
    Writing,
    /// Names came, went, or lead elsewhere; or nobody knows what happened.
    Names,
}

/// Listens at the folders of a log.
#[derive(Debug)]
pub(super) struct Ears {
    inotify: OwnedFd,
    _descriptor: Descriptor,
    /// The folders that are watched, and by which number.
    folders: HashMap<PathBuf, i32>,
}

impl Ears {
    /// Ears; `None` where the system has none left.
    pub(super) fn new(share: &Arc<Share>) -> Option<Ears> {
        let descriptor = share.take()?;
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        Some(Ears { inotify, _descriptor: descriptor, folders: HashMap::new() })
    }

    /// Listens where these files are, and no longer where others were. Whether there is a folder that it did not listen at before.
    pub(super) fn turn_to(&mut self, paths: &[PathBuf]) -> bool {
        // What a link leads to is written elsewhere.
        let led = paths.iter().filter(|path| path.is_symlink()).filter_map(|path| path.canonicalize().ok());
        let led: Vec<PathBuf> = led.collect();
        let wanted: BTreeSet<&Path> = paths.iter().chain(&led).filter_map(|path| path.parent()).collect();
        let gone: Vec<PathBuf> =
            self.folders.keys().filter(|folder| !wanted.contains(folder.as_path())).cloned().collect();
        for folder in gone {
            if let Some(watch) = self.folders.remove(&folder) {
                // Two paths may lead to one folder, which has one watch.
                if !self.folders.values().any(|other| *other == watch) {
                    let _ = inotify::remove_watch(&self.inotify, watch);
                }
            }
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut any = false;
        for folder in wanted {
            // Also where it is watched already: another may be there by now.
            match inotify::add_watch(&self.inotify, folder, flags) {
                Ok(watch) => any |= self.folders.insert(folder.to_owned(), watch) != Some(watch),
                Err(_) => drop(self.folders.remove(folder)),
            }
        }
        any
    }

    /// What was heard since this was asked last.
    pub(super) fn heard(&self) -> Heard {
        let mut room = [MaybeUninit::uninit(); HEARD_BYTES];
        let mut reader = Reader::new(&self.inotify, &mut room);
        let mut heard = Heard::Nothing;
        loop {
            match reader.next() {
                Ok(event) => {
                    let writing = event.events().difference(ReadFlags::ISDIR) == ReadFlags::MODIFY;
                    heard = heard.max(if writing { Heard::Writing } else { Heard::Names });
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return heard,
                Err(_) => return Heard::Names,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn writing_and_names_are_heard() {
        let folder = std::env::temp_dir().join(format!("graftd-ears-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [log, old] = ["access.log", "access.log.1"].map(|name| folder.join(name));
        let mut file = fs::File::create(&log).unwrap();
        let mut ears = Ears::new(&Arc::default()).unwrap();
        assert!(ears.turn_to(std::slice::from_ref(&log)));
        assert!(!ears.turn_to(std::slice::from_ref(&log)), "it listens there");
        assert_eq!(ears.heard(), Heard::Nothing);
        file.write_all(b"x").unwrap();
        assert_eq!((ears.heard(), ears.heard()), (Heard::Writing, Heard::Nothing));
        fs::rename(&log, &old).unwrap();
        assert_eq!(ears.heard(), Heard::Names);
        file.set_len(0).unwrap();
        assert_eq!(ears.heard(), Heard::Writing, "also under its new name");
        assert!(!ears.turn_to(&[PathBuf::from("/nowhere/x")]));
        file.write_all(b"x").unwrap();
        ears.heard();
        file.write_all(b"x").unwrap();
        assert_eq!(ears.heard(), Heard::Nothing, "nobody listens there any more");
        fs::remove_dir_all(folder).unwrap();
    }
}
