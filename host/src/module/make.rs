//! From a plugin's file to a module that is ready to run: copied aside, probed, and made where it is to run.

use super::body::{Apart, CollectorBody, PipeBody, refused};
use super::branch::Branch;
use super::collector::Collecting;
use super::copy::{Copy, named};
use super::crash::{Blamed, Tag};
use super::fence::Callee;
use super::library::{Declared, Library};
use super::load::{Hand, Job, Ready, ReadyWhat, check_conf, grouping};
use super::probe::{Refusal, probe, probe_apart, refusal};
use crate::conf::Isolation;
use crate::limits::{
    BATCH_TIME_MAX, COLLECT_EVERY, COLLECT_TIME_MAX, NEW_TIME_MAX, WORKER_BATCHES_AHEAD, WORKER_GRACE,
    WORKER_MEMORY_BYTES,
};
use crate::memory;
use crate::worker::{Worker, WorkerConf, WorkerError};
use plugin_api::Fields;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time limits that a call of a worker may take: for the batches that it was handed before, and for itself.
const WORKER_CALLS: u32 = WORKER_BATCHES_AHEAD as u32 + 2;

/// A plugin that may be let in.
pub(super) struct Prepared {
    copy: Copy,
    pub(super) callee: Arc<Callee>,
    branch: Branch,
    is_pipe: bool,
    /// It is to run in a process of its own.
    pub(super) isolated: bool,
    remark: String,
}

/// Decides where a plugin is to run, and tries it there: what is not trusted never runs with the daemon's
/// rights, not even in a probe.
pub(super) fn prepare(job: &Job, copy: Copy, hand: &Hand) -> Result<Prepared, Refusal> {
    let tag = Tag::new(&job.name, copy.fingerprint);
    let (isolated, remark) = place(job, &copy, &hand.blamed)?;
    let declared = if isolated { try_apart(job, &copy, &tag, &hand.blamed)? } else { try_here(job, &copy)? };
    let branch = Branch::of(&job.name, &job.conf, &declared, &hand.host)?;
    let default = if declared.is_pipe { BATCH_TIME_MAX } else { COLLECT_TIME_MAX };
    let time_limit = job.conf.time_limit.unwrap_or(default);
    let callee = Arc::new(Callee {
        module: job.name.clone(),
        tag,
        generation: job.generation,
        stats: Arc::clone(&job.stats),
        time_limit,
        give_up_after: if isolated { time_limit * WORKER_CALLS + WORKER_GRACE } else { time_limit },
    });
    Ok(Prepared { copy, callee, branch, is_pipe: declared.is_pipe, isolated, remark })
}

/// Whether it is to run in a process of its own, and what is to be said of that.
fn place(job: &Job, copy: &Copy, blamed: &Blamed) -> Result<(bool, String), Refusal> {
    let because = |why: &str| format!("runs in a process of its own, for it {why}");
    if let Some(blame) = blamed.of(&job.name, copy.fingerprint) {
        if blame.deaths > 1 {
            let way_out = "put a mended build in its place, or try it again with `graftd modules reload";
            return Err(Refusal::from(format!("{}; {way_out} {}`", blame.why, job.name)));
        }
        return Ok((true, because(&blame.why)));
    }
    if job.conf.isolation == Isolation::Process {
        return Ok((true, String::new()));
    }
    Ok(job.apart.as_deref().map_or_else(|| (false, String::new()), |why| (true, because(why))))
}

fn try_here(job: &Job, copy: &Copy) -> Result<Declared, Refusal> {
    let by_itself = job.conf_file.is_none().then_some(job.name.as_str());
    let probed = probe(&copy.path, job.conf.source(), by_itself).map_err(|refusal| {
        // What is wrong in the `.on` is said with its place already.
        let placed = job.conf_file.as_deref().is_some_and(|conf| refusal.why.starts_with(&*conf.to_string_lossy()));
        if placed || refusal.off { refusal } else { named(&job.plugin.path, refusal) }
    })?;
    Ok(probed.declared)
}

fn try_apart(job: &Job, copy: &Copy, tag: &Tag, blamed: &Blamed) -> Result<Declared, Refusal> {
    // What it is, and so how long a call may take by default, it has yet to say.
    let conf = worker_conf(job, copy, job.conf.time_limit.unwrap_or(NEW_TIME_MAX));
    probe_apart(&job.conf, &conf).map_err(|error| {
        // What crashed in its first call will crash in it again, but what was late may have met a busy machine.
        let crashed = matches!(error, WorkerError::Died(_) | WorkerError::Lied(_));
        let refusal = died_apart(error, job, tag, blamed);
        Refusal { again: refusal.again && !crashed, ..refusal }
    })
}

fn worker_conf<'a>(job: &'a Job, copy: &'a Copy, time_limit: Duration) -> WorkerConf<'a> {
    WorkerConf {
        exe: Path::new(WorkerConf::THIS_EXE),
        plugin: &copy.path,
        gmod: None,
        cancel: None,
        printed: None,
        params: &job.conf.params,
        start_limit: NEW_TIME_MAX,
        time_limit,
        memory_bytes: job.conf.memory_limit.unwrap_or(WORKER_MEMORY_BYTES),
    }
}

/// Why a module could not be made in a process of its own; if it has killed the daemon before, that is its second death.
fn died_apart(error: WorkerError, job: &Job, tag: &Tag, blamed: &Blamed) -> Refusal {
    let died = matches!(error, WorkerError::Died(_) | WorkerError::Late { .. });
    let why = error.to_string();
    if died && blamed.again(tag, &why) {
        return second_death(&why, &job.name).into();
    }
    refused(error, &job.conf)
}

/// Loads it, and makes its module: in this process, so it may take for ever. A daemon that is to be small `lets_go` of what only
/// that needed.
pub(super) fn make_here(job: &Job, prepared: Prepared, lets_go: bool) -> Result<Ready, Refusal> {
    let Prepared { copy, callee, branch, isolated, remark, .. } = prepared;
    let library = Library::load_as(&copy.path, Some(&callee.tag)).map_err(|why| named(&job.plugin.path, why.into()))?;
    check_conf(&library.declared(), &job.conf)?;
    let what = if library.is_pipe() {
        let make = |log: &String| {
            let pipe = library.pipe(&job.conf.params).map_err(|error| refusal(&error, &job.conf))?;
            Ok((log.clone(), PipeBody::here(pipe)))
        };
        ReadyWhat::Pipe {
            wants: library.wants(),
            grouping: grouping(&job.conf)?,
            by_log: job.logs.iter().map(make).collect::<Result<_, Refusal>>()?,
        }
    } else {
        let collector = library.collector(&job.conf.params).map_err(|error| refusal(&error, &job.conf))?;
        collecting(job, &callee, &branch, CollectorBody::Here(collector))
    };
    if lets_go {
        // Of its code a tenth is needed from now on: the rest compared layouts, and made it.
        memory::let_go_of(&copy.path);
    }
    Ok(Ready { callee, branch, what, isolated, remark })
}

/// Starts a process for it, or one for each log, which loads it and makes its module.
pub(super) fn make_apart(job: &Job, prepared: Prepared, blamed: &Blamed) -> Result<Ready, Refusal> {
    let Prepared { copy, callee, branch, is_pipe, isolated, remark } = prepared;
    let conf = worker_conf(job, &copy, callee.time_limit);
    let start = || Worker::start(&conf).map_err(|error| died_apart(error, job, &callee.tag, blamed));
    let what = if is_pipe {
        let by_log = job.logs.iter().map(|log| Ok((log.clone(), start()?))).collect::<Result<Vec<_>, Refusal>>()?;
        let wants = by_log.first().map_or(Fields::NONE, |(_, worker)| worker.wants());
        let by_log = by_log.into_iter().map(|(log, worker)| (log, PipeBody::Apart(Apart::new(worker))));
        ReadyWhat::Pipe { wants, grouping: grouping(&job.conf)?, by_log: by_log.collect() }
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
        keeps_its_beat: false,
    })
}

/// What is said of a module that has killed the daemon, and died again where it could not.
pub(super) fn second_death(why: &str, module: &str) -> String {
    format!(
        "{why}, and it has killed the daemon before; put a mended build in its place, or try it again with \
         `graftd modules reload {module}`"
    )
}
