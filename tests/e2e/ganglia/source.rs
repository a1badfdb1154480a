//! Ganglia's own Python modules, as Debian keeps their source. They are fetched, never part of this repository.

use graftd_tests::binary;
use rustix::fs::{FlockOperation, flock};
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the modules lie in the tarball.
const MODULES: &str = "gmond/python_modules";

/// What `mysql` imports, for want of a `MySQLdb` that both Pythons have: the last that runs under 2.7.
const DATABASE: &str = "PyMySQL==0.10.1";

/// A module as it was shipped.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name: `redis`.
    pub name: String,
    pub file: PathBuf,
    /// Its `.pyconf`, where one was shipped.
    pub conf: Option<PathBuf>,
}

/// All of them, and their folder.
#[derive(Clone, Debug)]
pub struct Corpus {
    pub modules: Vec<Module>,
    /// Files that modules import, and that are none.
    pub helpers: Vec<PathBuf>,
    /// A folder of packages that modules import and that both Pythons can have; none where it could not be had.
    pub packages: Option<PathBuf>,
}

/// A folder beside what was built, which stays.
pub fn cache() -> PathBuf {
    let built = binary();
    built.ancestors().nth(2).expect("target/release/graftd").join("ganglia")
}

/// The modules; or why there are none. `GRAFTD_GANGLIA` may name the tarball, where there is no network.
///
/// # Errors
/// The tarball cannot be had; the text says why.
pub fn corpus() -> Result<Corpus, String> {
    let cache = cache();
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let lock = File::create(cache.join("lock")).map_err(|error| format!("{}: {error}", cache.display()))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| format!("{}: {error}", cache.display()))?;
    let unpacked = cache.join("modules");
    if !unpacked.is_dir() {
        let tarball = match env::var_os("GRAFTD_GANGLIA") {
            Some(tarball) => PathBuf::from(tarball),
            None => fetch(&cache)?,
        };
        unpack(&tarball, &unpacked)?;
    }
    let mut corpus = gather(&unpacked)?;
    corpus.packages = packages(&cache);
    Ok(corpus)
}

/// Has apt fetch the source, with a list of sources of our own: the system's may have none, and is not touched.
fn fetch(cache: &Path) -> Result<PathBuf, String> {
    let release = fs::read_to_string("/etc/os-release").map_err(|error| format!("/etc/os-release: {error}"))?;
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let suite = field("VERSION_CODENAME");
    let source = match field("ID").as_str() {
        "debian" => format!("deb-src http://deb.debian.org/debian {suite} main\n"),
        "ubuntu" => format!("deb-src http://archive.ubuntu.com/ubuntu {suite} main universe\n"),
        other => return Err(format!("the source of ganglia is fetched on Debian and Ubuntu, and this is {other:?}")),
    };
    let apt = cache.join("apt");
    let sources = apt.join("sources.list");
    fs::create_dir_all(apt.join("lists/partial")).map_err(|error| format!("{}: {error}", apt.display()))?;
    fs::create_dir_all(apt.join("cache/archives/partial")).map_err(|error| format!("{}: {error}", apt.display()))?;
    fs::write(&sources, source).map_err(|error| format!("{}: {error}", sources.display()))?;
    let options = [
        format!("Dir::Etc::SourceList={}", sources.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", apt.join("lists").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        // Root's apt would fetch as a user who may not write here.
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Retries=1".to_owned(),
        "Acquire::http::Timeout=20".to_owned(),
    ];
    for words in [&["update"][..], &["source", "--tar-only", "ganglia"]] {
        let mut get = Command::new("apt-get");
        get.arg("-q").current_dir(cache);
        for option in &options {
            get.arg("-o").arg(option);
        }
        run(get.args(words))?;
    }
    let found = fs::read_dir(cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let mut files = found.filter_map(|entry| Some(entry.ok()?.path()));
    let is_tarball = |file: &PathBuf| file.to_string_lossy().contains(".orig.tar.");
    files.find(is_tarball).ok_or_else(|| format!("apt-get source put no tarball into {}", cache.display()))
}

fn unpack(tarball: &Path, to: &Path) -> Result<(), String> {
    let aside = to.with_extension("new");
    let _ = fs::remove_dir_all(&aside);
    fs::create_dir_all(&aside).map_err(|error| format!("{}: {error}", aside.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(tarball).arg("-C").arg(&aside).args(["--strip-components=1", "--wildcards"]);
    run(tar.arg(format!("*/{MODULES}/*")))?;
    fs::rename(&aside, to).map_err(|error| format!("{}: {error}", to.display()))
}

fn gather(unpacked: &Path) -> Result<Corpus, String> {
    let mut files = Vec::new();
    let mut folders = vec![unpacked.join(MODULES)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let name = |file: &Path| {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.split('.').next().unwrap_or_default().to_owned()
    };
    let is_conf = |file: &&PathBuf| file.to_string_lossy().contains(".pyconf");
    let mut corpus = Corpus { modules: Vec::new(), helpers: Vec::new(), packages: None };
    for file in files.iter().filter(|file| file.extension() == Some(OsStr::new("py"))) {
        let text = String::from_utf8_lossy(&fs::read(file).map_err(|error| error.to_string())?).into_owned();
        if text.contains("def metric_init") {
            let conf = files.iter().filter(is_conf).find(|conf| name(conf) == name(file)).cloned();
            corpus.modules.push(Module { name: name(file), file: file.clone(), conf });
        } else {
            corpus.helpers.push(file.clone());
        }
    }
    if corpus.modules.is_empty() { Err(format!("no modules in {}", unpacked.display())) } else { Ok(corpus) }
}

/// The packages, from the network at the first time.
fn packages(cache: &Path) -> Option<PathBuf> {
    let folder = cache.join("packages");
    if !folder.join("pymysql").is_dir() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "20", "install"]);
        if let Err(why) = run(pip.args(["--no-deps", "--no-compile", "--target"]).arg(&folder).arg(DATABASE)) {
            eprintln!("without {DATABASE}, so mysql has nothing to import: {why}");
            return None;
        }
    }
    let stand_in =
        "import pymysql\n\nglobals().update((name, it) for name, it in vars(pymysql).items() if name[:2] != '__')\n";
    fs::write(folder.join("MySQLdb.py"), stand_in).ok().map(|()| folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let what = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().map_err(|error| format!("{what}: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(format!("{what} ended with {}: {said}", ran.status))
}
