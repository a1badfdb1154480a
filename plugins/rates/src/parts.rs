//! A metric of the whole machine and of its parts.

use core::time::Duration;
use plugin_api::Delta;

/// How long the value of a part is kept when nothing renews it: an interface that was unplugged leaves the tree after
/// an hour. Longer than any sensible interval, so that a value does not go between two samples.
pub const PART_LIFE: Duration = Duration::from_secs(3_600);

/// Sets `metric` to what its parts fold to, and each part's own value one key below: `bytes_in` and `bytes_in,eth0`.
/// Without parts nothing is said: an unknown total is not zero.
pub fn set_parts<'a>(
    out: &mut Delta,
    metric: &str,
    parts: impl Iterator<Item = (&'a str, f64)>,
    fold: fn(f64, f64) -> f64,
) {
    let mut whole = None;
    for (part, value) in parts {
        out.set(&[metric, part], value);
        out.lifetime(&[metric, part], PART_LIFE);
        whole = Some(whole.map_or(value, |whole| fold(whole, value)));
    }
    if let Some(whole) = whole {
        out.set(&[metric], whole);
    }
}
