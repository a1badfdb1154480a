//! Reading a file of configuration, whatever it turns out to be.

use crate::limits::CONF_BYTES_MAX;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Reads a regular file of a sensible size as text: no device, no pipe, nothing without end.
///
/// # Errors
/// Names the file and what is wrong with it.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let said = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let meta = fs::metadata(path).map_err(|error| said(&error))?;
    if !meta.is_file() {
        return Err(said(&"no regular file"));
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| said(&format_args!("cannot be read: {error}")))?;
    file.take(CONF_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| said(&format_args!("cannot be read: {error}")))?;
    if text.len() as u64 > CONF_BYTES_MAX {
        return Err(said(&format_args!("larger than {CONF_BYTES_MAX} bytes")));
    }
    Ok(text)
}
