//! Where the folders are when nobody says.

use super::{Dirs, Failure};
use crate::conf::{DaemonConf, read_text};
use crate::module::Folders;
use std::fs;
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

/// Where plugins lie when nobody says.
pub(super) fn default_plugins() -> PathBuf {
    default("plugins", "/usr/lib/graftd/plugins")
}

impl Dirs {
    /// The folders to look into. One that is named must be there; a default one may be missing.
    pub(super) fn folders(&self) -> Result<Folders, Failure> {
        let plugins = or_default(self.plugins.as_deref(), "--plugins", "plugins", "/usr/lib/graftd/plugins")?;
        let conf = or_default(self.conf.as_deref(), "--conf", "conf", "/etc/graftd")?;
        Ok(Folders { plugins, conf, allow_unsafe_permissions: self.allow_unsafe_permissions })
    }
}

fn or_default(
    named: Option<&Path>,
    flag: &str,
    in_checkout: &str,
    installed: &str,
) -> Result<Option<PathBuf>, Failure> {
    match named {
        Some(folder) => match fs::read_dir(folder) {
            Ok(_) => Ok(Some(folder.to_owned())),
            Err(error) => Err(Failure::usage(format_args!("{flag} {}: {error}", folder.display()))),
        },
        None => Ok(Some(default(in_checkout, installed)).filter(|folder| folder.is_dir())),
    }
}

/// The folder for what the daemon keeps. One that is named must be there; the default one is made.
pub(super) fn data(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = or_default(named, "--data", "", "")?.filter(|_| named.is_some()) {
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
    if !file.exists() {
        return Ok(DaemonConf::default());
    }
    let text = read_text(&file).map_err(Failure::usage)?;
    DaemonConf::parse(&file, &text).map_err(Failure::usage)
}
