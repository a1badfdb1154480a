//! What a module's calls came to, and what follows from it.

use super::status::State;
use super::{Life, LifeBody, Registry};
use crate::core::{Report, Shared};
use crate::limits::{BACKOFF_FORGET, DETAIL_BYTES_MAX, WHY_BYTES_MAX};
use crate::module::fault::{Fault, FaultKind};
use crate::module::make::second_death;
use crate::text::line_and_detail;

impl Registry {
    /// A module tells how a call of it went.
    pub(crate) fn report(&mut self, report: Report, shared: &Shared) {
        let name = report.callee.module.clone();
        let Some(module) = self.modules.get(&name) else { return };
        let is = |life: Option<&Life>| life.is_some_and(|life| life.callee.generation == report.callee.generation);
        // Reports of earlier lives are nobody's.
        if is(module.running.as_ref()) {
            self.running_told(&name, report, shared);
        } else if is(module.trial.as_ref()) {
            self.trial_told(&name, report, shared);
        } else {
            return;
        }
        self.publish(shared);
    }

    fn trial_told(&mut self, name: &str, report: Report, shared: &Shared) {
        match report.fault {
            // Of one of which a part works, the rest may never.
            Some(fault) if !matches!(fault.kind, FaultKind::NoData | FaultKind::Partly) => {
                self.trial_failed(name, &fault, report.rolled_back, report.next_ms, shared);
            }
            _ => {
                let Some(trial) = self.modules.get_mut(name).and_then(|module| module.trial.as_mut()) else { return };
                trial.unproved.retain(|log| report.log.as_ref() != Some(log));
                if trial.unproved.is_empty() {
                    self.proved(name, shared);
                }
            }
        }
    }

    /// What was on trial has worked wherever it is called: what ran before it goes.
    fn proved(&mut self, name: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let gone = std::mem::replace(&mut module.running, module.trial.take());
        if let Some(life) = module.running.as_ref().filter(|life| matches!(life.body, LifeBody::Pipe)) {
            for log in shared.logs.all() {
                log.settle(name, life.callee.generation);
            }
        }
        // What its files have come to mean since (off, rejected, a newer life) is what is shown.
        let waited = matches!(module.status.state, State::Probing | State::Failing | State::Late);
        let shows_it = waited && module.loading.is_none() && module.retry_ms.is_none();
        gone.into_iter().for_each(|life| self.leave(life));
        if shows_it {
            self.runs(name, shared);
        }
    }

    /// What was on trial has not worked: what ran before it goes on.
    fn trial_failed(&mut self, name: &str, fault: &Fault, rolled_back: bool, next_ms: Option<i64>, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let newer = module.loading.is_some();
        if !fault.ends_it() {
            // A collector's: it is asked again, with a pause that doubles, and takes over when it works.
            if !newer {
                self.enter(name, State::Failing, fault.goes_on(), shared);
                if let Some(module) = self.modules.get_mut(name) {
                    module.status.next_ms = next_ms;
                }
            }
            return;
        }
        let Some(trial) = module.trial.take() else { return };
        let (generation, pipe) = (trial.callee.generation, matches!(trial.body, LifeBody::Pipe));
        self.leave(trial);
        if pipe && !rolled_back {
            // In that log there was nothing to go back to.
            self.stop_running(name, shared);
            if !newer {
                self.fail(name, fault.why.clone(), shared);
            }
            return;
        }
        if pipe {
            for log in shared.logs.all() {
                log.roll_back(name, generation);
            }
        }
        self.show_place(name);
        if !newer {
            self.enter(name, State::Rejected, fault.goes_on(), shared);
        }
    }

    fn running_told(&mut self, name: &str, report: Report, shared: &Shared) {
        if let Some(fault) = report.fault.as_ref().filter(|fault| fault.ends_it()) {
            return self.broke(name, fault, shared);
        }
        let Some(module) = self.modules.get_mut(name) else { return };
        // While a newer life is being loaded, waits for its turn or was rejected, that is what is shown.
        let waits = module.status.state == State::Probing && module.loading.is_none();
        let shows_it = waits || matches!(module.status.state, State::Running | State::Failing | State::Late);
        // That a pipe has worked says nothing new.
        if report.log.is_some() || module.retry_ms.is_some() || module.trial.is_some() || !shows_it {
            return;
        }
        module.status.next_ms = report.next_ms;
        let remark = module.running.as_ref().map_or_else(String::new, |life| life.remark.clone());
        let (state, why) = match report.fault {
            None => (State::Running, remark),
            Some(fault) if fault.kind == FaultKind::NoData => (State::Running, fault.why),
            Some(fault) => (State::Failing, fault.why),
        };
        let (line, detail) = line_and_detail(why.clone(), WHY_BYTES_MAX, DETAIL_BYTES_MAX);
        let status = &module.status;
        if status.state != state || status.why != line || status.detail != detail {
            self.enter(name, state, why, shared);
            if let Some(module) = self.modules.get_mut(name) {
                module.status.next_ms = report.next_ms;
            }
        }
    }

    /// Nobody knows the state that a running module is in: it goes, and is made anew after a pause.
    pub(super) fn broke(&mut self, name: &str, fault: &Fault, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(life) = module.running.take() else { return };
        if life.began.elapsed() > BACKOFF_FORGET {
            module.failures = 0;
        }
        if fault.kind == FaultKind::Late && !life.isolated {
            // It would only cost another thread: a process can be ended.
            module.apart = Some(fault.why.clone());
        }
        let (isolated, tag) = (life.isolated, life.callee.tag.clone());
        let (loading, successor) = (module.loading.is_some(), module.trial.take());
        self.leave(life);
        if let Some(successor) = successor {
            // What was on trial has nothing to go back to any more, so its trial is over.
            if matches!(successor.body, LifeBody::Pipe) {
                for log in shared.logs.all() {
                    log.settle(name, successor.callee.generation);
                }
            }
            if let Some(module) = self.modules.get_mut(name) {
                module.running = Some(successor);
            }
            return;
        }
        self.stop_running(name, shared);
        let died = matches!(fault.kind, FaultKind::Died | FaultKind::Late);
        if isolated && died && self.loader.blamed().again(&tag, &fault.why) {
            return self.enter(name, State::Rejected, second_death(&fault.why, name), shared);
        }
        if !loading {
            self.fail(name, fault.why.clone(), shared);
        }
    }
}
