//! Where the binaries, the plugins and the sample data are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    // The folder of this crate lies in it.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The folder with what was built in the tests' own profile: `target/release` of `target/release/deps/e2e-…`, or of
/// `target/release/graftd-bench`. So it follows `CARGO_TARGET_DIR` wherever that is.
fn built() -> PathBuf {
    let own = env::current_exe().expect("the test knows its own file");
    let folder = own.parent().expect("a file lies in a folder");
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    above.unwrap_or(folder).to_owned()
}

fn find(name: &str) -> PathBuf {
    let file = built().join(name);
    assert!(file.is_file(), "{} is missing: run `make build` first", file.display());
    file
}

/// The daemon's binary.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn binary() -> PathBuf {
    find("graftd")
}

/// A built plugin, by its name: `status`.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn plugin(name: &str) -> PathBuf {
    find(&format!("libgraft_{}.so", name.replace('-', "_")))
}

/// A file of `tests/fixtures/`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A real access log of 10,000 lines, which is too large to be kept with the code: `apache_logs.sample` in the folder
/// that `GRAFTD_SAMPLES` names, or else in the `data` folder of something that lies beside the checkout.
#[must_use]
pub fn real_log() -> Option<PathBuf> {
    const NAME: &str = "apache_logs.sample";
    if let Some(folder) = env::var_os("GRAFTD_SAMPLES") {
        let file = Path::new(&folder).join(NAME);
        assert!(file.is_file(), "GRAFTD_SAMPLES: {} is missing", file.display());
        return Some(file);
    }
    let beside = fs::read_dir(workspace().parent()?).ok()?;
    beside.filter_map(|entry| Some(entry.ok()?.path().join("data").join(NAME))).find(|file| file.is_file())
}
