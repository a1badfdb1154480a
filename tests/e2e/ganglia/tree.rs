//! What graftd has of a module in its tree, in the terms of the measure.

use super::seen::{Metric, Sample, Seen};
use graftd_tests::{Daemon, encode};
use serde_json::{Map, Value};
use std::time::{Duration, Instant, SystemTime};

/// How long a module that runs may take until its first sample is in the tree.
const FIRST_SAMPLE: Duration = Duration::from_secs(10);

/// Metadata that has a meaning of its own; all other keys are the module's.
const KNOWN: [&str; 11] =
    ["type", "units", "slope", "title", "description", "group", "format", "tmax", "dmax", "source", "spoof"];

/// The same, once all is there that the measure has. What is not there in time is what is to be told of.
pub fn await_seen(daemon: &Daemon, name: &str, measured: Option<&Seen>) -> Seen {
    let wanted = measured.map(Seen::in_a_tree).unwrap_or_default();
    let began = Instant::now();
    let mut tick = 0;
    loop {
        let seen = seen(daemon, name);
        let is_whole = wanted.metrics.keys().all(|metric| seen.metrics.contains_key(metric));
        if is_whole || seen.error.is_some() || began.elapsed() > FIRST_SAMPLE {
            return seen;
        }
        tick = daemon.get(&format!("/pull/?key-{}&since={tick}&wait=1s", encode(name))).good().tick();
    }
}

/// What is in the tree of a module now, and what `/modules` says that it raised.
pub fn seen(daemon: &Daemon, name: &str) -> Seen {
    let why = daemon.module(name)["why"].as_str().unwrap_or_default().to_owned();
    let mut seen = Seen { error: exception(&why), ..Seen::default() };
    let answer = daemon.get(&format!("/api/q/{}?meta=1", encode(name)));
    if answer.status == 404 {
        return seen;
    }
    let answer = answer.good().json();
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let none = Map::new();
    for (path, meta) in answer["meta"].as_object().unwrap_or(&none) {
        let Some((host, metric)) = path.split_once(',') else { continue };
        let value = answer["value"][host][metric].clone();
        seen.metrics.insert(Seen::key(host, metric), of_leaf(host, meta, Sample { at, value, ..Sample::default() }));
    }
    seen
}

fn of_leaf(host: &str, meta: &Value, sample: Sample) -> Metric {
    let text = |name: &str| meta[name].as_str().unwrap_or_default().to_owned();
    let none = Map::new();
    let others = meta.as_object().unwrap_or(&none).iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
    let mut extra: Vec<(String, String)> =
        others.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    extra.sort();
    Metric {
        host: host.to_owned(),
        leaf: None,
        kind: text("type"),
        units: text("units"),
        slope: text("slope"),
        format: text("format"),
        description: text("description"),
        title: text("title"),
        tmax: meta["tmax"].as_f64().unwrap_or_default() as u64,
        groups: meta["group"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        extra,
        collected: true,
        samples: vec![sample],
        rises: true,
    }
}

/// The exception of a reason: `KeyError: 'x' (redis.py:12)` of `metric_init: KeyError: 'x' (redis.py:12)`; none where the
/// reason names none.
fn exception(why: &str) -> Option<String> {
    let is_one = |word: &str| {
        let name = word.strip_suffix(':').unwrap_or_default();
        ["Error", "Exception", "Exit", "Interrupt", "Warning", "timeout"].iter().any(|end| name.ends_with(end))
    };
    let word = why.split_whitespace().find(|word| is_one(word))?;
    why.find(word).map(|at| why[at..].to_owned())
}
