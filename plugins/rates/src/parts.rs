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

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::delta::wire::{Op, Reader};

    fn check(fold: Fold, parts: &[(&str, f64)], expected: &[&str]) {
        let mut out = Delta::new();
        set_parts(&mut out, "m", fold, parts.iter().copied());
        let frame = out.flush();
        let mut said = Vec::new();
        // Where nothing was said there is no frame, not an empty one.
        if !frame.is_empty() {
            let mut reader = Reader::new(frame).unwrap();
            while let Some(entry) = reader.next_entry().unwrap() {
                let what = match entry.op {
                    Op::Set(value) => format!("= {value}"),
                    Op::Lifetime(life) => format!("for {life:?}"),
                    Op::Action(action) => format!("by {action}"),
                    other => format!("{other:?}"),
                };
                said.push(format!("{} {what}", reader.path().join(",")));
            }
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn the_whole_is_a_value_of_its_own_above_its_parts() {
        let parts = [("a", 1.0), ("b", 4.0), ("c", 2.0)];
        let each = ["m,a = 1", "m,a for 3600s", "m,b = 4", "m,b for 3600s", "m,c = 2", "m,c for 3600s"];
        check(Fold::Sum, &parts, &[&each[..], &["m = 7"]].concat());
        check(Fold::Max, &parts, &[&each[..], &["m = 4", "m by max"]].concat());
    }

    #[test]
    fn without_parts_nothing_is_said() {
        check(Fold::Sum, &[], &[]);
        check(Fold::Max, &[], &[]);
    }
}
