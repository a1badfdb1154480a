//! `/healthz` and `/readyz`: for those who only want to know whether to restart it, and whether to send to it.

use super::answer::{Answer, JSON, TEXT};
use super::web::Web;
use std::sync::atomic::Ordering;
use warp::http::StatusCode;

/// The process answers.
pub(super) fn alive() -> Answer {
    Answer::new(StatusCode::OK, TEXT, "ok")
}

/// It takes pushes and closes ticks; 503 while it stops, and at the start until every module has been tried, and while what the
/// tree holds cannot be written down.
pub(super) fn ready(web: &Web) -> Answer {
    let uncommitted = web.shared.commit_error.lock().clone();
    let ready = web.shared.ready.load(Ordering::Acquire) && !*web.stopping.borrow() && uncommitted.is_none();
    let tick = web.shared.tree.read().tick();
    let mut body = serde_json::json!({ "ready": ready, "tick": tick });
    if let Some(why) = uncommitted {
        body["why"] = why.into();
    }
    // That keeps nobody from sending.
    if let Some(why) = web.shared.clock_doubt.lock().clone() {
        body["clock"] = why.into();
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::new(status, JSON, body.to_string())
}
