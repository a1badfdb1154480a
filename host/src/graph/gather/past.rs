//! How what is asked for went on, as history tells it.

use super::now::{Children, Facts, heaviest};
use super::{Question, Wrong, below, keep_known, listed, name, still};
use crate::graph::styles::{COLOURS, Style};
use crate::graph::{Body, Form, Kind, Line, List, Look, Marker, Time, clean};
use crate::limits::{GRAPH_CHANGES_MAX, GRAPH_LINES_MAX, GRAPH_MARKERS_MAX, GRAPH_POINTS_MAX, TREND_STEPS_MAX};
use crate::tree::{Pattern, Step, Tree};
use crate::trend::{Ask, Axis, Figure, Range, Told, Trend, step_for};
use parking_lot::RwLock;

/// A line as history tells it.
struct Found {
    name: String,
    /// As the style may know it.
    key: String,
    points: Vec<(i64, f64)>,
}

/// What asks history.
pub(super) struct Asking<'q> {
    pub(super) tree: &'q RwLock<Tree>,
    pub(super) trend: &'q dyn Trend,
    pub(super) question: &'q Question,
    pub(super) figures: Vec<Figure>,
    pub(super) facts: &'q Facts,
    pub(super) waited_for: &'q dyn Fn() -> bool,
}

/// Lines under way, and texts as what happened.
#[derive(Default)]
struct All {
    lines: Vec<Found>,
    markers: Markers,
    /// Of all lines together.
    points: usize,
    /// Children that history was not asked for.
    left: usize,
}

impl All {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.markers.newest.is_empty()
    }
}

impl Asking<'_> {
    /// From, to, and to where history is asked for: what was committed last may have the time of the commit that is about to come.
    fn range(&self) -> Result<(Range, i64), Wrong> {
        let Question { from, to, now_ms, commit_ms, .. } = *self.question;
        let end = to.unwrap_or(now_ms);
        let from = from.unwrap_or(end.saturating_sub(3_600_000));
        if from >= end {
            return Err(Wrong::Asked("from must be before to".to_owned()));
        }
        Ok((Range { from, to: end }, if to.is_none() { end.saturating_add(commit_ms) } else { end }))
    }

    fn ask(
        &self,
        pattern: &Pattern,
        range: Range,
        step_ms: i64,
        one: bool,
        figures: &[Figure],
    ) -> Result<(Axis, Vec<crate::trend::Line>), Wrong> {
        still(self.waited_for)?;
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

    /// The patterns whose lines are wanted, and how many children are left out by that.
    fn patterns(&self) -> Result<(Vec<Pattern>, usize), Wrong> {
        let asked = &self.question.pattern;
        Ok(match self.facts.children {
            Children::None => (vec![asked.clone()], 0),
            Children::Few => (vec![below(asked)], 0),
            Children::Many => {
                let (keys, left) = heaviest((self.tree, self.waited_for), asked)?;
                if keys.is_empty() {
                    // Texts have no weight.
                    return Ok((vec![asked.clone()], 0));
                }
                let above: Vec<&str> = asked.steps().iter().filter_map(Step::key).collect();
                let of = |key: &String| Pattern::of(&above.iter().copied().chain([&**key]).collect::<Vec<_>>());
                (keys.iter().map(of).collect(), left)
            }
        })
    }

    /// All lines, texts as what happened.
    fn found(&self, range: Range, step_ms: i64, one: bool) -> Result<All, Wrong> {
        let asked = &self.question.pattern;
        let mut all = All::default();
        if self.facts.there {
            let (patterns, left) = self.patterns()?;
            all.left = left;
            for pattern in patterns {
                // A child that is asked for by itself is called as it is with the others.
                let alone = pattern.steps().len() == asked.steps().len();
                let called = if alone { pattern.clone() } else { below(asked) };
                self.add((&pattern, &called), (range, step_ms, one), &mut all)?;
            }
            return Ok(all);
        }
        // What is there no more may have been a branch, or a leaf.
        let below = below(asked);
        if asked.is_plain() {
            self.add((&below, &below), (range, step_ms, one), &mut all)?;
        }
        if all.is_empty() {
            self.add((asked, asked), (range, step_ms, one), &mut all)?;
        }
        if all.is_empty() { Err(Wrong::Missing) } else { Ok(all) }
    }

    /// Adds the lines of a pattern, called as another one has it.
    fn add(
        &self,
        (pattern, called): (&Pattern, &Pattern),
        (range, step_ms, one): (Range, i64, bool),
        all: &mut All,
    ) -> Result<(), Wrong> {
        let (axis, found) = self.ask(pattern, range, step_ms, one, &self.figures)?;
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
                    all.markers.add(told, several.then_some(&*key));
                    continue;
                }
            };
            all.points += figures.iter().map(Vec::len).sum::<usize>();
            if all.points > GRAPH_POINTS_MAX {
                return Err(Wrong::Asked(format!(
                    "more than {GRAPH_POINTS_MAX} points: ask for a longer step, a shorter time or fewer keys"
                )));
            }
            for (figure, values) in self.figures.iter().zip(figures) {
                let name = match (self.figures.len(), several) {
                    (1, _) => key.clone(),
                    (_, false) => figure.name().to_owned(),
                    (_, true) => format!("{key} {}", figure.name()),
                };
                let at = |place| axis.at(place).saturating_add(middle);
                let points: Vec<(i64, f64)> = values.iter().enumerate().map(|(i, value)| (at(i), *value)).collect();
                if points.iter().any(|(_, value)| value.is_finite()) {
                    all.lines.push(Found { name, key: key.clone(), points });
                }
            }
        }
        Ok(())
    }

    /// A list of what was in a time.
    pub(super) fn list(&self, look: &Look, kind: Kind) -> Result<List, Wrong> {
        let (range, end) = self.range()?;
        let asked = Range { from: range.from, to: end };
        let All { mut lines, left, .. } = self.found(asked, end.saturating_sub(range.from), true)?;
        let value = |line: &Found| line.points.iter().map(|(_, value)| *value).find(|value| value.is_finite());
        keep_known(&mut lines, look.style, |line| &line.name);
        let rows: Vec<_> = lines.iter().filter_map(|line| Some((line.name.clone(), value(line)?))).collect();
        let found = rows.len() + left;
        Ok(listed(rows, found, look.style, kind))
    }

    /// How values went on, and what was left out.
    pub(super) fn lines(&self, look: &Look, kind: Kind) -> Result<(Body, String), Wrong> {
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
        if step_ms > 0 && end.saturating_sub(range.from) / step_ms > TREND_STEPS_MAX {
            return Err(Wrong::Asked(format!("more than {TREND_STEPS_MAX} steps: ask for a longer step")));
        }
        let All { lines: mut found, mut markers, left, .. } = self.found(asked, step_ms, false)?;
        let mut room = GRAPH_CHANGES_MAX;
        for pattern in &self.question.markers {
            let (_, lines) = self.ask(pattern, asked, end.saturating_sub(range.from), true, &[])?;
            for line in lines {
                let several = has_each(pattern).then(|| name(pattern, &line.path));
                let Told::Events(mut told) = line.told else { continue };
                // What held as the range began is no change.
                told.retain(|(at, _)| *at > range.from);
                room = room.checked_sub(told.len()).ok_or_else(|| {
                    let why = "ask for a shorter time, or mark fewer keys";
                    Wrong::Asked(format!("more than {GRAPH_CHANGES_MAX} changes are to be marked: {why}"))
                })?;
                markers.add(told, several.as_deref());
            }
        }
        let markers = markers.finish(range.from);
        let style = look.style;
        keep_known(&mut found, style, |line| &line.key);
        found.sort_by_key(|line| style.key(&line.key).map_or(usize::MAX, |(place, _)| place));
        let (lines, note) = lines(found, left, style, kind);
        let time = Time { kind, range: (range.from, range.to), most: style.most, lines, markers, step_ms };
        Ok((Body::Time(time), note))
    }
}

fn has_each(pattern: &Pattern) -> bool {
    pattern.steps().contains(&Step::Each)
}

/// What happened, the newest of it.
#[derive(Default)]
struct Markers {
    /// Not in their order; now and then more than are drawn.
    newest: Vec<(i64, String)>,
}

impl Markers {
    /// Adds what happened to a text, in the order of time; with its key, where there are several.
    fn add(&mut self, told: Vec<(i64, Option<String>)>, key: Option<&str>) {
        let left = told.len().saturating_sub(GRAPH_MARKERS_MAX);
        self.newest.extend(told.into_iter().skip(left).map(|(at, text)| {
            let text = text.unwrap_or_else(|| "gone".to_owned());
            (at, if let Some(key) = key { format!("{key} {text}") } else { text })
        }));
        if self.newest.len() > 8 * GRAPH_MARKERS_MAX {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.newest.sort_by_key(|(at, _)| *at);
        self.newest.drain(..self.newest.len().saturating_sub(GRAPH_MARKERS_MAX));
    }

    /// All, in their order; what was before the range stands where it begins.
    fn finish(mut self, from_ms: i64) -> Vec<Marker> {
        self.cut();
        let marker = |(at, text): (i64, String)| Marker { at_ms: at.max(from_ms), text: clean(&text) };
        self.newest.into_iter().map(marker).collect()
    }
}

/// As many lines as can be told apart, the heaviest, in their order and with their colours; and what is said of others, `unread` ones too.
fn lines(found: Vec<Found>, unread: usize, style: &Style, kind: Kind) -> (Vec<Line>, String) {
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
    if kind == Kind::Line {
        let left = left + unread;
        return (lines, if left > 0 { format!("+ {left} more") } else { String::new() });
    }
    let note = if unread > 0 { format!("+ {unread} more, not added up") } else { String::new() };
    if rest.is_empty() {
        return (lines, note);
    }
    // On top of each other all count.
    let mut sums: std::collections::BTreeMap<i64, f64> = std::collections::BTreeMap::new();
    for (at, value) in rest.iter().flat_map(|line| &line.points).filter(|(_, value)| value.is_finite()) {
        *sums.entry(*at).or_default() += value;
    }
    let [.., colour] = COLOURS;
    lines.push(Line { name: format!("{left} others"), colour, filled: true, points: sums.into_iter().collect() });
    (lines, note)
}
