//! What the tree says of a path: what can be drawn of it, and what is there now.

use super::{Question, Wrong, below, listed, name, still};
use crate::graph::styles::Style;
use crate::graph::{Kind, List};
use crate::limits::{GRAPH_CHILDREN_MAX, GRAPH_LINES_MAX, GRAPH_LIST_MAX, GRAPH_TEXT_CHARS, LOOK_NODES};
use crate::tree::{NodeRef, Pattern, Ranked, Ranking, Reading, Step, Tree, Want};
use crate::trend::Figure;
use parking_lot::RwLock;
use plugin_api::Action;

/// What the tree says of a path.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) there: bool,
    pub(super) children: Children,
    pub(super) figure: Option<Figure>,
    /// What can be told beside it in a picture that has nothing else.
    pub(super) more: &'static [Figure],
    pub(super) unit: String,
}

/// The children of a branch without a value of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Children {
    /// There are none with a value, or it is no such branch.
    #[default]
    None,
    /// So few that all can be asked for.
    Few,
    /// So many that only the heaviest can.
    Many,
}

/// The figures of quantiles by themselves.
const QUANTILES: [Figure; 3] = [Figure::Quantile(0.5), Figure::Quantile(0.9), Figure::Quantile(0.99)];

/// Nodes that are looked at to find one that a pattern means.
const TRIES: usize = 10_000;

impl Facts {
    /// Of a path.
    pub(super) fn of(tree: &Tree, pattern: &Pattern) -> Facts {
        let mut tries = TRIES;
        let Some(node) = first(tree.root(), pattern.steps(), &mut tries) else { return Facts::default() };
        let mut facts = Facts { there: true, ..Facts::default() };
        let branch = pattern.is_plain() && node.own(Want::Value).is_none() && !node.is_leaf();
        let found = valued(node, &mut tries);
        if branch && (found.is_some() || tries == 0) {
            let many = node.children_count() > GRAPH_CHILDREN_MAX;
            facts.children = if many { Children::Many } else { Children::Few };
        }
        let Some((leaf, reading)) = found else { return facts };
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

/// The tree, and how to ask whether it is still to be looked at.
pub(super) type LookedAt<'a> = (&'a RwLock<Tree>, &'a dyn Fn() -> bool);

/// The keys of the heaviest children of a branch, and how many others there are.
pub(super) fn heaviest(looked_at: LookedAt<'_>, branch: &Pattern) -> Result<(Vec<String>, usize), Wrong> {
    let weigh = |_: &str, reading: &Reading<'_>| Some((false, number(reading, Figure::Value)?));
    let ranking = Ranking::new(&below(branch), Want::Value, GRAPH_LINES_MAX, usize::MAX);
    let Ranked { rows, found } = ranked(looked_at, ranking, weigh)?;
    let others = found.saturating_sub(rows.len());
    Ok((rows.into_iter().map(|(key, _)| key).collect(), others))
}

/// Looks at the tree in pieces, so that the core is not held up.
fn ranked(
    (tree, waited_for): LookedAt<'_>,
    mut ranking: Ranking,
    weigh: impl Fn(&str, &Reading<'_>) -> Option<(bool, f64)>,
) -> Result<Ranked, Wrong> {
    while ranking.look(&tree.read(), LOOK_NODES, &weigh) {
        still(waited_for)?;
    }
    Ok(ranking.finish())
}

/// What is there now, as a list.
pub(super) fn now(
    looked_at: LookedAt<'_>,
    question: &Question,
    style: &'static Style,
    kind: Kind,
    facts: &Facts,
    figure: Figure,
) -> Result<List, Wrong> {
    if !facts.there {
        return Err(Wrong::Missing);
    }
    let want = if figure == Figure::Rate { Want::Rate } else { Want::Value };
    let asked = if facts.children == Children::None { question.pattern.clone() } else { below(&question.pattern) };
    let folds = asked.steps().iter().position(|step| *step == Step::Fold).unwrap_or(usize::MAX);
    let several = asked.steps().iter().take(folds).any(|step| *step == Step::Each);
    let keys = asked.steps().iter().filter(|step| **step == Step::Each).count();
    let all = if several {
        // More of a name is not shown, whatever its letters are.
        let ranking = Ranking::new(&asked, want, GRAPH_LIST_MAX, 4 * GRAPH_TEXT_CHARS);
        let known = |key: &str| keys == 1 && style.key(key).is_some();
        ranked(looked_at, ranking, |key, reading| Some((known(key), number(reading, figure)?)))?
    } else {
        let tree = looked_at.0.read();
        let found = tree.values(&asked, want, 1);
        let row = |(path, reading): &(String, Reading<'_>)| Some((name(&asked, path), number(reading, figure)?));
        let rows: Vec<(String, f64)> = found.iter().filter_map(row).filter(|(_, value)| value.is_finite()).collect();
        Ranked { found: rows.len(), rows }
    };
    Ok(listed(all.rows, all.found, style, kind))
}
