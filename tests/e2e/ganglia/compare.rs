//! When two that ran a module agree.

use super::seen::{Metric, Sample, Seen};
use serde_json::Value;

/// What is drawn by lot: only where it lies can agree. The range is that of the modules' defaults and `.pyconf`s.
const BY_LOT: [(&str, f64); 3] = [("PyRandom_Numbers", 600.0), ("spf_random", 600.0), ("cpu_util of", 600.0)];

/// What those that look make themselves: each answer is bytes sent, and a process that ends leaves its connection. How
/// much of it is none too much.
const BY_LOOKING: [(&str, f64); 4] = [
    ("mysql_aborted_clients", 1.0),
    ("mysql_bytes_received", 1e4),
    ("mysql_bytes_sent", 1e5),
    ("mysql_threads_running", FEW),
];

/// `mysql` tells an integer zero of the metric for which it has just asked its server. Which of them that is, is the order
/// of a dictionary, in which Python 2 and 3 differ.
const ASKED_FIRST: [&str; 2] = ["mysql_aborted_clients", "mysql_bytes_sent"];

/// How far a value may lie outside of what the measure has seen, as a part of its size: the two do not look at the same instant.
const NEAR: f64 = 0.1;

/// How far a figure may lie outside that is small and moves: one connection more is none too many.
const FEW: f64 = 3.0;

/// For how long modules keep what they have read, in seconds.
const KEPT: f64 = 15.0;

/// How a module came out under two, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many metrics agree.
    Agree(usize),
    /// What differed once did not differ again.
    AgreeByRounds,
    /// Both fail, and in the same way.
    FailAlike,
    /// In which metrics they differ, and how; what concerns the whole module has no metric's name.
    Differ(Vec<(String, String)>),
}

/// Whether Python's types are known on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    Known,
    Unknown,
}

impl Verdict {
    /// What differs in both of two rounds. What moves does not always move alike, but what is wrong is wrong again.
    pub fn and_again(self, again: Verdict) -> Verdict {
        let (Verdict::Differ(first), Verdict::Differ(second)) = (self, &again) else { return again };
        let also = |name: &String| second.iter().any(|(again, _)| again == name);
        let both: Vec<_> = first.into_iter().filter(|(name, _)| also(name)).collect();
        if both.is_empty() { Verdict::AgreeByRounds } else { Verdict::Differ(both) }
    }
}

/// Compares all of what is fixed, and values as far as they hold still.
pub fn compare(measure: &Seen, candidate: &Seen, types: Types) -> Verdict {
    match (&measure.error, &candidate.error) {
        (Some(failed), Some(candidate)) if alike(failed, candidate) => {
            // Others of its metrics may work.
            if measure.metrics.is_empty() {
                return Verdict::FailAlike;
            }
        }
        (None, None) => {}
        (measure, candidate) => {
            let said = |error: &Option<String>| error.clone().unwrap_or_else(|| "it works".to_owned());
            let why = format!("{:?} became {:?}", said(measure), said(candidate));
            return Verdict::Differ(vec![(String::new(), why)]);
        }
    }
    let mut differences = Vec::new();
    let names =
        measure.metrics.keys().chain(candidate.metrics.keys().filter(|name| !measure.metrics.contains_key(*name)));
    for name in names {
        match (measure.metrics.get(name), candidate.metrics.get(name)) {
            (Some(measure), Some(candidate)) => {
                let found = metric(name, measure, candidate, types);
                differences.extend(found.into_iter().map(|difference| (name.clone(), difference)));
            }
            (measure, _) => {
                let why = if measure.is_some() { "is missing" } else { "is new" };
                differences.push((name.clone(), why.to_owned()));
            }
        }
    }
    if !differences.is_empty() {
        return Verdict::Differ(differences);
    }
    let all_fail = measure.metrics.values().all(|metric| metric.samples.iter().all(|sample| sample.error.is_some()));
    if all_fail && !measure.metrics.is_empty() { Verdict::FailAlike } else { Verdict::Agree(measure.metrics.len()) }
}

fn metric(name: &str, measure: &Metric, candidate: &Metric, types: Types) -> Vec<String> {
    let mut differences = Vec::new();
    if measure.collected != candidate.collected {
        differences.push(format!("collected: {} became {}", measure.collected, candidate.collected));
    }
    for ((fact, expected), (_, found)) in measure.facts().into_iter().zip(candidate.facts()) {
        if expected != found {
            differences.push(format!("{fact}: {expected:?} became {found:?}"));
        }
    }
    if types == Types::Known && !may_be_zero(name) {
        differences.extend(python_types(measure, candidate));
    }
    differences.extend(values(name, measure, candidate));
    differences
}

/// Whether a metric is an integer zero whenever it happens to be asked first.
pub fn may_be_zero(name: &str) -> bool {
    ASKED_FIRST.contains(&name)
}

/// A type that no call of the measure returned. A rate may be an int zero at first and a float later, and not each run
/// needs to see both.
fn python_types(measure: &Metric, candidate: &Metric) -> Option<String> {
    let known: Vec<&str> = measure.samples.iter().map(|sample| sample.python.as_str()).collect();
    let new = candidate.samples.iter().find(|sample| !known.contains(&sample.python.as_str()))?;
    Some(format!("Python's type: {known:?} became {:?}", new.python))
}

fn values(name: &str, measure: &Metric, candidate: &Metric) -> Vec<String> {
    let errors =
        |metric: &Metric| -> Vec<String> { metric.samples.iter().filter_map(|sample| sample.error.clone()).collect() };
    let (expected, found) = (errors(measure), errors(candidate));
    if let (Some(expected), Some(found)) = (expected.last(), found.last()) {
        return if alike(expected, found) { Vec::new() } else { vec![format!("{expected:?} became {found:?}")] };
    }
    if let Some(found) = found.last() {
        return vec![format!("raises {found:?}")];
    }
    if let Some(expected) = expected.last() {
        return vec![format!("does not raise {expected:?}")];
    }
    let mut differences = Vec::new();
    for sample in &candidate.samples {
        if let Some(difference) = value(name, measure, sample) {
            differences.push(difference);
            break;
        }
    }
    if measure.slope == "positive" && measure.rises && !candidate.rises {
        differences.push(format!("falls: {:?}", candidate.numbers()));
    }
    differences
}

fn value(name: &str, measure: &Metric, sample: &Sample) -> Option<String> {
    let Some(found) = sample.value.as_f64() else {
        let same = measure.samples.iter().any(|known| known.value == sample.value);
        let known: Vec<&Value> = measure.samples.iter().map(|sample| &sample.value).collect();
        return (!same).then(|| format!("{} is none of {known:?}", sample.value));
    };
    if found == 0.0 && may_be_zero(name) {
        return None;
    }
    if let Some((_, most)) = BY_LOT.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return (!(0.0..=*most).contains(&found)).then(|| format!("{found} is not within 0 and {most}"));
    }
    let numbers = measure.numbers();
    let least = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::INFINITY, f64::min);
    let most = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = (least(&mut numbers.iter().copied()), most(&mut numbers.iter().copied()));
    let moves = high - low;
    let (first, last) = (least(&mut measure.timed().map(|(at, _)| at)), most(&mut measure.timed().map(|(at, _)| at)));
    // What was told before the measure began to look, or after it had ended, has moved on meanwhile.
    let away = (first - sample.at).max(sample.at - last).max(0.0) + KEPT;
    let moved = if last > first { moves / (last - first) * away } else { 0.0 };
    let looked = BY_LOOKING.iter().find(|(looked, _)| *looked == name).map_or(0.0, |(_, slack)| *slack);
    let slack = looked.max(moves).max(moved).max(NEAR * high.abs()).max(if moves > 0.0 { FEW } else { 0.0 });
    let near = (low - slack..=high + slack).contains(&found);
    (!near).then(|| format!("{found} is not between or near {numbers:?}"))
}

/// Whether two exceptions are the same: Python 3 has other names for some, and other words. What could not be imported
/// is the same in both.
pub fn alike(measure: &str, candidate: &str) -> bool {
    let missing = |error: &str| {
        let name = error.split_once("No module named ").map(|(_, name)| name.replace('\'', ""));
        name.map(|name| name.split_whitespace().next().unwrap_or_default().to_owned())
    };
    let kind = |error: &str| {
        let name = error.split(':').next().unwrap_or_default().trim();
        match name.rsplit('.').next().unwrap_or_default() {
            "ModuleNotFoundError" => "ImportError",
            // socket.error, select.error and what became of them.
            "IOError"
            | "error"
            | "ConnectionRefusedError"
            | "FileNotFoundError"
            | "PermissionError"
            | "timeout"
            | "TimeoutError"
            | "ConnectionResetError"
            | "BrokenPipeError" => "OSError",
            name => name,
        }
        .to_owned()
    };
    kind(measure) == kind(candidate) && missing(measure) == missing(candidate)
}
