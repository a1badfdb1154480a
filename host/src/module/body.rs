//! Where a module's code runs: in the daemon, or in a process of its own.

use super::fault::Fault;
use super::library::{Collector, Pipe};
use plugin_api::{Access, Clock};

/// A pipe, wherever it runs.
#[derive(Debug)]
pub enum PipeBody {
    /// In the daemon.
    Here(Pipe),
}

impl PipeBody {
    /// Folds a batch of records.
    ///
    /// # Errors
    /// What the pipe did instead.
    pub fn process(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.process(clock, batch).map_err(Fault::from),
        }
    }

    /// Appends what has been folded since the last flush.
    ///
    /// # Errors
    /// What the pipe did instead.
    pub fn flush(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            PipeBody::Here(pipe) => pipe.flush(clock, frame).map_err(Fault::from),
        }
    }
}

/// A collector, wherever it runs.
#[derive(Debug)]
pub enum CollectorBody {
    /// In the daemon.
    Here(Collector),
}

impl CollectorBody {
    /// Samples once, into a frame.
    ///
    /// # Errors
    /// What the collector did instead.
    pub fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            CollectorBody::Here(collector) => collector.collect(clock, frame).map_err(Fault::from),
        }
    }
}
