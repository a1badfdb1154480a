//! What is asked of history whose numbers are in a store.
//!
//! Which nodes there are, what they do and when the daemon was there, its own file tells; the store tells which of them it has and
//! their values. What it has of a time before the file begins is told as what was imported is: a value holds for a while.

use super::answer::Named;
use super::fetch::{MINUTE_MS, TEN_MINUTES_MS, seconds};
use super::labels::{path_of, selector};
use super::past::{continue_with, cut};
use super::store::Store;
use crate::tree::encode_path;
use crate::trend::history::{DAY_MS, Found, IMPORTED, Past, Range, Snapshot, There, of_days};
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

/// Series that the names of are asked for; one more is too many.
const SERIES_MAX: usize = 200_000;

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
pub(super) struct Book<'a> {
    snapshot: &'a Snapshot<'a>,
    pub(super) store: &'a Store,
    host: &'a str,
    alone: bool,
    pub(super) ask: &'a Ask,
    /// When the daemon was there, as the file knows.
    pub(super) alive: Vec<There>,
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
pub(super) struct Page {
    /// The names of their metrics.
    pub(super) names: BTreeSet<String>,
    pub(super) paths: BTreeSet<String>,
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

    pub(super) fn selector(&self, alone: bool) -> String {
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
}

fn too_much(values: i64) -> AskError {
    AskError::TooMuch(format!(
        "it may be {values} values of the store, more than {VALUES_MAX}: ask for a longer step, a shorter time or fewer keys"
    ))
}
