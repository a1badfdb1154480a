//! `/setting/view`: the views that are kept.

use super::answer::{Answer, JSON, Refusal};
use super::args::decode;
use super::assets::{self, Page};
use super::body::Upload;
use super::get::apart;
use super::modules::wants_page;
use super::route::has_pages;
use super::web::{Head, Web};
use crate::limits::VIEWS_BYTES_MAX;
use crate::views::{View, ViewError, list_of};
use serde_json::{Value, json};
use std::sync::Arc;
use warp::http::{Method, StatusCode};

/// What `/setting/view` takes.
pub(super) const ALL: &str = "GET, HEAD, POST";

/// What `/setting/view/NAME` takes.
pub(super) const ONE: &str = "GET, HEAD, PUT, DELETE";

/// `GET /setting/view` lists all views as JSON for who asks for it, else it is the page; `POST` keeps a list in place of them: so they are brought from elsewhere, and ordered.
///
/// # Errors
/// 404 of an agent, which has no page; 400 for what is no list of views, 409 where what is kept cannot be read, 503 where it cannot be written.
pub(super) async fn all(web: &Web, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    let shared = Arc::clone(&web.shared);
    match head.method {
        Method::GET | Method::HEAD => {
            if wants_page(&head.headers) {
                has_pages(web)?;
                return assets::page(web, Page::Views).await;
            }
        }
        Method::POST => {
            let value = body(web, head, upload).await?;
            let shared = Arc::clone(&web.shared);
            apart(move || shared.views.replace(list_of(value)?)).await?.map_err(refusal)?;
        }
        _ => return Err(Refusal::method(head.method.as_str(), head.path.as_str(), ALL)),
    }
    let views = apart(move || shared.views.list()).await?.map_err(refusal)?;
    Ok(Answer::json(Value::Array(views.into_iter().map(View::json).collect()).to_string()))
}

/// `GET /setting/view/NAME` shows a view, `PUT` makes or changes it (201 where it is new; under the name that its body says, if it
/// says one), `DELETE` removes it. `name` is as it stands in the URL.
///
/// # Errors
/// As [`all`]; 404 where there is no such view, 409 where another has its new name.
pub(super) async fn one(web: &Web, name: &str, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    let name = decode(name, false)
        .ok_or_else(|| Refusal::bad(format_args!("/setting/view/: the escapes in {name:?} do not spell UTF-8")))?
        .into_owned();
    let shared = Arc::clone(&web.shared);
    match head.method {
        Method::GET | Method::HEAD => {
            let views = apart(move || shared.views.list()).await?.map_err(refusal)?;
            let view = views.into_iter().find(|view| view.name() == name);
            let missing = || refusal(ViewError::Missing(format!("there is no view {name:?}")));
            Ok(Answer::json(view.ok_or_else(missing)?.json().to_string()))
        }
        Method::PUT => {
            let value = body(web, head, upload).await?;
            let put = move || {
                let view = View::of(value, Some(&name))?;
                // A name that could not be another's either.
                View::of(json!({ "name": name, "charts": [] }), None)?;
                let shown = view.clone().json().to_string();
                shared.views.put(&name, view).map(|new| (new, shown))
            };
            let (new, shown) = apart(put).await?.map_err(refusal)?;
            Ok(Answer::new(if new { StatusCode::CREATED } else { StatusCode::OK }, JSON, shown))
        }
        Method::DELETE => {
            let removed = json!({ "removed": name }).to_string();
            apart(move || shared.views.remove(&name)).await?.map_err(refusal)?;
            Ok(Answer::json(removed))
        }
        _ => Err(Refusal::method(head.method.as_str(), head.path.as_str(), ONE)),
    }
}

async fn body(web: &Web, head: &Head, upload: &mut Upload) -> Result<Value, Refusal> {
    if upload.has_no_length() {
        let why = "views are to be told how long they are: send Content-Length";
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, why));
    }
    if upload.announces_more_than(VIEWS_BYTES_MAX) {
        let why = format_args!("views have at most {VIEWS_BYTES_MAX} bytes together");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let body = upload.read(web, head.arrival.peer.ip()).await?;
    serde_json::from_slice(&body.bytes)
        .map_err(|error| Refusal::bad(format_args!("/setting/view: the body is not JSON: {error}")))
}

fn refusal(error: ViewError) -> Refusal {
    let (status, why) = match error {
        ViewError::Wrong(why) => (StatusCode::BAD_REQUEST, why),
        ViewError::Missing(why) => (StatusCode::NOT_FOUND, why),
        ViewError::Taken(why) | ViewError::Foreign(why) => (StatusCode::CONFLICT, why),
        ViewError::Disk(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    Refusal::new(status, why)
}
