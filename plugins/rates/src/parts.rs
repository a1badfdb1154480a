//! A metric of the whole machine and of its parts.

use core::time::Duration;
use plugin_api::{Action, Delta};

/// How long the value of a part is kept when nothing renews it: an interface that was unplugged leaves the tree after
/// an hour. Longer than any sensible interval, so that a value does not go between two samples.
pub const PART_LIFE: Duration = Duration::from_secs(3_600);

/// How the values of the parts are one of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// All together.
    Sum,
    /// The greatest. The metric's action is `max` then: a mean would hide the one part that matters.
    Max,
}

/// Sets `metric` to what its parts fold to, and each part's own value one key below: `bytes_in` and `bytes_in,eth0`.
/// Without parts nothing is said: an unknown whole is not zero.
pub fn set_parts<'a>(out: &mut Delta, metric: &str, fold: Fold, parts: impl Iterator<Item = (&'a str, f64)>) {
    let mut whole: Option<f64> = None;
    for (part, value) in parts {
        out.set(&[metric, part], value);
        out.lifetime(&[metric, part], PART_LIFE);
        whole = Some(match (whole, fold) {
            (None, _) => value,
            (Some(whole), Fold::Sum) => whole + value,
            (Some(whole), Fold::Max) => whole.max(value),
        });
    }
    if let Some(whole) = whole {
        out.set(&[metric], whole);
        if fold == Fold::Max {
            out.action(&[metric], Action::Max);
        }
    }
}
