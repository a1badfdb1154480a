//! Finds the series of a question, and folds them.

use super::line::{Alive, Holds, put};
use super::{Ask, Axis, Figure, Fold, Line};
use crate::tree::{Pattern, Step, encode_path, parse_plain};
use crate::trend::codec::commit::BLOCK_SERIES;
use crate::trend::history::{DAY_MS, Error, Found, IMPORTED, Past, Range, Snapshot};
use compact_str::CompactString;
use plugin_api::Action;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Series that one question may find, and values that their lines may have together: some hundreds of megabytes.
const SERIES_MAX: usize = 200_000;
const VALUES_MAX: usize = 20_000_000;

/// Series that are told commit by commit.
const RAW_SERIES_MAX: usize = 1_000;

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
        0 => ask.range,
        step => Range { from: ask.range.from.div_euclid(step) * step, to: ask.range.to },
    };
    let ask = &Ask { range, ..ask.clone() };
    let actions = snapshot.actions()?;
    let alive_at = snapshot.alive(range, ask.step_ms, ask.commit_ms)?;
    let mut found = Finding { snapshot, ask, actions: &actions, alive_at: &alive_at };
    let alone = plain == steps.len();
    let mut root = found.nodes(&keys, &steps[plain..], alone)?;
    let (mut axis, mut own) = found.lines(&root, &keys)?;
    if alone && own.is_empty() {
        // It has no values of its own: what is below counts.
        root = found.nodes(&keys, &[], false)?;
        (axis, own) = found.lines(&root, &keys)?;
    }
    let folding = Folding { ask, own: &own, actions: &actions };
    let mut lines = Vec::new();
    let mut path: Vec<CompactString> = keys.iter().map(|key| CompactString::from(*key)).collect();
    let mut shown: Vec<Step> = steps[..plain].to_vec();
    folding.lines(&root, &steps[plain..], &mut path, &mut shown, &mut lines);
    Ok((axis, lines))
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

    /// The axis, and each series on it. One block of series after another is read, so that no more than its samples are held.
    fn lines(&self, root: &Node, keys: &[&str]) -> Result<(Axis, Own), AskError> {
        let mut path: Vec<CompactString> = keys.iter().map(|key| CompactString::from(*key)).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        root.wanted(&mut path, &mut |path, id, gone| wanted.push((id, (gone, self.figure(path)))));
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
        let axis = Axis::even(ask.range, ask.step_ms);
        let mut own = Own::new();
        for wanted in wanted.chunk_by(|(a, _), (b, _)| a / BLOCK_SERIES == b / BLOCK_SERIES) {
            let pasts = self.snapshot.pasts(&ids(wanted), ask.range, ask.step_ms)?;
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
    fn figure(&self, path: &[CompactString]) -> Figure {
        match self.ask.figure {
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
    own: &'a Own,
    /// The actions that nodes have of their own, by path.
    actions: &'a HashMap<String, Action>,
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
    ) {
        match steps.split_first() {
            Some((Step::Each, rest)) => {
                for (key, child) in &node.children {
                    path.push(key.clone());
                    shown.push(Step::Key(key.clone()));
                    self.lines(child, rest, path, shown, lines);
                    shown.pop();
                    path.pop();
                }
            }
            Some((Step::Key(key), rest)) if rest.contains(&Step::Each) => {
                let Some(child) = node.children.get(key) else { return };
                path.push(key.clone());
                shown.push(Step::Key(key.clone()));
                self.lines(child, rest, path, shown, lines);
                shown.pop();
                path.pop();
            }
            _ => {
                if let Some(values) = self.fold(node, steps, path) {
                    let path = Pattern::display_steps(&[&shown[..], steps].concat());
                    lines.push(Line { path, values });
                }
            }
        }
    }

    /// What the steps find below a node, as one line.
    fn fold(&self, node: &Node, steps: &[Step], path: &mut Vec<CompactString>) -> Option<Vec<f64>> {
        match steps.split_first() {
            None => self.own(node).or_else(|| self.children(node, &[], path)),
            Some((Step::Key(key), rest)) => {
                let child = node.children.get(key)?;
                path.push(key.clone());
                let found = self.fold(child, rest, path);
                path.pop();
                found
            }
            Some((Step::Fold | Step::Each, rest)) => self.children(node, rest, path),
        }
    }

    fn children(&self, node: &Node, rest: &[Step], path: &mut Vec<CompactString>) -> Option<Vec<f64>> {
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
            let found = self.fold(child, rest, path);
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

    /// The line of a node's own values, if it ever had any: of the series that it was, one after another.
    fn own(&self, node: &Node) -> Option<Vec<f64>> {
        let mut lines = node.series.iter().filter_map(|(id, _)| self.own.get(id));
        let mut values = lines.next()?.clone();
        for later in lines {
            values
                .iter_mut()
                .zip(later)
                .for_each(|(value, later)| *value = if later.is_nan() { *value } else { *later });
        }
        Some(values)
    }
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
