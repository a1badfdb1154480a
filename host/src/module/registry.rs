//! Every module and the state it is in. What the folders say is compared with what runs, and only what differs is touched.

use super::branch::Branch;
use super::collector::CollectorThread;
use super::library::Library;
use super::load::{Job, Loaded, Loader, Ready, ReadyWhat};
use super::probe::Refusal;
use super::scan::{self, Folders, Plan, Planned};
use super::status::{Kind, ModuleStatus, State};
use crate::conf::nearest;
use crate::core::{Report, Shared, Switch, SwitchError};
use crate::ingest::{LogHandle, PipeRun};
use crate::limits::BACKOFF_MAX;
use plugin_api::ErrorKind;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What of a module runs.
#[derive(Debug)]
enum Running {
    Nothing,
    /// In every log; the library is kept for logs that come later.
    Pipe {
        _library: Arc<Library>,
        branch: Branch,
    },
    Collector {
        _thread: CollectorThread,
        branch: Branch,
    },
}

impl Running {
    fn branch(&self) -> Option<&Branch> {
        match self {
            Running::Nothing => None,
            Running::Pipe { branch, .. } | Running::Collector { branch, .. } => Some(branch),
        }
    }
}

/// The first pause of a module that is to be made anew; it doubles.
const BACKOFF: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Module {
    status: ModuleStatus,
    plan: Plan,
    running: Running,
    /// The life that runs. Reports of earlier ones are nobody's.
    generation: u64,
    /// The life that is being loaded.
    loading: Option<u64>,
    /// Times in a row that it could not be made, or broke.
    failures: u32,
    /// When it is to be made anew, on the monotonic clock in milliseconds.
    retry_ms: Option<i64>,
}

/// All modules.
#[derive(Debug)]
pub struct Registry {
    folders: Folders,
    loader: Loader,
    modules: BTreeMap<String, Module>,
    /// What is shown, kept in step with `modules`.
    statuses: Arc<Vec<ModuleStatus>>,
    last_generation: u64,
    /// Why the folders could not be looked into last time.
    trouble: Option<String>,
    /// All that was found at the start runs, or cannot: the logs may begin.
    settled: bool,
}

impl Registry {
    /// A registry that has not looked into the folders yet.
    #[must_use]
    pub fn new(folders: Folders, loader: Loader) -> Registry {
        Registry {
            folders,
            loader,
            modules: BTreeMap::new(),
            statuses: Arc::default(),
            last_generation: 0,
            trouble: None,
            settled: false,
        }
    }

    /// What is shown of all modules, by name.
    #[must_use]
    pub fn statuses(&self) -> &[ModuleStatus] {
        &self.statuses
    }

    /// Looks into the folders, and changes what differs from them.
    pub(crate) fn files(&mut self, shared: &Shared) {
        let seen = match scan::look(&self.folders) {
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
        let plans = scan::plan(&seen);
        let gone: Vec<String> = self.modules.keys().filter(|name| !plans.contains_key(*name)).cloned().collect();
        for name in gone {
            self.stop(&name, shared);
            self.modules.remove(&name);
            self.loader.forget(&name);
            tracing::info!("module {name}: gone");
        }
        for (name, plan) in plans {
            if self.modules.get(&name).is_none_or(|module| module.plan != plan) {
                self.change(&name, plan, shared);
            }
        }
        self.settle(shared);
        self.publish(shared);
    }

    /// Lets the logs begin when everything that was there at the start has been tried.
    fn settle(&mut self, shared: &Shared) {
        if !self.settled && self.modules.values().all(|module| module.loading.is_none()) {
            self.settled = true;
            shared.logs.own.open();
            shared.logs.push.open();
            shared.ready.store(true, Ordering::Release);
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
                next_ms: None,
            },
            plan: plan.clone(),
            running: Running::Nothing,
            generation: 0,
            loading: None,
            failures: 0,
            retry_ms: None,
        });
        module.status.file.clone_from(&plan.file);
        module.plan = plan.clone();
        // What was being loaded is out of date.
        module.loading = None;
        module.retry_ms = None;
        match plan.what {
            Planned::Off => {
                self.stop(name, shared);
                self.enter(name, State::Off, String::new(), shared);
            }
            // What runs goes on: a slip in a file costs nothing but its message.
            Planned::Rejected(why) => self.enter(name, State::Rejected, why, shared),
            Planned::Run { plugin, conf } => {
                self.last_generation += 1;
                let generation = self.last_generation;
                if let Some(module) = self.modules.get_mut(name) {
                    module.loading = Some(generation);
                }
                self.enter(name, State::Probing, String::new(), shared);
                let logs = [&shared.logs.own, &shared.logs.push].map(|log| log.name.clone()).into();
                let conf_file = Some(plan.file).filter(|file| *file != plugin.path);
                self.loader.load(Job { name: name.to_owned(), generation, plugin, conf, conf_file, logs });
            }
        }
    }

    /// A module has been loaded, or could not be.
    pub(crate) fn loaded(&mut self, loaded: Loaded, shared: &Shared) {
        let Loaded { name, generation, result } = loaded;
        let Some(module) = self.modules.get_mut(&name).filter(|module| module.loading == Some(generation)) else {
            return;
        };
        module.loading = None;
        let started = result.and_then(|ready| self.start(&name, generation, ready, shared));
        match started {
            Ok(running) => {
                if let Some(module) = self.modules.get_mut(&name) {
                    // A collector's old thread ends here; a pipe has taken the old one's place.
                    if let (Running::Pipe { .. }, Running::Collector { .. }) = (&module.running, &running) {
                        take_pipes(&name, shared);
                    }
                    module.running = running;
                    module.generation = generation;
                }
                self.enter(&name, State::Running, String::new(), shared);
            }
            // The moment's fault, perhaps: what runs goes on meanwhile.
            Err(Refusal { why, again: true }) => self.fail(&name, why, shared),
            Err(Refusal { why, again: false }) => self.enter(&name, State::Rejected, why, shared),
        }
        self.settle(shared);
        self.publish(shared);
    }

    fn start(&mut self, name: &str, generation: u64, ready: Ready, shared: &Shared) -> Result<Running, Refusal> {
        let Ready { branch, what } = ready;
        let twin = self.modules.iter().find(|(other, module)| {
            *other != name && module.running.branch().is_some_and(|taken| taken.keys == branch.keys)
        });
        if let Some((other, _)) = twin {
            let path = branch.keys.join(",");
            return Err(Refusal::from(format!(
                "hangs at {path}, where {other} hangs already; give one of them another path = \"…\""
            )));
        }
        let Some(module) = self.modules.get_mut(name) else { return Err(Refusal::from("is gone".to_owned())) };
        match what {
            ReadyWhat::Collector(collecting) => {
                module.status.kind = Kind::Collector;
                let (tick, clock, events) = (shared.conf.tick, shared.clock, shared.events.clone());
                let thread = collecting.start(name.to_owned(), generation, tick, clock, events);
                let thread = thread.map_err(|error| Refusal::now(format!("its thread cannot be started: {error}")))?;
                Ok(Running::Collector { _thread: thread, branch })
            }
            ReadyWhat::Pipe { library, by_log } => {
                module.status.kind = Kind::Pipe;
                for (log, pipe) in by_log {
                    let Some(log) = log_named(&log, shared) else { continue };
                    let branch = branch.below(&log.prefix);
                    log.put(PipeRun { name: name.to_owned(), branch, wants: library.wants(), pipe }, generation);
                }
                Ok(Running::Pipe { _library: library, branch })
            }
        }
    }

    /// A module could not be made, or broke: it is made anew after a pause that doubles.
    fn fail(&mut self, name: &str, why: String, shared: &Shared) {
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

    /// A module tells how a call of it went.
    pub(crate) fn report(&mut self, report: Report, shared: &Shared) {
        let Report { name, generation, error, next_ms } = report;
        let Some(module) = self.modules.get_mut(&name).filter(|module| module.generation == generation) else {
            return;
        };
        // While a newer life is being loaded, waits for its turn or was rejected, that is what is shown.
        if module.retry_ms.is_some() || !matches!(module.status.state, State::Running | State::Failing | State::Late) {
            return;
        }
        if let Some(error) = error.as_ref().filter(|error| error.kind() == ErrorKind::Panic) {
            // Nobody knows the state that it is in now: it goes, and is made anew.
            let since_ms = module.status.since_ms;
            if shared.clock.unix_ms() - since_ms > BACKOFF_MAX.as_millis() as i64 {
                module.failures = 0;
            }
            let why = error.message().to_owned();
            self.stop(&name, shared);
            self.fail(&name, why, shared);
            return self.publish(shared);
        }
        module.status.next_ms = next_ms;
        let (state, why) = match error {
            None => (State::Running, String::new()),
            Some(error) if error.kind() == ErrorKind::NoData => (State::Running, error.message().to_owned()),
            Some(error) => (State::Failing, error.message().to_owned()),
        };
        if module.status.state != state || module.status.why != why {
            self.enter(&name, state, why, shared);
        }
        self.publish(shared);
    }

    /// A tick is over: modules whose pause is over are made anew.
    pub(crate) fn tick(&mut self, shared: &Shared) {
        let now_ms = shared.clock.monotonic_ms();
        let due = |module: &Module| module.retry_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let due: Vec<(String, Plan)> = self
            .modules
            .iter()
            .filter(|(_, module)| due(module))
            .map(|(name, module)| (name.clone(), module.plan.clone()))
            .collect();
        if due.is_empty() {
            return;
        }
        for (name, plan) in due {
            self.change(&name, plan, shared);
        }
        self.publish(shared);
    }

    /// Switches a module, by renaming its file: the folder is always the truth.
    pub(crate) fn switch(&mut self, name: &str, to: Switch, shared: &Shared) -> Result<(), SwitchError> {
        let Some(module) = self.modules.get_mut(name) else {
            let near = nearest(name, self.modules.keys().map(String::as_str));
            return Err(SwitchError::Unknown(near.map(str::to_owned)));
        };
        if to == Switch::Reload {
            let plan = module.plan.clone();
            if matches!(plan.what, Planned::Off) {
                return Err(SwitchError::Failed(format!("{name} is off; switch it on first")));
            }
            self.change(name, plan, shared);
            self.publish(shared);
            return Ok(());
        }
        let Some(folder) = &self.folders.conf else {
            return Err(SwitchError::Failed("there is no conf folder; start graftd with --conf DIR".to_owned()));
        };
        rename(folder, name, to).map_err(SwitchError::Failed)?;
        self.files(shared);
        Ok(())
    }

    /// Ends what runs of a module.
    fn stop(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        module.loading = None;
        if let Running::Pipe { .. } = module.running {
            take_pipes(name, shared);
        }
        module.running = Running::Nothing;
        module.generation = 0;
    }

    fn enter(&mut self, name: &str, state: State, why: String, shared: &Shared) {
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
        status.state = state;
        status.why = why;
        status.since_ms = shared.clock.unix_ms();
    }

    fn publish(&mut self, shared: &Shared) {
        self.statuses = Arc::new(self.modules.values().map(|module| module.status.clone()).collect());
        *shared.modules.write() = Arc::clone(&self.statuses);
    }
}

fn log_named<'s>(name: &str, shared: &'s Shared) -> Option<&'s LogHandle> {
    [&shared.logs.own, &shared.logs.push].into_iter().find(|log| log.name == name)
}

fn take_pipes(name: &str, shared: &Shared) {
    for log in [&shared.logs.own, &shared.logs.push] {
        log.take(name);
    }
}

/// Renames `NAME.on` to `NAME.off` or back; a plugin without either gets an empty `NAME.off`.
fn rename(folder: &Path, name: &str, to: Switch) -> Result<(), String> {
    let [on, off] = ["on", "off"].map(|ending| folder.join(format!("{name}.{ending}")));
    let (from, into) = if to == Switch::On { (&off, &on) } else { (&on, &off) };
    if into.exists() && from.exists() {
        return Err(format!("{} and {} both speak of {name}; remove one", on.display(), off.display()));
    }
    let done = if from.exists() {
        fs::rename(from, into)
    } else if into.exists() || to == Switch::On {
        // It is so already.
        Ok(())
    } else {
        fs::write(into, "")
    };
    done.map_err(|error| format!("{} cannot be renamed to {}: {error}", from.display(), into.display()))
}
