//! Where a module's code runs: in the daemon, or in a process of its own.

use super::fault::{Fault, FaultKind};
use super::instances::Instances;
use super::library::{Collector, Pipe};
use super::probe::{Refusal, refusal};
use crate::conf::ModuleConf;
use crate::worker::{Worker, WorkerError};
use plugin_api::{Access, Clock};
use std::time::Duration;

/// A pipe, wherever it runs.
#[derive(Debug)]
pub enum PipeBody {
    /// In the daemon.
    Here(Instances),
    /// In a process of its own.
    Apart(Apart),
}

/// A module in a process of its own.
#[derive(Debug)]
pub struct Apart {
    worker: Box<Worker>,
}

impl Apart {
    pub(crate) fn new(worker: Worker) -> Apart {
        Apart { worker: Box::new(worker) }
    }
}

impl PipeBody {
    /// A pipe in the daemon.
    #[must_use]
    pub fn here(pipe: Pipe) -> PipeBody {
        PipeBody::Here(Instances::of(pipe))
    }

    /// Folds a batch of records.
    ///
    /// # Errors
    /// What the pipe did instead.
    pub fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.process(0, clock, batch).map_err(Fault::from),
            PipeBody::Apart(apart) => apart.worker.process(clock, batch).map_err(Fault::from),
        }
    }

    /// Appends what has been folded since the last flush.
    ///
    /// # Errors
    /// What the pipe did instead.
    pub fn flush(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.flush(0, clock, frame).map_err(Fault::from),
            PipeBody::Apart(apart) => apart.worker.flush(clock, frame).map_err(Fault::from),
        }
    }

    /// Folds records of one group: by an instance of the pipe that is that group's alone, made when it is needed first. One in
    /// Python is the same for all groups, which have what it says apart.
    ///
    /// # Errors
    /// What the pipe did instead, or why it cannot be made.
    pub fn process_in(&mut self, group: u32, clock: Clock, batch: &[Access<'_>]) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.process(group, clock, batch).map_err(Fault::from),
            PipeBody::Apart(apart) => {
                apart.worker.turn_to(group);
                apart.worker.process(clock, batch).map_err(Fault::from)
            }
        }
    }

    /// Appends what has been folded of one group since it was flushed last.
    ///
    /// # Errors
    /// What the pipe did instead.
    pub fn flush_of(&mut self, group: u32, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.flush(group, clock, frame).map_err(Fault::from),
            PipeBody::Apart(apart) => {
                apart.worker.turn_to(group);
                apart.worker.flush(clock, frame).map_err(Fault::from)
            }
        }
    }

    /// Whether it runs in a process of its own, which may end at any time.
    pub fn is_apart(&self) -> bool {
        matches!(self, PipeBody::Apart(_))
    }

    /// Looks whether its process has ended between two calls. Never waits.
    ///
    /// # Errors
    /// It has, and how.
    pub fn check(&mut self) -> Result<(), Fault> {
        match self {
            PipeBody::Here(_) => Ok(()),
            PipeBody::Apart(apart) => apart.worker.check().map_err(Fault::from),
        }
    }

    /// CPU time of another process that was spent on it since this was asked last; none where it runs here.
    pub fn spent_apart(&mut self) -> Option<Duration> {
        match self {
            PipeBody::Here(_) => None,
            PipeBody::Apart(apart) => Some(apart.worker.spent()),
        }
    }
}

/// A collector, wherever it runs.
#[derive(Debug)]
pub enum CollectorBody {
    /// In the daemon.
    Here(Collector),
    /// In a process of its own.
    Apart(Apart),
}

impl CollectorBody {
    /// Samples once, into a frame.
    ///
    /// # Errors
    /// What the collector did instead.
    pub fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            CollectorBody::Here(collector) => collector.collect(clock, frame).map_err(Fault::from),
            CollectorBody::Apart(apart) => apart.worker.collect(clock, frame).map_err(Fault::from),
        }
    }

    /// CPU time of another process that was spent on it since this was asked last; none where it runs here.
    pub fn spent_apart(&mut self) -> Option<Duration> {
        match self {
            CollectorBody::Here(_) => None,
            CollectorBody::Apart(apart) => Some(apart.worker.spent()),
        }
    }
}

impl From<WorkerError> for Fault {
    fn from(error: WorkerError) -> Fault {
        let kind = match error {
            WorkerError::Module(error) => return error.into(),
            WorkerError::Partly(error) => return Fault::new(FaultKind::Partly, error.message()),
            WorkerError::Late { .. } => FaultKind::Late,
            WorkerError::Died(_) | WorkerError::Lied(_) => FaultKind::Died,
            // Of one that has started: what lies between it and the daemon is broken.
            WorkerError::NotStarted(_) => FaultKind::Broken,
        };
        Fault::new(kind, error.to_string())
    }
}

/// Why a module that is to run in a process of its own is not let in.
pub(super) fn refused(error: WorkerError, conf: &ModuleConf) -> Refusal {
    match error {
        WorkerError::Module(error) => refusal(&error, conf),
        // It was probed: what it does now it may not do the next time.
        error => Refusal::now(error.to_string()),
    }
}
