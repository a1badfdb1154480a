//! `/pull/`: waits for a change, once or as a stream of events.

use super::answer::{Answer, Frames, Refusal, X_FORGOT};
use super::args::Family;
use super::live::{Member, Query};
use super::web::Web;
use crate::limits::{ANSWER_NODES_MAX, PULL_WAIT_MAX, STREAM_QUIET_MAX};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use warp::http::HeaderMap;
use warp::http::header::{ACCEPT, HeaderValue};
use warp::hyper::body::Bytes;

const FAMILY: Family = Family { name: "/pull/", known: &["since", "wait", "limit"], keys: true };

/// What a stream begins with: a browser comes back this much later (in milliseconds) when the connection breaks.
const OPENING: &[u8] = b"retry: 2000\n\n";

/// A comment, so that a silent stream is not taken for a dead one.
const QUIET: &[u8] = b": nothing new\n\n";

/// `/pull/?key-…[&since=TICK][&wait=10s][&limit=]`: the leaves that changed, when any has.
///
/// The answer's `X-Tick`, as the next `since`, continues without a gap: it is the last closed tick of which all is in
/// the answer. Without a `limit` nothing is cut; what a `limit` cuts is not told again, and `X-Truncated` says so. A
/// `wait` beyond [`PULL_WAIT_MAX`] is that. `X-Forgot` says that leaves went since `since` of which nobody can tell any
/// more: whoever keeps a copy asks `/get/` anew.
///
/// # Errors
/// 400 for arguments that are not known.
pub(super) async fn pull(web: &Web, query: &str, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let asked = FAMILY.read(query)?;
    let query = Query { patterns: asked.keys, limit: asked.limit.unwrap_or(ANSWER_NODES_MAX) };
    if wants_stream(headers) {
        let since = last_event(headers)?.or(asked.since);
        let feed = Feed { member: web.groups.join(query, since), stopping: web.stopping.clone(), begun: false };
        let frames: Frames = Box::pin(stream::unfold(feed, Feed::next));
        return Ok(Answer::frames(HeaderValue::from_static("text/event-stream"), frames));
    }
    let forgot = asked.since.is_some_and(|since| web.shared.tree.read().forgot_removals_since(since));
    let mut member = web.groups.join(query, asked.since);
    let mut stopping = web.stopping.clone();
    let delivery = match member.catch_up().await {
        Some(delivery) => Ok(delivery),
        None => tokio::select! {
            delivery = member.next() => Ok(delivery),
            () = sleep(asked.wait.unwrap_or(PULL_WAIT_MAX)) => member.give_up(),
            _ = stopping.wait_for(|stop| *stop) => member.give_up(),
        },
    };
    let answer = match delivery {
        Ok(delivery) => Answer::json(delivery.json.clone()).at_tick(delivery.tick, delivery.truncated),
        Err(tick) => Answer::json("[]").at_tick(tick, false),
    };
    Ok(if forgot { answer.header(X_FORGOT, 1) } else { answer })
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/event-stream")))
}

/// Where a stream that broke was: an `EventSource` comes back with the URL it began with, so this is the newer tick.
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else { return Ok(None) };
    let tick = id.to_str().ok().and_then(|id| id.parse().ok());
    tick.map(Some).ok_or_else(|| Refusal::bad(format_args!("/pull/: Last-Event-ID: {id:?} is no tick; leave it out")))
}

/// A stream of events.
struct Feed {
    member: Member,
    stopping: watch::Receiver<bool>,
    begun: bool,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Feed)> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some((Ok(Bytes::from_static(OPENING)), self));
        }
        let event = tokio::select! {
            delivery = timeout(STREAM_QUIET_MAX, self.member.next()) => match delivery {
                Ok(delivery) => Arc::clone(&delivery).event(),
                Err(_) => Bytes::from_static(QUIET),
            },
            _ = self.stopping.wait_for(|stop| *stop) => return None,
        };
        Some((Ok(event), self))
    }
}
