//! Who may be loaded: code and configuration that nobody else can write.
//!
//! A plugin runs with the daemon's rights, so whoever can write it, or put another in its place, has them too.

use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Only a file's owner may remove it from a folder with this bit (as in /tmp).
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Refuses a file that others than root and the daemon's user can write, or replace, and one that a link leads to
/// outside its folder.
///
/// # Errors
/// Says which file or folder it is, and the command that mends it.
pub(crate) fn check(file: &Path) -> Result<(), String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()));
    let (real_file, real_folder) = (real(file)?, real(folder)?);
    if !real_file.starts_with(&real_folder) {
        return Err(format!(
            "{} leads out of its folder, to {}; copy it here instead",
            file.display(),
            real_file.display()
        ));
    }
    check_one(&real_folder)?;
    // A link may lead into a folder below.
    if let Some(inner) = real_file.parent().filter(|inner| *inner != real_folder) {
        check_one(inner)?;
    }
    check_one(&real_file)
}

fn check_one(path: &Path) -> Result<(), String> {
    let meta = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match complaint(meta.mode(), meta.uid(), geteuid().as_raw(), meta.is_dir()) {
        None => Ok(()),
        Some((what, mend)) => Err(format!("{} {what}: {mend} {}", path.display(), path.display())),
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
    use std::path::PathBuf;

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

    #[test]
    fn links_do_not_leave_the_folder() {
        let base: PathBuf = std::env::temp_dir().join(format!("graftd-trust-{}", std::process::id()));
        let plugins = base.join("plugins");
        fs::create_dir_all(plugins.join("v2")).unwrap();
        for (folder, mode) in [(&base, 0o755), (&plugins, 0o755), (&plugins.join("v2"), 0o755)] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        for file in [base.join("outside.so"), plugins.join("v2").join("inside.so")] {
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        symlink(base.join("outside.so"), plugins.join("a.so")).unwrap();
        symlink("v2/inside.so", plugins.join("b.so")).unwrap();
        assert!(check(&plugins.join("a.so")).unwrap_err().contains("leads out of its folder"));
        assert_eq!(check(&plugins.join("b.so")), Ok(()));
        fs::set_permissions(plugins.join("v2"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(check(&plugins.join("b.so")).unwrap_err().contains("chmod go-w"));
        fs::remove_dir_all(&base).unwrap();
    }
}
