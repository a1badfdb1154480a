//! `/api/find`: nodes by what somebody remembers of their paths.

use super::answer::{Answer, Refusal};
use super::args::Family;
use super::ls::{Lines, limit};
use super::turn::in_turn;
use super::web::Web;
use crate::core::Shared;
use crate::limits::{FIND_MAX, LOOK_NODES};
use crate::tree::{Search, parse_plain};
use compact_str::CompactString;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FAMILY: Family = Family { name: "/api/find", known: &["q", "limit"], keys: false };

/// `/api/find?q=web1 idle&limit=20`: the nodes whose paths fit best, the best first:
/// `{"tick":7,"found":[{"path":"cpu,web1,idle","value":98.2,"action":"average","kind":"number","children":0,"changed":7}]}`, each told as `/api/ls/`
/// tells of a child. Every word of the question must be in the path, or its letters in that order; only nodes whose own key has to
/// do with it are found. `X-Truncated: 1` says that the time was over before all of the tree was looked at, or that there was no room for
/// more paths.
///
/// # Errors
/// 400 without a question, 503 where too many are looked after.
pub(super) async fn find(web: &Web, query: &str) -> Result<Answer, Refusal> {
    let asked = FAMILY.read(query)?;
    let limit = limit(&FAMILY, asked.limit)?;
    let question = asked
        .question
        .ok_or_else(|| Refusal::bad("/api/find: no question; ask for some of a path, such as /api/find?q=web1+idle"))?;
    let shared = Arc::clone(&web.shared);
    let work =
        move |waited_for: &dyn Fn() -> bool| answer(&shared, Search::new(&question, limit), FIND_MAX, waited_for);
    in_turn(web, &web.looking, FAMILY.name, work).await
}

/// Looks for no longer than that, and for as long as it is waited for.
pub(super) fn answer(shared: &Shared, mut search: Search, most: Duration, waited_for: &dyn Fn() -> bool) -> Answer {
    let began = Instant::now();
    let mut cut = false;
    // The lock is taken anew each time: whoever waits to write comes before.
    while !cut && search.look(&shared.tree.read(), LOOK_NODES) {
        cut = began.elapsed() >= most || !waited_for();
    }
    while waited_for() && search.name(&shared.tree.read(), LOOK_NODES) {}
    let (found, full) = search.found();
    let mut lines = Lines::new(shared, Vec::with_capacity(1_024));
    let tick = lines.tick();
    lines.out.extend_from_slice(format!("{{\"tick\":{tick},\"found\":[").as_bytes());
    for found in found {
        let Ok(keys) = parse_plain(&found.path) else { continue };
        lines.line("path", &found.path, &keys.iter().map(CompactString::as_str).collect::<Vec<_>>());
    }
    let mut out = lines.out;
    out.extend_from_slice(b"]}");
    Answer::json(out).at_tick(tick, cut || full)
}
