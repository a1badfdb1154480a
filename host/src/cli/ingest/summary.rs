//! What a log came to, for a person: figures and tables of what the pipes fold, wherever their branches hang.

use super::reader::Told;
use crate::cli::show::printable;
use crate::module::Branch;
use crate::tree::{Hit, Pattern, Reading, Tree, Want, encode_path};
use crate::when::rfc3339;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of a table of the heaviest.
const ROWS: usize = 10;

/// Characters of a key.
const KEY_CHARS: usize = 90;

/// How a branch is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    /// A line: how many different ones.
    Visitors,
    /// A line: a number.
    Number,
    /// A table of codes by their first digit.
    Classes,
    /// A table of the heaviest.
    Heaviest,
    /// A table of quantiles.
    Times,
    /// As what it holds has it.
    Any,
}

/// Branches by the path that their plugin declares, and what they are called, in the order in which they are shown.
const KNOWN: [(&str, &str, Show); 10] = [
    ("visitors", "visitors", Show::Visitors),
    ("bytes", "bytes sent", Show::Number),
    ("status", "Requests by status", Show::Classes),
    ("url", "URLs", Show::Heaviest),
    ("error", "Errors by status", Show::Heaviest),
    ("br", "Browsers and other agents", Show::Heaviest),
    ("os", "Systems", Show::Heaviest),
    ("geo", "Countries", Show::Heaviest),
    ("request_time", "Request time", Show::Times),
    ("upstream_time", "Upstream time", Show::Times),
];

/// A pipe's branch that is to be shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The path that its plugin declares.
    declared: String,
    /// Where it hangs; groups are folded.
    path: String,
}

impl Shown {
    /// A branch of a plugin that declares a path, or none, with so many levels of groups.
    pub(super) fn of(declared: &str, branch: &Branch, levels: usize) -> Shown {
        let path = encode_path(branch.keys.iter().map(String::as_str)) + &",".repeat(levels);
        Shown { declared: if declared.is_empty() { path.clone() } else { declared.to_owned() }, path }
    }

    /// Its place among the others, what it is called, and how it is shown.
    fn known(&self) -> (usize, String, Show) {
        match KNOWN.iter().enumerate().find(|(_, (declared, ..))| *declared == self.declared) {
            Some((at, (_, title, show))) if self.path == self.declared => (at, (*title).to_owned(), *show),
            Some((at, (_, title, show))) => (at, format!("{title} ({})", short(&self.path)), *show),
            None => (KNOWN.len(), short(&self.path), Show::Any),
        }
    }
}

/// What a branch holds: what it is worth, and its keys.
struct Found<'t> {
    worth: Option<Reading<'t>>,
    below: Vec<(String, Reading<'t>)>,
}

impl<'t> Found<'t> {
    fn at(tree: &'t Tree, path: &str) -> Option<Found<'t>> {
        let (_, hit) = tree.select(&Pattern::parse(path).ok()?, Want::Value, 1).pop()?;
        Some(match hit {
            Hit::Node(node) => Found {
                worth: node.value(Want::Value),
                below: node
                    .children()
                    .filter_map(|child| Some((child.key().to_owned(), child.value(Want::Value)?)))
                    .collect(),
            },
            Hit::Folded(fold) => Found {
                worth: fold.value(),
                below: fold.children().filter_map(|(key, child)| Some((key.to_owned(), child.value()?))).collect(),
            },
        })
    }

    /// Its keys that have a number.
    fn rows(&self) -> Vec<Row> {
        self.below.iter().filter_map(|(key, value)| Some((key.clone(), number(value)?))).collect()
    }

    /// What it is shown as of which nothing is known but this.
    fn show(&self) -> Show {
        let quantiles = |reading: &Reading<'_>| matches!(reading, Reading::Quantiles(_));
        match &self.worth {
            Some(worth) if quantiles(worth) => Show::Times,
            _ if self.below.iter().any(|(_, value)| quantiles(value)) => Show::Times,
            Some(Reading::Distinct(_)) => Show::Visitors,
            _ if self.below.is_empty() => Show::Number,
            _ => Show::Heaviest,
        }
    }
}

/// Writes the summary of what was read and of the branches that came of it.
pub(super) fn summary(tree: &Tree, branches: &[Shown], files: usize, told: &Told) -> String {
    let known = |shown: &Shown| {
        let (place, title, show) = shown.known();
        let found = Found::at(tree, &shown.path)?;
        let show = if show == Show::Any { found.show() } else { show };
        Some((place, title, show, found))
    };
    let mut branches: Vec<_> = branches.iter().filter_map(known).collect();
    branches.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut rows = figures(files, told);
    rows.extend(branches.iter().filter_map(|(_, title, show, found)| Some((title.as_str(), figure(*show, found)?))));
    let mut out = String::new();
    for (name, figure) in rows {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{name:<12} {figure}");
    }
    for (_, title, show, found) in &branches {
        match show {
            Show::Visitors | Show::Number | Show::Any => {}
            Show::Classes => table(&mut out, title, &classes(found.rows()), usize::MAX),
            Show::Heaviest => table(&mut out, title, &sorted(found.rows()), ROWS),
            Show::Times => times(&mut out, title, found),
        }
    }
    out
}

/// What was read.
fn figures(files: usize, told: &Told) -> Vec<(&'static str, String)> {
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
    rows
}

/// What a branch is that is shown in a line.
fn figure(show: Show, found: &Found<'_>) -> Option<String> {
    match (show, found.worth.as_ref()?) {
        (Show::Visitors, Reading::Distinct(sketch)) => {
            Some(format!("about {}", grouped(sketch.total().estimate().round() as u64)))
        }
        (Show::Number, worth) => Some(grouped(number(worth)? as u64)),
        _ => None,
    }
}

/// A row of a table: its key and its number.
type Row = (String, f64);

/// Codes of status by their first digit; what is no code stands for itself.
fn classes(rows: Vec<Row>) -> Vec<Row> {
    let mut classes = BTreeMap::<String, f64>::new();
    for (key, number) in rows {
        let class = match key.as_bytes() {
            [first @ b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => format!("{}xx", char::from(*first)),
            _ => key,
        };
        *classes.entry(class).or_default() += number;
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
fn times(out: &mut String, title: &str, found: &Found<'_>) {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: &Reading<'_>| {
        if let Reading::Quantiles(sketch) = value {
            let sketch = sketch.total();
            let quantile = |q| sketch.quantile(q).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.3}"));
            rows.push([short(name), grouped(sketch.count()), quantile(0.5), quantile(0.95), quantile(0.99)]);
        }
    };
    if let Some(worth) = &found.worth {
        row("all", worth);
    }
    let mut below: Vec<_> = found.below.iter().collect();
    below.sort_by(|a, b| a.0.cmp(&b.0));
    below.into_iter().for_each(|(key, value)| row(key, value));
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title} in seconds");
    let head = ["", "requests", "p50", "p95", "p99"].map(str::to_owned);
    for [name, count, p50, p95, p99] in std::iter::once(&head).chain(&rows) {
        let _ = writeln!(out, "{name:<6} {count:>13} {p50:>9} {p95:>9} {p99:>9}");
    }
}

fn number(reading: &Reading<'_>) -> Option<f64> {
    match reading {
        Reading::Number(number) => Some(*number),
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
