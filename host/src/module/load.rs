//! Loading, on threads of its own: opening a file and a module's `new` may take their time, the core may not.

use super::body::PipeBody;
use super::branch::Branch;
use super::collector::Collecting;
use super::copy::Copy;
use super::crash::Blamed;
use super::fence::{Callee, Desk, Doing, Started, Watched, spawn};
use super::files::{Folders, PluginFile};
use super::gmod::{Around, GmodMaker, language};
use super::library::Declared;
use super::make::{make_apart, make_here, prepare};
use super::probe::Refusal;
use super::stats::ModuleStats;
use crate::conf::{ModuleConf, nearest};
use crate::core::{Event, Events};
use crate::ingest::Grouping;
use crate::limits::{LOADER_REST, NEW_TIME_MAX};
use parking_lot::{Condvar, Mutex};
use plugin_api::Fields;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// The module runs, in other logs: this is for the life of that generation.
    pub(crate) joins: bool,
    pub(crate) stats: Arc<ModuleStats>,
    /// Why it is to run in a process of its own although its `.on` does not say so.
    pub(crate) apart: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) result: Result<Ready, Refusal>,
    /// The logs that want a pipe, where the module runs already.
    pub(crate) joins: Option<Vec<String>>,
}

impl Loaded {
    /// What came of a job.
    pub(crate) fn of(job: Job, result: Result<Ready, Refusal>) -> Loaded {
        Loaded { name: job.name, generation: job.generation, result, joins: job.joins.then_some(job.logs) }
    }
}

/// A module that is ready to run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) callee: Arc<Callee>,
    pub(crate) branch: Branch,
    pub(crate) what: ReadyWhat,
    /// It runs in a process of its own.
    pub(crate) isolated: bool,
    /// Something that is to be said of it although it runs.
    pub(crate) remark: String,
}

#[derive(Debug)]
pub(crate) enum ReadyWhat {
    Pipe { wants: Fields, grouping: Option<Grouping>, by_log: Vec<(String, PipeBody)> },
    Collector(Collecting),
}

/// Threads that load, at most: one that is held up by a plugin leaves the others to the rest. They are there when there is something
/// to load.
const THREADS: usize = 8;

/// Loads plugins and makes their modules.
#[derive(Debug)]
pub struct Loader {
    queue: Arc<Queue>,
    watched: Vec<Watched<Hand>>,
    blamed: Arc<Blamed>,
    gmod: GmodMaker,
}

/// What waits to be loaded: of each module the newest job alone, so there are never more than modules.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// No more will come.
    closed: bool,
    /// Threads that wait for a job.
    idle: usize,
    /// What threads that are not there at the moment would work with.
    resting: Vec<Rest>,
}

/// What a thread works with, and its desk.
type Rest = (Box<Hand>, Arc<Desk<Hand>>);

impl Queue {
    fn put(&self, job: Job) {
        let mut waiting = self.waiting.lock();
        match waiting.jobs.iter_mut().find(|waiting| waiting.name == job.name) {
            Some(waiting) => *waiting = job,
            None => waiting.jobs.push_back(job),
        }
        drop(waiting);
        self.more.notify_one();
        self.rouse();
    }

    /// Starts a thread, if more waits than threads that could take it, and one may be.
    fn rouse(&self) {
        let mut waiting = self.waiting.lock();
        let wanted = waiting.jobs.len() > waiting.idle && !waiting.closed;
        let Some((hand, desk)) = waiting.resting.pop_if(|_| wanted) else { return };
        drop(waiting);
        if let Err((error, hand)) = start(hand, &desk) {
            tracing::error!("no thread to load modules: {error}; it is tried again");
            self.waiting.lock().resting.extend(hand.map(|hand| (hand, desk)));
        }
    }

    /// The next, waited for; none when no more will come, or none has come for long: then the hand rests.
    fn take(&self, hand: Box<Hand>, desk: &Arc<Desk<Hand>>) -> Option<(Box<Hand>, Job)> {
        let mut waiting = self.waiting.lock();
        let until = Instant::now() + LOADER_REST;
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(job) = waiting.jobs.pop_front() {
                return Some((hand, job));
            }
            waiting.idle += 1;
            let over = self.more.wait_until(&mut waiting, until).timed_out();
            waiting.idle -= 1;
            if over && waiting.jobs.is_empty() && !waiting.closed {
                waiting.resting.push((hand, Arc::clone(desk)));
                return None;
            }
        }
    }
}

/// What a loading thread works with.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    queue: Arc<Queue>,
    events: Events,
    pub(super) folders: Folders,
    pub(super) aside: PathBuf,
    pub(super) host: String,
    pub(super) blamed: Arc<Blamed>,
    /// The daemon is to be small.
    small: bool,
    gmod: GmodMaker,
}

impl Loader {
    /// Starts the loader. Plugins are copied to `aside` and loaded from there: what lies in `plugins/` may be written
    /// over at any time. What workers ask to be kept lies in `data`. A daemon that is to be `small` lets go of what only loading needs.
    ///
    /// # Errors
    /// The folder cannot be made (or is there already, so that nobody knows who made it).
    pub(crate) fn start(
        aside: &Path,
        data: &Path,
        host: &str,
        events: &Events,
        folders: &Folders,
        blamed: Arc<Blamed>,
        small: bool,
    ) -> io::Result<Loader> {
        fs::DirBuilder::new().mode(0o700).create(aside)?;
        let queue = Arc::new(Queue::default());
        let gmod = GmodMaker::new(data);
        let hand = Hand {
            queue: Arc::clone(&queue),
            events: events.clone(),
            folders: folders.clone(),
            aside: aside.to_owned(),
            host: host.to_owned(),
            blamed: Arc::clone(&blamed),
            small,
            gmod: gmod.clone(),
        };
        let mut watched = Vec::new();
        for _ in 0..THREADS {
            let desk = Arc::new(Desk::default());
            queue.waiting.lock().resting.push((Box::new(hand.clone()), Arc::clone(&desk)));
            watched.push(Watched::new(desk));
        }
        Ok(Loader { queue, watched, blamed, gmod })
    }

    /// Has a module loaded; an [`Event::Loaded`] will tell, unless a newer load of the same module comes first.
    pub(crate) fn load(&self, job: Job) {
        self.queue.put(job);
    }

    /// The module is gone, and so is what it was to become.
    pub(crate) fn forget(&self, name: &str) {
        self.queue.waiting.lock().jobs.retain(|job| job.name != name);
        self.gmod.forget(name);
    }

    /// Who has killed the daemon.
    pub(crate) fn blamed(&self) -> &Blamed {
        &self.blamed
    }

    /// Nothing is being made, and nothing waits to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.waiting.lock().jobs.is_empty() && self.watched.iter().all(Watched::is_idle)
    }

    /// Gives up what does not come back from being made; `apart` is the time between two looks.
    pub(crate) fn watch(&self, apart: Duration, now: Instant) -> Vec<Arc<Callee>> {
        self.queue.rouse();
        let looks = self.watched.iter().filter_map(|one| one.look(apart, now, |_| NEW_TIME_MAX, |_, _, _| {}, start));
        looks.filter(|look| look.given_up).map(|look| look.call.callee).collect()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        waiting.closed = true;
        // They have the queue.
        let resting = std::mem::take(&mut waiting.resting);
        drop(waiting);
        drop(resting);
        self.queue.more.notify_all();
    }
}

fn start(hand: Box<Hand>, desk: &Arc<Desk<Hand>>) -> Started<Hand> {
    let desk = Arc::clone(desk);
    spawn("graftd-load", hand, move |hand| run(hand, &desk))
}

fn run(mut hand: Box<Hand>, desk: &Arc<Desk<Hand>>) {
    loop {
        let queue = Arc::clone(&hand.queue);
        let Some((taken, job)) = queue.take(hand, desk) else { return };
        hand = taken;
        let taken =
            Copy::of(&job.plugin, &hand.folders, &hand.aside).and_then(|copy| Ok((language(&job, &copy)?, copy)));
        let copy = match taken {
            Ok((None, copy)) => copy,
            Ok((Some(language), copy)) => {
                let Hand { events, folders, host, .. } = &*hand;
                let around = Around { events: events.clone(), folders: folders.clone(), host: host.clone() };
                hand.gmod.begin(job, copy, language, around);
                continue;
            }
            Err(refusal) => {
                if !hand.events.send(Event::Loaded(Loaded::of(job, Err(refusal)))) {
                    return;
                }
                continue;
            }
        };
        let result = match prepare(&job, copy, &hand) {
            Err(refusal) => Err(refusal),
            Ok(prepared) if prepared.isolated => make_apart(&job, prepared, &hand.blamed),
            Ok(prepared) => {
                let (callee, lets_go) = (Arc::clone(&prepared.callee), hand.small);
                let made = desk.call(hand, &callee, Doing::New, Instant::now(), || make_here(&job, prepared, lets_go));
                let Some((back, made)) = made else { return };
                hand = back;
                made
            }
        };
        if !hand.events.send(Event::Loaded(Loaded::of(job, result))) {
            return;
        }
    }
}

/// Why a collector is refused that is to be grouped.
pub(super) const BY_IS_FOR_PIPES: &str = "\"by\" is for pipes, whose lines it groups; a collector samples once for all";

/// What a `.on` says of groups, with the database that it takes.
///
/// # Errors
/// That cannot be read.
pub(crate) fn grouping(conf: &ModuleConf) -> Result<Option<Grouping>, String> {
    Grouping::open(conf.by.as_ref()).map_err(|why| conf.place(&why))
}

/// Refuses what a module's `.on` says and its plugin knows nothing of.
///
/// # Errors
/// An interval for a pipe, groups for a collector, a database that cannot be read, or a parameter that is not declared: names the first, and the nearest that is.
pub fn check_conf(declared: &Declared, conf: &ModuleConf) -> Result<(), String> {
    if declared.is_pipe && conf.every.is_some() {
        return Err(conf.place("\"every\" is for collectors; a pipe is fed as lines come"));
    }
    if !declared.is_pipe && conf.by.is_some() {
        return Err(conf.place(BY_IS_FOR_PIPES));
    }
    grouping(conf)?;
    let known = || declared.params.iter().map(|param| param.name.as_str());
    let Some((name, _)) = conf.params.iter().find(|(name, _)| !known().any(|known| known == *name)) else {
        return Ok(());
    };
    let why = match nearest(name, known()) {
        Some(near) => format!("params: unknown {name:?}; did you mean {near:?}?"),
        None if declared.params.is_empty() => format!("params: unknown {name:?}; the plugin takes none"),
        None => format!("params: unknown {name:?}; known are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(conf.place(&why))
}
