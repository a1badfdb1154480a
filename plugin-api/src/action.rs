//! How a subtree folds: over time when deltas are merged, across keys when it is queried.

use core::fmt;
use core::str::FromStr;

/// The action of a node holds for its whole subtree, until a deeper node has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sums over time and across keys: a counter, which also has a rate.
    Add,
    /// Replaces over time, mean across keys: a gauge.
    Average,
    /// Replaces over time, the least across keys.
    Min,
    /// Replaces over time, the greatest across keys.
    Max,
    /// Replaces over time, the newest across keys: strings, versions, markers.
    Last,
    /// Merges sketches of values: count, sum and quantiles.
    Quantiles,
    /// Merges sketches of sets: how many different ones.
    Distinct,
    /// Sums like [`Action::Add`], keeps the `k` heaviest children and the rest in `(other)`.
    Top {
        /// How many children are kept.
        k: u32,
    },
}

impl Action {
    /// The children that `top` keeps unless it says otherwise.
    pub const TOP_K: u32 = 10_000;
    /// The most children that `top` may keep.
    pub const TOP_K_MAX: u32 = 1_000_000;

    /// The spellings that [`Action::from_str`] takes.
    pub const NAMES: [&'static str; 8] = ["add", "average", "min", "max", "last", "quantiles", "distinct", "top"];
}

/// The text is no action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAction(String);

impl fmt::Display for UnknownAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown action {:?}; known are {}, and top(K)", self.0, Action::NAMES.join(", "))
    }
}

impl std::error::Error for UnknownAction {}

impl FromStr for Action {
    type Err = UnknownAction;

    /// `add`, `average`, … as in [`Action::NAMES`]; `top(500)` keeps 500.
    fn from_str(text: &str) -> Result<Action, UnknownAction> {
        let unknown = || UnknownAction(text.chars().take(40).collect());
        Ok(match text {
            "add" => Action::Add,
            "average" => Action::Average,
            "min" => Action::Min,
            "max" => Action::Max,
            "last" => Action::Last,
            "quantiles" => Action::Quantiles,
            "distinct" => Action::Distinct,
            "top" => Action::Top { k: Action::TOP_K },
            _ => {
                let k = text.strip_prefix("top(").and_then(|rest| rest.strip_suffix(')'));
                let k = k.and_then(|k| k.parse().ok()).ok_or_else(unknown)?;
                if k == 0 || k > Action::TOP_K_MAX {
                    return Err(unknown());
                }
                Action::Top { k }
            }
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Add => f.write_str("add"),
            Action::Average => f.write_str("average"),
            Action::Min => f.write_str("min"),
            Action::Max => f.write_str("max"),
            Action::Last => f.write_str("last"),
            Action::Quantiles => f.write_str("quantiles"),
            Action::Distinct => f.write_str("distinct"),
            Action::Top { k: Action::TOP_K } => f.write_str("top"),
            Action::Top { k } => write!(f, "top({k})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_prints_back() {
        for name in Action::NAMES.into_iter().chain(["top(1)", "top(1000000)"]) {
            assert_eq!(name.parse::<Action>().unwrap().to_string(), name);
        }
        for bad in ["", "sum", "Add", "top()", "top(0)", "top(1000001)", "top(-1)", "top(1"] {
            assert!(bad.parse::<Action>().is_err(), "{bad}");
        }
    }
}
