//! The tree as a person reads it on a terminal.

use crate::tree::{Hit, NodeRef, Pattern, Reading, Tree, Want};
use crate::when::rfc3339;
use serde_json::{Map, Value};
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

/// An answer of `/trend/` as tables: a line for each step in which there is something, a column for each path and figure. Paths whose
/// steps are not the same have tables of their own, and so have texts.
pub(super) fn trend(answer: &Value) -> Vec<String> {
    let lines = answer.as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    let mut tables: Vec<(Value, Table)> = Vec::new();
    for (path, told) in lines {
        let Some(members) = told.as_object() else { continue };
        if let Some(events) = members.get("events").and_then(Value::as_array) {
            let mut table = Table::new(&[]);
            let cells = events.iter().map(|event| (event[0].as_f64(), &event[1]));
            let (times, texts): (Vec<_>, Vec<_>) = cells.map(|(time, text)| (time.unwrap_or_default(), text)).unzip();
            table.times = times;
            // One that is gone is told too.
            let gone = Value::from("-");
            let texts: Vec<&Value> = texts.into_iter().map(|text| if text.is_null() { &gone } else { text }).collect();
            table.column(path, &texts);
            tables.push((Value::Null, table));
            continue;
        }
        let axis = Value::from_iter(AXIS.map(|key| (key, members.get(key).cloned().unwrap_or_default())));
        if tables.last().is_none_or(|(last, _)| *last != axis) {
            tables.push((axis.clone(), Table::new(&[members])));
        }
        let Some((_, table)) = tables.last_mut() else { continue };
        for (name, values) in members.iter().filter(|(name, _)| !AXIS.contains(&name.as_str())) {
            let title = if name == "values" { path.clone() } else { format!("{path} {name}") };
            table.column(&title, &values.as_array().map_or_else(Vec::new, |values| values.iter().collect()));
        }
    }
    let mut shown = Vec::new();
    for (_, table) in tables.iter().filter(|(_, table)| table.has_any()) {
        if !shown.is_empty() {
            shown.push(String::new());
        }
        table.show(&mut shown);
    }
    shown
}

/// What says of a line of `/trend/` when its values were.
const AXIS: [&str; 3] = ["from", "step", "times"];

/// Values beside each other that were at the same times.
struct Table {
    /// In seconds since 1970; as many as are needed where they are even.
    times: Vec<f64>,
    even: Option<(f64, f64)>,
    columns: Vec<(String, Vec<String>)>,
}

impl Table {
    /// With the times that a line of an answer says.
    fn new(line: &[&Map<String, Value>]) -> Table {
        let said = |key: &str| line.first().and_then(|line| line.get(key));
        let times = said("times").and_then(Value::as_array);
        let times = times.map_or_else(Vec::new, |times| times.iter().filter_map(Value::as_f64).collect());
        let even = said("from").and_then(Value::as_f64).zip(said("step").and_then(Value::as_f64));
        Table { times, even, columns: Vec::new() }
    }

    fn column(&mut self, title: &str, values: &[&Value]) {
        let shown = |value: &&Value| match value {
            Value::Null => String::new(),
            Value::String(text) => printable(text),
            value => value.to_string(),
        };
        self.columns.push((printable(title), values.iter().map(shown).collect()));
    }

    fn has_any(&self) -> bool {
        self.columns.iter().any(|(_, values)| values.iter().any(|value| !value.is_empty()))
    }

    fn show(&self, to: &mut Vec<String>) {
        let steps = self.columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let widest = |(title, values): &(String, Vec<String>)| {
            values.iter().chain([title]).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().map(widest).collect();
        let mut line = |time: &str, cells: &[&str]| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:>width$}"));
            to.push(format!("{time:<24}{}", cells.collect::<String>()).trim_end().to_owned());
        };
        line("time", &self.columns.iter().map(|(title, _)| title.as_str()).collect::<Vec<_>>());
        for step in 0..steps {
            let cells = self.columns.iter().map(|(_, values)| values.get(step).map_or("", String::as_str));
            let cells: Vec<&str> = cells.collect();
            if cells.iter().all(|cell| cell.is_empty()) {
                continue;
            }
            let even = self.even.map(|(from, length)| from + length * step as f64);
            let time = even.or_else(|| self.times.get(step).copied()).unwrap_or_default();
            // To the second where it is a whole one.
            line(&rfc3339((time * 1e3).round() as i64).replace(".000Z", "Z"), &cells);
        }
    }
}

/// Keys come from anybody: what would move the cursor or colour the screen is shown, not obeyed.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn history_is_shown_as_tables_without_empty_steps() {
        let answer = json!([
            {"a": {"from": 1767571200, "step": 60, "values": [null, 12.5, null, 7]},
             "b\u{1b}": {"from": 1767571200, "step": 60, "values": [null, null, null, 100]}},
            {"q": {"times": [1767571200.25], "p50": [1], "p99": [2]}},
            {"v": {"events": [[1767571200, "one"], [1767571260, null]]}},
        ]);
        assert_eq!(
            trend(&answer),
            [
                "time                         a  b\\u{1b}",
                "2026-01-05T00:01:00Z      12.5",
                "2026-01-05T00:03:00Z         7      100",
                "",
                "time                      q p50  q p99",
                "2026-01-05T00:00:00.250Z      1      2",
                "",
                "time                        v",
                "2026-01-05T00:00:00Z      one",
                "2026-01-05T00:01:00Z        -",
            ]
        );
        assert_eq!(trend(&json!([{}])), [] as [&str; 0]);
    }
}
