//! What handlers answer, and how that becomes a response.

use super::wait::Waits;
use futures_util::Stream;
use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderMap, StatusCode};
use warp::hyper::body::Bytes;
use warp::reply::{Reply, Response};

/// The last tick whose changes an answer includes.
pub(super) const X_TICK: HeaderName = HeaderName::from_static("x-tick");

/// `1` when a limit cut the answer.
pub(super) const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");
/// Leaves went since the tick asked for that nobody can name any more: what is known of the tree is to be asked anew.
pub(super) const X_FORGOT: HeaderName = HeaderName::from_static("x-forgot");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Pages run nothing but what is served beside them, talk to nobody else, and are framed by nobody: a switch in a frame
/// could be clicked unseen.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// The frames of an answer without end.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send + Sync>>;

/// The body of an answer.
pub(super) enum Payload {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Frames(Frames),
    /// When there is something to say; until then the request is handed on.
    Waits(Waits),
}

/// What a handler answers.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) payload: Payload,
}

impl Answer {
    /// An answer with a body.
    pub(super) fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
        Answer::with(status, content_type, Payload::Whole(body.into()))
    }

    /// 200 and JSON.
    pub(super) fn json(body: impl Into<Bytes>) -> Answer {
        Answer::new(StatusCode::OK, JSON, body)
    }

    /// 200 and a page.
    pub(super) fn page(html: impl Into<Bytes>) -> Answer {
        let page = Answer::new(StatusCode::OK, HTML, html);
        // Not `no-referrer`: with that a browser sends `Origin: null` with a form, which is refused.
        page.header(CONTENT_SECURITY_POLICY, POLICY).header(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
    }

    /// 200 and a body that comes by and by.
    pub(super) fn frames(content_type: HeaderValue, frames: Frames) -> Answer {
        Answer::with(StatusCode::OK, content_type, Payload::Frames(frames))
    }

    /// What is answered when it is known.
    pub(super) fn waits(waits: Waits) -> Answer {
        let content_type = if matches!(waits, Waits::Stream(_)) { EVENTS } else { JSON };
        Answer::with(StatusCode::OK, content_type, Payload::Waits(waits))
    }

    /// An answer without end, as it comes.
    pub(super) fn events(frames: Frames) -> Answer {
        Answer::frames(EVENTS, frames)
    }

    fn with(status: StatusCode, content_type: HeaderValue, payload: Payload) -> Answer {
        // Room for these, a tick, and what hyper adds.
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Answer { status, headers, payload }
    }

    /// With one more header.
    pub(super) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Answer {
        self.headers.insert(name, value.into());
        self
    }

    /// Says which tick is the last that it includes, and whether a limit cut it.
    pub(super) fn at_tick(self, tick: u64, truncated: bool) -> Answer {
        let answer = self.header(X_TICK, tick);
        if truncated { answer.header(X_TRUNCATED, 1) } else { answer }
    }

    /// Ends the connection with this answer.
    pub(super) fn closing(self) -> Answer {
        self.header(CONNECTION, HeaderValue::from_static("close"))
    }

    /// As warp sends it.
    pub(super) fn into_response(self) -> Response {
        let mut response = match self.payload {
            Payload::Whole(body) => Response::new(body.into()),
            Payload::Frames(frames) => warp::reply::stream(frames).into_response(),
            // They are handed on, or waited for, before.
            Payload::Waits(_) => Response::default(),
        };
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl Answer {
    /// All of it as hyper would send it, and how many bytes of that are its body. `last` says that the connection ends.
    pub(super) fn into_bytes(self, last: bool) -> (Vec<u8>, usize) {
        let body = match self.payload {
            Payload::Whole(body) => body,
            Payload::Frames(_) | Payload::Waits(_) => Bytes::new(),
        };
        let mut out = head(self.status, &self.headers, last);
        // Writing to a Vec cannot fail.
        let _ = write!(out, "content-length: {}\r\n\r\n", body.len());
        out.extend_from_slice(&body);
        (out, body.len())
    }

    /// The head of a stream of events; `plain` where it is not to come in chunks.
    pub(super) fn stream_head(plain: bool) -> Vec<u8> {
        let answer = Answer::with(StatusCode::OK, EVENTS, Payload::Whole(Bytes::new()));
        let mut out = head(answer.status, &answer.headers, plain);
        out.extend_from_slice(if plain { b"\r\n" } else { b"transfer-encoding: chunked\r\n\r\n" });
        out
    }
}

/// A head but for how long the body is.
fn head(status: StatusCode, headers: &HeaderMap, last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    let _ = write!(out, "date: {}\r\n", httpdate::HttpDate::from(SystemTime::now()));
    out
}

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// What, where and what to do.
    why: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl fmt::Display) -> Refusal {
        Refusal { status, why: why.to_string(), header: None }
    }

    /// 400.
    pub(super) fn bad(why: impl fmt::Display) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, why)
    }

    /// One that says when to come again.
    pub(super) fn later(status: StatusCode, after: Duration, why: impl fmt::Display) -> Refusal {
        // Whole seconds (RFC 9110, 10.2.3), and none is no wait.
        let seconds = after.as_secs_f64().ceil().clamp(1.0, 3_600.0) as u64;
        Refusal::new(status, why).header(RETRY_AFTER, seconds.into())
    }

    /// 405, for a path that takes these methods.
    pub(super) fn method(method: &str, path: &str, allowed: &'static str) -> Refusal {
        let why = format_args!("{path} does not take {method}; use {allowed}");
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, why).header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 503: the daemon is about to end.
    pub(super) fn stopping() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this daemon is stopping; ask again when it is back")
    }

    /// 503: what was pushed is in the tree, and not on the disk.
    pub(super) fn uncommitted(why: &str) -> Refusal {
        let why = format!("merged, but not committed: {why}");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, &why)
    }

    /// With a header that says more.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.header = Some((name, value));
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let body = serde_json::json!({ "error": refusal.why }).to_string();
        let answer = Answer::new(refusal.status, JSON, body);
        match refusal.header {
            Some((name, value)) => answer.header(name, value),
            None => answer,
        }
    }
}

impl Refusal {
    /// How it is answered.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}
