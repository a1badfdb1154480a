//! Loading, on threads of its own: opening a file and a module's `new` may take their time, the core may not.

use super::body::{Apart, CollectorBody, PipeBody, refused};
use super::branch::Branch;
use super::collector::Collecting;
use super::crash::{Blamed, Tag, fingerprint};
use super::fence::{Age, Callee, Desk, Doing, spawn};
use super::files::{Folders, PluginFile, Stamp, open_trusted};
use super::library::{Declared, Library};
use super::probe::{Refusal, probe, refusal};
use super::stats::ModuleStats;
use crate::conf::{Isolation, ModuleConf, nearest};
use crate::core::{Event, Events};
use crate::limits::{
    BATCH_TIME_MAX, COLLECT_EVERY, COLLECT_TIME_MAX, NEW_TIME_MAX, PLUGIN_BYTES_MAX, WORKER_GRACE, WORKER_MEMORY_BYTES,
};
use crate::worker::{Worker, WorkerConf, WorkerError};
use parking_lot::Mutex;
use plugin_api::Fields;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
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
    Pipe { wants: Fields, by_log: Vec<(String, PipeBody)> },
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
    watched: Vec<Watched>,
    blamed: Arc<Blamed>,
}

type Newest = Arc<Mutex<HashMap<String, u64>>>;

#[derive(Debug, Default)]
struct Watched {
    desk: Arc<Desk<Hand>>,
    age: Age,
    /// What no thread could be started for yet.
    stranded: Option<Box<Hand>>,
}

/// What a loading thread works with.
#[derive(Clone, Debug)]
struct Hand {
    todo: Arc<Mutex<Receiver<Job>>>,
    newest: Newest,
    events: Events,
    folders: Folders,
    aside: PathBuf,
    host: String,
    blamed: Arc<Blamed>,
}

impl Loader {
    /// Starts the loader. Plugins are copied to `aside` and loaded from there: what lies in `plugins/` may be written
    /// over at any time.
    ///
    /// # Errors
    /// The folder cannot be made, or the threads not be started.
    pub(crate) fn start(
        aside: &Path,
        host: &str,
        events: &Events,
        folders: &Folders,
        blamed: Arc<Blamed>,
    ) -> io::Result<Loader> {
        fs::create_dir_all(aside)?;
        let (jobs, todo) = channel::<Job>();
        let newest = Newest::default();
        let hand = Hand {
            todo: Arc::new(Mutex::new(todo)),
            newest: Arc::clone(&newest),
            events: events.clone(),
            folders: folders.clone(),
            aside: aside.to_owned(),
            host: host.to_owned(),
            blamed: Arc::clone(&blamed),
        };
        let watched: Vec<Watched> = (0..THREADS).map(|_| Watched::default()).collect();
        for one in &watched {
            start(Box::new(hand.clone()), &one.desk).map_err(|(error, _)| error)?;
        }
        Ok(Loader { jobs, newest, watched, blamed })
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

    /// Who has killed the daemon.
    pub(crate) fn blamed(&self) -> &Blamed {
        &self.blamed
    }

    /// Gives up what does not come back from being made; `apart` is the time between two looks.
    pub(crate) fn watch(&mut self, apart: Duration, now: Instant) -> Vec<Arc<Callee>> {
        let mut given_up = Vec::new();
        for Watched { desk, age, stranded } in &mut self.watched {
            let call = desk.under_way();
            let age = age.look(call.as_ref(), apart, now);
            if let Some(call) = call.filter(|call| age > call.callee.give_up_after.max(NEW_TIME_MAX))
                && let Some(hand) = desk.take_over(&call)
            {
                given_up.push(call.callee);
                *stranded = Some(hand);
            }
            if let Some(hand) = stranded.take()
                && let Err((error, hand)) = start(hand, desk)
            {
                tracing::error!("a thread that loads plugins cannot be started: {error}");
                *stranded = hand;
            }
        }
        given_up
    }
}

fn start(hand: Box<Hand>, desk: &Arc<Desk<Hand>>) -> Result<(), (io::Error, Option<Box<Hand>>)> {
    let desk = Arc::clone(desk);
    spawn("graftd-load", hand, move |hand| run(hand, &desk))
}

fn run(mut hand: Box<Hand>, desk: &Desk<Hand>) {
    loop {
        // One waits for the next job, the others for their turn to wait.
        let Ok(job) = hand.todo.lock().recv() else { return };
        if hand.newest.lock().get(&job.name) != Some(&job.generation) {
            continue;
        }
        let result = match prepare(&job, &hand) {
            Err(refusal) => Err(refusal),
            Ok(prepared) if prepared.isolated => make_apart(&job, prepared, &hand.blamed),
            Ok(prepared) => {
                let callee = Arc::clone(&prepared.callee);
                let made = desk.call(hand, &callee, Doing::New, Instant::now(), || make(&job, prepared));
                let Some((back, made)) = made else { return };
                hand = back;
                made
            }
        };
        let Job { name, generation, .. } = job;
        if !hand.events.send(Event::Loaded(Loaded { name, generation, result })) {
            return;
        }
    }
}

/// A plugin that may be let in.
struct Prepared {
    copy: Copy,
    callee: Arc<Callee>,
    branch: Branch,
    is_pipe: bool,
    isolated: bool,
    remark: String,
}

/// Copies a plugin aside, probes it, and decides where it is to run.
fn prepare(job: &Job, hand: &Hand) -> Result<Prepared, Refusal> {
    let file = &job.plugin.path;
    let copy = Copy::of(&job.plugin, &hand.folders, &hand.aside)?;
    let probed = probe(&copy.path, job.conf_file.as_deref()).map_err(|refusal| {
        // What is wrong in the `.on` is said with its place already.
        let placed = job.conf_file.as_deref().is_some_and(|conf| refusal.why.starts_with(&*conf.to_string_lossy()));
        if placed { refusal } else { named(file, refusal) }
    })?;
    let branch = Branch::of(&job.name, &job.conf, &probed.declared, &hand.host)?;
    let mut isolated = job.conf.isolation == Isolation::Process;
    let mut remark = String::new();
    if let Some(why) = job.apart.as_ref().filter(|_| !isolated) {
        isolated = true;
        remark = format!("runs in a process of its own, for it {why}");
    }
    if let Some(blame) = hand.blamed.of(&job.name, copy.fingerprint) {
        if blame.deaths > 1 {
            return Err(Refusal::from(format!(
                "{}; put a mended build in its place, or try it again with `graftd modules reload {}`",
                blame.why, job.name
            )));
        }
        isolated = true;
        remark = format!("runs in a process of its own, for it {}", blame.why);
    }
    let default = if probed.declared.is_pipe { BATCH_TIME_MAX } else { COLLECT_TIME_MAX };
    let time_limit = job.conf.time_limit.unwrap_or(default);
    let callee = Arc::new(Callee {
        module: job.name.clone(),
        tag: Tag::new(&job.name, copy.fingerprint),
        generation: job.generation,
        stats: Arc::clone(&job.stats),
        time_limit,
        give_up_after: if isolated { time_limit * 2 + WORKER_GRACE } else { time_limit },
    });
    Ok(Prepared { copy, callee, branch, is_pipe: probed.declared.is_pipe, isolated, remark })
}

/// Loads it, and makes its module.
fn make(job: &Job, prepared: Prepared) -> Result<Ready, Refusal> {
    let Prepared { copy, callee, branch, isolated, remark, .. } = prepared;
    let library = Library::load(&copy.path).map_err(|why| named(&job.plugin.path, why.into()))?;
    drop(copy);
    check_conf(&library.declared(), &job.conf)?;
    let what = if library.is_pipe() {
        let make = |log: &String| {
            let pipe = library.pipe(&job.conf.params).map_err(|error| refusal(&error, &job.conf))?;
            Ok((log.clone(), PipeBody::Here(pipe)))
        };
        ReadyWhat::Pipe { wants: library.wants(), by_log: job.logs.iter().map(make).collect::<Result<_, Refusal>>()? }
    } else {
        let collector = library.collector(&job.conf.params).map_err(|error| refusal(&error, &job.conf))?;
        collecting(job, &callee, &branch, CollectorBody::Here(collector))
    };
    Ok(Ready { callee, branch, what, isolated, remark })
}

/// Starts a process for it, or one for each log, which loads it and makes its module.
fn make_apart(job: &Job, prepared: Prepared, blamed: &Blamed) -> Result<Ready, Refusal> {
    let Prepared { copy, callee, branch, is_pipe, isolated, remark } = prepared;
    let conf = WorkerConf {
        exe: Path::new(WorkerConf::THIS_EXE),
        plugin: &copy.path,
        params: &job.conf.params,
        start_limit: NEW_TIME_MAX,
        time_limit: callee.time_limit,
        memory_bytes: job.conf.memory_limit.unwrap_or(WORKER_MEMORY_BYTES),
    };
    let start = || {
        Worker::start(&conf).map_err(|error| {
            let died = matches!(error, WorkerError::Died(_) | WorkerError::Late { .. });
            let why = error.to_string();
            if died && blamed.again(&callee.tag, &why) {
                second_death(&why, &job.name).into()
            } else {
                refused(error, &job.conf)
            }
        })
    };
    let what = if is_pipe {
        let by_log = job.logs.iter().map(|log| Ok((log.clone(), start()?))).collect::<Result<Vec<_>, Refusal>>()?;
        let wants = by_log.first().map_or(Fields::NONE, |(_, worker)| worker.wants());
        let by_log = by_log.into_iter().map(|(log, worker)| (log, PipeBody::Apart(Apart::new(worker))));
        ReadyWhat::Pipe { wants, by_log: by_log.collect() }
    } else {
        collecting(job, &callee, &branch, CollectorBody::Apart(Apart::new(start()?)))
    };
    Ok(Ready { callee, branch, what, isolated, remark })
}

fn collecting(job: &Job, callee: &Arc<Callee>, branch: &Branch, collector: CollectorBody) -> ReadyWhat {
    ReadyWhat::Collector(Collecting {
        callee: Arc::clone(callee),
        collector,
        branch: branch.clone(),
        every: job.conf.every.unwrap_or(COLLECT_EVERY),
    })
}

/// What is said of a module that has killed the daemon, and died again where it could not.
pub(super) fn second_death(why: &str, module: &str) -> String {
    format!(
        "{why}, and it has killed the daemon before; put a mended build in its place, or try it again with \
         `graftd modules reload {module}`"
    )
}

/// Says which file it is that is refused.
fn named(file: &Path, Refusal { why, again }: Refusal) -> Refusal {
    Refusal { why: format!("{}: {why}", file.display()), again }
}

/// A copy of a plugin that nobody else writes to. Once mapped it is needed no more: nothing is left behind whatever
/// happens later.
#[derive(Debug)]
struct Copy {
    path: PathBuf,
    fingerprint: u64,
}

impl Copy {
    fn of(plugin: &PluginFile, folders: &Folders, aside: &Path) -> Result<Copy, Refusal> {
        static COPIES: AtomicU64 = AtomicU64::new(0);
        let file = &plugin.path;
        let now = |error: io::Error| named(file, Refusal::now(format!("cannot be copied aside: {error}")));
        // It is read from what was opened and checked: its path may lead elsewhere by then.
        let mut open = open_trusted(file, folders)?;
        let meta = open.metadata().map_err(now)?;
        if meta.len() > PLUGIN_BYTES_MAX {
            let why = format!("is {} bytes long; a plugin has at most {PLUGIN_BYTES_MAX}", meta.len());
            return Err(named(file, why.into()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        (&mut open).take(PLUGIN_BYTES_MAX).read_to_end(&mut bytes).map_err(now)?;
        if Stamp::of(&open.metadata().map_err(now)?) != plugin.stamp {
            return Err(named(file, Refusal::now("changed while it was read".to_owned())));
        }
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let path = aside.join(format!("{stem}-{}.so", COPIES.fetch_add(1, Ordering::Relaxed)));
        let copy = Copy { path, fingerprint: fingerprint(&bytes) };
        fs::write(&copy.path, &bytes).map_err(now)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Refuses what a module's `.on` says and its plugin knows nothing of.
///
/// # Errors
/// An interval for a pipe, or a parameter that is not declared: names the first, and the nearest that is.
pub fn check_conf(declared: &Declared, conf: &ModuleConf) -> Result<(), String> {
    if declared.is_pipe && conf.every.is_some() {
        return Err(conf.place("\"every\" is for collectors; a pipe is fed as lines come"));
    }
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
