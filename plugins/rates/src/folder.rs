//! The folders in which the kernel shows itself.

use plugin_api::{Error, ParamDecl, Params};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The parameter `procfs`.
pub const PROCFS: ParamDecl =
    ParamDecl::new("procfs", "\"/proc\"", "where the proc file system is; in a container such as /host/proc");

/// The parameter `sysfs`.
pub const SYSFS: ParamDecl =
    ParamDecl::new("sysfs", "\"/sys\"", "where the sys file system is; in a container such as /host/sys");

/// Bytes read of a file. The longest, `/proc/stat` and `/proc/mounts` of a very large machine, have some hundred
/// kilobytes; what is longer is no such file (`procfs` may name any folder), and memory stays bounded.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Room for a file before its length is known, which these do not tell: most are read at once.
const ROOM: usize = 4 * 1024;

/// A folder that a parameter names.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// For the error that tells an operator what to look at.
    param: &'static str,
}

impl Folder {
    /// The folder that the parameter names, or else its default.
    ///
    /// # Errors
    /// The parameter is no text, or there is no such folder.
    pub fn new(params: &Params, decl: &ParamDecl) -> Result<Folder, Error> {
        let param = decl.name.as_str();
        let default = decl.default.as_str().trim_matches('"');
        let path = PathBuf::from(params.text(param)?.unwrap_or(default));
        if path.is_dir() {
            Ok(Folder { path, param })
        } else {
            Err(Error::config(format_args!("params: {param:?}: there is no folder {path:?}")))
        }
    }

    /// The path of a file in it, whether there is one or not.
    #[must_use]
    pub fn join(&self, file: impl AsRef<Path>) -> PathBuf {
        self.path.join(file)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is longer than [`FILE_BYTES_MAX`]; the error names it.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, Error> {
        let path = self.join(file);
        let mut bytes = Vec::with_capacity(ROOM);
        // One byte more than there may be, to see that there is more.
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(n) if n as u64 <= FILE_BYTES_MAX => Ok(bytes),
            Ok(_) => Err(Error::failed(format_args!(
                "{}: longer than {FILE_BYTES_MAX} bytes{}",
                path.display(),
                self.hint()
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::failed(format_args!("{}: no such file{}", path.display(), self.hint())))
            }
            Err(error) => Err(Error::failed(format_args!("{}: {error}", path.display()))),
        }
    }

    /// Reads a file and takes it apart. Bytes that are not UTF-8 (names may have some) come as U+FFFD.
    ///
    /// # Errors
    /// As [`Folder::read`], or `parse` finds that it is no such file.
    pub fn parse<T>(&self, file: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let bytes = self.read(file)?;
        parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
            let path = self.join(file);
            Error::failed(format_args!("{}: not as Linux writes it{}", path.display(), self.hint()))
        })
    }

    fn hint(&self) -> String {
        format!("; is params.{} right?", self.param)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Machine;

    #[test]
    fn a_folder_that_is_not_there_is_a_wrong_parameter() {
        let error = Folder::new(&Params::new().with("procfs", "/no/such"), &PROCFS).unwrap_err();
        assert_eq!(error.kind(), plugin_api::ErrorKind::Config);
        assert_eq!(error.message(), "params: \"procfs\": there is no folder \"/no/such\"");
    }

    #[test]
    fn an_error_names_the_file_and_the_parameter() {
        let machine = Machine::new();
        let folder = Folder::new(&Params::new().with("procfs", machine.proc().as_str()), &PROCFS).unwrap();
        let path = machine.proc() + "/stat";
        let message = |error: Error| error.message().to_owned();
        assert_eq!(message(folder.read("stat").unwrap_err()), format!("{path}: no such file; is params.procfs right?"));
        machine.write("proc/stat", b"garbage");
        assert_eq!(folder.parse("stat", |text| Some(text.len())), Ok(7));
        assert_eq!(
            message(folder.parse("stat", |_| None::<()>).unwrap_err()),
            format!("{path}: not as Linux writes it; is params.procfs right?")
        );
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let folder = Folder::new(&Params::new().with("procfs", "/dev"), &PROCFS).unwrap();
        assert!(folder.read("zero").unwrap_err().message().starts_with("/dev/zero: longer than 8388608 bytes"));
    }
}
