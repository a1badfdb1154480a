//! An engine's calls into its pipes, each through a fence: whatever holds the engine is handed over before a call, and may
//! not come back from it.

use super::{Engine, Frames};
use crate::module::{Callee, Desk, Doing};
use plugin_api::Access;
use std::sync::Arc;
use std::time::Instant;

/// Makes the calls into pipes for whatever holds an engine.
pub(crate) trait Fence<W> {
    /// Calls a pipe while nobody holds `work`. `None`: somebody took it over meanwhile.
    fn call<T>(
        &self,
        work: Box<W>,
        callee: &Arc<Callee>,
        doing: Doing,
        began: Instant,
        call: impl FnOnce() -> T,
    ) -> Option<(Box<W>, T)>;
}

impl<W> Fence<W> for Desk<W> {
    fn call<T>(
        &self,
        work: Box<W>,
        callee: &Arc<Callee>,
        doing: Doing,
        began: Instant,
        call: impl FnOnce() -> T,
    ) -> Option<(Box<W>, T)> {
        Desk::call(self, work, callee, doing, began, call)
    }
}

/// Feeds the pipes with what is left of the text whose feeding was begun; `None` when somebody took the work over.
/// Bytes that are no UTF-8 must have been replaced, so that pipes see text.
pub(crate) fn feed_on<W: AsMut<Engine>, F: Fence<W>>(mut work: Box<W>, fence: &F, text: &str) -> Option<Box<W>> {
    let engine = (*work).as_mut();
    let mut decoded = std::mem::take(&mut engine.decoded);
    let mut kept = std::mem::take(&mut engine.records);
    loop {
        let mut records = recycle(kept);
        let engine = (*work).as_mut();
        let more = engine.parse(text, &mut records, &mut decoded);
        decoded.settle(&mut records);
        engine.number_agents(&mut records);
        engine.mark_busy();
        while let Some(mut run) = (*work).as_mut().next_to_feed() {
            let engine = (*work).as_mut();
            let (began, clock) =
                (engine.mark, engine.feeding.map_or_else(|| engine.clock.now(), |feeding| feeding.clock));
            let callee = Arc::clone(&run.callee);
            let called;
            (work, called) = fence.call(work, &callee, Doing::Process, began, || run.process(clock, &records))?;
            let mut result = called;
            if result.is_ok() && (*work).as_mut().is_on_trial() {
                // To have taken a batch shows little, least of all where it was handed to another process: what was folded
                // must come out as well. Until then the one before can be given that very batch.
                let (began, mut frames) = (Instant::now(), Frames::new());
                (work, result) = fence.call(work, &callee, Doing::Flush, began, || run.flush(clock, &mut frames))?;
                if result.is_ok() {
                    (*work).as_mut().early.extend(frames);
                }
            }
            (*work).as_mut().fed(run, result);
        }
        kept = recycle(records);
        decoded.clear();
        if !more {
            let engine = (*work).as_mut();
            engine.decoded = decoded;
            engine.records = kept;
            return Some(work);
        }
    }
}

/// Takes what the pipes have folded, each under its branch, in the flush that was begun; `None` when somebody took the
/// work over.
pub(crate) fn flush_on<W: AsMut<Engine>, F: Fence<W>>(mut work: Box<W>, fence: &F) -> Option<(Box<W>, Frames)> {
    while let Some(mut run) = (*work).as_mut().next_to_flush() {
        let engine = (*work).as_mut();
        let began = engine.mark;
        let clock = engine.flushing.as_ref().map_or_else(|| engine.clock.now(), |flushing| flushing.clock);
        let callee = Arc::clone(&run.callee);
        let mut frames = Frames::new();
        let called;
        (work, called) = fence.call(work, &callee, Doing::Flush, began, || run.flush(clock, &mut frames))?;
        (*work).as_mut().flushed(run, frames, called);
    }
    let frames = (*work).as_mut().end_flush();
    Some((work, frames))
}

/// An empty vector for records of another lifetime, in the same memory: collecting in place does not allocate.
fn recycle<'b>(mut records: Vec<Access<'_>>) -> Vec<Access<'b>> {
    records.clear();
    records.into_iter().map(|_| Access::new("")).collect()
}
