//! Which of `/proc/mounts` (proc_mounts(5), fstab(5)) are file systems on a device of this machine.
//!
//! procfs-core reads the file too, but gives nothing at all when one path is not UTF-8, and leaves `\040`, the kernel's
//! way to write a space, as it is.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Types served over a network or by a process; asking one may wait for ever. `fuse`, `fuse.sshfs` and the like belong
/// to them, `fuseblk` (a disk of this machine, such as NTFS) does not.
const REMOTE: [&str; 15] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "virtiofs",
];

/// Types of images, which are full from the day they are made.
const IMAGES: [&str; 6] = ["cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"];

/// A line of the file.
struct Mount {
    device: Vec<u8>,
    at: PathBuf,
    kind: String,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|byte| *byte == b' ').map(unescape);
        let (device, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        at.starts_with(b"/").then(|| Mount {
            device,
            at: OsString::from_vec(at).into(),
            kind: String::from_utf8_lossy(&kind).into_owned(),
        })
    }

    fn is_remote(&self) -> bool {
        REMOTE.contains(&self.kind.as_str()) || self.kind.starts_with("fuse.")
    }

    fn is_on_a_device(&self) -> bool {
        self.device.starts_with(b"/dev/") && !self.device.starts_with(b"/dev/loop") && !self.is_remote()
    }
}

/// Where the local file systems are mounted, each device once, at its first place.
pub(crate) fn local(table: &[u8]) -> Vec<PathBuf> {
    let mounts: Vec<Mount> = table.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect();
    // What is mounted over another hides it: only the last at a path can be asked.
    let top: HashMap<&Path, usize> = mounts.iter().enumerate().map(|(i, mount)| (mount.at.as_path(), i)).collect();
    // The way to a local file system may lead through a remote one, which can hang as well. Not that from the root:
    // where that hangs, so does this daemon.
    let remote: HashSet<&Path> =
        mounts.iter().filter(|mount| mount.is_remote()).map(|mount| mount.at.as_path()).collect();
    let reachable = |at: &Path| at.ancestors().all(|outer| outer == Path::new("/") || !remote.contains(outer));
    let mut devices = HashSet::new();
    let mut local = Vec::new();
    for (i, mount) in mounts.iter().enumerate() {
        let asked = mount.is_on_a_device() && !IMAGES.contains(&mount.kind.as_str());
        if asked && top.get(mount.at.as_path()) == Some(&i) && reachable(&mount.at) && devices.insert(&mount.device) {
            local.push(mount.at.clone());
        }
    }
    local
}

/// Takes off the kernel's escapes: `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if *byte == b'\\' => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(*byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(table: &str, expected: &[&str]) {
        assert_eq!(local(table.as_bytes()), expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{table}");
    }

    #[test]
    fn only_what_lies_on_a_device_is_asked() {
        check(
            "proc /proc proc rw 0 0\n\
             /dev/vda2 / ext4 rw 0 0\n\
             tmpfs /run tmpfs rw 0 0\n\
             /dev/loop3 /snap/core/1 squashfs ro 0 0\n\
             /dev/sr0 /media/cdrom iso9660 ro 0 0\n\
             nas:/export /mnt/nas nfs4 rw 0 0\n\
             //nas/share /mnt/share cifs rw 0 0\n\
             user@web: /mnt/web fuse.sshfs rw 0 0\n\
             /dev/fuse /mnt/portal fuse rw 0 0\n\
             /dev/sdb1 /mnt/windows fuseblk rw 0 0\n",
            &["/", "/mnt/windows"],
        );
    }

    #[test]
    fn a_device_is_counted_once() {
        check(
            "/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /etc/hosts ext4 rw 0 0\n/dev/sda2 /home xfs rw 0 0\n",
            &["/", "/home"],
        );
    }

    #[test]
    fn what_is_hidden_by_a_later_mount_is_not_counted() {
        check("/dev/sda1 /mnt ext4 rw 0 0\n/dev/sdb1 /mnt ext4 rw 0 0\n", &["/mnt"]);
        check("/dev/sda1 /mnt ext4 rw 0 0\ntmpfs /mnt tmpfs rw 0 0\n/dev/sda1 /srv ext4 rw 0 0\n", &["/srv"]);
    }

    #[test]
    fn what_lies_behind_a_remote_mount_is_left_alone() {
        check("nas:/ /nas nfs4 rw 0 0\n/dev/sda1 /nas/local ext4 rw 0 0\n/dev/sdb1 /nasty ext4 rw 0 0\n", &["/nasty"]);
        check("/dev/root / 9p rw 0 0\n/dev/vdb /data ext4 rw 0 0\n", &["/data"]);
    }

    #[test]
    fn paths_are_unescaped_once() {
        check("/dev/sda1 /a\\040b ext4 rw 0 0\n/dev/sdb1 /c\\134040d ext4 rw 0 0\n", &["/a b", "/c\\040d"]);
        check("/dev/sda1 /a\\04 ext4 rw 0 0\n/dev/sdb1 /b\\999 ext4 rw 0 0\n", &["/a\\04", "/b\\999"]);
    }

    #[test]
    fn a_path_need_not_be_utf8() {
        assert_eq!(local(b"/dev/sda1 /\xff ext4 rw 0 0\n"), [PathBuf::from(OsString::from_vec(b"/\xff".to_vec()))]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(table in proptest::collection::vec(any::<u8>(), 0..400)) {
            for at in local(&table) {
                prop_assert!(at.is_absolute());
            }
        }

        #[test]
        fn any_name_comes_back(name in "[ -~]{1,40}") {
            let escaped: String = name.bytes().map(|byte| format!("\\{byte:03o}")).collect();
            prop_assert_eq!(unescape(escaped.as_bytes()), name.into_bytes());
        }
    }
}
