//! What a module says of itself before it is made.

use serde::{Deserialize, Serialize};

/// What a plugin says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// It provides a pipe; a collector otherwise.
    pub is_pipe: bool,
    /// Where it says that its branch hangs; empty for the default.
    pub path: String,
    /// What it says is its branch's action; empty for the default.
    pub action: String,
    /// The parameters that it takes.
    pub params: Vec<DeclaredParam>,
    /// How often a collector wants to be asked, in milliseconds: the interval that fits all of its groups' intervals.
    #[serde(default)]
    pub every_ms: Option<u64>,
    /// What is to be said of it although it runs, a line each: a metric that is configured and not there.
    #[serde(default)]
    pub remarks: Vec<String>,
}

impl Declared {
    /// The parameters that must be given: with one of these it does nothing by itself.
    pub fn must_be_given(&self) -> impl Iterator<Item = &str> {
        self.params.iter().filter(|param| param.default.is_empty()).map(|param| param.name.as_str())
    }
}

/// A parameter that a plugin takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredParam {
    /// Its name.
    pub name: String,
    /// What holds when it is not given; empty where it must be given.
    pub default: String,
    /// What it is for.
    pub help: String,
}
