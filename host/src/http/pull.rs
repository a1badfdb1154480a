//! `/pull/`: waits for a change, once or as a stream of events.

use super::answer::{Answer, Frames, Refusal, X_FORGOT};
use super::args::Family;
use super::live::{Delivery, Event, Member, Query, Sat};
use super::seats::{Seat, Sitting};
use super::wait::Waits;
use super::web::Web;
use crate::limits::{ANSWER_NODES_MAX, PULL_WAIT_MAX, STREAM_QUIET_MAX};
use futures_util::{FutureExt, stream};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use warp::http::HeaderMap;
use warp::http::header::ACCEPT;
use warp::hyper::body::Bytes;

const FAMILY: Family = Family { name: "/pull/", known: &["since", "wait", "limit"], keys: true };

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
    let since = last_event(headers)?.or(asked.since);
    if wants_stream(headers) {
        let feed = Feed::new(web.groups.join(query, since), web.stopping.clone());
        return Ok(Answer::waits(Waits::Stream(feed)));
    }
    let forgot = since.is_some_and(|since| web.shared.tree.read().forgot_removals_since(since));
    let mut member = web.groups.join(query, since);
    let known = match member.catch_up().await {
        Some(delivery) => Some(delivery),
        None => member.next().now_or_never(),
    };
    let wait = asked.wait.unwrap_or(PULL_WAIT_MAX);
    let once = Once { member, wait, forgot, stopping: web.stopping.clone() };
    Ok(match known {
        Some(delivery) => once.told(Ok(delivery)),
        None => Answer::waits(Waits::Once(once)),
    })
}

/// One answer that is waited for.
pub(super) struct Once {
    member: Member,
    wait: Duration,
    /// The client has to be told that leaves were forgotten.
    forgot: bool,
    stopping: watch::Receiver<bool>,
}

impl Once {
    /// Waits for it.
    pub(super) async fn answer(mut self) -> Answer {
        let delivery = tokio::select! {
            delivery = self.member.next() => Ok(delivery),
            () = sleep(self.wait) => self.member.give_up(),
            _ = self.stopping.wait_for(|stop| *stop) => self.member.give_up(),
        };
        self.told(delivery)
    }

    fn told(&self, delivery: Result<Arc<Delivery>, u64>) -> Answer {
        let answer = match delivery {
            Ok(delivery) => Answer::json(delivery.json.clone()).at_tick(delivery.tick, delivery.truncated),
            Err(tick) => Answer::json("[]").at_tick(tick, false),
        };
        if self.forgot { answer.header(X_FORGOT, 1) } else { answer }
    }
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
pub(super) struct Feed {
    member: Member,
    stopping: watch::Receiver<bool>,
    /// When something is to be said, though nothing has happened; it is moved only when it would come too early, and there only for a
    /// stream that does not sit.
    quiet: Option<Pin<Box<Sleep>>>,
    /// When something was said last.
    said: Instant,
    begun: bool,
}

impl Feed {
    fn new(member: Member, stopping: watch::Receiver<bool>) -> Feed {
        Feed { member, stopping, quiet: None, said: Instant::now(), begun: false }
    }

    /// The next event. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Event {
        if !std::mem::replace(&mut self.begun, true) {
            return Event::opened();
        }
        loop {
            let due = self.said + STREAM_QUIET_MAX;
            let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep_until(due)));
            tokio::select! {
                biased;
                delivery = self.member.next() => {
                    self.said = Instant::now();
                    return Event::Told(delivery);
                }
                () = &mut *quiet => {
                    if due > Instant::now() {
                        quiet.as_mut().reset(due);
                        continue;
                    }
                    self.said = Instant::now();
                    quiet.as_mut().reset(self.said + STREAM_QUIET_MAX);
                    return Event::silent();
                }
            }
        }
    }

    /// The next event, if there is one.
    pub(super) async fn now(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Event::opened());
        }
        if let Some(delivery) = self.member.at_once().await {
            self.said = Instant::now();
            return Some(Event::Told(delivery));
        }
        None
    }

    /// From now on the stream is told what comes where it sits.
    pub(super) fn sit(&self, seat: &Arc<Seat>, plain: bool) -> Sat {
        self.member.sit(seat, plain, self.said)
    }

    /// It was told so much while it sat.
    pub(super) fn stood(&mut self, sitting: &Sitting) {
        self.member.stood(sitting);
        self.said = sitting.said;
    }

    /// Ends when the daemon stops.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    /// As the body of an answer.
    pub(super) fn frames(self) -> Frames {
        Box::pin(stream::unfold(self, async |mut feed| {
            let stopped = feed.stopped();
            tokio::select! {
                biased;
                event = feed.next() => Some((Ok::<Bytes, Infallible>(event.chunk().shared()), feed)),
                () = stopped => None,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::live::{Groups, Place};
    use crate::http::testing::shared;

    #[test]
    fn who_stands_up_knows_what_it_was_told_and_when() {
        let groups = Groups::new(shared(None));
        let query = Query { patterns: vec![crate::tree::Pattern::parse("a").unwrap()], limit: 1_000 };
        let mut feed = Feed::new(groups.join(query, None), watch::channel(false).1);
        let said = feed.said + Duration::from_secs(5);
        let place = Place { number: 7, since: 9 };
        feed.stood(&Sitting { plain: false, place, said, sent: 0, unsaid: None });
        assert_eq!((feed.said, feed.member.place()), (said, (7, 9)));
    }
}
