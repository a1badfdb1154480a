//! Reading a file of configuration, whatever it turns out to be.

use super::pyconf::latin1;
use crate::limits::CONF_BYTES_MAX;
use gmod_compat::conf::looks_like_gmond;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a file lies that a file of configuration names: what is not absolute begins at the folder of that.
pub(super) fn beside(conf: &Path, named: &str) -> PathBuf {
    let path = conf.parent().unwrap_or(Path::new(".")).join(named);
    std::path::absolute(&path).unwrap_or(path)
}

/// What to say of files that are not where a file of configuration in `folder` names them, and lie in the current folder.
pub(crate) fn lie_elsewhere<'f>(files: impl IntoIterator<Item = &'f Path>, folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let lies = |file: &Path| {
        let named = file.strip_prefix(&folder).ok().filter(|_| !file.exists())?;
        let here = std::path::absolute(named).ok().filter(|here| here.is_file())?;
        Some(format!(
            "; {} is there, but what is not absolute begins at the folder of the file that names it",
            here.display()
        ))
    };
    files.into_iter().find_map(lies).unwrap_or_default()
}

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
