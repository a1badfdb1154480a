//! What Python 2.7 was seen to make of the modules, for where there is none: `tests/fixtures/gmond/recorded.json`.
//!
//! Of a metric that is its type, its units, its slope, the Python types that calls returned, and a hash of the rest. Values
//! are not recorded: they are of their moment.

use super::compare::{Types, Verdict, may_be_zero};
use super::seen::{Metric, Seen};
use graftd_tests::fixture;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Modules that find their metrics in the kernel: which there are is its version's business.
const OF_THE_KERNEL: [&str; 4] = ["cpu_stats", "multi_interface", "netstats", "vm_stats"];

/// Modules that name their metrics by what the machine has, so that there is nothing to record.
const OF_THE_MACHINE: [&str; 2] = ["diskfree", "diskstat"];

/// A module whose metrics are there only while its server is.
const OF_A_SERVER: &str = "mysql";

fn file() -> PathBuf {
    fixture("gmond/recorded.json")
}

/// By module, and by metric.
#[derive(Clone, Debug)]
pub struct Recorded(BTreeMap<String, BTreeMap<String, Facts>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    /// `int32 clients both`, and a hash.
    fixed: String,
    /// `int/float`.
    python: String,
    /// What its leaf is found by in a tree, where that is not its name.
    leaf: Option<String>,
}

impl Facts {
    fn of(name: &str, metric: &Metric) -> Facts {
        let mut python: Vec<&str> = metric.samples.iter().map(|sample| sample.python.as_str()).collect();
        python.sort_unstable();
        python.dedup();
        let all: Vec<String> = metric.facts().into_iter().map(|(name, fact)| format!("{name}={fact}")).collect();
        let Metric { kind, units, slope, .. } = metric;
        let collected = if metric.collected { "collected" } else { "left" };
        let leaf = Some(metric.key(name)).filter(|leaf| leaf != name);
        let hash = hash(&all.join("\n"));
        Facts { fixed: format!("{kind} {units:?} {slope} {collected} {hash:016x}"), python: python.join("/"), leaf }
    }
}

impl Facts {
    /// Whether no call returned anything that is a value.
    fn only_raise(&self) -> bool {
        self.python.split('/').all(|python| ["", "NoneType", "list", "tuple", "dict"].contains(&python))
    }
}

/// FNV-1a of 64 bits: the same on every machine and with every compiler.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Recorded {
    /// As the file has it.
    pub fn read() -> Recorded {
        let text = fs::read_to_string(file()).unwrap_or_else(|_| "{}".to_owned());
        let all: Value = serde_json::from_str(&text).expect("a record is JSON");
        let none = Map::new();
        let metrics = |module: &Value| -> BTreeMap<String, Facts> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metrics = module.as_object().unwrap_or(&none).iter();
            metrics
                .map(|(name, facts)| {
                    (
                        name.clone(),
                        Facts {
                            fixed: text(&facts[0]),
                            python: text(&facts[1]),
                            leaf: facts[2].as_str().map(str::to_owned),
                        },
                    )
                })
                .collect()
        };
        let modules = all.as_object().unwrap_or(&none).iter();
        Recorded(modules.map(|(name, module)| (name.clone(), metrics(module))).collect())
    }

    /// What was measured now. What is not there to be seen here stays as it was.
    pub fn renewed(mut self, measured: &BTreeMap<String, Seen>) -> Recorded {
        let recordable = |name: &str| !OF_THE_MACHINE.contains(&name);
        for (name, seen) in measured.iter().filter(|(name, seen)| seen.error.is_none() && recordable(name)) {
            let facts = seen.metrics.iter().map(|(name, metric)| (name.clone(), Facts::of(name, metric))).collect();
            self.0.insert(name.clone(), facts);
        }
        self
    }

    /// Writes the file anew.
    pub fn write(&self) {
        let facts = |facts: &Facts| {
            let told = [Some(&facts.fixed), Some(&facts.python), facts.leaf.as_ref()];
            Value::from(told.into_iter().flatten().cloned().collect::<Vec<_>>())
        };
        let lines = self.0.iter().map(|(name, metrics)| {
            let metrics =
                metrics.iter().map(|(name, metric)| format!("  {}: {}", Value::from(name.as_str()), facts(metric)));
            let metrics: Vec<String> = metrics.collect();
            format!("{}: {{\n{}\n}}", Value::from(name.as_str()), metrics.join(",\n"))
        });
        let text = format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n"));
        fs::write(file(), text).expect("written");
    }

    /// How what was seen of a module compares with what is recorded of it.
    pub fn verdict(&self, name: &str, seen: &Seen, types: Types) -> Verdict {
        if OF_THE_MACHINE.contains(&name) {
            return Verdict::Agree(0);
        }
        let Some(recorded) = self.0.get(name) else {
            // It works nowhere that a record was made.
            let works = (String::new(), "works, and nothing is recorded of it; GRAFTD_BLESS=1 records".to_owned());
            return if seen.error.is_some() { Verdict::FailAlike } else { Verdict::Differ(vec![works]) };
        };
        if let (true, Some(error)) = (seen.metrics.is_empty(), &seen.error) {
            let may = name.starts_with(OF_A_SERVER) || recorded.values().all(Facts::only_raise);
            let differs = Verdict::Differ(vec![(String::new(), format!("fails: {error}"))]);
            return if may { Verdict::FailAlike } else { differs };
        }
        let varies = OF_THE_KERNEL.iter().chain([&OF_A_SERVER]).any(|module| name.starts_with(module));
        let mut differences = Vec::new();
        let key = |metric: &String, facts: &Facts| match types {
            Types::Known => metric.clone(),
            Types::Unknown => facts.leaf.as_ref().unwrap_or(metric).clone(),
        };
        for (metric, facts) in recorded {
            let is_left = types == Types::Unknown && (!facts.fixed.contains(" collected ") || facts.only_raise());
            match seen.metrics.get(&key(metric, facts)).map(|found| Facts::of(metric, found)) {
                Some(found) if found.fixed != facts.fixed => {
                    differences.push((metric.clone(), format!("{} became {}", facts.fixed, found.fixed)));
                }
                Some(found) if types == Types::Known && !may_be_zero(metric) => {
                    let known: Vec<&str> = facts.python.split('/').collect();
                    if let Some(new) = found.python.split('/').find(|python| !known.contains(python)) {
                        differences.push((metric.clone(), format!("Python's type: {} became {new}", facts.python)));
                    }
                }
                None if !varies && !is_left => differences.push((metric.clone(), "is missing".to_owned())),
                _ => {}
            }
        }
        let keys: Vec<String> = recorded.iter().map(|(metric, facts)| key(metric, facts)).collect();
        let new = seen.metrics.keys().filter(|metric| !varies && !keys.contains(metric));
        differences.extend(new.map(|metric| (metric.clone(), "is new".to_owned())));
        if differences.is_empty() { Verdict::Agree(seen.metrics.len()) } else { Verdict::Differ(differences) }
    }
}
