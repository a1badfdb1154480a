//! Where the folders are when nobody says.

use super::{Dirs, Failure};
use crate::conf::{DaemonConf, read_text};
use crate::module::{Folders, open_conf};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The checkout that the running binary was built in, if it lies in one: `target/PROFILE/graftd` below it. The current
/// folder is not asked: a plugin is code, and where somebody happens to stand must not decide which code runs.
pub(super) fn checkout() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    let target = binary.parent()?.parent()?;
    (target.file_name()? == "target").then(|| target.parent().map(Path::to_owned))?
}

fn default(in_checkout: &str, installed: &str) -> PathBuf {
    checkout().map_or_else(|| PathBuf::from(installed), |root| root.join(in_checkout))
}

/// The folder that is anybody's to make.
const DATA: &str = "--data";

/// Where plugins lie when nobody says.
pub(super) fn default_plugins() -> PathBuf {
    default("plugins", "/usr/lib/graftd/plugins")
}

impl Dirs {
    /// The folders to look into. One that is named must be there; a default one may be made later.
    pub(super) fn folders(&self) -> Result<Folders, Failure> {
        let plugins = named(self.plugins.as_deref(), "--plugins")?.unwrap_or_else(default_plugins);
        let conf = named(self.conf.as_deref(), "--conf")?.unwrap_or_else(|| default("conf", "/etc/graftd"));
        let folders = Folders {
            plugins: Some(plugins),
            conf: Some(conf),
            allow_unsafe_permissions: self.allow_unsafe_permissions,
            ..Folders::default()
        };
        for folder in folders.both().filter(|folder| folder.is_dir()) {
            folders.met(folder);
        }
        Ok(folders)
    }
}

/// A folder that is named, which must be there.
fn named(folder: Option<&Path>, flag: &str) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = folder else { return Ok(None) };
    match fs::read_dir(folder) {
        Ok(_) => Ok(Some(folder.to_owned())),
        Err(error) => {
            let missing = error.kind() == io::ErrorKind::NotFound && flag == DATA;
            let hint = if missing { format!("; make it: mkdir -p {}", folder.display()) } else { String::new() };
            Err(Failure::usage(format_args!("{flag} {}: {error}{hint}", folder.display())))
        }
    }
}

/// The folder for what the daemon keeps. One that is named must be there; the default one is made.
pub(super) fn data(folder: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = named(folder, DATA)? {
        return Ok(folder);
    }
    let folder = default("data", "/var/lib/graftd");
    fs::create_dir_all(&folder).map_err(|error| {
        let folder = folder.display();
        Failure::usage(format_args!("the data folder {folder} cannot be made: {error}; name another with --data DIR"))
    })?;
    Ok(folder)
}

/// Reads `graftd.conf` of the conf folder, if there is one.
pub(super) fn daemon_conf(folders: &Folders) -> Result<DaemonConf, Failure> {
    let Some(folder) = &folders.conf else { return Ok(DaemonConf::default()) };
    let file = folder.join("graftd.conf");
    if file.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(DaemonConf::default());
    }
    let text = open_conf(&file, folders).and_then(|opened| read_text(&opened, &file)).map_err(Failure::usage)?;
    DaemonConf::parse(&file, &text).map_err(Failure::usage)
}
