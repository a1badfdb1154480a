//! What names a path in a store, and back.
//!
//! The first key is the metric's name, the others are labels `k1`, `k2`, …: `cpu,h1,idle` is `cpu{k1="h1",k2="idle"}`. What
//! cannot stand in a name becomes `_` there, and the label `k0` has the key as it is. What is deeper than labels go stands in the
//! label `rest`, as a path. Every series has the labels `job="graftd"` and `instance`, the host of the daemon. A figure of a sketch
//! has its name in the label `q`. Labels that a store puts beside them are passed over.

use crate::tree::{Step, encode_path, parse_plain};
use std::fmt::Write;

/// All of the daemon's have it.
pub(super) const JOB: &str = "graftd";

/// The labels `k1` and so on; a store has room for 30 in all.
const KEY_LABELS: usize = 19;

/// Bytes of a label's value that stores take as they are told.
const VALUE_BYTES_MAX: usize = 1_024;

/// Names and values of labels.
pub(super) type Labels = Vec<(String, String)>;

/// The labels of a path, ascending by their names, as the protocol wants them. None for one that no store has room for, and for
/// the root.
pub(super) fn labels_of<K: AsRef<str>>(path: &[K], host: &str, figure: Option<&str>) -> Option<Labels> {
    let (first, others) = path.split_first()?;
    let first = first.as_ref();
    let name = name_of(first);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut labels = vec![pair("instance", host), pair("job", JOB)];
    if name != first {
        labels.push(pair("k0", first));
    }
    labels.push(pair("__name__", &name));
    let (short, deep) = others.split_at(others.len().min(KEY_LABELS));
    labels.extend(short.iter().enumerate().map(|(at, key)| (key_label(at + 1), key.as_ref().to_owned())));
    if !deep.is_empty() {
        labels.push(("rest".to_owned(), encode_path(deep.iter().map(AsRef::as_ref))));
    }
    if let Some(figure) = figure {
        labels.push(pair("q", figure));
    }
    labels.sort_unstable();
    labels.iter().all(|(_, value)| value.len() <= VALUE_BYTES_MAX).then_some(labels)
}

fn key_label(at: usize) -> String {
    format!("k{at}")
}

/// A key as the name of a metric.
fn name_of(key: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = key.chars().map(fits).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The path that labels name, and whether they are a figure of the sketch there. None of what is not the daemon's.
pub(super) fn path_of(labels: &[(String, String)]) -> Option<(Vec<String>, bool)> {
    let get = |name: &str| labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
    let own = get("job") == Some(JOB);
    let name = get("__name__").filter(|name| own && !name.is_empty())?;
    let first = get("k0").unwrap_or(name);
    if name_of(first) != name {
        return None;
    }
    let mut path = vec![first.to_owned()];
    while let Some(key) = get(&key_label(path.len())).filter(|key| !key.is_empty() && path.len() <= KEY_LABELS) {
        path.push(key.to_owned());
    }
    if let Some(rest) = get("rest") {
        path.extend(parse_plain(rest).ok()?.iter().map(ToString::to_string));
    }
    Some((path, get("q").is_some()))
}

/// Selects the series of numbers that a question may need: those that have its keys where it names them, and, unless that is for
/// the path alone, what is below.
pub(super) fn selector(steps: &[Step], host: &str, alone: bool) -> String {
    let mut out = String::from("{");
    let mut put = |name: &str, value: &str| {
        if out.len() > 1 {
            out.push(',');
        }
        // It cannot fail.
        let _ = write!(out, "{name}=\"");
        for c in value.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    };
    put("job", JOB);
    put("instance", host);
    put("q", "");
    for (at, step) in steps.iter().enumerate().take(KEY_LABELS + 1) {
        let Some(key) = step.key() else { continue };
        if at > 0 {
            put(&key_label(at), key);
            continue;
        }
        let name = name_of(key);
        put("__name__", &name);
        put("k0", if name == key { "" } else { key });
    }
    if alone && steps.len() <= KEY_LABELS {
        put(&key_label(steps.len().max(1)), "");
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Pattern;
    use proptest::prelude::*;

    fn written(path: &[&str], figure: Option<&str>) -> String {
        let labels = labels_of(path, "web1", figure).expect("labels");
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn they_read_as_those_of_others_do() {
        let all = "instance=web1 job=graftd";
        assert_eq!(written(&["cpu", "h1", "idle"], None), format!("__name__=cpu {all} k1=h1 k2=idle"));
        assert_eq!(written(&["404"], None), format!("__name__=_404 {all} k0=404"));
        assert_eq!(
            written(&["request-time", "é"], Some("p99")),
            format!("__name__=request_time {all} k0=request-time k1=é q=p99")
        );
        assert_eq!(labels_of::<&str>(&[], "web1", None), None);
        assert_eq!(labels_of(&["a", &"x".repeat(2_000)], "web1", None), None);
    }

    #[test]
    fn what_is_named_is_selected() {
        let of = |text: &str, alone| selector(Pattern::parse(text).expect("a pattern").steps(), "h\"", alone);
        let all = "job=\"graftd\",instance=\"h\\\"\",q=\"\"";
        assert_eq!(of("cpu,,idle", false), format!("{{{all},__name__=\"cpu\",k0=\"\",k2=\"idle\"}}"));
        assert_eq!(of("a-b,x", true), format!("{{{all},__name__=\"a_b\",k0=\"a-b\",k1=\"x\",k2=\"\"}}"));
        assert_eq!(of("*", false), format!("{{{all}}}"));
        assert_eq!(of("a,b\\%0A", false), format!("{{{all},__name__=\"a\",k0=\"\",k1=\"b\\\\\\n\"}}"));
    }

    #[test]
    fn what_others_wrote_is_no_path() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Labels = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            path_of(&pairs)
        };
        assert_eq!(of(&[("__name__", "up"), ("job", "node")]), None);
        assert_eq!(of(&[("job", "graftd"), ("k0", "a")]), None);
        assert_eq!(of(&[("__name__", "x"), ("job", "graftd"), ("k0", "a")]), None);
        assert_eq!(of(&[("__name__", "x"), ("job", "graftd"), ("rest", "a,,b")]), None);
        let beside = [("__name__", "x"), ("job", "graftd"), ("replica", "a"), ("k1", "y"), ("k3", "z")];
        assert_eq!(of(&beside), Some((vec!["x".to_owned(), "y".to_owned()], false)));
    }

    proptest! {
        #[test]
        fn back_from_labels_it_is_the_same_path(
            path in prop::collection::vec("[a-z_:]{1,5}|\\PC{1,8}|[0-9%,*\"\\\\\n]{1,4}", 1..64),
            figure in prop::option::of("p99|count"),
        ) {
            let labels = labels_of(&path, "web1", figure.as_deref()).expect("labels");
            prop_assert!(labels.len() <= 26);
            prop_assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let name = &labels[0].1;
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.as_bytes()[0].is_ascii_digit());
            prop_assert_eq!(path_of(&labels), Some((path, figure.is_some())));
        }
    }
}
