//! `/metrics`: the tree as Prometheus text.
//!
//! Format: Prometheus text exposition 0.0.4. The first key is the metric's name, the others are its labels `k1`, `k2`, ….
//! What sums is a counter, other numbers are gauges, quantiles a summary. A name that has both counters and gauges, or
//! figures and quantiles, is untyped: a family has one type, and names do not depend on what else is there.

use super::answer::{Answer, Refusal};
use super::get::apart;
use super::web::Web;
use crate::core::Shared;
use crate::json::{QUANTILES, write_number};
use crate::limits::{ANSWER_NODES_MAX, METRICS_CHUNK};
use crate::tree::{Hit, NodeRef, Pattern, Reading, Tree, Want};
use plugin_api::Action;
use plugin_api::sketch::Quantiles;
use std::collections::BTreeMap;
use std::sync::Arc;
use warp::http::StatusCode;
use warp::http::header::HeaderValue;

/// The whole tree, at most [`ANSWER_NODES_MAX`] nodes of it.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn metrics(web: &Web) -> Result<Answer, Refusal> {
    let shared = Arc::clone(&web.shared);
    let (text, tick, truncated) = apart(move || gather(&shared)).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(Answer::new(StatusCode::OK, kind, text).at_tick(tick, truncated))
}

/// All samples of one name.
#[derive(Debug, Default)]
struct Family {
    counters: bool,
    gauges: bool,
    /// Lines of the name itself.
    lines: Vec<u8>,
    /// Lines of `NAME_sum` and `NAME_count`; some only if there are quantiles.
    sums: Vec<u8>,
    counts: Vec<u8>,
}

/// Families on their way.
#[derive(Debug)]
struct Families {
    by_name: BTreeMap<String, Family>,
    /// Nodes that may still be looked at.
    left: usize,
    truncated: bool,
}

/// Gathers branch by branch, and wide branches in parts: the core may merge in between.
fn gather(shared: &Shared) -> (Vec<u8>, u64, bool) {
    let mut families = Families { by_name: BTreeMap::new(), left: ANSWER_NODES_MAX, truncated: false };
    let (branches, tick) = {
        let tree = shared.tree.read();
        (keys_of(&tree, &[]), tree.tick())
    };
    for branch in &branches {
        let name = sanitised(branch);
        let raw = (name != *branch).then_some(branch.as_str());
        let below = {
            let tree = shared.tree.read();
            if let Some(node) = node(&tree, &[branch]) {
                families.own(&name, raw, &[], node);
            }
            keys_of(&tree, &[branch])
        };
        for chunk in below.chunks(METRICS_CHUNK) {
            let tree = shared.tree.read();
            for key in chunk {
                // It may be gone by now.
                if let Some(node) = node(&tree, &[branch, key]) {
                    families.below(&name, raw, &mut vec![key], node);
                }
            }
        }
    }
    let truncated = families.truncated;
    (families.write(), tick, truncated)
}

fn node<'t>(tree: &'t Tree, path: &[&str]) -> Option<NodeRef<'t>> {
    match tree.select(&Pattern::of(path), Want::Value, 1).pop() {
        Some((_, Hit::Node(node))) => Some(node),
        _ => None,
    }
}

fn keys_of(tree: &Tree, path: &[&str]) -> Vec<String> {
    node(tree, path).map(|node| node.children().map(|child| child.key().to_owned()).collect()).unwrap_or_default()
}

impl Families {
    /// A node and all below it.
    fn below<'t>(&mut self, name: &str, raw: Option<&str>, labels: &mut Vec<&'t str>, node: NodeRef<'t>) {
        self.own(name, raw, labels, node);
        for child in node.children() {
            if self.left == 0 {
                self.truncated = true;
                return;
            }
            labels.push(child.key());
            self.below(name, raw, labels, child);
            labels.pop();
        }
    }

    /// What a node holds itself.
    fn own(&mut self, name: &str, raw: Option<&str>, labels: &[&str], node: NodeRef<'_>) {
        if self.left == 0 {
            self.truncated = true;
            return;
        }
        self.left -= 1;
        let Some(reading) = node.own(Want::Value) else { return };
        let x = match &reading {
            Reading::Text(_) => return,
            Reading::Quantiles(sketch) => return self.summary(name, raw, labels, sketch.total()),
            Reading::Number(x) => *x,
            Reading::Bool(flag) => f64::from(u8::from(*flag)),
            Reading::Distinct(sketch) => sketch.total().estimate().round(),
        };
        let sums = matches!(reading, Reading::Number(_))
            && matches!(node.action(), None | Some(Action::Add | Action::Top { .. }));
        let family = self.family(name);
        family.counters |= sums;
        family.gauges |= !sums;
        sample(&mut family.lines, name, "", raw, labels, None, x);
    }

    fn summary(&mut self, name: &str, raw: Option<&str>, labels: &[&str], sketch: &Quantiles) {
        let family = self.family(name);
        for (_, quantile) in QUANTILES {
            if let Some(x) = sketch.quantile(quantile) {
                sample(&mut family.lines, name, "", raw, labels, Some(quantile), x);
            }
        }
        sample(&mut family.sums, name, "_sum", raw, labels, None, sketch.sum());
        sample(&mut family.counts, name, "_count", raw, labels, None, sketch.count() as f64);
    }

    fn family(&mut self, name: &str) -> &mut Family {
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), Family::default());
        }
        self.by_name.entry(name.to_owned()).or_default()
    }

    fn write(mut self) -> Vec<u8> {
        // A summary has its sum and count in its own family; where that cannot be, they are families themselves, and
        // may be one with a branch of that name.
        let names: Vec<String> = self.by_name.keys().cloned().collect();
        for name in names {
            let parts = [format!("{name}_sum"), format!("{name}_count")];
            let taken = parts.iter().any(|part| self.by_name.contains_key(part));
            let Some(family) = self.by_name.get_mut(&name) else { continue };
            if family.counts.is_empty() || !(family.counters || family.gauges || taken) {
                continue;
            }
            family.counters = true;
            family.gauges = true;
            let lines = [std::mem::take(&mut family.sums), std::mem::take(&mut family.counts)];
            for (part, lines) in parts.into_iter().zip(lines) {
                let part = self.by_name.entry(part).or_default();
                part.counters = true;
                part.gauges = true;
                part.lines.extend_from_slice(&lines);
            }
        }
        let mut out = Vec::new();
        for (name, family) in self.by_name {
            let kind = match (family.counters, family.gauges) {
                (true, false) => "counter",
                (false, true) => "gauge",
                (true, true) => "untyped",
                (false, false) => "summary",
            };
            out.extend_from_slice(format!("# TYPE {name} {kind}\n").as_bytes());
            for lines in [family.lines, family.sums, family.counts] {
                out.extend_from_slice(&lines);
            }
        }
        out
    }
}

fn sample(
    out: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    raw: Option<&str>,
    labels: &[&str],
    quantile: Option<f64>,
    x: f64,
) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let mut first = true;
    let mut label = |out: &mut Vec<u8>, name: &str, value: &str| {
        out.push(if std::mem::take(&mut first) { b'{' } else { b',' });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(out, value);
        out.push(b'"');
    };
    if let Some(raw) = raw {
        label(out, "k0", raw);
    }
    for (i, value) in labels.iter().enumerate() {
        label(out, &format!("k{}", i + 1), value);
    }
    if let Some(quantile) = quantile {
        label(out, "quantile", &quantile.to_string());
    }
    if !first {
        out.push(b'}');
    }
    out.push(b' ');
    write_number(out, x);
    out.push(b'\n');
}

/// `\`, `"` and line feeds; all else may stand in a label's value.
fn escape(out: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
}

/// A key as a metric's name: `[a-zA-Z_][a-zA-Z0-9_]*`. (Colons are for recording rules.)
fn sanitised(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        if name.is_empty() && c.is_ascii_digit() {
            name.push('_');
        }
        name.push(if c.is_ascii_alphanumeric() { c } else { '_' });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing;

    fn text(json: &str) -> String {
        let shared = testing::shared(None);
        testing::merge(&shared, json);
        String::from_utf8(gather(&shared).0).unwrap()
    }

    #[test]
    fn actions_are_types_and_keys_are_labels() {
        let text = text(
            r#"[{"br":{"ie":{"7":[8,{"q\"\\\n":{"sogou":2}}]}}},
                {"load":{"a":1.5},"defaultaction":"average"},
                {"on":{"x":true,"version":"1.2"},"defaultaction":"last"},
                {"took":{"/":[1,1]},"defaultaction":"quantiles"},
                {"seen":{"v":["a","b","a"]},"defaultaction":"distinct"},
                {"9-lives":3}]"#,
        );
        let want = r#"# TYPE _9_lives counter
_9_lives{k0="9-lives"} 3
# TYPE br counter
br{k1="ie",k2="7"} 8
br{k1="ie",k2="7",k3="q\"\\\n",k4="sogou"} 2
# TYPE load gauge
load{k1="a"} 1.5
# TYPE on gauge
on{k1="x"} 1
# TYPE seen gauge
seen{k1="v"} 2
# TYPE took summary
took{k1="/",quantile="0.5"} 1
took{k1="/",quantile="0.9"} 1
took{k1="/",quantile="0.95"} 1
took{k1="/",quantile="0.99"} 1
took{k1="/",quantile="0.999"} 1
took_sum{k1="/"} 2
took_count{k1="/"} 2
"#;
        assert_eq!(text, want);
    }

    #[test]
    fn what_is_of_several_types_is_untyped_and_stays_together() {
        let text = text(
            r#"[{"a-b":1},{"a_b":{"":2,"x":3,"defaultaction":"max"}},
                {"t":{"n":1}},{"t":{"q":{"":5,"defaultaction":"quantiles"}}},{"t_sum":7}]"#,
        );
        let types: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(types, ["# TYPE a_b untyped", "# TYPE t untyped", "# TYPE t_count untyped", "# TYPE t_sum untyped"]);
        assert!(text.contains("a_b{k0=\"a-b\"} 1\na_b 2\na_b{k1=\"x\"} 3\n"), "{text}");
        assert!(text.contains("t_sum 7\nt_sum{k1=\"q\"} 5\n"), "{text}");
    }
}
