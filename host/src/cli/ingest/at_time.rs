//! `--at-time`: an old log becomes history.

use super::part::Part;
use super::progress::Progress;
use super::times::Times;
use super::{Failure, files::STDIN};
use crate::cli::read::beginning;
use crate::conf::TrendConf;
use crate::ingest::format::{Format, first_lines, guess};
use crate::tree::Tree;
use crate::trend::tools::{Recorder, Store};
use crate::trend::{FILE, OpenError, Retention};
use std::path::{Path, PathBuf};

/// Puts what a tree becomes into the file of a data folder.
#[derive(Debug)]
pub(super) struct AtTime {
    recorder: Recorder,
    file: PathBuf,
    /// What could not be kept: nothing more is then.
    failed: Option<String>,
}

impl AtTime {
    /// Into the file of a folder, for a tree that is empty as yet.
    pub(super) fn new(data: &Path, trend: TrendConf, tree: &mut Tree) -> Result<AtTime, Failure> {
        let file = data.join(FILE);
        let said = |why: &dyn std::fmt::Display| Failure::work(format_args!("{}: {why}", file.display()));
        let store = Store::open(&file, true, Retention::from(trend)).map_err(|error| {
            let (OpenError::Foreign(why) | OpenError::Failed(why)) = error;
            said(&why)
        })?;
        let recorder = Recorder::new(store, tree).map_err(|error| said(&error))?;
        Ok(AtTime { recorder, file, failed: None })
    }

    /// Keeps what the tree is at the end of a step.
    pub(super) fn keep(&mut self, tree: &mut Tree, stamp: i64) {
        if self.failed.is_none()
            && let Err(error) = self.recorder.record(tree, stamp)
        {
            self.failed = Some(error.to_string());
        }
    }

    /// Has all of it written.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let AtTime { recorder, file, failed } = self;
        let said = |why: &dyn std::fmt::Display| Failure::work(format_args!("{}: {why}", file.display()));
        if let Some(why) = failed {
            return Err(said(&why));
        }
        let samples = recorder.finish().map_err(|error| said(&error))?;
        eprintln!("graftd: {samples} values are kept as history in {}", file.display());
        Ok(())
    }
}

/// Puts files in the order of their first lines; what has no time, or cannot be looked at twice, stays behind them.
pub(super) fn in_order(parts: &mut [Part], format: Option<&Format>) {
    parts.sort_by_cached_key(|part| first_time(part, format).unwrap_or(i64::MAX));
}

fn first_time(part: &Part, format: Option<&Format>) -> Option<i64> {
    if part.path == Path::new(STDIN) {
        return None;
    }
    let hidden = Progress::hidden();
    let (mut open, _) = part.open(false, &hidden).ok()?;
    let begins = beginning(&mut open).ok()?;
    let text = String::from_utf8_lossy(&begins.bytes);
    let told = format.is_none().then(|| guess(&first_lines(&text, begins.whole)).format);
    let mut times = Times::of(format.or(told.as_ref())?);
    times.ends(&begins.bytes)[0]
}
