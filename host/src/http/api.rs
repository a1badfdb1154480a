//! `/api/q/PATH.json`: a subtree.

use super::answer::{Answer, Refusal};
use super::args::{Asked, Family, decode};
use super::get::{apart, write_subtree};
use super::web::Web;
use crate::core::Shared;
use crate::json::{MetaRoom, Room, write_metas};
use crate::limits::ANSWER_NODES;
use crate::tree::{Hit, Pattern, Step, Want};
use plugin_api::limits::DEPTH_MAX;
use std::sync::Arc;
use warp::http::StatusCode;

const FAMILY: Family = Family { name: "/api/q/", known: &["depth", "limit", "meta"], keys: false };

/// All of the URL after `/api/q/` is one path, so slashes are part of keys; it is decoded once, and its `.json` may be
/// left out. No path is the whole tree. A path that folds is answered folded.
///
/// `meta=1` answers `{"value":…,"meta":{"PATH":{…}}}`: the subtree as it is without that, and the metadata of each node of it
/// that has any. These paths are from the subtree on: the metadata of its own node is at `""`. A fold has none.
///
/// # Errors
/// 400 for a path that is none, 404 for one that is not there.
pub(super) async fn subtree(web: &Web, rest: &str, query: &str) -> Result<Answer, Refusal> {
    let asked = FAMILY.read(query)?;
    let path = decode(rest, false)
        .ok_or_else(|| Refusal::bad(format_args!("/api/q/: the escapes in {rest:?} do not spell UTF-8")))?;
    let path = path.strip_suffix(".json").unwrap_or(&path);
    let pattern =
        Pattern::parse(path).map_err(|error| Refusal::bad(format_args!("/api/q/: path {path:?}: {error}")))?;
    if pattern.steps().contains(&Step::Each) {
        return Err(Refusal::bad(format_args!("/api/q/ answers one subtree; /get/?key-{path} lists what a * matches")));
    }
    let room = Room::new(asked.limit.unwrap_or(ANSWER_NODES));
    let Asked { depth, meta, .. } = asked;
    let missing = || {
        let why = format_args!("there is no {path:?} in the tree; /get/?key-&depth=1 shows its branches");
        Refusal::new(StatusCode::NOT_FOUND, why)
    };
    if pattern.is_plain() && room.left <= ANSWER_NODES && !meta {
        return answer(&web.shared, &pattern, depth, meta, room).ok_or_else(missing);
    }
    let shared = Arc::clone(&web.shared);
    let pattern_there = pattern.clone();
    apart(move || answer(&shared, &pattern_there, depth, meta, room)).await?.ok_or_else(missing)
}

fn answer(shared: &Shared, pattern: &Pattern, depth: Option<usize>, meta: bool, mut room: Room) -> Option<Answer> {
    let tree = shared.tree.read();
    let found = tree.select(pattern, Want::Value, 1);
    let (_, hit) = found.first()?;
    let mut out = Vec::with_capacity(256);
    let mut metas = MetaRoom::new(room.left);
    if meta {
        out.extend_from_slice(b"{\"value\":");
    }
    room.take();
    write_subtree(&mut out, hit, Want::Value, depth, &mut room);
    if meta {
        out.extend_from_slice(b",\"meta\":{");
        if let Hit::Node(node) = hit {
            write_metas(&mut out, *node, "", depth.unwrap_or(DEPTH_MAX), &mut metas);
        }
        out.extend_from_slice(b"}}");
        room.cut |= metas.is_cut();
    }
    Some(Answer::json(out).at_tick(tree.tick(), room.cut))
}
