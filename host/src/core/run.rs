//! The core's loop: events change the tree, ticks close it.

use super::commit::Commits;
use super::event::{Delta, Event, LogReport, Position, Pushed};
use super::inbox::{Inbox, Slept, Ticks};
use super::report::SelfReport;
use super::shared::Shared;
use crate::conf::Role;
use crate::ingest::{Frames, LogHandle, LogSerial};
use crate::limits::{BEAT_LEAD, LAST_COMMIT_MAX, LOGS_END_MAX, RAW_COMMIT_BYTES, TICKS_SLEPT_MAX};
use crate::memory::Settling;
use crate::module::Registry;
use crate::relay::{Entry, Piece, Refusal, Relayed, Relays, Taken};
use crate::tree::Tree;
use crate::trend::Kept;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// What the core is made of.
#[derive(Debug)]
pub struct CoreParts {
    /// What it shares with readers.
    pub shared: Arc<Shared>,
    /// The modules.
    pub registry: Registry,
    /// What wakes it.
    pub events: mpsc::Receiver<Event>,
    /// What gives back what only starting needed, where the daemon is to be small.
    pub(crate) settling: Option<Settling>,
    /// What writes down; none where that cannot be.
    pub(crate) kept: Option<Kept>,
    /// Told where built-in modules listen, when the folders have been looked into for the first time.
    pub listening: oneshot::Sender<Vec<(&'static str, SocketAddr)>>,
}

/// The one that changes the tree.
#[derive(Debug)]
pub struct Core {
    shared: Arc<Shared>,
    registry: Registry,
    report: SelfReport,
    commits: Commits,
    /// Logs that have ended, since the daemon stops.
    ended: Vec<LogSerial>,
    /// Told about itself in the tree.
    merge_ms: f64,
    /// Something has happened since the daemon told of itself.
    stirred: bool,
    /// The last tick has changed modules: the next finds what comes of that.
    changed: bool,
    settling: Option<Settling>,
}

impl Core {
    /// Runs on this thread until it is told to stop; gives the registry back, for the modules to be stopped.
    pub fn run(parts: CoreParts) -> Registry {
        let CoreParts { shared, registry, events, settling, kept, listening } = parts;
        let mut inbox = Inbox::new(events);
        let mut ticks = Ticks::new(shared.conf.tick, shared.clock.began());
        // Until when others of a beat are taken before its tick, which may be over by then.
        let mut beat: Option<Instant> = None;
        let commits = Commits::new(kept, shared.conf.commit, shared.conf.role);
        let mut core = Core {
            report: SelfReport::new(&shared.host),
            shared,
            registry,
            commits,
            ended: Vec::new(),
            merge_ms: 0.0,
            stirred: true,
            changed: true,
            settling,
        };
        core.registry.files(&core.shared);
        let mut listening = Some(listening);
        loop {
            // Who hears that the daemon is ready may write, rotate and kill at once: where each log begins is on the disk by then.
            let have_begun = core.shared.logs.beginning.load(Ordering::Acquire) == 0;
            core.note_begun();
            if have_begun
                && !core.commits.is_under_way()
                && let Some(listening) = listening.take()
            {
                // Who waited for it may have given up.
                let _ = listening.send(core.registry.addresses());
            }
            // The tick first: it is due once a tick at most, so it holds nothing up, and a full queue cannot hold it up; but for the deltas
            // of a beat, which it waits for, and not for long.
            beat = beat.filter(|until| Instant::now() < *until);
            let event = if beat.is_none() && ticks.is_over(Instant::now()) {
                Event::Tick
            } else {
                let asleep = ticks.are_slept_through();
                let event = inbox.wait(if beat.is_some() { Instant::now() } else { ticks.next() });
                if let Some(slept) = ticks.wake(Instant::now()) {
                    core.sleep_through(slept);
                }
                if asleep && matches!(&event, Some(Some(Event::Delta(delta))) if delta.is_of_a_collector()) {
                    thread::sleep(ticks.until_all_have_come(Instant::now()));
                    beat = Some(Instant::now() + BEAT_LEAD);
                }
                match event {
                    Some(event) => event.unwrap_or(Event::Stop),
                    None => {
                        beat = None;
                        continue;
                    }
                }
            };
            if !core.handle(event) {
                core.note_begun();
                core.end(&mut inbox);
                return core.registry;
            }
            let rest = core.rest_for();
            if !rest.is_zero() {
                ticks.sleep(rest, Instant::now());
            }
        }
    }

    /// For how long nothing is to be done, if nothing comes. An agent that need not be awake at each tick takes less of its machine; a
    /// server is asked by somebody all the time, and its rates are to be those of the last tick.
    fn rest_for(&self) -> Duration {
        let Shared { conf, live, tree, relays, clock, .. } = &*self.shared;
        if conf.role != Role::Agent || self.stirred || self.changed || live.is_followed() {
            return Duration::ZERO;
        }
        let commit = self.commits.rest_for(relays.every());
        let modules = self.registry.rest_for(&self.shared);
        commit.min(modules).min(tree.read().lives_for(clock.monotonic_ms())).min(TICKS_SLEPT_MAX)
    }

    /// Ends the ticks that were slept through: rates are of so many ticks.
    fn sleep_through(&mut self, Slept { ticks, ago }: Slept) {
        // As it was then: what is renewed just now must not have ended before.
        let now_ms = self.shared.clock.monotonic_ms() - ago.as_millis() as i64;
        let mut tree = self.shared.tree.write();
        for _ in 0..ticks {
            tree.end_tick(now_ms);
        }
        let over = tree.tick();
        drop(tree);
        self.shared.live.tick(over);
        self.report.slept(ticks);
    }

    /// The one place that knows everything that can wake the daemon. Whether it goes on.
    fn handle(&mut self, event: Event) -> bool {
        self.stirred |= match &event {
            Event::Tick => false,
            // What an agent's commit came to is told with what comes next: else it would be awake at one more tick for that alone.
            Event::Committed(Ok(())) => self.shared.conf.role != Role::Agent,
            _ => true,
        };
        match event {
            Event::Tick => self.tick(),
            Event::Push { frames, reply } => {
                let pushed = self.push(&frames);
                // Nobody may be waiting any more: the merge stands all the same.
                let _ = reply.send(pushed);
            }
            Event::Delta(delta) => self.delta(delta),
            Event::Relayed(relayed) => self.relayed(relayed),
            Event::Files => self.registry.files(&self.shared),
            Event::Loaded(loaded) => {
                if let Some(settling) = &mut self.settling {
                    settling.stir(Instant::now());
                }
                self.registry.loaded(loaded, &self.shared);
            }
            Event::Commit { reply } => {
                self.commits.want(reply);
                self.commit_if_due();
            }
            Event::Committed(written) => {
                self.commits.done(written, &self.shared);
                // Somebody may have come while it was written.
                self.commit_if_due();
            }
            Event::BuiltInEnded { life, why } => self.registry.built_in_ended(&life, &why, &self.shared),
            // The next tick finds that out.
            Event::Followed => {}
            Event::Remark => self.registry.remarks(&self.shared),
            Event::LogCame(log) => {
                self.shared.logs.tailed.lock().push(log);
                self.registry.logs_came(&self.shared);
            }
            Event::Switch { name, to, reply } => {
                let _ = reply.send(self.registry.switch(&name, to, &self.shared));
            }
            Event::Stop => return false,
        }
        true
    }

    /// Logs that were never read before have begun: before a line of them is counted it is written down where. Else a daemon that is
    /// killed before its first commit would not know which rotations came since.
    fn note_begun(&mut self) {
        let begun = std::mem::take(&mut *self.shared.begun.lock());
        if !begun.is_empty() {
            begun.into_iter().for_each(|position| self.commits.read_on(position, &self.shared));
            self.commits.want(None);
            self.commit_if_due();
        }
    }

    fn push(&mut self, frames: &[Vec<u8>]) -> Pushed {
        let began = Instant::now();
        let now_ms = self.shared.clock.monotonic_ms();
        let mut pushed = Pushed::default();
        let mut tree = self.shared.tree.write();
        for frame in frames {
            // Frames of documents are made by the reader of documents, so none is refused.
            if let Ok(merged) = tree.merge(&[], frame, now_ms) {
                self.shared.relays.merged(&tree, &[], frame, false);
                pushed.merged.leaves += merged.leaves;
                pushed.merged.overflowed += merged.overflowed;
            }
        }
        drop(tree);
        self.merge_ms += began.elapsed().as_secs_f64() * 1e3;
        pushed
    }

    fn delta(&mut self, delta: Delta) {
        let Delta { frames, raw, report, log, position, reply } = delta;
        self.merge_frames(&frames);
        let full = self.forward(raw);
        if let Some(report) = report {
            self.registry.report(report, &self.shared);
        }
        if let Some(LogReport { name, stats, serial, ended }) = log {
            self.report.log((name, serial), stats, ended);
            self.ended.extend(ended.then_some(serial));
        }
        if let Some(position) = position {
            self.commits.read_on(position, &self.shared);
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
        if full {
            self.commit_if_due();
        }
    }

    fn merge_frames(&mut self, frames: &Frames) {
        if frames.is_empty() {
            return;
        }
        let began = Instant::now();
        let now_ms = self.shared.clock.monotonic_ms();
        let mut tree = self.shared.tree.write();
        for (branch, frame) in frames {
            let keys: Vec<&str> = branch.keys.iter().map(String::as_str).collect();
            if let Some((depth, action)) = branch.action {
                let keys = &keys[..depth.min(keys.len())];
                if tree.action_at(keys) != Some(action) {
                    self.shared.relays.acted(keys, action);
                }
                tree.set_action(keys, action);
            }
            match tree.merge(&keys, frame, now_ms) {
                Ok(_) => self.shared.relays.merged(&tree, &keys, frame, false),
                Err(error) => tracing::error!("the delta of {} cannot be merged: {error}", keys.join(",")),
            }
        }
        drop(tree);
        self.merge_ms += began.elapsed().as_secs_f64() * 1e3;
    }

    /// Lines go on as they are; whether there are so many that they are to be committed, once it is noted how far they reach.
    fn forward(&mut self, raw: Vec<Piece>) -> bool {
        let full = !raw.is_empty() && self.shared.relays.forward(raw) > RAW_COMMIT_BYTES;
        if full {
            self.commits.want(None);
        }
        full
    }

    /// What another daemon has sent enters the tree, unless it has already.
    fn relayed(&mut self, relayed: Relayed) {
        let known = self.shared.positions.lock().get(&relayed.source).cloned();
        if let Some(known) = known.and_then(|known| relayed.known(&known)) {
            if let Entry::Lines(pieces) = &relayed.entry {
                self.shared.relays.raw.written(pieces.iter().map(|piece| piece.bytes() as u64).sum());
            }
            let _ = relayed.reply.send(known);
            return;
        }
        let text = relayed.position().into();
        let Relayed { source, entry, reply, .. } = relayed;
        let mut full = false;
        let merged = match entry {
            Entry::Frame(frame) => self.merge_frame(&frame),
            Entry::Folded(frames) => {
                self.merge_frames(&frames);
                Ok(())
            }
            Entry::Lines(pieces) => {
                full = self.forward(pieces);
                Ok(())
            }
        };
        if merged.is_ok() {
            self.commits.read_on(Position { source, text }, &self.shared);
        }
        // The connection may be over: the merge stands all the same, and is known by its number.
        let _ = reply.send(merged.map(|()| Taken::Merged).map_err(Refusal::Entry));
        if full {
            self.commit_if_due();
        }
    }

    fn merge_frame(&mut self, frame: &[u8]) -> Result<(), String> {
        let began = Instant::now();
        let mut tree = self.shared.tree.write();
        let merged = tree.merge(&[], frame, self.shared.clock.monotonic_ms());
        if merged.is_ok() {
            self.shared.relays.merged(&tree, &[], frame, false);
        }
        drop(tree);
        self.merge_ms += began.elapsed().as_secs_f64() * 1e3;
        merged.map(drop).map_err(|error| error.to_string())
    }

    fn tick(&mut self) {
        let now_ms = self.shared.clock.monotonic_ms();
        self.changed = self.registry.tick(&self.shared);
        self.stirred |= self.changed;
        let merge_ms = std::mem::take(&mut self.merge_ms);
        let stirred = std::mem::take(&mut self.stirred);
        self.report.tick(&self.shared, self.registry.statuses(), merge_ms, &self.commits.told, stirred);
        let mut tree = self.shared.tree.write();
        let own = self.report.flush();
        if !own.is_empty() {
            merge_own(&self.shared.relays, &mut tree, own, now_ms);
        }
        let over = tree.end_tick(now_ms);
        drop(tree);
        self.shared.live.tick(over.tick);
        self.commit_if_due();
        if self.settling.as_mut().is_some_and(|settling| settling.settle(Instant::now())) {
            tracing::debug!("what only starting or a visit needed is given back");
        }
    }

    fn commit_if_due(&mut self) {
        let sooner = self.shared.relays.every();
        if self.commits.is_due(self.shared.clock.unix_ms(), sooner) {
            self.commit();
        }
    }

    /// Has all that is in the tree written down: what was read of logs, and what is told of that, together.
    fn commit(&mut self) {
        self.report.logs();
        let now_ms = self.shared.clock.monotonic_ms();
        merge_own(&self.shared.relays, &mut self.shared.tree.write(), self.report.flush(), now_ms);
        self.commits.begin(&self.shared);
    }

    /// The daemon stops: what logs have folded is merged and written down.
    fn end(&mut self, inbox: &mut Inbox) {
        let logs = self.shared.logs.all();
        self.shared.relays.end();
        // First those who hand them lines: else there is always one more.
        self.registry.end();
        logs.iter().for_each(LogHandle::end);
        let ending: Vec<LogSerial> = logs.iter().map(LogHandle::serial).collect();
        drop(logs);
        let began = Instant::now();
        // Who hangs in a call of a pipe does not come.
        while !ending.iter().all(|log| self.ended.contains(log))
            && let Some(Some(event)) = inbox.wait(began + LOGS_END_MAX)
        {
            match event {
                Event::Loaded(_) | Event::Files => {}
                Event::LogCame(log) => log.end(),
                event => drop(self.handle(event)),
            }
        }
        if !self.commits.is_kept() {
            return;
        }
        let mut last = false;
        while began.elapsed() < LAST_COMMIT_MAX {
            if !self.commits.is_under_way() {
                if last {
                    break;
                }
                self.commit();
                last = true;
            }
            if let Some(Some(Event::Committed(written))) = inbox.wait(began + LAST_COMMIT_MAX) {
                self.commits.done(written, &self.shared);
            }
        }
        if self.commits.is_under_way() {
            tracing::error!("the last commit takes too long; what is not written is lost");
        } else {
            self.commits.finish();
        }
    }
}

fn merge_own(relays: &Relays, tree: &mut Tree, frame: &[u8], now_ms: i64) {
    match tree.merge(&[], frame, now_ms) {
        Ok(_) => relays.merged(tree, &[], frame, true),
        Err(error) => tracing::error!("the daemon's own delta cannot be merged: {error}"),
    }
}
