//! `graftd-gmod`, the program that runs modules in Python and gmond's in C: where it is, and what it needs.

use serde::Deserialize;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Its name.
const NAME: &str = "graftd-gmod";

/// Overrides where it is looked for.
const VARIABLE: &str = "GRAFTD_GMOD";

/// How long it may take to say what it needs.
const ABOUT_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of what it says.
const ABOUT_BYTES_MAX: u64 = 64 * 1024;

/// The program, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) exe: PathBuf,
    /// Files and folders that it reads when it runs, its own among them, lie where no other user can go.
    pub(super) hidden: Option<PathBuf>,
}

#[derive(Deserialize)]
struct About {
    paths: Vec<PathBuf>,
}

impl Program {
    /// Finds it: where the environment says, else beside this binary, else on the search path.
    ///
    /// # Errors
    /// It is nowhere, or does not start (its libpython is gone): what to do.
    pub(super) fn find() -> Result<Program, String> {
        let exe = places().into_iter().find(|place| place.is_file()).ok_or_else(|| {
            format!(
                "{NAME}, which runs modules in Python and gmond's in C, is not beside graftd: build it (make build), \
                 or say where it is in {VARIABLE}"
            )
        })?;
        let exe = fs::canonicalize(&exe).map_err(|error| format!("{}: {error}", exe.display()))?;
        let about = about(&exe)?;
        let hidden = about.paths.into_iter().chain([exe.clone()]).find(|path| path.exists() && !others_reach(path));
        Ok(Program { exe, hidden })
    }
}

fn places() -> Vec<PathBuf> {
    if let Some(place) = std::env::var_os(VARIABLE) {
        return vec![place.into()];
    }
    // The image that runs; where its file was replaced the link ends in a remark of the kernel's.
    let this = fs::read_link("/proc/self/exe").unwrap_or_default();
    let this = Path::new(OsStr::from_bytes(
        this.as_os_str().as_bytes().strip_suffix(b" (deleted)").unwrap_or(this.as_os_str().as_bytes()),
    ));
    let beside = this.parent().map(|folder| folder.join(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(NAME)).collect::<Vec<_>>();
    beside.into_iter().chain(on_path).collect()
}

fn about(exe: &Path) -> Result<About, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{} --about: {why}", exe.display());
    let mut command = Command::new(exe);
    command.arg("--about").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let until = Instant::now() + ABOUT_TIME_MAX;
    let status = loop {
        match child.try_wait().map_err(|error| failed(&error))? {
            Some(status) => break status,
            None if Instant::now() > until => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(&format_args!("did not answer within {} s", ABOUT_TIME_MAX.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        out.take(ABOUT_BYTES_MAX).read_to_string(&mut said).map_err(|error| failed(&error))?;
    }
    if !status.success() {
        let mut why = String::new();
        if let Some(err) = child.stderr.take() {
            let _ = err.take(ABOUT_BYTES_MAX).read_to_string(&mut why);
        }
        let why = why.lines().next().unwrap_or("without a word").to_owned();
        return Err(failed(&format_args!("{status}: {why}; build it anew with the python3 that there is now")));
    }
    serde_json::from_str(&said).map_err(|error| failed(&format_args!("says nothing sensible: {error}")))
}

/// Whether any user can read a file, or go into a folder: all the folders above let them through.
pub(super) fn others_reach(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let allows = |path: &Path, bits: u32| fs::metadata(path).is_ok_and(|meta| meta.mode() & bits == bits);
    let own = if path.is_dir() { 0o005 } else { 0o004 };
    allows(&path, own) && path.ancestors().skip(1).all(|above| allows(above, 0o001))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_closed_folder_hides_what_is_below() {
        let folder = std::env::temp_dir().join(format!("graftd-reach-{}", std::process::id()));
        let file = folder.join("in/file");
        fs::create_dir_all(folder.join("in")).unwrap();
        fs::write(&file, "x").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (path, bits) in [(&folder, 0o711), (&folder.join("in"), 0o755), (&file, 0o644)] {
            mode(path, bits);
        }
        assert!(others_reach(&file) && others_reach(&folder.join("in")) && !others_reach(&folder));
        mode(&folder, 0o700);
        assert!(!others_reach(&file));
        fs::remove_dir_all(&folder).unwrap();
        assert!(!others_reach(&file));
    }
}
