//! Several threads that read parts of files, each through pipes of its own; what they fold goes into one tree.

use super::part::Part;
use super::progress::Progress;
use super::reader::{Reader, Told};
use crate::clock::Timepiece;
use crate::ingest::format::Format;
use crate::ingest::{Frames, PipeReport, PipeRun};
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Flushes of a thread that may wait to be merged.
const FLUSHES_AHEAD: usize = 2;

/// Reads parts with as many threads as there are sets of pipes. What was folded is given to `merge`, on this thread.
/// Gives what is to be told of each part, in their order, and how the pipes fared.
pub(super) fn read(
    parts: &[Part],
    format: Option<&Format>,
    clock: Timepiece,
    teams: Vec<Vec<PipeRun>>,
    progress: &Progress,
    mut merge: impl FnMut(Frames),
) -> (Vec<Told>, Vec<PipeReport>) {
    let (frames, folded) = sync_channel::<Frames>(FLUSHES_AHEAD * teams.len());
    let left = Mutex::new(parts.iter().enumerate());
    // Nobody panics while this is held.
    let next = || left.lock().ok()?.next();
    thread::scope(|scope| {
        let threads: Vec<_> = teams
            .into_iter()
            .map(|pipes| {
                let frames = frames.clone();
                scope.spawn(move || {
                    // There is somebody to take it until the last thread has ended.
                    let merge = |folded, _| drop(frames.send(folded));
                    let mut reader = Reader::new(format.cloned(), clock, progress.clone(), pipes, merge);
                    let mut told = Vec::new();
                    while let Some((place, part)) = next() {
                        told.push((place, reader.read(part)));
                    }
                    (told, reader.end())
                })
            })
            .collect();
        drop(frames);
        folded.into_iter().for_each(&mut merge);
        let mut all = Vec::new();
        let mut reports = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok((told, reported)) => {
                    all.extend(told);
                    reports.extend(reported);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all.sort_by_key(|(place, _)| *place);
        (all.into_iter().map(|(_, told)| told).collect(), reports)
    })
}
