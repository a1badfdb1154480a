//! What a log came to, for a person: figures and tables of what the usual pipes fold, as far as they are there.

use super::reader::Told;
use crate::cli::show::printable;
use crate::http::rfc3339;
use crate::tree::{NodeRef, Reading, Tree, Want};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of a table of the heaviest.
const ROWS: usize = 10;

/// Characters of a key.
const KEY_CHARS: usize = 90;

/// Writes the summary of what was read and of the tree that came of it.
pub(super) fn summary(tree: &Tree, files: usize, told: &Told) -> String {
    let mut out = String::new();
    let root = tree.root();
    figures(&mut out, root, files, told);
    if let Some(status) = root.child("status") {
        table(&mut out, "Requests by status", &classes(status), usize::MAX);
    }
    for (branch, title) in [
        ("url", "URLs"),
        ("error", "Errors by status"),
        ("br", "Browsers and other agents"),
        ("os", "Systems"),
        ("geo", "Countries"),
    ] {
        if let Some(node) = root.child(branch) {
            let rows = node.children().filter_map(|child| Some((child.key().to_owned(), number(child)?))).collect();
            table(&mut out, title, &sorted(rows), ROWS);
        }
    }
    for (branch, title) in [("request_time", "Request time"), ("upstream_time", "Upstream time")] {
        if let Some(node) = root.child(branch) {
            times(&mut out, title, node);
        }
    }
    out
}

fn figures(out: &mut String, root: NodeRef<'_>, files: usize, told: &Told) {
    let mut rows = vec![("lines", grouped(told.lines))];
    if files != 1 {
        rows.push(("files", grouped(files as u64)));
    }
    rows.push(("bytes", grouped(told.bytes)));
    let share = if told.lines > 0 && told.errors > 0 {
        format!(" ({} of the lines)", percent(told.errors as f64, told.lines as f64))
    } else {
        String::new()
    };
    rows.push(("errors", format!("{}{share}", grouped(told.errors))));
    if let Some((from, to)) = told.span.0 {
        rows.push(("from", moment(from)));
        rows.push(("to", format!("{} ({})", moment(to), lasted(to - from))));
    }
    if let Some(Reading::Distinct(sketch)) = root.child("visitors").and_then(|node| node.value(Want::Value)) {
        rows.push(("visitors", format!("about {}", grouped(sketch.total().estimate().round() as u64))));
    }
    if let Some(sent) = root.child("bytes").and_then(number) {
        rows.push(("bytes sent", grouped(sent as u64)));
    }
    for (name, figure) in rows {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{name:<12} {figure}");
    }
}

/// A row of a table: its key and its number.
type Row = (String, f64);

/// Codes of status by their first digit; what is no code stands for itself.
fn classes(status: NodeRef<'_>) -> Vec<Row> {
    let mut classes = BTreeMap::<String, f64>::new();
    for child in status.children() {
        let class = match child.key().as_bytes() {
            [first @ b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => format!("{}xx", char::from(*first)),
            _ => child.key().to_owned(),
        };
        *classes.entry(class).or_default() += number(child).unwrap_or(0.0);
    }
    classes.into_iter().collect()
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows
}

/// Writes a table, if it has any row: numbers, their share of all, keys.
fn table(out: &mut String, title: &str, rows: &[Row], most: usize) {
    if rows.is_empty() {
        return;
    }
    let all: f64 = rows.iter().map(|(_, number)| number).sum();
    let numbers: Vec<String> = rows.iter().take(most).map(|(_, number)| grouped(number.round() as u64)).collect();
    let wide = numbers.iter().map(String::len).max().unwrap_or(0).max(9);
    let _ = writeln!(out, "\n{title}");
    for (number, (key, share)) in numbers.iter().zip(rows) {
        let _ = writeln!(out, "{number:>wide$} {:>7}  {}", percent(*share, all), short(key));
    }
    if let Some(more) = rows.len().checked_sub(most).filter(|more| *more > 0) {
        let _ = writeln!(out, "{:>wide$} {:>7}  {} more", "", "", grouped(more as u64));
    }
}

/// Writes quantiles of times, of all and by what they are kept by.
fn times(out: &mut String, title: &str, node: NodeRef<'_>) {
    let mut rows = Vec::new();
    let mut row = |name: &str, node: NodeRef<'_>| {
        if let Some(Reading::Quantiles(sketch)) = node.value(Want::Value) {
            let sketch = sketch.total();
            let quantile = |q| sketch.quantile(q).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.3}"));
            rows.push([short(name), grouped(sketch.count()), quantile(0.5), quantile(0.95), quantile(0.99)]);
        }
    };
    row("all", node);
    let mut children: Vec<NodeRef<'_>> = node.children().collect();
    children.sort_by(|a, b| a.key().cmp(b.key()));
    children.into_iter().for_each(|child| row(child.key(), child));
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title} in seconds");
    let head = ["", "requests", "p50", "p95", "p99"].map(str::to_owned);
    for [name, count, p50, p95, p99] in std::iter::once(&head).chain(&rows) {
        let _ = writeln!(out, "{name:<6} {count:>13} {p50:>9} {p95:>9} {p99:>9}");
    }
}

fn number(node: NodeRef<'_>) -> Option<f64> {
    match node.value(Want::Value)? {
        Reading::Number(number) => Some(number),
        _ => None,
    }
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn percent(part: f64, all: f64) -> String {
    format!("{:.1} %", if all > 0.0 { part / all * 100.0 } else { 0.0 })
}

/// A key on one line of a screen. It may come from anybody.
fn short(key: &str) -> String {
    let shown = printable(key);
    match shown.char_indices().nth(KEY_CHARS) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None if shown.is_empty() => "\"\"".to_owned(),
        None => shown,
    }
}

/// `2015-05-17 10:05:03 UTC`
fn moment(unix_ms: i64) -> String {
    let text = rfc3339(unix_ms);
    let whole = text.split('.').next().unwrap_or_default();
    format!("{} UTC", whole.replace('T', " "))
}

/// How long something lasted, in its two largest units.
fn lasted(ms: i64) -> String {
    let s = ms / 1_000;
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_long_keys_cut() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(short(&"ä".repeat(KEY_CHARS)), "ä".repeat(KEY_CHARS));
        assert_eq!(short(&"ä".repeat(KEY_CHARS + 1)), format!("{}…", "ä".repeat(KEY_CHARS)));
        assert_eq!(short("a\x1b[2J\n"), "a\\u{1b}[2J\\n");
    }

    #[test]
    fn times_are_told_in_words() {
        assert_eq!(moment(1_431_857_103_999), "2015-05-17 10:05:03 UTC");
        let lasted = [999, 61_000, 3_600_000, 90_000_000].map(lasted);
        assert_eq!(lasted, ["0 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
    }
}
