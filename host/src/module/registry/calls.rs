//! Looks at each tick which modules have not come back from a call.

use super::status::State;
use super::{Life, LifeBody, Registry, logs};
use crate::core::Shared;
use crate::module::crash::mend_signals;
use crate::module::fault::{Fault, FaultKind};
use crate::module::fence::{Callee, UnderWay};
use std::time::{Duration, Instant};

impl Registry {
    /// Shows who is late, and gives up who is past the time limit. Whether anything is to be shown anew.
    pub(super) fn watch_calls(&mut self, shared: &Shared) -> bool {
        let (tick, now) = (shared.conf.tick, Instant::now());
        let meddled = mend_signals();
        if !meddled.is_empty() {
            tracing::warn!("a plugin has changed how {} is handled; it is put back", meddled.join(", "));
        }
        let mut late: Vec<(UnderWay, Duration)> = Vec::new();
        let mut given_up: Vec<(UnderWay, Duration)> = Vec::new();
        for log in logs(shared) {
            // One that is given up is told of by the log's next thread.
            let look = log.watch(tick, now).filter(|look| look.age > look.call.callee.time_limit / 2);
            late.extend(look.map(|look| (look.call, look.age)));
        }
        for module in self.modules.values_mut() {
            for life in module.running.iter_mut().chain(&mut module.trial) {
                let Life { body: LifeBody::Collector(thread), .. } = life else { continue };
                let Some((call, age)) = thread.watch(tick, now) else { continue };
                let limit = call.callee.time_limit;
                if age > call.callee.give_up_after && thread.give_up(&call) {
                    given_up.push((call, age));
                } else if age > thread.every().max(tick).min(limit / 2) {
                    late.push((call, age));
                }
            }
        }
        self.leaving.retain_mut(|thread| {
            let Some((call, age)) = thread.watch(tick, now) else { return false };
            let over = age > call.callee.give_up_after && thread.give_up(&call);
            if over {
                let Callee { module, time_limit, .. } = &*call.callee;
                let doing = call.doing;
                tracing::warn!("module {module}: a life that was ended is stuck in its {doing} for more than {time_limit:?}; its thread is left behind");
            }
            !over
        });
        let mut changed = !given_up.is_empty();
        for (call, age) in given_up {
            self.give_up(&call, age, shared);
        }
        changed |= self.show_late(&late, shared);
        for callee in self.loader.watch(tick, now) {
            let waits = self.modules.get_mut(&callee.module).filter(|module| module.loading == Some(callee.generation));
            if let Some(module) = waits {
                module.loading = None;
                let why = "did not come back from its new(); its thread is left behind".to_owned();
                module.apart = Some(why.clone());
                self.fail(&callee.module, why, shared);
                self.settle(shared);
                changed = true;
            }
        }
        if let Some(callee) = self.disposer.watch(tick, now) {
            let limit = callee.time_limit;
            tracing::warn!(
                "module {}: did not come back from its drop() within {limit:?}; its thread and its library are left behind",
                callee.module
            );
        }
        changed
    }

    /// A collector's call was given up.
    fn give_up(&mut self, call: &UnderWay, age: Duration, shared: &Shared) {
        let callee = &call.callee;
        callee.stats.called();
        callee.stats.failed();
        callee.stats.late(age);
        let (doing, limit) = (call.doing, callee.time_limit);
        let fault = Fault::new(
            FaultKind::Late,
            format!("did not come back from its {doing} within {limit:?}; its thread is left behind"),
        );
        let Some(module) = self.modules.get_mut(&callee.module) else { return };
        let is_trial = module.trial.as_ref().is_some_and(|life| life.callee.generation == callee.generation);
        if is_trial {
            // Its thread is given up already.
            module.trial = None;
            let why = format!("{}; the one before goes on", fault.why);
            self.enter(&callee.module, State::Rejected, why, shared);
        } else {
            self.broke(&callee.module, &fault, shared);
        }
    }

    fn show_late(&mut self, late: &[(UnderWay, Duration)], shared: &Shared) -> bool {
        let mut changed = false;
        let is_late = |name: &str| late.iter().any(|(call, _)| call.callee.module == name);
        let back: Vec<String> = self
            .modules
            .iter()
            .filter(|(name, module)| module.status.state == State::Late && !is_late(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in back {
            self.runs(&name, shared);
            changed = true;
        }
        for (call, age) in late {
            let Some(module) = self.modules.get(&call.callee.module) else { continue };
            let of = |life: &Life| life.callee.generation == call.callee.generation;
            let shown = matches!(module.status.state, State::Running | State::Failing) && module.retry_ms.is_none();
            if !shown || !module.lives().any(of) {
                continue;
            }
            if !module.lives().any(|life| of(life) && life.isolated) {
                self.loader.blamed().late(&call.callee.tag, call.doing);
                self.late_noted = true;
            }
            let why = format!("has been in its {} for {age:.1?}", call.doing);
            self.enter(&call.callee.module.clone(), State::Late, why, shared);
            changed = true;
        }
        if self.late_noted && late.is_empty() {
            self.loader.blamed().nobody_late();
            self.late_noted = false;
        }
        changed
    }
}
