//! Links with the libpython of the interpreter that is found at build time, remembers that interpreter, and puts the
//! Python sources of `python/` into the binary.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a source to a marshalled code object, its path being what tracebacks are to show.
const COMPILE: &str = "import marshal, sys
source = open(sys.argv[1], 'rb').read()
open(sys.argv[3], 'wb').write(marshal.dumps(compile(source, sys.argv[2], 'exec', dont_inherit=True)))";

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    // The binary finds the libpython that it was linked with, also where that is no library of the system's.
    pyo3_build_config::add_libpython_rpath_link_args();
    let config = pyo3_build_config::get();
    let executable = config.executable().map(base_of).unwrap_or_default();
    println!("cargo::rustc-env=GRAFTD_PYTHON={executable}");
    println!("cargo::rustc-env=GRAFTD_PYTHON_VERSION={}", config.version());
    println!("cargo::rerun-if-changed=python");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), embedded(&executable, &out)).expect("the build's own folder");
}

/// The interpreter behind a virtual environment's.
fn base_of(executable: &str) -> String {
    let told = Command::new(executable).args(["-I", "-c", "import sys; print(sys._base_executable)"]).output();
    let told = told.ok().filter(|told| told.status.success());
    told.and_then(|told| Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())).unwrap_or(executable.to_owned())
}

/// The modules of `python/graftd_py2`: each with its source and, where the interpreter could be asked, its code.
fn embedded(executable: &str, out: &Path) -> String {
    let package = "graftd_py2";
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("python").join(package);
    let mut found = Vec::new();
    collect(&root, package, &mut found);
    found.sort();
    let mut layer = std::hash::DefaultHasher::new();
    let mut text = String::from(
        "/// Name, whether it is a package, its source, its code.\npub(super) const MODULES: &[(&str, bool, &[u8], &[u8])] = &[\n",
    );
    for (name, file) in found {
        (&name, fs::read(&file).unwrap_or_default()).hash(&mut layer);
        let is_package = file.ends_with("__init__.py");
        let code = out.join(format!("{name}.code"));
        let compiled = Command::new(executable)
            .args(["-I", "-S", "-c", COMPILE])
            .args([&file, &PathBuf::from(format!("<{name}>")), &code])
            .status();
        if !compiled.is_ok_and(|status| status.success()) {
            fs::write(&code, b"").expect("the build's own folder");
        }
        writeln!(text, "    ({name:?}, {is_package}, include_bytes!({file:?}), include_bytes!({code:?})),")
            .expect("text");
    }
    println!("cargo::rustc-env=GRAFTD_LAYER={:016x}", layer.finish());
    text + "];\n"
}

fn collect(folder: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            collect(&path, &format!("{name}.{stem}"), found);
        } else if stem == "__init__" {
            found.push((name.to_owned(), path));
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push((format!("{name}.{stem}"), path));
        }
    }
}
