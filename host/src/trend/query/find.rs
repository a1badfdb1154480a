//! Finds the series of a question, and folds them.

use super::events::{EVENT_BYTES_MAX, EVENTS_MAX, Events};
use super::line::{Alive, Holds, put, told_at};
use super::sketches::{Member, Merging};
use super::{Ask, Axis, Figure, Fold, Line, Told};
use crate::tree::{Pattern, Step, encode_path, parse_plain};
use crate::trend::codec::commit::BLOCK_SERIES;
use crate::trend::history::{DAY_MS, Error, Found, IMPORTED, Past, Range, Snapshot, There, of_days};
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
/// Values that are held as they were kept before they are on the axis, about: 200 MB of them.
const READ_MAX: usize = 1 << 22;

const MINUTE_MS: i64 = 60_000;

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
    /// In the order in which they were, until when, and whether one that counts began at nothing.
    series: Vec<(u64, Option<i64>, bool)>,
    /// That of its own.
    action: Option<Action>,
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
    let alive_at = snapshot.alive(range, ask.finest_ms(), ask.commit_ms)?;
    // What is below has the action of the nearest node above that has one.
    let mut action = Action::Add;
    for depth in (0..=keys.len()).rev() {
        if let Some(found) = snapshot.action(&encode_path(keys[..depth].iter().copied()))? {
            action = found;
            break;
        }
    }
    let mut found = Finding { snapshot, ask, action, alive_at: &alive_at };
    let alone = plain == steps.len();
    let mut root = found.nodes(&keys, &steps[plain..], alone)?;
    let (mut axis, mut owns) = found.all_lines(&root)?;
    let mut others = found.others(&root)?;
    if alone && found.may_lack(&axis, &owns, &others) {
        // Where it has no values of its own, what is below counts.
        let below = found.nodes(&keys, &[], false)?;
        if !below.children.is_empty() {
            root = below;
            (axis, owns) = found.all_lines(&root)?;
            others = found.others(&root)?;
        }
    }
    let folding = Folding {
        ask,
        owns: &owns,
        others: &others,
        asked,
        merging: Merging {
            snapshot,
            axis: &axis,
            range,
            figures: &ask.figures,
            alive: &Alive::on(&axis, &alive_at, Figure::Value),
            newest: alive_at.last().map_or(i64::MIN / 2, |there| there.known),
            commit_ms: ask.commit_ms,
        },
    };
    let mut lines = Vec::new();
    let mut shown: Vec<Step> = steps[..plain].to_vec();
    folding.lines(&root, &steps[plain..], action, &mut shown, &mut lines)?;
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
    /// That of the node at which it begins.
    action: Action,
    alive_at: &'a [There],
}

/// A line, and where it matters when each of its values was told last.
#[derive(Clone, Debug)]
struct Timed {
    values: Vec<f64>,
    times: Vec<i64>,
}

/// The lines of series that have any value, by their numbers.
type Own = HashMap<u64, Timed>;

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

/// A series that is to be on the axis.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    id: u64,
    gone_ms: Option<i64>,
    figure: Figure,
    from_nothing: bool,
    /// It matters when its values were told.
    wants_times: bool,
}

impl Finding<'_> {
    /// Everything at a path, and below it unless it is for itself alone, that a question may need.
    fn nodes(&mut self, keys: &[&str], rest: &[Step], alone: bool) -> Result<Node, AskError> {
        let mut root = Node::default();
        let (mut found, mut many) = (0_usize, false);
        let begins = self.ask.range.from.div_euclid(DAY_MS) * DAY_MS;
        let each = |Found { id, path, gone_ms, action, is_total }: Found| {
            let Ok(path) = parse_plain(&path) else { return true };
            let below = &path[keys.len().min(path.len())..];
            let fits = rest.iter().zip(below).all(|(step, key)| step.key().is_none_or(|wanted| wanted == key));
            // One that is above what is asked for says at most what is done there.
            let is_above = below.len() < rest.len();
            if !fits || is_above && action.is_none() {
                return true;
            }
            let node = below.iter().fold(&mut root, |node, key| node.children.entry(key.clone()).or_default());
            if node.action.is_none() || id < IMPORTED {
                node.action = action.or(node.action);
            }
            if !is_above {
                found += 1;
                many = found > SERIES_MAX;
                node.series.push((id, gone_ms, is_total == Some(false)));
            }
            !many
        };
        self.snapshot.find(&encode_path(keys.iter().copied()), !alone, begins, each)?;
        if many {
            return Err(AskError::TooMuch(format!("it finds more than {SERIES_MAX} series: name more of their keys")));
        }
        Ok(root)
    }

    /// The axis, and the lines of each figure.
    fn all_lines(&self, root: &Node) -> Result<(Axis, Vec<Own>), AskError> {
        let (mut axis, mut owns) = (Axis::Times(Vec::new()), Vec::new());
        let asked = &self.ask.figures;
        for figure in asked {
            // Numbers have none of it: no series are wanted, but the axis is.
            let none = Node::default();
            let root = if figure.is_of_sketches() { &none } else { root };
            let (on, own) = self.lines(root, *figure)?;
            axis = if owns.is_empty() || axis.len() < on.len() { on } else { axis };
            owns.push(own);
        }
        Ok((axis, owns))
    }

    /// The series that are no numbers.
    fn others(&self, root: &Node) -> Result<Others, AskError> {
        let mut ids = Vec::new();
        root.wanted(self.action, &mut |(id, ..), _| ids.push(id));
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

    /// The axis, and each series on it. Some series of a block after others are read, so that no more than their samples are held.
    fn lines(&self, root: &Node, figure: Figure) -> Result<(Axis, Own), AskError> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let wants_times = self.ask.fold.map_or_else(|| root.has_last(self.action), |fold| fold == Fold::Last);
        root.wanted(self.action, &mut |(id, gone_ms, from_nothing), action| {
            wanted.push(Wanted { id, gone_ms, figure: figure_of(action, figure), from_nothing, wants_times });
        });
        wanted.sort_unstable_by_key(|wanted| wanted.id);
        let ask = self.ask;
        let ids = |wanted: &[Wanted]| wanted.iter().map(|wanted| wanted.id).collect::<Vec<u64>>();
        let mut own = Own::new();
        if ask.step_ms == 0 {
            if wanted.len() > RAW_SERIES_MAX {
                return Err(AskError::TooMuch(format!(
                    "{} series are more than {RAW_SERIES_MAX} at step=raw: ask for a step, or name more keys",
                    wanted.len()
                )));
            }
            if wanted.len().saturating_mul(self.values_each(&wanted)) > READ_MAX {
                return Err(AskError::TooMuch(format!(
                    "its {} series may have more than {READ_MAX} values at step=raw: ask for a step, a shorter time or fewer keys",
                    wanted.len()
                )));
            }
            let pasts = self.snapshot.pasts(&ids(&wanted), ask.range, 0)?;
            let axis = Axis::Times(times(&pasts, self.alive_at, ask));
            self.put(&axis, &Alive::on(&axis, self.alive_at, figure), &wanted, &pasts, &mut own)?;
            return Ok((axis, own));
        }
        let axis = match ask.one {
            true => Axis::Even { from: ask.range.from, step: ask.step_ms, n: 1 },
            false => Axis::even(ask.range, ask.step_ms),
        };
        let alive = Alive::on(&axis, self.alive_at, figure);
        for block in wanted.chunk_by(|a, b| a.id / BLOCK_SERIES == b.id / BLOCK_SERIES) {
            for wanted in block.chunks((READ_MAX / self.values_each(block)).max(1)) {
                let pasts = self.snapshot.pasts(&ids(wanted), ask.range, ask.finest_ms())?;
                self.put(&axis, &alive, wanted, &pasts, &mut own)?;
            }
        }
        Ok((axis, own))
    }

    /// Values that each of some series may have, about: the daemon's have one a commit or a bucket, what was imported one a minute.
    fn values_each(&self, wanted: &[Wanted]) -> usize {
        let imported = wanted.last().is_some_and(|last| last.id >= IMPORTED);
        let unit = if of_days(self.ask.finest_ms()) { DAY_MS } else { MINUTE_MS };
        let minutes = if imported { (self.ask.range.to - self.ask.range.from) / unit } else { 0 };
        self.alive_at.len().max(usize::try_from(minutes).unwrap_or(0)).max(1)
    }

    fn put(
        &self,
        axis: &Axis,
        alive: &Alive,
        wanted: &[Wanted],
        pasts: &BTreeMap<u64, Past>,
        own: &mut Own,
    ) -> Result<(), AskError> {
        for Wanted { id, gone_ms, figure, from_nothing, wants_times } in wanted.iter().copied() {
            let Some(past) = pasts.get(&id).filter(|past| !past.is_empty()) else { continue };
            if (own.len() + 1).saturating_mul(axis.len()) > VALUES_MAX {
                return Err(AskError::TooMuch(format!(
                    "its series in {} steps are more than {VALUES_MAX} values: ask for a longer step, a shorter time or \
                     fewer keys",
                    axis.len()
                )));
            }
            let holds = if id >= IMPORTED { Holds::Imported(gone_ms) } else { Holds::Alive(alive, gone_ms) };
            let mut values = vec![f64::NAN; axis.len()];
            put(past, axis, figure, holds, from_nothing, &mut values);
            let times = if wants_times { told_at(past, axis) } else { Vec::new() };
            own.insert(id, Timed { values, times });
        }
        Ok(())
    }

    /// Whether it is not known of every step in which the daemon was there what a node was by itself.
    fn may_lack(&self, axis: &Axis, owns: &[Own], others: &Others) -> bool {
        if owns.iter().all(Own::is_empty) {
            return others.is_empty();
        }
        self.ask.figures.iter().zip(owns).any(|(figure, own)| self.lacks(axis, *figure, own))
    }

    /// Whether that is so of a figure of numbers.
    fn lacks(&self, axis: &Axis, figure: Figure, own: &Own) -> bool {
        let has_all = |told: &Timed| !told.values.iter().any(|value| value.is_nan());
        if own.is_empty() || figure == Figure::Sum || own.values().any(has_all) {
            return false;
        }
        let unknown = |place: &usize| own.values().all(|told| told.values[*place].is_nan());
        let alive = Alive::on(axis, self.alive_at, figure);
        (0..axis.len()).filter(unknown).any(|place| alive.is_there(place))
    }
}

/// What is told of a series of a node with an action.
fn figure_of(action: Action, figure: Figure) -> Figure {
    match figure {
        Figure::Value => match action {
            Action::Average => Figure::Mean,
            Action::Min => Figure::Min,
            Action::Max => Figure::Max,
            _ => Figure::Last,
        },
        figure => figure,
    }
}

impl Node {
    /// Whether it or any below has the action of which the last counts.
    fn has_last(&self, above: Action) -> bool {
        let action = self.action.unwrap_or(above);
        action == Action::Last || self.children.values().any(|child| child.has_last(action))
    }

    /// Each series, and the action of its node: its own, or that of the nearest above.
    fn wanted(&self, above: Action, each: &mut impl FnMut((u64, Option<i64>, bool), Action)) {
        let action = self.action.unwrap_or(above);
        for series in &self.series {
            each(*series, action);
        }
        for child in self.children.values() {
            child.wanted(action, each);
        }
    }
}

/// All times at which anything was committed.
fn times(pasts: &BTreeMap<u64, Past>, alive: &[There], ask: &Ask) -> Vec<i64> {
    let mut all: Vec<i64> = alive.iter().map(|there| there.at).collect();
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

struct Folding<'a> {
    ask: &'a Ask,
    /// For each figure.
    owns: &'a [Own],
    others: &'a Others,
    /// As it was asked for; that of the steps may begin earlier.
    asked: Range,
    merging: Merging<'a>,
}

impl Folding<'_> {
    /// Adds a line for each node that the steps find; `above` is the action that a node has without one of its own.
    fn lines(
        &self,
        node: &Node,
        steps: &[Step],
        above: Action,
        shown: &mut Vec<Step>,
        lines: &mut Vec<Line>,
    ) -> Result<(), AskError> {
        let action = node.action.unwrap_or(above);
        match steps.split_first() {
            Some((Step::Each, rest)) => {
                for (key, child) in &node.children {
                    shown.push(Step::Key(key.clone()));
                    self.lines(child, rest, action, shown, lines)?;
                    shown.pop();
                }
            }
            Some((Step::Key(key), rest)) if rest.contains(&Step::Each) => {
                let Some(child) = node.children.get(key) else { return Ok(()) };
                shown.push(Step::Key(key.clone()));
                self.lines(child, rest, action, shown, lines)?;
                shown.pop();
            }
            _ => {
                if let Some(told) = self.told(node, steps, above)? {
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
    fn told(&self, node: &Node, steps: &[Step], above: Action) -> Result<Option<Told>, AskError> {
        if self.ask.figures.iter().any(|figure| figure.is_of_sketches())
            && let Some(told) = self.merged(node, steps)?
        {
            return Ok(Some(told));
        }
        let n = self.merging.axis.len();
        let line = |(figure, own): (&Figure, &Own)| {
            let numbers = Numbers { figure: *figure, fold: self.ask.fold, own };
            if own.is_empty() { None } else { numbers.fold(node, steps, above).map(|line| line.values) }
        };
        let figures: Vec<Option<Vec<f64>>> = self.ask.figures.iter().zip(self.owns).map(line).collect();
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
            members.first().is_some_and(|first| steps.is_empty() && node.series.iter().any(|(id, ..)| *id == first.id));
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
                let own = node.series.iter().filter(|(id, ..)| of.contains(id));
                let before = into.len();
                into.extend(own.map(|(id, gone, _)| Member { id: *id, gone: *gone, imported: *id >= IMPORTED }));
                if into.len() > before
                    || node.series.iter().any(|(id, ..)| self.owns.iter().any(|own| own.contains_key(id)))
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
}

/// What is told of numbers: one figure of the lines of their series.
struct Numbers<'a> {
    figure: Figure,
    fold: Option<Fold>,
    own: &'a Own,
}

impl Numbers<'_> {
    /// What the steps find below a node, as one line.
    fn fold(&self, node: &Node, steps: &[Step], above: Action) -> Option<Timed> {
        let action = node.action.unwrap_or(above);
        match steps.split_first() {
            None => match (self.own(node), self.children(node, &[], action)) {
                // Where it has no values of its own, what is below counts.
                (Some(mut own), Some(below)) if self.figure != Figure::Sum => {
                    for (own, below) in own.values.iter_mut().zip(below.values) {
                        *own = if own.is_nan() { below } else { *own };
                    }
                    own.times.iter_mut().zip(below.times).for_each(|(own, below)| *own = below.max(*own));
                    Some(own)
                }
                (own, below) => own.or(below),
            },
            Some((Step::Key(key), rest)) => self.fold(node.children.get(key)?, rest, action),
            Some((Step::Fold | Step::Each, rest)) => self.children(node, rest, action),
        }
    }

    fn children(&self, node: &Node, rest: &[Step], action: Action) -> Option<Timed> {
        let fold = self.fold.unwrap_or(match action {
            Action::Average => Fold::Mean,
            Action::Min => Fold::Min,
            Action::Max => Fold::Max,
            Action::Last => Fold::Last,
            Action::Add | Action::Top { .. } | Action::Quantiles | Action::Distinct => Fold::Sum,
        });
        let mut sum: Option<Timed> = None;
        let mut counts: Vec<u32> = Vec::new();
        for child in node.children.values() {
            let Some(told) = self.fold(child, rest, action) else { continue };
            if fold == Fold::Mean {
                counts.resize(told.values.len(), 0);
                counts.iter_mut().zip(&told.values).for_each(|(count, value)| *count += u32::from(!value.is_nan()));
            }
            match &mut sum {
                None => sum = Some(told),
                Some(sum) if fold == Fold::Last => sum.take_later(&told),
                Some(sum) => {
                    sum.values.iter_mut().zip(told.values).for_each(|(sum, value)| *sum = folded(fold, *sum, value));
                    sum.times.iter_mut().zip(told.times).for_each(|(sum, time)| *sum = time.max(*sum));
                }
            }
        }
        let mut sum = sum?;
        if fold == Fold::Mean {
            sum.values.iter_mut().zip(counts).for_each(|(sum, count)| *sum /= f64::from(count));
        }
        Some(sum)
    }

    /// The line of a node's own values, if it ever had any: of the series that it was, one after another.
    fn own(&self, node: &Node) -> Option<Timed> {
        let mut lines = node.series.iter().filter_map(|(id, ..)| self.own.get(id));
        let mut all = lines.next()?.clone();
        for later in lines {
            all.values.iter_mut().zip(&later.values).for_each(|(value, later)| {
                *value = if later.is_nan() { *value } else { *later };
            });
            all.times.iter_mut().zip(&later.times).for_each(|(time, later)| *time = *later.max(time));
        }
        Some(all)
    }
}

impl Timed {
    /// Takes what was told later in each step.
    fn take_later(&mut self, other: &Timed) {
        for (at, value) in other.values.iter().enumerate() {
            let is_later = self.times.get(at) <= other.times.get(at);
            if !value.is_nan() && (self.values[at].is_nan() || is_later) {
                self.values[at] = *value;
                if let (Some(time), Some(later)) = (self.times.get_mut(at), other.times.get(at)) {
                    *time = *later;
                }
            }
        }
    }
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
