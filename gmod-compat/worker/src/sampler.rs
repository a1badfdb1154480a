//! A module of gmond as a collector: its metrics, when they are due, and what of their values enters the tree.

use gmod_compat::descriptor::{Descriptor, Entered, Slope, Value};
use gmod_compat::groups::{Plan, Schedule};
use gmod_compat::protocol::declared::Declared;
use gmod_compat::protocol::gmod::Start;
use plugin_api::{Clock, Delta, Error, ErrorKind};
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

/// What a sample came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    /// The frame is all.
    Whole,
    /// The frame is what worked.
    Partly(Error),
    /// Nothing worked.
    Failed(Error),
}

/// Metrics that are told of by name when they fail in one sample; the rest are counted.
const TOLD_MAX: usize = 20;

/// A module's metrics under way.
pub(crate) struct Sampler {
    host: String,
    descriptors: Vec<Descriptor>,
    /// Whether the metadata has been told, and for which type.
    told: Vec<Option<&'static str>>,
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
            descriptors,
            schedule: Schedule::new(plan),
            delta: Delta::new(),
            source,
        };
        (sampler, declared)
    }

    /// Samples what is due, and writes what of it enters the tree.
    pub(crate) fn collect(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Sample {
        if self.descriptors.is_empty() {
            return Sample::Failed(Error::no_data("it has no metrics"));
        }
        let now = clock.monotonic();
        let due = self.schedule.due(now);
        let asked = due.len();
        let mut collected = Vec::with_capacity(asked);
        let mut faults = Faults::default();
        for metric in due {
            let Some(descriptor) = self.descriptors.get(metric) else { continue };
            let converted = self.source.value(metric).and_then(|value| {
                let fault =
                    |misfit: gmod_compat::descriptor::Misfit| Fault { what: misfit.to_string(), ..Fault::default() };
                descriptor.kind.convert(&value).map_err(fault)
            });
            match converted {
                Ok(Some(value)) => collected.push((metric, value)),
                Ok(None) => {}
                Err(fault) => faults.push(&descriptor.name, fault),
            }
        }
        self.source.rest();
        self.delta.set_clock(clock);
        for place in self.schedule.entering(now, &collected) {
            if let Some((metric, value)) = collected.get(place) {
                self.enter(*metric, value);
            }
        }
        frame.extend_from_slice(self.delta.flush());
        match faults.count {
            0 => Sample::Whole,
            count if count == asked => Sample::Failed(faults.error(asked)),
            _ => Sample::Partly(faults.error(asked)),
        }
    }

    fn enter(&mut self, metric: usize, value: &Entered) {
        let (Some(descriptor), Some(told)) = (self.descriptors.get(metric), self.told.get_mut(metric)) else { return };
        let path = [descriptor.host(&self.host), descriptor.leaf()];
        match value {
            Entered::Text(text) => self.delta.set_text(&path, text),
            Entered::Number(number) if descriptor.slope == Slope::Positive => self.delta.total(&path, *number),
            Entered::Number(number) => self.delta.set(&path, *number),
        }
        let kind = descriptor.kind.xml_name(value);
        if *told != Some(kind) {
            *told = Some(kind);
            let meta = descriptor.meta(value);
            let pairs: Vec<(&str, &str)> = meta.iter().map(|(key, value)| (*key, value.as_str())).collect();
            self.delta.meta(&path, &pairs);
        }
    }

    /// The module's end.
    pub(crate) fn cleanup(&mut self) {
        self.source.cleanup();
    }
}

/// The metrics of a sample that failed.
#[derive(Default)]
struct Faults {
    count: usize,
    first: Option<(String, Fault)>,
    others: String,
}

impl Faults {
    fn push(&mut self, name: &str, fault: Fault) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((name.to_owned(), fault));
        } else if self.count <= TOLD_MAX {
            let _ = write!(self.others, "\n{name}: {}", fault.what);
        }
    }

    fn error(self, asked: usize) -> Error {
        let (name, fault) = self.first.unwrap_or_default();
        let many = if asked > 1 { format!("{} of {asked} metrics failed; ", self.count) } else { String::new() };
        let mut detail = fault.detail;
        if !self.others.is_empty() {
            detail.push_str(&self.others);
        }
        let left_out = self.count.saturating_sub(TOLD_MAX);
        if left_out > 0 {
            let _ = write!(detail, "\nand {left_out} more");
        }
        Fault { what: fault.what, detail }.error(ErrorKind::Failed, &format!("{many}{name}"))
    }
}
