//! What lies in `plugins/` and `conf/`, and what of it is to run.
//!
//! [`look`] reads the folders, [`plan`] is pure: it says for every module whether it runs, with what, or why not.

use super::folders::Folders;
use super::trust;
use super::unread::{Unread, pyconf_name, unread};
use crate::conf::{ModuleConf, nearest, plugin_spoken_for, read_text};
use crate::limits::PYTHON_BYTES_MAX;
use crate::module::built_in::BuiltInConf;
use gmod_compat::conf::looks_like_gmond;
use gmod_compat::{SourceKind, source_kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The modules that are built in; their names cannot be plugins'.
pub const BUILT_IN: [&str; 4] = ["access-log", "relay", "nats", "gmond"];

/// Which file, and which state of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
}

impl Stamp {
    /// The same file, whatever stands in it by now.
    pub(super) fn is_same_file(&self, other: &Stamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    pub(crate) fn of(meta: &fs::Metadata) -> Stamp {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        }
    }
}

/// What a file in `plugins/` is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// A `.so`: a plugin of graftd's own, or one of gmond's modules in C.
    Library,
    /// A `.py` with a gmond module or a pipe.
    Python,
    /// A `.py` that is neither: a helper of others.
    Helper,
}

impl PluginKind {
    /// As far as the name tells.
    pub(crate) fn of(path: &Path) -> PluginKind {
        if path.extension().is_some_and(|ending| ending == "py") { PluginKind::Python } else { PluginKind::Library }
    }
}

/// A `.so` or a `.py` in `plugins/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is written in.
    pub kind: PluginKind,
    /// Which state of it.
    pub stamp: Stamp,
    /// Why it may not be loaded, whatever is in it.
    pub refused: Option<String>,
}

impl PluginFile {
    /// It is run by another program.
    pub(crate) fn is_python(&self) -> bool {
        self.kind != PluginKind::Library
    }
}

/// A `.on` or `.off` in `conf/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFile {
    /// Where it lies.
    pub path: PathBuf,
    /// `NAME.on` rather than `NAME.off`.
    pub on: bool,
    /// What stands in a `.on`, or why it cannot be read.
    pub text: Result<String, String>,
    /// The plugin that it speaks for, if that is not its name's: that does not run by itself then.
    pub speaks_for: Option<String>,
}

/// What lies in the folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// By the plugin's name; more than one file for a name is an error.
    pub plugins: BTreeMap<String, Vec<PluginFile>>,
    /// By the module's name.
    pub confs: BTreeMap<String, Vec<ConfFile>>,
    /// Plugins of which a file is being written or was just taken away: nothing of what is seen of them counts.
    pub unfinished_plugins: BTreeSet<String>,
    /// Modules whose `.on` or `.off` is.
    pub unfinished_confs: BTreeSet<String>,
    /// Files that somebody may think are read.
    pub unread: BTreeSet<Unread>,
}

/// Looks into the folders. One that never was there is empty.
///
/// # Errors
/// A folder cannot be read, or vanished; names it.
pub fn look(folders: &Folders) -> Result<Seen, String> {
    folders.begin_look();
    let seen = look_into(folders);
    // Asked for last: whatever began to be written while it was read counts too.
    let unfinished = folders.end_look();
    let mut seen = seen?;
    let among = |folder: &Option<PathBuf>, path: &Path| folder.is_some() && path.parent() == folder.as_deref();
    for path in &unfinished {
        seen.unfinished_plugins.extend(plugin_name(path).filter(|_| among(&folders.plugins, path)));
        seen.unfinished_confs.extend(conf_name(path).filter(|_| among(&folders.conf, path)).map(|(name, _)| name));
    }
    Ok(seen)
}

fn look_into(folders: &Folders) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for path in entries(folders, folders.plugins.as_deref())? {
        let Some(name) = plugin_name(&path) else { continue };
        let mut kind = PluginKind::of(&path);
        let (stamp, refused) = match trust::open_trusted(&path, folders) {
            Ok(file) => {
                if kind == PluginKind::Python && is_helper(&file) {
                    kind = PluginKind::Helper;
                }
                (file.metadata().map_or(Stamp::default(), |meta| Stamp::of(&meta)), None)
            }
            // What is no file any more when it is looked at was just taken away.
            Err(_) if path.symlink_metadata().is_err() => continue,
            Err(why) => (fs::metadata(&path).map_or(Stamp::default(), |meta| Stamp::of(&meta)), Some(why)),
        };
        seen.plugins.entry(name).or_default().push(PluginFile { path, kind, stamp, refused });
    }
    let confs = entries(folders, folders.conf.as_deref())?;
    seen.unread = unread(&confs);
    for path in confs {
        let Some((name, on)) = conf_name(&path) else { continue };
        let text = trust::open_conf(&path, folders).and_then(|file| read_text(&file, &path));
        if text.is_err() && path.symlink_metadata().is_err() {
            continue;
        }
        // Also what is off, or not believed, keeps its plugin from running by itself.
        let speaks_for = match &text {
            Ok(text) => spoken_plugin(text),
            Err(_) => unbelieved(&path).as_deref().and_then(spoken_plugin),
        };
        let text = if on { text } else { Ok(String::new()) };
        seen.confs.entry(name).or_default().push(ConfFile { path, on, text, speaks_for });
    }
    Ok(seen)
}

fn entries(folders: &Folders, folder: Option<&Path>) -> Result<Vec<PathBuf>, String> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let read = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    match read() {
        Ok(mut paths) => {
            folders.met(folder);
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folders.was_met(folder) => Ok(Vec::new()),
        Err(error) => Err(format!("{}: cannot be read: {error}", folder.display())),
    }
}

/// A file of this name in `plugins/` or `conf/` says something of a module, or there is something to be said of it.
pub(super) fn speaks(path: &Path) -> bool {
    plugin_name(path).is_some() || conf_name(path).is_some() || pyconf_name(path).is_some()
}

/// A `.py` that can be read and is neither module nor pipe.
fn is_helper(file: &fs::File) -> bool {
    let mut source = Vec::new();
    let read = file.take(PYTHON_BYTES_MAX).read_to_end(&mut source);
    read.is_ok() && source_kind(&source) == SourceKind::Helper
}

/// `cpu` of `cpu.so` and of `libcpu.so`, `redis` of `redis.py`. Hidden files are editors' and copiers' own.
fn plugin_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, name) = match file.strip_suffix(".so") {
        Some(stem) => (stem, stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem)),
        None => file.strip_suffix(".py").map(|stem| (stem, stem))?,
    };
    (!name.is_empty() && !stem.starts_with('.')).then(|| name.to_owned())
}

fn conf_name(path: &Path) -> Option<(String, bool)> {
    let file = path.file_name()?.to_str()?;
    if file.starts_with('.') {
        return None;
    }
    let (name, on) = match (file.strip_suffix(".on"), file.strip_suffix(".off")) {
        (Some(name), _) => (name, true),
        (None, Some(name)) => (name, false),
        (None, None) => return None,
    };
    (!name.is_empty()).then(|| (name.to_owned(), on))
}

/// What is to become of a module.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one a module, and most are of the large kind")]
pub enum Planned {
    /// It runs.
    Run {
        /// The plugin that provides it.
        plugin: PluginFile,
        /// How it runs.
        conf: ModuleConf,
    },
    /// It runs, and is part of the daemon.
    BuiltIn(BuiltInConf),
    /// Its `.off` keeps it off, or what stands in its `.on`: then this says so.
    Off(String),
    /// It cannot run.
    Rejected(String),
}

/// A module and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is to become of it.
    pub what: Planned,
    /// The file that says so: the plugin's, or the `.on` or `.off`.
    pub file: PathBuf,
    /// The plugin that it speaks for, which does not run by itself as well.
    pub speaks_for: Option<String>,
}

/// Says for every module what is to become of it.
#[must_use]
pub fn plan(seen: &Seen) -> BTreeMap<String, Plan> {
    plan_after(seen, |_| None)
}

/// The same, where things have been planned before: a module whose files are being written keeps the plan that it has until
/// they are whole.
#[must_use]
pub fn plan_after(seen: &Seen, before: impl Fn(&str) -> Option<Plan>) -> BTreeMap<String, Plan> {
    let mut plans = BTreeMap::new();
    // Plugins that some `.on` or `.off` speaks of do not run by themselves as well.
    let mut spoken_for: BTreeSet<String> = BTreeSet::new();
    let keep = |name: &String| before(name).map(|plan| (name.clone(), plan));
    for (name, plan) in seen.unfinished_confs.iter().filter_map(keep) {
        spoken_for.extend(plan.speaks_for.clone());
        plans.insert(name, plan);
    }
    spoken_for.extend(seen.unfinished_confs.iter().cloned());
    for (name, files) in &seen.confs {
        spoken_for.insert(name.clone());
        if seen.unfinished_confs.contains(name) {
            continue;
        }
        let (what, speaks_for) = match files.as_slice() {
            [file] if file.on => run(name, file, seen),
            [file] => (Some(Planned::Off(String::new())), file.speaks_for.clone()),
            files => {
                let both: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
                let why = format!("{} both speak of {name}; remove one", both.join(" and "));
                (Some(Planned::Rejected(why)), files.iter().find_map(|file| file.speaks_for.clone()))
            }
        };
        spoken_for.extend(speaks_for.clone());
        match what {
            Some(what) => _ = plans.insert(name.clone(), Plan { what, file: files[0].path.clone(), speaks_for }),
            None => plans.extend(keep(name)),
        }
    }
    for name in seen.unfinished_plugins.iter().filter(|name| !spoken_for.contains(*name)) {
        plans.extend(keep(name));
    }
    for (name, files) in &seen.plugins {
        let helpers = files.iter().all(|file| file.kind == PluginKind::Helper);
        if helpers || spoken_for.contains(name) || seen.unfinished_plugins.contains(name) {
            continue;
        }
        let what = match only_file(name, seen) {
            Ok(plugin) => Planned::Run { plugin, conf: ModuleConf::default() },
            Err(why) => Planned::Rejected(why),
        };
        plans.insert(name.clone(), Plan { what, file: files[0].path.clone(), speaks_for: None });
    }
    plans
}

/// What is to become of a `.on`'s module, if that can be told by now, and the plugin that it speaks for.
fn run(name: &str, file: &ConfFile, seen: &Seen) -> (Option<Planned>, Option<String>) {
    if let Some(planned) = built_in(name, file) {
        return planned;
    }
    let conf = match &file.text {
        Ok(text) => ModuleConf::parse(&file.path, text).map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    let conf = match conf {
        Ok(conf) => conf,
        Err(why) => {
            // It speaks for its plugin all the same: a slip in it must not start that by itself.
            return (Some(Planned::Rejected(why)), file.speaks_for.clone());
        }
    };
    let plugin = conf.plugin.clone().unwrap_or_else(|| name.to_owned());
    if seen.unfinished_plugins.contains(&plugin) {
        return (None, Some(plugin));
    }
    let found = only_file(&plugin, seen);
    let what = match found {
        _ if conf.pyconf.as_ref().is_some_and(|pyconf| pyconf.disabled) => {
            let line = "enabled = no stands in it; take that out to run it";
            Planned::Off(format!("{}: {line}", file.path.display()))
        }
        Ok(plugin) => Planned::Run { plugin, conf },
        Err(why) => Planned::Rejected(format!("{}: {why}", file.path.display())),
    };
    (Some(what), Some(plugin))
}

/// The same, if it speaks for a module that is built in: those have keys of their own.
fn built_in(name: &str, file: &ConfFile) -> Option<(Option<Planned>, Option<String>)> {
    let plugin = file.speaks_for.as_deref().unwrap_or(name);
    let conf = BuiltInConf::parse(plugin, &file.path, file.text.as_ref().ok()?)?;
    let what = conf.map_or_else(|error| Planned::Rejected(error.to_string()), Planned::BuiltIn);
    Some((Some(what), Some(plugin.to_owned())))
}

/// What stands in a file that others can write: good for nothing but to keep a plugin from running by itself.
fn unbelieved(path: &Path) -> Option<String> {
    // Opening a pipe would wait.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    read_text(&fs::File::open(path).ok()?, path).ok()
}

/// The plugin that a `.on` or `.off` speaks for, as well as can be told where it is broken.
fn spoken_plugin(text: &str) -> Option<String> {
    if looks_like_gmond(text.as_bytes()) {
        return plugin_spoken_for(Path::new(""), text);
    }
    let value =
        text.lines().find_map(|line| line.trim_start().strip_prefix("plugin")?.trim_start().strip_prefix('='))?;
    let (_, rest) = value.split_once(['"', '\''])?;
    Some(rest.split(['"', '\'']).next().unwrap_or(rest).to_owned())
}

fn only_file(plugin: &str, seen: &Seen) -> Result<PluginFile, String> {
    let modules =
        |files: &Vec<PluginFile>| files.iter().filter(|file| file.kind != PluginKind::Helper).cloned().collect();
    let found: Option<Vec<PluginFile>> = seen.plugins.get(plugin).map(modules);
    match found.as_deref() {
        Some([]) => Err(format!(
            "{plugin}.py is no module: it has neither metric_init, as a gmond module, nor process, as a pipe"
        )),
        Some([file]) => file.refused.clone().map_or_else(|| Ok(file.clone()), Err),
        Some(files) => {
            let names: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
            Err(format!("{} are all the plugin {plugin:?}; remove all but one", names.join(" and ")))
        }
        None if plugin.strip_prefix("lib").is_some_and(|name| seen.plugins.contains_key(name)) => {
            let name = &plugin[3..];
            Err(format!("{plugin}.so is the plugin {name:?}: a file's \"lib\" is no part of its name"))
        }
        None => Err(match nearest(plugin, seen.plugins.keys().map(String::as_str)) {
            Some(near) => {
                format!("there is no plugin {plugin:?} (no {plugin}.so, no {plugin}.py); did you mean {near:?}?")
            }
            None => format!("there is no plugin {plugin:?} (no {plugin}.so, no {plugin}.py)"),
        }),
    }
}

#[cfg(test)]
mod tests;
