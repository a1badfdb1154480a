//! What `graftd-gmod` is told at its start: the body of a [`START`](super::wire::tag::START).
//!
//! ```text
//! body = length:u32 (little endian) of json, json (Start), length:u32 of params, params (params.rs), the rest: what was kept
//! ```
//!
//! The module's own file comes as an open descriptor (`graftd-gmod --image-fd N`): the worker's user need not be able to open
//! its path. What a worker asks to be kept ([`KEEP`](super::wire::tag::KEEP)) is given back to it as long as that file is
//! the same, to the last byte; it is for the worker alone to know what is in it.

use super::params;
use plugin_api::Params;
use serde::{Deserialize, Serialize};

/// The beginning of the name of a worker's own folder, before its process id: for what it cannot write where gmond could.
/// It makes it when it needs it, and its keeper removes it.
pub const OWN_TEMPORARY: &str = "/tmp/graftd-gmod-";

/// Which kind of module a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// A gmond module or a pipe in Python.
    Python,
    /// A gmond module in C.
    C,
}

/// What is to be run, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The plugin's name: the stem of its file.
    pub plugin: String,
    /// Which kind of module it is.
    pub language: Language,
    /// The file's own path, for `__file__`, tracebacks and messages. It may not be readable.
    pub file: String,
    /// The folder of its helpers (`import DBUtil`), as a path that the worker can open.
    pub folder: Option<String>,
    /// The host's name: the first key of what is sampled without a spoofed host.
    pub host: String,
    /// How often all is sampled where no collection group says otherwise, in milliseconds.
    pub every_ms: u64,
    /// The `.on` says how often, in milliseconds: for all groups alike.
    #[serde(default)]
    pub every_of_on_ms: Option<u64>,
    /// The collection groups of a gmond configuration; none where the `.on` is no such text.
    #[serde(default)]
    pub groups: Option<Vec<Group>>,
    /// gmond's `debug_level`.
    #[serde(default)]
    pub debug_level: u32,
    /// The Python environment that it wants (`python = "/path/to/venv"`).
    #[serde(default)]
    pub python: Option<String>,
    /// A C module's symbol; the only one that there is where it is not given.
    #[serde(default)]
    pub symbol: Option<String>,
    /// The one text that a C module gets as its `params`.
    #[serde(default)]
    pub c_params: Option<String>,
}

/// A collection group, as in `gmond.conf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Sampled once, at the start.
    pub collect_once: bool,
    /// Seconds between samples.
    pub collect_every: u32,
    /// Seconds after which a value that is held back enters the tree all the same.
    pub time_threshold: u32,
    /// What is sampled.
    pub metrics: Vec<Metric>,
}

/// One `metric { … }` of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The metric's name, or the start of several names.
    pub name: Option<String>,
    /// A pattern that is searched in the names.
    pub name_match: Option<String>,
    /// A smaller change is held back; none: every value enters the tree.
    pub value_threshold: Option<f64>,
    /// The title shown to people; `\1` … stand for the groups of `name_match`.
    pub title: Option<String>,
    /// Where it stands, for messages: `redis.pyconf:12:3`.
    pub place: String,
}

impl From<&crate::conf::CollectionGroup> for Group {
    fn from(group: &crate::conf::CollectionGroup) -> Group {
        let metric = |metric: &crate::conf::Metric| Metric {
            name: metric.name.clone(),
            name_match: metric.name_match.clone(),
            value_threshold: metric.value_threshold,
            title: metric.title.clone(),
            place: metric.pos.to_string(),
        };
        Group {
            collect_once: group.collect_once,
            collect_every: group.collect_every,
            time_threshold: group.time_threshold,
            metrics: group.metrics.iter().map(metric).collect(),
        }
    }
}

impl Start {
    /// The body of the order.
    ///
    /// # Errors
    /// The parameters are nested too deep.
    pub fn encode(&self, params: &Params, kept: &[u8]) -> Result<Vec<u8>, String> {
        let json = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let params = params::encode(params)?;
        let mut body = Vec::with_capacity(8 + json.len() + params.len() + kept.len());
        for part in [&json, &params] {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend_from_slice(part);
        }
        body.extend_from_slice(kept);
        Ok(body)
    }

    /// Reads such a body: what is to be run, its parameters, and what was kept of an earlier start.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(body: &[u8]) -> Result<(Start, Params, &[u8]), String> {
        let (json, rest) = part(body)?;
        let (params, kept) = part(rest)?;
        let start =
            serde_json::from_slice(json).map_err(|error| format!("an order to start that makes no sense: {error}"))?;
        Ok((start, params::decode(params)?, kept))
    }
}

fn part(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let cut = || "a cut order to start".to_owned();
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Start {
        Start {
            plugin: "redis".to_owned(),
            language: Language::Python,
            file: "/plugins/redis.py".to_owned(),
            folder: None,
            host: "web1".to_owned(),
            every_ms: 10_000,
            every_of_on_ms: None,
            groups: Some(vec![Group {
                collect_once: false,
                collect_every: 5,
                time_threshold: 60,
                metrics: vec![Metric {
                    name: None,
                    name_match: Some("redis_(.+)".to_owned()),
                    value_threshold: Some(0.5),
                    title: Some("\\1".to_owned()),
                    place: "redis.on:3:1".to_owned(),
                }],
            }]),
            debug_level: 0,
            python: None,
            symbol: None,
            c_params: None,
        }
    }

    #[test]
    fn a_start_arrives_as_it_was() {
        let params = Params::new().with("port", plugin_api::Value::Text("6379".into()));
        let body = start().encode(&params, b"kept").expect("encoded");
        assert_eq!(Start::decode(&body), Ok((start(), params, &b"kept"[..])));
        assert!(Start::decode(&body[..7]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
            let _ = Start::decode(&bytes);
            let mut body = start().encode(&Params::new(), b"").expect("encoded");
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 0x55;
            }
            let _ = Start::decode(&body);
        }
    }
}
