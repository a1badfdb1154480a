//! The first page, and the frame of all pages.

use super::answer::{Answer, Refusal};
use super::assets::{self, Page};
use super::web::Web;
use std::fmt::Write;
use warp::http::StatusCode;
use warp::http::header::HeaderValue;

const FRAME: &str = include_str!("page/frame.html");
const FIRST: &str = include_str!("page/first.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// `/`; and what it is made of where the pages are not built.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn serve(web: &Web, path: &str) -> Result<Answer, Refusal> {
    if path == "/"
        && let Some(built) = assets::built(web, Page::Front, String::new).await?
    {
        return Ok(built);
    }
    Ok(plain(web, path))
}

fn plain(web: &Web, path: &str) -> Answer {
    let text = |kind, text: &'static str| Answer::new(StatusCode::OK, HeaderValue::from_static(kind), text);
    match path {
        "/page.css" => text("text/css; charset=utf-8", STYLE),
        "/page.js" => text("text/javascript; charset=utf-8", SCRIPT),
        _ => {
            let mut address = web.address;
            if address.ip().is_unspecified() {
                // It listens everywhere: from this very machine this address will do.
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let token = if web.guard.asks() { " -H 'Authorization: Bearer TOKEN'" } else { "" };
            let main = FIRST
                .replace("{address}", &escaped(&address.to_string()))
                .replace("{token}", token)
                .replace("{host}", &escaped(&web.shared.host));
            Answer::page(frame("graftd", "<script src=\"/page.js\" defer></script>", &main))
        }
    }
}

/// A page: what all have in common, around what this one says.
pub(super) fn frame(title: &str, head: &str, main: &str) -> String {
    FRAME.replace("{title}", title).replace("{head}", head).replace("{main}", main)
}

/// A text as it stands in HTML, in an attribute's quotes too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No text of ours has these, and what a control character does to a page is anybody's guess.
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
