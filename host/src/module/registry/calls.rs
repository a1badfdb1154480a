//! Looks at each tick which modules have not come back from a call.

use super::status::State;
use super::{Life, LifeBody, Module, Registry};
use crate::core::Shared;
use crate::limits::DROP_TIME_MAX;
use crate::module::crash::mend_signals;
use crate::module::fault::Fault;
use crate::module::fence::{Callee, UnderWay};
use std::time::{Duration, Instant};

impl Registry {
    /// For how long no module has to be looked at, if nothing is heard of one: not at all while a call is under way. One that begins
    /// meanwhile is not late before its time limit.
    pub(crate) fn rest_for(&self, shared: &Shared) -> Duration {
        let idle = self.settled && self.leaving.is_empty() && self.loader.is_idle() && self.disposer.is_idle();
        if !(idle && shared.logs.are_at_rest()) {
            return Duration::ZERO;
        }
        let now_ms = shared.clock.monotonic_ms();
        let mut rest = Duration::MAX;
        for module in self.modules.values() {
            if module.loading.is_some() || module.joining.is_some() {
                return Duration::ZERO;
            }
            if let Some(at_ms) = module.retry_ms {
                rest = rest.min(Duration::from_millis(at_ms.saturating_sub(now_ms).try_into().unwrap_or(0)));
            }
            for life in module.lives() {
                if matches!(&life.body, LifeBody::Collector(thread) if thread.is_in_a_call()) {
                    return Duration::ZERO;
                }
                rest = rest.min(life.callee.time_limit);
            }
        }
        rest
    }

    /// Shows who is late, and gives up who is past the time limit. Whether anything is to be shown anew.
    pub(super) fn watch_calls(&mut self, shared: &Shared) -> bool {
        let (tick, now) = (shared.conf.tick, Instant::now());
        let meddled = mend_signals();
        if !meddled.is_empty() {
            tracing::warn!("a plugin has changed how {} is handled; it is put back", meddled.join(", "));
        }
        let mut late: Vec<UnderWay> = Vec::new();
        let mut given_up: Vec<(UnderWay, Duration, Duration)> = Vec::new();
        for log in shared.logs.all() {
            // One that is given up is told of by the log's next thread.
            let look = log.watch(tick, now).filter(|look| !look.given_up && look.age > look.call.callee.time_limit / 2);
            late.extend(look.map(|look| look.call));
        }
        for module in self.modules.values_mut() {
            for life in module.running.iter_mut().chain(&mut module.trial) {
                let Life { body: LifeBody::Collector(thread), .. } = life else { continue };
                let Some((call, age)) = thread.watch(tick, now) else { continue };
                let limit = call.callee.time_limit;
                if age > call.callee.give_up_after && thread.give_up(&call) {
                    given_up.push((call, age, thread.every()));
                } else if age > thread.every().max(tick).min(limit / 2) {
                    late.push(call);
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
        for (call, age, every) in given_up {
            self.give_up(&call, age, every, shared);
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
            tracing::warn!(
                "module {}: did not come back from its drop() within {DROP_TIME_MAX:?}; its thread and its library are left behind",
                callee.module
            );
        }
        changed
    }

    /// A collector's call was given up.
    fn give_up(&mut self, call: &UnderWay, age: Duration, every: Duration, shared: &Shared) {
        let callee = &call.callee;
        callee.stats.called();
        callee.stats.failed();
        callee.stats.late(age.saturating_sub(every));
        let fault = Fault::left_behind(call.doing, callee.time_limit);
        let Some(module) = self.modules.get_mut(&callee.module) else { return };
        // Its thread is given up already, so nobody need wait for it.
        let trial = module.trial.take_if(|life| life.callee.generation == callee.generation);
        if trial.is_none() {
            return self.broke(&callee.module, &fault, shared);
        }
        let newer = module.loading.is_some();
        self.show_place(&callee.module);
        if !newer {
            self.enter(&callee.module, State::Rejected, fault.goes_on(), shared);
        }
    }

    fn show_late(&mut self, late: &[UnderWay], shared: &Shared) -> bool {
        let mut changed = false;
        let is_late = |name: &str| late.iter().any(|call| call.callee.module == name);
        let back = |(name, module): (&String, &Module)| {
            (module.status.state == State::Late && !is_late(name)).then(|| name.clone())
        };
        let back: Vec<String> = self.modules.iter().filter_map(back).collect();
        for name in back {
            self.runs(&name, shared);
            changed = true;
        }
        for call in late {
            let name = &call.callee.module;
            let Some(module) = self.modules.get(name) else { continue };
            let runs = module.running.as_ref().is_some_and(|life| life.callee.generation == call.callee.generation);
            // Of one that has more to show than that it runs, that is what is shown.
            if runs && module.status.state == State::Running {
                let why =
                    format!("has not come back from its {} for more than half its time, or its interval", call.doing);
                self.enter(name, State::Late, why, shared);
                changed = true;
            }
        }
        self.note_late(late);
        changed
    }

    /// Notes who has not come back here, in case the daemon is killed for it.
    fn note_late(&mut self, late: &[UnderWay]) {
        let isolated = |call: &UnderWay| {
            let module = self.modules.get(&call.callee.module);
            let mut lives = module.into_iter().flat_map(Module::lives);
            lives.any(|life| life.isolated && life.callee.generation == call.callee.generation)
        };
        let here: Vec<&UnderWay> = late.iter().filter(|call| !isolated(call)).collect();
        let noted: Vec<u64> = here.iter().map(|call| call.callee.generation).collect();
        if noted != self.late_noted {
            self.loader.blamed().late(here.iter().map(|call| (&call.callee.tag, call.doing)));
            self.late_noted = noted;
        }
    }
}
