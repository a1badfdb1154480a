//! The ways to the folders and to where links lead: each name on them, so that it is heard when one leads elsewhere.
//!
//! A watch of a folder hears what happens in it, and not that a folder above it was renamed or that a link to it was exchanged. So
//! each name that is gone through is watched itself, and whether something was mounted. What is heard says only that it is to be
//! looked: there is no telling in time what was meant.

use super::ears::Heard;
use crate::limits::WAY_LINKS_MAX;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::{StatFs, inotify, statfs};
use rustix::io::{Errno, write};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

/// What the name itself tells: that it is another's, or gone. A link that another was renamed over has one name less.
const OF_A_NAME: inotify::WatchFlags = inotify::WatchFlags::MOVE_SELF
    .union(inotify::WatchFlags::DELETE_SELF)
    .union(inotify::WatchFlags::ATTRIB)
    .union(inotify::WatchFlags::DONT_FOLLOW);

/// File systems that no other machine and no other program changes unheard (statfs(2)): ext2 to ext4, xfs, btrfs, f2fs, zfs, tmpfs,
/// ramfs, overlayfs, squashfs, erofs.
const HEARD: [u64; 10] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0xF2F5_2010,
    0x2FC1_2FC1,
    0x0102_1994,
    0x8584_58F6,
    0x794C_7630,
    0x7371_7368,
    0xE0F5_E1E2,
];

/// Which name it is that is watched: its number with the kernel, and the device and inode that it had.
type Watched = (i32, u64, u64);

/// Hears when one of the ways leads elsewhere.
#[derive(Debug)]
pub(super) struct Ways {
    /// None where the system cannot watch.
    inotify: Option<Arc<OwnedFd>>,
    /// Has the thread end.
    end: Option<OwnedFd>,
    names: BTreeMap<PathBuf, Watched>,
}

impl Ways {
    /// Knows of none. What is heard is told there, as [`Heard::Way`].
    pub(super) fn new(tell: SyncSender<Heard>) -> Ways {
        match Ways::start(tell) {
            Ok((inotify, end)) => Ways { inotify: Some(inotify), end: Some(end), names: BTreeMap::new() },
            Err(error) => {
                tracing::debug!("ways to folders cannot be watched: {error}");
                Ways { inotify: None, end: None, names: BTreeMap::new() }
            }
        }
    }

    fn start(tell: SyncSender<Heard>) -> io::Result<(Arc<OwnedFd>, OwnedFd)> {
        let inotify = Arc::new(inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?);
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let (heard, ends) = (Arc::clone(&inotify), end.try_clone()?);
        let mounts = File::open("/proc/self/mountinfo")?;
        thread::Builder::new().name("graftd-ways".to_owned()).spawn(move || listen(&heard, &ends, &mounts, &tell))?;
        Ok((inotify, end))
    }

    /// Watches the ways to these, and no others. Whether nothing can be missed: all that is on them was watched before, and is what it
    /// was then. Who looked at them between two calls, of which the second says so, has seen what there is.
    pub(super) fn follow<'p>(&mut self, paths: impl Iterator<Item = &'p Path>) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let (mut names, mut sure) = (BTreeSet::new(), true);
        for path in paths {
            sure &= steps(path, &mut names);
        }
        sure &= statfs("/").is_ok_and(|of| is_heard(&of));
        let mut watched = BTreeMap::new();
        for name in names {
            let Ok(number) = inotify::add_watch(inotify, &name, OF_A_NAME) else {
                sure = false;
                continue;
            };
            // Where a link lies, its folder tells.
            sure &= statfs(&name).is_ok_and(|of| is_heard(&of));
            match fs::symlink_metadata(&name) {
                Ok(meta) => drop(watched.insert(name, (number, meta.dev(), meta.ino()))),
                Err(_) => sure = false,
            }
        }
        let kept: BTreeSet<i32> = watched.values().map(|(number, ..)| *number).collect();
        for (number, ..) in self.names.values().filter(|(number, ..)| !kept.contains(number)) {
            // With what it was of it is gone too, mostly.
            let _ = inotify::remove_watch(inotify, *number);
        }
        let before = std::mem::replace(&mut self.names, watched);
        sure && before == self.names
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            let _ = write(end, &1u64.to_ne_bytes());
        }
    }
}

fn is_heard(of: &StatFs) -> bool {
    // The field's sign differs between systems.
    HEARD.contains(&(of.f_type as u64 & 0xFFFF_FFFF))
}

/// Tells of what is heard, until it is ended or nobody listens.
fn listen(inotify: &OwnedFd, end: &OwnedFd, mounts: &File, tell: &SyncSender<Heard>) {
    loop {
        let mut fds = [
            PollFd::new(inotify, PollFlags::IN),
            PollFd::new(end, PollFlags::IN),
            // Says once that it is another than when it was asked last; there is nothing to be read.
            PollFd::new(mounts, PollFlags::PRI),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let [ways, ended, mounted] = fds.map(|fd| !fd.revents().is_empty());
        if ended {
            return;
        }
        let any = ways && told(inotify);
        // There is room, or whoever makes it is about to.
        if (any || mounted) && tell.send(Heard::Way).is_err() {
            return;
        }
    }
}

/// Takes out all that is told; whether there was anything but the end of a watch that was given up.
fn told(inotify: impl AsFd) -> bool {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1_024];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut any = false;
    loop {
        match reader.next() {
            // What has a name is in a folder on the way, and not the way.
            Ok(event) => any |= event.events() != inotify::ReadFlags::IGNORED && event.file_name().is_none(),
            Err(Errno::INTR) => {}
            Err(_) => return any,
        }
    }
}

/// Adds each name that is gone through to where a path leads, links among them; whether it leads anywhere.
fn steps(path: &Path, names: &mut BTreeSet<PathBuf>) -> bool {
    let mut left: Vec<PathBuf> = parts(path);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        if part == Path::new("/") {
            at = part;
            continue;
        }
        let name = at.join(part);
        let Ok(meta) = fs::symlink_metadata(&name) else { return false };
        names.insert(name.clone());
        if !meta.is_symlink() {
            at = name;
            continue;
        }
        links += 1;
        match fs::read_link(&name) {
            Ok(target) if links <= WAY_LINKS_MAX => left.extend(parts(&target)),
            _ => return false,
        }
    }
    true
}

/// A path's parts, the first last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let meant = path.components().filter(|part| !matches!(part, Component::CurDir));
    meant.rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    struct Base(PathBuf);

    impl Base {
        fn new(name: &str) -> Base {
            let base = std::env::temp_dir().join(format!("graftd-ways-{name}-{}", std::process::id()));
            fs::create_dir_all(base.join("above/v1")).unwrap();
            fs::create_dir_all(base.join("above/v2")).unwrap();
            fs::write(base.join("above/v1/x.so"), "").unwrap();
            symlink("v1", base.join("above/current")).unwrap();
            Base(fs::canonicalize(base).unwrap())
        }
    }

    impl Drop for Base {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn is_told(hearing: &Receiver<Heard>) {
        let heard = hearing.recv_timeout(Duration::from_secs(20));
        assert!(matches!(heard, Ok(Heard::Way)), "{heard:?}");
        while hearing.try_recv().is_ok() {}
    }

    #[test]
    fn each_name_on_a_way_is_known() {
        let base = Base::new("steps");
        let above = base.0.join("above");
        symlink(above.join("current/../current/x.so"), above.join("x.so")).unwrap();
        let mut names = BTreeSet::new();
        assert!(steps(&above.join("x.so"), &mut names));
        for name in ["x.so", "current", "v1", "v1/x.so"] {
            assert!(names.contains(&above.join(name)), "{name}");
        }
        assert!(names.contains(&base.0) && !names.contains(&above.join("v2")));
        symlink("nowhere", above.join("y.so")).unwrap();
        symlink("z.so", above.join("z.so")).unwrap();
        assert!(!steps(&above.join("y.so"), &mut names) && !steps(&above.join("z.so"), &mut names));
    }

    #[test]
    fn a_link_that_is_exchanged_and_a_folder_above_that_is_renamed_are_told() {
        let base = Base::new("told");
        let above = base.0.join("above");
        let file = above.join("current/x.so");
        let (tell, hearing) = sync_channel(8);
        let mut ways = Ways::new(tell);
        let mut follow = |sure| assert_eq!(ways.follow([file.as_path()].into_iter()), sure);
        follow(false);
        follow(true);
        // Another in its place, as `ln -sfn` and a deployment's rename do it.
        symlink("v2", above.join("next")).unwrap();
        fs::write(above.join("v2/x.so"), "").unwrap();
        fs::rename(above.join("next"), above.join("current")).unwrap();
        is_told(&hearing);
        follow(false);
        follow(true);
        fs::rename(&above, base.0.join("away")).unwrap();
        is_told(&hearing);
        follow(false);
        follow(false);
        fs::rename(base.0.join("away"), &above).unwrap();
        follow(false);
        follow(true);
        fs::remove_file(above.join("v2/x.so")).unwrap();
        is_told(&hearing);
    }

    #[test]
    fn what_happens_beside_the_ways_tells_nothing() {
        let base = Base::new("beside");
        let above = base.0.join("above");
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for name in [base.0.clone(), above.clone(), above.join("v1")] {
            inotify::add_watch(&inotify, &name, OF_A_NAME).unwrap();
        }
        fs::write(above.join("v1/other"), "").unwrap();
        fs::rename(above.join("v1/other"), above.join("v1/another")).unwrap();
        fs::read_dir(&above).unwrap().for_each(drop);
        let other = fs::File::open(above.join("v1/another")).unwrap();
        other.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        other.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(!told(&inotify));
        fs::rename(above.join("v1"), above.join("v3")).unwrap();
        assert!(told(&inotify));
    }
}
