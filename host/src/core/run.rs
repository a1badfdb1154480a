//! The core's loop: events change the tree, ticks close it.

use super::event::{Delta, Event, LogReport, Pushed};
use super::report::SelfReport;
use super::shared::Shared;
use crate::module::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// What the core is made of.
#[derive(Debug)]
pub struct CoreParts {
    /// What it shares with readers.
    pub shared: Arc<Shared>,
    /// The modules.
    pub registry: Registry,
    /// What wakes it.
    pub events: mpsc::Receiver<Event>,
    /// Told where built-in modules listen, when the folders have been looked into for the first time.
    pub listening: oneshot::Sender<Vec<(&'static str, SocketAddr)>>,
}

/// The one that changes the tree.
#[derive(Debug)]
pub struct Core {
    shared: Arc<Shared>,
    registry: Registry,
    report: SelfReport,
    /// Told about itself in the tree.
    merge_ms: f64,
}

impl Core {
    /// Runs until it is told to stop; gives the registry back, for the modules to be stopped.
    pub async fn run(parts: CoreParts) -> Registry {
        let CoreParts { shared, registry, mut events, listening } = parts;
        let tick = shared.conf.tick;
        let mut core = Core { report: SelfReport::new(&shared.host), shared, registry, merge_ms: 0.0 };
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        core.registry.files(&core.shared);
        // Who waited for it may have given up.
        let _ = listening.send(core.registry.addresses());
        loop {
            let event = tokio::select! {
                // The tick first: it is due once a tick at most, so it holds nothing up, and a full queue cannot hold it up.
                biased;
                _ = ticks.tick() => Event::Tick,
                event = events.recv() => event.unwrap_or(Event::Stop),
            };
            if !core.handle(event) {
                core.registry.end();
                return core.registry;
            }
        }
    }

    /// The one place that knows everything that can wake the daemon. Whether it goes on.
    fn handle(&mut self, event: Event) -> bool {
        match event {
            Event::Tick => self.tick(),
            Event::Push { frames, reply } => {
                let pushed = self.push(&frames);
                // Nobody may be waiting any more: the merge stands all the same.
                let _ = reply.send(pushed);
            }
            Event::Delta(delta) => self.delta(delta),
            Event::Files => self.registry.files(&self.shared),
            Event::Loaded(loaded) => self.registry.loaded(loaded, &self.shared),
            Event::BuiltInEnded { life, why } => self.registry.built_in_ended(&life, &why, &self.shared),
            Event::Switch { name, to, reply } => {
                let _ = reply.send(self.registry.switch(&name, to, &self.shared));
            }
            Event::Stop => return false,
        }
        true
    }

    fn push(&mut self, frames: &[Vec<u8>]) -> Pushed {
        let began = Instant::now();
        let now_ms = self.shared.clock.monotonic_ms();
        let mut pushed = Pushed::default();
        let mut tree = self.shared.tree.write();
        for frame in frames {
            // Frames of documents are made by the reader of documents, so none is refused.
            if let Ok(merged) = tree.merge(&[], frame, now_ms) {
                pushed.merged.leaves += merged.leaves;
                pushed.merged.overflowed += merged.overflowed;
            }
        }
        drop(tree);
        self.merge_ms += began.elapsed().as_secs_f64() * 1e3;
        pushed
    }

    fn delta(&mut self, delta: Delta) {
        let Delta { frames, report, log, reply } = delta;
        if !frames.is_empty() {
            let began = Instant::now();
            let now_ms = self.shared.clock.monotonic_ms();
            let mut tree = self.shared.tree.write();
            for (branch, frame) in &frames {
                let keys: Vec<&str> = branch.keys.iter().map(String::as_str).collect();
                if let Some((depth, action)) = branch.action {
                    tree.set_action(&keys[..depth.min(keys.len())], action);
                }
                if let Err(error) = tree.merge(&keys, frame, now_ms) {
                    tracing::error!("the delta of {} cannot be merged: {error}", keys.join(","));
                }
            }
            drop(tree);
            self.merge_ms += began.elapsed().as_secs_f64() * 1e3;
        }
        if let Some(report) = report {
            self.registry.report(report, &self.shared);
        }
        if let Some(LogReport { name, stats }) = log {
            self.report.log(name, stats);
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    fn tick(&mut self) {
        let now_ms = self.shared.clock.monotonic_ms();
        self.registry.tick(&self.shared);
        let merge_ms = std::mem::take(&mut self.merge_ms);
        let frame = self.report.tick(&self.shared, self.registry.statuses(), merge_ms);
        let mut tree = self.shared.tree.write();
        if let Err(error) = tree.merge(&[], frame, now_ms) {
            tracing::error!("the daemon's own delta cannot be merged: {error}");
        }
        let over = tree.end_tick(now_ms);
        drop(tree);
        self.shared.live.tick(over.tick);
    }
}
