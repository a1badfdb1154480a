//! Finds the series of a question, and folds them.

use super::events::{EVENT_BYTES_MAX, EVENTS_MAX, Events};
use super::line::{Alive, Holds, put};
use super::sketches::{Member, Merging};
use super::{Ask, Axis, Figure, Fold, Line, Told};
use crate::tree::{Pattern, Step, encode_path, parse_plain};
use crate::trend::codec::commit::BLOCK_SERIES;
use crate::trend::history::{DAY_MS, Error, Found, IMPORTED, Past, Range, Snapshot};
use compact_str::CompactString;
use plugin_api::Action;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Series that one question may find, and values that their lines may have together: some hundreds of megabytes.
const SERIES_MAX: usize = 200_000;
const VALUES_MAX: usize = 20_000_000;

/// Series that are told commit by commit.
const RAW_SERIES_MAX: usize = 1_000;

/// Sketches that one question may merge: each is looked for by itself.
const SKETCHES_MAX: usize = 10_000;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// It would take too much.
    TooMuch(String),
    /// History cannot be read.
    Failed(Error),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::TooMuch(why) => f.write_str(why),
            AskError::Failed(error) => error.fmt(f),
        }
    }
}

impl From<Error> for AskError {
    fn from(error: Error) -> AskError {
        AskError::Failed(error)
    }
}

/// A node that has or had series at it or below it.
#[derive(Debug, Default)]
struct Node {
    /// In the order in which they were, and until when.
    series: Vec<(u64, Option<i64>)>,
    children: BTreeMap<CompactString, Node>,
}

/// Lines for what a question asks, in the order of their paths, and their axis.
///
/// # Errors
/// It asks for too much, or history cannot be read.
pub(crate) fn ask(snapshot: &Snapshot<'_>, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
    let steps = ask.pattern.steps();
    let plain = steps.iter().take_while(|step| matches!(step, Step::Key(_))).count();
    let keys: Vec<&str> = steps[..plain].iter().filter_map(Step::key).collect();
    // Steps begin before the range does, if it begins within one.
    let range = match ask.step_ms {
        _ if ask.one => ask.range,
        0 => ask.range,
        step => Range { from: ask.range.from.div_euclid(step) * step, to: ask.range.to },
    };
    // What happened has no steps.
    let asked = ask.range;
    let ask = &Ask { range, ..ask.clone() };
    let actions = snapshot.actions()?;
    let alive_at = snapshot.alive(range, ask.finest_ms(), ask.commit_ms)?;
    let mut found = Finding { snapshot, ask, actions: &actions, alive_at: &alive_at };
    let alone = plain == steps.len();
    let mut root = found.nodes(&keys, &steps[plain..], alone)?;
    let (mut axis, mut owns) = found.all_lines(&root, &keys)?;
    let mut others = found.others(&root)?;
    if alone && owns.iter().all(Own::is_empty) && others.is_empty() {
        // It has no values of its own: what is below counts.
        root = found.nodes(&keys, &[], false)?;
        (axis, owns) = found.all_lines(&root, &keys)?;
        others = found.others(&root)?;
    }
    let alive = alive(&axis, &alive_at);
    let folding = Folding {
        ask,
        owns: &owns,
        actions: &actions,
        others: &others,
        asked,
        merging: Merging {
            snapshot,
            axis: &axis,
            range,
            figures: &ask.figures,
            alive: &alive,
            newest: alive_at.last().map_or(i64::MIN / 2, |(time, _)| *time),
            commit_ms: ask.commit_ms,
        },
    };
    let mut lines = Vec::new();
    let mut path: Vec<CompactString> = keys.iter().map(|key| CompactString::from(*key)).collect();
    let mut shown: Vec<Step> = steps[..plain].to_vec();
    folding.lines(&root, &steps[plain..], &mut path, &mut shown, &mut lines)?;
    Ok((axis, lines))
}

impl Ask {
    /// The step by which numbers are looked for: whole days have figures of their own only where steps begin with days.
    fn finest_ms(&self) -> i64 {
        let even = self.range.from.rem_euclid(DAY_MS) == 0 && self.range.to.rem_euclid(DAY_MS) == 0;
        if self.one && !even { 60_000 } else { self.step_ms }
    }
}

/// Looks for the series of a question, and brings them onto an axis.
struct Finding<'a> {
    snapshot: &'a Snapshot<'a>,
    ask: &'a Ask,
    actions: &'a HashMap<String, Action>,
    alive_at: &'a [(i64, i64)],
}

/// The lines of series that have any value, by their numbers.
type Own = HashMap<u64, Vec<f64>>;

/// Series that are no numbers, or were none at some time.
#[derive(Debug, Default)]
struct Others {
    sketches: HashSet<u64>,
    events: HashSet<u64>,
}

impl Others {
    fn is_empty(&self) -> bool {
        self.sketches.is_empty() && self.events.is_empty()
    }
}

/// A series, until when it was, and what is told of it.
type Wanted = (u64, (Option<i64>, Figure));

impl Finding<'_> {
    /// Everything at a path, and below it unless it is for itself alone, that a question may need.
    fn nodes(&mut self, keys: &[&str], rest: &[Step], alone: bool) -> Result<Node, AskError> {
        let mut root = Node::default();
        let (mut found, mut many) = (0_usize, false);
        let begins = self.ask.range.from.div_euclid(DAY_MS) * DAY_MS;
        let each = |Found { id, path, gone_ms }: Found| {
            let Ok(path) = parse_plain(&path) else { return true };
            let below = &path[keys.len().min(path.len())..];
            let fits = rest.iter().zip(below).all(|(step, key)| step.key().is_none_or(|wanted| wanted == key));
            if !fits || below.len() < rest.len() {
                return true;
            }
            found += 1;
            many = found > SERIES_MAX;
            let node = below.iter().fold(&mut root, |node, key| node.children.entry(key.clone()).or_default());
            node.series.push((id, gone_ms));
            !many
        };
        self.snapshot.find(&encode_path(keys.iter().copied()), !alone, begins, each)?;
        if many {
            return Err(AskError::TooMuch(format!("it finds more than {SERIES_MAX} series: name more of their keys")));
        }
        Ok(root)
    }

    /// The axis, and the lines of each figure.
    fn all_lines(&self, root: &Node, keys: &[&str]) -> Result<(Axis, Vec<Own>), AskError> {
        let (mut axis, mut owns) = (Axis::Times(Vec::new()), Vec::new());
        let asked = &self.ask.figures;
        for figure in asked {
            // Numbers have none of it: no series are wanted, but the axis is.
            let none = Node::default();
            let root = if figure.is_of_sketches() { &none } else { root };
            let (on, own) = self.lines(root, keys, *figure)?;
            axis = if owns.is_empty() || axis.len() < on.len() { on } else { axis };
            owns.push(own);
        }
        Ok((axis, owns))
    }

    /// The series that are no numbers.
    fn others(&self, root: &Node) -> Result<Others, AskError> {
        let mut ids = Vec::new();
        root.wanted(&mut Vec::new(), &mut |_, id, _| ids.push(id));
        ids.sort_unstable();
        let sketches: HashSet<u64> = self.snapshot.sketched(&ids)?.into_iter().collect();
        if sketches.len() > SKETCHES_MAX {
            return Err(AskError::TooMuch(format!(
                "it finds more than {SKETCHES_MAX} sketches: name more of their keys"
            )));
        }
        // What happened has no other figure.
        let tells = self.ask.figures.iter().all(|figure| matches!(figure, Figure::Value | Figure::Last));
        let events = if tells { self.snapshot.with_events(&ids)?.into_iter().collect() } else { HashSet::new() };
        Ok(Others { sketches, events })
    }

    /// The axis, and each series on it. One block of series after another is read, so that no more than its samples are held.
    fn lines(&self, root: &Node, keys: &[&str], figure: Figure) -> Result<(Axis, Own), AskError> {
        let mut path: Vec<CompactString> = keys.iter().map(|key| CompactString::from(*key)).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        root.wanted(&mut path, &mut |path, id, gone| wanted.push((id, (gone, self.figure(path, figure)))));
        wanted.sort_unstable_by_key(|(id, _)| *id);
        let ask = self.ask;
        let ids = |wanted: &[Wanted]| wanted.iter().map(|(id, _)| *id).collect::<Vec<u64>>();
        if ask.step_ms == 0 {
            if wanted.len() > RAW_SERIES_MAX {
                return Err(AskError::TooMuch(format!(
                    "{} series are more than {RAW_SERIES_MAX} at step=raw: ask for a step, or name more keys",
                    wanted.len()
                )));
            }
            let pasts = self.snapshot.pasts(&ids(&wanted), ask.range, 0)?;
            let axis = Axis::Times(times(&pasts, self.alive_at, ask));
            let mut own = Own::new();
            self.put(&axis, &wanted, &pasts, &mut own)?;
            return Ok((axis, own));
        }
        let axis = match ask.one {
            true => Axis::Even { from: ask.range.from, step: ask.step_ms, n: 1 },
            false => Axis::even(ask.range, ask.step_ms),
        };
        let mut own = Own::new();
        for wanted in wanted.chunk_by(|(a, _), (b, _)| a / BLOCK_SERIES == b / BLOCK_SERIES) {
            let pasts = self.snapshot.pasts(&ids(wanted), ask.range, ask.finest_ms())?;
            self.put(&axis, wanted, &pasts, &mut own)?;
        }
        Ok((axis, own))
    }

    fn put(&self, axis: &Axis, wanted: &[Wanted], pasts: &BTreeMap<u64, Past>, own: &mut Own) -> Result<(), AskError> {
        let alive =
            Alive { places: alive(axis, self.alive_at), times: self.alive_at.iter().map(|(time, _)| *time).collect() };
        for (id, (gone, figure)) in wanted {
            let Some(past) = pasts.get(id).filter(|past| !past.is_empty()) else { continue };
            if (own.len() + 1).saturating_mul(axis.len()) > VALUES_MAX {
                return Err(AskError::TooMuch(format!(
                    "its series in {} steps are more than {VALUES_MAX} values: ask for a longer step, a shorter time or \
                     fewer keys",
                    axis.len()
                )));
            }
            let holds = if *id >= IMPORTED { Holds::Imported(*gone) } else { Holds::Alive(&alive, *gone) };
            let mut values = vec![f64::NAN; axis.len()];
            put(past, axis, *figure, holds, &mut values);
            own.insert(*id, values);
        }
        Ok(())
    }

    /// What is told of a series of a node.
    fn figure(&self, path: &[CompactString], figure: Figure) -> Figure {
        match figure {
            Figure::Value => match action(self.actions, path) {
                Action::Average => Figure::Mean,
                Action::Min => Figure::Min,
                Action::Max => Figure::Max,
                _ => Figure::Last,
            },
            figure => figure,
        }
    }
}

impl Node {
    fn wanted(&self, path: &mut Vec<CompactString>, each: &mut impl FnMut(&[CompactString], u64, Option<i64>)) {
        for (id, gone) in &self.series {
            each(path, *id, *gone);
        }
        for (key, child) in &self.children {
            path.push(key.clone());
            child.wanted(path, each);
            path.pop();
        }
    }
}

/// All times at which anything was committed.
fn times(pasts: &BTreeMap<u64, Past>, alive: &[(i64, i64)], ask: &Ask) -> Vec<i64> {
    let mut all: Vec<i64> = alive.iter().map(|(time, _)| *time).collect();
    for times in pasts.values().flat_map(|past| [&past.buckets.0, &past.samples.0]) {
        if all.is_empty() {
            all.clone_from(times);
        } else if all != *times && times.iter().any(|time| all.binary_search(time).is_err()) {
            all.extend(times);
            all.sort_unstable();
            all.dedup();
        }
    }
    all.retain(|time| (ask.range.from..ask.range.to).contains(time));
    all
}

/// Whether the daemon was there, for each step: it was for some time since each of some moments.
fn alive(axis: &Axis, alive: &[(i64, i64)]) -> Vec<bool> {
    let mut rest = alive.iter().peekable();
    let mut until = i64::MIN;
    let there = |place: usize| {
        let end = if place + 1 < axis.len() { axis.at(place + 1) } else { i64::MAX };
        let begin = axis.at(place);
        let before = until > begin;
        let mut there = before;
        while let Some((time, long)) = rest.next_if(|(time, _)| *time < end) {
            until = until.max(time + long);
            there |= *time >= begin || time + long > begin;
        }
        there
    };
    (0..axis.len()).map(there).collect()
}

struct Folding<'a> {
    ask: &'a Ask,
    /// For each figure.
    owns: &'a [Own],
    /// The actions that nodes have of their own, by path.
    actions: &'a HashMap<String, Action>,
    others: &'a Others,
    /// As it was asked for; that of the steps may begin earlier.
    asked: Range,
    merging: Merging<'a>,
}

impl Folding<'_> {
    /// Adds a line for each node that the steps find.
    fn lines(
        &self,
        node: &Node,
        steps: &[Step],
        path: &mut Vec<CompactString>,
        shown: &mut Vec<Step>,
        lines: &mut Vec<Line>,
    ) -> Result<(), AskError> {
        match steps.split_first() {
            Some((Step::Each, rest)) => {
                for (key, child) in &node.children {
                    path.push(key.clone());
                    shown.push(Step::Key(key.clone()));
                    self.lines(child, rest, path, shown, lines)?;
                    shown.pop();
                    path.pop();
                }
            }
            Some((Step::Key(key), rest)) if rest.contains(&Step::Each) => {
                let Some(child) = node.children.get(key) else { return Ok(()) };
                path.push(key.clone());
                shown.push(Step::Key(key.clone()));
                self.lines(child, rest, path, shown, lines)?;
                shown.pop();
                path.pop();
            }
            _ => {
                if let Some(told) = self.told(node, steps, path)? {
                    let path = Pattern::display_steps(&[&shown[..], steps].concat());
                    lines.push(Line { path, told });
                    if lines.len().saturating_mul(self.merging.axis.len()) > VALUES_MAX {
                        return Err(AskError::TooMuch(format!(
                            "its lines have more than {VALUES_MAX} values: ask for a longer step, a shorter time or fewer keys"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is told of what the steps find below a node: figures of numbers, or else of sketches, or else events. Figures that
    /// only sketches have are told of these.
    fn told(&self, node: &Node, steps: &[Step], path: &mut Vec<CompactString>) -> Result<Option<Told>, AskError> {
        if self.ask.figures.iter().any(|figure| figure.is_of_sketches())
            && let Some(told) = self.merged(node, steps)?
        {
            return Ok(Some(told));
        }
        let n = self.merging.axis.len();
        let figures: Vec<Option<Vec<f64>>> =
            self.owns.iter().map(|own| if own.is_empty() { None } else { self.fold(own, node, steps, path) }).collect();
        if figures.iter().any(Option::is_some) {
            let none = || vec![f64::NAN; n];
            return Ok(Some(Told::Figures(figures.into_iter().map(|line| line.unwrap_or_else(none)).collect())));
        }
        if let Some(told) = self.merged(node, steps)? {
            return Ok(Some(told));
        }
        let mut members = Vec::new();
        self.gather(node, steps, &self.others.events, &mut members);
        let mut events = Events::default();
        for member in &members {
            if !events.add(self.merging.snapshot, member, self.asked)? {
                return Err(AskError::TooMuch(format!(
                    "there are more than {EVENTS_MAX} events, or {EVENT_BYTES_MAX} bytes of them: ask for a shorter time"
                )));
            }
        }
        // Of several nodes, one that went says nothing of the others.
        let of_one =
            members.first().is_some_and(|first| steps.is_empty() && node.series.iter().any(|(id, _)| *id == first.id));
        Ok(events.finish(of_one))
    }

    fn merged(&self, node: &Node, steps: &[Step]) -> Result<Option<Told>, AskError> {
        let mut members = Vec::new();
        self.gather(node, steps, &self.others.sketches, &mut members);
        if members.is_empty() {
            return Ok(None);
        }
        Ok(self.merging.lines(&members)?.map(Told::Figures))
    }

    /// The series of a kind that the steps find below a node; below what they find, where that has no values of its own.
    fn gather(&self, node: &Node, steps: &[Step], of: &HashSet<u64>, into: &mut Vec<Member>) {
        if of.is_empty() {
            return;
        }
        let rest = match steps.split_first() {
            None => {
                let own = node.series.iter().filter(|(id, _)| of.contains(id));
                let before = into.len();
                into.extend(own.map(|(id, gone)| Member { id: *id, gone: *gone, imported: *id >= IMPORTED }));
                if into.len() > before
                    || node.series.iter().any(|(id, _)| self.owns.iter().any(|own| own.contains_key(id)))
                {
                    return;
                }
                &[]
            }
            Some((Step::Key(key), rest)) => {
                if let Some(child) = node.children.get(key) {
                    self.gather(child, rest, of, into);
                }
                return;
            }
            Some((Step::Fold | Step::Each, rest)) => rest,
        };
        for child in node.children.values() {
            self.gather(child, rest, of, into);
        }
    }

    /// What the steps find below a node, as one line.
    fn fold(&self, own: &Own, node: &Node, steps: &[Step], path: &mut Vec<CompactString>) -> Option<Vec<f64>> {
        match steps.split_first() {
            None => line_of(own, node).or_else(|| self.children(own, node, &[], path)),
            Some((Step::Key(key), rest)) => {
                let child = node.children.get(key)?;
                path.push(key.clone());
                let found = self.fold(own, child, rest, path);
                path.pop();
                found
            }
            Some((Step::Fold | Step::Each, rest)) => self.children(own, node, rest, path),
        }
    }

    fn children(&self, own: &Own, node: &Node, rest: &[Step], path: &mut Vec<CompactString>) -> Option<Vec<f64>> {
        let fold = self.ask.fold.unwrap_or_else(|| match action(self.actions, path) {
            Action::Average => Fold::Mean,
            Action::Min => Fold::Min,
            Action::Max => Fold::Max,
            Action::Last => Fold::Last,
            Action::Add | Action::Top { .. } | Action::Quantiles | Action::Distinct => Fold::Sum,
        });
        let mut sum: Option<Vec<f64>> = None;
        let mut counts: Vec<u32> = Vec::new();
        for (key, child) in &node.children {
            path.push(key.clone());
            let found = self.fold(own, child, rest, path);
            path.pop();
            let Some(values) = found else { continue };
            if fold == Fold::Mean {
                counts.resize(values.len(), 0);
                counts.iter_mut().zip(&values).for_each(|(count, value)| *count += u32::from(!value.is_nan()));
            }
            match &mut sum {
                None => sum = Some(values),
                Some(sum) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum = folded(fold, *sum, value)),
            }
        }
        let mut sum = sum?;
        if fold == Fold::Mean {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum /= f64::from(count));
        }
        Some(sum)
    }
}

/// The line of a node's own values, if it ever had any: of the series that it was, one after another.
fn line_of(own: &Own, node: &Node) -> Option<Vec<f64>> {
    let mut lines = node.series.iter().filter_map(|(id, _)| own.get(id));
    let mut values = lines.next()?.clone();
    for later in lines {
        values.iter_mut().zip(later).for_each(|(value, later)| *value = if later.is_nan() { *value } else { *later });
    }
    Some(values)
}

/// The action of a node: its own, or that of the nearest above.
fn action(actions: &HashMap<String, Action>, path: &[CompactString]) -> Action {
    let of = |n: usize| actions.get(&encode_path(path[..n].iter().map(CompactString::as_str))).copied();
    (0..=path.len()).rev().find_map(of).unwrap_or(Action::Add)
}

fn folded(fold: Fold, a: f64, b: f64) -> f64 {
    match fold {
        // What is there counts.
        _ if a.is_nan() => b,
        _ if b.is_nan() => a,
        Fold::Sum | Fold::Mean => a + b,
        Fold::Min => a.min(b),
        Fold::Max => a.max(b),
        Fold::Last => b,
    }
}
