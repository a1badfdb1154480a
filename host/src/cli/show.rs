//! The tree as a person reads it on a terminal.

use crate::tree::{Hit, NodeRef, Pattern, Reading, Tree, Want};
use std::io::Write;

/// Writes the tree, a node a line, indented; of many children the `most` heaviest.
pub(super) fn tree(out: &mut Vec<u8>, tree: &Tree, most: usize) {
    for (_, hit) in tree.select(&Pattern::default(), Want::Value, 1) {
        if let Hit::Node(root) = hit {
            children(out, root, 0, most);
        }
    }
}

fn children(out: &mut Vec<u8>, node: NodeRef<'_>, depth: usize, most: usize) {
    let mut children: Vec<(Option<f64>, NodeRef<'_>)> = node.children().map(|child| (weight(child), child)).collect();
    if depth > 0 {
        children.sort_by(|a, b| b.0.unwrap_or(0.0).total_cmp(&a.0.unwrap_or(0.0)));
    }
    for (_, child) in children.iter().take(most) {
        let mut line = format!("{:indent$}{}", "", printable(child.key()), indent = depth * 2);
        if let Some(value) = child.value(Want::Value) {
            line = format!("{line:<48} {}", reading(&value));
        }
        // Writing to a Vec cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
        self::children(out, *child, depth + 1, most);
    }
    if let Some(more) = children.len().checked_sub(most).filter(|more| *more > 0) {
        let _ = writeln!(out, "{:indent$}… {more} more", "", indent = depth * 2);
    }
}

fn weight(node: NodeRef<'_>) -> Option<f64> {
    match node.value(Want::Value)? {
        Reading::Number(x) => Some(x),
        Reading::Quantiles(sketch) => Some(sketch.total().count() as f64),
        Reading::Distinct(sketch) => Some(sketch.total().estimate()),
        Reading::Bool(_) | Reading::Text(_) => None,
    }
}

/// A value in few words.
fn reading(reading: &Reading<'_>) -> String {
    match reading {
        Reading::Number(x) => number(*x),
        Reading::Bool(flag) => flag.to_string(),
        Reading::Text(text) => printable(text),
        Reading::Quantiles(sketch) => {
            let sketch = sketch.total();
            let figure = |q: f64| sketch.quantile(q).map_or_else(|| "-".to_owned(), number);
            format!(
                "n {}  p50 {}  p90 {}  p99 {}  max {}",
                sketch.count(),
                figure(0.5),
                figure(0.9),
                figure(0.99),
                sketch.max().map_or_else(|| "-".to_owned(), number)
            )
        }
        Reading::Distinct(sketch) => format!("{} distinct", number(sketch.total().estimate().round())),
    }
}

fn number(x: f64) -> String {
    let rounded = (x * 1e6).round() / 1e6;
    if x.abs() < 1e15 { format!("{rounded}") } else { format!("{x:e}") }
}

/// Keys come from anybody: what would move the cursor or colour the screen is shown, not obeyed.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
