//! Loading, on a thread of its own: opening a file and a module's `new` may take their time, the core may not.

use super::branch::Branch;
use super::collector::Collecting;
use super::library::{Collector, Library, Pipe};
use super::probe::probe;
use super::scan::PluginFile;
use crate::conf::{ModuleConf, nearest};
use crate::core::{Event, Events};
use crate::limits::COLLECT_EVERY;
use plugin_api::Params;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// What is to be loaded.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The module's name.
    pub(crate) name: String,
    /// Tells this load from earlier ones of the same module.
    pub(crate) generation: u64,
    pub(crate) plugin: PluginFile,
    pub(crate) conf: ModuleConf,
    /// Where that stands; none for a plugin that runs with its defaults.
    pub(crate) conf_file: Option<PathBuf>,
    /// The logs that want a pipe.
    pub(crate) logs: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) result: Result<Ready, String>,
}

/// A module that is ready to run.
#[derive(Debug)]
pub enum Ready {
    Pipe { library: Arc<Library>, branch: Branch, by_log: Vec<(String, Pipe)> },
    Collector(Collecting),
}

/// Loads plugins and makes their modules.
#[derive(Debug)]
pub struct Loader {
    jobs: Sender<Job>,
}

impl Loader {
    /// Starts the loader. Plugins are copied to `aside` and loaded from there: what lies in
    /// `plugins/` may be written over at any time.
    ///
    /// # Errors
    /// The folder cannot be made, or the thread not be started.
    pub(crate) fn start(aside: PathBuf, host: String, events: Events) -> io::Result<Loader> {
        fs::create_dir_all(&aside)?;
        let (jobs, todo) = channel::<Job>();
        thread::Builder::new().name("graftd-load".to_owned()).spawn(move || {
            for job in todo {
                let Job { name, generation, .. } = job.clone();
                let result = load(&job, &aside, &host);
                if !events.send(Event::Loaded(Loaded { name, generation, result })) {
                    break;
                }
            }
        })?;
        Ok(Loader { jobs })
    }

    /// Has a module loaded; an [`Event::Loaded`] will tell.
    pub(crate) fn load(&self, job: Job) {
        // The thread ends only when this end is dropped.
        let _ = self.jobs.send(job);
    }
}

fn load(job: &Job, aside: &Path, host: &str) -> Result<Ready, String> {
    let library = open(&job.plugin.path, job.conf_file.as_deref(), aside)?;
    check_conf(&library, &job.conf)?;
    let branch = Branch::of(&job.name, &job.conf, &library, host)?;
    if library.is_pipe() {
        let make = |log: &String| {
            let pipe = library.pipe(&job.conf.params).map_err(|error| error.to_string())?;
            Ok((log.clone(), pipe))
        };
        let by_log = job.logs.iter().map(make).collect::<Result<_, String>>()?;
        return Ok(Ready::Pipe { library, branch, by_log });
    }
    let collector: Collector = library.collector(&job.conf.params).map_err(|error| error.to_string())?;
    Ok(Ready::Collector(Collecting { collector, branch, every: job.conf.every.unwrap_or(COLLECT_EVERY) }))
}

/// Probes a plugin and loads it, both from a copy that nobody else writes to.
///
/// # Errors
/// The file cannot be copied, or it is no plugin for this daemon.
pub fn open(file: &Path, conf: Option<&Path>, aside: &Path) -> Result<Arc<Library>, String> {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    if !fs::metadata(file).map_err(|error| said(&error))?.is_file() {
        return Err(said(&"no regular file"));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let copy = aside.join(format!("{stem}-{}.so", COPIES.fetch_add(1, Ordering::Relaxed)));
    let copied = fs::copy(file, &copy).map_err(|error| said(&format_args!("cannot be copied aside: {error}")));
    let loaded = copied.and_then(|_| probe(&copy, conf).and_then(|_| Library::load(&copy)).map_err(|why| said(&why)));
    // Once mapped it is needed no more, and nothing is left behind whatever happens later.
    let _ = fs::remove_file(&copy);
    loaded
}

/// Refuses what a module's `.on` says and its plugin knows nothing of.
///
/// # Errors
/// An interval for a pipe, or a parameter that is not declared: names the first, and the nearest that is.
pub fn check_conf(library: &Library, conf: &ModuleConf) -> Result<(), String> {
    if library.is_pipe() && conf.every.is_some() {
        return Err("\"every\" is for collectors; a pipe is fed as lines come".to_owned());
    }
    check_params(library, &conf.params)
}

fn check_params(library: &Library, params: &Params) -> Result<(), String> {
    let known = || library.params().iter().map(|param| param.name.as_str());
    for (name, _) in params.iter() {
        if !known().any(|known| known == name) {
            return Err(match nearest(name, known()) {
                Some(near) => format!("params: unknown {name:?}; did you mean {near:?}?"),
                None if library.params().is_empty() => format!("params: unknown {name:?}; the plugin takes none"),
                None => format!("params: unknown {name:?}; known are {}", known().collect::<Vec<_>>().join(", ")),
            });
        }
    }
    Ok(())
}
