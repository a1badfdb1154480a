//! What is asked of history whose numbers are in a store.
//!
//! Which nodes there are, what they do and when the daemon was there, its own file tells; the store tells which of them it has and
//! their values. What it has of a time before the file begins is told as what was imported is: a value holds for a while.

use super::answer::{Found as Answer, Named, Sample};
use super::labels::{path_of, selector};
use super::send::FILL_MS;
use super::store::Store;
use crate::tree::encode_path;
use crate::trend::codec::bucket::Bucket;
use crate::trend::history::{DAY_MS, Found, IMPORTED, Past, Range, Samples, Snapshot, There, of_days};
use crate::trend::query::{self, Numbers};
use crate::trend::{Ask, AskError, Axis, Engine, Line, Own, Trend};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Numbers from here on are those of series that the file does not know.
const UNKNOWN: u64 = IMPORTED << 1;

/// How long before a range values are looked for, in milliseconds: each is told more often.
const BEFORE_MS: i64 = 600_000;

/// Values that are read one by one where longer steps would do, and values that are read at all: some hundreds of megabytes.
const SAMPLES_MAX: i64 = 1_000_000;
const VALUES_MAX: i64 = 4_000_000;

/// Values of one request, about, and times of one: what Prometheus answers.
const AT_ONCE: i64 = 500_000;
const TIMES_AT_ONCE: i64 = 10_000;

/// Series that the names of are asked for; one more is too many.
const SERIES_MAX: usize = 200_000;

const MINUTE_MS: i64 = 60_000;
const TEN_MINUTES_MS: i64 = 600_000;

/// What a store is asked of each bucket.
const OVER_TIME: [&str; 5] = ["count", "sum", "min", "max", "last"];

/// History whose numbers are in a store.
#[derive(Debug)]
pub(crate) struct Remote {
    own: Own,
    store: Arc<Store>,
    host: String,
    /// Numbers that the file has, from before there was a store, count too.
    alone: bool,
}

impl Remote {
    /// That of a host, beside the file or instead of that.
    pub(crate) fn new(file: PathBuf, store: Arc<Store>, host: String, alone: bool) -> Remote {
        Remote { own: Own::new(file), store, host, alone }
    }
}

impl Trend for Remote {
    fn ask(&self, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
        self.own.with(|snapshot| {
            // The range of the question may begin within a step.
            let from = if ask.step_ms > 0 && !ask.one {
                ask.range.from.div_euclid(ask.step_ms) * ask.step_ms
            } else {
                ask.range.from
            };
            let range = Range { from, to: ask.range.to };
            let alive = snapshot.alive(range, MINUTE_MS, ask.commit_ms)?;
            let kept = Kept { books: BTreeMap::new(), spans: BTreeMap::new() };
            let book = Book {
                snapshot,
                store: &self.store,
                host: &self.host,
                alone: self.alone,
                ask,
                alive,
                kept: RefCell::new(kept),
            };
            query::ask_of(snapshot, &book, ask)
        })
    }

    fn of(&self, engine: Engine) -> Option<&dyn Trend> {
        (engine == Engine::Store).then_some(self)
    }
}

/// The file and the store, for one question.
struct Book<'a> {
    snapshot: &'a Snapshot<'a>,
    store: &'a Store,
    host: &'a str,
    alone: bool,
    ask: &'a Ask,
    /// When the daemon was there, as the file knows.
    alive: Vec<There>,
    kept: RefCell<Kept>,
}

/// What has been asked already.
struct Kept {
    /// What the store has at the path alone, or below it too.
    books: BTreeMap<bool, Page>,
    /// By their numbers, which times of a path belong to which series.
    spans: BTreeMap<u64, Span>,
}

/// Series of a store.
#[derive(Default)]
struct Page {
    /// The names of their metrics.
    names: BTreeSet<String>,
    paths: BTreeSet<String>,
    /// What they were, by the step for which that was asked.
    pasts: BTreeMap<i64, BTreeMap<String, Past>>,
}

/// A stretch of a path's time.
#[derive(Clone, Debug)]
struct Span {
    path: String,
    alone: bool,
    from: i64,
    to: i64,
}

impl Numbers for Book<'_> {
    fn find(&self, path: &str, below: bool, from_ms: i64, each: &mut dyn FnMut(Found) -> bool) -> Result<(), AskError> {
        let alone = !below;
        let mut all: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        let mut many = 0;
        self.snapshot.find(path, below, from_ms, |found| {
            all.entry(found.path.clone()).or_default().push(found);
            many += 1;
            many <= SERIES_MAX
        })?;
        let page = if self.is_of_numbers(alone, &all)? { self.list(alone)? } else { Page::default() };
        let begins = self.alive.first().map_or(i64::MAX, |there| there.at);
        let prefix = format!("{path},");
        let is_in = |other: &String| path.is_empty() || other == path || below && other.starts_with(&prefix);
        let mut kept = self.kept.borrow_mut();
        for (at, path) in page.paths.iter().filter(|path| is_in(path)).enumerate() {
            let known = all.entry(path.clone()).or_default();
            let mut from = i64::MIN;
            let is_known = known.iter().any(|found| found.id < IMPORTED);
            if !is_known || begins > self.ask.range.from - BEFORE_MS {
                // What is from before the file knows of it.
                from = if is_known { begins } else { i64::MAX };
                let id = UNKNOWN + at as u64 * 2 + u64::from(alone);
                kept.spans.insert(id, Span { path: path.clone(), alone, from: self.ask.range.from, to: from });
                known.insert(0, Found { id, path: path.clone(), gone_ms: None, action: None, is_total: None });
            }
            for found in known.iter().filter(|found| found.id < IMPORTED) {
                let to = found.gone_ms.unwrap_or(i64::MAX);
                kept.spans.insert(found.id, Span { path: path.clone(), alone, from, to });
                from = to;
            }
        }
        kept.books.insert(alone, page);
        drop(kept);
        for found in all.into_values().flatten() {
            if !each(found) {
                break;
            }
        }
        Ok(())
    }

    fn pasts(&self, series: &[u64], range: Range, step_ms: i64) -> Result<BTreeMap<u64, Past>, AskError> {
        let least = if self.alone { 0 } else { IMPORTED };
        let own: Vec<u64> = series.iter().copied().filter(|id| (least..UNKNOWN).contains(id)).collect();
        let mut all = self.snapshot.pasts(&own, range, step_ms)?;
        let mut kept = self.kept.borrow_mut();
        let Kept { books, spans } = &mut *kept;
        for id in series {
            let Some(span) = spans.get(id) else { continue };
            let Some(page) = books.get_mut(&span.alone) else { continue };
            if !page.pasts.contains_key(&step_ms) {
                let pasts = self.fetch(page, span.alone, range, step_ms)?;
                page.pasts.insert(step_ms, pasts);
            }
            let Some(past) = page.pasts.get(&step_ms).and_then(|pasts| pasts.get(&span.path)) else { continue };
            let of_time = cut(past, span.from, span.to);
            match all.get_mut(id).filter(|past| !past.is_empty()) {
                Some(own) => continue_with(own, &of_time),
                None => drop(all.insert(*id, of_time)),
            }
        }
        Ok(all)
    }
}

impl Book<'_> {
    /// Where the values that a question needs lie: from before it to the end of what there is.
    fn reach(&self, range: Range) -> Range {
        let newest = self.alive.last().map_or(i64::MAX, |there| there.until);
        Range { from: range.from - BEFORE_MS, to: range.to.min(newest).max(range.from) }
    }

    /// Whether a store has any of what is asked: it has neither sketches nor texts.
    fn is_of_numbers(&self, alone: bool, own: &BTreeMap<String, Vec<Found>>) -> Result<bool, AskError> {
        if self.ask.figures.iter().all(|figure| figure.is_of_sketches()) {
            return Ok(false);
        }
        let mut ids: Vec<u64> = own.values().flatten().map(|found| found.id).collect();
        ids.sort_unstable();
        if !alone || ids.is_empty() {
            return Ok(true);
        }
        let (sketches, texts) = (self.snapshot.sketched(&ids)?, self.snapshot.with_events(&ids)?);
        Ok(ids.iter().any(|id| !sketches.contains(id) && !texts.contains(id)))
    }

    fn selector(&self, alone: bool) -> String {
        selector(self.ask.pattern.steps(), self.host, alone)
    }

    /// The series that the store has.
    fn list(&self, alone: bool) -> Result<Page, AskError> {
        let reach = self.reach(self.ask.range);
        let (from, to) = (seconds(reach.from), seconds(reach.to));
        let limit = (SERIES_MAX + 1).to_string();
        let arguments = [("match[]", &*self.selector(alone)), ("start", &*from), ("end", &*to), ("limit", &*limit)];
        let mut body = Vec::new();
        let found: Vec<Named> = self.store.ask("series", &arguments, &mut body).map_err(AskError::Elsewhere)?;
        if found.len() > SERIES_MAX {
            return Err(AskError::TooMuch(format!("it finds more than {SERIES_MAX} series: name more of their keys")));
        }
        let mut page = Page::default();
        for Named(labels) in found {
            let Some((path, false)) = path_of(&labels) else { continue };
            page.paths.insert(encode_path(path.iter().map(String::as_str)));
            page.names.extend(labels.into_iter().find(|(name, _)| name == "__name__").map(|(_, name)| name));
        }
        Ok(page)
    }

    /// What the series of a page were.
    fn fetch(&self, page: &Page, alone: bool, range: Range, step_ms: i64) -> Result<BTreeMap<String, Past>, AskError> {
        let reach = self.reach(range);
        let mut all = BTreeMap::new();
        if page.paths.is_empty() {
            return Ok(all);
        }
        let series = page.paths.len() as i64;
        let values = |every: i64| ((reach.to - reach.from) / every.max(1) + 1).saturating_mul(series);
        let raw = values(self.ask.commit_ms);
        if raw <= if step_ms < MINUTE_MS { VALUES_MAX } else { SAMPLES_MAX } {
            self.samples(page, alone, reach, &mut all)?;
            return Ok(all);
        }
        let length = match step_ms {
            step if of_days(step) => DAY_MS,
            step if step >= TEN_MINUTES_MS || self.ask.one && values(MINUTE_MS) > VALUES_MAX => TEN_MINUTES_MS,
            MINUTE_MS.. => MINUTE_MS,
            _ => return Err(too_much(raw)),
        };
        if values(length) > VALUES_MAX {
            return Err(too_much(values(length)));
        }
        // What is new comes as it is: a store may be behind with what it sums up.
        let whole = if length == DAY_MS { reach.to } else { reach.to - TEN_MINUTES_MS };
        let tail = whole.div_euclid(length) * length;
        let begin = reach.from.div_euclid(length) * length;
        self.buckets(page, alone, Range { from: begin, to: tail }, length, &mut all)?;
        let rest = Range { from: tail, to: reach.to };
        if length == DAY_MS {
            self.lasts(alone, rest, &mut all)?;
        } else {
            self.samples(page, alone, rest, &mut all)?;
        }
        Ok(all)
    }

    /// Adds values as they were told.
    fn samples(
        &self,
        page: &Page,
        alone: bool,
        range: Range,
        all: &mut BTreeMap<String, Past>,
    ) -> Result<(), AskError> {
        let selector = self.selector(alone);
        let series = page.paths.len() as i64;
        let length = (AT_ONCE / series.max(1)).max(1).saturating_mul(self.ask.commit_ms.max(1)).max(MINUTE_MS);
        let mut from = range.from;
        while from < range.to {
            let to = from.saturating_add(length).min(range.to);
            let query = format!("{selector}[{}ms]", to - from);
            let time = seconds(to - 1);
            let mut body = Vec::new();
            let answer: Answer = self
                .store
                .ask("query", &[("query", &query), ("time", &time), ("nocache", "1")], &mut body)
                .map_err(AskError::Elsewhere)?;
            for series in answer.result {
                let Some((path, false)) = path_of(&series.metric.0) else { continue };
                let past = all.entry(encode_path(path.iter().map(String::as_str))).or_default();
                for Sample(time, value) in series.values {
                    if value.is_finite() && (from..to).contains(&time) {
                        past.samples.0.push(time);
                        past.samples.1.push(value);
                    }
                }
            }
            from = to;
        }
        for past in all.values_mut() {
            past.samples = changes(std::mem::take(&mut past.samples));
        }
        Ok(())
    }

    /// Adds what values came to in each of some stretches of time.
    fn buckets(
        &self,
        page: &Page,
        alone: bool,
        range: Range,
        length: i64,
        all: &mut BTreeMap<String, Past>,
    ) -> Result<(), AskError> {
        let series = page.paths.len() as i64;
        let times = (AT_ONCE / series.max(1)).clamp(1, TIMES_AT_ONCE);
        let plain = self.selector(alone);
        for name in &page.names {
            // These have no name in the answer.
            let named = format!("{},__name__=\"{name}\"}}", plain.trim_end_matches('}'));
            let mut from = range.from;
            while from < range.to {
                let to = from.saturating_add(times.saturating_mul(length)).min(range.to);
                let mut found: BTreeMap<String, BTreeMap<i64, Bucket>> = BTreeMap::new();
                for over in OVER_TIME {
                    let part = Range { from, to };
                    let query = format!("{over}_over_time({named}[{length}ms])");
                    self.each(&query, part, length, Some(name), |path, start, value| {
                        let empty = Bucket { count: 0, sum: 0.0, min: 0.0, max: 0.0, last: 0.0 };
                        let bucket = found.entry(path.to_owned()).or_default().entry(start).or_insert(empty);
                        match over {
                            "count" => bucket.count = value.max(0.0) as u64,
                            "sum" => bucket.sum = value,
                            "min" => bucket.min = value,
                            "max" => bucket.max = value,
                            _ => bucket.last = value,
                        }
                    })?;
                }
                for (path, buckets) in found {
                    let past = all.entry(path).or_default();
                    if length == MINUTE_MS {
                        past.minutes_from = i64::MIN;
                    }
                    for (start, bucket) in buckets {
                        if bucket.count > 0 && past.buckets.0.last().is_none_or(|last| *last < start) {
                            past.buckets.0.push(start);
                            past.buckets.1.push(bucket);
                        }
                    }
                }
                from = to;
            }
        }
        Ok(())
    }

    /// Adds the last value of each ten minutes, as if they were all.
    fn lasts(&self, alone: bool, range: Range, all: &mut BTreeMap<String, Past>) -> Result<(), AskError> {
        let query = format!("last_over_time({}[{TEN_MINUTES_MS}ms])", self.selector(alone));
        let newest = self.alive.last().map_or(i64::MAX, |there| there.known);
        let to = (range.to.saturating_add(TEN_MINUTES_MS - 1)).div_euclid(TEN_MINUTES_MS) * TEN_MINUTES_MS;
        self.each(&query, Range { from: range.from, to }, TEN_MINUTES_MS, None, |path, start, value| {
            let past = all.entry(path.to_owned()).or_default();
            let time = (start + TEN_MINUTES_MS - self.ask.commit_ms.min(TEN_MINUTES_MS)).min(newest.max(start));
            if past.samples.0.last().is_none_or(|last| *last < time) {
                past.samples.0.push(time);
                past.samples.1.push(value);
            }
        })
    }

    /// Asks for a value for each of some stretches of time, which begin at whole multiples of their length.
    fn each(
        &self,
        query: &str,
        range: Range,
        length: i64,
        name: Option<&str>,
        mut each: impl FnMut(&str, i64, f64),
    ) -> Result<(), AskError> {
        if range.from >= range.to {
            return Ok(());
        }
        // The last moment of each: whether a store counts the first or not, there is nothing at the moment before it.
        let (start, end) = (seconds(range.from + length - 1), seconds(range.to - 1));
        let step = seconds(length);
        let arguments = [("query", query), ("start", &start), ("end", &end), ("step", &step), ("nocache", "1")];
        let mut body = Vec::new();
        let answer: Answer = self.store.ask("query_range", &arguments, &mut body).map_err(AskError::Elsewhere)?;
        for series in answer.result {
            let mut labels = series.metric.0;
            if let Some(name) = name {
                labels.retain(|(label, _)| label != "__name__");
                labels.push(("__name__".to_owned(), name.to_owned()));
            }
            let Some((path, false)) = path_of(&labels) else { continue };
            let path = encode_path(path.iter().map(String::as_str));
            for Sample(time, value) in series.values {
                let start = time + 1 - length;
                if value.is_finite() && (range.from..range.to).contains(&start) {
                    each(&path, start, value);
                }
            }
        }
        Ok(())
    }
}

fn too_much(values: i64) -> AskError {
    AskError::TooMuch(format!(
        "it may be {values} values of the store, more than {VALUES_MAX}: ask for a longer step, a shorter time or fewer keys"
    ))
}

/// Milliseconds as seconds.
fn seconds(ms: i64) -> String {
    format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000)
}

/// Values as they changed: ascending by their times, and without those that only say that one still holds.
fn changes(samples: Samples) -> Samples {
    let mut all: Vec<(i64, f64)> = samples.0.into_iter().zip(samples.1).collect();
    all.sort_by_key(|(time, _)| *time);
    all.dedup_by_key(|(time, _)| *time);
    let mut kept: Samples = Default::default();
    for (time, value) in all {
        let is_fill = time.rem_euclid(1_000) == FILL_MS;
        if is_fill && kept.1.last().is_some_and(|last| last.to_bits() == value.to_bits()) {
            continue;
        }
        kept.0.push(time);
        kept.1.push(value);
    }
    kept
}

/// What of it lies in a stretch of time.
fn cut(past: &Past, from: i64, to: i64) -> Past {
    let within = |times: &[i64]| times.partition_point(|time| *time < from)..times.partition_point(|time| *time < to);
    let buckets = within(&past.buckets.0);
    let samples = within(&past.samples.0);
    Past {
        buckets: (past.buckets.0[buckets.clone()].to_vec(), past.buckets.1[buckets].to_vec()),
        samples: (past.samples.0[samples.clone()].to_vec(), past.samples.1[samples].to_vec()),
        minutes_from: past.minutes_from,
    }
}

/// What the file has of a series goes on with what the store has of it.
fn continue_with(own: &mut Past, later: &Past) {
    let end_of_buckets = own.buckets.0.last().map(|start| start + own.bucket_ms(*start, false));
    let from = own.samples.0.last().map(|last| last + 1).max(end_of_buckets).unwrap_or(i64::MIN);
    let later = cut(later, from, i64::MAX);
    if own.samples.0.is_empty() {
        own.buckets.0.extend(&later.buckets.0);
        own.buckets.1.extend(&later.buckets.1);
    } else {
        own.samples.0.extend(&later.buckets.0);
        own.samples.1.extend(later.buckets.1.iter().map(|bucket| bucket.last));
    }
    own.samples.0.extend(&later.samples.0);
    own.samples.1.extend(&later.samples.1);
}
