//! What a picture shows, from the tree and from history.

use super::figures::Unit;
use super::styles::{COLOURS, Style};
use super::{Body, Form, Kind, Line, List, Look, Marker, Picture, Time, clean};
use crate::limits::{
    ANSWER_NODES, GRAPH_CHILDREN_MAX, GRAPH_LINES_MAX, GRAPH_LIST_MAX, GRAPH_MARKERS_MAX, GRAPH_POINTS_MAX,
    TREND_STEPS_MAX,
};
use crate::tree::{NodeRef, Pattern, Reading, Step, Tree, Want};
use crate::trend::{Ask, AskError, Axis, Figure, Fold, Range, Retention, Told, Trend, step_for};
use parking_lot::RwLock;
use plugin_api::Action;

/// What is to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) pattern: Pattern,
    /// In milliseconds since the Unix epoch; the last hour of pictures over time if nothing is said.
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    /// In milliseconds, 0 for each commit; what the picture has room for if nothing is said.
    pub(crate) step_ms: Option<i64>,
    /// What the nodes' actions suggest if nothing is said.
    pub(crate) figures: Vec<Figure>,
    pub(crate) fold: Option<Fold>,
    /// Paths of texts whose changes are marked.
    pub(crate) markers: Vec<Pattern>,
    pub(crate) unit: Option<String>,
    pub(crate) now_ms: i64,
    /// How often the daemon commits, in milliseconds.
    pub(crate) commit_ms: i64,
    pub(crate) retention: Retention,
}

/// Why there is no picture.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// There is nothing at this path, and there was nothing.
    Missing,
    /// It asks for what cannot be.
    Asked(String),
    /// History does not answer about this path.
    History(Pattern, AskError),
    /// There is no history.
    NoHistory,
}

/// What the tree says of a path.
#[derive(Debug, Default)]
struct Facts {
    there: bool,
    /// A branch without a value of its own: its children, and what they are worth.
    children: Vec<(String, f64)>,
    figure: Option<Figure>,
    /// What can be told beside it in a picture that has nothing else.
    more: &'static [Figure],
    unit: String,
}

/// The figures of quantiles by themselves.
const QUANTILES: [Figure; 3] = [Figure::Quantile(0.5), Figure::Quantile(0.9), Figure::Quantile(0.99)];

/// Nodes that are looked at to find one that a pattern means.
const TRIES: usize = 10_000;

/// A picture of what is asked.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn gather(
    tree: &RwLock<Tree>,
    trend: Option<&dyn Trend>,
    question: &Question,
    look: &Look,
) -> Result<Picture, Wrong> {
    let kind = look.kind.unwrap_or(look.style.kind);
    let timed = question.from.or(question.to).or(question.step_ms).is_some();
    let listed = kind == Kind::Top || (kind == Kind::Bar && !timed);
    let facts = Facts::of(&tree.read(), &question.pattern, listed && !timed);
    let figures = match (&*question.figures, facts.figure) {
        ([], Some(figure)) if listed => vec![if timed { figure } else { Figure::Value }],
        ([], _) if !facts.more.is_empty() => facts.more.to_vec(),
        ([], figure) => vec![figure.unwrap_or(Figure::Value)],
        (asked, _) => asked.to_vec(),
    };
    let unit = unit(question, look.style, &facts, &figures);
    let title = clean(&look.title.clone().unwrap_or_else(|| question.pattern.to_string()));
    let (body, note) = if listed && !timed {
        if !question.markers.is_empty() || question.fold.is_some() {
            return Err(Wrong::Asked(
                "markers and fold are for pictures over time: name one, such as from=-1d".to_owned(),
            ));
        }
        let figure = figures.first().copied().unwrap_or(Figure::Value);
        (Body::List(now(&tree.read(), question, look.style, kind, &facts, figure)?), String::new())
    } else {
        let asking = Asking { trend: trend.ok_or(Wrong::NoHistory)?, question, figures, facts: &facts };
        if listed { (Body::List(asking.list(look, kind)?), String::new()) } else { asking.lines(look, kind)? }
    };
    Ok(Picture { title, unit, body, note })
}

fn unit(question: &Question, style: &Style, facts: &Facts, figures: &[Figure]) -> Unit {
    if let Some(unit) = &question.unit {
        return Unit::new(&clean(unit));
    }
    let unit = Unit::new(&clean(if facts.unit.is_empty() { style.unit } else { &facts.unit }));
    match figures {
        [Figure::Rate] if !facts.unit.contains('/') => unit.per_second(),
        [Figure::Count | Figure::Distinct] => Unit::default(),
        _ => unit,
    }
}

impl Facts {
    /// Of a path; `weighed` if children are to be found whatever their number.
    fn of(tree: &Tree, pattern: &Pattern, weighed: bool) -> Facts {
        let mut tries = TRIES;
        let Some(node) = first(tree.root(), pattern.steps(), &mut tries) else { return Facts::default() };
        let mut facts = Facts { there: true, ..Facts::default() };
        let branch = pattern.is_plain() && node.own(Want::Value).is_none() && !node.is_leaf();
        if branch {
            let many = node.children().take(GRAPH_CHILDREN_MAX + 1).count() > GRAPH_CHILDREN_MAX;
            let worth = |child: NodeRef<'_>| match child.value(Want::Value)? {
                reading if weighed || many => number(&reading, Figure::Value),
                _ => Some(0.0),
            };
            let children = node.children().filter_map(|child| Some((child.key().to_owned(), worth(child)?)));
            facts.children = children.collect();
        }
        let Some((leaf, reading)) = valued(node, &mut tries) else { return facts };
        let counts = leaf.action().is_none_or(|action| matches!(action, Action::Add | Action::Top { .. }));
        let counter = counts && matches!(reading, Reading::Number(_));
        facts.figure = Some(if counter { Figure::Rate } else { Figure::Value });
        if matches!(reading, Reading::Quantiles(_)) && !branch && !pattern.steps().contains(&Step::Each) {
            facts.more = &QUANTILES;
        }
        facts.unit = leaf.meta().and_then(|meta| meta.get("units")).unwrap_or_default().to_owned();
        facts
    }
}

/// The first node that some steps lead to.
fn first<'t>(node: NodeRef<'t>, steps: &[Step], tries: &mut usize) -> Option<NodeRef<'t>> {
    *tries = tries.checked_sub(1)?;
    match steps.split_first() {
        None => Some(node),
        Some((Step::Key(key), rest)) => first(node.child(key)?, rest, tries),
        Some((Step::Fold | Step::Each, rest)) => node.children().find_map(|child| first(child, rest, tries)),
    }
}

/// The first value at a node or below it.
fn valued<'t>(node: NodeRef<'t>, tries: &mut usize) -> Option<(NodeRef<'t>, Reading<'t>)> {
    *tries = tries.checked_sub(1)?;
    match node.own(Want::Value) {
        Some(reading) => Some((node, reading)),
        None => node.children().find_map(|child| valued(child, tries)),
    }
}

/// A figure of what there is now.
fn number(reading: &Reading<'_>, figure: Figure) -> Option<f64> {
    match reading {
        Reading::Number(x) => Some(*x),
        Reading::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Reading::Text(_) => None,
        Reading::Distinct(sketch) => Some(sketch.total().estimate()),
        Reading::Quantiles(sketch) => {
            let sketch = sketch.total();
            match figure {
                Figure::Count => Some(sketch.count() as f64),
                Figure::Sum => Some(sketch.sum()),
                Figure::Mean => Some(sketch.sum() / sketch.count() as f64).filter(|mean| mean.is_finite()),
                Figure::Min => sketch.min(),
                Figure::Max => sketch.max(),
                Figure::Quantile(quantile) => sketch.quantile(quantile),
                Figure::Value | Figure::Last | Figure::Rate | Figure::Distinct => sketch.quantile(0.5),
            }
        }
    }
}

/// What is there now, as a list.
fn now(
    tree: &Tree,
    question: &Question,
    style: &Style,
    kind: Kind,
    facts: &Facts,
    figure: Figure,
) -> Result<List, Wrong> {
    if !facts.there {
        return Err(Wrong::Missing);
    }
    let want = if figure == Figure::Rate { Want::Rate } else { Want::Value };
    let pattern = &question.pattern;
    let mut rows: Vec<(String, f64)> = if pattern.is_plain() && !facts.children.is_empty() && figure == Figure::Value {
        facts.children.clone()
    } else {
        let asked = if pattern.is_plain() && !facts.children.is_empty() { below(pattern) } else { pattern.clone() };
        let found = tree.values(&asked, want, ANSWER_NODES);
        found.iter().filter_map(|(path, reading)| Some((name(&asked, path), number(reading, figure)?))).collect()
    };
    rows.retain(|(_, value)| value.is_finite());
    Ok(list(rows, style, kind))
}

/// Rows in their order, as many as there is room for.
fn list(mut rows: Vec<(String, f64)>, style: &Style, kind: Kind) -> List {
    keep_known(&mut rows, style, |(name, _)| name);
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = rows.len().saturating_sub(GRAPH_LIST_MAX);
    rows.truncate(GRAPH_LIST_MAX);
    let colours = rows.iter().map(|(name, _)| style.key(name).map_or(COLOURS[0], |(_, key)| key.colour)).collect();
    let rows = rows.into_iter().map(|(name, value)| (clean(&name), value)).collect();
    List { upright: kind == Kind::Bar, rows, colours, more }
}

/// Leaves those that a style knows, where it knows any.
fn keep_known<T>(all: &mut Vec<T>, style: &Style, name: impl Fn(&T) -> &str) {
    if all.iter().any(|one| style.key(name(one)).is_some()) {
        all.retain(|one| style.key(name(one)).is_some());
    }
}

/// Every child of what a pattern means.
fn below(pattern: &Pattern) -> Pattern {
    let each = if pattern.steps().is_empty() { "*".to_owned() } else { format!("{pattern},*") };
    // One that is too deep to have children means what it meant.
    Pattern::parse(&each).unwrap_or_else(|_| pattern.clone())
}

/// What tells a line from the others of its pattern: the keys that `*` stands for.
fn name(asked: &Pattern, path: &str) -> String {
    let found = Pattern::parse(path).unwrap_or_default();
    let keys: Vec<&str> = (asked.steps().iter().zip(found.steps()))
        .filter(|(step, _)| **step == Step::Each)
        .filter_map(|(_, found)| found.key())
        .collect();
    if keys.is_empty() { path.to_owned() } else { keys.join(" ") }
}

/// A line as history tells it.
struct Found {
    name: String,
    /// As the style may know it.
    key: String,
    points: Vec<(i64, f64)>,
}

struct Asking<'q> {
    trend: &'q dyn Trend,
    question: &'q Question,
    figures: Vec<Figure>,
    facts: &'q Facts,
}

impl Asking<'_> {
    /// From, to, and to where history is asked for: what was committed last may have the time of the commit that is about to come.
    fn range(&self) -> Result<(Range, i64), Wrong> {
        let Question { from, to, now_ms, commit_ms, .. } = *self.question;
        let end = to.unwrap_or(now_ms);
        let from = from.unwrap_or(end - 3_600_000);
        if from >= end {
            return Err(Wrong::Asked("from must be before to".to_owned()));
        }
        Ok((Range { from, to: end }, if to.is_none() { end + commit_ms } else { end }))
    }

    fn ask(
        &self,
        pattern: &Pattern,
        range: Range,
        step_ms: i64,
        one: bool,
        figures: &[Figure],
    ) -> Result<(Axis, Vec<crate::trend::Line>), Wrong> {
        let ask = Ask {
            pattern: pattern.clone(),
            range,
            step_ms,
            one,
            figures: figures.to_vec(),
            fold: self.question.fold,
            commit_ms: self.question.commit_ms,
        };
        self.trend.ask(&ask).map_err(|error| Wrong::History(pattern.clone(), error))
    }

    /// The patterns whose lines are wanted.
    fn patterns(&self) -> Vec<Pattern> {
        let (asked, children) = (&self.question.pattern, &self.facts.children);
        match children.len() {
            0 => vec![asked.clone()],
            n if n <= GRAPH_CHILDREN_MAX => vec![below(asked)],
            _ => {
                let mut heaviest: Vec<&(String, f64)> = children.iter().collect();
                heaviest.sort_by(|a, b| b.1.total_cmp(&a.1));
                let keys = heaviest.into_iter().take(GRAPH_LINES_MAX).map(|(key, _)| key.as_str());
                let above: Vec<&str> = asked.steps().iter().filter_map(Step::key).collect();
                let of = |key| Pattern::of(&above.iter().copied().chain([key]).collect::<Vec<_>>());
                keys.map(of).collect()
            }
        }
    }

    /// All lines, texts as what happened.
    fn found(&self, range: Range, step_ms: i64, one: bool) -> Result<(Vec<Found>, Vec<Marker>), Wrong> {
        let asked = &self.question.pattern;
        let mut all = (Vec::new(), Vec::new());
        let is_empty = |all: &(Vec<Found>, Vec<Marker>)| all.0.is_empty() && all.1.is_empty();
        if self.facts.there {
            let mut points = 0;
            for pattern in self.patterns() {
                // A child that is asked for by itself is called as it is with the others.
                let several = self.facts.children.len() > GRAPH_CHILDREN_MAX;
                let called = if several { below(asked) } else { pattern.clone() };
                points += self.add((&pattern, &called), (range, step_ms, one), &mut all)?;
                enough(points)?;
            }
            return Ok(all);
        }
        // What is there no more may have been a branch, or a leaf.
        let below = below(asked);
        if asked.is_plain() {
            enough(self.add((&below, &below), (range, step_ms, one), &mut all)?)?;
        }
        if is_empty(&all) {
            enough(self.add((asked, asked), (range, step_ms, one), &mut all)?)?;
        }
        if is_empty(&all) { Err(Wrong::Missing) } else { Ok(all) }
    }

    /// Adds the lines of a pattern, called as another one has it; how many points they have.
    fn add(
        &self,
        (pattern, called): (&Pattern, &Pattern),
        (range, step_ms, one): (Range, i64, bool),
        (lines, events): &mut (Vec<Found>, Vec<Marker>),
    ) -> Result<usize, Wrong> {
        let (axis, found) = self.ask(pattern, range, step_ms, one, &self.figures)?;
        let points = axis.len() * found.len() * self.figures.len();
        let several = has_each(called);
        let middle = match &axis {
            Axis::Even { step, .. } => step / 2,
            Axis::Times(_) => 0,
        };
        for line in found {
            let key = name(called, &line.path);
            let figures = match line.told {
                Told::Figures(figures) => figures,
                Told::Events(told) => {
                    events.extend(told.into_iter().map(|(at, text)| marker(at, text, &key, several)));
                    continue;
                }
            };
            for (figure, values) in self.figures.iter().zip(figures) {
                let name = match (self.figures.len(), several) {
                    (1, _) => key.clone(),
                    (_, false) => figure.name().to_owned(),
                    (_, true) => format!("{key} {}", figure.name()),
                };
                let at = |place| axis.at(place).saturating_add(middle);
                let points: Vec<(i64, f64)> = values.iter().enumerate().map(|(i, value)| (at(i), *value)).collect();
                if points.iter().any(|(_, value)| value.is_finite()) {
                    lines.push(Found { name, key: key.clone(), points });
                }
            }
        }
        Ok(points)
    }

    /// A list of what was in a time.
    fn list(&self, look: &Look, kind: Kind) -> Result<List, Wrong> {
        let (range, end) = self.range()?;
        let asked = Range { from: range.from, to: end };
        let (lines, _) = self.found(asked, end.saturating_sub(range.from), true)?;
        let value = |line: &Found| line.points.iter().map(|(_, value)| *value).find(|value| value.is_finite());
        let rows = lines.iter().filter_map(|line| Some((line.name.clone(), value(line)?))).collect();
        Ok(list(rows, look.style, kind))
    }

    /// How values went on, and what was left out.
    fn lines(&self, look: &Look, kind: Kind) -> Result<(Body, String), Wrong> {
        let (range, end) = self.range()?;
        let asked = Range { from: range.from, to: end };
        let finest_ms = self.question.retention.finest_ms(range.from, self.question.now_ms);
        let width = i64::from(look.width);
        let room = match (look.form, kind) {
            (Form::Txt, Kind::Bar) => width / 2,
            (Form::Txt, _) => width * 2,
            (_, Kind::Bar) => width / 12,
            _ => width * 2 / 3,
        };
        let step_ms = self.question.step_ms.unwrap_or_else(|| step_for(range, finest_ms, room.max(10)));
        if step_ms > 0 && (end - range.from) / step_ms > TREND_STEPS_MAX {
            return Err(Wrong::Asked(format!("more than {TREND_STEPS_MAX} steps: ask for a longer step")));
        }
        let (mut found, mut markers) = self.found(asked, step_ms, false)?;
        for pattern in &self.question.markers {
            let (_, lines) = self.ask(pattern, asked, end.saturating_sub(range.from), true, &[Figure::Value])?;
            for line in lines {
                let Told::Events(told) = line.told else { continue };
                let changes = told.into_iter().filter(|(at, _)| *at > range.from);
                markers
                    .extend(changes.map(|(at, text)| marker(at, text, &name(pattern, &line.path), has_each(pattern))));
            }
        }
        markers.sort_by_key(|marker| marker.at_ms);
        markers.drain(..markers.len().saturating_sub(GRAPH_MARKERS_MAX));
        for marker in &mut markers {
            marker.at_ms = marker.at_ms.max(range.from);
        }
        let style = look.style;
        keep_known(&mut found, style, |line| &line.key);
        found.sort_by_key(|line| style.key(&line.key).map_or(usize::MAX, |(place, _)| place));
        let (lines, note) = lines(found, style, kind);
        let time = Time { kind, range: (range.from, range.to), most: style.most, lines, markers, step_ms };
        Ok((Body::Time(time), note))
    }
}

fn enough(points: usize) -> Result<(), Wrong> {
    if points <= GRAPH_POINTS_MAX {
        return Ok(());
    }
    let why = format!("more than {GRAPH_POINTS_MAX} points: ask for a longer step, a shorter time or fewer keys");
    Err(Wrong::Asked(why))
}

fn has_each(pattern: &Pattern) -> bool {
    pattern.steps().contains(&Step::Each)
}

fn marker(at_ms: i64, text: Option<String>, key: &str, several: bool) -> Marker {
    let text = text.as_deref().unwrap_or("gone");
    Marker { at_ms, text: clean(&if several { format!("{key} {text}") } else { text.to_owned() }) }
}

/// As many lines as can be told apart, the heaviest, in their order and with their colours.
fn lines(found: Vec<Found>, style: &Style, kind: Kind) -> (Vec<Line>, String) {
    let weight = |line: &Found| {
        let (sum, n) = (line.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()))
            .fold((0.0, 0.0), |(sum, n), value| (sum + value.abs(), n + 1.0));
        sum / f64::max(n, 1.0)
    };
    let mut heaviest: Vec<usize> = (0..found.len()).collect();
    let most = if found.len() > GRAPH_LINES_MAX && kind != Kind::Line { GRAPH_LINES_MAX - 1 } else { GRAPH_LINES_MAX };
    if found.len() > most {
        let weights: Vec<f64> = found.iter().map(weight).collect();
        heaviest.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
    }
    let drawn: std::collections::HashSet<usize> = heaviest.into_iter().take(most).collect();
    let (mut lines, mut rest) = (Vec::new(), Vec::new());
    for (i, found) in found.into_iter().enumerate() {
        if !drawn.contains(&i) {
            rest.push(found);
            continue;
        }
        let known = style.key(&found.key).map(|(_, key)| key).filter(|key| found.name == key.name);
        let colour = known.map_or(COLOURS[lines.len() % COLOURS.len()], |key| key.colour);
        let filled = known.is_some_and(|key| key.filled);
        lines.push(Line { name: clean(&found.name), colour, filled, points: found.points });
    }
    let left = rest.len();
    if kind == Kind::Line || rest.is_empty() {
        return (lines, if left > 0 { format!("+ {left} more") } else { String::new() });
    }
    // On top of each other all count.
    let mut sums: std::collections::BTreeMap<i64, f64> = std::collections::BTreeMap::new();
    for (at, value) in rest.iter().flat_map(|line| &line.points).filter(|(_, value)| value.is_finite()) {
        *sums.entry(*at).or_default() += value;
    }
    let [.., colour] = COLOURS;
    lines.push(Line { name: format!("{left} others"), colour, filled: true, points: sums.into_iter().collect() });
    (lines, String::new())
}
