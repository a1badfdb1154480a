//! Writing what comes over.

use crate::limits::PLUGIN_BYTES_MAX;
use crate::put::put;
use gmod_compat::import::{Content, Plan, Put, To, is_stopgap};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The rights of what is written: graftd believes only what nobody else can write.
const FILE_MODE: u32 = 0o644;

/// The same of what others could not read where it comes from: passwords stand in some configurations.
const PRIVATE_MODE: u32 = 0o600;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It came over.
    Brought,
    /// The same stands there already.
    There,
    /// Something else stands there, and stays.
    Kept,
    /// It could not be read or written.
    Failed(String),
}

/// A file and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) path: PathBuf,
    pub(crate) from: String,
    pub(crate) state: State,
}

/// Where files go, and how.
pub(crate) struct Into<'a> {
    pub(crate) conf: &'a Path,
    pub(crate) plugins: &'a Path,
    /// Write over what differs.
    pub(crate) force: bool,
    /// Write nothing.
    pub(crate) dry_run: bool,
}

/// Does it, file by file.
pub(crate) fn apply(plan: &Plan, into: &Into<'_>) -> Vec<Done> {
    plan.puts.iter().map(|put| one(put, into)).collect()
}

fn one(put: &Put, into: &Into<'_>) -> Done {
    let done = |path: &Path, state| Done { path: path.to_owned(), from: put.from.clone(), state };
    let (path, other) = match &put.to {
        To::Conf { name, on } => {
            let file = |on: bool| into.conf.join(format!("{name}.{}", if on { "on" } else { "off" }));
            (file(*on), Some(file(!on)))
        }
        To::Plugin(relative) => (into.plugins.join(relative), None),
    };
    let bytes = match bytes(&put.content) {
        Ok(bytes) => bytes,
        Err(why) => return done(&path, State::Failed(why)),
    };
    // Switched since it came over, or written by somebody; two files for one module are an error.
    let other = other.filter(|other| is_there(other));
    if let Some(other) = &other {
        match read(other) {
            Ok(there) if there == bytes => return done(other, State::There),
            Ok(there) if is_stopgap(&there) => {}
            _ if !into.force => return done(other, State::Kept),
            _ => {}
        }
    }
    let state = write(&path, &bytes, mode(put), into).unwrap_or_else(State::Failed);
    match other {
        Some(other) if state == State::Brought && !into.dry_run => match fs::remove_file(&other) {
            Ok(()) => done(&path, state),
            Err(error) => done(&other, State::Failed(format!("cannot be removed: {error}"))),
        },
        _ => done(&path, state),
    }
}

/// What rights a file is to have, by those of the file that it comes from.
fn mode(put: &Put) -> u32 {
    let from = match &put.content {
        Content::CopyOf(path) => path.clone(),
        // Its place in that file may stand behind it.
        Content::Bytes(_) => put.from.split(':').next().unwrap_or_default().into(),
    };
    let is_open = |meta: fs::Metadata| meta.permissions().mode() & 0o004 != 0;
    // What is not there says nothing: then nobody else is to read it.
    if fs::metadata(from).is_ok_and(is_open) { FILE_MODE } else { PRIVATE_MODE }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn bytes(content: &Content) -> Result<Vec<u8>, String> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.clone()),
        Content::CopyOf(path) => read(path).map_err(|error| format!("{}: {error}", path.display())),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PLUGIN_BYTES_MAX {
        return Err(io::Error::other(format!("has more than {PLUGIN_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8], mode: u32, into: &Into<'_>) -> Result<State, String> {
    if is_there(path) {
        match read(path) {
            Ok(there) if there == bytes => return Ok(State::There),
            Ok(there) if is_stopgap(&there) => {}
            _ if !into.force => return Ok(State::Kept),
            _ => {}
        }
    }
    if into.dry_run {
        return Ok(State::Brought);
    }
    put(path, bytes, mode).map(|()| State::Brought).map_err(|error| error.to_string())
}
