//! What is printed at the end.

use super::compare::Verdict;
use super::seen::Seen;

/// How a module came out, in a few words.
pub fn outcome(seen: &Seen) -> String {
    if let Some(error) = &seen.error {
        return error.clone();
    }
    let samples = || seen.metrics.values().flat_map(|metric| &metric.samples);
    let failed = samples().filter_map(|sample| sample.error.as_ref()).next_back();
    let moving = seen.metrics.values().filter(|metric| metric.numbers().iter().any(|number| *number != 0.0)).count();
    match failed {
        Some(error) => format!("{} metrics; calls raise {error}", seen.metrics.len()),
        None => format!("{} metrics, {moving} not zero", seen.metrics.len()),
    }
}

impl Verdict {
    /// In a few words.
    pub fn text(&self) -> String {
        match self {
            Verdict::Agree(metrics) => format!("agree in {metrics} metrics"),
            Verdict::AgreeByRounds => "agree, not at once".to_owned(),
            Verdict::FailAlike => "fail alike".to_owned(),
            Verdict::Differ(differences) => format!("DIFFER in {}", differences.len()),
        }
    }
}

/// Rows in columns.
pub fn print(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        eprintln!("{}", cells.join(" | ").trim_end());
    }
}
