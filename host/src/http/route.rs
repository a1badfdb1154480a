//! The one filter, and the table of all URLs.

use super::answer::{Answer, Payload, Refusal};
use super::body::Upload;
use super::ownlog::Entry;
use super::wait::HandedOn;
use super::web::{Arrival, Head, Web};
use super::{
    api, assets, find, get, graph, health, login, ls, metrics, modules, openapi, page, pull, push, setting, trend,
};
use crate::conf::{Role, nearest};
use crate::ingest::sources::{Figures, Way};
use futures_util::{Stream, StreamExt};
use std::sync::Arc;
use warp::http::header::CONNECTION;
use warp::http::{HeaderMap, Method, StatusCode, Version};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter, Rejection};

/// Every URL, as an answer to an unknown one lists them.
pub(super) const KNOWN: &[&str] = &[
    "/",
    "/push",
    "/get/",
    "/pull/",
    "/trend/",
    "/graph/",
    "/api/q/",
    "/api/ls/",
    "/api/find",
    "/realtime/",
    "/realtime/view/NAME",
    "/trend/view/",
    "/diff/A/B",
    "/assets/NAME",
    "/modules",
    "/modules/log",
    "/setting/view",
    "/setting/view/NAME",
    "/modules/NAME/on",
    "/modules/NAME/off",
    "/modules/NAME/reload",
    "/metrics",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/login",
];

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";

/// All that this server answers. One filter with a `match` in it rather than one a family: that costs a request two
/// comparisons instead of a dozen rejections, and one place sees every answer before it goes.
pub(super) fn filter(web: Arc<Web>) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::ext::get::<Arrival>()
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |arrival, method, path, query, headers, body| {
            respond(Arc::clone(&web), Head { arrival, method, path, query, headers }, body)
        })
}

async fn respond<S, B>(web: Arc<Web>, head: Head, body: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    let mut upload = Upload::new(&head.headers, body);
    let mut entry = Entry::new(&web.log, head);
    let result = match web.guard.check(&entry.head.method, entry.head.path.as_str(), &entry.head.headers) {
        Ok(()) => route(&web, &entry.head, &mut upload).await,
        Err(refusal) => {
            web.shared.counters.http_refused.add(1);
            if entry.head.path.as_str() == "/push" {
                web.shared.sources.count(Way::Http, entry.head.arrival.peer.ip(), Figures::REFUSED);
            }
            if login::can_ask(&entry.head, refusal.status()) {
                Ok(login::ask(&to(&entry.head), false))
            } else {
                Err(refusal)
            }
        }
    };
    let mut answer = result.unwrap_or_else(Answer::from);
    if let Payload::Waits(waits) = answer.payload {
        // What hyper still has to do with the request, it does.
        if entry.head.method == Method::GET && upload.is_none() {
            let plain = entry.head.arrival.version == Version::HTTP_10;
            let last = plain || asks_to_close(&entry.head.headers);
            return HandedOn { waits, entry: entry.hand_on(), plain, last }.into_response();
        }
        answer = waits.here().await;
    }
    if upload.left_over(&web) {
        answer = answer.closing();
    }
    entry.answered(answer.status.as_u16());
    let bodiless = entry.head.method == Method::HEAD;
    match answer.payload {
        // Logged now: what is whole goes out at once, or the client is gone.
        Payload::Whole(ref body) if !bodiless => entry.sent(body.len()),
        Payload::Whole(_) => {}
        Payload::Frames(_) if bodiless => answer.payload = Payload::Whole(Default::default()),
        Payload::Frames(frames) => {
            let frames = frames.inspect(move |frame| {
                if let Ok(frame) = frame {
                    entry.sent(frame.len());
                }
            });
            answer.payload = Payload::Frames(Box::pin(frames));
        }
        Payload::Waits(_) => {}
    }
    answer.into_response()
}

async fn route(web: &Web, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    let (path, query) = (head.path.as_str(), head.query.as_str());
    match path {
        "/get/" | "/get" => {
            reads(head)?;
            get::get(web, query).await
        }
        "/trend/" | "/trend" => {
            reads(head)?;
            trend::trend(web, query).await
        }
        "/pull/" | "/pull" => {
            reads(head)?;
            pull::pull(web, query, &head.headers).await
        }
        "/push" | "/push/" => {
            writes(head)?;
            push::push(web, head, upload).await
        }
        "/modules" | "/modules/" => {
            reads(head)?;
            modules::list(web, &head.headers).await
        }
        "/modules/log" => {
            reads(head)?;
            Ok(modules::log(web))
        }
        "/setting/view" | "/setting/view/" => setting::all(web, head, upload).await,
        "/api/find" | "/api/find/" => {
            reads(head)?;
            find::find(web, query).await
        }
        "/api/ls" => {
            reads(head)?;
            ls::list(web, "", query).await
        }
        "/metrics" => {
            reads(head)?;
            metrics::metrics(web).await
        }
        "/openapi.json" => {
            reads(head)?;
            Ok(openapi::serve())
        }
        "/healthz" => {
            reads(head)?;
            Ok(health::alive())
        }
        "/readyz" => {
            reads(head)?;
            Ok(health::ready(web))
        }
        "/login" => {
            writes(head)?;
            login::log_in(web, head, upload).await
        }
        "/" | "/page.css" | "/page.js" => {
            reads(head)?;
            if path != "/page.css" {
                has_pages(web)?;
            }
            page::serve(web, path).await
        }
        _ => {
            if let Some(rest) = path.strip_prefix("/api/q/") {
                reads(head)?;
                api::subtree(web, rest, query).await
            } else if let Some(rest) = path.strip_prefix("/api/ls/") {
                reads(head)?;
                ls::list(web, rest, query).await
            } else if let Some(name) = path.strip_prefix("/setting/view/") {
                setting::one(web, name, head, upload).await
            } else if let Some(name) = path.strip_prefix("/assets/") {
                reads(head)?;
                has_pages(web)?;
                assets::asset(web, name, &head.headers).await
            } else if let Some(page) = assets::Page::at(path) {
                reads(head)?;
                has_pages(web)?;
                assets::page(web, page).await
            } else if let Some(rest) = path.strip_prefix("/graph/") {
                reads(head)?;
                graph::graph(web, rest, query).await
            } else if let Some((name, to)) = path.strip_prefix("/modules/").and_then(modules::switch_of) {
                writes(head)?;
                modules::switch(web, name, to, &head.headers).await
            } else {
                Err(unknown(&head.path))
            }
        }
    }
}

/// 404 of an agent: it has one page, which asks for the token.
pub(super) fn has_pages(web: &Web) -> Result<(), Refusal> {
    if web.shared.conf.role != Role::Agent {
        return Ok(());
    }
    let why = "this daemon is an agent, and has no pages; ask the one that it relays to, or /get/ and /modules";
    Err(Refusal::new(StatusCode::NOT_FOUND, why))
}

/// What a request asked for, as a browser asks for it again.
fn to(head: &Head) -> String {
    let query = &head.query;
    format!("{}{}{query}", head.path.as_str(), if query.is_empty() { "" } else { "?" })
}

fn reads(head: &Head) -> Result<(), Refusal> {
    match head.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::method(head.method.as_str(), head.path.as_str(), READ)),
    }
}

fn writes(head: &Head) -> Result<(), Refusal> {
    match head.method {
        Method::POST => Ok(()),
        _ => Err(Refusal::method(head.method.as_str(), head.path.as_str(), WRITE)),
    }
}

fn unknown(path: &FullPath) -> Refusal {
    let path = path.as_str();
    let near = nearest(path, KNOWN.iter().copied()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Refusal::new(StatusCode::NOT_FOUND, format_args!("there is no {path}{near}; there are {}", KNOWN.join(", ")))
}

/// Whether the connection is to end with the answer.
fn asks_to_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// The value of a header, if it is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &warp::http::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
