//! `/get/`: what paths are worth now. And what `/api/q/` shares with it: a subtree in the shape in which documents come in.

use super::answer::{Answer, Refusal};
use super::args::{Asked, Family};
use super::figure::Figure;
use super::web::Web;
use crate::core::Shared;
use crate::json::{MetaRoom, Room, Shape, write_metas, write_number, write_string, write_view_in};
use crate::limits::ANSWER_NODES;
use crate::tree::{Hit, Pattern, Step, Tree, Want};
use plugin_api::limits::DEPTH_MAX;
use std::sync::Arc;

const FAMILY: Family = Family { name: "/get/", known: &["as", "window", "depth", "limit", "meta"], keys: true };

/// `/get/?key-br,ie&key-os`: an object a key, with a member a match.
///
/// `as=` gives one figure of each instead of its subtree; `as=value` and `as=rate` with a `depth=` give the subtree of
/// these. `window=1m` alone means `as=value`.
///
/// `meta=1` gives each object one member more, `"meta":{"PATH":{…}}`: the metadata of every node that the answer shows and
/// that has any, by its whole path. A branch that is called `meta` is answered as `%6Deta` then, which means the same.
/// What folds has none.
///
/// # Errors
/// 400 for arguments that are not known.
pub(super) async fn get(web: &Web, query: &str) -> Result<Answer, Refusal> {
    let asked = FAMILY.read(query)?;
    if is_short(&asked) {
        return Ok(answer(&web.shared, &asked));
    }
    let shared = Arc::clone(&web.shared);
    apart(move || answer(&shared, &asked)).await
}

/// Does what may take its time where it holds up no other request.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::stopping())
}

/// Whether an answer takes microseconds for sure, or nearly so: paths of nodes, of which each is one figure or not too
/// many nodes. What folds may fold the whole tree.
fn is_short(asked: &Asked) -> bool {
    asked.keys.iter().all(Pattern::is_plain) && !asked.meta && asked.limit.unwrap_or(ANSWER_NODES) <= ANSWER_NODES
}

fn answer(shared: &Shared, asked: &Asked) -> Answer {
    let mut out = Vec::with_capacity(128);
    let mut room = Room::new(asked.limit.unwrap_or(ANSWER_NODES));
    let mut metas = MetaRoom::new(room.left);
    let tree = shared.tree.read();
    out.push(b'[');
    for (i, pattern) in asked.keys.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let had = room.left;
        write_found(&mut out, &tree, pattern, asked, &mut room);
        if asked.meta {
            write_meta_member(&mut out, &tree, pattern, asked, had, &mut metas);
        }
        out.push(b'}');
    }
    out.push(b']');
    let tick = tree.tick();
    drop(tree);
    Answer::json(out).at_tick(tick, room.cut || metas.is_cut())
}

/// Writes the object of one key argument, all but its end.
fn write_found(out: &mut Vec<u8>, tree: &Tree, pattern: &Pattern, asked: &Asked, room: &mut Room) {
    // One more than there is room for tells that there is more.
    let most = room.left.saturating_add(1);
    let begin = out.len();
    let figure = asked.figure.or(asked.last_minute.then_some(Figure::Value));
    match figure {
        Some(figure @ (Figure::Value | Figure::Rate)) if asked.depth.is_none() || asked.last_minute => {
            let want = if figure == Figure::Rate { Want::Rate } else { Want::Value };
            for (path, reading) in tree.values(pattern, want, most) {
                if !member(out, begin, &path, asked, room) {
                    break;
                }
                figure.write(out, &reading, asked.last_minute);
            }
        }
        Some(Figure::Error) => {
            for (path, hit) in tree.select(pattern, Want::Value, most) {
                if !member(out, begin, &path, asked, room) {
                    break;
                }
                match hit {
                    Hit::Node(node) => write_number(out, node.error()),
                    Hit::Folded(_) => out.extend_from_slice(b"null"),
                }
            }
        }
        None | Some(Figure::Value | Figure::Rate) => {
            let want = if figure == Some(Figure::Rate) { Want::Rate } else { Want::Value };
            for (path, hit) in tree.select(pattern, want, most) {
                if !member(out, begin, &path, asked, room) {
                    break;
                }
                write_subtree(out, &hit, want, asked.depth, room);
            }
        }
        Some(figure) => {
            for (path, reading) in tree.values(pattern, Want::Value, most) {
                if !member(out, begin, &path, asked, room) {
                    break;
                }
                figure.write(out, &reading, asked.last_minute);
            }
        }
    }
    if out.len() == begin {
        out.push(b'{');
        // A `*` lists what there is, and there is nothing; any other path is there or not.
        if !pattern.steps().contains(&Step::Each) {
            write_string(out, name(&pattern.to_string(), asked));
            out.extend_from_slice(b":null");
        }
    }
}

/// Writes the member with the metadata of what one key argument finds: of the first `most` nodes, and of as much below them
/// as is shown.
fn write_meta_member(
    out: &mut Vec<u8>,
    tree: &Tree,
    pattern: &Pattern,
    asked: &Asked,
    most: usize,
    metas: &mut MetaRoom,
) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(b"\"meta\":{");
    if !pattern.folds() {
        let subtree = matches!(asked.figure, None | Some(Figure::Value | Figure::Rate)) && !asked.last_minute;
        let whole = if asked.figure.is_none() { DEPTH_MAX } else { 0 };
        let depth = if subtree { asked.depth.unwrap_or(whole) } else { 0 };
        for (path, hit) in tree.select(pattern, Want::Value, most) {
            if let Hit::Node(node) = hit {
                write_metas(out, node, &path, depth, metas);
            }
        }
    }
    out.push(b'}');
}

/// Begins a member of the object that begins at `begin`, if there is room.
fn member(out: &mut Vec<u8>, begin: usize, path: &str, asked: &Asked, room: &mut Room) -> bool {
    let fits = room.take();
    if fits {
        out.push(if out.len() == begin { b'{' } else { b',' });
        write_string(out, name(path, asked));
        out.push(b':');
    }
    fits
}

/// A path as the name of a member beside which there may be one with metadata.
fn name<'p>(path: &'p str, asked: &Asked) -> &'p str {
    if asked.meta && path == "meta" { "%6Deta" } else { path }
}

/// Writes what was found with all that hangs below it, as deep as there is room.
pub(super) fn write_subtree(out: &mut Vec<u8>, hit: &Hit<'_>, want: Want, depth: Option<usize>, room: &mut Room) {
    let shape = Shape { want, depth: depth.unwrap_or(DEPTH_MAX), limit: room.left };
    match hit {
        Hit::Node(node) => write_view_in(out, node, shape, room),
        Hit::Folded(folded) => {
            write_view_in(out, folded, shape, room);
            room.cut |= folded.is_cut();
        }
    }
}
