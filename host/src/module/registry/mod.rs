//! Every module and the state it is in. What the folders say is compared with what runs, and only what differs is touched.
//!
//! This file takes a module from what its files say to what runs; `report.rs` takes it on from what its calls came to, and
//! `calls.rs` from calls that do not come back.

mod built_in;
mod calls;
mod history;
mod join;
mod report;
mod status;

pub use history::{Change, Changes};
pub use status::{Kind, ModuleStatus, State};

use super::branch::Branch;
use super::built_in::{BuiltIn, BuiltInConf, BuiltIns};
use super::collector::{Around, CollectorThread};
use super::dispose::Disposer;
use super::fence::Callee;
use super::files::{Folders, Plan, Planned, Unread, look, plan_after};
use super::load::{Job, Loaded, Loader, Ready, ReadyWhat};
use super::probe::Refusal;
use super::stats::ModuleStats;
use crate::conf::{Isolation, Role, nearest};
use crate::core::{Shared, Switch, SwitchError};
use crate::ingest::{LogName, LogSerial, PipeRun};
use crate::limits::{BACKOFF, BACKOFF_MAX, DETAIL_BYTES_MAX, START_PATIENCE, WHY_BYTES_MAX};
use crate::text::line_and_detail;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A module's life, from its making to its end.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) callee: Arc<Callee>,
    pub(super) branch: Branch,
    pub(super) body: LifeBody,
    /// It runs in a process of its own.
    pub(super) isolated: bool,
    /// Something that is to be said of it although it runs.
    pub(super) remark: String,
    /// The logs in which a pipe has yet to show that it works.
    pub(super) unproved: Vec<LogName>,
    /// The logs that a pipe runs in, or is about to.
    pub(super) joined: Vec<LogSerial>,
    pub(super) began: Instant,
}

/// Where the life's code is called.
#[derive(Debug)]
pub(super) enum LifeBody {
    /// In every log.
    Pipe,
    /// On a thread of its own.
    Collector(CollectorThread),
}

#[derive(Debug)]
pub(super) struct Module {
    pub(super) status: ModuleStatus,
    pub(super) plan: Plan,
    /// What runs.
    pub(super) running: Option<Life>,
    /// What is to run in its place: what runs stays until this has worked once.
    pub(super) trial: Option<Life>,
    /// What runs, where it is built in; and which life that is.
    pub(super) built_in: Option<(u64, BuiltIn)>,
    /// The life that is being loaded.
    pub(super) loading: Option<u64>,
    /// The life that is being made for logs that came while it ran.
    pub(super) joining: Option<u64>,
    /// Times in a row that it could not be made, or broke.
    pub(super) failures: u32,
    /// When it is to be made anew, on the monotonic clock in milliseconds.
    pub(super) retry_ms: Option<i64>,
    /// Why it is to run in a process of its own although its `.on` does not say so: a call of it did not come back, and
    /// only a process can be ended.
    pub(super) apart: Option<String>,
    /// The branch where another module hangs, for which this one waits.
    waits_for: Option<Arc<[String]>>,
}

impl Module {
    /// All its lives.
    pub(super) fn lives(&self) -> impl Iterator<Item = &Life> {
        self.running.iter().chain(&self.trial)
    }
}

/// All modules.
#[derive(Debug)]
pub struct Registry {
    folders: Folders,
    pub(super) loader: Loader,
    pub(super) built_ins: BuiltIns,
    pub(super) disposer: Disposer,
    pub(super) modules: BTreeMap<String, Module>,
    /// What is shown, kept in step with `modules`.
    statuses: Arc<Vec<ModuleStatus>>,
    last_generation: u64,
    /// Why the folders could not be looked into last time.
    trouble: Option<String>,
    /// It is an agent, and no relay is there that would send what it measures.
    sends_nothing: bool,
    /// The files that were told to be unread.
    unread: BTreeSet<Unread>,
    /// All that was found at the start runs, or cannot: the logs may begin.
    settled: bool,
    began: Instant,
    /// How many collectors have been started.
    collectors: u32,
    /// Collectors that are done with and still in a call: they are watched until they come back, or are given up.
    pub(super) leaving: Vec<CollectorThread>,
    /// Lives that have not come back from a call, as they were noted in case the daemon is killed for it.
    pub(super) late_noted: Vec<u64>,
}

impl Registry {
    /// A registry that has not looked into the folders yet.
    #[must_use]
    pub(crate) fn new(folders: Folders, loader: Loader, disposer: Disposer, built_ins: BuiltIns) -> Registry {
        Registry {
            folders,
            loader,
            built_ins,
            disposer,
            modules: BTreeMap::new(),
            statuses: Arc::default(),
            last_generation: 0,
            trouble: None,
            sends_nothing: false,
            unread: BTreeSet::new(),
            settled: false,
            began: Instant::now(),
            collectors: 0,
            leaving: Vec::new(),
            late_noted: Vec::new(),
        }
    }

    /// What is shown of all modules, by name.
    #[must_use]
    pub fn statuses(&self) -> &[ModuleStatus] {
        &self.statuses
    }

    /// Looks into the folders, and changes what differs from them.
    pub(crate) fn files(&mut self, shared: &Shared) {
        let seen = match look(&self.folders) {
            Ok(seen) => seen,
            Err(why) => {
                // A folder that vanished is waited for: what runs goes on.
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!("{why}; the modules stay as they are until it is there again");
                }
                self.trouble = Some(why);
                return;
            }
        };
        self.trouble = None;
        for unread in seen.unread.difference(&self.unread) {
            tracing::warn!("{}", unread.why);
        }
        let plans = plan_after(&seen, |name| self.modules.get(name).map(|module| module.plan.clone()));
        let sends = |plan: &Plan| matches!(&plan.what, Planned::BuiltIn(BuiltInConf::Relay(_)));
        let sends_nothing = shared.conf.role == Role::Agent && !plans.values().any(sends);
        if sends_nothing && !self.sends_nothing {
            tracing::warn!(
                "an agent without a relay sends nothing: say where to in relay.on of the conf folder (conf/relay.off shows it)"
            );
        }
        self.sends_nothing = sends_nothing;
        let gone: Vec<String> = self.modules.keys().filter(|name| !plans.contains_key(*name)).cloned().collect();
        for name in gone {
            self.stop(&name, shared);
            self.modules.remove(&name);
            self.loader.forget(&name);
            tracing::info!("module {name}: gone");
            shared.module_changes.push(shared.clock.unix_ms(), &name, State::Stopped, "it is gone");
        }
        // First what brings logs: pipes are then made for these as well.
        let (first, rest): (Vec<_>, Vec<_>) =
            plans.into_iter().partition(|(_, plan)| matches!(plan.what, Planned::BuiltIn(_)));
        for (name, plan) in first.into_iter().chain(rest) {
            if self.modules.get(&name).is_none_or(|module| module.plan != plan) {
                self.change(&name, plan, shared);
            }
        }
        self.join_logs(shared);
        self.unread = seen.unread;
        self.settle(shared);
        self.publish(shared);
    }

    /// There may be logs that pipes have to be made for.
    pub(crate) fn logs_came(&mut self, shared: &Shared) {
        self.join_logs(shared);
        self.settle(shared);
    }

    /// Lets the logs begin when everything that was there at the start has been tried.
    pub(super) fn settle(&mut self, shared: &Shared) {
        let ready = self.modules.values().all(|module| module.loading.is_none());
        // Who cannot be made for so long must not keep the others from their lines.
        if !self.settled && (ready || self.began.elapsed() > START_PATIENCE) {
            self.settled = true;
            shared.ready.store(true, Ordering::Release);
        }
        if self.settled {
            self.open_logs(shared);
        }
    }

    /// Makes a module what its new plan says.
    fn change(&mut self, name: &str, plan: Plan, shared: &Shared) {
        let since_ms = shared.clock.unix_ms();
        let module = self.modules.entry(name.to_owned()).or_insert_with(|| Module {
            status: ModuleStatus {
                name: name.to_owned(),
                kind: Kind::Unknown,
                file: plan.file.clone(),
                state: State::Probing,
                since_ms,
                why: String::new(),
                detail: String::new(),
                next_ms: None,
                isolation: Isolation::None,
                runs: false,
                branch: None,
                stats: Arc::new(ModuleStats::default()),
            },
            plan: plan.clone(),
            running: None,
            trial: None,
            built_in: None,
            loading: None,
            joining: None,
            failures: 0,
            retry_ms: None,
            apart: None,
            waits_for: None,
        });
        if module.plan != plan {
            // What is told of the files as they were says nothing about them as they are.
            module.failures = 0;
            module.apart = None;
        }
        module.status.file.clone_from(&plan.file);
        module.plan = plan;
        self.make(name, shared);
    }

    /// Makes a module what its plan says.
    pub(super) fn make(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        // What was being loaded is out of date.
        module.loading = None;
        module.joining = None;
        module.retry_ms = None;
        module.waits_for = None;
        match module.plan.what.clone() {
            Planned::Off(why) => {
                self.stop(name, shared);
                self.enter(name, State::Off, why, shared);
            }
            // What runs goes on: a slip in a file costs nothing but its message.
            Planned::Rejected(why) => self.enter(name, State::Rejected, why, shared),
            Planned::BuiltIn(conf) => self.make_built_in(name, &conf, shared),
            Planned::Run { plugin, conf } => {
                // It was built in under this name, and shares nothing with what it is now.
                module.built_in = None;
                self.last_generation += 1;
                module.loading = Some(self.last_generation);
                let job = Job {
                    name: name.to_owned(),
                    generation: self.last_generation,
                    conf_file: Some(module.plan.file.clone()).filter(|file| *file != plugin.path),
                    plugin,
                    conf,
                    logs: log_names(shared),
                    joins: false,
                    stats: Arc::clone(&module.status.stats),
                    apart: module.apart.clone(),
                };
                self.enter(name, State::Probing, String::new(), shared);
                self.loader.load(job);
            }
        }
    }

    /// A module has been loaded, or could not be.
    pub(crate) fn loaded(&mut self, loaded: Loaded, shared: &Shared) {
        if loaded.joins.is_some() {
            return self.joined(loaded, shared);
        }
        let Loaded { name, generation, result, .. } = loaded;
        let Some(module) = self.modules.get_mut(&name).filter(|module| module.loading == Some(generation)) else {
            // Nobody wants it any more. Its end is not the core's to wait for.
            if let Ok(ready) = result {
                self.disposer.dispose(Arc::clone(&ready.callee), ready);
            }
            return;
        };
        module.loading = None;
        let started = result.and_then(|ready| self.start(&name, ready, shared));
        match started {
            Ok(life) => {
                self.begin(&name, life, shared);
                self.join_logs(shared);
            }
            // The moment's fault, perhaps: what runs goes on meanwhile.
            Err(Refusal { why, off: true, .. }) => {
                self.stop(&name, shared);
                self.enter(&name, State::Off, why, shared);
            }
            Err(Refusal { why, again: true, .. }) => self.fail(&name, why, shared),
            Err(Refusal { why, again: false, .. }) => self.enter(&name, State::Rejected, why, shared),
        }
        self.settle(shared);
        self.publish(shared);
    }

    fn start(&mut self, name: &str, ready: Ready, shared: &Shared) -> Result<Life, Refusal> {
        let Ready { callee, branch, what, isolated, remark } = ready;
        let hangs_there = |module: &Module| module.lives().any(|life| life.branch.keys == branch.keys);
        let twin = self.modules.iter().find(|(other, module)| *other != name && hangs_there(module));
        let twin = twin.map(|(other, _)| other.clone());
        if let Some(other) = twin {
            let path = branch.keys.join(",");
            if let Some(module) = self.modules.get_mut(name) {
                module.waits_for = Some(Arc::clone(&branch.keys));
            }
            self.disposer.dispose(callee, what);
            return Err(Refusal::from(format!(
                "hangs at {path}, where {other} hangs already; give one of them another path = \"…\""
            )));
        }
        let (mut joined, mut unproved) = (Vec::new(), Vec::new());
        let body = match what {
            ReadyWhat::Collector(collecting) => {
                self.collectors = self.collectors.wrapping_add(1);
                let thread = collecting.start(Around {
                    tick: shared.conf.tick,
                    clock: shared.clock,
                    events: shared.events.clone(),
                    disposer: self.disposer.clone(),
                    number: self.collectors,
                });
                let thread = thread.map_err(|error| Refusal::now(format!("its thread cannot be started: {error}")))?;
                LifeBody::Collector(thread)
            }
            ReadyWhat::Pipe { wants, grouping, by_log } => {
                let logs = shared.logs.all();
                for (log, pipe) in by_log {
                    let Some(log) = logs.iter().find(|other| other.name == log) else { continue };
                    joined.push(log.serial());
                    unproved.push(log.name.clone());
                    log.put(PipeRun::new(Arc::clone(&callee), (&log.prefix, &branch, grouping.as_ref()), wants, pipe));
                }
                LifeBody::Pipe
            }
        };
        Ok(Life { callee, branch, body, isolated, remark, unproved, joined, began: Instant::now() })
    }

    /// A life of a module begins: at once where nothing runs, else on trial.
    fn begin(&mut self, name: &str, life: Life, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let kind = if matches!(life.body, LifeBody::Pipe) { Kind::Pipe } else { Kind::Collector };
        let is_pipe = |life: &Life| matches!(life.body, LifeBody::Pipe);
        let was_pipe = module.lives().any(is_pipe);
        let before = module.trial.take();
        let replaces = module.running.as_ref().is_some_and(|running| is_pipe(running) == is_pipe(&life));
        if !replaces {
            // What turned from a pipe into a collector, or the other way, shares nothing with what it was.
            let gone = module.running.replace(life);
            before.into_iter().chain(gone).for_each(|life| self.leave(life));
            if was_pipe && kind == Kind::Collector {
                take_pipes(name, shared);
            }
            if kind == Kind::Collector && self.modules.get(name).is_some_and(|module| module.failures > 0) {
                // It failed before: that it runs shows in its first sample.
                return self.show_place(name);
            }
            return self.runs(name, shared);
        }
        let pipe = is_pipe(&life);
        module.trial = Some(life);
        before.into_iter().for_each(|life| self.leave(life));
        if pipe {
            // It has its place in every log, and may wait there for long for the first line.
            self.runs(name, shared);
        }
    }

    /// A module runs.
    pub(super) fn runs(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(life) = module.trial.as_ref().or(module.running.as_ref()) else { return };
        let mut remark = life.remark.clone();
        let abandoned = module.status.stats.counts().abandoned;
        if abandoned > 0 && remark.is_empty() {
            remark = format!("threads of it that are left behind: {abandoned}; only a restart of the daemon ends them");
        }
        self.show_place(name);
        self.enter(name, State::Running, remark, shared);
    }

    /// Shows what a module is, and where it runs.
    pub(super) fn show_place(&mut self, name: &str) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(life) = module.trial.as_ref().or(module.running.as_ref()) else { return };
        module.status.kind = if matches!(life.body, LifeBody::Pipe) { Kind::Pipe } else { Kind::Collector };
        module.status.isolation = if life.isolated { Isolation::Process } else { Isolation::None };
    }

    /// A module could not be made, or broke: it is made anew after a pause that doubles.
    pub(super) fn fail(&mut self, name: &str, why: String, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let pause = BACKOFF.saturating_mul(1 << module.failures.min(20)).min(BACKOFF_MAX);
        module.failures += 1;
        let pause_ms = pause.as_millis() as i64;
        module.retry_ms = Some(shared.clock.monotonic_ms() + pause_ms);
        let next_ms = shared.clock.unix_ms() + pause_ms;
        self.enter(name, State::Failing, why, shared);
        if let Some(module) = self.modules.get_mut(name) {
            module.status.next_ms = Some(next_ms);
        }
    }

    /// The daemon stops in order: who is late now is no suspect, and nothing comes in any more.
    pub(crate) fn end(&mut self) {
        self.modules.values_mut().for_each(|module| module.built_in = None);
        self.loader.blamed().all_well();
    }

    /// A tick is over: modules whose pause is over are made anew, and calls that do not come back are given up. Whether anything
    /// is another now.
    pub(crate) fn tick(&mut self, shared: &Shared) -> bool {
        let now_ms = shared.clock.monotonic_ms();
        let due = |module: &Module| module.retry_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let due: Vec<String> =
            self.modules.iter().filter(|(_, module)| due(module)).map(|(name, _)| name.clone()).collect();
        for name in self.free_again() {
            self.make(&name, shared);
        }
        for name in &due {
            if let Some(module) = self.modules.get(name) {
                module.status.stats.restarted();
            }
            self.make(name, shared);
        }
        self.settle(shared);
        let changed = self.watch_calls(shared) || !due.is_empty();
        if changed {
            self.publish(shared);
        }
        changed
    }

    /// Modules whose branch another had, which does not hang there any more.
    fn free_again(&self) -> Vec<String> {
        let taken = |keys: &Arc<[String]>| {
            self.modules.values().any(|module| module.lives().any(|life| life.branch.keys == *keys))
        };
        let free = |module: &Module| module.waits_for.as_ref().is_some_and(|keys| !taken(keys));
        self.modules.iter().filter(|(_, module)| free(module)).map(|(name, _)| name.clone()).collect()
    }

    /// Switches a module, by renaming its file: the folder is always the truth.
    pub(crate) fn switch(&mut self, name: &str, to: Switch, shared: &Shared) -> Result<(), SwitchError> {
        let Some(module) = self.modules.get_mut(name) else {
            let near = nearest(name, self.modules.keys().map(String::as_str));
            return Err(SwitchError::Unknown(near.map(str::to_owned)));
        };
        if to == Switch::Reload {
            if matches!(module.plan.what, Planned::Off(_)) {
                return Err(SwitchError::Failed(format!("{name} is off; switch it on first")));
            }
            module.failures = 0;
            module.apart = None;
            self.loader.blamed().forgive(name);
            self.make(name, shared);
            self.publish(shared);
            return Ok(());
        }
        if to == Switch::On && module.status.state == State::Off && matches!(module.plan.what, Planned::Run { .. }) {
            // There is nothing to rename.
            return Err(SwitchError::Failed(module.status.why.clone()));
        }
        let Some(folder) = &self.folders.conf else {
            return Err(SwitchError::Failed("there is no conf folder; start graftd with --conf DIR".to_owned()));
        };
        rename(folder, name, to).map_err(SwitchError::Failed)?;
        self.files(shared);
        Ok(())
    }

    /// Ends what runs of a module, and what was to become of it.
    pub(super) fn stop(&mut self, name: &str, shared: &Shared) {
        if let Some(module) = self.modules.get_mut(name) {
            module.loading = None;
        }
        self.loader.forget(name);
        self.stop_running(name, shared);
    }

    /// Ends what runs of a module.
    pub(super) fn stop_running(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        module.built_in = None;
        self.stop_lives(name, shared);
    }

    /// Ends what runs of a plugin.
    fn stop_lives(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        // Also where no life is known to have one: what is on its way into a log must not stay there.
        if module.status.kind != Kind::Collector {
            take_pipes(name, shared);
        }
        let lives = [module.running.take(), module.trial.take()];
        module.status.isolation = Isolation::None;
        lives.into_iter().flatten().for_each(|life| self.leave(life));
    }

    /// A life is over. A collector's thread ends when its handle goes, after the call under way.
    pub(super) fn leave(&mut self, life: Life) {
        if let LifeBody::Collector(mut thread) = life.body
            && thread.is_in_a_call()
        {
            thread.stop();
            self.leaving.push(thread);
        }
    }

    pub(super) fn enter(&mut self, name: &str, state: State, why: String, shared: &Shared) {
        // Some of it is what foreign code said.
        let (why, detail) = line_and_detail(why, WHY_BYTES_MAX, DETAIL_BYTES_MAX);
        let Some(module) = self.modules.get_mut(name) else { return };
        let status = &mut module.status;
        match state {
            State::Rejected | State::Failing => tracing::warn!("module {name}: {state}: {why}"),
            State::Probing | State::Late => tracing::debug!("module {name}: {state}"),
            _ => tracing::info!("module {name}: {state}"),
        }
        if state != State::Failing {
            status.next_ms = None;
        }
        let now_ms = shared.clock.unix_ms();
        if status.state != state {
            status.since_ms = now_ms;
        }
        // A new module is being probed from the beginning, and one may be probed once more.
        if status.state != state || state == State::Probing {
            shared.module_changes.push(now_ms, name, state, &why);
        }
        status.state = state;
        status.why = why;
        status.detail = detail;
    }

    pub(super) fn publish(&mut self, shared: &Shared) {
        for module in self.modules.values_mut() {
            module.status.runs = module.running.is_some() || module.built_in.is_some();
            let branch = module.lives().next().map(|life| Arc::clone(&life.branch.keys));
            module.status.branch = branch;
        }
        self.statuses = Arc::new(self.modules.values().map(|module| module.status.clone()).collect());
        *shared.modules.write() = Arc::clone(&self.statuses);
    }
}

/// The names of the logs that pipes run in.
fn log_names(shared: &Shared) -> Vec<LogName> {
    shared.logs.piped().into_iter().map(|log| log.name).collect()
}

fn take_pipes(name: &str, shared: &Shared) {
    for log in shared.logs.all() {
        log.take(name);
    }
}

/// Renames `NAME.on` to `NAME.off` or back; a plugin without either gets an empty `NAME.off`.
fn rename(folder: &Path, name: &str, to: Switch) -> Result<(), String> {
    let [on, off] = ["on", "off"].map(|ending| folder.join(format!("{name}.{ending}")));
    let (from, into) = if to == Switch::On { (&off, &on) } else { (&on, &off) };
    // A link that leads nowhere is there too.
    let [is, will_be] = [from, into].map(|file| file.symlink_metadata().is_ok());
    if will_be && is {
        return Err(format!("{} and {} both speak of {name}; remove one", on.display(), off.display()));
    }
    let done = if is {
        fs::rename(from, into)
    } else if will_be || to == Switch::On {
        // It is so already.
        Ok(())
    } else {
        // A plugin may have changed what files are made with. Under its name it is whole at once.
        let aside = folder.join(format!(".{name}.off.new"));
        let made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&aside);
        made.and_then(|_| fs::rename(aside, into))
    };
    done.map_err(|error| format!("{} cannot be renamed to {}: {error}", from.display(), into.display()))
}
