//! The space of file systems.

use rustix::fs::StatVfs;
use std::path::{Path, PathBuf};

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Space {
    /// Its size.
    pub(crate) total: f64,
    /// What everyone may still use; some more is often kept for root.
    pub(crate) free: f64,
    /// What is in use.
    used: f64,
}

impl Space {
    /// The space of each of some file systems, by where it is mounted. One that does not answer (no rights, gone since
    /// the list was read) or has no size is left out.
    pub(crate) fn of_each(mounts: &[PathBuf], statvfs: fn(&Path) -> Option<StatVfs>) -> Vec<(String, Space)> {
        mounts.iter().filter_map(|at| Some((at.to_string_lossy().into_owned(), Space::new(&statvfs(at)?)?))).collect()
    }

    fn new(stat: &StatVfs) -> Option<Space> {
        let bytes = |blocks: u64| blocks as f64 * stat.f_frsize as f64;
        (stat.f_blocks > 0).then(|| Space {
            total: bytes(stat.f_blocks),
            free: bytes(stat.f_bavail),
            used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        })
    }

    /// How full it is for everyone but root, as df(1) has it: at 100 nobody else can write.
    pub(crate) fn used_percent(&self) -> f64 {
        let usable = self.used + self.free;
        if usable > 0.0 { 100.0 * self.used / usable } else { 100.0 }
    }
}

/// Asks the kernel; statvfs(3).
pub(crate) fn statvfs(at: &Path) -> Option<StatVfs> {
    rustix::fs::statvfs(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::StatVfsMountFlags;

    fn stat(blocks: u64, free: u64, avail: u64) -> StatVfs {
        StatVfs {
            f_bsize: 4_096,
            f_frsize: 1_024,
            f_blocks: blocks,
            f_bfree: free,
            f_bavail: avail,
            f_files: 0,
            f_ffree: 0,
            f_favail: 0,
            f_fsid: 0,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        }
    }

    #[test]
    fn space_is_counted_in_fragments_and_full_is_as_df_has_it() {
        let space = Space::new(&stat(100, 30, 20)).unwrap();
        assert_eq!(space, Space { total: 102_400.0, free: 20_480.0, used: 71_680.0 });
        assert_eq!(space.used_percent().round(), 78.0);
        assert_eq!(Space::new(&stat(100, 5, 0)).unwrap().used_percent(), 100.0);
        assert_eq!(Space::new(&stat(100, 100, 0)).unwrap().used_percent(), 100.0);
        assert_eq!(Space::new(&stat(0, 0, 0)), None);
    }

    #[test]
    fn what_does_not_answer_is_left_out() {
        let mounts = [PathBuf::from("/"), PathBuf::from("/gone")];
        let spaces = Space::of_each(&mounts, |at| (at == Path::new("/")).then(|| stat(4, 2, 1)));
        assert_eq!(spaces.len(), 1);
        assert_eq!(spaces[0].0, "/");
    }
}
