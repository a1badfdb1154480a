//! Has what a daemon at rest runs lie together in the program: see `at-rest.ld`. And has the pages that `make build` made of
//! `web/` lie in it, where there are any.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

fn main() {
    pages();
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=at-rest.ld");
    let is = |what: &str, wanted: &str| env::var(what).is_ok_and(|is| is == wanted);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bin=graftd=-Xlinker");
        // From the workspace's root, where cargo has members linked: a checkout that is moved goes on with what it has built.
        println!("cargo:rustc-link-arg-bin=graftd=--script=host/at-rest.ld");
    }
}

/// Writes a table of all files in `web/dist`, each as it is and packed, for `src/http/assets.rs`.
fn pages() {
    // It is always there (git keeps it), or cargo would build anew each time.
    println!("cargo:rerun-if-changed=web/dist");
    let var = |name| env::var(name).unwrap_or_default();
    let dist = Path::new(&var("CARGO_MANIFEST_DIR")).join("web/dist");
    let mut names: Vec<String> = fs::read_dir(&dist)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !name.ends_with(".gz") && !name.ends_with(".br"))
        .collect();
    names.sort();
    // Copies, for the pages may be made anew while the program is.
    let out = Path::new(&var("OUT_DIR")).join("pages");
    let _ = fs::remove_dir_all(&out);
    if let Err(error) = fs::create_dir_all(&out) {
        println!("cargo:error={}: {error}", out.display());
    }
    let bytes = |path: &Path, may_lack: bool| {
        let name = path.file_name().unwrap_or_default();
        match fs::copy(path, out.join(name)) {
            Ok(_) => return format!("include_bytes!({:?})", out.join(name)),
            Err(error) if may_lack && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => println!("cargo:error={}: {error}; build the pages again: make web", path.display()),
        }
        "b\"\"".to_owned()
    };
    let mut table = String::from("&[\n");
    for name in names.iter().filter(|name| *name == "manifest.json" || packed(&dist, name, "gz").exists()) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "Embedded {{ name: {name:?}, plain: {}, gzip: {}, brotli: {} }},",
            bytes(&dist.join(name), false),
            bytes(&packed(&dist, name, "gz"), true),
            bytes(&packed(&dist, name, "br"), true)
        );
    }
    table.push(']');
    let out = Path::new(&var("OUT_DIR")).join("pages.rs");
    if let Err(error) = fs::write(&out, table) {
        println!("cargo:error={}: {error}", out.display());
    }
}

fn packed(dist: &Path, name: &str, ending: &str) -> std::path::PathBuf {
    dist.join(format!("{name}.{ending}"))
}
