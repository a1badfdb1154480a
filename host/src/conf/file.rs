//! Reading a file of configuration, whatever it turns out to be.

use crate::limits::CONF_BYTES_MAX;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file of a sensible size as text: nothing without end. Whoever opened it has seen to it that it is a regular file.
///
/// # Errors
/// Names the file, by the path that is given, and what is wrong with it.
pub(crate) fn read_text(file: &File, path: &Path) -> Result<String, String> {
    let mut text = String::new();
    file.take(CONF_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    if text.len() as u64 > CONF_BYTES_MAX {
        return Err(format!("{}: larger than {CONF_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}
