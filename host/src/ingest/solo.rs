//! An engine that nobody shares or watches: for who reads a file once.

use super::engine::{Engine, Fence, Frames, PipeReport, PipeRun, feed_on, flush_on};
use super::format::Format;
use super::lines::{LogStats, Remember};
use crate::clock::Timepiece;
use crate::module::{Callee, Doing};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// No fence: who waits for a call that does not come back ends the whole by hand.
#[derive(Clone, Copy, Debug)]
struct Unfenced;

impl<W> Fence<W> for Unfenced {
    fn call<T>(
        &self,
        work: Box<W>,
        _: &Arc<Callee>,
        _: Doing,
        _: Instant,
        call: impl FnOnce() -> T,
    ) -> Option<(Box<W>, T)> {
        Some((work, call()))
    }
}

/// An engine, driven by whoever has it.
#[derive(Debug)]
pub(crate) struct Solo {
    /// Handed through each call; always there in between, for no call is given up.
    engine: Option<Box<Engine>>,
}

impl Solo {
    pub(crate) fn new(format: Format, clock: Timepiece, remember: Remember) -> Solo {
        Solo { engine: Some(Box::new(Engine::new(vec![format], clock, remember))) }
    }

    /// Adds a pipe.
    pub(crate) fn put(&mut self, run: PipeRun) {
        self.with(|engine| engine.put(run));
    }

    /// Begins another file: its lines are numbered from 1, and its faults are its own.
    pub(crate) fn begin_file(&mut self) {
        self.with(Engine::begin_file);
    }

    /// What a header said further up in the file, which is read from here on.
    pub(crate) fn prime(&mut self, header: &str) {
        self.with(|engine| engine.prime(header));
    }

    /// Another format than before: what comes is in that.
    pub(crate) fn change_format(&mut self, format: Format) {
        self.with(|engine| engine.change_format(format));
    }

    /// Feeds whole lines; the last may lack its end. Bytes that are no UTF-8 are replaced, so that pipes see text.
    pub(crate) fn feed(&mut self, block: &[u8]) {
        let Some(mut engine) = self.engine.take() else { return };
        engine.begin_feed(block.len());
        // Checking is quick, replacing is not.
        let text = match simdutf8::basic::from_utf8(block) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(block),
        };
        self.engine = feed_on(engine, &Unfenced, &text);
    }

    /// Counts a line that is too long to be kept; this is its beginning.
    pub(crate) fn too_long(&mut self, beginning: &[u8]) {
        self.with(|engine| engine.too_long(beginning));
    }

    /// Takes what the pipes have folded since the last flush, each under its branch.
    pub(crate) fn flush(&mut self) -> Frames {
        let Some(mut engine) = self.engine.take() else { return Vec::new() };
        engine.begin_flush();
        let Some((engine, frames)) = flush_on(engine, &Unfenced) else { return Vec::new() };
        self.engine = Some(engine);
        frames
    }

    /// What has been read.
    pub(crate) fn stats(&self) -> LogStats {
        self.engine.as_ref().map(|engine| engine.stats().clone()).unwrap_or_default()
    }

    /// The number of the line read last, empty ones counted, from 1.
    pub(crate) fn at_line(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.at_line())
    }

    /// How pipes fared, since this was asked last.
    pub(crate) fn take_reports(&mut self) -> Vec<PipeReport> {
        self.engine.as_mut().map_or_else(Vec::new, |engine| engine.take_reports())
    }

    fn with(&mut self, change: impl FnOnce(&mut Engine)) {
        if let Some(engine) = &mut self.engine {
            change(engine);
        }
    }
}

impl AsMut<Engine> for Engine {
    fn as_mut(&mut self) -> &mut Engine {
        self
    }
}
