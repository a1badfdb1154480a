//! Gives history out.

use super::text::Form;
use crate::tree::{Fed, parse_plain};
use crate::trend::history::{DAY_MS, Error, Found, Range, Reader, Snapshot};
use std::io::{self, Write};

/// Series that are read at a time.
const AT_ONCE: usize = 32;

/// Why it did not come to its end.
#[derive(Debug)]
pub(crate) enum ExportError {
    /// History cannot be read.
    Failed(Error),
    /// Nobody takes it.
    Output(io::Error),
}

impl From<Error> for ExportError {
    fn from(error: Error) -> ExportError {
        ExportError::Failed(error)
    }
}

/// Time that is read at once, in milliseconds: four units of the longest buckets but the days.
const PART_MS: i64 = 40 * DAY_MS;

/// A range in parts, as far as there is any history.
fn parts(range: Range, has: Range) -> impl Iterator<Item = Range> {
    let (from, to) = (range.from.max(has.from), range.to.min(has.to));
    let begin = from.div_euclid(PART_MS) * PART_MS;
    let parts = (begin..to.max(begin)).step_by(PART_MS as usize);
    parts.map(move |begin| Range { from: begin.max(from), to: (begin + PART_MS).min(to) })
}

/// Writes every sample of a range at and below a path, some series after others and 40 days after others: each value that was committed, and of older
/// ones the last of each minute or ten. How many there were; `each` is told of those of some more series.
///
/// # Errors
/// History cannot be read, or the output cannot be written.
pub(crate) fn export(
    reader: &Reader,
    path: &str,
    range: Range,
    form: Form,
    out: &mut impl Write,
    mut each: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let mut found = Vec::new();
    reader.snapshot()?.find(path, true, range.from, |series| {
        found.push(series);
        true
    })?;
    found.sort_unstable_by_key(|series| series.id);
    let has = reader.snapshot()?.range()?;
    let mut all = 0;
    for series in found.chunks(AT_ONCE) {
        let ids: Vec<u64> = series.iter().map(|series| series.id).collect();
        let before = all;
        for range in parts(range, has) {
            // One that lasts would keep what the daemon writes meanwhile from being taken over into the file.
            let pasts = reader.snapshot()?.pasts(&ids, range, 60_000)?;
            for Found { id, path, .. } in series {
                let Some(past) = pasts.get(id) else { continue };
                let name = name_of(form, path);
                let rolled_up = past.buckets.0.iter().copied().zip(past.buckets.1.iter().map(|bucket| bucket.last));
                let samples = past.samples.0.iter().copied().zip(past.samples.1.iter().copied());
                let mut told: Vec<(i64, f64)> =
                    rolled_up.chain(samples).filter(|(time, _)| (range.from..range.to).contains(time)).collect();
                told.sort_by_key(|(time, _)| *time);
                for (time, value) in told {
                    let written = match form {
                        Form::Csv => writeln!(out, "{name},{},{value}", Seconds(time)),
                        Form::Prometheus => writeln!(out, "{name} {value} {time}"),
                    };
                    written.map_err(ExportError::Output)?;
                    all += 1;
                }
            }
        }
        let snapshot = reader.snapshot()?;
        if snapshot.has_sketches()? {
            all += others(&snapshot, series, range, form, out)?;
        }
        each(all - before);
    }
    out.flush().map_err(ExportError::Output)?;
    Ok(all)
}

/// Writes what series that are no numbers were: the figures of sketches as series below them, and texts, which Prometheus' form
/// has none of. How many there were.
fn others(
    snapshot: &Snapshot<'_>,
    series: &[Found],
    range: Range,
    form: Form,
    out: &mut impl Write,
) -> Result<u64, ExportError> {
    let ids: Vec<u64> = series.iter().map(|series| series.id).collect();
    let (sketched, texts) = (snapshot.sketched(&ids)?, snapshot.with_events(&ids)?);
    let mut all = 0;
    for Found { id, path, .. } in series {
        if sketched.binary_search(id).is_ok()
            && let Some(span) = snapshot.fed_span(*id)?
        {
            let mut figures: Vec<(i64, &str, f64)> = Vec::new();
            let range = Range { from: range.from.max(span.from), to: range.to.min(span.to) };
            // Days of which there is nothing finer are not told, as with numbers.
            snapshot.pieces(
                *id,
                range,
                |_| false,
                |piece| {
                    each_figure(&piece.fed, |name, value| figures.push((piece.time, name, value)));
                },
            )?;
            figures.sort_by(|a, b| (a.1, a.0).cmp(&(b.1, b.0)));
            for (time, figure, value) in figures {
                let name = name_of(form, &format!("{path},{figure}"));
                let written = match form {
                    Form::Csv => writeln!(out, "{name},{},{value}", Seconds(time)),
                    Form::Prometheus => writeln!(out, "{name} {value} {time}"),
                };
                written.map_err(ExportError::Output)?;
                all += 1;
            }
        }
        if form == Form::Csv && texts.binary_search(id).is_ok() {
            let mut events = Vec::new();
            snapshot.events(*id, range, |time, text| {
                events.push((time, text.replace(['\n', '\r'], " ").replace('"', "\"\"")));
                true
            })?;
            for (time, text) in events.iter().filter(|(time, _)| *time >= range.from) {
                let name = name_of(form, path);
                writeln!(out, "{name},{},\"{text}\"", Seconds(*time)).map_err(ExportError::Output)?;
                all += 1;
            }
        }
    }
    Ok(all)
}

fn each_figure(fed: &Fed, mut each: impl FnMut(&'static str, f64)) {
    match fed {
        Fed::Quantiles(sketch) => {
            each("count", sketch.count() as f64);
            each("sum", sketch.sum());
            for (name, q) in
                [("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)]
            {
                sketch.quantile(q).into_iter().for_each(|value| each(name, value));
            }
        }
        Fed::Distinct(sketch) => each("distinct", sketch.estimate().round()),
    }
}

/// What names a series in a text.
fn name_of(form: Form, path: &str) -> String {
    match form {
        Form::Csv => format!("\"{}\"", path.replace('"', "\"\"")),
        Form::Prometheus => {
            let keys = parse_plain(path).unwrap_or_default();
            let name: String = keys.first().map_or(String::new(), |key| {
                key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' }).collect()
            });
            let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
            let label = |(n, key): (usize, &compact_str::CompactString)| {
                let value = key.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("k{n}=\"{value}\"")
            };
            let labels: Vec<String> = keys.iter().enumerate().skip(1).map(label).collect();
            if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) }
        }
    }
}

/// Milliseconds as seconds, with decimals where there are any.
struct Seconds(i64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.rem_euclid(1_000) {
            0 => write!(f, "{}", self.0 / 1_000),
            ms => write!(f, "{}.{ms:03}", self.0.div_euclid(1_000)),
        }
    }
}
