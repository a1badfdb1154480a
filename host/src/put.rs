//! Files that are replaced at once.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Puts a file in place at once: who looks into the folder sees the whole of it or nothing of it, and so it is after a loss of power.
///
/// # Errors
/// It cannot be written; then what was there is as it was, or, where the folder alone could not be put onto the disk, it is replaced
/// and may be back after a loss of power.
pub(crate) fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("names no file"));
    };
    fs::create_dir_all(folder)?;
    // Hidden files are nobody's module.
    let aside = folder.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        file.write_all(bytes)?;
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        // The name is in place for good when the folder is on the disk too.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // Some file systems do without, and a folder may be there to write in and not to look into.
            Err(error) if is_done_without(&error) => Ok(()),
            done => done,
        }
    })();
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

fn is_done_without(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported | PermissionDenied)
}
