//! What a picture shows, from the tree and from history.

mod now;
mod past;
#[cfg(test)]
mod tests;

use super::figures::Unit;
use super::styles::{COLOURS, Style};
use super::{Body, Kind, List, Look, Picture, clean};
use crate::limits::GRAPH_LIST_MAX;
use crate::tree::{Pattern, Step, Tree};
use crate::trend::{AskError, Figure, Fold, Retention, Trend};
use now::{Facts, now};
use parking_lot::RwLock;
use past::Asking;

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
    /// Whoever asked for it has left.
    Left,
}

/// A picture of what is asked, for as long as it is `waited_for`.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn gather(
    tree: &RwLock<Tree>,
    trend: Option<&dyn Trend>,
    question: &Question,
    look: &Look,
    waited_for: &dyn Fn() -> bool,
) -> Result<Picture, Wrong> {
    let kind = look.kind.unwrap_or(look.style.kind);
    let timed = question.from.or(question.to).or(question.step_ms).is_some();
    let is_list = kind == Kind::Top || (kind == Kind::Bar && !timed);
    let facts = Facts::of(&tree.read(), &question.pattern);
    let figures = match (&*question.figures, facts.figure) {
        ([], Some(figure)) if is_list => vec![if timed { figure } else { Figure::Value }],
        ([], _) if !facts.more.is_empty() => facts.more.to_vec(),
        ([], figure) => vec![figure.unwrap_or(Figure::Value)],
        (asked, _) => asked.to_vec(),
    };
    let unit = unit(question, look.style, &facts, &figures);
    let title = clean(&look.title.clone().unwrap_or_else(|| question.pattern.to_string()));
    let (body, note) = if is_list && !timed {
        if !question.markers.is_empty() || question.fold.is_some() {
            return Err(Wrong::Asked(
                "markers and fold are for pictures over time: name one, such as from=-1d".to_owned(),
            ));
        }
        let figure = figures.first().copied().unwrap_or(Figure::Value);
        (Body::List(now((tree, waited_for), question, look.style, kind, &facts, figure)?), String::new())
    } else {
        let asking =
            Asking { tree, trend: trend.ok_or(Wrong::NoHistory)?, question, figures, facts: &facts, waited_for };
        if is_list { (Body::List(asking.list(look, kind)?), String::new()) } else { asking.lines(look, kind)? }
    };
    still(waited_for)?;
    Ok(Picture { title, unit, body, note })
}

/// # Errors
/// [`Wrong::Left`] when it is not waited for any more.
fn still(waited_for: &dyn Fn() -> bool) -> Result<(), Wrong> {
    if waited_for() { Ok(()) } else { Err(Wrong::Left) }
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

/// Rows in their order, as many as there is room for, of so many that there are.
fn listed(mut rows: Vec<(String, f64)>, found: usize, style: &Style, kind: Kind) -> List {
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows.truncate(GRAPH_LIST_MAX);
    let colours = rows.iter().map(|(name, _)| style.key(name).map_or(COLOURS[0], |(_, key)| key.colour)).collect();
    let more = found.saturating_sub(rows.len());
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
