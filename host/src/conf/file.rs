//! Reading a file of configuration, whatever it turns out to be.

use super::pyconf::latin1;
use crate::limits::CONF_BYTES_MAX;
use gmod_compat::conf::looks_like_gmond;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file of a sensible size as text: nothing without end. Whoever opened it has seen to it that it is a regular file.
///
/// # Errors
/// Names the file, by the path that is given, and what is wrong with it.
pub(crate) fn read_text(file: &File, path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(CONF_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // gmond knows no encoding, and its files are older than UTF-8 is usual.
        Err(error) if looks_like_gmond(error.as_bytes()) => latin1(error.as_bytes()),
        Err(_) => return Err(format!("{}: cannot be read: it is not UTF-8", path.display())),
    };
    if text.len() as u64 > CONF_BYTES_MAX {
        return Err(format!("{}: larger than {CONF_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}
