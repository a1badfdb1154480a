//! Such a module without a daemon: tried once for whoever asks, or as a pipe of a log that is read once.

use super::super::body::{Apart, PipeBody};
use super::super::branch::Branch;
use super::super::files::PluginKind;
use super::super::probe::{Refusal, sample};
use super::program::Program;
use super::{Wanted, language_of, may_share};
use crate::clock::Timepiece;
use crate::conf::ModuleConf;
use crate::worker::{Worker, WorkerError};
use gmod_compat::protocol::gmod::Language;
use parking_lot::Mutex;
use plugin_api::{ErrorKind, Fields};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What became of a module that was started and worked once.
#[derive(Debug)]
pub(crate) struct Once {
    /// It is a pipe; a collector otherwise.
    pub(crate) is_pipe: bool,
    /// Where its branch would hang.
    pub(crate) branch: Branch,
    /// How often a collector would be asked.
    pub(crate) every: Duration,
    /// What it had to say: a frame.
    pub(crate) frame: Vec<u8>,
    /// What went wrong in it, and what is to be said of it although it runs.
    pub(crate) remarks: Vec<String>,
    /// How long its start took, and its work.
    pub(crate) took: [Duration; 2],
}

/// Starts a module that another program runs, and has it work once; none where it is a plugin of graftd's own kind. The end of what it
/// printed is in `printed` afterwards, whatever came of it.
///
/// # Errors
/// Why the daemon would not let it in.
pub(crate) fn once(
    name: &str,
    file: &Path,
    conf: &ModuleConf,
    folder: Option<&Path>,
    host: &str,
    printed: Option<&Arc<Mutex<String>>>,
) -> Result<Option<Once>, Refusal> {
    let began = Instant::now();
    let Some((wanted, mut worker)) = start(file, conf, folder, host, printed)? else { return Ok(None) };
    let started = began.elapsed();
    let (clock, mut frame) = (Timepiece::start().now(), Vec::new());
    let done = if worker.is_pipe() {
        sample::with(worker.wants(), |records| worker.process(clock, records))
            .and_then(|()| worker.flush(clock, &mut frame))
    } else {
        worker.collect(clock, &mut frame)
    };
    let mut remarks = wanted.remarks(worker.declared());
    match done {
        Ok(()) => {}
        // The daemon would show it as failing, and try it again.
        Err(WorkerError::Partly(error)) => remarks.push(error.to_string()),
        Err(WorkerError::Module(error)) if matches!(error.kind(), ErrorKind::NoData | ErrorKind::Failed) => {
            remarks.push(error.to_string());
        }
        Err(error) => return Err(Refusal::from(error.to_string())),
    }
    Ok(Some(Once {
        is_pipe: worker.is_pipe(),
        branch: Branch::of_gmod(name, conf, worker.declared(), worker.is_pipe(), host)?,
        every: wanted.every(worker.declared()),
        frame,
        remarks,
        took: [started, began.elapsed().saturating_sub(started)],
    }))
}

/// Whether a file is one of gmond's modules in C.
pub(crate) fn is_gmond_c(file: &Path) -> bool {
    matches!(language_of(PluginKind::of(file), file), Ok(Some(Language::C)))
}

/// A pipe in Python, for one log; none where the file is no such pipe.
///
/// # Errors
/// Why it cannot run.
pub(crate) fn pipe(
    name: &str,
    file: &Path,
    conf: &ModuleConf,
    folder: Option<&Path>,
    host: &str,
) -> Result<Option<(Branch, Fields, PipeBody)>, Refusal> {
    let Some((_, worker)) = start(file, conf, folder, host, None)? else { return Ok(None) };
    if !worker.is_pipe() {
        return Ok(None);
    }
    let branch = Branch::of_gmod(name, conf, worker.declared(), true, host)?;
    Ok(Some((branch, worker.wants(), PipeBody::Apart(Apart::new(worker)))))
}

fn start<'a>(
    file: &'a Path,
    conf: &'a ModuleConf,
    folder: Option<&'a Path>,
    host: &'a str,
    printed: Option<&'a Arc<Mutex<String>>>,
) -> Result<Option<(Wanted<'a>, Worker)>, Refusal> {
    let kind = PluginKind::of(file);
    let language = language_of(kind, file)?;
    may_share(conf, language)?;
    let Some(language) = language else { return Ok(None) };
    let program = Program::find().map_err(Refusal::now)?;
    let wanted = Wanted { file, image: file, language, conf, host, cancel: None, printed, folder, shared: None };
    let worker = wanted.start(&program, &[])?;
    Ok(Some((wanted, worker)))
}
