//! Built-in modules in the registry: begun, replaced, and begun anew when they ended.

use super::status::{Kind, State};
use super::{Registry, Shared};
use crate::limits::WHY_BYTES_MAX;
use crate::module::built_in::{BuiltIn, BuiltInConf};
use crate::text::line_and_detail;
use std::net::SocketAddr;

impl Registry {
    /// Begins a built-in module, or has it go on with another configuration.
    pub(super) fn make_built_in(&mut self, name: &str, conf: &BuiltInConf, shared: &Shared) {
        self.last_generation += 1;
        let generation = self.last_generation;
        let built_ins = self.built_ins.clone();
        let Some(module) = self.modules.get_mut(name) else { return };
        module.status.kind = Kind::BuiltIn;
        let before = module.built_in.as_ref().map(|(_, before)| before);
        match built_ins.start(conf, before, (name.to_owned(), generation)) {
            Ok(built_in) => {
                let remark = built_in.remark();
                module.built_in = Some((generation, built_in));
                module.failures = 0;
                // A plugin may have run under this name.
                self.stop_lives(name, shared);
                self.enter(name, State::Running, remark, shared);
            }
            // Whoever has the port may give it back; what ran before goes on meanwhile.
            Err(why) => {
                let file = self.modules.get(name).map(|module| module.plan.file.display().to_string());
                self.fail(name, format!("{}: {why}", file.unwrap_or_default()), shared);
            }
        }
    }

    /// A built-in module has ended by itself: it is begun anew after a pause.
    pub(crate) fn built_in_ended(&mut self, (name, generation): &(String, u64), why: &str, shared: &Shared) {
        let Some(module) = self.modules.get_mut(name) else { return };
        if module.built_in.as_ref().is_none_or(|(running, _)| running != generation) {
            return;
        }
        module.built_in = None;
        self.fail(name, why.to_owned(), shared);
        self.publish(shared);
    }

    /// There may be something else to say of built-in modules that run.
    pub(crate) fn remarks(&mut self, shared: &Shared) {
        for module in self.modules.values_mut().filter(|module| module.status.state == State::Running) {
            if let Some((_, built_in)) = &module.built_in {
                module.status.why = line_and_detail(built_in.remark(), WHY_BYTES_MAX, 0).0;
            }
        }
        self.publish(shared);
    }

    /// Where built-in modules listen.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let running = self.modules.values().filter_map(|module| module.built_in.as_ref());
        running.filter_map(|(_, built_in)| BuiltIn::address(built_in)).collect()
    }
}
