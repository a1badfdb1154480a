//! Every module and the state it is in. What the folders say is compared with what runs, and only what differs is touched.

use super::branch::Branch;
use super::collector::CollectorThread;
use super::library::Library;
use super::load::{Job, Loaded, Loader, Ready};
use super::scan::{self, Folders, Plan, Planned};
use super::status::{Kind, ModuleStatus, State};
use crate::conf::nearest;
use crate::core::{Report, Shared, Switch, SwitchError};
use crate::ingest::{LogHandle, PipeRun};
use plugin_api::ErrorKind;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What of a module runs.
#[derive(Debug)]
enum Running {
    Nothing,
    /// In every log; the library is kept for logs that come later.
    Pipe {
        _library: Arc<Library>,
        _branch: Branch,
    },
    Collector {
        _thread: CollectorThread,
    },
}

#[derive(Debug)]
struct Module {
    status: ModuleStatus,
    plan: Plan,
    running: Running,
    /// The life that runs. Reports of earlier ones are nobody's.
    generation: u64,
    /// The life that is being loaded.
    loading: Option<u64>,
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
            tracing::info!("module {name}: gone");
        }
        for (name, plan) in plans {
            if self.modules.get(&name).is_none_or(|module| module.plan != plan) {
                self.change(&name, plan, shared);
            }
        }
        self.publish(shared);
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
        });
        module.status.file.clone_from(&plan.file);
        module.plan = plan.clone();
        // What was being loaded is out of date.
        module.loading = None;
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
        let started = match result {
            Err(why) => Err(why),
            Ok(Ready::Collector(collecting)) => {
                module.status.kind = Kind::Collector;
                let (tick, clock, events) = (shared.conf.tick, shared.clock, shared.events.clone());
                collecting
                    .start(name.clone(), generation, tick, clock, events)
                    .map(|thread| Running::Collector { _thread: thread })
                    .map_err(|error| format!("its thread cannot be started: {error}"))
            }
            Ok(Ready::Pipe { library, branch, by_log }) => {
                module.status.kind = Kind::Pipe;
                for (log, pipe) in by_log {
                    let Some(log) = log_named(&log, shared) else { continue };
                    let branch = branch.below(&log.prefix);
                    let run = PipeRun { name: name.clone(), branch, wants: library.wants(), pipe };
                    log.put(run, generation);
                }
                Ok(Running::Pipe { _library: library, _branch: branch })
            }
        };
        match started {
            Ok(running) => {
                // A collector's old thread ends here; a pipe has taken the old one's place.
                if let (Running::Pipe { .. }, Running::Collector { .. }) = (&module.running, &running) {
                    take_pipes(&name, shared);
                }
                module.running = running;
                module.generation = generation;
                self.enter(&name, State::Running, String::new(), shared);
            }
            Err(why) => self.enter(&name, State::Rejected, why, shared),
        }
        self.publish(shared);
    }

    /// A module tells how a call of it went.
    pub(crate) fn report(&mut self, report: Report, shared: &Shared) {
        let Report { name, generation, error, next_ms } = report;
        let Some(module) = self.modules.get_mut(&name).filter(|module| module.generation == generation) else {
            return;
        };
        // While a newer life is being loaded, or was rejected, that is what is shown.
        if !matches!(module.status.state, State::Running | State::Failing | State::Late) {
            return;
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

    /// A tick is over. Nothing of the registry's is due by time yet.
    pub(crate) fn tick(&mut self, _: &Shared) {}

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
