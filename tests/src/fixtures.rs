//! Files that lie in `plugins/` and should not: the odd ones that a person, a copy that broke off, or another machine leaves there.

use crate::{fixture, plugin};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Bytes of [`huge`]: more than a plugin may have.
pub const HUGE_BYTES: u64 = 300 * 1024 * 1024;

/// Bytes of an ELF header's beginning that say nothing of the machine yet.
const PART_OF_A_HEADER: usize = 12;

/// Where an ELF header says for which machine the object is (elf(5), `e_machine`), and two of these.
const MACHINE_AT: usize = 18;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// A file that is no plugin, and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct OddFile {
    /// A name for it, such as `cut`.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// Makes it at a path at which nothing is.
    pub make: fn(&Path),
}

/// All of them that need no compiler.
pub const ODD_FILES: [OddFile; 9] = [
    OddFile { name: "cut", what: "the first half of a plugin", make: cut },
    OddFile { name: "cut-header", what: "the first bytes of a plugin's ELF header", make: cut_header },
    OddFile { name: "other-machine", what: "a plugin for another architecture", make: other_machine },
    OddFile { name: "text", what: "a text file", make: text },
    OddFile { name: "empty", what: "an empty file", make: empty },
    OddFile { name: "folder", what: "a directory named x.so", make: folder },
    OddFile { name: "huge", what: "a file of 300 MB that begins as a plugin", make: huge },
    OddFile { name: "unreadable", what: "a plugin without read permission", make: unreadable },
    OddFile { name: "fifo", what: "a FIFO to which nobody writes", make: fifo },
];

/// The C libraries of `tests/fixtures/c/`, for [`c_library`], and what each does, in words.
pub const C_LIBRARIES: [(&str, &str); 6] = [
    ("library", "a plain C library"),
    ("unresolved", "a C library that needs a function which nobody has"),
    ("constructor", "a segfault in an ELF constructor"),
    ("constructor_loop", "an endless loop in an ELF constructor"),
    ("constructor_exit", "exit(0) in an ELF constructor"),
    ("destructor", "an endless loop in an ELF destructor"),
];

fn bytes_of_a_plugin() -> Vec<u8> {
    fs::read(plugin("status")).expect("a plugin")
}

fn write(to: &Path, bytes: &[u8]) {
    fs::write(to, bytes).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

/// The first half of a real plugin: a copy that broke off.
pub fn cut(to: &Path) {
    let bytes = bytes_of_a_plugin();
    write(to, &bytes[..bytes.len() / 2]);
}

/// A real plugin that breaks off within its ELF header.
pub fn cut_header(to: &Path) {
    write(to, &bytes_of_a_plugin()[..PART_OF_A_HEADER]);
}

/// A real plugin but for its header, which says that it is for another architecture.
pub fn other_machine(to: &Path) {
    let mut bytes = bytes_of_a_plugin();
    let other = if cfg!(target_arch = "x86_64") { AARCH64 } else { X86_64 };
    let other = if cfg!(target_endian = "little") { other.to_le_bytes() } else { other.to_be_bytes() };
    bytes[MACHINE_AT..MACHINE_AT + 2].copy_from_slice(&other);
    write(to, &bytes);
}

/// A text file with a plugin's name.
pub fn text(to: &Path) {
    write(to, b"What once was a plugin is now a note.\n");
}

/// A file with nothing in it.
pub fn empty(to: &Path) {
    write(to, b"");
}

/// A directory with a plugin's name.
pub fn folder(to: &Path) {
    fs::create_dir(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

/// A real plugin with a hole behind it, [`HUGE_BYTES`] long; it takes no room on the disk.
pub fn huge(to: &Path) {
    let mut file = File::create(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    file.write_all(&bytes_of_a_plugin()).and_then(|()| file.set_len(HUGE_BYTES)).expect("a sparse file");
}

/// A real plugin that may not be read; root may all the same, so ask [`may_read_all`].
pub fn unreadable(to: &Path) {
    write(to, &bytes_of_a_plugin());
    fs::set_permissions(to, fs::Permissions::from_mode(0o000)).expect("permissions");
}

/// Whether whoever runs the tests may read what is [`unreadable`], as root may.
#[must_use]
pub fn may_read_all() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("unreadable");
    unreadable(&file);
    File::open(file).is_ok()
}

/// A FIFO to which nobody writes: opening it would wait for ever.
pub fn fifo(to: &Path) {
    mknodat(CWD, to, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

/// A C library that was compiled for this test; its file goes when this is dropped.
#[derive(Debug)]
pub struct CLibrary {
    _folder: TempDir,
    file: PathBuf,
}

impl CLibrary {
    /// Where it lies.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Compiles a source of `tests/fixtures/c/` to a shared object: `constructor`.
///
/// # Panics
/// There is no C compiler `cc`, or it fails.
#[must_use]
#[track_caller]
pub fn c_library(name: &str) -> CLibrary {
    let folder = tempfile::Builder::new().prefix("graftd-c-").tempdir().expect("a folder");
    let file = folder.path().join(format!("{name}.so"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&file).arg(fixture("c").join(format!("{name}.c")));
    let ran = cc.output().unwrap_or_else(|error| panic!("{cc:?}: {error}"));
    assert!(ran.status.success(), "{cc:?}: {}", String::from_utf8_lossy(&ran.stderr));
    CLibrary { _folder: folder, file }
}
