//! `/api/ls/PATH`: the children of a node, a page at a time. It is what a tree on a page opens its branches by.

use super::answer::{Answer, Refusal};
use super::args::{Family, decode};
use super::get::apart;
use super::turn::in_turn;
use super::web::Web;
use crate::core::Shared;
use crate::json::{View, write_number, write_reading, write_string};
use crate::limits::{
    LISTED, LISTED_BYTES_MAX, LISTED_FOLD_MAX, LISTED_FOLDS_MAX, LISTED_MAX, LISTED_TEXT_BYTES, LOOK_NODES,
};
use crate::tree::{Listing, Looked, NodeRef, Reading, Tree, Want, encode_path, parse_plain};
use compact_str::CompactString;
use parking_lot::RwLockReadGuard;
use plugin_api::Action;
use std::sync::Arc;
use warp::http::StatusCode;

const FAMILY: Family = Family { name: "/api/ls/", known: &["after", "limit"], keys: false };

/// Bytes of a name whose writing costs as much as a node that is looked at.
const BYTES_A_NODE: usize = 64;

/// All of the URL after `/api/ls/` is one path, as with `/api/q/`; no path is the root. Its children in the order of their keys' bytes,
/// from the one behind `after` on, `limit` of them:
/// `{"total":3,"tick":7,"children":[{"key":"idle","value":98.2,"action":"average","kind":"number","children":0,"changed":7}]}`;
/// `total` is how many it has that there is something to tell of, `changed` the tick in which the child or something below it changed
/// last. `X-Truncated: 1` says that there are more behind these: more than `limit`, or than an answer has room for.
///
/// A value is a node's own or what its children fold to; of quantiles the p50, of a distinct count the estimate. Where a fold would take
/// too long, the value is null and the kind `branch`: `/get/` takes that time. A long text is cut, and ends with `…`. `top` is what has
/// keys to list.
///
/// # Errors
/// 400 for a path that is none, 404 for one that is not there, 503 where too many are looked after.
pub(super) async fn list(web: &Web, rest: &str, query: &str) -> Result<Answer, Refusal> {
    let asked = FAMILY.read(query)?;
    let limit = limit(&FAMILY, asked.limit)?;
    let path = decode(rest, false)
        .ok_or_else(|| Refusal::bad(format_args!("/api/ls/: the escapes in {rest:?} do not spell UTF-8")))?;
    let path = parse_plain(&path).map_err(|error| Refusal::bad(format_args!("/api/ls/: path {path:?}: {error}")))?;
    let mut listing = Listing::new(path.clone(), asked.after.as_deref(), limit);
    let shared = Arc::clone(&web.shared);
    let first = listing.look(&shared.tree.read(), LOOK_NODES);
    let listed = if first == Looked::Goes {
        in_turn(web, &web.looking, FAMILY.name, move |waited_for| {
            while waited_for() {
                let looked = listing.look(&shared.tree.read(), LOOK_NODES);
                if looked != Looked::Goes {
                    return answer(&shared, &path, listing, looked).ok_or(path);
                }
            }
            Err(path)
        })
        .await?
    } else {
        apart(move || answer(&shared, &path, listing, first).ok_or(path)).await?
    };
    listed.map_err(|path| {
        let path = encode_path(path.iter().map(CompactString::as_str));
        let why = format_args!("there is no {path:?} in the tree; /api/ls/ shows its branches");
        Refusal::new(StatusCode::NOT_FOUND, why)
    })
}

/// How many nodes are to be listed.
///
/// # Errors
/// 400 for more than there may be.
pub(super) fn limit(family: &Family, asked: Option<usize>) -> Result<usize, Refusal> {
    let limit = asked.unwrap_or(LISTED);
    if limit > LISTED_MAX {
        return Err(Refusal::bad(format_args!(
            "{}: limit={limit}: must be between 1 and {LISTED_MAX} nodes",
            family.name
        )));
    }
    Ok(limit)
}

fn answer(shared: &Shared, path: &[CompactString], listing: Listing, looked: Looked) -> Option<Answer> {
    let Looked::Done { children } = looked else { return None };
    let (page, mut more) = listing.page();
    let mut lines = Lines::new(shared, Vec::with_capacity(64 + page.len() * 64));
    let tick = lines.tick();
    let head = format!("{{\"total\":{children},\"tick\":{tick},\"children\":[");
    lines.out.extend_from_slice(head.as_bytes());
    let mut steps: Vec<&str> = path.iter().map(CompactString::as_str).collect();
    for key in &page {
        // Whoever asks for what is behind the last key goes on with this one.
        if lines.out.len() >= LISTED_BYTES_MAX {
            more = true;
            break;
        }
        steps.push(key);
        lines.line("key", key, &steps);
        steps.pop();
    }
    let mut out = lines.out;
    out.extend_from_slice(b"]}");
    Some(Answer::json(out).at_tick(tick, more))
}

/// Writes nodes as lists have them, and lets the core at the tree now and then. What changes meanwhile is written as it is then: the tick
/// of the beginning loses nothing.
pub(super) struct Lines<'s> {
    pub(super) out: Vec<u8>,
    tree: RwLockReadGuard<'s, Tree>,
    first: bool,
    /// What may still be looked at before the core has its turn.
    turn: usize,
    /// What folds may still cost.
    folds: usize,
}

impl<'s> Lines<'s> {
    pub(super) fn new(shared: &'s Shared, out: Vec<u8>) -> Lines<'s> {
        Lines { out, tree: shared.tree.read(), first: true, turn: LOOK_NODES, folds: LISTED_FOLDS_MAX }
    }

    /// The tick that is over.
    pub(super) fn tick(&self) -> u64 {
        self.tree.tick()
    }

    /// Writes the node at `path`, if it is still there; it is called `text`, in a member of this name.
    pub(super) fn line(&mut self, name: &str, text: &str, path: &[&str]) {
        let Some(node) = self.tree.node(path) else { return };
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        let out = &mut self.out;
        out.push(b'{');
        write_string(out, name);
        out.push(b':');
        write_string(out, text);
        // Its own value is always told: only what folds may be too much.
        let (cost, cheap) = match node.own_cost() {
            Some(cost) => (cost, true),
            None => {
                let most = self.folds.min(LISTED_FOLD_MAX);
                let cost = node.fold_cost(most);
                // What was too much has been looked at as far as that.
                self.folds -= cost.unwrap_or(most);
                (cost.unwrap_or(most), cost.is_some())
            }
        };
        write_line(out, node, cheap);
        self.turn = self.turn.saturating_sub(1 + cost + text.len() / BYTES_A_NODE);
        if self.turn == 0 {
            self.turn = LOOK_NODES;
            RwLockReadGuard::bump(&mut self.tree);
        }
    }
}

/// Writes what is said of a node, all but its name; its value where that costs little.
fn write_line(out: &mut Vec<u8>, node: NodeRef<'_>, cheap: bool) {
    let value = if cheap { node.value(Want::Value) } else { None };
    let action = node.action();
    let kind = match (&value, action) {
        (Some(Reading::Quantiles(_)), _) => "quantiles",
        (Some(Reading::Distinct(_)), _) => "distinct",
        (Some(Reading::Text(_) | Reading::Bool(_)), _) => "text",
        // What hangs below one has its action too.
        (Some(_), Some(Action::Top { .. })) if node.children_count() > 0 => "top",
        (Some(Reading::Number(_)), _) => "number",
        (None, _) => "branch",
    };
    out.extend_from_slice(b",\"value\":");
    match &value {
        Some(Reading::Text(text)) if text.len() > LISTED_TEXT_BYTES => {
            write_string(out, &format!("{}…", &text[..text.floor_char_boundary(LISTED_TEXT_BYTES)]));
        }
        Some(reading) => write_reading(out, reading, View::Figure { quantile: 0.5, last_minute: false }),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"action\":");
    match action {
        Some(action) => write_string(out, &action.to_string()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"kind\":");
    write_string(out, kind);
    out.extend_from_slice(b",\"children\":");
    write_number(out, node.children_count() as f64);
    out.extend_from_slice(b",\"changed\":");
    write_number(out, node.changed() as f64);
    out.push(b'}');
}
