//! Loading, on a thread of its own: opening a file and a module's `new` may take their time, the core may not.

use super::branch::Branch;
use super::collector::Collecting;
use super::library::{Collector, Library, Pipe};
use super::probe::{Refusal, probe, refusal};
use super::scan::PluginFile;
use crate::conf::{ModuleConf, nearest};
use crate::core::{Event, Events};
use crate::limits::{COLLECT_EVERY, PLUGIN_BYTES_MAX};
use parking_lot::Mutex;
use plugin_api::Params;
use std::collections::HashMap;
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
    pub(crate) result: Result<Ready, Refusal>,
}

/// A module that is ready to run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) branch: Branch,
    pub(crate) what: ReadyWhat,
}

#[derive(Debug)]
pub(crate) enum ReadyWhat {
    Pipe { library: Arc<Library>, by_log: Vec<(String, Pipe)> },
    Collector(Collecting),
}

/// Threads that load: one that is held up by a plugin leaves the others to the rest.
const THREADS: usize = 4;

/// Loads plugins and makes their modules.
#[derive(Debug)]
pub struct Loader {
    jobs: Sender<Job>,
    /// The newest load of each module: an older one that has not begun is left out.
    newest: Newest,
}

type Newest = Arc<Mutex<HashMap<String, u64>>>;

impl Loader {
    /// Starts the loader. Plugins are copied to `aside` and loaded from there: what lies in `plugins/` may be written
    /// over at any time.
    ///
    /// # Errors
    /// The folder cannot be made, or the threads not be started.
    pub(crate) fn start(aside: &Path, host: &str, events: &Events) -> io::Result<Loader> {
        fs::create_dir_all(aside)?;
        let (jobs, todo) = channel::<Job>();
        let todo = Arc::new(Mutex::new(todo));
        let newest = Newest::default();
        for _ in 0..THREADS {
            let (todo, newest, events) = (Arc::clone(&todo), Arc::clone(&newest), events.clone());
            let (aside, host) = (aside.to_owned(), host.to_owned());
            thread::Builder::new().name("graftd-load".to_owned()).spawn(move || {
                loop {
                    // One waits for the next job, the others for their turn to wait.
                    let Ok(job) = todo.lock().recv() else { return };
                    let Job { name, generation, .. } = job.clone();
                    if newest.lock().get(&name) != Some(&generation) {
                        continue;
                    }
                    let result = load(&job, &aside, &host);
                    if !events.send(Event::Loaded(Loaded { name, generation, result })) {
                        return;
                    }
                }
            })?;
        }
        Ok(Loader { jobs, newest })
    }

    /// Has a module loaded; an [`Event::Loaded`] will tell, unless a newer load of the same module comes first.
    pub(crate) fn load(&self, job: Job) {
        self.newest.lock().insert(job.name.clone(), job.generation);
        // The threads end only when this end is dropped.
        let _ = self.jobs.send(job);
    }

    /// The module is gone, and so is what it was to become.
    pub(crate) fn forget(&self, name: &str) {
        self.newest.lock().remove(name);
    }
}

fn load(job: &Job, aside: &Path, host: &str) -> Result<Ready, Refusal> {
    let library = open(&job.plugin.path, job.conf_file.as_deref(), aside)?;
    check_conf(&library, &job.conf)?;
    let branch = Branch::of(&job.name, &job.conf, &library, host)?;
    if library.is_pipe() {
        let make = |log: &String| {
            let pipe = library.pipe(&job.conf.params).map_err(|error| refusal(&error))?;
            Ok((log.clone(), pipe))
        };
        let by_log = job.logs.iter().map(make).collect::<Result<_, Refusal>>()?;
        return Ok(Ready { branch, what: ReadyWhat::Pipe { library, by_log } });
    }
    let collector: Collector = library.collector(&job.conf.params).map_err(|error| refusal(&error))?;
    let every = job.conf.every.unwrap_or(COLLECT_EVERY);
    let collecting = Collecting { collector, branch: branch.clone(), every };
    Ok(Ready { branch, what: ReadyWhat::Collector(collecting) })
}

/// Probes a plugin and loads it, both from a copy that nobody else writes to.
///
/// # Errors
/// The file cannot be copied, or it is no plugin for this daemon.
pub fn open(file: &Path, conf: Option<&Path>, aside: &Path) -> Result<Arc<Library>, Refusal> {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let said = |refusal: Refusal| Refusal { why: format!("{}: {}", file.display(), refusal.why), ..refusal };
    let meta = fs::metadata(file).map_err(|error| said(error.to_string().into()))?;
    if !meta.is_file() {
        return Err(said("no regular file".to_owned().into()));
    }
    if meta.len() > PLUGIN_BYTES_MAX {
        let why = format!("is {} bytes long; a plugin has at most {PLUGIN_BYTES_MAX}", meta.len());
        return Err(said(why.into()));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let copy = aside.join(format!("{stem}-{}.so", COPIES.fetch_add(1, Ordering::Relaxed)));
    let copied = fs::copy(file, &copy);
    let loaded = match copied {
        Ok(_) => probe(&copy, conf).and_then(|_| Library::load(&copy).map_err(Refusal::from)).map_err(said),
        Err(error) => Err(said(Refusal::now(format!("cannot be copied aside: {error}")))),
    };
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
