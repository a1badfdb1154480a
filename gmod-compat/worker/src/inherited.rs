//! Descriptors that whoever started this process left open for it.

#![allow(unsafe_code)] // A number on the command line is made a descriptor that has an owner.

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor by its number, from now on closed for whoever is started from here. Each number may be asked for once.
///
/// # Errors
/// It is no number of an open descriptor beyond the standard ones.
pub(crate) fn take(number: &str) -> Result<OwnedFd, String> {
    let wrong = || format!("{number}: no number of an open descriptor");
    let raw: i32 = number.parse().map_err(|_| wrong())?;
    if raw <= 2 {
        return Err(wrong());
    }
    // Safety: it is only asked about, and an error where it is not open.
    let is_open = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(raw) }).is_ok();
    if !is_open {
        return Err(wrong());
    }
    // Safety: it is open, and nothing in this process owns it: it was there before `main`, and is asked for once.
    let owned = unsafe { OwnedFd::from_raw_fd(raw) };
    fcntl_setfd(&owned, FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    Ok(owned)
}

/// The path by which this process can open it anew.
pub(crate) fn path(owned: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", owned.as_raw_fd())
}
