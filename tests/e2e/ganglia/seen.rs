//! What a module came to, under whatever ran it.

use graftd_tests::HOST;
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
    /// The host that it speaks for.
    pub host: String,
    /// The name of its leaf, where that is not the metric's.
    pub leaf: Option<String>,
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
    /// Whether it never fell.
    pub rises: bool,
}

/// What a call came to.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When, in seconds of Unix time.
    pub at: f64,
    /// The Python type of what was returned; empty where nobody knows.
    pub python: String,
    /// A number or a text, as it is to be seen.
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

    /// The same with what another run has seen.
    pub fn with(mut self, other: Seen) -> Seen {
        for (name, other) in other.metrics {
            let metric = self.metrics.entry(name).or_insert_with(|| Metric { rises: true, ..other.clone() });
            metric.rises &= other.rises;
            metric.samples.extend(other.samples);
        }
        self.error = self.error.or(other.error);
        self
    }

    /// What a leaf is found by: several hosts may have a metric of one name.
    pub fn key(host: &str, leaf: &str) -> String {
        if host == HOST { leaf.to_owned() } else { format!("{leaf} of {host}") }
    }

    /// The same as a tree is to show it: what no group takes is not in it, nor is what never had a value.
    pub fn in_a_tree(&self) -> Seen {
        let mut seen = Seen { error: self.error.clone(), ..Seen::default() };
        for (name, metric) in self.metrics.iter().filter(|(_, metric)| metric.collected) {
            let mut metric = metric.clone();
            let fault = |sample: &Sample| sample.error.clone().or_else(|| sample.no_value(&metric.kind));
            let last = metric.samples.iter().filter_map(fault).next_back();
            let valued = |sample: &Sample| fault(sample).is_none();
            let samples: Vec<Sample> = metric.samples.iter().filter(|sample| valued(sample)).cloned().collect();
            metric.samples = samples;
            match last {
                Some(error) if metric.samples.is_empty() => seen.error = Some(error),
                _ => {
                    seen.metrics.insert(metric.key(name), metric);
                }
            }
        }
        seen
    }
}

impl Sample {
    /// Why there is no value in it, where gmond would send a zero.
    fn no_value(&self, kind: &str) -> Option<String> {
        let is_text = kind == "string";
        match self.python.as_str() {
            "NoneType" => Some("returned None".to_owned()),
            "list" | "tuple" | "dict" => Some(format!("returned a {}", self.python)),
            "str" if !is_text && self.value.is_string() => Some("returned text that is no number".to_owned()),
            _ => None,
        }
    }

    /// A value in a report, as it enters a tree: a fraction is cut off where an integer is wanted, and text that is a number is one.
    fn entered(kind: &str, returned: &Value) -> Value {
        if kind == "string" {
            return returned.clone();
        }
        let number = match returned {
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        let whole = |number: f64| if kind.ends_with("32") { number.trunc() } else { number };
        number.map_or_else(|| returned.clone(), |number| Value::from(whole(number)))
    }
}

impl Metric {
    /// What its leaf is found by, if this is its name.
    pub fn key(&self, name: &str) -> String {
        Seen::key(&self.host, self.leaf.as_deref().unwrap_or(name))
    }

    fn of_report(name: &str, metric: &Value) -> Metric {
        let pair = |pair: &Value| (text(&pair[0]), text(&pair[1]));
        let kind = text(&metric["type"]);
        let sample = |sample: &Value| Sample {
            at: sample["at"].as_f64().unwrap_or_default(),
            python: text(&sample["python"]),
            value: Sample::entered(&kind, if kind == "string" { &sample["sent"] } else { &sample["value"] }),
            error: sample["error"].as_str().map(str::to_owned),
        };
        let samples: Vec<Sample> = list(&metric["samples"]).map(sample).collect();
        let numbers: Vec<f64> = samples.iter().filter_map(|sample| sample.value.as_f64()).collect();
        let extra: Vec<(String, String)> = list(&metric["extra"]).map(pair).collect();
        let spoof = |name| extra.iter().find(|(key, _): &&(String, String)| key.eq_ignore_ascii_case(name));
        let spoofed = spoof("spoof_host").and_then(|(_, spoof)| Some(spoof.split_once(':')?.1));
        let leaf = spoof("spoof_name").and_then(|(_, spoof)| spoof.split(':').next());
        Metric {
            rises: numbers.windows(2).all(|pair| pair[0] <= pair[1]),
            host: spoofed.unwrap_or(HOST).to_owned(),
            leaf: leaf.map(str::to_owned),
            kind: kind.clone(),
            units: text(&metric["units"]),
            slope: text(&metric["slope"]),
            format: text(&metric["format"]),
            description: text(&metric["description"]),
            title: metric["title"].as_str().unwrap_or(name).to_owned(),
            tmax: metric["tmax"].as_u64().unwrap_or_default(),
            groups: list(&metric["groups"]).map(text).collect(),
            extra: extra.clone(),
            collected: metric["collected"] == true,
            samples,
        }
    }

    /// What is fixed, with a name for each.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", self.host.clone()),
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
        self.timed().map(|(_, number)| number).collect()
    }

    /// The same, each with the time at which it was told.
    pub fn timed(&self) -> impl Iterator<Item = (f64, f64)> {
        let told = self.samples.iter().filter(|sample| sample.error.is_none());
        told.filter_map(|sample| Some((sample.at, sample.value.as_f64()?)))
    }
}
