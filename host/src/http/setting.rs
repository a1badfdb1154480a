//! `/setting/view`: the views that are kept.

use super::answer::{Answer, JSON, Refusal};
use super::args::decode;
use super::assets::{self, Page};
use super::body::{Body, Upload};
use super::modules::wants_page;
use super::route::has_pages;
use super::turn::in_turn;
use super::web::{Head, Web};
use crate::limits::{VIEW_BYTES_MAX, VIEWS_BYTES_MAX, VIEWS_WAITING_MAX};
use crate::views::{Kept, View, ViewError, list_of};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use warp::http::header::{ETAG, HeaderValue, IF_MATCH};
use warp::http::{Method, StatusCode};

const FAMILY: &str = "/setting/view";

/// What `/setting/view` takes.
pub(super) const ALL: &str = "GET, HEAD, POST";

/// What `/setting/view/NAME` takes.
pub(super) const ONE: &str = "GET, HEAD, PUT, DELETE";

/// `GET /setting/view` lists all views as JSON for who asks for it, else it is the page; `POST` keeps a list in place of them: so they are
/// brought from elsewhere, and ordered. The `ETag` of each answer is of all views; what is changed with an `If-Match` is changed only
/// where they are still what that says.
///
/// # Errors
/// 404 of an agent, which has no page; 400 for what is no list of views, 409 where what is kept cannot be read, 412 where it is not what
/// `If-Match` says, 503 where it cannot be written, or too many ask at once.
pub(super) async fn all(web: &Web, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    has_pages(web)?;
    let shared = Arc::clone(&web.shared);
    let body = match head.method {
        Method::GET | Method::HEAD if wants_page(&head.headers) => return assets::page(web, Page::Views).await,
        Method::GET | Method::HEAD => None,
        Method::POST => Some(
            body(web, head, upload, VIEWS_BYTES_MAX, &format!("views have at most {VIEWS_BYTES_MAX} bytes together"))
                .await?,
        ),
        _ => return Err(Refusal::method(head.method.as_str(), head.path.as_str(), ALL)),
    };
    let seen = seen(head);
    in_turn(web, &web.keeping, FAMILY, move |_| {
        if let Some(body) = body {
            let views = list_of(body.value()?).map_err(refusal)?;
            shared.views.replace(views, seen.as_deref()).map_err(refusal)?;
        }
        let Kept { views, tag } = shared.views.kept().map_err(refusal)?;
        Ok(tagged(Answer::json(Value::Array(views.into_iter().map(View::json).collect()).to_string()), &tag))
    })
    .await?
}

/// `GET /setting/view/NAME` shows a view, `PUT` makes or changes it (201 where it is new; under the name that its body says, if it
/// says one), `DELETE` removes it. `name` is as it stands in the URL. `ETag` and `If-Match` are those of all views, as with [`all`].
///
/// # Errors
/// As [`all`]; 404 where there is no such view, 409 where another has its new name.
pub(super) async fn one(web: &Web, name: &str, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    has_pages(web)?;
    let name = decode(name, false)
        .ok_or_else(|| Refusal::bad(format_args!("/setting/view/: the escapes in {name:?} do not spell UTF-8")))?
        .into_owned();
    let shared = Arc::clone(&web.shared);
    let seen = seen(head);
    match head.method {
        Method::GET | Method::HEAD => {
            in_turn(web, &web.keeping, FAMILY, move |_| {
                let Kept { views, tag } = shared.views.kept().map_err(refusal)?;
                let view = views.into_iter().find(|view| view.name() == name);
                let missing = || refusal(ViewError::Missing(format!("there is no view {name:?}")));
                Ok(tagged(Answer::json(view.ok_or_else(missing)?.json().to_string()), &tag))
            })
            .await?
        }
        Method::PUT => {
            let body =
                body(web, head, upload, VIEW_BYTES_MAX, &format!("a view has at most {VIEW_BYTES_MAX} bytes")).await?;
            in_turn(web, &web.keeping, FAMILY, move |_| {
                let view = View::of(body.value()?, Some(&name)).map_err(refusal)?;
                // A name that could not be another's either.
                View::of(json!({ "name": name, "charts": [] }), None).map_err(refusal)?;
                let shown = view.clone().json().to_string();
                let (new, tag) = shared.views.put(&name, view, seen.as_deref()).map_err(refusal)?;
                let status = if new { StatusCode::CREATED } else { StatusCode::OK };
                Ok(tagged(Answer::new(status, JSON, shown), &tag))
            })
            .await?
        }
        Method::DELETE => {
            in_turn(web, &web.keeping, FAMILY, move |_| {
                let tag = shared.views.remove(&name, seen.as_deref()).map_err(refusal)?;
                Ok(tagged(Answer::json(json!({ "removed": name }).to_string()), &tag))
            })
            .await?
        }
        _ => Err(Refusal::method(head.method.as_str(), head.path.as_str(), ONE)),
    }
}

/// What the client has seen, if it says so. What cannot be read is nothing that there is.
fn seen(head: &Head) -> Option<String> {
    // Several lines of it are one list (RFC 9110, 5.3).
    let mut lines = head.headers.get_all(IF_MATCH).iter().map(|tags| tags.to_str().unwrap_or_default()).peekable();
    lines.peek()?;
    Some(lines.collect::<Vec<_>>().join(","))
}

fn tagged(answer: Answer, tag: &str) -> Answer {
    match HeaderValue::from_str(tag) {
        Ok(tag) => answer.header(ETAG, tag),
        Err(_) => answer,
    }
}

/// A body that waits to be read. It has its share of the room for all bodies meanwhile, so few wait: else pushes had none, where the
/// disk is slow.
struct Waiting {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl Waiting {
    /// What it says. Its room is free from then on, whatever is still to be waited for.
    fn value(self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body.bytes)
            .map_err(|error| Refusal::bad(format_args!("{FAMILY}: the body is not JSON: {error}")))
    }
}

/// The body.
///
/// # Errors
/// 503 where too many wait to be read, beside what [`Upload::read`] refuses.
async fn body(web: &Web, head: &Head, upload: &mut Upload, most: usize, why: &str) -> Result<Waiting, Refusal> {
    if upload.has_no_length() {
        let why = "views are to be told how long they are: send Content-Length";
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, why));
    }
    if upload.announces_more_than(most) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let body = upload.read(web, head.arrival.peer.ip()).await?;
    let Ok(place) = Arc::clone(&web.bringing).try_acquire_owned() else {
        let why = format_args!("{FAMILY}: {VIEWS_WAITING_MAX} changes wait already; try again later");
        return Err(Refusal::later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), why));
    };
    Ok(Waiting { body, _place: place })
}

fn refusal(error: ViewError) -> Refusal {
    let (status, why) = match error {
        ViewError::Wrong(why) => (StatusCode::BAD_REQUEST, why),
        ViewError::Missing(why) => (StatusCode::NOT_FOUND, why),
        ViewError::Taken(why) | ViewError::Foreign(why) => (StatusCode::CONFLICT, why),
        ViewError::Changed(why) => (StatusCode::PRECONDITION_FAILED, why),
        ViewError::Disk(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    Refusal::new(status, why)
}
