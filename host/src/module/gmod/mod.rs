//! Modules that another program runs: gmond's in Python and in C, and pipes in Python.
//!
//! There is no probe of them: the process in which one starts is its own, so its start is the probe, and what
//! `metric_init` does to the world it does once. What it says of itself decides where its branch hangs and how often it is asked.

mod kept;
mod once;
mod program;
mod starts;

pub(crate) use once::{Once, is_gmond_c, once, pipe};

use super::body::{Apart, CollectorBody, PipeBody, refused};
use super::branch::Branch;
use super::collector::Collecting;
use super::copy::{Copy, named};
use super::crash::Tag;
use super::fence::Callee;
use super::files::PluginKind;
use super::library::Declared;
use super::load::{BY_IS_FOR_PIPES, Job, Ready, ReadyWhat, grouping};
use super::probe::Refusal;
use crate::conf::ModuleConf;
use crate::limits::{
    BATCH_TIME_MAX, COLLECT_EVERY, COLLECT_TIME_MAX, GMOD_INIT_MAX, PLUGIN_BYTES_MAX, WORKER_BATCHES_AHEAD,
    WORKER_GRACE, WORKER_MEMORY_BYTES,
};
use crate::worker::{Cancel, Gmod, SharedWorkers, Worker, WorkerConf, WorkerError};
use gmod_compat::celf;
use gmod_compat::protocol::gmod::{Language, Start};
use kept::Kept;
use parking_lot::Mutex;
use plugin_api::ErrorKind;
use program::{Program, others_reach};
pub(super) use starts::Around;
use starts::Starts;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time limits that a call may take: for the batches that were handed over before, and for itself.
const CALLS: u32 = WORKER_BATCHES_AHEAD as u32 + 2;

/// Makes such modules.
#[derive(Clone, Debug)]
pub(super) struct GmodMaker {
    kept: Kept,
    /// Found when it is needed first, and looked for again only where it was not there.
    program: Arc<Mutex<Option<Program>>>,
    /// What is starting, by module.
    starts: Starts,
    shared: Arc<SharedWorkers>,
}

/// Which module is to be started, and where.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    /// The plugin's file.
    file: &'a Path,
    /// What is opened of it: a copy that nobody else writes.
    image: &'a Path,
    language: Language,
    conf: &'a ModuleConf,
    host: &'a str,
    cancel: Option<&'a Cancel>,
    /// Who wants to know what it printed.
    printed: Option<&'a Arc<Mutex<String>>>,
    /// Where its helpers lie.
    folder: Option<&'a Path>,
    /// The module's name, and the processes that it may share; none where it is tried alone.
    shared: Option<(&'a str, &'a SharedWorkers)>,
}

/// Which language a plugin's file is in, if another program is to run it.
pub(super) fn language(job: &Job, copy: &Copy) -> Result<Option<Language>, Refusal> {
    let file = &job.plugin.path;
    let language = language_of(job.plugin.kind, &copy.path).map_err(|refusal| named(file, refusal))?;
    may_share(&job.conf, language)?;
    Ok(language)
}

/// Refuses a shared process for what cannot be in one with others.
fn may_share(conf: &ModuleConf, language: Option<Language>) -> Result<(), Refusal> {
    let why = match language {
        _ if conf.worker.is_none() => return Ok(()),
        Some(Language::Python) => return Ok(()),
        Some(Language::C) => "a module in C always has a process of its own",
        None => "this plugin runs in the daemon, or with isolation = \"process\" in a process of its own",
    };
    Err(Refusal::from(conf.place(&format!("\"worker\" is for modules in Python; {why}"))))
}

fn language_of(kind: PluginKind, image: &Path) -> Result<Option<Language>, Refusal> {
    if kind != PluginKind::Library {
        return Ok(Some(Language::Python));
    }
    // What is no file is for the probe to refuse.
    if !std::fs::metadata(image).is_ok_and(|meta| meta.is_file() && meta.len() <= PLUGIN_BYTES_MAX) {
        return Ok(None);
    }
    let bytes = std::fs::read(image).map_err(|error| Refusal::now(error.to_string()))?;
    let found = celf::modules(&bytes);
    match found.iter().find_map(|module| module.misfit()) {
        Some(why) => Err(Refusal::from(why)),
        None => Ok((!found.is_empty()).then_some(Language::C)),
    }
}

impl GmodMaker {
    pub(super) fn new(data: &Path) -> GmodMaker {
        GmodMaker {
            kept: Kept::in_folder(data.join("gmod")),
            program: Arc::default(),
            starts: Starts::default(),
            shared: Arc::default(),
        }
    }

    fn program(&self) -> Result<Program, Refusal> {
        let mut known = self.program.lock();
        // What was replaced since may need other files, but a file that is gone is looked for.
        if let Some(program) = known.as_ref().filter(|program| program.exe.is_file()) {
            return Ok(program.clone());
        }
        // It may be built any time.
        let program = Program::find().map_err(Refusal::now)?;
        if let Some(hidden) = program.hidden.as_ref().filter(|_| rustix::process::geteuid().is_root()) {
            tracing::warn!(
                "modules in Python may read every file of this machine: no other user can read {}, which they need; build \
                 graftd-gmod with a python3 that all can read, and they get no such right",
                hidden.display()
            );
        }
        Ok(known.insert(program).clone())
    }

    /// Starts a process for it, or one for each log.
    fn make(
        &self,
        job: &Job,
        copy: &Copy,
        language: Language,
        around: &Around,
        cancel: &Cancel,
    ) -> Result<Ready, Refusal> {
        let Around { folders, host, .. } = around;
        let program = self.program()?;
        let conf = &job.conf;
        let folder = folders.plugins.as_deref();
        let shared = Some((&*job.name, &*self.shared));
        let wanted = Wanted {
            file: &job.plugin.path,
            image: &copy.path,
            language,
            conf,
            host,
            cancel: Some(cancel),
            printed: None,
            folder,
            shared,
        };
        let plugin = wanted.plugin();
        let given = self.kept.get(&plugin, copy.fingerprint);
        let mut worker = wanted.start(&program, &given)?;
        if let Some(bytes) = worker.take_kept()
            && let Err(error) = self.kept.put(&plugin, copy.fingerprint, &bytes)
        {
            tracing::warn!("what {plugin} was converted to cannot be kept: {error}; its next start takes as long");
        }
        let mut remarks = wanted.memory_remark(&worker);
        let is_pipe = worker.is_pipe();
        let declared = worker.declared().clone();
        let time_limit = wanted.time_limit(is_pipe);
        let branch = Branch::of_gmod(&job.name, conf, &declared, is_pipe, host)?;
        let callee = Arc::new(Callee {
            module: job.name.clone(),
            tag: Tag::new(&job.name, copy.fingerprint),
            generation: job.generation,
            stats: Arc::clone(&job.stats),
            time_limit,
            give_up_after: time_limit * CALLS + WORKER_GRACE,
        });
        let what = if is_pipe {
            let wants = worker.wants();
            let mut first = Some(worker);
            let each = |log: &String| {
                let worker = first.take().map_or_else(|| wanted.start(&program, &given), Ok)?;
                Ok((log.clone(), PipeBody::Apart(Apart::new(worker))))
            };
            ReadyWhat::Pipe {
                wants,
                grouping: grouping(conf)?,
                by_log: job.logs.iter().map(each).collect::<Result<_, Refusal>>()?,
            }
        } else {
            ReadyWhat::Collector(Collecting {
                callee: Arc::clone(&callee),
                collector: CollectorBody::Apart(Apart::new(worker)),
                branch: branch.clone(),
                every: wanted.every(&declared),
                keeps_its_beat: true,
            })
        };
        remarks.extend(wanted.remarks(&declared));
        let remark = remarks.join("; ");
        Ok(Ready { callee, branch, what, isolated: true, remark })
    }
}

impl Wanted<'_> {
    /// The plugin's name.
    fn plugin(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn start(&self, program: &Program, given: &[u8]) -> Result<Worker, Refusal> {
        let conf = self.conf;
        let order = self.order();
        let folder = order.folder.as_deref().map(Path::new);
        let gmod =
            Gmod { exe: &program.exe, start: &order, kept: given, folder, reads_all: self.hidden(program).is_some() };
        let worker_conf = WorkerConf {
            exe: Path::new(WorkerConf::THIS_EXE),
            plugin: self.image,
            gmod: Some(gmod),
            cancel: self.cancel,
            printed: self.printed,
            params: &conf.params,
            start_limit: conf.init_timeout.unwrap_or(GMOD_INIT_MAX),
            time_limit: conf.time_limit.unwrap_or(COLLECT_TIME_MAX),
            memory_bytes: conf.memory_limit.unwrap_or(WORKER_MEMORY_BYTES),
        };
        let worker = match (&conf.worker, self.shared) {
            (Some(name), Some((module, shared))) => shared.start(name, module, &worker_conf),
            _ => Worker::start(&worker_conf),
        };
        let mut worker = worker.map_err(|error| self.refused(error))?;
        if worker.is_pipe() && conf.every.is_some() {
            return Err(Refusal::from(conf.place("\"every\" is for collectors; a pipe is fed as lines come")));
        }
        if !worker.is_pipe() && conf.by.is_some() {
            return Err(Refusal::from(conf.place(BY_IS_FOR_PIPES)));
        }
        grouping(conf)?;
        worker.set_time_limit(self.time_limit(worker.is_pipe()));
        Ok(worker)
    }

    /// Says which file it is, unless the `.on` is to blame, which is said already.
    fn refused(&self, error: WorkerError) -> Refusal {
        let refusal = match &error {
            // With its traceback.
            WorkerError::Module(said) => {
                let is_conf = said.kind() == ErrorKind::Config;
                let why = if is_conf { self.conf.place(said.message()) } else { said.to_string() };
                Refusal { why, again: said.kind() == ErrorKind::Failed, off: false }
            }
            _ => refused(error, self.conf),
        };
        let placed = self.conf.source().is_some_and(|(conf, _)| refusal.why.starts_with(&*conf.to_string_lossy()));
        if placed { refusal } else { named(self.file, refusal) }
    }

    fn time_limit(&self, is_pipe: bool) -> Duration {
        self.conf.time_limit.unwrap_or(if is_pipe { BATCH_TIME_MAX } else { COLLECT_TIME_MAX })
    }

    fn every(&self, declared: &Declared) -> Duration {
        self.conf.every.or(declared.every_ms.map(Duration::from_millis)).unwrap_or(COLLECT_EVERY)
    }

    /// A file that it needs and that no other user can read.
    fn hidden(&self, program: &Program) -> Option<PathBuf> {
        let environment = || self.conf.python.as_ref().map(PathBuf::from);
        program.hidden.clone().or_else(|| environment().filter(|folder| folder.exists() && !others_reach(folder)))
    }

    /// What is to be said of it although it runs.
    fn remarks(&self, declared: &Declared) -> Vec<String> {
        let mut remarks = declared.remarks.clone();
        remarks.extend(self.conf.pyconf.iter().flat_map(|pyconf| pyconf.remarks.iter().cloned()));
        remarks
    }

    /// Of a process that others share: whose limit holds, where that is not this one's.
    fn memory_remark(&self, worker: &Worker) -> Vec<String> {
        let mib = worker.memory_bytes() / (1024 * 1024);
        let other = |limit: &u64| self.conf.worker.is_some() && *limit != worker.memory_bytes();
        let other = self.conf.memory_limit.filter(other);
        let remark = |_| {
            self.conf.place(&format!(
                "\"memory_limit\" is the worker's, and {mib} MiB by the module that was first in it; give all that share it the same"
            ))
        };
        other.map(remark).into_iter().collect()
    }

    fn order(&self) -> Start {
        let conf = self.conf;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let absolute = |folder: &Path| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let pyconf = conf.pyconf.as_ref();
        Start {
            plugin: self.plugin(),
            language: self.language,
            file: absolute(self.file).to_string_lossy().into_owned(),
            folder: self.folder.map(|folder| absolute(folder).to_string_lossy().into_owned()),
            host: self.host.to_owned(),
            every_ms: millis(conf.every.unwrap_or(COLLECT_EVERY)),
            every_of_on_ms: conf.every.map(millis),
            groups: pyconf.and_then(|pyconf| pyconf.groups.clone()),
            debug_level: pyconf.map_or(0, |pyconf| pyconf.debug_level),
            python: conf.python.clone(),
            symbol: pyconf.and_then(|pyconf| pyconf.symbol.clone()),
            c_params: pyconf.and_then(|pyconf| pyconf.params.clone()),
        }
    }
}
