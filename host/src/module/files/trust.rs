//! Who may be loaded: code and configuration that nobody else can write.
//!
//! A plugin runs with the daemon's rights, so whoever can write it, or put another in its place, has them too. What is
//! checked is the file that was opened, and where that really lies: a link that is swapped after the check changes nothing.

use super::folders::Folders;
use super::shell::quoted;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::process::geteuid;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Its group may write it. A group of which the daemon's user is the only member counts as others all the same: who is in it
/// can change while the file does not. Where a file has an ACL, these bits show its mask, the most that any user or group
/// named in it gets; so whom an ACL lets write is found here too.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Only a file's owner may remove it from a folder with this bit (as in /tmp).
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// A file that is replaced just when it is looked at is looked at anew this often.
const TRIES: usize = 4;

/// What is asked of a file.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// No link may lead out of its folder.
    stays: bool,
    /// Nobody but root and the daemon's user may write it, or the folders that it lies in.
    unwritten: bool,
}

/// Opens a plugin that may be loaded. To be read from what was opened, not by its path: that may lead elsewhere by then.
///
/// # Errors
/// It cannot be read or is no regular file; a link leads out of its folder; or others than root and the daemon's user can
/// write or replace it: names the file or folder, and the command that mends it.
pub(crate) fn open_trusted(file: &Path, folders: &Folders) -> Result<File, String> {
    // Unsafe permissions may be allowed. To load from elsewhere is another thing, and never is.
    open(file, Asked { stays: true, unwritten: !folders.allow_unsafe_permissions })
}

/// Opens a file of the conf folder that may be believed.
///
/// # Errors
/// As [`open_trusted`]'s.
pub(crate) fn open_conf(file: &Path, folders: &Folders) -> Result<File, String> {
    let strict = !folders.allow_unsafe_permissions;
    open(file, Asked { stays: strict, unwritten: strict })
}

/// Opens a file that may lie anywhere, if it may be believed.
///
/// # Errors
/// As [`open_trusted`]'s, but links may lead where they like.
pub(crate) fn open_anywhere(file: &Path, folders: &Folders) -> Result<File, String> {
    open(file, Asked { stays: false, unwritten: !folders.allow_unsafe_permissions })
}

fn open(file: &Path, asked: Asked) -> Result<File, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("{}: cannot be read: {why}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().ok_or_else(|| format!("{}: names no file", file.display()))?;
    for _ in 0..TRIES {
        // Both from one opened folder, which may be a link that is swapped meanwhile.
        let inside = openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| cannot(&io::Error::from(error)))?;
        // Opening a device or a pipe may do something, or wait.
        let met = statat(&inside, name, AtFlags::empty()).map_err(|error| match (error, fs::read_link(file)) {
            (rustix::io::Errno::NOENT, Ok(to)) => {
                format!("{}: is a link to {}, which is not there", file.display(), to.display())
            }
            (error, _) => cannot(&io::Error::from(error)),
        })?;
        regular(file, FileType::from_raw_mode(met.st_mode))?;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = match openat(&inside, name, flags, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(cannot(&io::Error::from(error))),
        };
        let meta = opened.metadata().map_err(|error| cannot(&error))?;
        regular(file, FileType::from_raw_mode(meta.mode()))?;
        let real = lies_at(&opened).map_err(|error| cannot(&error))?;
        let real_folder = lies_at(&inside).map_err(|error| cannot(&error))?;
        // A file that was just replaced lies nowhere any more.
        if !fs::metadata(&real).is_ok_and(|now| (now.dev(), now.ino()) == (meta.dev(), meta.ino())) {
            continue;
        }
        if asked.stays && !real.starts_with(&real_folder) {
            return Err(format!(
                "{} leads out of its folder, to {}; copy it here instead",
                file.display(),
                real.display()
            ));
        }
        if asked.unwritten {
            unwritten(&real, &real_folder, &meta)?;
        }
        return Ok(opened);
    }
    Err(cannot(&"it is being replaced all the time"))
}

fn regular(file: &Path, kind: FileType) -> Result<(), String> {
    let what = match kind {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "is a folder, not a file",
        FileType::Fifo => "is a named pipe, not a regular file",
        _ => "is no regular file",
    };
    Err(format!("{}: {what}", file.display()))
}

/// Where what is open lies now.
fn lies_at(opened: &impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))
}

/// Refuses what others can write: the file, its folder, and every folder between where links may lead through.
fn unwritten(file: &Path, folder: &Path, meta: &fs::Metadata) -> Result<(), String> {
    let between = file.ancestors().skip(1).take_while(|above| above.starts_with(folder));
    let outside = file.parent().filter(|parent| !parent.starts_with(folder));
    for folder in std::iter::once(folder).chain(between).chain(outside) {
        let meta = fs::metadata(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        check(folder, &meta)?;
    }
    check(file, meta)
}

/// Refuses a folder that others than root and the daemon's user can write.
///
/// # Errors
/// Names the folder and the command that mends it.
pub(crate) fn check_folder(folder: &Path) -> Result<(), String> {
    let meta = fs::metadata(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    check(folder, &meta)
}

fn check(path: &Path, meta: &fs::Metadata) -> Result<(), String> {
    match complaint(meta.mode(), meta.uid(), geteuid().as_raw(), meta.is_dir()) {
        None => Ok(()),
        Some((what, mend)) => Err(format!("{} {what}: {mend} {}", path.display(), quoted(path))),
    }
}

/// What is wrong with who may write, and the command that mends it.
fn complaint(mode: u32, owner: u32, own: u32, is_folder: bool) -> Option<(String, String)> {
    if owner != ROOT && owner != own {
        return Some((
            format!("belongs to user {owner}, not to root or the daemon's user {own}"),
            format!("chown {own}"),
        ));
    }
    if is_folder && mode & STICKY != 0 {
        return None;
    }
    match (mode & GROUP_WRITES != 0, mode & OTHERS_WRITE != 0) {
        (false, false) => None,
        (true, false) => Some(("can be written by its group".to_owned(), "chmod g-w".to_owned())),
        (_, true) => Some(("can be written by anybody".to_owned(), "chmod go-w".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn who_may_write() {
        let said =
            |mode, owner, folder| complaint(mode, owner, 1_000, folder).map(|(what, mend)| format!("{what}: {mend}"));
        assert_eq!(said(0o100_644, 1_000, false), None);
        assert_eq!(said(0o100_755, ROOT, false), None);
        assert_eq!(said(0o100_664, 1_000, false), Some("can be written by its group: chmod g-w".into()));
        assert_eq!(said(0o100_666, ROOT, false), Some("can be written by anybody: chmod go-w".into()));
        assert_eq!(said(0o40_777, ROOT, true), Some("can be written by anybody: chmod go-w".into()));
        assert_eq!(said(0o41_777, ROOT, true), None);
        assert!(said(0o100_644, 1_001, false).unwrap().ends_with("chown 1000"));
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A folder of plugins with one a level down, gone when it is dropped.
    struct Plugins(PathBuf);

    impl Plugins {
        fn new(name: &str) -> Plugins {
            let base = std::env::temp_dir().join(format!("graftd-trust-{name}-{}", std::process::id()));
            for folder in ["", "my plugins", "my plugins/v", "my plugins/v/2"] {
                fs::create_dir_all(base.join(folder)).unwrap();
                mode(&base.join(folder), 0o755);
            }
            for file in ["outside.so", "my plugins/a.so", "my plugins/v/2/b.so"] {
                fs::write(base.join(file), file).unwrap();
                mode(&base.join(file), 0o644);
            }
            Plugins(base)
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join("my plugins").join(name)
        }

        fn open(&self, name: &str, allow_unsafe_permissions: bool) -> Result<File, String> {
            open_trusted(&self.at(name), &Folders { allow_unsafe_permissions, ..Folders::default() })
        }

        fn refused(&self, name: &str) -> String {
            self.open(name, false).map(|_| ()).unwrap_err()
        }
    }

    impl Drop for Plugins {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_stay_in_the_folder() {
        let plugins = Plugins::new("links");
        symlink("../outside.so", plugins.at("out.so")).unwrap();
        symlink("v/2/b.so", plugins.at("in.so")).unwrap();
        symlink("v/3/b.so", plugins.at("none.so")).unwrap();
        assert!(plugins.refused("out.so").contains("leads out of its folder, to"));
        assert!(plugins.refused("none.so").ends_with("none.so: is a link to v/3/b.so, which is not there"));
        // Permissions are one thing, where it comes from another.
        assert!(plugins.open("out.so", true).is_err());
        assert_eq!(io::read_to_string(plugins.open("in.so", false).unwrap()).unwrap(), "my plugins/v/2/b.so");
        // Every folder on the way counts.
        mode(&plugins.at("v"), 0o777);
        let said = plugins.refused("in.so");
        assert!(said.ends_with(&format!(": chmod go-w '{}'", plugins.at("v").display())), "{said}");
        assert!(plugins.open("in.so", true).is_ok());
        // A folder may be a link itself.
        symlink("my plugins", plugins.0.join("current")).unwrap();
        let file = plugins.0.join("current/a.so");
        assert!(open_trusted(&file, &Folders::default()).is_ok());
    }

    #[test]
    fn the_command_can_be_copied() {
        let plugins = Plugins::new("command");
        mode(&plugins.at("a.so"), 0o664);
        let said = plugins.refused("a.so");
        let (_, command) = said.split_once(": ").unwrap();
        assert!(command.starts_with("chmod g-w '"), "{said}");
        assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
        assert!(plugins.open("a.so", false).is_ok());
        mode(&plugins.at(""), 0o775);
        let said = plugins.refused("a.so");
        let (_, command) = said.split_once(": ").unwrap();
        assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
        assert!(plugins.open("a.so", false).is_ok());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let plugins = Plugins::new("kinds");
        fs::create_dir(plugins.at("folder.so")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(plugins.at("socket.so")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(plugins.at("pipe.so")).status().unwrap().success());
        assert!(plugins.refused("folder.so").ends_with("folder.so: is a folder, not a file"));
        assert!(plugins.refused("pipe.so").ends_with("pipe.so: is a named pipe, not a regular file"));
        assert!(plugins.refused("socket.so").ends_with("socket.so: is no regular file"));
        assert!(plugins.refused("absent.so").contains("cannot be read: No such file"));
    }

    /// While a link is swapped between a file within and one outside, what is opened is always the one within.
    #[test]
    fn a_link_that_is_swapped_opens_nothing_outside() {
        let plugins = Plugins::new("swapped");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (link, aside) = (plugins.at("x.so"), plugins.at(".x.new"));
        symlink("a.so", &link).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for to in ["../outside.so", "a.so"].into_iter().cycle() {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    symlink(to, &aside).unwrap();
                    fs::rename(&aside, &link).unwrap();
                }
            });
            let mut opened = 0;
            for _ in 0..2_000 {
                if let Ok(file) = plugins.open("x.so", false) {
                    opened += 1;
                    assert_eq!(io::read_to_string(file).unwrap(), "my plugins/a.so");
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(opened > 0);
        });
    }
}
