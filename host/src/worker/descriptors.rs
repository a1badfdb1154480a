//! What a worker inherits: nothing but its three standard descriptors.

use std::fs;

/// Has every descriptor of this process, from the fourth on, closed when another program is started.
///
/// All that the daemon opens is so from the beginning. But whoever started the daemon may have left some open, and so may a
/// library that a trusted plugin uses; those are not for a plugin that nobody trusts.
///
/// # Errors
/// The descriptors cannot be listed.
pub(super) fn inherit_none() -> std::io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(descriptor) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if descriptor > 2 {
            // Safety: the call takes a number and closes nothing now, so no descriptor that anybody owns becomes invalid. One
            // that is gone meanwhile (that of the listing) is an error that does not matter.
            #[allow(unsafe_code)]
            unsafe {
                libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC)
            };
        }
    }
    Ok(())
}
