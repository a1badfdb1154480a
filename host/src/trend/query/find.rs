//! Finds the series of a question, and brings them onto its axis.

use super::fold::{Folding, Others, Own, Timed};
use super::line::{Alive, Cuts, Holds, put, told_at};
use super::sketches::Merging;
use super::{Ask, Axis, Figure, Fold, Line};
use crate::tree::{Step, encode_path, parse_plain};
use crate::trend::codec::commit::BLOCK_SERIES;
use crate::trend::history::{DAY_MS, Error, Found, IMPORTED, Past, Range, Snapshot, There, of_days};
use compact_str::CompactString;
use plugin_api::Action;
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Series that one question may find, and values that their lines may have together: some hundreds of megabytes.
const SERIES_MAX: usize = 200_000;
pub(super) const VALUES_MAX: usize = 20_000_000;

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
    /// A store elsewhere cannot be asked, or does not answer.
    Elsewhere(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::TooMuch(why) | AskError::Elsewhere(why) => f.write_str(why),
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
pub(super) struct Node {
    /// In the order in which they were, until when, and whether one that counts began at nothing.
    pub(super) series: Vec<(u64, Option<i64>, bool)>,
    /// That of its own.
    pub(super) action: Option<Action>,
    pub(super) children: BTreeMap<CompactString, Node>,
}

/// Where series are found, and their numbers.
pub(crate) trait Numbers {
    /// The series at a path, and below it if that is wanted; of one path, in the order in which they were; those that had gone by
    /// some time may be left out. Until `each` says that it is enough.
    ///
    /// # Errors
    /// History cannot be read.
    fn find(&self, path: &str, below: bool, from_ms: i64, each: &mut dyn FnMut(Found) -> bool) -> Result<(), AskError>;

    /// What some series were, as finely as steps of so many milliseconds need it, and before the range.
    ///
    /// # Errors
    /// History cannot be read, or that is too much of it.
    fn pasts(&self, series: &[u64], range: Range, step_ms: i64) -> Result<BTreeMap<u64, Past>, AskError>;
}

impl Numbers for Snapshot<'_> {
    fn find(&self, path: &str, below: bool, from_ms: i64, each: &mut dyn FnMut(Found) -> bool) -> Result<(), AskError> {
        Ok(Snapshot::find(self, path, below, from_ms, each)?)
    }

    fn pasts(&self, series: &[u64], range: Range, step_ms: i64) -> Result<BTreeMap<u64, Past>, AskError> {
        Ok(Snapshot::pasts(self, series, range, step_ms)?)
    }
}

/// Lines for what a question asks, in the order of their paths, and their axis.
///
/// # Errors
/// It asks for too much, or history cannot be read.
pub(crate) fn ask(snapshot: &Snapshot<'_>, question: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
    ask_of(snapshot, snapshot, question)
}

/// The same, where numbers are not those of the snapshot alone.
///
/// # Errors
/// It asks for too much, or history cannot be read.
pub(crate) fn ask_of(snapshot: &Snapshot<'_>, numbers: &dyn Numbers, ask: &Ask) -> Result<(Axis, Vec<Line>), AskError> {
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
    let mut found = Finding { snapshot, numbers, ask, action, alive_at: &alive_at };
    let alone = plain == steps.len();
    let mut root = found.nodes(&keys, &steps[plain..], alone)?;
    let (mut axis, mut owns) = found.all_lines(&root)?;
    let mut others = found.others(&root)?;
    // Where it has no values of its own, what is below counts. A text stands where it is named: whether a node has numbers of its own
    // is not known where none are wanted.
    if alone && !ask.figures.is_empty() && found.may_lack(&axis, &owns, &others) {
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
        events: Cell::new(0),
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
    numbers: &'a dyn Numbers,
    ask: &'a Ask,
    /// That of the node at which it begins.
    action: Action,
    alive_at: &'a [There],
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
        let mut each = |Found { id, path, gone_ms, action, is_total }: Found| {
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
        self.numbers.find(&encode_path(keys.iter().copied()), !alone, begins, &mut each)?;
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
        let sketched = if self.ask.figures.is_empty() { Vec::new() } else { self.snapshot.sketched(&ids)? };
        let sketches: HashSet<u64> = sketched.into_iter().collect();
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
            let pasts = self.numbers.pasts(&ids(&wanted), ask.range, 0)?;
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
                let pasts = self.numbers.pasts(&ids(wanted), ask.range, ask.finest_ms())?;
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
        let mut cuts = Cuts::default();
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
            put(past, axis, &mut cuts, figure, holds, from_nothing, &mut values);
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
    for times in pasts.values().flat_map(|past| [&past.buckets.0, &*past.samples.0]) {
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
