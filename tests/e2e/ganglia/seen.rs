//! What a module came to, under whatever ran it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a module came to.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What its import or its `metric_init` ended with: `ImportError: No module named libvirt`.
    pub error: Option<String>,
    pub metrics: BTreeMap<String, Metric>,
}

/// A metric: what is fixed, in the terms of gmond's XML, and what moves.
#[derive(Clone, Debug, Default)]
pub struct Metric {
    /// `uint32`.
    pub kind: String,
    pub units: String,
    pub slope: String,
    pub format: String,
    pub description: String,
    pub title: String,
    pub tmax: u64,
    pub groups: Vec<String>,
    /// Further metadata, sorted.
    pub extra: Vec<(String, String)>,
    /// Whether a collection group takes it.
    pub collected: bool,
    pub samples: Vec<Sample>,
}

/// What a call came to.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The Python type of what was returned; empty where nobody knows.
    pub python: String,
    /// A number or a text, as gmond would send it.
    pub value: Value,
    /// What was raised.
    pub error: Option<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Seen {
    /// Of what `reference.py` has written.
    pub fn of_report(report: &str) -> Seen {
        let report: Value = serde_json::from_str(report).expect("a report is JSON");
        let none = Map::new();
        let metrics = report["metrics"].as_object().unwrap_or(&none).iter();
        Seen {
            error: report["error"].as_str().map(str::to_owned),
            metrics: metrics.map(|(name, metric)| (name.clone(), Metric::of_report(name, metric))).collect(),
        }
    }

    /// The metrics that gmond would collect.
    pub fn collected(&self) -> impl Iterator<Item = (&String, &Metric)> {
        self.metrics.iter().filter(|(_, metric)| metric.collected)
    }
}

impl Metric {
    fn of_report(name: &str, metric: &Value) -> Metric {
        let pair = |pair: &Value| (text(&pair[0]), text(&pair[1]));
        let sample = |sample: &Value| Sample {
            python: text(&sample["python"]),
            value: sample["sent"].clone(),
            error: sample["error"].as_str().map(str::to_owned),
        };
        Metric {
            kind: text(&metric["type"]),
            units: text(&metric["units"]),
            slope: text(&metric["slope"]),
            format: text(&metric["format"]),
            description: text(&metric["description"]),
            title: metric["title"].as_str().unwrap_or(name).to_owned(),
            tmax: metric["tmax"].as_u64().unwrap_or_default(),
            groups: list(&metric["groups"]).map(text).collect(),
            extra: list(&metric["extra"]).map(pair).collect(),
            collected: metric["collected"] == true,
            samples: list(&metric["samples"]).map(sample).collect(),
        }
    }

    /// What is fixed, with a name for each.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("type", self.kind.clone()),
            ("units", self.units.clone()),
            ("slope", self.slope.clone()),
            ("format", self.format.clone()),
            ("description", self.description.clone()),
            ("title", self.title.clone()),
            ("tmax", self.tmax.to_string()),
            ("groups", self.groups.join(",")),
            ("extra", self.extra.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("; ")),
        ]
    }

    /// Its numbers, in the order in which they came.
    pub fn numbers(&self) -> Vec<f64> {
        self.samples.iter().filter(|sample| sample.error.is_none()).filter_map(|sample| sample.value.as_f64()).collect()
    }
}
