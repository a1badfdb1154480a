//! The probe of a plugin that is not trusted: behind a worker's fence, so that none of its code ever runs with the daemon's
//! rights.

use super::{elf, sample};
use crate::clock::Timepiece;
use crate::conf::ModuleConf;
use crate::module::library::Declared;
use crate::module::load::check_conf;
use crate::worker::{Worker, WorkerConf, WorkerError};
use plugin_api::{Error, ErrorKind};

/// Starts a worker with the plugin, has it work once, and gives what the plugin says of itself. The worker ends with this: what
/// it counted counts nowhere.
///
/// # Errors
/// What it did instead.
pub(in crate::module) fn probe_apart(conf: &ModuleConf, worker: &WorkerConf<'_>) -> Result<Declared, WorkerError> {
    let refused = |why: String| WorkerError::Module(Error::config(why));
    elf::check(worker.plugin).map_err(refused)?;
    let mut worker = Worker::start(worker)?;
    check_conf(worker.declared(), conf).map_err(refused)?;
    let (clock, mut frame) = (Timepiece::start().now(), Vec::new());
    if worker.is_pipe() {
        sample::with(worker.wants(), |records| worker.process(clock, records))?;
        worker.flush(clock, &mut frame)?;
    } else {
        match worker.collect(clock, &mut frame) {
            // It failed this once: the daemon shows it as failing, and tries it again.
            Err(WorkerError::Module(error)) if matches!(error.kind(), ErrorKind::NoData | ErrorKind::Failed) => {}
            done => done?,
        }
    }
    Ok(worker.declared().clone())
}
