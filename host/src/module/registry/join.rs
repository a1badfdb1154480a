//! Logs that come while pipes run: each pipe gets an instance for them, and what runs in other logs is left alone.

use super::{LifeBody, Registry};
use crate::core::Shared;
use crate::ingest::{LogHandle, LogName, PipeRun};
use crate::limits::START_PATIENCE;
use crate::module::files::Planned;
use crate::module::load::{Job, Loaded, ReadyWhat};
use std::sync::Arc;

impl Registry {
    /// Has pipes made for logs that have none yet.
    pub(super) fn join_logs(&mut self, shared: &Shared) {
        let logs = shared.logs.piped();
        for (name, module) in &mut self.modules {
            // What is being loaded replaces what runs, and joins when it is there.
            if module.loading.is_some() || module.joining.is_some() {
                continue;
            }
            let Planned::Run { plugin, conf } = &module.plan.what else { continue };
            let life = module.trial.as_mut().or(module.running.as_mut());
            let Some(life) = life.filter(|life| matches!(life.body, LifeBody::Pipe)) else { continue };
            life.joined.retain(|serial| logs.iter().any(|log| log.serial() == *serial));
            life.unproved.retain(|name| logs.iter().any(|log| log.name == *name));
            let missing = logs.iter().filter(|log| !life.joined.contains(&log.serial()));
            let missing: Vec<LogName> = missing.map(|log| log.name.clone()).collect();
            if missing.is_empty() {
                continue;
            }
            module.joining = Some(life.callee.generation);
            self.loader.load(Job {
                name: name.clone(),
                generation: life.callee.generation,
                conf_file: Some(module.plan.file.clone()).filter(|file| *file != plugin.path),
                plugin: plugin.clone(),
                conf: conf.clone(),
                logs: missing,
                joins: true,
                stats: Arc::clone(&module.status.stats),
                apart: module.apart.clone(),
            });
        }
    }

    /// A pipe has been made for logs that it did not run in, or could not be.
    pub(super) fn joined(&mut self, loaded: Loaded, shared: &Shared) {
        let Loaded { name, generation, result, joins } = loaded;
        let Some(module) = self.modules.get_mut(&name) else { return };
        if module.joining == Some(generation) {
            module.joining = None;
        }
        let life = module.trial.as_mut().or(module.running.as_mut());
        let life = life.filter(|life| life.callee.generation == generation);
        match (result, life) {
            (Ok(ready), Some(life)) => {
                if let ReadyWhat::Pipe { wants, grouping, by_log } = ready.what {
                    let logs = shared.logs.all();
                    for (log, pipe) in by_log {
                        let Some(log) = logs.iter().find(|other| other.name == log) else { continue };
                        life.joined.push(log.serial());
                        let hangs = (&log.prefix, &life.branch, grouping.as_ref());
                        log.put(PipeRun::new(Arc::clone(&life.callee), hangs, wants, pipe));
                    }
                }
            }
            (Ok(ready), None) => self.disposer.dispose(Arc::clone(&ready.callee), ready),
            (Err(refusal), Some(life)) => {
                let names = joins.unwrap_or_default();
                tracing::warn!("module {name}: it cannot be made for the log {}: {}", names.join(", "), refusal.why);
                // It is not tried again and again.
                let logs = shared.logs.all();
                life.joined.extend(logs.iter().filter(|log| names.contains(&log.name)).map(LogHandle::serial));
            }
            (Err(_), None) => {}
        }
        // Others may have come meanwhile.
        self.join_logs(shared);
        self.settle(shared);
    }

    /// Lets logs begin whose pipes are there.
    pub(super) fn open_logs(&self, shared: &Shared) {
        let all_there = self.modules.values().all(|module| module.joining.is_none() && module.loading.is_none());
        for log in shared.logs.unopened() {
            if all_there || log.age() > START_PATIENCE {
                log.open();
            }
        }
    }
}
