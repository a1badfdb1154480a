//! Reading an installation.

use super::moved::{Moved, inside, real};
use crate::limits::{IMPORT_DEPTH_MAX, IMPORT_FILES_MAX, PYTHON_BYTES_MAX};
use gmod_compat::celf;
use gmod_compat::conf::{Globals, Gmond, Module, load};
use gmod_compat::import::{Conf, Installation, Note, PythonFile};
use gmod_compat::{SourceKind, source_kind};
use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where gmond's modules lie when nobody says.
const MODULE_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/ganglia",
    "/usr/lib/aarch64-linux-gnu/ganglia",
    "/usr/lib64/ganglia",
    "/usr/lib/ganglia",
    "/usr/local/lib64/ganglia",
    "/usr/local/lib/ganglia",
];

/// Endings by which a configuration is switched off.
const DISABLED: [&str; 4] = [".disabled", ".off", "-sample", ".sample"];

/// What was found, and what of it cannot be read.
pub(crate) struct Found {
    pub(crate) installation: Installation,
    pub(crate) notes: Vec<Note>,
}

/// Reads an installation: a folder such as `/etc/ganglia`, or a `gmond.conf`.
///
/// # Errors
/// There is none, or gmond could not read its `gmond.conf` either.
pub(crate) fn look(at: &Path, python: &[PathBuf], plugins: &Path) -> Result<Found, String> {
    let met = fs::metadata(at).map_err(|error| format!("{}: {error}", at.display()))?;
    let (folder, main) = match met.is_dir() {
        true => (at.to_owned(), at.join("gmond.conf")),
        false => (at.parent().unwrap_or(Path::new("")).to_owned(), at.to_owned()),
    };
    let files = Moved::new(&folder);
    let mut notes = Vec::new();
    if met.is_dir() && main.is_file() {
        let named = |what| format!("{}: {what}, or name that file itself", main.display());
        inside(&real(&folder), &main).map_err(named)?;
    }
    let main = main.is_file().then(|| read(&files, &main, false)).transpose()?;
    let (mut others, mut broken) = (Vec::new(), Vec::new());
    for (path, disabled) in beside(&folder) {
        if files.refuses(&path) || files.read.borrow().contains(&real(&path)) {
            continue;
        }
        match read(&files, &path, disabled) {
            Ok(conf) => others.push(conf),
            Err(what) => {
                notes.push(missing(path.display().to_string(), what));
                broken.push(path);
            }
        }
    }
    let folders = python_folders(&folder, python, main.iter().chain(&others), &mut notes);
    let python = python_files(&folders, &mut notes);
    notes.extend(files.refused.take().into_iter().map(|(path, why)| missing(path.display().to_string(), why)));
    if main.is_none() && others.is_empty() && python.is_empty() {
        let at = at.display();
        return Err(format!("{at}: neither a gmond.conf, nor a .pyconf, nor Python modules; name ganglia's folder"));
    }
    Ok(Found { installation: Installation { main, others, broken, python, taken: taken(plugins) }, notes })
}

fn missing(at: String, what: String) -> Note {
    Note { at, what, missing: true }
}

fn read(files: &Moved, path: &Path, disabled: bool) -> Result<Conf, String> {
    files.texts.borrow_mut().clear();
    let loaded = load(files, path).map_err(|error| error.to_string())?;
    let texts = files.texts.take();
    Ok(Conf { path: path.to_string_lossy().into_owned(), loaded, texts, disabled })
}

/// What lies beside a `gmond.conf`: what is switched off comes last.
fn beside(folder: &Path) -> Vec<(PathBuf, bool)> {
    let mut out = Vec::new();
    for (folder, with_conf) in [(folder.to_owned(), false), (folder.join("conf.d"), true)] {
        let names = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut names: Vec<PathBuf> = names.filter(|path| path.is_file()).take(IMPORT_FILES_MAX).collect();
        names.sort_unstable();
        for path in names {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let stem = DISABLED.iter().find_map(|ending| name.strip_suffix(ending));
            let name = stem.unwrap_or(name);
            // Beside gmond.conf there may be a gmetad.conf; in conf.d all are for gmond.
            if name.ends_with(".pyconf") || (with_conf && name.ends_with(".conf")) {
                let disabled = stem.is_some();
                out.push((path, disabled));
            }
        }
    }
    out.sort_by_key(|(_, disabled)| *disabled);
    out
}

/// The folders of the Python modules: those that are named, or else where gmond's own host of them looked, or else the usual
/// one.
fn python_folders<'a>(
    folder: &Path,
    named: &[PathBuf],
    confs: impl Iterator<Item = &'a Conf>,
    notes: &mut Vec<Note>,
) -> Vec<PathBuf> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let gmonds = confs.filter_map(|conf| Gmond::from_tree(&conf.loaded.tree).ok());
    let hosts = gmonds.flat_map(|gmond| gmond.modules).filter(|module| module.name == "python_module");
    let said = hosts.filter_map(|module| Some(PathBuf::from(module.params?)));
    let usual = MODULE_FOLDERS.iter().map(|folder| Path::new(folder).join("python_modules"));
    let near = folder.join("python_modules");
    let near = match inside(&real(folder), &near) {
        Err(why) if near.is_dir() => {
            notes.push(missing(near.display().to_string(), why));
            None
        }
        _ => Some(near),
    };
    let all = said.chain(near).chain([folder.join("../python_modules")]).chain(usual).find(|folder| folder.is_dir());
    all.or_else(|| has_python(folder).then(|| folder.to_owned())).into_iter().collect()
}

fn has_python(folder: &Path) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    names.into_iter().any(|entry| entry.path().extension().is_some_and(|ending| ending == "py"))
}

fn python_files(folders: &[PathBuf], notes: &mut Vec<Note>) -> Vec<PythonFile> {
    let mut out: Vec<PythonFile> = Vec::new();
    for folder in folders {
        let (mut others, mut outside) = (Vec::new(), Vec::new());
        if let Err(why) = python_in(folder, Path::new(""), &mut out, &mut others, &mut outside) {
            notes.push(missing(folder.display().to_string(), why));
        }
        notes.append(&mut outside);
        if !others.is_empty() {
            let what = format!("only Python files come over; not {}", others.join(", "));
            notes.push(Note { at: folder.display().to_string(), what, missing: false });
        }
    }
    out
}

/// Adds what lies in a folder, and in packages below it.
fn python_in(
    folder: &Path,
    below: &Path,
    out: &mut Vec<PythonFile>,
    others: &mut Vec<String>,
    outside: &mut Vec<Note>,
) -> Result<(), String> {
    if below.components().count() > IMPORT_DEPTH_MAX {
        return Err(format!("packages inside each other, more than {IMPORT_DEPTH_MAX}; the deepest are left out"));
    }
    let (root, at) = (real(folder), folder.join(below));
    let names = fs::read_dir(&at).map_err(|error| error.to_string())?;
    let mut names: Vec<_> = names.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.sort_unstable();
    for name in names {
        let (path, relative) = (at.join(&name), below.join(&name));
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") || name.ends_with(".pyo") {
            continue;
        }
        if let Err(why) = inside(&root, &path) {
            outside.push(missing(path.display().to_string(), why));
        } else if path.is_dir() && path.join("__init__.py").is_file() {
            python_in(folder, &relative, out, others, outside)?;
        } else if !name.ends_with(".py") || !path.is_file() {
            let is_conf = name.contains(".pyconf") || name == "conf.d" || name.ends_with(".conf");
            others.extend((!is_conf && others.len() < 10).then(|| relative.display().to_string()));
        } else if out.len() >= IMPORT_FILES_MAX {
            return Err(format!("more than {IMPORT_FILES_MAX} files; the others are left out"));
        } else if out.iter().all(|file| file.relative != relative) {
            let is_module = below == Path::new("") && is_module(&path);
            out.push(PythonFile { path, relative, is_module });
        }
    }
    Ok(())
}

fn is_module(path: &Path) -> bool {
    let mut source = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(PYTHON_BYTES_MAX).read_to_end(&mut source));
    read.is_ok() && source_kind(&source) != SourceKind::Helper
}

/// The plugins that lie there, by name and ending: `cpu.so` also for `libcpu.so`.
fn taken(plugins: &Path) -> Vec<String> {
    let names = fs::read_dir(plugins).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let plugin = |name: String| match name.strip_prefix("lib") {
        Some(rest) if name.ends_with(".so") && rest != ".so" => rest.to_owned(),
        _ => name,
    };
    names.map(plugin).filter(|name| name.ends_with(".so") || name.ends_with(".py")).collect()
}

/// Finds the files of C modules, as gmond does and, where they are not there, in the usual folders.
pub(crate) fn library(module: &Module, globals: &Globals, notes: &RefCell<Vec<Note>>) -> Result<PathBuf, String> {
    let Some(path) = module.path.as_deref().map(Path::new) else {
        return Err(format!("module {} has no path, so it was built into gmond", module.name));
    };
    let name = path.file_name().ok_or_else(|| format!("module {}: its path names no file", module.name))?;
    let said = globals.module_dir.iter().map(PathBuf::from);
    let configured = match path.is_absolute() {
        true => vec![path.to_owned()],
        false => said.chain(MODULE_FOLDERS.map(PathBuf::from)).map(|folder| folder.join(path)).collect(),
    };
    let usual = MODULE_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    let found = configured.iter().cloned().chain(usual).find(|file| file.is_file());
    let found = found.ok_or_else(|| {
        format!("module {}: there is no {}; copy it there, or correct its path", module.name, path.display())
    })?;
    let mut bytes = Vec::new();
    let open = fs::File::open(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    open.take(crate::limits::PLUGIN_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{}: {error}", found.display()))?;
    let modules = celf::modules(&bytes);
    let Some(known) = modules.iter().find(|known| known.symbol == module.name) else {
        let names: Vec<&str> = modules.iter().map(|known| known.symbol.as_str()).collect();
        let has = if names.is_empty() { "no module of gmond's".to_owned() } else { names.join(", ") };
        return Err(format!("module {}: {} holds {has}", module.name, found.display()));
    };
    if let Some(misfit) = known.misfit() {
        return Err(format!("{} {misfit}", found.display()));
    }
    if !configured.contains(&found) {
        let what = format!("{} is not there; taken from {}", path.display(), found.display());
        notes.borrow_mut().push(Note { at: module.pos.to_string(), what, missing: false });
    }
    Ok(found)
}
