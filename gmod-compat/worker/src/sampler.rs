//! A module of gmond as a collector: its metrics, when they are due, and what of their values enters the tree.

use gmod_compat::descriptor::{Descriptor, Entered, Misfit, Slope, Value};
use gmod_compat::groups::{Plan, Schedule};
use gmod_compat::protocol::declared::Declared;
use gmod_compat::protocol::gmod::Start;
use gmod_compat::protocol::limits::FRAME_BYTES_MAX;
use gmod_compat::protocol::obey::Told;
use plugin_api::{Clock, Delta, Error, ErrorKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The module's own code.
pub(crate) trait Source {
    /// Samples the metric of this index.
    fn value(&mut self, metric: usize) -> Result<Value, Fault>;
    /// A sample is over. Nothing is asked until the next.
    fn rest(&mut self) {}
    /// The end.
    fn cleanup(&mut self);
}

/// Why there is no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In a line: `KeyError: 'x' (redis.py:12)`.
    pub(crate) what: String,
    /// The traceback, if there is one.
    pub(crate) detail: String,
}

impl Fault {
    /// As an error, whose first line says what and where from; the rest is the traceback.
    pub(crate) fn error(&self, kind: ErrorKind, doing: &str) -> Error {
        let doing = if doing.is_empty() { String::new() } else { format!("{doing}: ") };
        let detail = if self.detail.is_empty() { String::new() } else { format!("\n{}", self.detail) };
        Error::new(kind, format_args!("{doing}{}{detail}", self.what))
    }
}

/// Metrics that are told of by name when they fail in one sample; the rest are counted.
const TOLD_MAX: usize = 20;

/// A module's metrics under way.
pub(crate) struct Sampler {
    host: String,
    descriptors: Vec<Descriptor>,
    /// Whether the metadata has been told, and for which type.
    told: Vec<Option<&'static str>>,
    /// Metrics whose metadata found no room beside the others', and what kind of value they have: theirs is told first the next
    /// time, whether they have a value then or not.
    owed: BTreeMap<usize, Entered>,
    /// What each metric's last sample failed of.
    faults: Faults,
    schedule: Schedule,
    delta: Delta,
    source: Box<dyn Source>,
}

impl Sampler {
    /// Plans the module's metrics, whose names differ, as its configuration has them.
    pub(crate) fn new(
        start: &Start,
        mut descriptors: Vec<Descriptor>,
        source: Box<dyn Source>,
        mut remarks: Vec<String>,
    ) -> (Sampler, Declared) {
        let names: Vec<&str> = descriptors.iter().map(|descriptor| descriptor.name.as_str()).collect();
        let every = Duration::from_millis(start.every_ms.max(1));
        let mut plan = match &start.groups {
            Some(groups) if !groups.is_empty() => Plan::of(groups, &names, &crate::pattern::compile, &mut remarks),
            _ => Plan::all(names.len(), every),
        };
        if let Some(every_ms) = start.every_of_on_ms {
            plan = plan.at(Duration::from_millis(every_ms.max(1)));
        }
        for (index, descriptor) in descriptors.iter_mut().enumerate() {
            descriptor.title = plan.title(index).map(str::to_owned);
        }
        let interval = plan.interval().unwrap_or(every);
        let declared = Declared {
            every_ms: Some(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
            remarks,
            ..Declared::default()
        };
        let sampler = Sampler {
            host: start.host.clone(),
            told: vec![None; descriptors.len()],
            owed: BTreeMap::new(),
            faults: Faults::of(descriptors.len()),
            descriptors,
            schedule: Schedule::new(plan),
            delta: Delta::new(),
            source,
        };
        (sampler, declared)
    }

    /// Samples what is due, and writes what of it enters the tree.
    pub(crate) fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Told {
        if self.descriptors.is_empty() {
            return Told::Failed(Error::no_data("it has no metrics"));
        }
        let now = clock.monotonic();
        let due = self.schedule.due(now);
        let is_idle = due.is_empty();
        let mut collected = Vec::with_capacity(due.len());
        for metric in due {
            let Some(descriptor) = self.descriptors.get(metric) else { continue };
            let converted = self.source.value(metric).and_then(|value| {
                let fault = |misfit: Misfit| Fault { what: misfit.to_string(), ..Fault::default() };
                descriptor.kind.convert(&value).map_err(fault)
            });
            match converted {
                Ok(value) => {
                    self.faults.worked(metric);
                    collected.extend(value.map(|value| (metric, value)));
                }
                Err(fault) => self.faults.failed(metric, fault),
            }
        }
        self.source.rest();
        self.delta.set_clock(clock);
        for (metric, value) in std::mem::take(&mut self.owed) {
            self.describe(metric, &value);
        }
        for place in self.schedule.entering(now, &collected) {
            if let Some((metric, value)) = collected.get(place) {
                self.enter(*metric, value);
            }
        }
        frame.extend_from_slice(self.delta.flush());
        // What failed in another group stands until that group's next turn.
        let told = match self.faults.error(&self.descriptors) {
            None => Told::Whole,
            Some(error) if self.faults.nothing_works() && !is_idle => Told::Failed(error),
            Some(error) => Told::Partly(error),
        };
        if frame.len() > FRAME_BYTES_MAX || matches!(told, Told::Failed(_)) && !frame.is_empty() {
            // The daemon gets none of it: all is to be described anew.
            self.told.fill(None);
        }
        told
    }

    fn enter(&mut self, metric: usize, value: &Entered) {
        let Some(descriptor) = self.descriptors.get(metric) else { return };
        let path = [descriptor.host(&self.host), descriptor.leaf()];
        match value {
            Entered::Text(text) => self.delta.set_text(&path, text),
            Entered::Number(number) if descriptor.slope == Slope::Positive => self.delta.total(&path, *number),
            Entered::Number(number) => self.delta.set(&path, *number),
        }
        self.describe(metric, value);
    }

    /// Tells what is to be known of a metric beside the value, unless that is told already.
    fn describe(&mut self, metric: usize, value: &Entered) {
        let (Some(descriptor), Some(told)) = (self.descriptors.get(metric), self.told.get_mut(metric)) else { return };
        let kind = descriptor.kind.xml_name(value);
        if *told == Some(kind) {
            return;
        }
        let meta = descriptor.meta(value);
        let pairs: Vec<(&str, &str)> = meta.iter().map(|(key, value)| (&**key, value.as_str())).collect();
        if self.delta.meta(&[descriptor.host(&self.host), descriptor.leaf()], &pairs) {
            *told = Some(kind);
            self.owed.remove(&metric);
        } else {
            // The value itself is not needed, and may be a long text.
            let blank = if let Entered::Text(_) = value { Entered::Text(String::new()) } else { Entered::Number(0.0) };
            self.owed.insert(metric, blank);
        }
    }

    /// The module's end.
    pub(crate) fn cleanup(&mut self) {
        self.source.cleanup();
    }
}

/// The metrics whose last sample failed.
struct Faults {
    /// By metric: none if it was never sampled, else what it failed of, if it did.
    last: Vec<Option<Option<String>>>,
    /// A traceback, and the metric that it is of: one is kept, for a thousand metrics may fail of the same.
    detail: Option<(usize, String)>,
}

impl Faults {
    fn of(metrics: usize) -> Faults {
        Faults { last: vec![None; metrics], detail: None }
    }

    fn worked(&mut self, metric: usize) {
        if let Some(last) = self.last.get_mut(metric) {
            *last = Some(None);
        }
        if self.detail.as_ref().is_some_and(|(of, _)| *of == metric) {
            self.detail = None;
        }
    }

    fn failed(&mut self, metric: usize, fault: Fault) {
        if let Some(last) = self.last.get_mut(metric) {
            *last = Some(Some(fault.what));
        }
        if self.detail.as_ref().is_none_or(|(of, _)| *of >= metric) {
            self.detail = Some((metric, fault.detail));
        }
    }

    /// Whether each metric that was ever sampled failed the last time.
    fn nothing_works(&self) -> bool {
        self.last.iter().flatten().all(Option::is_some)
    }

    /// All that stands; none if nothing does.
    fn error(&self, descriptors: &[Descriptor]) -> Option<Error> {
        let standing = || {
            let what = self.last.iter().map(|last| last.as_ref().and_then(Option::as_ref));
            descriptors
                .iter()
                .zip(what)
                .enumerate()
                .filter_map(|(metric, (descriptor, what))| Some((metric, &descriptor.name, what?)))
        };
        let count = standing().count();
        // The one whose traceback there is.
        let of = self.detail.as_ref().map(|(of, _)| *of);
        let (shown, name, what) = standing().find(|(metric, ..)| Some(*metric) == of).or_else(|| standing().next())?;
        let known = self.last.iter().flatten().count();
        let many = if known > 1 { format!("{count} of {known} metrics failed; ") } else { String::new() };
        let mut detail = self.detail.as_ref().map_or_else(String::new, |(_, detail)| detail.clone());
        for (_, name, what) in standing().filter(|(metric, ..)| *metric != shown).take(TOLD_MAX) {
            let _ = write!(detail, "\n{name}: {what}");
        }
        let left_out = count.saturating_sub(TOLD_MAX + 1);
        if left_out > 0 {
            let _ = write!(detail, "\nand {left_out} more");
        }
        let detail = detail.trim_start_matches('\n').to_owned();
        Some(Fault { what: what.clone(), detail }.error(ErrorKind::Failed, &format!("{many}{name}")))
    }
}

#[cfg(test)]
mod tests;
