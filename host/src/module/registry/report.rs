//! What a module's calls came to, and what follows from it.

use super::status::State;
use super::{LifeBody, Registry, logs};
use crate::core::{Report, Shared};
use crate::limits::{BACKOFF_FORGET, WHY_BYTES_MAX};
use crate::module::fault::{Fault, FaultKind};
use crate::module::make::second_death;
use crate::text::one_line;

/// Which of a module's lives a report is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Running,
    Trial,
}

impl Registry {
    /// A module tells how a call of it went.
    pub(crate) fn report(&mut self, report: Report, shared: &Shared) {
        let Report { callee, fault, next_ms, rolled_back } = report;
        let name = callee.module.as_str();
        let Some(module) = self.modules.get(name) else { return };
        let is = |life: Option<&super::Life>| life.is_some_and(|life| life.callee.generation == callee.generation);
        // Reports of earlier lives are nobody's.
        let of = match (is(module.running.as_ref()), is(module.trial.as_ref())) {
            (true, _) => Of::Running,
            (false, true) => Of::Trial,
            (false, false) => return,
        };
        match (of, fault) {
            (Of::Trial, None) => self.proved(name, shared),
            (Of::Trial, Some(fault)) if fault.kind == FaultKind::NoData => self.proved(name, shared),
            (Of::Trial, Some(fault)) => self.trial_failed(name, &fault, rolled_back, next_ms, shared),
            (Of::Running, fault) => self.running_told(name, fault, next_ms, shared),
        }
        self.publish(shared);
    }

    /// What was on trial has worked: what ran before it goes.
    fn proved(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        // A pipe has dropped the old one where it took its place.
        let gone = std::mem::replace(&mut module.running, module.trial.take());
        gone.into_iter().for_each(|life| self.leave(life));
        let Some(module) = self.modules.get(name) else { return };
        // What its files have come to mean since (off, rejected, a newer life) is what is shown.
        let waited = matches!(module.status.state, State::Probing | State::Failing | State::Late);
        if waited && module.loading.is_none() && module.retry_ms.is_none() {
            self.runs(name, shared);
        }
    }

    /// What was on trial has not worked: what ran before it goes on.
    fn trial_failed(&mut self, name: &str, fault: &Fault, rolled_back: bool, next_ms: Option<i64>, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(trial) = &module.trial else { return };
        let why = format!("{}; the one before goes on", fault.why);
        if matches!(trial.body, LifeBody::Collector(_)) && fault.kind == FaultKind::Failed {
            // It is asked again, with a pause that doubles, and takes over when it works.
            self.enter(name, State::Failing, why, shared);
            if let Some(module) = self.modules.get_mut(name) {
                module.status.next_ms = next_ms;
            }
            return;
        }
        let generation = trial.callee.generation;
        let pipe = matches!(trial.body, LifeBody::Pipe);
        let gone = module.trial.take();
        gone.into_iter().for_each(|life| self.leave(life));
        if pipe && !rolled_back {
            // In that log there was nothing to go back to.
            self.stop(name, shared);
            return self.fail(name, fault.why.clone(), shared);
        }
        if pipe {
            for log in logs(shared) {
                log.roll_back(name, generation);
            }
        }
        self.enter(name, State::Rejected, why, shared);
    }

    fn running_told(&mut self, name: &str, fault: Option<Fault>, next_ms: Option<i64>, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        if let Some(fault) = fault.as_ref().filter(|fault| matches!(fault.kind, FaultKind::Broken | FaultKind::Late)) {
            return self.broke(name, fault, shared);
        }
        // While a newer life is being loaded, waits for its turn or was rejected, that is what is shown.
        let shows_it = matches!(module.status.state, State::Running | State::Failing | State::Late);
        if module.retry_ms.is_some() || module.trial.is_some() || !shows_it {
            return;
        }
        module.status.next_ms = next_ms;
        let remark = module.running.as_ref().map_or_else(String::new, |life| life.remark.clone());
        let (state, why) = match fault {
            None => (State::Running, remark),
            Some(fault) if fault.kind == FaultKind::NoData => (State::Running, fault.why),
            Some(fault) => (State::Failing, fault.why),
        };
        let why = one_line(why, WHY_BYTES_MAX);
        if module.status.state != state || module.status.why != why {
            self.enter(name, state, why, shared);
            if let Some(module) = self.modules.get_mut(name) {
                module.status.next_ms = next_ms;
            }
        }
    }

    /// Nobody knows the state that a running module is in: it goes, and is made anew after a pause.
    pub(super) fn broke(&mut self, name: &str, fault: &Fault, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(life) = &module.running else { return };
        let (isolated, tag) = (life.isolated, life.callee.tag.clone());
        let ran_ms = shared.clock.unix_ms() - module.status.since_ms;
        if ran_ms > BACKOFF_FORGET.as_millis() as i64 {
            module.failures = 0;
        }
        if fault.kind == FaultKind::Late && !isolated {
            // It would only cost another thread: a process can be ended.
            module.apart = Some(fault.why.clone());
        }
        let newer = module.loading.is_some() || module.trial.is_some();
        self.stop_running(name, shared);
        if isolated && self.loader.blamed().again(&tag, &fault.why) {
            let why = second_death(&fault.why, name);
            return self.enter(name, State::Rejected, why, shared);
        }
        if !newer {
            self.fail(name, fault.why.clone(), shared);
        }
    }
}
